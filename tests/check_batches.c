/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "tests/check_rows.h"

struct tally {
    uint32_t drafts, waiting, retrying, refusals, joined, cached;
    uint32_t statuses[STATUS_COUNT];
    uint64_t last_seq;
    uint32_t names;
};

static struct tally
tally_drafts(struct check *check, uint64_t batch)
{
    struct tally tally = { 0 };
    struct draft draft;
    uint32_t index = 0;

    while (draft_next(check->store, batch, index, &draft) == 0) {
        index = draft.index + 1;
        tally.drafts++;
        tally.waiting += draft.status == STATUS_NONE;
        tally.retrying += draft.is_retrying;
        tally.statuses[draft.status]++;
        if (draft.seq > tally.last_seq)
            tally.last_seq = draft.seq;
    }
    return tally;
}

static void
add_others(struct check *check, const struct batch *batch, struct tally *tally)
{
    struct refusal refusal = { 0 };
    struct chunk chunk;
    struct slice found;
    struct key key = key_id(batch->id);

    while (store_refusal_next(check->store, batch->id, refusal.index,
                              &refusal) == 0) {
        tally->refusals++;
        refusal.index++;
    }
    for (uint32_t n = 1; n < batch->chunk_next; n++) {
        if (store_chunk_get(check->store, batch->id, n, &chunk) < 0) {
            fault(check, "batch %llu: no chunk %u", (llu)batch->id, n);
            continue;
        }
        EXPECT(check, has_row(check, TABLE_BODY, key_draft(batch->id, n)),
               "batch %llu: no body %u", (llu)batch->id, n);
        EXPECT(check, chunk.accepted + chunk.refused == chunk.draft_count,
               "batch %llu: counts of chunk %u", (llu)batch->id, n);
        tally->joined += chunk.joined;
        tally->cached += chunk.cached;
    }
    while (table_seek(check->store, TABLE_NAME, key, 8, &found, NULL) == 0) {
        tally->names++;
        key = key_u8(key_bytes(key_start(), found.data, found.bytes), 0);
    }
}

static void
compare_counters(struct check *check, const struct batch *batch)
{
    llu id = batch->id;
    struct tally tally = tally_drafts(check, id);

    add_others(check, batch, &tally);
    EXPECT(check, tally.drafts + batch->refused_count == batch->draft_count,
           "batch %llu: %u drafts, %u refused, %u in all", id, tally.drafts,
           batch->refused_count, batch->draft_count);
    EXPECT(check, tally.refusals <= batch->refused_count,
           "batch %llu: %u refusals, said to be %u", id, tally.refusals,
           batch->refused_count);
    EXPECT(check, tally.names == tally.drafts,
           "batch %llu: %u names of %u drafts", id, tally.names, tally.drafts);
    EXPECT(check, tally.retrying == batch->retry_count,
           "batch %llu: %u drafts are retried, said to be %u", id,
           tally.retrying, batch->retry_count);
    EXPECT(check, tally.joined == batch->joined_count,
           "batch %llu: joined %u, by chunks %u", id, batch->joined_count,
           tally.joined);
    EXPECT(check, tally.cached == batch->cached_count,
           "batch %llu: cached %u, by chunks %u", id, batch->cached_count,
           tally.cached);
    EXPECT(check, tally.last_seq == batch->last_seq,
           "batch %llu: last seq %llu, of drafts %llu", id,
           (llu)batch->last_seq, (llu)tally.last_seq);
    for (enum status status = STATUS_OK; status < STATUS_COUNT; status++) {
        EXPECT(check, tally.statuses[status] == batch->status_count[status],
               "batch %llu: %u drafts are %s, said to be %u", id,
               tally.statuses[status], status_name(status),
               batch->status_count[status]);
    }
    if (!batch_is_live(batch) && !is_swept(check, id)) {
        EXPECT(check, tally.waiting == 0, "batch %llu: %s, and %u drafts wait",
               id, batch_state_name(batch->state), tally.waiting);
        EXPECT(check, tally.retrying == 0,
               "batch %llu: %s, and %u drafts are retried", id,
               batch_state_name(batch->state), tally.retrying);
    }
}

void
check_batch(struct check *check, struct slice key, struct record *record)
{
    struct batch batch = { .id = key_get_u64(key, 0) };
    llu id = batch.id;

    if (batch_decode(record, &batch) < 0) {
        fault(check, "batch %llu: damaged", id);
        return;
    }
    EXPECT(check, id <= check->store->ids.batch, "batch %llu: above ids", id);
    EXPECT(check, has_row(check, TABLE_SPEC, key_id(id)), "batch %llu: no spec",
           id);
    EXPECT(check,
           row_u64(check, TABLE_UUID,
                   key_bytes(key_start(), batch.uuid, BATCH_UUID_BYTES)) == id,
           "batch %llu: not found by its uuid", id);
    EXPECT(check, batch.state != BATCH_SEALED || !batch_is_complete(&batch),
           "batch %llu: complete, but sealed", id);
    EXPECT(check, batch.state != BATCH_FINISHED || batch_is_complete(&batch),
           "batch %llu: finished, but not complete", id);
    /* Of a dropped batch the record stays, with the counts that it had. */
    EXPECT(check,
           batch.state != BATCH_PURGED || has_timer(check, TIMER_DROP, id),
           "batch %llu: purged, and nothing removes it", id);
    if (batch.state != BATCH_ABANDONED && !has_timer(check, TIMER_DROP, id))
        compare_counters(check, &batch);
}

bool
has_batch(struct check *check, uint64_t id)
{
    struct batch batch;

    return store_batch_get(check->store, id, &batch) == 0;
}

void
check_of_batch(struct check *check, struct slice key, struct record *record)
{
    uint64_t id = key_get_u64(key, 0);

    (void)record;
    EXPECT(check, has_batch(check, id), "a row of a batch %llu that is not",
           (llu)id);
}

void
check_to_batch(struct check *check, struct slice key, struct record *record)
{
    uint64_t id = record_get_u64(record);

    (void)key;
    EXPECT(check, has_batch(check, id), "a row to a batch %llu that is not",
           (llu)id);
}

void
check_client_key(struct check *check, struct slice key, struct record *record)
{
    unsigned char digest[DIGEST_BYTES];
    uint64_t id = record_get_u64(record);
    struct spec spec;

    if (store_spec_get(check->store, id, &spec) < 0) {
        fault(check, "client_key: no spec %llu", (llu)id);
        return;
    }
    store_client_key(spec.client, spec.key, digest);
    EXPECT(check, memcmp(digest, key.data, sizeof(digest)) == 0,
           "client_key: batch %llu has another one", (llu)id);
}
