/* SPDX-License-Identifier: MIT */
#include "store/keypool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define CHAIN_BITS  15
#define CHAIN_COUNT (1u << CHAIN_BITS)
#define CELL_CHAINS (CHAIN_COUNT / KEY_CELL_COUNT)
#define ROOM_FIRST  1024
#define INSERT_MAX  16  /* entries that are sorted one by one */
#define END_MAX     512 /* places whose chains are ended one by one */

struct keypool {
    uint32_t chains[CHAIN_COUNT]; /* the first place of each; 0: none */
    struct key_entry *entries;    /* by place; the first one is never used */
    uint32_t *next;               /* by place: of the chain, or of the free */
    size_t room, used;            /* places; those that were used ever */
    uint32_t free;                /* the first place that is free again */
    size_t count;
    struct key_entry *listed; /* scratch: the entries of a cell */
    size_t listed_room;
};

struct keypool *
keypool_new(void)
{
    struct keypool *pool = mem_zalloc(1, sizeof(*pool));

    pool->used = 1;
    return pool;
}

void
keypool_free(struct keypool *pool)
{
    if (!pool)
        return;
    free(pool->entries);
    free(pool->next);
    free(pool->listed);
    free(pool);
}

void
keypool_reserve(struct keypool *pool, size_t count)
{
    size_t before = pool->room;

    if (count < before)
        return;
    assert(count < UINT32_MAX);
    pool->room = count + 1;
    pool->entries =
        mem_grow(pool->entries, pool->room, sizeof(pool->entries[0]));
    pool->next = mem_grow(pool->next, pool->room, sizeof(pool->next[0]));
    /* Memory is there when it was written to. */
    memset(pool->entries + before, 0,
           (pool->room - before) * sizeof(pool->entries[0]));
    memset(pool->next + before, 0,
           (pool->room - before) * sizeof(pool->next[0]));
}

size_t
keypool_count(const struct keypool *pool)
{
    return pool->count;
}

static uint32_t
chain_of(uint64_t prefix)
{
    return (uint32_t)(prefix >> (64 - CHAIN_BITS));
}

struct key_entry *
keypool_find(const struct keypool *pool, uint64_t prefix)
{
    uint32_t at = pool->chains[chain_of(prefix)];

    while (at && pool->entries[at].prefix != prefix)
        at = pool->next[at];
    return at ? &pool->entries[at] : NULL;
}

/* The chain's own line mostly is there: all of them are 128 KiB. */
void
keypool_expect(const struct keypool *pool, uint64_t prefix)
{
    uint32_t at = pool->chains[chain_of(prefix)];

    if (at) {
        __builtin_prefetch(&pool->entries[at]);
        __builtin_prefetch(&pool->next[at]);
    }
}

void
keypool_add(struct keypool *pool, struct key_entry entry)
{
    uint32_t *chain = &pool->chains[chain_of(entry.prefix)], at = pool->free;

    if (at) {
        pool->free = pool->next[at];
    } else {
        if (pool->used >= pool->room)
            keypool_reserve(pool, pool->room + pool->room / 8 + ROOM_FIRST);
        at = (uint32_t)pool->used++;
    }
    pool->entries[at] = entry;
    pool->next[at] = *chain;
    *chain = at;
    pool->count++;
}

/* Takes a place out of what leads to it. */
static void
release(struct keypool *pool, uint32_t *link)
{
    uint32_t at = *link;

    *link = pool->next[at];
    pool->next[at] = pool->free;
    pool->free = at;
    pool->count--;
}

void
keypool_drop(struct keypool *pool, uint64_t prefix)
{
    uint32_t *link = &pool->chains[chain_of(prefix)];

    while (*link && pool->entries[*link].prefix != prefix)
        link = &pool->next[*link];
    assert(*link);
    release(pool, link);
}

static int
compare(const void *a, const void *b)
{
    const struct key_entry *first = a, *second = b;

    return (first->prefix > second->prefix) - (first->prefix < second->prefix);
}

/* A chain has two or three entries, when a cell is swept: fewer than the library's
 * way of sorting takes calls for. */
static void
sort(struct key_entry *entries, size_t count)
{
    if (count > INSERT_MAX) {
        qsort(entries, count, sizeof(entries[0]), compare);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        struct key_entry entry = entries[i];
        size_t at = i;

        for (; at > 0 && entries[at - 1].prefix > entry.prefix; at--)
            entries[at] = entries[at - 1];
        entries[at] = entry;
    }
}

/* Adds the entries of a chain to the `count` that are listed. How many are. */
static size_t
list_chain(struct keypool *pool, uint32_t at, size_t count)
{
    for (; at; at = pool->next[at]) {
        if (count == pool->listed_room) {
            pool->listed_room = count ? 2 * count : CELL_CHAINS;
            pool->listed = mem_grow(pool->listed, pool->listed_room,
                                    sizeof(pool->listed[0]));
        }
        pool->listed[count++] = pool->entries[at];
    }
    return count;
}

/* The chains of a cell are in order; what each has is not. */
size_t
keypool_list(struct keypool *pool, unsigned cell,
             const struct key_entry **entries)
{
    size_t count = 0;

    assert(cell < KEY_CELL_COUNT);
    for (uint32_t i = 0; i < CELL_CHAINS; i++) {
        size_t first = count;

        count = list_chain(pool, pool->chains[cell * CELL_CHAINS + i], count);
        if (count - first > 1)
            sort(pool->listed + first, count - first);
    }
    *entries = pool->listed;
    return count;
}

void
keypool_empty(struct keypool *pool, unsigned cell)
{
    assert(cell < KEY_CELL_COUNT);
    for (uint32_t i = 0; i < CELL_CHAINS; i++) {
        uint32_t *chain = &pool->chains[cell * CELL_CHAINS + i];

        while (*chain)
            release(pool, chain);
    }
}

void
keypool_reset(struct keypool *pool)
{
    /* The chains of few places are found by them: one that is free again still
     * has what it had last. */
    if (pool->used <= END_MAX) {
        for (size_t at = 1; at < pool->used; at++)
            pool->chains[chain_of(pool->entries[at].prefix)] = 0;
    } else {
        memset(pool->chains, 0, sizeof(pool->chains));
    }
    pool->used = 1;
    pool->free = 0;
    pool->count = 0;
}
