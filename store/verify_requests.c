/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "store/verify_rows.h"

/* ---- a request and who wants it ---- */

/* What all refs of a request say together. */
struct wants {
    bool has_refs, is_wanted;
    bool is_unsure; /* a sweep may not have come by yet, or one is damaged */
};

/* One ref: the batch that has it, and its place in the ready index. */
static void
compare_want(struct check *check, const struct request *request,
             struct cursor at, struct wants *wants)
{
    struct spot spot = { request->place, request->id };
    bool is_exempt = is_swept(check, at.batch), is_wanted;
    struct batch batch;
    struct draft draft;
    int rc;

    wants->has_refs = true;
    if (is_exempt || store_batch_get(check->store, at.batch, &batch) < 0 ||
        store_draft_get(check->store, at.batch, at.index, &draft) < 0) {
        wants->is_unsure = true;
        return;
    }
    is_wanted = batch_is_live(&batch) && draft.request == request->id &&
                (draft.status == STATUS_NONE || draft.is_retrying);
    wants->is_wanted |= is_wanted;
    rc = ready_find(check->store, at.batch, &spot);
    if (MEND(check,
             !is_wanted || request->state != REQUEST_READY || rc != E_NOTFOUND,
             "ready, wanted by batch %llu, and not in ready", (llu)at.batch)) {
        ready_put(check->store, request, at.batch);
    }
    if (MEND(check, batch_is_live(&batch) || rc < 0,
             "in ready for batch %llu, which is %s", (llu)at.batch,
             batch_state_name(batch.state))) {
        ready_del(check->store, request, at.batch);
    }
}

/* What all refs say. One that nobody wants may still be taken to be wanted, by
 * the store itself (wants.c): that is not wrong. */
static struct wants
compare_refs(struct check *check, const struct request *request)
{
    struct cursor cursor = { 0 };
    struct wants wants = { 0 };

    while (ref_next(check->store, request, &cursor) == 0) {
        compare_want(check, request, cursor, &wants);
        if (++cursor.index == 0)
            cursor.batch++;
    }
    wants.is_wanted = wants.is_wanted || wants.is_unsure ||
                      request_is_wanted(check->store, request);
    return wants;
}

static void
compare_source(struct check *check, struct request *request, bool has_refs)
{
    bool is_lost =
        request->batch != 0 &&
        !ref_is_there(check->store, request, request->batch, request->index);

    /* An answer needs no source any more. */
    if (MEND(check,
             !is_lost && (!has_refs || request->batch != 0 ||
                          request->status == STATUS_OK),
             "the draft it is rendered from does not want it")) {
        request_repoint(check->store, request);
    }
}

/* A request without a draft is forgotten, unless a damaged one may be its own. */
static void
compare_orphan(struct check *check, const struct request *request)
{
    if (check->has_lost)
        fault(check, "no draft that can be read refers to it");
    else if (stale(check, "no draft refers to it"))
        (void)request_forget(check->store, request);
}

/* Lets a request be found by its key, whatever it knows of that. */
static void
find_again(struct check *check, struct request *request)
{
    key_claim(check->store, request, keybook_find(check->store, request->key));
    request_put(check->store, request);
}

/* What an answer may lack without being wrong: another with the same key may
 * have been forgotten, and the time to live have been another. Repair lets it
 * be found, and be forgotten in time. */
static void
keep(struct check *check, struct request *request, bool has_refs)
{
    struct request newest;

    if (key_lookup(check->store, request->key, &newest) == E_NOTFOUND) {
        find_again(check, request);
        check->mended++;
    }
    if (!has_refs &&
        check->store->answers_ttl_ms <= INT64_MAX - request->done_ms &&
        !has_timer(check, request->done_ms + check->store->answers_ttl_ms,
                   TIMER_FORGET, request->id)) {
        (void)request_forget(check->store, request);
        check->mended++;
    }
}

/* True if a draft is there, or damaged, that refers to a request. */
static bool
refers(struct check *check, uint64_t batch, uint32_t index, uint64_t request)
{
    struct draft draft;
    int rc = store_draft_get(check->store, batch, index, &draft);

    return rc == E_CORRUPT || (rc == 0 && (draft.request == request ||
                                           draft.answered_by == request));
}

/* The only draft of a request has no ref that could be looked at by itself. */
static void
compare_sole(struct check *check, struct request *request)
{
    if (MEND(check,
             !request->is_sole ||
                 refers(check, request->batch, request->index, request->id),
             "its only draft does not want it, or is not there")) {
        request->is_sole = false;
        request->batch = 0;
        request->index = 0;
        request_put(check->store, request);
    }
}

