/* SPDX-License-Identifier: MIT */
#include "tests/check_rows.h"

static void
compare_result(struct check *check, const struct draft *draft)
{
    llu b = draft->batch;
    unsigned i = draft->index;
    bool is_own =
        draft->status == STATUS_CANCELLED || draft->status == STATUS_EXPIRED;
    struct key done = key_u64(key_id(b), draft->seq);
    struct outcome outcome;
    struct record record;

    EXPECT(check, (draft->seq != 0) == (draft->status != STATUS_NONE),
           "draft %llu/%u: seq and status", b, i);
    EXPECT(check, (draft->revision != 0) == (draft->status != STATUS_NONE),
           "draft %llu/%u: revision and status", b, i);
    EXPECT(check,
           (draft->answered_by == 0) ==
               (is_own || draft->status == STATUS_NONE),
           "draft %llu/%u: status and request that gave it", b, i);
    EXPECT(check, draft->cost_nano <= 0 || draft->tier == CACHE_NONE,
           "draft %llu/%u: costs, but is from the cache", b, i);
    if (draft->seq != 0) {
        EXPECT(check, draft->seq <= check->store->ids.seq,
               "draft %llu/%u: seq above ids", b, i);
        EXPECT(check, row_u64(check, TABLE_RESULT, key_id(draft->seq)) == b,
               "draft %llu/%u: not in result", b, i);
        EXPECT(check,
               table_get(check->store, TABLE_DONE, done, &record) == 0 &&
                   record_get_u32(&record) == i,
               "draft %llu/%u: not in done", b, i);
    }
    if (draft->answered_by == 0)
        return;
    EXPECT(check,
           has_row(check, TABLE_REF, check_ref(draft->answered_by, b, i)),
           "draft %llu/%u: no ref to what answered it", b, i);
    EXPECT(check,
           store_outcome_get(check->store, draft->answered_by, &outcome) == 0 &&
               (outcome.status == draft->status ||
                has_timer(check, TIMER_FAN_OUT, draft->answered_by)),
           "draft %llu/%u: has not the status of its outcome", b, i);
}

/* A draft that waits must have something to wait for. */
static void
compare_waiting(struct check *check, const struct draft *draft)
{
    bool is_waiting = draft->status == STATUS_NONE || draft->is_retrying;
    struct request request;

    if (!is_waiting || is_swept(check, draft->batch))
        return;
    if (store_request_get(check->store, draft->request, &request) < 0)
        return; /* said elsewhere */
    EXPECT(check,
           request_is_joinable(&request) ||
               has_timer(check, TIMER_FAN_OUT, request.id),
           "draft %llu/%u: waits for request %llu, which is %s",
           (llu)draft->batch, draft->index, (llu)request.id,
           request_state_name(request.state));
}

void
check_draft(struct check *check, struct slice key, struct record *record)
{
    struct draft draft = { .batch = key_get_u64(key, 0),
                           .index = key_get_u32(key, 8) };
    llu b = draft.batch;
    struct request request;
    struct slice line;
    bool has_essence;

    if (draft_decode(record, &draft) < 0) {
        fault(check, "draft %llu/%u: damaged", b, draft.index);
        return;
    }
    EXPECT(check, has_batch(check, b), "draft %llu/%u: no batch", b,
           draft.index);
    EXPECT(check, store_draft_line(check->store, &draft, &line) == 0,
           "draft %llu/%u: no line", b, draft.index);
    EXPECT(check, store_request_get(check->store, draft.request, &request) == 0,
           "draft %llu/%u: no request %llu", b, draft.index,
           (llu)draft.request);
    EXPECT(check,
           has_row(check, TABLE_REF, check_ref(draft.request, b, draft.index)),
           "draft %llu/%u: no ref", b, draft.index);
    has_essence = has_row(check, TABLE_ESSENCE, key_draft(b, draft.index));
    EXPECT(check, !has_essence || draft.status == STATUS_EXPIRED,
           "draft %llu/%u: an essence of its own", b, draft.index);
    compare_result(check, &draft);
    compare_waiting(check, &draft);
}

void
check_of_draft(struct check *check, struct slice key, struct record *record)
{
    struct draft draft;

    (void)record;
    EXPECT(check,
           store_draft_get(check->store, key_get_u64(key, 0),
                           key_get_u32(key, 8), &draft) == 0,
           "a row of a draft %llu/%u that is not", (llu)key_get_u64(key, 0),
           key_get_u32(key, 8));
}

void
check_refusal(struct check *check, struct slice key, struct record *record)
{
    struct draft draft;

    (void)record;
    EXPECT(check,
           store_draft_get(check->store, key_get_u64(key, 0),
                           key_get_u32(key, 8), &draft) == E_NOTFOUND,
           "refusal: %llu/%u was accepted", (llu)key_get_u64(key, 0),
           key_get_u32(key, 8));
}

void
check_result(struct check *check, struct slice key, struct record *record)
{
    uint64_t batch = record_get_u64(record);
    uint32_t index = record_get_u32(record);
    struct draft draft;

    EXPECT(check,
           store_draft_get(check->store, batch, index, &draft) == 0 &&
               draft.seq == key_get_u64(key, 0),
           "result %llu: draft %llu/%u has another", (llu)key_get_u64(key, 0),
           (llu)batch, index);
}

void
check_done(struct check *check, struct slice key, struct record *record)
{
    uint64_t batch = key_get_u64(key, 0);
    uint32_t index = record_get_u32(record);
    struct draft draft;

    EXPECT(check,
           store_draft_get(check->store, batch, index, &draft) == 0 &&
               draft.seq == key_get_u64(key, 8),
           "done %llu: draft %llu/%u has another", (llu)key_get_u64(key, 8),
           (llu)batch, index);
}
