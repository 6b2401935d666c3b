/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "store/table.h"

/* The next draft of a batch at or after an index. */
static int
next_draft(struct store *store, uint64_t batch, uint32_t index,
           struct draft *draft)
{
    struct slice found;
    struct record record;
    int rc = table_seek(store, TABLE_DRAFT, key_draft(batch, index), 8, &found,
                        &record);

    if (rc == E_NOTFOUND)
        return rc;
    *draft = (struct draft){ .batch = batch, .index = key_get_u32(found, 8) };
    return rc < 0 ? rc : draft_decode(&record, draft);
}

/* What one slice does with each draft. */
struct sweep {
    struct batch *batch;
    const void *terms; /* struct ending, or struct retry */
    void (*visit)(struct store *store, struct sweep *sweep,
                  struct draft *draft);
};

/* Visits at most STORE_SLICE_MAX drafts from *index on. True: there are more. */
static bool
run_sweep(struct store *store, struct sweep *sweep, uint32_t *index)
{
    struct draft draft;

    for (int i = 0; store->rc == 0; i++) {
        int rc = next_draft(store, sweep->batch->id, *index, &draft);

        if (rc == E_NOTFOUND)
            return false;
        *index = draft.index;
        if (i == STORE_SLICE_MAX)
            return true;
        if (rc == 0)
            sweep->visit(store, sweep, &draft);
        /* A damaged draft cannot be ended; `verify` names it. */
        *index = draft.index + 1;
    }
    return false;
}

/* ---- cancel, expire ---- */

/* Takes a request that nobody needs any more out of the queue. One that is in
 * flight is told off only by a cancel: what is paid for may still come in when
 * a deadline has passed. */
static void
let_go(struct store *store, struct request *request,
       const struct ending *ending)
{
    bool is_leased = request->state == REQUEST_LEASED;

    if (request_is_wanted(store, request->id))
        return;
    if (is_leased && ending->status != STATUS_CANCELLED)
        return;
    request_unplace(store, request);
    request_move(request, REQUEST_CANCELLED);
    request_put(store, request);
    if (is_leased)
        ending->cancelled(ending->context, request);
}

static void
end_draft(struct store *store, struct sweep *sweep, struct draft *draft)
{
    const struct ending *ending = sweep->terms;
    struct request request;
    struct slice line;

    if (draft->is_retrying) {
        draft->is_retrying = false;
        sweep->batch->retry_count--;
        if (draft->status != STATUS_NONE)
            draft_put(store, draft);
    }
    if (draft->status == STATUS_NONE) {
        if (ending->essence && store_draft_line(store, draft, &line) == 0) {
            struct buf essence = { 0 };

            ending->essence(ending->context, draft, line, &essence);
            record_str(table_fields(store), buf_slice(&essence));
            table_put(store, TABLE_ESSENCE,
                      key_draft(draft->batch, draft->index));
            buf_fini(&essence);
        }
        draft->cost_nano = 0;
        result_give(store, sweep->batch, draft, ending->status, ending->now_ms);
    }
    if (store_request_get(store, draft->request, &request) < 0)
        return;
    if (request.state == REQUEST_READY)
        ready_del(store, &request, draft->batch);
    if (request_is_joinable(&request))
        let_go(store, &request, ending);
}

bool
store_end_drafts(struct store *store, struct batch *batch, uint32_t *index,
                 const struct ending *ending)
{
    struct sweep sweep = { .batch = batch,
                           .terms = ending,
                           .visit = end_draft };

    assert(!batch_is_live(batch));
    return run_sweep(store, &sweep, index);
}

/* ---- retry ---- */

struct retry {
    uint32_t mask;
    const struct intake *intake;
};

/* A newer request with the same key serves the draft better: it is in flight,
 * or was answered within the cache's time. */
static bool
switch_to_newer(struct store *store, struct sweep *sweep, struct draft *draft,
                const struct request *request)
{
    const struct retry *retry = sweep->terms;
    struct request newer;
    bool is_answered;

    if (key_lookup(store, request->key, &newer) < 0 ||
        newer.id == request->id) {
        return false;
    }
    is_answered = newer.state == REQUEST_DONE && newer.status == STATUS_OK &&
                  newer.done_ms > retry->intake->cached_after_ms;
    if (!is_answered && !request_is_joinable(&newer))
        return false;
    ref_del(store, request->id, draft->batch, draft->index);
    ref_add(store, newer.id, draft->batch, draft->index);
    draft->request = newer.id;
    draft->tier = is_answered ? CACHE_STORE : CACHE_JOINED;
    if (is_answered) {
        draft->cost_nano = 0;
        result_give(store, sweep->batch, draft, STATUS_OK,
                    retry->intake->now_ms);
        return true;
    }
    draft->is_retrying = true;
    sweep->batch->retry_count++;
    draft_put(store, draft);
    if (newer.state == REQUEST_READY)
        ready_put(store, &newer, draft->batch);
    return true;
}