static void
compare_wants(struct check *check, struct request *request)
{
    struct wants wants;

    compare_sole(check, request);
    wants = compare_refs(check, request);

    if (MEND(check,
             wants.is_wanted || (request->state != REQUEST_READY &&
                                 request->state != REQUEST_DELAYED),
             "%s, and nobody waits", request_state_name(request->state))) {
        (void)request_let_go(check->store, request);
    }
    compare_source(check, request, wants.has_refs);
    if (!wants.has_refs && request->state != REQUEST_LEASED &&
        request->status != STATUS_OK) {
        compare_orphan(check, request);
    }
    if (check->is_mending && request->status == STATUS_OK)
        keep(check, request, wants.has_refs);
}

/* What its state puts it into. A lease that cannot be told is taken back: the
 * call may be made again. */
static void
compare_placed(struct check *check, struct request *request)
{
    struct record record;
    bool is_leased =
        table_get(check->store, TABLE_LEASE, key_id(request->id), &record) == 0;

    if (MEND(check,
             request->state != REQUEST_LEASED ||
                 (is_leased && record_get_u32(&record) == request->fence),
             "leased, and without a lease of its fence")) {
        store_release(check->store, request);
    }
    if (MEND(check,
             request->state != REQUEST_DELAYED ||
                 has_timer(check, request->due_ms, TIMER_REQUEST, request->id),
             "delayed, and without a timer")) {
        store_timer_set(check->store,
                        &(struct timer){ .due_ms = request->due_ms,
                                         .kind = TIMER_REQUEST,
                                         .id = request->id });
    }
}

/* What may be joined has a key that leads somewhere: to itself, or to a later one
 * that has been answered, or was made when that answer was too old. To itself, if
 * it is said so. */
static void
compare_key(struct check *check, struct request *request)
{
    uint64_t holder = keybook_find(check->store, request->key);

    /* One whose key begins with the same bits may stand in its place. */
    if (MEND(check,
             (!request_is_joinable(request) ||
              leads_to_key(check, holder, key_entry_prefix(request->key))) &&
                 (!request->is_keyed || holder == request->id),
             "%s, and not found by its key",
             request_state_name(request->state))) {
        find_again(check, request);
    }
}

static void
compare_outcome(struct check *check, const struct request *request)
{
    struct outcome outcome = { 0 };
    int rc = store_outcome_get(check->store, request, &outcome);

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
    struct ids *ids = &check->store->ids;
    struct request request = { .id = key_get_u64(key, 0) };

    if (request_decode(record, &request) < 0) {
        fault(check, "damaged");
        return;
    }
    if (MEND(check, request.id <= ids->request,
             "above the last number given out")) {
        raise_number(check, &ids->request, request.id);
    }
    if (MEND(check,
             request.place.group <= ids->group &&
                 request.place.lead <= ids->group,
             "its group is above the last number given out")) {
        raise_number(check, &ids->group, request.place.group);
        raise_number(check, &ids->group, request.place.lead);
    }
    if (MEND(check, request.answer <= ids->answer,
             "its answer is above the last number given out")) {
        raise_number(check, &ids->answer, request.answer);
    }
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

    if (MEND(check,
             rc == E_CORRUPT ||
                 (rc == 0 && memcmp(request.key, key.data, DIGEST_BYTES) == 0),
             "request %llu has another, or is not there", (llu)id)) {
        drop_row(check);
    }
}

/* True if a draft is a request's only one: a row for it says nothing. */
static bool
is_only(struct check *check, uint64_t batch, uint32_t index, uint64_t id)
{
    struct request request;

    return store_request_get(check->store, id, &request) == 0 &&
           request.is_sole && request.batch == batch && request.index == index;
}

void
verify_ref(struct check *check, struct slice key, struct record *record)
{
    uint64_t request = key_get_u64(key, 0), batch = key_get_u64(key, 8);
    uint32_t index = key_get_u32(key, 16);
    const char *reason = NULL;

    (void)record;
    if (!refers(check, batch, index, request))
        reason = "the draft does not want the request, or is not there";
    else if (is_only(check, batch, index, request))
        reason = "the request says so itself";
    if (reason && stale(check, "%s", reason))
        drop_row(check);
}

void
verify_lease(struct check *check, struct slice key, struct record *record)
{
    unsigned char worker[16];
    struct request request;
    int rc;

    (void)record_get_u32(record);
    record_get_bytes(record, worker, sizeof(worker));
    (void)record_get_i64(record);
    (void)record_get_i64(record);
    rc = record_end(record);
    if (rc == 0)
        rc = store_request_get(check->store, key_get_u64(key, 0), &request);
    /* Nobody can end the lease of a request that cannot be read. */
    if (MEND(check, rc == 0 && request.state == REQUEST_LEASED,
             "damaged, or its request is not leased")) {
        drop_row(check);
    }
}
