/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "store/answer.h"
#include "store/segment.h"
#include "store/verify_rows.h"

/* ---- a draft and what it refers to ---- */

/* Its line is in its chunk, and the chunk has its index. */
static void
compare_line(struct check *check, const struct draft *draft)
{
    struct chunk chunk;
    struct slice line;

    EXPECT(check, store_draft_line(check->store, draft, &line) == 0,
           "its line in part %llu is damaged", part_shown(draft->part));
    if (find_chunk(check, draft->batch, draft->part, &chunk) < 0)
        return;
    EXPECT(check,
           draft->index >= chunk.index_first &&
               draft->index - chunk.index_first < chunk.draft_count,
           "not one of chunk %u, which has %u from %u on", chunk.n,
           chunk.draft_count, chunk.index_first);
}

static bool
is_in_result(struct check *check, const struct draft *draft)
{
    struct record record;

    return table_get(check->store, TABLE_RESULT, key_id(draft->seq), &record) ==
               0 &&
           record_get_u64(&record) == draft->batch &&
           record_get_u32(&record) == draft->index;
}

/* In a segment of its batch. Of a batch that is gone nothing is said here. */
static bool
is_in_done(struct check *check, const struct draft *draft)
{
    struct segment segment;
    struct batch batch;

    return store_batch_get(check->store, draft->batch, &batch) == E_NOTFOUND ||
           (segment_after(check->store, draft->batch, draft->seq - 1,
                          &segment) == 0 &&
            segment.first <= draft->seq);
}

/* A result's status is its outcome's, or will be when the outcome comes by. What
 * the request says of it is compared with the outcome there: an answer that many
 * drafts have is not read for each. */
static void
compare_outcome(struct check *check, const struct draft *draft,
                const struct request *request)
{
    if (request->status == draft->status ||
        has_work(check, TIMER_FAN_OUT, draft->answered_by)) {
        return;
    }
    if (!draft_improves(draft, request->status)) {
        fault(check, "%s, and its outcome %s", status_name(draft->status),
              status_name(request->status));
    } else if (stale(check, "%s, and nothing brings it the %s of its outcome",
                     status_name(draft->status),
                     status_name(request->status))) {
        set_work(check, TIMER_FAN_OUT, draft->answered_by);
    }
}

/* True if another draft stands under its number, and has it as well. */
static bool
is_doubled(struct check *check, const struct draft *draft)
{
    struct record record;
    struct draft other;
    uint64_t batch;
    uint32_t index;

    if (table_get(check->store, TABLE_RESULT, key_id(draft->seq), &record) < 0)
        return false;
    batch = record_get_u64(&record);
    index = record_get_u32(&record);
    return (batch != draft->batch || index != draft->index) &&
           store_draft_get(check->store, batch, index, &other) == 0 &&
           other.seq == draft->seq;
}

/* Its place in the two orders of completion. */
static void
compare_order(struct check *check, const struct draft *draft)
{
    if (MEND(check, draft->seq <= check->store->ids.seq,
             "its seq is above the last one given out")) {
        raise_number(check, &check->store->ids.seq, draft->seq);
    }
    if (is_doubled(check, draft)) {
        fault(check, "another draft has its seq %llu", (llu)draft->seq);
        return;
    }
    if (MEND(check, is_in_result(check, draft), "not in result"))
        result_order(check->store, draft);
    if (MEND(check, is_in_done(check, draft), "not in done"))
        segment_restore(check->store, draft->batch, draft->seq);
}

/* Each draft has a ref to what it waits for, and to what answered it. */
static void
compare_ref(struct check *check, const struct draft *draft,
            struct request *request)
{
    if (MEND(check,
             ref_is_there(check->store, request, draft->batch, draft->index),
             "no ref to request %llu", (llu)request->id)) {
        ref_add(check->store, request, draft->batch, draft->index);
    }
}

/* Of a request that is damaged nothing is said here. */
static void
compare_answer(struct check *check, const struct draft *draft)
{
    struct request request;
    int rc = store_request_get(check->store, draft->answered_by, &request);

    if (rc == 0)
        compare_ref(check, draft, &request);
    if (rc == 0 && !answer_is_there(check->store, &request))
        rc = E_NOTFOUND;
    EXPECT(check, rc != E_NOTFOUND, "no outcome %llu, which answered it",
           (llu)draft->answered_by);
    if (rc == 0)
        compare_outcome(check, draft, &request);
}

