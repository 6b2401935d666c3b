/*
 * cache.h - the first tier of the result cache: answers found without reading
 *
 * Behind it is the store itself, which remembers by request key what was
 * answered. This tier keeps the newest keys in memory: bounded by entries and
 * by bytes, forgetting the least recently used, each only for its time to live.
 * Losing it loses nothing.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_CACHE_H
#define STORE_CACHE_H

#include <stdint.h>

#include "base/digest.h"

struct cache;

/* A cache of at most that many entries, and bytes of memory for them; none if
 * either is 0. */
struct cache *cache_new(int64_t entries_max, int64_t bytes_max);
void cache_free(struct cache *cache);

/* Forgets everything. */
void cache_reset(struct cache *cache);

/* Remembers that a request answered a key at a time. */
void cache_put(struct cache *cache, const unsigned char key[DIGEST_BYTES],
               uint64_t request, int64_t done_ms);

/* The request that answered a key later than after_ms, or 0. */
uint64_t cache_get(struct cache *cache, const unsigned char key[DIGEST_BYTES],
                   int64_t after_ms);

#endif
