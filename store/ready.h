/*
 * ready.h - the index of requests that wait, in the order of dispatch
 *
 * For each live batch that wants it, a request that is ready is in one row of
 * the table `ready` (series.h, FORMAT.md). The row that was used last is
 * *held*, decoded, and written when another one is needed, or the transaction
 * ends: leases of a group, and the drafts of a chunk, change one row once.
 *
 * A row keeps its key while requests are taken from its front: it is written in
 * its place, and LMDB moves no rows between pages, as it does when one is
 * removed.
 *
 * Private to store/, but for what request.h has of it.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_READY_H
#define STORE_READY_H

#include "store/series.h"

struct store;

/* The row that is held. */
struct ready_hold {
    uint64_t batch; /* 0: none is */
    struct series_row row;
    struct spot since; /* nothing of the batch is between it and the row */
    struct spot end;   /* where the next row begins, if has_end */
    bool has_end, knows_end;
    bool is_stored;  /* there is such a row in the table */
    bool is_changed; /* what is stored is not what is held */
    bool is_blind;   /* the row in which more may be is damaged */
};

/* Counts what is in the index, at the start and before a repair; from then on
 * store_usage() follows. */
int ready_count(struct store *store);

/* Writes the row that is held, if it was changed, and lets go of it. */
void ready_catch_up(struct store *store);

/* Adds a request for a batch; one that is there is fine. */
void ready_add(struct store *store, uint64_t batch, const struct spot *spot);

/* Removes `count` requests of a series from a spot on; if the first is not
 * there, that is fine. */
void ready_cut(struct store *store, uint64_t batch, const struct spot *spot,
               uint32_t count);

/* The first spot of a batch at or behind *spot. Rows that are damaged are
 * passed over. E_NOTFOUND. */
int ready_seek(struct store *store, uint64_t batch, const struct spot *spot,
               struct spot *found);

/* Whether a spot is in the index. E_NOTFOUND; E_CORRUPT: the row in which it
 * may be is damaged. */
int ready_find(struct store *store, uint64_t batch, const struct spot *spot);

/* Removes one slice of a batch's rows. True: there are more. */
bool ready_drop(struct store *store, uint64_t batch);

/* The key of the row that begins at a spot; the batch and the spot that one
 * tells. */
struct key ready_key(uint64_t batch, const struct spot *from);
uint64_t ready_batch(struct slice key);
struct spot ready_from(struct slice key);

#endif
