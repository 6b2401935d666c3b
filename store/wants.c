/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "store/table.h"

/* A batch of which this many drafts of one request wait for it no more is taken
 * to want it without looking at the others: a call too many beats a sweep that
 * takes forever. */
#define WANT_SCAN_MAX 100

#define REF_BATCH_AT 8 /* places in a ref's key */
#define REF_INDEX_AT 16

struct key
key_ref(uint64_t request, uint64_t batch, uint32_t index)
{
    return key_u32(key_u64(key_id(request), batch), index);
}

void
ref_add(struct store *store, uint64_t request, uint64_t batch, uint32_t index)
{
    table_fields(store);
    table_put(store, TABLE_REF, key_ref(request, batch, index));
}

static void
ref_del(struct store *store, uint64_t request, uint64_t batch, uint32_t index)
{
    table_del(store, TABLE_REF, key_ref(request, batch, index));
}

int
ref_next(struct store *store, uint64_t request, struct cursor *cursor)
{
    struct slice found;
    int rc = table_seek(store, TABLE_REF,
                        key_ref(request, cursor->batch, cursor->index),
                        REF_BATCH_AT, &found, NULL);

    if (rc < 0)
        return rc;
    cursor->batch = key_get_u64(found, REF_BATCH_AT);
    cursor->index = key_get_u32(found, REF_INDEX_AT);
    return 0;
}

/* The first batch from `batch` on that has a draft of this request; 0 if there
 * is none. Skips from batch to batch, however many drafts each has. */
static uint64_t
next_batch(struct store *store, uint64_t request, uint64_t batch)
{
    struct cursor cursor = { .batch = batch };

    return ref_next(store, request, &cursor) < 0 ? 0 : cursor.batch;
}

static bool
is_live(struct store *store, uint64_t id)
{
    struct batch batch;

    return store_batch_get(store, id, &batch) == 0 && batch_is_live(&batch);
}

static bool
is_waiting(const struct draft *draft, uint64_t request)
{
    return draft->request == request &&
           (draft->status == STATUS_NONE || draft->is_retrying);
}

/* True if a draft of the batch waits for the request; *draft is it. */
static bool
batch_waits(struct store *store, uint64_t request, uint64_t batch,
            struct draft *draft)
{
    struct cursor cursor = { .batch = batch };

    for (int i = 0; i < WANT_SCAN_MAX; i++) {
        if (ref_next(store, request, &cursor) < 0 || cursor.batch != batch)
            return false;
        if (store_draft_get(store, batch, cursor.index, draft) == 0 &&
            is_waiting(draft, request)) {
            return true;
        }
        cursor.index++;
    }
    return true;
}

/* The first batch from `from` on that is live and waits for the request, with
 * one such draft; 0 if there is none. */
static uint64_t
next_waiting(struct store *store, uint64_t request, uint64_t from,
             struct draft *draft)
{
    uint64_t id;

    for (id = next_batch(store, request, from); id != 0;
         id = next_batch(store, request, id + 1)) {
        if (is_live(store, id) && batch_waits(store, request, id, draft))
            break;
    }
    return id;
}

bool
request_is_wanted(struct store *store, uint64_t request)
{
    struct draft draft;

    return next_waiting(store, request, 0, &draft) != 0;
}

bool
store_request_is_wanted_by(struct store *store, uint64_t request,
                           uint64_t batch)
{
    struct draft draft;

    return next_waiting(store, request, batch, &draft) == batch;
}

bool
store_request_runs(struct store *store, uint64_t request)
{
    struct draft draft;
    struct batch batch;

    for (uint64_t id = next_waiting(store, request, 0, &draft); id != 0;
         id = next_waiting(store, request, id + 1, &draft)) {
        if (store_batch_get(store, id, &batch) == 0 && batch_may_run(&batch))
            return true;
    }
    return false;
}

uint64_t
store_request_wanted(struct store *store, uint64_t request, uint64_t after)
{
    struct draft draft;

    return next_waiting(store, request, after + 1, &draft);
}

size_t
store_request_drafts(struct store *store, uint64_t request, size_t max)
{
    struct cursor cursor = { 0 };
    size_t count = 0;

    for (; count < max && ref_next(store, request, &cursor) == 0; count++)
        cursor.index++;
    return count;
}

int64_t
store_request_deadline(struct store *store, uint64_t request)
{
    struct draft draft;
    struct batch batch;
    int64_t last_ms = 0;

    for (uint64_t id = next_waiting(store, request, 0, &draft); id != 0;
         id = next_waiting(store, request, id + 1, &draft)) {
        if (store_batch_get(store, id, &batch) < 0 || batch.deadline_ms == 0)
            return INT64_MAX;
        if (batch.deadline_ms > last_ms)
            last_ms = batch.deadline_ms;
    }
    return last_ms ? last_ms : INT64_MAX;
}

