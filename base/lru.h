/*
 * lru.h - a bounded map that forgets the oldest
 *
 * Entries of a fixed size whose first bytes are their key. All memory is
 * there from the start; an entry that is added to a full map takes the place of
 * the oldest. Age is the order of adding and of lru_touch().
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_LRU_H
#define BASE_LRU_H

#include <stddef.h>

struct lru;

/* A map of at most `max` entries of entry_bytes, beginning with key_bytes of
 * key. max may be 0: then nothing is kept. */
struct lru *lru_new(size_t max, size_t key_bytes, size_t entry_bytes);

/* Frees the map; NULL is fine. */
void lru_free(struct lru *lru);

/* The entry with that key, or NULL. Borrowed until it is removed or forgotten;
 * its key must not be changed. */
void *lru_find(const struct lru *lru, const void *key);

/* Adds an entry, zeroed but for its key, as the youngest; the key must not be
 * there yet. NULL if max is 0. */
void *lru_add(struct lru *lru, const void *key);

/* Makes an entry the youngest. */
void lru_touch(struct lru *lru, void *entry);

/* Removes an entry. */
void lru_remove(struct lru *lru, void *entry);

/* The oldest entry, or NULL. */
void *lru_oldest(const struct lru *lru);

/* How many entries there are; removes them all. */
size_t lru_count(const struct lru *lru);
void lru_reset(struct lru *lru);

#endif
