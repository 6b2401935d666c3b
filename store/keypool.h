/*
 * keypool.h - the recent entries of the index of request keys, in memory
 *
 * A table of places that are used again, and chains through them: one for each
 * value of the first 15 bits of a prefix, so that those of a cell lie side by
 * side. Its size is that of the most entries that it ever had, or what was
 * reserved; it neither grows by pieces nor leaves holes.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_KEYPOOL_H
#define STORE_KEYPOOL_H

#include <stddef.h>

#include "store/keyentry.h"

struct keypool;

/* An empty pool; freed with keypool_free(), NULL is fine. */
struct keypool *keypool_new(void);
void keypool_free(struct keypool *pool);

/* Has room for so many entries, and the memory for it. */
void keypool_reserve(struct keypool *pool, size_t count);

/* How many there are. */
size_t keypool_count(const struct keypool *pool);

/* The entry of a prefix, or NULL. Borrowed until the next one is added. */
struct key_entry *keypool_find(const struct keypool *pool, uint64_t prefix);

/* The entry of a prefix will be looked for soon: fetches what leads to it into the
 * processor's cache. */
void keypool_expect(const struct keypool *pool, uint64_t prefix);

/* Adds an entry; its prefix must not be there. Removes that of a prefix. */
void keypool_add(struct keypool *pool, struct key_entry entry);
void keypool_drop(struct keypool *pool, uint64_t prefix);

/* The entries of a cell, ascending; how many. Borrowed until the next call. */
size_t keypool_list(struct keypool *pool, unsigned cell,
                    const struct key_entry **entries);

/* Removes those of a cell; removes all. */
void keypool_empty(struct keypool *pool, unsigned cell);
void keypool_reset(struct keypool *pool);

#endif