void
ready_put(struct store *store, const struct request *request, uint64_t batch)
{
    table_fields(store);
    table_put(store, TABLE_READY,
              key_ready(batch, request->place, request->id));
    if (store->ready)
        store->ready(store->ready_context, batch);
}

void
ready_del(struct store *store, const struct request *request, uint64_t batch)
{
    table_del(store, TABLE_READY,
              key_ready(batch, request->place, request->id));
}

void
ready_put_all(struct store *store, const struct request *request)
{
    struct draft draft;

    for (uint64_t id = next_waiting(store, request->id, 0, &draft); id != 0;
         id = next_waiting(store, request->id, id + 1, &draft)) {
        ready_put(store, request, id);
    }
}

void
ready_del_all(struct store *store, const struct request *request)
{
    for (uint64_t id = next_batch(store, request->id, 0); id != 0;
         id = next_batch(store, request->id, id + 1)) {
        ready_del(store, request, id);
    }
}

void
request_repoint(struct store *store, struct request *request)
{
    struct draft heir = { 0 };
    struct cursor any = { 0 };

    if (next_waiting(store, request->id, 0, &heir) != 0) {
        /* It pays for the call from now on, so that sums stay right. */
        if (heir.tier == CACHE_JOINED) {
            heir.tier = CACHE_NONE;
            draft_put(store, &heir);
        }
        any = (struct cursor){ heir.batch, heir.index };
    } else if (ref_next(store, request->id, &any) < 0) {
        any = (struct cursor){ 0 };
    }
    request->batch = any.batch;
    request->index = any.index;
    request_put(store, request);
}

bool
request_let_go(struct store *store, struct request *request)
{
    if (request_is_wanted(store, request->id))
        return false;
    request_unplace(store, request);
    request_change(store, request, REQUEST_CANCELLED);
    request_put(store, request);
    return true;
}

/* Removes a request that no draft refers to. */
static void
remove_request(struct store *store, const struct request *request)
{
    struct request newest;

    if (key_lookup(store, request->key, &newest) == 0 &&
        newest.id == request->id) {
        keybook_set(store, request->key, 0);
    }
    request_unplace(store, request);
    reply_drop(store, request->id);
    table_del(store, TABLE_OUTCOME, key_id(request->id));
    attempts_drop(store, request->id);
    table_del(store, TABLE_REQUEST, key_id(request->id));
}

/* True if no draft refers to a request and no worker has it. */
static bool
is_unused(struct store *store, const struct request *request)
{
    return request->state != REQUEST_LEASED &&
           next_batch(store, request->id, 0) == 0;
}

bool
request_forget(struct store *store, const struct request *request)
{
    int64_t until_ms;

    if (!is_unused(store, request))
        return false;
    if (request->status != STATUS_OK) {
        remove_request(store, request);
        return true;
    }
    if (store->answers_ttl_ms > INT64_MAX - request->done_ms)
        return false;
    until_ms = request->done_ms + store->answers_ttl_ms;
    if (until_ms <= store->now_ms) {
        remove_request(store, request);
        return true;
    }
    store_timer_set(store, &(struct timer){ .due_ms = until_ms,
                                            .kind = TIMER_FORGET,
                                            .id = request->id });
    return false;
}

bool
store_forget(struct store *store, uint64_t id, bool at_once)
{
    struct request request;

    if (store_request_get(store, id, &request) < 0)
        return false;
    if (!at_once || !is_unused(store, &request))
        return request_forget(store, &request);
    remove_request(store, &request);
    return true;
}

void
request_leave(struct store *store, uint64_t id, const struct draft *draft)
{
    struct request request;
    struct draft other;
    bool is_source;
    int rc = store_request_get(store, id, &request);

    if (rc == 0 && request.state == REQUEST_READY)
        ready_del(store, &request, draft->batch);
    ref_del(store, id, draft->batch, draft->index);
    if (rc < 0)
        return;
    if (request_forget(store, &request))
        return;
    is_source = request.batch == draft->batch && request.index == draft->index;
    if (is_source)
        request_repoint(store, &request);
    if (request.state == REQUEST_READY && is_live(store, draft->batch) &&
        batch_waits(store, id, draft->batch, &other)) {
        ready_put(store, &request, draft->batch);
    }
    if (request.state == REQUEST_READY || request.state == REQUEST_DELAYED)
        request_let_go(store, &request);
}