static void
compare_result(struct check *check, const struct draft *draft)
{
    bool is_own =
        draft->status == STATUS_CANCELLED || draft->status == STATUS_EXPIRED;
    bool has_result = draft->status != STATUS_NONE;

    EXPECT(check,
           (draft->seq != 0) == has_result &&
               (draft->revision != 0) == has_result &&
               (draft->answered_by == 0) == (is_own || !has_result),
           "seq, revision, status and the request that gave it disagree");
    EXPECT(check, draft->cost_nano <= 0 || draft->tier == CACHE_NONE,
           "costs, but is from the cache");
    if (draft->seq != 0)
        compare_order(check, draft);
    if (draft->answered_by != 0)
        compare_answer(check, draft);
}

/* What a draft of a live batch waits for has ended without it: an outcome is
 * brought to it; what was let go of is called after all. */
static void
wake(struct check *check, struct request *request)
{
    if (request->state == REQUEST_DONE) {
        set_work(check, TIMER_FAN_OUT, request->id);
        return;
    }
    request_revive(check->store, request);
    ready_put_all(check->store, request);
}

/* A draft that waits must have something to wait for. */
static void
compare_waiting(struct check *check, const struct draft *draft)
{
    bool is_waiting = draft->status == STATUS_NONE || draft->is_retrying;
    struct request request;
    struct batch batch;
    int rc = store_request_get(check->store, draft->request, &request);

    EXPECT(check, rc != E_NOTFOUND, "no request %llu", (llu)draft->request);
    if (rc == 0)
        compare_ref(check, draft, &request);
    if (rc < 0 || !is_waiting || is_swept(check, draft->batch) ||
        request_is_joinable(&request) ||
        has_work(check, TIMER_FAN_OUT, request.id)) {
        return;
    }
    /* Of one that has ended, the batch is named. */
    if (store_batch_get(check->store, draft->batch, &batch) == 0 &&
        batch_is_live(&batch) &&
        stale(check, "waits for request %llu, which is %s", (llu)request.id,
              request_state_name(request.state))) {
        wake(check, &request);
    }
}

void
verify_draft(struct check *check, struct slice key, struct record *record)
{
    struct draft draft = { .batch = key_get_u64(key, 0),
                           .index = key_get_u32(key, 8) };
    struct slice value;

    if (draft_decode(record, &draft) < 0) {
        fault(check, "damaged");
        return;
    }
    EXPECT(check,
           table_get_raw(check->store, TABLE_BATCH, key_id(draft.batch),
                         &value) == 0,
           "no batch");
    compare_line(check, &draft);
    compare_name(check, &draft);
    compare_result(check, &draft);
    compare_waiting(check, &draft);
}

/* One slot of a span. */
static void
visit_slot(struct check *check, uint64_t batch, uint32_t index)
{
    struct key key = key_draft(batch, index);
    struct record record;
    int rc = span_get(check->store, batch, index, &record);

    if (rc < 0 && rc != E_CORRUPT)
        return;
    check->drafts++;
    check->key = key_slice(&key);
    if (rc < 0)
        fault(check, "its checksum fails");
    else
        verify_draft(check, check->key, &record);
}

void
verify_span(struct check *check, struct slice key, struct slice row)
{
    uint64_t batch = key_get_u64(key, 0);
    uint32_t first = key_get_u32(key, 8), count = span_slots(row);

    if (first % SPAN_SLOTS != 0) {
        fault(check, "no span begins there");
        return;
    }
    EXPECT(check, count > 0 && row.bytes == (size_t)count * SPAN_SLOT_BYTES,
           "damaged");
    check->table = TABLE_DRAFT;
    for (uint32_t slot = 0; slot < count; slot++)
        visit_slot(check, batch, first + slot);
    check->table = TABLE_SPAN;
    check->key = key;
}

/* ---- rows that lead to a draft ---- */

