/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "store/filing.h"
#include "store/verify_rows.h"

/* What a batch's counters must be. */
struct tally {
    uint32_t indexes; /* of drafts, refused ones included */
    uint32_t drafts, waiting, retrying, refusals, refused, joined, cached;
    uint32_t statuses[STATUS_COUNT];
    uint64_t last_seq;
    bool is_whole; /* all that is counted could be read */
};

static void
tally_drafts(struct check *check, uint64_t batch, struct tally *tally)
{
    struct draft draft = { .index = UINT32_MAX };
    int rc;

    do {
        rc = draft_next(check->store, batch, draft.index + 1, &draft);
        if (rc == E_CORRUPT)
            tally->is_whole = false;
        if (rc < 0)
            continue;
        tally->drafts++;
        tally->waiting += draft.status == STATUS_NONE;
        tally->retrying += draft.is_retrying;
        tally->statuses[draft.status]++;
        if (draft.seq > tally->last_seq)
            tally->last_seq = draft.seq;
    } while ((rc == 0 || rc == E_CORRUPT) && draft.index != UINT32_MAX);
}

static void
tally_refusals(struct check *check, uint64_t batch, struct tally *tally)
{
    struct refusal refusal = { .index = UINT32_MAX };
    int rc;

    do {
        rc = store_refusal_next(check->store, batch, refusal.index + 1,
                                &refusal);
        tally->refusals += rc == 0 || rc == E_CORRUPT;
    } while ((rc == 0 || rc == E_CORRUPT) && refusal.index != UINT32_MAX);
}

/* Chunks follow each other without a gap, and each counts its own drafts. */
static void
tally_chunks(struct check *check, const struct batch *batch,
             struct tally *tally)
{
    struct chunk chunk;

    for (uint32_t n = 1; n < batch->chunk_next; n++) {
        int rc = store_chunk_get(check->store, batch->id, n, &chunk);

        if (rc == E_NOTFOUND)
            fault(check, "no chunk %u", n);
        tally->is_whole &= rc == 0;
        if (rc < 0)
            return;
        EXPECT(check, chunk.index_first == tally->indexes,
               "chunk %u begins at draft %u, not %u", n, chunk.index_first,
               tally->indexes);
        tally->indexes = chunk.index_first + chunk.draft_count;
        tally->refused += chunk.refused;
        tally->joined += chunk.joined;
        tally->cached += chunk.cached;
    }
}

/* One counter; true if it is to be put right. */
static bool
compare_count(struct check *check, const char *what, uint64_t said,
              uint64_t counted)
{
    return MEND(check, said == counted, "%s: %llu, counted %llu", what,
                (llu)said, (llu)counted);
}

/* Counters that can be counted again; what calls used and cost cannot. */
static void
compare_counters(struct check *check, struct batch *batch,
                 const struct tally *tally)
{
    struct {
        const char *what;
        uint32_t *said, counted;
    } counts[] = {
        { "drafts", &batch->draft_count, tally->indexes },
        { "refused", &batch->refused_count, tally->refused },
        { "retried", &batch->retry_count, tally->retrying },
        { "joined", &batch->joined_count, tally->joined },
        { "cached", &batch->cached_count, tally->cached },
    };
    bool is_changed = false;

    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        if (compare_count(check, counts[i].what, *counts[i].said,
                          counts[i].counted)) {
            *counts[i].said = counts[i].counted;
            is_changed = true;
        }
    }
    for (enum status status = STATUS_OK; status < STATUS_COUNT; status++) {
        if (compare_count(check, status_name(status),
                          batch->status_count[status],
                          tally->statuses[status])) {
            batch->status_count[status] = tally->statuses[status];
            is_changed = true;
        }
    }
    if (compare_count(check, "last seq", batch->last_seq, tally->last_seq)) {
        batch->last_seq = tally->last_seq;
        is_changed = true;
    }
    if (is_changed)
        batch_put(check->store, batch);
}

/* Of a dropped batch the record stays, with the counts that it had, and rows of
 * others only while they are being removed. */
