/* SPDX-License-Identifier: MIT */
#include "base/lru.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"

#define NONE UINT32_MAX

/* Each slot is a node, and its entry stands in a block of its own kind. Chains
 * and the ring of ages are indexes of slots. */
struct node {
    uint32_t chain;          /* next in its bucket, or in the free list */
    uint32_t older, younger; /* NONE at the ends */
};

struct lru {
    size_t max, key_bytes, entry_bytes;
    size_t count;
    uint32_t bucket_mask;
    uint32_t *buckets;
    struct node *nodes;
    char *entries;
    uint32_t oldest, youngest, free;
};

static void *
entry_at(const struct lru *lru, uint32_t slot)
{
    return lru->entries + (size_t)slot * lru->entry_bytes;
}

static uint32_t
slot_of(const struct lru *lru, const void *entry)
{
    size_t offset = (size_t)((const char *)entry - lru->entries);

    assert(offset % lru->entry_bytes == 0);
    assert(offset / lru->entry_bytes < lru->max);
    return (uint32_t)(offset / lru->entry_bytes);
}

static uint32_t *
bucket_of(const struct lru *lru, const void *key)
{
    uint64_t hash = digest_xxh(key, lru->key_bytes, 0);

    return &lru->buckets[(uint32_t)hash & lru->bucket_mask];
}

void
lru_reset(struct lru *lru)
{
    for (uint32_t i = 0; i <= lru->bucket_mask; i++)
        lru->buckets[i] = NONE;
    for (uint32_t i = 0; i < lru->max; i++)
        lru->nodes[i].chain = i + 1 < lru->max ? i + 1 : NONE;
    lru->free = lru->max ? 0 : NONE;
    lru->oldest = lru->youngest = NONE;
    lru->count = 0;
}

struct lru *
lru_new(size_t max, size_t key_bytes, size_t entry_bytes)
{
    struct lru *lru = mem_zalloc(1, sizeof(*lru));
    uint32_t buckets = 1;

    assert(max < NONE / 2);
    assert(key_bytes > 0);
    assert(key_bytes <= entry_bytes);
    while (buckets < max)
        buckets *= 2;
    lru->max = max;
    lru->key_bytes = key_bytes;
    /* Entries may hold integers and pointers. */
    lru->entry_bytes = (entry_bytes + 15) / 16 * 16;
    lru->bucket_mask = buckets - 1;
    lru->buckets = mem_grow(NULL, buckets, sizeof(lru->buckets[0]));
    lru->nodes = mem_zalloc(max, sizeof(lru->nodes[0]));
    lru->entries = mem_grow(NULL, max, lru->entry_bytes);
    /* Memory is there when it was written to: all of it is now, and does not
     * grow for as long as it takes to fill the list. */
    memset(lru->entries, 0, max * lru->entry_bytes);
    lru_reset(lru);
    return lru;
}

void
lru_free(struct lru *lru)
{
    if (!lru)
        return;
    free(lru->buckets);
    free(lru->nodes);
    free(lru->entries);
    free(lru);
}

void *
lru_find(const struct lru *lru, const void *key)
{
    uint32_t slot = *bucket_of(lru, key);

    while (slot != NONE) {
        if (memcmp(entry_at(lru, slot), key, lru->key_bytes) == 0)
            return entry_at(lru, slot);
        slot = lru->nodes[slot].chain;
    }
    return NULL;
}

static void
link_youngest(struct lru *lru, uint32_t slot)
{
    struct node *node = &lru->nodes[slot];

    node->older = lru->youngest;
    node->younger = NONE;
    if (lru->youngest != NONE)
        lru->nodes[lru->youngest].younger = slot;
    else
        lru->oldest = slot;
    lru->youngest = slot;
}

static void
unlink_age(struct lru *lru, uint32_t slot)
{
    struct node *node = &lru->nodes[slot];

    if (node->older != NONE)
        lru->nodes[node->older].younger = node->younger;
    else
        lru->oldest = node->younger;
    if (node->younger != NONE)
        lru->nodes[node->younger].older = node->older;
    else
        lru->youngest = node->older;
}

void *
lru_add(struct lru *lru, const void *key)
{
    uint32_t slot, *bucket = bucket_of(lru, key);

    assert(!lru_find(lru, key));
    if (lru->max == 0)
        return NULL;
    if (lru->free == NONE)
        lru_remove(lru, entry_at(lru, lru->oldest));
    slot = lru->free;
    lru->free = lru->nodes[slot].chain;
    memset(entry_at(lru, slot), 0, lru->entry_bytes);
    memcpy(entry_at(lru, slot), key, lru->key_bytes);
    lru->nodes[slot].chain = *bucket;
    *bucket = slot;
    link_youngest(lru, slot);
    lru->count++;
    return entry_at(lru, slot);
}

void
lru_touch(struct lru *lru, void *entry)
{
    uint32_t slot = slot_of(lru, entry);

    unlink_age(lru, slot);
    link_youngest(lru, slot);
}

void
lru_remove(struct lru *lru, void *entry)
{
    uint32_t slot = slot_of(lru, entry), *place = bucket_of(lru, entry);

    while (*place != slot) {
        assert(*place != NONE);
        place = &lru->nodes[*place].chain;
    }
    *place = lru->nodes[slot].chain;
    unlink_age(lru, slot);
    lru->nodes[slot].chain = lru->free;
    lru->free = slot;
    lru->count--;
}

void *
lru_oldest(const struct lru *lru)
{
    return lru->oldest == NONE ? NULL : entry_at(lru, lru->oldest);
}

size_t
lru_count(const struct lru *lru)
{
    return lru->count;
}
