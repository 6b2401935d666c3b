/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "store/chunk_rows.h"
#include "store/part.h"
#include "store/verify_rows.h"

/* Its parts are there and have its digest. One that is damaged is found by
 * itself. */
static void
compare_parts(struct check *check, uint64_t batch, const struct chunk *chunk)
{
    struct digest *digest = digest_new();
    unsigned char found[DIGEST_BYTES];
    bool is_whole = true;

    for (uint32_t i = 0; i < chunk->part_count; i++) {
        uint64_t part = chunk->part_first + i;
        struct slice lines;
        int rc = part_get(check->store, batch, chunk->n, part, &lines);

        EXPECT(check, rc != E_NOTFOUND, "no part %llu", part_shown(part));
        is_whole &= rc == 0;
        if (rc == 0)
            digest_add(digest, lines.data, lines.bytes);
    }
    digest_final(digest, found);
    digest_free(digest);
    EXPECT(check, !is_whole || memcmp(found, chunk->digest, sizeof(found)) == 0,
           "its lines have another digest");
}

static void
compare_chunk(struct check *check, uint64_t batch, const struct chunk *chunk)
{
    EXPECT(check, chunk->accepted + chunk->refused == chunk->draft_count,
           "%u accepted, %u refused, %u in all", chunk->accepted,
           chunk->refused, chunk->draft_count);
    if (!has_work(check, TIMER_DROP, batch))
        compare_parts(check, batch, chunk);
}

static void
compare_batch(struct check *check, uint64_t batch)
{
    struct slice value;

    EXPECT(check,
           table_get_raw(check->store, TABLE_BATCH, key_id(batch), &value) == 0,
           "no batch");
}

void
verify_chunk(struct check *check, struct slice key, struct record *record)
{
    uint64_t batch = key_get_u64(key, 0);
    uint32_t n = key_get_u32(key, 8);
    struct chunk chunk;

    (void)record;
    compare_batch(check, batch);
    if (store_chunk_get(check->store, batch, n, &chunk) < 0)
        fault(check, "damaged");
    else
        compare_chunk(check, batch, &chunk);
}

/* The number of the last chunk that has a row of its own. */
static uint32_t
last_row(struct check *check, uint64_t batch)
{
    struct slice found;

    if (table_before(check->store, TABLE_CHUNK, key_draft(batch, UINT32_MAX), 8,
                     &found, NULL) < 0) {
        return 0;
    }
    return key_get_u32(found, 8);
}

void
verify_newest(struct check *check, struct slice key, struct record *record)
{
    uint64_t batch = key_get_u64(key, 0);
    struct newest newest;

    (void)record;
    compare_batch(check, batch);
    if (newest_get(check->store, batch, &newest) < 0) {
        fault(check, "damaged");
        return;
    }
    EXPECT(check, last_row(check, batch) < newest.chunks[0].n,
           "begins with chunk %u, and %u has a row", newest.chunks[0].n,
           last_row(check, batch));
    for (size_t i = 0; i < newest.count; i++)
        compare_chunk(check, batch, &newest.chunks[i]);
}

llu
part_shown(uint64_t part)
{
    return part & ~PART_OF_BATCH;
}

static bool
has_part(const struct chunk *chunk, uint64_t part)
{
    return part >= chunk->part_first &&
           part - chunk->part_first < chunk->part_count;
}

/* The number of the last chunk that a batch has; 1 if it has none. */
static uint32_t
last_chunk(struct check *check, uint64_t batch)
{
    struct newest newest;
    uint32_t last;

    if (newest_get(check->store, batch, &newest) == 0)
        return newest.chunks[newest.count - 1].n;
    last = last_row(check, batch);
    return last > 0 ? last : 1;
}

/* Chunks and their parts came in the same order. Those whose parts are counted over
 * the batch came before all others. */
int
find_chunk(struct check *check, uint64_t batch, uint64_t part,
           struct chunk *chunk)
{
    uint32_t low = 1, high = last_chunk(check, batch);
    int rc;

    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;

        rc = store_chunk_get(check->store, batch, middle, chunk);
        if (rc < 0 && rc != E_NOTFOUND)
            return rc;
        if (rc == 0 &&
            (chunk->part_first ^ PART_OF_BATCH) <= (part ^ PART_OF_BATCH))
            low = middle;
        else
            high = middle - 1;
    }
    rc = store_chunk_get(check->store, batch, low, chunk);
    if (rc < 0)
        return rc;
    return has_part(chunk, part) ? 0 : E_NOTFOUND;
}

void
verify_body(struct check *check, struct slice key, struct record *record)
{
    uint64_t batch = key_get_u64(key, 0);
    struct chunk chunk;

    (void)record; /* its bytes are looked at with its chunk */
    EXPECT(check,
           find_chunk(check, batch, PART_OF_BATCH | key_get_u32(key, 8),
                      &chunk) != E_NOTFOUND ||
               has_work(check, TIMER_DROP, batch),
           "no chunk");
}

void
verify_part(struct check *check, struct slice key, struct record *record)
{
    struct ids *ids = &check->store->ids;
    uint64_t number = key_get_u64(key, 0);
    struct part_head head;
    struct slice lines;
    struct chunk chunk;
    int rc;

    part_decode_head(record, &head);
    rc = record_end(record);
    if (rc == 0 && head.is_packed)
        rc = part_get(check->store, head.batch, head.n, number, &lines);
    if (MEND(check, number <= ids->part, "above the last number given out"))
        raise_number(check, &ids->part, number);
    if (rc < 0) {
        fault(check, "damaged");
        return;
    }
    rc = store_chunk_get(check->store, head.batch, head.n, &chunk);
    if (rc == 0)
        EXPECT(check, has_part(&chunk, number), "not one of chunk %llu/%u",
               (llu)head.batch, head.n);
    EXPECT(check, rc != E_NOTFOUND || has_work(check, TIMER_DROP, head.batch),
           "no chunk %llu/%u", (llu)head.batch, head.n);
}
