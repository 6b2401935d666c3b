/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "store/verify_rows.h"

/* What a batch's counters must be. */
struct tally {
    uint32_t drafts, waiting, retrying, refusals, joined, cached;
    uint32_t statuses[STATUS_COUNT];
    uint64_t last_seq;
    bool is_whole; /* all that is counted could be read */
};

static void
tally_drafts(struct check *check, uint64_t batch, struct tally *tally)
{
    struct draft draft;
    uint32_t index = 0;
    int rc;

    for (;; index = draft.index + 1) {
        rc = draft_next(check->store, batch, index, &draft);
        if (rc < 0 && rc != E_CORRUPT)
            return;
        tally->is_whole &= rc == 0;
        if (rc < 0)
            continue;
        tally->drafts++;
        tally->waiting += draft.status == STATUS_NONE;
        tally->retrying += draft.is_retrying;
        tally->statuses[draft.status]++;
        if (draft.seq > tally->last_seq)
            tally->last_seq = draft.seq;
    }
}

static void
tally_refusals(struct check *check, uint64_t batch, struct tally *tally)
{
    struct refusal refusal = { 0 };
    int rc;

    for (;; refusal.index++) {
        rc = store_refusal_next(check->store, batch, refusal.index, &refusal);
        if (rc < 0 && rc != E_CORRUPT)
            return;
        tally->refusals++;
    }
}

/* Chunks follow each other without a gap, and each counts its own drafts. */
static void
tally_chunks(struct check *check, const struct batch *batch,
             struct tally *tally)
{
    struct chunk chunk;
    uint32_t index = 0;

    for (uint32_t n = 1; n < batch->chunk_next; n++) {
        int rc = store_chunk_get(check->store, batch->id, n, &chunk);

        if (rc == E_NOTFOUND)
            fault(check, "no chunk %u", n);
        tally->is_whole &= rc == 0;
        if (rc < 0)
            return;
        EXPECT(check, chunk.index_first == index,
               "chunk %u begins at draft %u, not %u", n, chunk.index_first,
               index);
        index = chunk.index_first + chunk.draft_count;
        tally->joined += chunk.joined;
        tally->cached += chunk.cached;
    }
    EXPECT(check, index == batch->draft_count, "%u drafts, %u in its chunks",
           batch->draft_count, index);
}

static void
compare_counters(struct check *check, const struct batch *batch,
                 const struct tally *tally)
{
    EXPECT(check, tally->drafts + batch->refused_count == batch->draft_count,
           "%u drafts, %u refused, %u in all", tally->drafts,
           batch->refused_count, batch->draft_count);
    EXPECT(check, tally->refusals <= batch->refused_count,
           "%u refusals, said to be %u", tally->refusals, batch->refused_count);
    EXPECT(check, tally->retrying == batch->retry_count,
           "%u drafts are retried, said to be %u", tally->retrying,
           batch->retry_count);
    EXPECT(check, tally->joined == batch->joined_count,
           "joined %u, by chunks %u", batch->joined_count, tally->joined);
    EXPECT(check, tally->cached == batch->cached_count,
           "cached %u, by chunks %u", batch->cached_count, tally->cached);
    EXPECT(check, tally->last_seq == batch->last_seq,
           "last seq %llu, of drafts %llu", (llu)batch->last_seq,
           (llu)tally->last_seq);
    for (enum status status = STATUS_OK; status < STATUS_COUNT; status++) {
        EXPECT(check, tally->statuses[status] == batch->status_count[status],
               "%u drafts are %s, said to be %u", tally->statuses[status],
               status_name(status), batch->status_count[status]);
    }
}

/* Of a dropped batch the record stays, with the counts that it had, and rows of
 * others only while they are being removed. */
static void
compare_dropped(struct check *check, const struct batch *batch)
{
    struct draft draft;

    if (has_work(check, TIMER_DROP, batch->id))
        return;
    EXPECT(check, batch->state != BATCH_PURGED,
           "purged, and nothing removes it");
    EXPECT(check, draft_next(check->store, batch->id, 0, &draft) == E_NOTFOUND,
           "%s, and nothing removes its drafts",
           batch_state_name(batch->state));
}

