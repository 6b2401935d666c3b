/*
 * keyset.h - the stored halves of the index of request keys
 *
 *   key_cell   a cell's own rows: what came to it since it was last merged
 *   key_set    all others, in order, some hundred to a row
 *
 * What the sweep brings goes into the first of a cell's own rows. When that has no
 * more room, all that the cell's own rows have is merged into its rows of the set:
 * so a page of the set is written for some hundred entries of its cell. Of a cell
 * with many rows of the set, each would get few of them: there the full row is laid
 * aside first, more of them the more rows the set has, and all are merged together.
 * So it is some fifty entries at least, up to forty million keys.
 *
 *      sweep ──► first ── full ──► aside, aside, aside ── enough ──► set
 *
 * What was laid aside last stands before the others. An entry beats those of its
 * prefix that stand behind it, and all of the cell's own rows beat the set.
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

/* How many entries a cell's first row has at most; a half of them at least. As many
 * as fill a page, until this is called. */
void keyset_limit(struct keyset *set, size_t cell_max);

/* Forgets what is known of the rows. In a transaction. */
void keyset_load(struct store *store);

/* True if there is an entry for the prefix; sets *request. */
bool keyset_find(struct store *store, uint64_t prefix, uint64_t *request);

/* A prefix will be looked for soon. */
void keyset_expect(const struct keyset *set, uint64_t prefix);

/* How many rows a cell may have laid aside. Their keys are the cell's least prefix
 * and 1 to so many; 0 is the first one. */
#define KEYSET_ASIDE_MAX 12

/* True if one of the cell's own rows has an entry for the prefix and stands before
 * a key: it beats what is there. UINT64_MAX: before the set. */
bool keyset_hides(struct store *store, uint64_t prefix, uint64_t key);

/* Brings entries of a cell, ascending, one at least. A damaged row is written
 * anew, without what was in it. */
void keyset_merge(struct store *store, unsigned cell,
                  const struct key_entry *entries, size_t count);

#endif