void
verify_refusal(struct check *check, struct slice key, struct record *record)
{
    uint64_t batch = key_get_u64(key, 0);
    struct draft draft;
    struct slice value;

    (void)record_get_u32(record);
    for (int i = 0; i < 3; i++)
        (void)record_get_str(record);
    EXPECT(check, record_end(record) == 0, "damaged");
    EXPECT(check,
           table_get_raw(check->store, TABLE_BATCH, key_id(batch), &value) == 0,
           "no batch");
    EXPECT(check,
           store_draft_get(check->store, batch, key_get_u32(key, 8), &draft) !=
               0,
           "accepted as well");
}

/* The draft that a row of the order of completion leads to must have that
 * number; a damaged one may. */
static void
compare_seq(struct check *check, uint64_t batch, uint32_t index, uint64_t seq)
{
    struct draft draft;
    int rc = store_draft_get(check->store, batch, index, &draft);

    if (MEND(check, rc == E_CORRUPT || (rc == 0 && draft.seq == seq),
             "draft %llu/%u has another, or is not there", (llu)batch, index)) {
        drop_row(check);
    }
}

void
verify_result(struct check *check, struct slice key, struct record *record)
{
    uint64_t batch = record_get_u64(record);
    uint32_t index = record_get_u32(record);

    compare_seq(check, batch, index, key_get_u64(key, 0));
}

/* The number before which a segment that is a row must end: another row begins there,
 * or the newest segment of the batch, if there is one. */
static uint64_t
segment_limit(struct check *check, const struct batch *batch, uint64_t first)
{
    struct segment next;
    int rc = segment_row(check->store, batch->id, first + 1, &next);

    if (rc == 0 || rc == E_CORRUPT)
        return next.first;
    return batch->segment_first ? batch->segment_first : batch->last_seq + 1;
}

/* One of several numbers may lead to nothing: its results were taken back. */
static bool
leads_to_result(struct check *check, uint64_t batch,
                const struct segment *segment)
{
    struct record record;
    int rc =
        table_get(check->store, TABLE_RESULT, key_id(segment->first), &record);

    return segment->first < segment->last || rc == E_CORRUPT ||
           (rc == 0 && record_get_u64(&record) == batch);
}

/* Why a segment is to go, if it is. */
static const char *
why_stale(struct check *check, const struct batch *batch, bool has_batch,
          const struct segment *segment)
{
    struct draft draft;

    if (!has_batch &&
        draft_next(check->store, batch->id, 0, &draft) == E_NOTFOUND) {
        return "no batch";
    }
    return leads_to_result(check, batch->id, segment)
               ? NULL
               : "leads to no result of its batch";
}

void
verify_done(struct check *check, struct slice key, struct record *record)
{
    struct batch batch = { .id = key_get_u64(key, 0) };
    struct segment segment = { .first = key_get_u64(key, 8) };
    bool is_whole = segment_decode(record, &segment) == 0;
    uint64_t limit = UINT64_MAX;
    const char *why;
    int rc;

    if (has_work(check, TIMER_DROP, batch.id))
        return; /* drafts go first */
    rc = store_batch_get(check->store, batch.id, &batch);
    if (rc == 0)
        limit = segment_limit(check, &batch, segment.first);
    why = is_whole ? why_stale(check, &batch, rc != E_NOTFOUND, &segment)
                   : "damaged";
    if (!why && segment.first >= limit)
        why = "begins in or behind its batch's newest one";
    if (why) {
        if (stale(check, "%s", why))
            drop_row(check);
    } else if (MEND(check, segment.last < limit,
                    "reaches into the next one, which begins at %llu",
                    (llu)limit)) {
        segment.last = limit - 1;
        segment_put(check->store, batch.id, &segment);
    }
}

void
verify_essence(struct check *check, struct slice key, struct record *record)
{
    struct draft draft;
    int rc = store_draft_get(check->store, key_get_u64(key, 0),
                             key_get_u32(key, 8), &draft);

    (void)record_get_str(record);
    EXPECT(check, record_end(record) == 0, "damaged");
    EXPECT(check, rc != E_NOTFOUND, "no draft");
    if (rc == 0 && MEND(check, draft.status == STATUS_EXPIRED,
                        "the draft is %s now", status_name(draft.status))) {
        drop_row(check);
    }
}