static void
compare_drafts(struct check *check, const struct batch *batch)
{
    struct tally tally = { .is_whole = true };

    tally_drafts(check, batch->id, &tally);
    tally_refusals(check, batch->id, &tally);
    tally_chunks(check, batch, &tally);
    if (tally.is_whole)
        compare_counters(check, batch, &tally);
    if (batch_is_live(batch) || is_swept(check, batch->id))
        return;
    EXPECT(check, tally.waiting == 0, "%s, and %u drafts wait",
           batch_state_name(batch->state), tally.waiting);
    EXPECT(check, tally.retrying == 0, "%s, and %u drafts are retried",
           batch_state_name(batch->state), tally.retrying);
}

/* What ends a batch some day, and goes on with it. */
static void
compare_timers(struct check *check, const struct batch *batch)
{
    EXPECT(check,
           batch->state != BATCH_OPEN ||
               has_work(check, TIMER_ABANDON, batch->id),
           "open, and nothing abandons it");
    EXPECT(check,
           !batch_is_under_way(batch) ||
               has_timer(check, batch->deadline_ms, TIMER_DEADLINE, batch->id),
           "%s, and nothing ends it at its deadline",
           batch_state_name(batch->state));
    EXPECT(check,
           !batch_is_under_way(batch) || batch->retry_mask == 0 ||
               has_work(check, TIMER_RETRY, batch->id),
           "to be retried, and nothing goes on with that");
}

/* The batch that one of the two indexes leads to, 0 for none. */
static uint64_t
led_to(struct check *check, enum table table, struct key key)
{
    struct record record;

    return table_get(check->store, table, key, &record) == 0
               ? record_get_u64(&record)
               : 0;
}

/* How it is found: by its uuid, and by client and key while it has them. */
static void
compare_names(struct check *check, const struct batch *batch)
{
    unsigned char digest[DIGEST_BYTES];
    struct spec spec;
    int rc = store_spec_get(check->store, batch->id, &spec);

    EXPECT(check, rc != E_NOTFOUND, "no spec");
    EXPECT(check,
           led_to(check, TABLE_UUID,
                  key_bytes(key_start(), batch->uuid, BATCH_UUID_BYTES)) ==
               batch->id,
           "not found by its uuid");
    if (rc < 0 || batch->state == BATCH_PURGED ||
        batch->state == BATCH_ABANDONED) {
        return;
    }
    store_client_key(spec.client, spec.key, digest);
    EXPECT(check,
           led_to(check, TABLE_CLIENT_KEY,
                  key_bytes(key_start(), digest, DIGEST_BYTES)) == batch->id,
           "not found by its client and key");
}

void
verify_batch(struct check *check, struct slice key, struct record *record)
{
    struct batch batch = { .id = key_get_u64(key, 0) };

    if (batch_decode(record, &batch) < 0) {
        fault(check, "damaged");
        return;
    }
    EXPECT(check, batch.id <= check->store->ids.batch,
           "above the last number given out");
    EXPECT(check, batch.state != BATCH_SEALED || !batch_is_complete(&batch),
           "complete, but sealed");
    EXPECT(check, batch.state != BATCH_FINISHED || batch_is_complete(&batch),
           "finished, but not complete");
    compare_names(check, &batch);
    compare_timers(check, &batch);
    if (batch.state == BATCH_PURGED || batch.state == BATCH_ABANDONED)
        compare_dropped(check, &batch);
    else if (!has_work(check, TIMER_DROP, batch.id))
        compare_drafts(check, &batch);
}

/* A row of a batch: E_NOTFOUND if there is none, 0 also if it is damaged. */
static int
find_batch(struct check *check, uint64_t id)
{
    struct slice value;

    return table_get_raw(check->store, TABLE_BATCH, key_id(id), &value);
}

