/* SPDX-License-Identifier: MIT */
#include "store/cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/lru.h"
#include "base/mem.h"

/* What an entry takes besides itself: its node and its share of a bucket. */
#define ENTRY_OVERHEAD_BYTES 24

struct entry {
    unsigned char key[DIGEST_BYTES]; /* the key */
    uint64_t request;
    int64_t done_ms;
};

struct cache {
    struct lru *entries;
};

struct cache *
cache_new(int64_t entries_max, int64_t bytes_max)
{
    struct cache *cache = mem_zalloc(1, sizeof(*cache));
    int64_t fit =
        bytes_max / (int64_t)(sizeof(struct entry) + ENTRY_OVERHEAD_BYTES);
    int64_t max = entries_max < fit ? entries_max : fit;

    cache->entries = lru_new((size_t)max, DIGEST_BYTES, sizeof(struct entry));
    return cache;
}

void
cache_free(struct cache *cache)
{
    if (!cache)
        return;
    lru_free(cache->entries);
    free(cache);
}

void
cache_reset(struct cache *cache)
{
    lru_reset(cache->entries);
}

void
cache_put(struct cache *cache, const unsigned char key[DIGEST_BYTES],
          uint64_t request, int64_t done_ms)
{
    struct entry *entry = lru_find(cache->entries, key);

    if (entry)
        lru_touch(cache->entries, entry);
    else
        entry = lru_add(cache->entries, key);
    if (!entry)
        return;
    entry->request = request;
    entry->done_ms = done_ms;
}

uint64_t
cache_get(struct cache *cache, const unsigned char key[DIGEST_BYTES],
          int64_t after_ms)
{
    struct entry *entry = lru_find(cache->entries, key);

    if (!entry)
        return 0;
    if (entry->done_ms <= after_ms) {
        lru_remove(cache->entries, entry);
        return 0;
    }
    lru_touch(cache->entries, entry);
    return entry->request;
}
