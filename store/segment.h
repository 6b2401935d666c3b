/*
 * segment.h - where the results of a batch lie in the order of completion
 *
 * All results stand in the table `result`, in the order in which they came. A
 * segment says that between two numbers, both included, results of a batch lie
 * there, perhaps with others' in between: it is a row of the table `done`.
 *
 *   number   1  2  3  4  5  6  7  8 … 900  901  902  903
 *   batch    a  b  a  b  b  a  c  c    c    b    a    a
 *
 *   of a: 1 to 6, and 902 to 903
 *
 * The newest segment of a batch is in its record, which each result writes anyway:
 * from segment_first to last_seq. It grows with a result that comes soon behind its
 * last one; with one that comes later, it becomes a row, and another begins. So of
 * a batch that runs alone there is no row, and whoever goes through a segment
 * passes over DONE_GAP - 1 others' for each result that it was given, at most.
 *
 * No number is in two segments of a batch, and each of its results is in one. One
 * that is taken back leaves its segment as it is, which may then lead to nothing;
 * but a row of one number goes with its result.
 *
 * Private to store/.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_SEGMENT_H
#define STORE_SEGMENT_H

#include <stdint.h>

#include "base/buf.h"
#include "store/record.h"

/* How far behind the last result of a segment the next one may come. */
#define DONE_GAP 64

struct batch;
struct store;

struct segment {
    uint64_t first, last;
};

/* A row's field, which is the last number: the first one is in the key. Before
 * format 7 there was a row for each result, with its index in four bytes; that is a
 * segment of one. Decoding, for which `first` is set, reports E_CORRUPT. */
void segment_encode(const struct segment *segment, struct buf *out);
int segment_decode(struct record *record, struct segment *segment);

/* ---- in a store's transaction ---- */

/* Writes a segment of a batch as a row. */
void segment_put(struct store *store, uint64_t batch,
                 const struct segment *segment);

/* The first segment of a batch that has numbers behind `seq`. One that is damaged is
 * taken to reach up to the next one, so that nothing in it is left out; if the
 * batch's record is, the newest one as well. E_NOTFOUND. */
int segment_after(struct store *store, uint64_t batch, uint64_t seq,
                  struct segment *segment);

/* The first row at or behind a number. E_CORRUPT: it is damaged, its first number is
 * set. E_NOTFOUND. */
int segment_row(struct store *store, uint64_t batch, uint64_t from,
                struct segment *segment);

/* Lets a batch, which the caller writes, have its newest result at `seq`. */
void segment_grow(struct store *store, struct batch *batch, uint64_t seq);

/* A result of a batch is taken back, which the caller writes too. */
void segment_forget(struct store *store, struct batch *batch, uint64_t seq);

/* Makes a number that is in no segment of a batch part of one, joining those that it
 * is near to: of rows that were lost, all numbers make the same ones again, in
 * whatever order. */
void segment_restore(struct store *store, uint64_t batch, uint64_t seq);

#endif