void
verify_spec(struct check *check, struct slice key, struct record *record)
{
    struct spec spec;

    EXPECT(check, spec_decode(record, &spec) == 0, "damaged");
    EXPECT(check, find_batch(check, key_get_u64(key, 0)) == 0, "no batch");
}

void
verify_uuid(struct check *check, struct slice key, struct record *record)
{
    uint64_t id = record_get_u64(record);
    struct batch batch;
    int rc = record_end(record);

    if (rc == 0)
        rc = store_batch_get(check->store, id, &batch);
    EXPECT(check, rc == E_CORRUPT || rc == 0, "no batch %llu", (llu)id);
    EXPECT(check, rc < 0 || memcmp(batch.uuid, key.data, BATCH_UUID_BYTES) == 0,
           "batch %llu has another", (llu)id);
}

void
verify_client_key(struct check *check, struct slice key, struct record *record)
{
    unsigned char digest[DIGEST_BYTES];
    uint64_t id = record_get_u64(record);
    struct spec spec;
    int rc = store_spec_get(check->store, id, &spec);

    EXPECT(check, find_batch(check, id) == 0, "no batch %llu", (llu)id);
    if (rc < 0)
        return;
    store_client_key(spec.client, spec.key, digest);
    EXPECT(check, memcmp(digest, key.data, sizeof(digest)) == 0,
           "batch %llu has another", (llu)id);
}

/* Its parts are there and have its digest. One that is damaged is found by
 * itself. */
static void
compare_parts(struct check *check, uint64_t batch, const struct chunk *chunk)
{
    struct digest *digest = digest_new();
    unsigned char found[DIGEST_BYTES];
    bool is_whole = true;

    for (uint32_t i = 0; i < chunk->part_count; i++) {
        struct record part;
        int rc = table_get(check->store, TABLE_BODY,
                           key_draft(batch, chunk->part_first + i), &part);

        EXPECT(check, rc != E_NOTFOUND, "no part %u", chunk->part_first + i);
        is_whole &= rc == 0;
        if (rc == 0)
            digest_add(digest, part.at, part.left);
    }
    digest_final(digest, found);
    digest_free(digest);
    EXPECT(check, !is_whole || memcmp(found, chunk->digest, sizeof(found)) == 0,
           "its lines have another digest");
}

void
verify_chunk(struct check *check, struct slice key, struct record *record)
{
    uint64_t batch = key_get_u64(key, 0);
    uint32_t n = key_get_u32(key, 8);
    struct chunk chunk;

    (void)record;
    EXPECT(check, find_batch(check, batch) == 0, "no batch");
    if (store_chunk_get(check->store, batch, n, &chunk) < 0) {
        fault(check, "damaged");
        return;
    }
    EXPECT(check, chunk.accepted + chunk.refused == chunk.draft_count,
           "%u accepted, %u refused, %u in all", chunk.accepted, chunk.refused,
           chunk.draft_count);
    if (!has_work(check, TIMER_DROP, batch))
        compare_parts(check, batch, &chunk);
}

int
find_chunk(struct check *check, uint64_t batch, uint32_t part,
           struct chunk *chunk)
{
    uint32_t low = 1, high = part; /* a chunk has one part at least */
    int rc;

    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;

        rc = store_chunk_get(check->store, batch, middle, chunk);
        if (rc < 0 && rc != E_NOTFOUND)
            return rc;
        if (rc == 0 && chunk->part_first <= part)
            low = middle;
        else
            high = middle - 1;
    }
    rc = store_chunk_get(check->store, batch, low, chunk);
    if (rc < 0)
        return rc;
    return part >= chunk->part_first &&
                   part - chunk->part_first < chunk->part_count
               ? 0
               : E_NOTFOUND;
}

void
verify_body(struct check *check, struct slice key, struct record *record)
{
    uint64_t batch = key_get_u64(key, 0);
    struct chunk chunk;

    (void)record; /* its bytes are looked at with its chunk */
    EXPECT(check,
           find_chunk(check, batch, key_get_u32(key, 8), &chunk) !=
                   E_NOTFOUND ||
               has_work(check, TIMER_DROP, batch),
           "no chunk");
}