static void
compare_dropped(struct check *check, struct batch *batch)
{
    bool is_purged = batch->state == BATCH_PURGED, is_empty;
    struct draft draft;

    if (has_work(check, TIMER_DROP, batch->id))
        return;
    is_empty = draft_next(check->store, batch->id, 0, &draft) == E_NOTFOUND;
    if (MEND(check,
             is_purged || !is_empty ||
                 (batch->tail.count == 0 && batch->segment_first == 0),
             "%s, and has names or results of drafts",
             batch_state_name(batch->state))) {
        batch->segment_first = 0;
        name_drop_tail(check->store, batch);
    }
    if (MEND(check, !is_purged && is_empty,
             "%s, and nothing removes what it has",
             batch_state_name(batch->state))) {
        store_timer_set(
            check->store,
            &(struct timer){ .due_ms = check->store->now_ms,
                             .kind = TIMER_DROP,
                             .id = batch->id,
                             .argument = is_purged ? DROP_WHOLE : 0 });
    }
}

/* What a batch that has ended still has to do with its drafts goes on. */
static void
compare_ended(struct check *check, const struct batch *batch,
              const struct tally *tally)
{
    bool is_cancelled = batch->state == BATCH_CANCELLED;

    if (batch_is_live(batch) || is_swept(check, batch->id) ||
        (tally->waiting == 0 && tally->retrying == 0)) {
        return;
    }
    if (batch->state == BATCH_FINISHED) {
        fault(check, "finished, and %u drafts wait, %u are retried",
              tally->waiting, tally->retrying);
    } else if (stale(check, "%s, and %u drafts wait, %u are retried",
                     batch_state_name(batch->state), tally->waiting,
                     tally->retrying)) {
        set_work(check, is_cancelled ? TIMER_CANCEL : TIMER_EXPIRE, batch->id);
    }
}

/* Of the bad lines of a file, the first ones are remembered. */
static uint32_t
refusals_kept(struct check *check, uint64_t batch, uint32_t refused)
{
    return refused > FILING_FAULTS_MAX &&
                   has_row(check, TABLE_FILING, key_id(batch))
               ? FILING_FAULTS_MAX
               : refused;
}

static void
compare_drafts(struct check *check, struct batch *batch)
{
    struct tally tally = { .is_whole = true };

    tally_drafts(check, batch->id, &tally);
    tally_refusals(check, batch->id, &tally);
    tally_chunks(check, batch, &tally);
    if (tally.is_whole && tally.drafts + tally.refused != tally.indexes) {
        fault(check, "%u drafts and %u refused, of %u in its chunks",
              tally.drafts, tally.refused, tally.indexes);
        tally.is_whole = false;
    }
    EXPECT(check,
           !tally.is_whole ||
               tally.refusals == refusals_kept(check, batch->id, tally.refused),
           "%u refusals of %u refused", tally.refusals, tally.refused);
    /* Where something is missing, what was counted is the better witness. */
    if (tally.is_whole)
        compare_counters(check, batch, &tally);
    /* The broker ends it: files are made then, and webhooks told. */
    if (MEND(check,
             !batch_is_under_way(batch) || !batch_is_complete(batch) ||
                 has_work(check, TIMER_RETRY, batch->id),
             "complete, but %s", batch_state_name(batch->state))) {
        set_work(check, TIMER_RETRY, batch->id);
    }
    EXPECT(check, batch->state != BATCH_FINISHED || batch_is_complete(batch),
           "finished, but not complete");
    compare_ended(check, batch, &tally);
    compare_tail(check, batch);
    if (MEND(check, batch->segment_first <= batch->last_seq,
             "its newest results begin behind the last one")) {
        batch->segment_first = 0;
        batch_put(check->store, batch);
    }
}