/* A request that has ended starts anew, with all its attempts. */
static void
revive(struct store *store, struct request *request)
{
    request_move(request, REQUEST_READY);
    request->failures = 0;
    request->lost = 0;
    request->throttled = 0;
    request->uncertain = 0;
    request->flags = 0;
    request_put(store, request);
    key_point(store, request->key, request->id);
}

static void
retry_draft(struct store *store, struct sweep *sweep, struct draft *draft)
{
    const struct retry *retry = sweep->terms;
    struct request request;

    if (draft->is_retrying || !(retry->mask & 1u << draft->status) ||
        store_request_get(store, draft->request, &request) < 0) {
        return;
    }
    if (request.state == REQUEST_DONE && request.status == STATUS_OK) {
        /* It expired, and its answer came before the retry. */
        result_give(store, sweep->batch, draft, STATUS_OK,
                    retry->intake->now_ms);
        return;
    }
    if (switch_to_newer(store, sweep, draft, &request))
        return;
    if (!request_is_joinable(&request))
        revive(store, &request);
    draft->is_retrying = true;
    sweep->batch->retry_count++;
    draft_put(store, draft);
    if (request.state == REQUEST_READY)
        ready_put(store, &request, draft->batch);
}

bool
store_retry_drafts(struct store *store, struct batch *batch, uint32_t *index,
                   uint32_t mask, const struct intake *intake)
{
    struct retry retry = { .mask = mask, .intake = intake };
    struct sweep sweep = { .batch = batch,
                           .terms = &retry,
                           .visit = retry_draft };

    return run_sweep(store, &sweep, index);
}

/* ---- drop ---- */

/* A request that no draft refers to any more goes, unless it is worth keeping
 * as a cache entry or is just being called. */
static void
forget_request(struct store *store, struct request *request)
{
    struct slice found;
    struct request newest;

    if (table_seek(store, TABLE_REF, key_id(request->id), 8, &found, NULL) == 0)
        return;
    if (request->state == REQUEST_LEASED || request->status == STATUS_OK)
        return;
    if (key_lookup(store, request->key, &newest) == 0 &&
        newest.id == request->id) {
        table_del(store, TABLE_KEY,
                  key_bytes(key_start(), request->key, DIGEST_BYTES));
    }
    request_unplace(store, request);
    table_del(store, TABLE_OUTCOME, key_id(request->id));
    table_del(store, TABLE_REPLY, key_id(request->id));
    table_del(store, TABLE_REQUEST, key_id(request->id));
}

static void
drop_draft(struct store *store, struct sweep *sweep, struct draft *draft)
{
    struct request request;

    (void)sweep;
    result_remove(store, draft);
    table_del(store, TABLE_DRAFT, key_draft(draft->batch, draft->index));
    table_del(store, TABLE_ESSENCE, key_draft(draft->batch, draft->index));
    if (store_request_get(store, draft->request, &request) < 0)
        return;
    if (request.state == REQUEST_READY)
        ready_del(store, &request, draft->batch);
    ref_del(store, draft->request, draft->batch, draft->index);
    forget_request(store, &request);
}

/* Removes at most STORE_SLICE_MAX rows of a table that begin with the batch's
 * number. True: there are more. */
static bool
drop_rows(struct store *store, enum table table, uint64_t batch)
{
    struct slice found;

    for (int i = 0; store->rc == 0; i++) {
        struct key key = key_start();

        if (table_seek(store, table, key_id(batch), 8, &found, NULL) < 0)
            return false;
        if (i == STORE_SLICE_MAX)
            return true;
        key = key_bytes(key, found.data, found.bytes);
        table_del(store, table, key);
    }
    return false;
}

bool
store_drop_drafts(struct store *store, struct batch *batch, uint32_t *index,
                  bool is_whole)
{
    static const enum table tables[] = {
        TABLE_NAME,  TABLE_REFUSAL, TABLE_DONE,
        TABLE_READY, TABLE_CHUNK,   TABLE_BODY
    };
    struct sweep sweep = { .batch = batch, .visit = drop_draft };

    if (run_sweep(store, &sweep, index))
        return true;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        if (drop_rows(store, tables[i], batch->id))
            return true;
    }
    if (is_whole) {
        store_key_free(store, batch->id);
        table_del(store, TABLE_UUID,
                  key_bytes(key_start(), batch->uuid, BATCH_UUID_BYTES));
        table_del(store, TABLE_SPEC, key_id(batch->id));
        table_del(store, TABLE_BATCH, key_id(batch->id));
    }
    return false;
}
