/*
 * series.h - requests of one place that are numbered one after another
 *
 * The requests of a submission are numbered as they come, and those with the
 * same goal stand in the same place (request.h), or in the next one: a series
 * is a place, the first number, and how many there are. A row of the ready
 * index has the series of a batch that follow each other, in the order of
 * dispatch.
 *
 *   lead  4      4      4          7
 *   group 4      5      6          7
 *   first 20     23     26         22
 *   count 3      3      2          1
 *
 * Private to store/.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_SERIES_H
#define STORE_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "store/record.h"
#include "store/request.h"

#define SERIES_MAX 32 /* of a row */

/* Where one request stands. */
struct spot {
    struct place place;
    uint64_t request;
};

struct series {
    struct spot first;
    uint32_t count; /* at least one */
};

/* The series of a row, in order. */
struct series_row {
    struct spot from; /* nothing in it stands before this */
    size_t count;
    struct series list[SERIES_MAX];
};

/* Which of two stands first: below 0, 0 if they are the same, above 0. */
int spot_compare(const struct spot *one, const struct spot *other);

/* The first request in the row that stands at a spot, or behind it. */
bool series_seek(const struct series_row *row, const struct spot *spot,
                 struct spot *found);

/* True if the request at a spot is in the row; how many requests are. */
bool series_has(const struct series_row *row, const struct spot *spot);
uint64_t series_total(const struct series_row *row);

/* The last one of a row that has any. */
struct spot series_last(const struct series_row *row);

/* Adds a request, which does not stand before row->from. 1: it was there.
 * E_FULL: it would be a series more than a row may have. */
int series_add(struct series_row *row, const struct spot *spot);

/* Removes `count` requests from a spot on, that are of one series. 1: the first
 * is not there. E_FULL: as above, what is left of them would be two. */
int series_cut(struct series_row *row, const struct spot *spot, uint32_t count);

/* Moves the second half of a row that is full to another, which begins there.
 * */
void series_split(struct series_row *row, struct series_row *behind);

/* A row's fields; `from` is in the key. One request that stands there has none,
 * as all rows had before format 7. Decoding reports E_CORRUPT. */
void series_encode(const struct series_row *row, struct buf *out);
int series_decode(struct record *record, struct series_row *row);

#endif
