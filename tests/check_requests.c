/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "tests/check_rows.h"

static bool
draft_waits(struct check *check, uint64_t batch, uint32_t index,
            uint64_t request)
{
    struct draft draft;

    return store_draft_get(check->store, batch, index, &draft) == 0 &&
           draft.request == request &&
           (draft.status == STATUS_NONE || draft.is_retrying);
}

/* Goes through all refs of a request: the batches that want it, with their rows
 * in the ready index. */
static void
compare_wants(struct check *check, const struct request *request)
{
    struct cursor cursor = { 0 };
    bool is_wanted = false, is_swept_over = false, has_refs = false;
    llu id = request->id;

    for (; ref_next(check->store, request->id, &cursor) == 0; cursor.index++) {
        struct batch batch = { 0 };
        bool wants, is_row, is_exempt = is_swept(check, cursor.batch);

        has_refs = true;
        is_swept_over |= is_exempt;
        if (store_batch_get(check->store, cursor.batch, &batch) < 0)
            continue;
        wants = batch_is_live(&batch) &&
                draft_waits(check, cursor.batch, cursor.index, request->id);
        is_wanted |= wants;
        is_row = has_row(check, TABLE_READY,
                         key_ready(cursor.batch, request->place, request->id));
        EXPECT(check,
               is_exempt || !wants || request->state != REQUEST_READY || is_row,
               "request %llu: ready, wanted by batch %llu, and not in ready",
               id, (llu)cursor.batch);
        EXPECT(check, is_exempt || batch_is_live(&batch) || !is_row,
               "request %llu: ready for batch %llu, which is %s", id,
               (llu)cursor.batch, batch_state_name(batch.state));
    }
    EXPECT(check,
           is_wanted || is_swept_over ||
               (request->state != REQUEST_READY &&
                request->state != REQUEST_DELAYED),
           "request %llu: %s, and nobody waits", id,
           request_state_name(request->state));
    /* An answer needs no source any more. */
    EXPECT(check,
           !has_refs || request->batch != 0 || request->status == STATUS_OK,
           "request %llu: drafts, and none to render it from", id);
}

static void
compare_placed(struct check *check, const struct request *request)
{
    llu id = request->id;
    struct key timer = key_u64(
        key_u8(key_u64(key_start(), (uint64_t)request->due_ms), TIMER_REQUEST),
        id);
    struct record record;
    bool is_leased =
        table_get(check->store, TABLE_LEASE, key_id(id), &record) == 0;

    EXPECT(check, is_leased == (request->state == REQUEST_LEASED),
           "request %llu: %s, and its lease", id,
           request_state_name(request->state));
    EXPECT(check, !is_leased || record_get_u32(&record) == request->fence,
           "request %llu: its lease has another fence", id);
    EXPECT(check,
           has_row(check, TABLE_TIMER, timer) ==
               (request->state == REQUEST_DELAYED),
           "request %llu: %s, and its timer", id,
           request_state_name(request->state));
}

void
check_request(struct check *check, struct slice key, struct record *record)
{
    struct request request = { .id = key_get_u64(key, 0) };
    llu id = request.id;
    struct outcome outcome = { 0 };
    struct slice reply;
    bool has_outcome;

    if (request_decode(record, &request) < 0) {
        fault(check, "request %llu: damaged", id);
        return;
    }
    EXPECT(check, id <= check->store->ids.request, "request %llu: above ids",
           id);
    has_outcome = store_outcome_get(check->store, id, &outcome) == 0;
    EXPECT(check, outcome.status == request.status,
           "request %llu: %s, its outcome %s", id, status_name(request.status),
           status_name(outcome.status));
    EXPECT(check,
           has_outcome == (store_reply_get(check->store, id, &reply) == 0),
           "request %llu: outcome and reply", id);
    EXPECT(check,
           request.state != REQUEST_DONE || request.status != STATUS_NONE,
           "request %llu: done without an outcome", id);
    EXPECT(check, request.state == REQUEST_DONE || request.status != STATUS_OK,
           "request %llu: answered, and %s", id,
           request_state_name(request.state));
    EXPECT(check,
           request.batch == 0 ||
               has_row(check, TABLE_REF,
                       check_ref(id, request.batch, request.index)),
           "request %llu: its source does not want it", id);
    compare_placed(check, &request);
    compare_wants(check, &request);
}

void
check_of_request(struct check *check, struct slice key, struct record *record)
{
    struct request request;

    (void)record;
    EXPECT(check,
           store_request_get(check->store, key_get_u64(key, 0), &request) == 0,
           "a row of a request %llu that is not", (llu)key_get_u64(key, 0));
}

void
check_key(struct check *check, struct slice key, struct record *record)
{
    uint64_t id = record_get_u64(record);
    struct request request;

    EXPECT(check,
           store_request_get(check->store, id, &request) == 0 &&
               memcmp(request.key, key.data, DIGEST_BYTES) == 0,
           "key: request %llu has another", (llu)id);
}

void
check_want(struct check *check, struct slice key, struct record *record)
{
    uint64_t request = key_get_u64(key, 0), batch = key_get_u64(key, 8);
    uint32_t index = key_get_u32(key, 16);
    struct draft draft;

    (void)record;
    EXPECT(check,
           store_draft_get(check->store, batch, index, &draft) == 0 &&
               (draft.request == request || draft.answered_by == request),
           "ref: draft %llu/%u does not want request %llu", (llu)batch, index,
           (llu)request);
}

void
check_ready(struct check *check, struct slice key, struct record *record)
{
    struct cursor cursor = { .batch = key_get_u64(key, 0) };
    uint64_t batch = cursor.batch, id = key_get_u64(key, 24);
    struct request request;

    (void)record;
    if (store_request_get(check->store, id, &request) < 0) {
        fault(check, "ready: no request %llu", (llu)id);
        return;
    }
    EXPECT(check,
           request.state == REQUEST_READY &&
               request.place.lead == key_get_u64(key, 8) &&
               request.place.group == key_get_u64(key, 16),
           "ready: request %llu is %s, or elsewhere", (llu)id,
           request_state_name(request.state));
    EXPECT(check,
           ref_next(check->store, id, &cursor) == 0 && cursor.batch == batch,
           "ready: batch %llu has no draft of request %llu", (llu)batch,
           (llu)id);
}
