/*
 * run.h - the names of drafts that follow each other
 *
 * A draft's id has two parts: the last number in it, and the *stem*, a hash of
 * what is around that (names.c). Ids are mostly counted, each by one more than
 * that of the draft before it: such names are a run, and one row of the table
 * `name` says of all of them whose they are.
 *
 *   number   123  124  125  126
 *   index     40   41   42   43     stem 7, number 123, index 40, count 4
 *
 * The newest run of a batch is its tail: it stands in the batch's record, which
 * is written with each chunk anyway, and becomes a row when another run begins.
 * No name is in two runs, the tail included.
 *
 * Private to store/, but for what a batch's record holds.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_RUN_H
#define STORE_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "store/record.h"

#define RUN_NO_LIMIT UINT64_MAX /* no run of the stem begins behind it */

struct name {
    uint64_t stem;
    uint64_t number;
};

struct run {
    struct name first;
    uint32_t index; /* of the draft that has the first name */
    uint32_t count; /* of names; 0: there is no run */
};

/* True if a name is one of the run's. */
bool run_has(const struct run *run, struct name name);

/* True if the name of the draft at `index` is the next one of the run. */
bool run_goes_on(const struct run *run, struct name name, uint32_t index);

/* The index of the draft that has a name of the run. */
uint32_t run_index(const struct run *run, struct name name);

/* True if all its names can be of drafts. */
bool run_fits(const struct run *run);

/* A row's fields, which have no first name: that is in the key. A run of one has
 * no count: where no id goes on with another, rows are no larger for it, and
 * those from before format 6 are such. Decoding reports E_CORRUPT. */
void run_encode(const struct run *run, struct buf *out);
int run_decode(struct record *record, struct run *run);

/* ---- in a store's transaction ---- */

struct store;

/* Writes a run of a batch as a row, and removes one. */
void run_put(struct store *store, uint64_t batch, const struct run *run);
void run_del(struct store *store, uint64_t batch, const struct run *run);

/* The row in which a name is. E_NOTFOUND; E_CORRUPT: the one in which it may be
 * is damaged. */
int run_find(struct store *store, uint64_t batch, struct name name,
             struct run *run);

/* The number of the first row of the name's stem at or behind its own:
 * RUN_NO_LIMIT if there is none. */
int run_limit(struct store *store, uint64_t batch, struct name name,
              uint64_t *number);

#endif
