/*
 * keybook.h - which request has a request key: an index in three parts
 *
 * Request keys are digests. As rows of their own they lie scattered over the
 * whole table, and each new draft changes a page that no other one does; that
 * page was half of what a draft cost. So they are kept apart:
 *
 *   recent   in memory, and row by row, as they came, in the log (key_log)
 *   cells    what came to a part of the space of keys, its cell (key_cell)
 *   the set  all others, in order, some hundred to a row (key_set)
 *
 * When more than so many are recent, the sweep goes on: cell by cell, round and
 * round, it puts the recent keys of a cell into its row, and when that is full,
 * the row into the set (keyset.h). What the log says is done with once the sweep
 * has come round, and is removed.
 *
 *      set ──► recent, log ── sweep ──► cell ── full ──► set, until set anew
 *
 * A key is known by its first 64 bits here: whoever asks compares the rest with
 * the request's record. Of two requests whose keys share them, the one that was
 * set last is found.
 *
 * What a transaction sets is found in it at once, is written with it, and
 * forgotten with it.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_KEYBOOK_H
#define STORE_KEYBOOK_H

#include <stddef.h>
#include <stdint.h>

#include "store/keyentry.h"

struct store;
struct keybook;

/* An index with nothing recent; freed with keybook_free(). */
struct keybook *keybook_new(void);
void keybook_free(struct keybook *book);

/* How many keys may be recent. Has the memory for so many, and those that a
 * transaction sets. */
void keybook_limit(struct keybook *book, size_t recent_max);
void keybook_reserve(struct keybook *book, size_t keys);

/* Makes what is in memory anew, from the log. Damaged rows of it are passed
 * over. In a transaction, before anything is set. */
void keybook_load(struct store *store);

/* The request that was set for a key, or for one that shares its first bits; 0:
 * none. */
uint64_t keybook_find(struct store *store,
                      const unsigned char key[DIGEST_BYTES]);

/* A key will be looked for soon. Its places in memory are as good as chance, and
 * would be waited for one after another. */
void keybook_expect(const struct store *store,
                    const unsigned char key[DIGEST_BYTES]);

/* Sets the request of a key; 0 removes it. */
void keybook_set(struct store *store, const unsigned char key[DIGEST_BYTES],
                 uint64_t request);

/* Writes what was set: the last thing that a transaction does. Then tells what
 * became of it. */
void keybook_write(struct store *store);
void keybook_settle(struct keybook *book, bool is_committed);

/* ---- for those that look at rows (verify_keybook.c) ---- */

/* The entry for a prefix that is recent, or NULL. */
const struct key_entry *keybook_recent(const struct keybook *book,
                                       uint64_t prefix);

/* Removes what is set for a prefix. */
void keybook_remove(struct keybook *book, uint64_t prefix);

#endif
