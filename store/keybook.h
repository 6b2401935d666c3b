/*
 * keybook.h - which request has a request key: an index in two halves
 *
 * Request keys are digests. As rows of their own they lie scattered over the
 * whole table, and each new draft changes a page that no other one does; that
 * page was half of what a draft cost. So they are kept apart:
 *
 *   recent   in memory, and row by row, as they came, in the log (key_log)
 *   the set  all others, in order, some hundred to a row (key_set)
 *
 * The space of keys is cut into cells. When more than so many are recent, the
 * sweep goes on: cell by cell, round and round, it puts the recent keys of a
 * cell into the set, where they change the few rows of that cell. What the log
 * says is done with once the sweep has come round, and is removed.
 *
 *      set ──► recent, log ──── sweep ────► set, until it is set anew
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

#include "base/digest.h"
#include "store/record.h"

struct store;
struct keybook;

/* An index with nothing recent; freed with keybook_free(). */
struct keybook *keybook_new(void);
void keybook_free(struct keybook *book);

/* How many keys may be recent. */
void keybook_limit(struct keybook *book, size_t recent_max);

/* Makes what is in memory anew, from the log. Damaged rows of it are passed
 * over. In a transaction, before anything is set. */
void keybook_load(struct store *store);

/* The request that was set for a key, or for one that shares its first bits; 0:
 * none. */
uint64_t keybook_find(struct store *store,
                      const unsigned char key[DIGEST_BYTES]);

/* Sets the request of a key; 0 removes it. */
void keybook_set(struct store *store, const unsigned char key[DIGEST_BYTES],
                 uint64_t request);

/* Writes what was set: the last thing that a transaction does. Then tells what
 * became of it. */
void keybook_write(struct store *store);
void keybook_settle(struct keybook *book, bool is_committed);

/* ---- rows, for those that look at them (verify_keybook.c) ---- */

/* The first bits of a key, by which it is known; the cell that they are in. */
uint64_t keybook_prefix(const unsigned char key[DIGEST_BYTES]);
unsigned keybook_cell(uint64_t prefix);

struct key_entry {
    uint64_t prefix;
    uint64_t request; /* 0: there is none any more */
};
#define KEY_ENTRY_BYTES 14

/* Takes the next entry of a row. */
struct key_entry key_entry_get(struct record *record);

/* The entry for a prefix that is recent, or NULL. */
const struct key_entry *keybook_recent(const struct keybook *book,
                                       uint64_t prefix);

/* Removes what is set for a prefix. */
void keybook_remove(struct keybook *book, uint64_t prefix);

#endif
