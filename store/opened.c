/* SPDX-License-Identifier: MIT */
#include "store/opened.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/lru.h"
#include "base/mem.h"

struct entry {
    uint64_t part; /* its number */
    struct buf lines;
};

struct opened {
    struct lru *entries;
    struct buf spare; /* for the next one */
};

struct opened *
opened_new(void)
{
    struct opened *opened = mem_zalloc(1, sizeof(*opened));

    opened->entries =
        lru_new(OPENED_MAX, sizeof(uint64_t), sizeof(struct entry));
    return opened;
}

void
opened_free(struct opened *opened)
{
    if (!opened)
        return;
    opened_reset(opened);
    lru_free(opened->entries);
    buf_fini(&opened->spare);
    free(opened);
}

const struct buf *
opened_find(struct opened *opened, uint64_t part)
{
    struct entry *entry = lru_find(opened->entries, &part);

    if (!entry)
        return NULL;
    lru_touch(opened->entries, entry);
    return &entry->lines;
}

/* Forgets the oldest part, and keeps its memory for another. */
static void
forget_oldest(struct opened *opened)
{
    struct entry *oldest = lru_oldest(opened->entries);

    buf_swap(&oldest->lines, &opened->spare);
    buf_fini(&oldest->lines);
    lru_remove(opened->entries, oldest);
    if (opened->spare.capacity > OPENED_KEEP_BYTES)
        buf_fini(&opened->spare);
}

int
opened_add(struct opened *opened, uint64_t part, struct slice packed,
           struct packer *packer, const struct buf **lines)
{
    struct entry *entry;
    struct slice text;
    int rc;

    if (pack_bytes(packed) < 0)
        return E_CORRUPT;
    if (lru_count(opened->entries) == OPENED_MAX)
        forget_oldest(opened);
    rc = pack_open(packer, packed, &opened->spare, &text);
    if (rc < 0)
        return rc;
    entry = lru_add(opened->entries, &part);
    buf_swap(&entry->lines, &opened->spare);
    *lines = &entry->lines;
    return 0;
}

void
opened_reset(struct opened *opened)
{
    while (lru_count(opened->entries) > 0)
        forget_oldest(opened);
}
