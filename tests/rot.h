/*
 * rot.h - damage done to the rows of a store, past the store
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_ROT_H
#define TESTS_ROT_H

#include "store/table.h"
#include "tests/store_play.h"

enum rot {
    ROT_DROP,   /* the row is gone */
    ROT_FLIP,   /* a bit of its value is another */
    ROT_DANGLE, /* it stands, sealed, under a key of its own as well */
    ROT_COUNT
};

/* A store in memory in which every table has rows. */
void rot_furnish(struct play *play);

/* Damages the nth row of a table, in a transaction of its own. False: it has
 * fewer, or the damage cannot be done. bit chooses what is flipped. */
bool rot_row(struct store *store, enum table table, uint64_t nth, enum rot how,
             size_t bit);

/* Flips a bit of each draft's record. How many there are. */
size_t rot_drafts(struct store *store);

/* The digest of a table's rows, in a transaction of its own; of the ready index,
 * of the requests that are in it. */
void rot_digest(struct store *store, enum table table,
                unsigned char digest[DIGEST_BYTES]);

#endif
