/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "store/verify_rows.h"

/* ---- a request and who wants it ---- */

static bool
draft_waits(struct check *check, struct cursor at, uint64_t request)
{
    struct draft draft;

    return store_draft_get(check->store, at.batch, at.index, &draft) == 0 &&
           draft.request == request &&
           (draft.status == STATUS_NONE || draft.is_retrying);
}

/* What all refs of a request say together. */
struct wants {
    bool has_refs, is_wanted;
    bool is_swept; /* one of its batches is: it may not have come by yet */
};

/* One ref: the batch that has it, and its row in the ready index. */
static void
compare_want(struct check *check, const struct request *request,
             struct cursor at, struct wants *wants)
{
    struct batch batch = { 0 };
    bool is_exempt = is_swept(check, at.batch), is_wanted, is_row;

    wants->has_refs = true;
    wants->is_swept |= is_exempt;
    if (store_batch_get(check->store, at.batch, &batch) < 0)
        return;
    is_wanted = batch_is_live(&batch) && draft_waits(check, at, request->id);
    wants->is_wanted |= is_wanted;
    is_row = has_row(check, TABLE_READY,
                     key_ready(at.batch, request->place, request->id));
    EXPECT(check,
           is_exempt || !is_wanted || request->state != REQUEST_READY || is_row,
           "ready, wanted by batch %llu, and not in ready", (llu)at.batch);
    EXPECT(check, is_exempt || batch_is_live(&batch) || !is_row,
           "in ready for batch %llu, which is %s", (llu)at.batch,
           batch_state_name(batch.state));
}

static void
compare_wants(struct check *check, const struct request *request)
{
    struct cursor cursor = { 0 };
    struct wants wants = { 0 };

    for (; ref_next(check->store, request->id, &cursor) == 0; cursor.index++)
        compare_want(check, request, cursor, &wants);
    EXPECT(check,
           wants.is_wanted || wants.is_swept ||
               (request->state != REQUEST_READY &&
                request->state != REQUEST_DELAYED),
           "%s, and nobody waits", request_state_name(request->state));
    /* An answer needs no source any more. */
    EXPECT(check,
           !wants.has_refs || request->batch != 0 ||
               request->status == STATUS_OK,
           "drafts, and none to render it from");
    EXPECT(check,
           wants.has_refs || request->state == REQUEST_LEASED ||
               request->status == STATUS_OK,
           "no draft refers to it");
    EXPECT(check,
           request->batch == 0 ||
               has_row(check, TABLE_REF,
                       key_ref(request->id, request->batch, request->index)),
           "its source does not want it");
}

/* What its state puts it into. */
static void
compare_placed(struct check *check, const struct request *request)
{
    struct record record;
    bool is_leased =
        table_get(check->store, TABLE_LEASE, key_id(request->id), &record) == 0;

    EXPECT(check,
           request->state != REQUEST_LEASED ||
               (is_leased && record_get_u32(&record) == request->fence),
           "leased, and without a lease of its fence");
    EXPECT(check,
           request->state != REQUEST_DELAYED ||
               has_timer(check, request->due_ms, TIMER_REQUEST, request->id),
           "delayed, and without a timer");
}

/* A request that others may join is found by its key. */
static void
compare_key(struct check *check, const struct request *request)
{
    struct request newest;
    int rc;

    if (!request_is_joinable(request))
        return;
    rc = key_lookup(check->store, request->key, &newest);
    EXPECT(check, rc == E_CORRUPT || (rc == 0 && newest.id == request->id),
           "%s, and not found by its key", request_state_name(request->state));
}

static void
compare_outcome(struct check *check, const struct request *request)
{
    struct outcome outcome = { 0 };
    int rc = store_outcome_get(check->store, request->id, &outcome);

    EXPECT(check, rc == E_CORRUPT || outcome.status == request->status,
           "%s, its outcome %s", status_name(request->status),
           status_name(outcome.status));
    EXPECT(check,
           request->state != REQUEST_DONE || request->status != STATUS_NONE,
           "done without an outcome");
    EXPECT(check,
           request->state == REQUEST_DONE || request->status != STATUS_OK,
           "answered, and %s", request_state_name(request->state));
}

