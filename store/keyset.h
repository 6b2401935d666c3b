/*
 * keyset.h - the stored halves of the index of request keys
 *
 *   key_cell   a row for each cell: what came to it since it was last merged
 *   key_set    all others, in order, some hundred to a row
 *
 * What the sweep brings goes into the row of its cell. When that has no more room,
 * all of it is merged into the cell's rows of the set: so a page of the set is
 * written for some hundred entries of its cell, however many there are in all.
 * An entry of the cell beats one of the set.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_KEYSET_H
#define STORE_KEYSET_H

#include <stddef.h>

#include "store/keyentry.h"

struct store;
struct keyset;

/* What is known of the rows, which is nothing; freed with keyset_free(). */
struct keyset *keyset_new(void);
void keyset_free(struct keyset *set);

/* Has the memory for whatever it will know. */
void keyset_reserve(struct keyset *set);

/* How many entries a cell's own row has at most; a half of them at least. As many
 * as fill a page, until this is called. */
void keyset_limit(struct keyset *set, size_t cell_max);

/* Forgets what is known of the rows. In a transaction. */
void keyset_load(struct store *store);

/* True if there is an entry for the prefix; sets *request. */
bool keyset_find(struct store *store, uint64_t prefix, uint64_t *request);

/* A prefix will be looked for soon. */
void keyset_expect(const struct keyset *set, uint64_t prefix);

/* True if an entry of the cell's own row stands before one of the set. */
bool keyset_hides(struct store *store, uint64_t prefix);

/* Brings entries of a cell, ascending, one at least. A damaged row is written
 * anew, without what was in it. */
void keyset_merge(struct store *store, unsigned cell,
                  const struct key_entry *entries, size_t count);

#endif
