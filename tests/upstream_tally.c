/* SPDX-License-Identifier: MIT */
#include "tests/upstream_tally.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#define CAPACITY_FIRST 256

struct tally_entry {
    unsigned char digest[DIGEST_BYTES];
    uint32_t count; /* 0: the slot is free */
};

/* The slot of a digest, or the free one where it belongs. A SHA-256 is as good
 * as random, so that its first bytes are the hash. */
static struct tally_entry *
find(struct tally_entry *slots, size_t capacity, const unsigned char *digest)
{
    uint64_t hash;

    memcpy(&hash, digest, sizeof(hash));
    for (;; hash++) {
        struct tally_entry *entry = &slots[hash & (capacity - 1)];

        if (entry->count == 0 ||
            memcmp(entry->digest, digest, DIGEST_BYTES) == 0) {
            return entry;
        }
    }
}

/* Keeps the table at most half full, so that probes stay short. */
static void
make_room(struct tally *tally)
{
    size_t capacity = tally->capacity ? tally->capacity * 2 : CAPACITY_FIRST;
    struct tally_entry *slots;

    if (tally->count * 2 < tally->capacity)
        return;
    slots = mem_zalloc(capacity, sizeof(*slots));
    for (size_t i = 0; i < tally->capacity; i++) {
        if (tally->slots[i].count)
            *find(slots, capacity, tally->slots[i].digest) = tally->slots[i];
    }
    free(tally->slots);
    tally->slots = slots;
    tally->capacity = capacity;
}

void
tally_fini(struct tally *tally)
{
    free(tally->slots);
    *tally = (struct tally){ 0 };
}

uint32_t
tally_add(struct tally *tally, const unsigned char digest[DIGEST_BYTES])
{
    struct tally_entry *entry;

    make_room(tally);
    entry = find(tally->slots, tally->capacity, digest);
    if (entry->count == 0) {
        if (tally->count == TALLY_COUNT_MAX)
            log_fatal("event=tally_full count=%zu", tally->count);
        memcpy(entry->digest, digest, DIGEST_BYTES);
        tally->count++;
    }
    return ++entry->count;
}