void
verify_request(struct check *check, struct slice key, struct record *record)
{
    const struct ids *ids = &check->store->ids;
    struct request request = { .id = key_get_u64(key, 0) };

    if (request_decode(record, &request) < 0) {
        fault(check, "damaged");
        return;
    }
    EXPECT(check, request.id <= ids->request,
           "above the last number given out");
    EXPECT(check,
           request.place.group <= ids->group &&
               request.place.lead <= ids->group,
           "its group is above the last number given out");
    compare_outcome(check, &request);
    compare_placed(check, &request);
    compare_key(check, &request);
    compare_wants(check, &request);
}

/* ---- rows that lead to a request ---- */

void
verify_key(struct check *check, struct slice key, struct record *record)
{
    uint64_t id = record_get_u64(record);
    struct request request;
    int rc = store_request_get(check->store, id, &request);

    EXPECT(check,
           rc == E_CORRUPT ||
               (rc == 0 && memcmp(request.key, key.data, DIGEST_BYTES) == 0),
           "request %llu has another, or is not there", (llu)id);
}

void
verify_ref(struct check *check, struct slice key, struct record *record)
{
    uint64_t request = key_get_u64(key, 0), batch = key_get_u64(key, 8);
    uint32_t index = key_get_u32(key, 16);
    struct draft draft;
    int rc = store_draft_get(check->store, batch, index, &draft);

    (void)record;
    EXPECT(check,
           rc == E_CORRUPT || (rc == 0 && (draft.request == request ||
                                           draft.answered_by == request)),
           "the draft does not want the request");
}

void
verify_ready(struct check *check, struct slice key, struct record *record)
{
    struct cursor cursor = { .batch = key_get_u64(key, 0) };
    uint64_t batch = cursor.batch, id = key_get_u64(key, 24);
    struct request request;
    int rc = store_request_get(check->store, id, &request);

    (void)record;
    EXPECT(check, rc != E_NOTFOUND, "no request %llu", (llu)id);
    if (rc < 0)
        return;
    EXPECT(check,
           request.state == REQUEST_READY &&
               request.place.lead == key_get_u64(key, 8) &&
               request.place.group == key_get_u64(key, 16),
           "request %llu is %s, or elsewhere", (llu)id,
           request_state_name(request.state));
    EXPECT(check,
           ref_next(check->store, id, &cursor) == 0 && cursor.batch == batch,
           "batch %llu has no draft of request %llu", (llu)batch, (llu)id);
}

void
verify_lease(struct check *check, struct slice key, struct record *record)
{
    unsigned char worker[16];
    struct request request;
    int rc = store_request_get(check->store, key_get_u64(key, 0), &request);

    (void)record_get_u32(record);
    record_get_bytes(record, worker, sizeof(worker));
    (void)record_get_i64(record);
    (void)record_get_i64(record);
    EXPECT(check, record_end(record) == 0, "damaged");
    EXPECT(check,
           rc == E_CORRUPT || (rc == 0 && request.state == REQUEST_LEASED),
           "its request is not leased");
}

/* The request of an outcome or a reply: E_NOTFOUND if there is none, 0 also if
 * it is damaged. */
static int
find_request(struct check *check, uint64_t id)
{
    struct slice value;

    return table_get_raw(check->store, TABLE_REQUEST, key_id(id), &value);
}

void
verify_outcome(struct check *check, struct slice key, struct record *record)
{
    uint64_t id = key_get_u64(key, 0);
    struct outcome outcome = { 0 };
    struct slice reply = { 0 };
    int rc;

    EXPECT(check, find_request(check, id) == 0, "no request");
    if (outcome_decode(record, &outcome) < 0) {
        fault(check, "damaged");
        return;
    }
    rc = store_reply_get(check->store, id, &reply);
    EXPECT(check, rc != E_NOTFOUND, "no reply");
    EXPECT(check,
           rc < 0 ||
               (outcome.reply_bytes <= reply.bytes &&
                (uint64_t)outcome.text_at + outcome.text_bytes <= reply.bytes),
           "its text is outside of the reply");
}

void
verify_reply(struct check *check, struct slice key, struct record *record)
{
    struct slice value;

    (void)record;
    EXPECT(check,
           table_get_raw(check->store, TABLE_OUTCOME,
                         key_id(key_get_u64(key, 0)), &value) == 0,
           "no outcome");
}