/* What ends a batch some day, and goes on with it. */
static void
compare_timers(struct check *check, const struct batch *batch)
{
    bool is_under_way = batch_is_under_way(batch);
    struct timer timer = { .id = batch->id };

    if (MEND(check,
             batch->state != BATCH_OPEN ||
                 has_work(check, TIMER_ABANDON, batch->id) ||
                 has_row(check, TABLE_FILING, key_id(batch->id)),
             "open, and nothing abandons it")) {
        timer.kind = TIMER_ABANDON;
        timer.due_ms = batch->created_ms + check->verify->open_ttl_ms;
        store_timer_set(check->store, &timer);
    }
    if (MEND(check,
             !is_under_way || has_timer(check, batch->deadline_ms,
                                        TIMER_DEADLINE, batch->id),
             "%s, and nothing ends it at its deadline",
             batch_state_name(batch->state))) {
        timer.kind = TIMER_DEADLINE;
        timer.due_ms = batch->deadline_ms;
        store_timer_set(check->store, &timer);
    }
    if (MEND(check,
             !is_under_way || batch->retry_mask == 0 ||
                 has_work(check, TIMER_RETRY, batch->id),
             "to be retried, and nothing goes on with that")) {
        set_work(check, TIMER_RETRY, batch->id);
    }
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

/* True if another batch has this client and key, and is found by them. */
static bool
is_taken(struct check *check, uint64_t other,
         const unsigned char digest[DIGEST_BYTES])
{
    unsigned char its[DIGEST_BYTES];
    struct spec spec;

    if (other == 0 || store_spec_get(check->store, other, &spec) < 0)
        return false;
    store_client_key(spec.client, spec.key, its);
    return memcmp(its, digest, sizeof(its)) == 0;
}

/* By client and key it is found until it is purged or abandoned. */
static void
compare_client_key(struct check *check, const struct batch *batch)
{
    unsigned char digest[DIGEST_BYTES];
    struct spec spec;
    struct key row;
    uint64_t other;
    int rc = store_spec_get(check->store, batch->id, &spec);

    EXPECT(check, rc != E_NOTFOUND, "no spec");
    if (rc < 0 || batch->state == BATCH_PURGED ||
        batch->state == BATCH_ABANDONED) {
        return;
    }
    store_client_key(spec.client, spec.key, digest);
    row = key_bytes(key_start(), digest, DIGEST_BYTES);
    other = led_to(check, TABLE_CLIENT_KEY, row);
    if (other == batch->id)
        return;
    if (is_taken(check, other, digest)) {
        fault(check, "batch %llu has its client and key", (llu)other);
    } else if (stale(check, "not found by its client and key")) {
        record_u64(table_fields(check->store), batch->id);
        table_put(check->store, TABLE_CLIENT_KEY, row);
    }
}

static void
compare_uuid(struct check *check, const struct batch *batch)
{
    struct key row = key_bytes(key_start(), batch->uuid, BATCH_UUID_BYTES);
    uint64_t id = led_to(check, TABLE_UUID, row);
    struct batch other;

    if (id == batch->id)
        return;
    if (id != 0 && store_batch_get(check->store, id, &other) == 0 &&
        memcmp(other.uuid, batch->uuid, BATCH_UUID_BYTES) == 0) {
        fault(check, "batch %llu has its uuid", (llu)id);
    } else if (stale(check, "not found by its uuid")) {
        record_u64(table_fields(check->store), batch->id);
        table_put(check->store, TABLE_UUID, row);
    }
}

void
verify_batch(struct check *check, struct slice key, struct record *record)
{
    struct batch batch = { .id = key_get_u64(key, 0) };

    if (batch_decode(record, &batch) < 0) {
        fault(check, "damaged");
        return;
    }
    if (MEND(check, batch.id <= check->store->ids.batch,
             "above the last number given out")) {
        raise_number(check, &check->store->ids.batch, batch.id);
    }
    compare_uuid(check, &batch);
    compare_client_key(check, &batch);
    if (batch.state == BATCH_PURGED || batch.state == BATCH_ABANDONED ||
        batch.state == BATCH_FAILED)
        compare_dropped(check, &batch);
    else if (!has_work(check, TIMER_DROP, batch.id))
        compare_drafts(check, &batch);
    compare_timers(check, &batch);
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
    if (MEND(check,
             rc == E_CORRUPT || (rc == 0 && memcmp(batch.uuid, key.data,
                                                   BATCH_UUID_BYTES) == 0),
             "batch %llu has another, or is not there", (llu)id)) {
        drop_row(check);
    }
}

void
verify_client_key(struct check *check, struct slice key, struct record *record)
{
    unsigned char digest[DIGEST_BYTES] = { 0 };
    uint64_t id = record_get_u64(record);
    struct spec spec;
    int rc = find_batch(check, id);

    if (rc == 0)
        rc = store_spec_get(check->store, id, &spec);
    if (rc == 0)
        store_client_key(spec.client, spec.key, digest);
    if (MEND(check,
             rc == E_CORRUPT ||
                 (rc == 0 && memcmp(digest, key.data, sizeof(digest)) == 0),
             "batch %llu has another, or is not there", (llu)id)) {
        drop_row(check);
    }
}
