/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "store/answer.h"
#include "store/rows.h"

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

static void
ref_put(struct store *store, uint64_t request, uint64_t batch, uint32_t index)
{
    table_fields(store);
    table_put(store, TABLE_REF, key_ref(request, batch, index));
}

void
ref_add(struct store *store, struct request *request, uint64_t batch,
        uint32_t index)
{
    if (request->is_sole) {
        request->is_sole = false;
        ref_put(store, request->id, request->batch, request->index);
        request_put(store, request);
    }
    ref_put(store, request->id, batch, index);
}

static bool
is_source(const struct request *request, uint64_t batch, uint32_t index)
{
    return request->batch == batch && request->index == index;
}

/* The caller writes the request, or removes it. */
static void
ref_del(struct store *store, struct request *request, uint64_t batch,
        uint32_t index)
{
    if (request->is_sole && is_source(request, batch, index))
        request->is_sole = false;
    else
        table_del(store, TABLE_REF, key_ref(request->id, batch, index));
}

bool
ref_is_there(struct store *store, const struct request *request, uint64_t batch,
             uint32_t index)
{
    struct slice value;

    if (request->is_sole)
        return is_source(request, batch, index);
    return table_get_raw(store, TABLE_REF, key_ref(request->id, batch, index),
                         &value) == 0;
}

/* A request's only draft, if it stands at or after *cursor. */
static int
sole_next(const struct request *request, struct cursor *cursor)
{
    if (request->batch < cursor->batch ||
        (request->batch == cursor->batch && request->index < cursor->index)) {
        return E_NOTFOUND;
    }
    *cursor = (struct cursor){ request->batch, request->index };
    return 0;
}

int
ref_next(struct store *store, const struct request *request,
         struct cursor *cursor)
{
    struct slice found;
    int rc;

