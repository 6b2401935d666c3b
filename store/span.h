/*
 * span.h - drafts that stand in one row
 *
 * A span is up to fifty drafts of a batch, whose indexes begin at a multiple of
 * fifty: a row of the table `span`, with a *slot* of fixed size for each index
 * from its first on, up to its last draft.
 *
 *   batch 3, from 150 on:  | 150 | 151 |     | 153 | 154 |      152 was refused
 *
 * Each slot has a seal of its own, over the batch and the index, and the row
 * has none: what rots in one draft is no other's, and a draft that changes is
 * written in its place. A slot in which there is no draft is sealed, too, so
 * that none disappears unseen.
 *
 * The span that was used last is *held*, and written, if it was changed, when
 * another one is to be, or the transaction ends: the drafts of a chunk, and
 * results that come together, are a few rows. Reading never writes: what is
 * borrowed from the store stays.
 *
 * Private to store/.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_SPAN_H
#define STORE_SPAN_H

#include <stdbool.h>
#include <stdint.h>

#include "store/record.h"

#define SPAN_SLOTS      50 /* as many as a page of LMDB's has room for */
#define SPAN_SLOT_BYTES (77 + RECORD_SEAL_BYTES) /* what draft_encode() makes */

struct draft;
struct store;

/* The span that is held. */
struct span_hold {
    uint64_t batch; /* 0: none is */
    uint32_t first;
    uint32_t count;  /* of slots */
    bool is_stored;  /* there is such a row in the table */
    bool is_changed; /* what is stored is not what is held */
    unsigned char slots[SPAN_SLOTS * SPAN_SLOT_BYTES];
};

/* Writes the span that is held, if it was changed, and lets go of it. */
void span_catch_up(struct store *store);

/* The fields of a draft. E_NOTFOUND, E_CORRUPT. The record is for reading at
 * once. */
int span_get(struct store *store, uint64_t batch, uint32_t index,
             struct record *record);

/* The same of the first draft at or after *index, which is set to its own, also
 * with E_CORRUPT. */
int span_next(struct store *store, uint64_t batch, uint32_t *index,
              struct record *record);

/* Writes a draft; removes one; one that is not there is fine. */
void span_put(struct store *store, const struct draft *draft);
void span_del(struct store *store, uint64_t batch, uint32_t index);

/* Removes one slice of a batch's rows. True: there are more. */
bool span_drop(struct store *store, uint64_t batch);

/* How many slots a row has, the last of which may be cut short. */
uint32_t span_slots(struct slice row);

#endif