    if (request->is_sole)
        return sole_next(request, cursor);
    rc = table_seek(store, TABLE_REF,
                    key_ref(request->id, cursor->batch, cursor->index),
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
next_batch(struct store *store, const struct request *request, uint64_t batch)
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

bool
draft_waits(const struct draft *draft, uint64_t request)
{
    return draft->request == request &&
           (draft->status == STATUS_NONE || draft->is_retrying);
}

/* True if a draft of the batch waits for the request; *draft is it. */
static bool
batch_waits(struct store *store, const struct request *request, uint64_t batch,
            struct draft *draft)
{
    struct cursor cursor = { .batch = batch };

    for (int i = 0; i < WANT_SCAN_MAX; i++) {
        if (ref_next(store, request, &cursor) < 0 || cursor.batch != batch)
            return false;
        if (store_draft_get(store, batch, cursor.index, draft) == 0 &&
            draft_waits(draft, request->id)) {
            return true;
        }
        cursor.index++;
    }
    return true;
}

/* The first batch from `from` on that is live and waits for the request, with
 * one such draft; 0 if there is none. */
static uint64_t
next_waiting(struct store *store, const struct request *request, uint64_t from,
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
request_is_wanted(struct store *store, const struct request *request)
{
    struct draft draft;

    return next_waiting(store, request, 0, &draft) != 0;
}

/* A damaged one's only draft cannot be told. */
static struct request
request_of(struct store *store, uint64_t id)
{
    struct request request;

    if (store_request_get(store, id, &request) < 0)
        request = (struct request){ .id = id };
    return request;
}

bool
store_request_is_wanted_by(struct store *store, uint64_t id, uint64_t batch)
{
    struct request request = request_of(store, id);
    struct draft draft;

    return next_waiting(store, &request, batch, &draft) == batch;
}

bool
store_request_runs(struct store *store, uint64_t id)
{
    struct request request = request_of(store, id);
    struct draft draft;
    struct batch batch;

    for (uint64_t at = next_waiting(store, &request, 0, &draft); at != 0;
         at = next_waiting(store, &request, at + 1, &draft)) {
        if (store_batch_get(store, at, &batch) == 0 && batch_may_run(&batch))
            return true;
    }
    return false;
}

uint64_t
store_request_wanted(struct store *store, uint64_t id, uint64_t after)
{
    struct request request = request_of(store, id);
    struct draft draft;

    return next_waiting(store, &request, after + 1, &draft);
}

size_t
store_request_drafts(struct store *store, uint64_t id, size_t max)
{
    struct request request = request_of(store, id);
    struct cursor cursor = { 0 };
    size_t count = 0;

    for (; count < max && ref_next(store, &request, &cursor) == 0; count++)
        cursor.index++;
    return count;
}

int64_t
store_request_deadline(struct store *store, uint64_t id)
{
    struct request request = request_of(store, id);
    struct draft draft;
    struct batch batch;
    int64_t last_ms = 0;

    for (uint64_t at = next_waiting(store, &request, 0, &draft); at != 0;
         at = next_waiting(store, &request, at + 1, &draft)) {
        if (store_batch_get(store, at, &batch) < 0 || batch.deadline_ms == 0)
            return INT64_MAX;
        if (batch.deadline_ms > last_ms)
            last_ms = batch.deadline_ms;
    }
    return last_ms ? last_ms : INT64_MAX;
}

void
ready_put(struct store *store, const struct request *request, uint64_t batch)
{
    struct spot spot = { request->place, request->id };

    ready_add(store, batch, &spot);
}

void
ready_del(struct store *store, const struct request *request, uint64_t batch)
{
    struct spot spot = { request->place, request->id };

    ready_cut(store, batch, &spot, 1);
}

void
ready_put_all(struct store *store, const struct request *request)
{
    struct draft draft;

    for (uint64_t id = next_waiting(store, request, 0, &draft); id != 0;
         id = next_waiting(store, request, id + 1, &draft)) {
        ready_put(store, request, id);
    }
}

void
ready_del_all(struct store *store, const struct request *request)
{
    for (uint64_t id = next_batch(store, request, 0); id != 0;
         id = next_batch(store, request, id + 1)) {
        ready_del(store, request, id);
    }
}

void
request_repoint(struct store *store, struct request *request)
{
    struct draft heir = { 0 };
    struct cursor any = { 0 };

    if (next_waiting(store, request, 0, &heir) != 0) {
        /* It pays for the call from now on, so that sums stay right. */
        if (heir.tier == CACHE_JOINED && heir.status == STATUS_NONE) {
            heir.tier = CACHE_NONE;
            draft_put(store, &heir);
        }
        any = (struct cursor){ heir.batch, heir.index };
    } else if (ref_next(store, request, &any) < 0) {
        any = (struct cursor){ 0 };
    }
    request->batch = any.batch;
    request->index = any.index;
    request_put(store, request);
}

bool
request_let_go(struct store *store, struct request *request)
{
    if (request_is_wanted(store, request))
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
    answer_drop(store, request);
    attempts_drop(store, request->id);
    table_del(store, TABLE_REQUEST, key_id(request->id));
}

/* True if no draft refers to a request and no worker has it. */
static bool
is_unused(struct store *store, const struct request *request)
{
    return request->state != REQUEST_LEASED &&
           next_batch(store, request, 0) == 0;
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

/* Its record cannot be read: what leads to the draft goes all the same. */
static void
leave_damaged(struct store *store, uint64_t id, const struct draft *draft)
{
    table_del(store, TABLE_REF, key_ref(id, draft->batch, draft->index));
}

void
request_leave(struct store *store, uint64_t id, const struct draft *draft)
{
    struct request request;
    struct draft other;

    if (store_request_get(store, id, &request) < 0) {
        leave_damaged(store, id, draft);
        return;
    }
    if (request.state == REQUEST_READY)
        ready_del(store, &request, draft->batch);
    ref_del(store, &request, draft->batch, draft->index);
    if (request_forget(store, &request))
        return;
    if (is_source(&request, draft->batch, draft->index))
        request_repoint(store, &request);
    if (request.state == REQUEST_READY && is_live(store, draft->batch) &&
        batch_waits(store, &request, draft->batch, &other)) {
        ready_put(store, &request, draft->batch);
    }
    if (request.state == REQUEST_READY || request.state == REQUEST_DELAYED)
        request_let_go(store, &request);
}
