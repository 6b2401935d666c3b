/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "store/chunk_rows.h"
#include "store/part.h"
#include "store/rows.h"

/* What one slice does with each draft. */
struct sweep {
    struct batch *batch;
    const void *terms; /* struct ending, struct retry, or NULL */
    void (*visit)(struct store *store, struct sweep *sweep,
                  struct draft *draft);
};

/* Visits one slice of drafts, from *index on. True: there are more. */
static bool
run_sweep(struct store *store, struct sweep *sweep, uint32_t *index)
{
    size_t most = store_slice(store);
    struct draft draft;

    for (size_t i = 0; store->rc == 0; i++) {
        int rc = draft_next(store, sweep->batch->id, *index, &draft);

        if (rc < 0 && rc != E_CORRUPT)
            break;
        *index = draft.index;
        if (i == most)
            return true;
        if (rc == 0)
            sweep->visit(store, sweep, &draft);
        /* A damaged draft cannot be ended; `verify` names it. */
        *index = draft.index + 1;
    }
    return false;
}

/* ---- cancel, expire ---- */

/* A batch's draft has ended early: its request goes on for others, or ends. One
 * that is in flight is told off only by a cancel: what is paid for may still
 * come in when a deadline has passed. */
static void
withdraw(struct store *store, const struct draft *draft,
         const struct ending *ending)
{
    bool is_cancel = ending->status == STATUS_CANCELLED, was_leased;
    struct request request;

    if (store_request_get(store, draft->request, &request) < 0 ||
        !request_is_joinable(&request)) {
        return;
    }
    was_leased = request.state == REQUEST_LEASED;
    if (request.state == REQUEST_READY)
        ready_del(store, &request, draft->batch);
    if (was_leased && !is_cancel)
        return;
    if (request_let_go(store, &request)) {
        if (was_leased)
            ending->cancelled(ending->context, &request);
    } else if (is_cancel && request.batch == draft->batch &&
               request.index == draft->index) {
        request_repoint(store, &request);
    }
}

static void
end_draft(struct store *store, struct sweep *sweep, struct draft *draft)
{
    const struct ending *ending = sweep->terms;
    struct slice line;

    if (draft->is_retrying) {
        assert(sweep->batch->retry_count > 0);
        draft->is_retrying = false;
        sweep->batch->retry_count--;
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
        if (draft->cost_nano < 0)
            draft->cost_nano = 0;
        result_give(store, sweep->batch, draft, ending->status, ending->now_ms);
    }
    withdraw(store, draft, ending);
}

bool
store_end_drafts(struct store *store, struct batch *batch, uint32_t *index,
                 const struct ending *ending)
{
    struct sweep sweep = { .batch = batch,
                           .terms = ending,
                           .visit = end_draft };

    /* Put back before the sweep was through. */
    if (batch_is_live(batch))
        return false;
    return run_sweep(store, &sweep, index);
}

/* ---- retry ---- */

struct retry {
    uint32_t mask;
    const struct intake *intake;
};

/* Lets a draft wait for a request, from now on. */
static void
wait_for(struct store *store, struct sweep *sweep, struct draft *draft,
         const struct request *request)
{
    draft->is_retrying = true;
    sweep->batch->retry_count++;
    draft_put(store, draft);
    if (request->state == REQUEST_READY)
        ready_put(store, request, draft->batch);
}

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
    is_answered = request_is_cached(&newer, retry->intake->cached_after_ms);
    if (!is_answered && !request_is_joinable(&newer))
        return false;
    ref_add(store, &newer, draft->batch, draft->index);
    draft->request = newer.id;
    if (is_answered) {
        draft->tier = CACHE_STORE;
        draft->cost_nano = 0;
        result_give(store, sweep->batch, draft, STATUS_OK,
                    retry->intake->now_ms);
    } else {
        wait_for(store, sweep, draft, &newer);
        if (newer.batch == 0)
            request_repoint(store, &newer);
    }
    /* The one that gave its result is still needed to show it. */
    if (draft->answered_by != request->id)
        request_leave(store, request->id, draft);
    return true;
}

void
request_revive(struct store *store, struct request *request)
{
    request_change(store, request, REQUEST_READY);
    request->failures = 0;
    request->lost = 0;
    request->throttled = 0;
    request->uncertain = 0;
    request->flags = 0;
    key_point(store, request);
    request_put(store, request);
}

/* The batch was put back while the sweep that ended it was under way: drafts
 * that it did not reach wait for what may have been let go of meanwhile. */
static void
resume(struct store *store, const struct draft *draft, struct request *request)
{
    if (request->state == REQUEST_CANCELLED)
        request_revive(store, request);
    if (request->state == REQUEST_READY)
        ready_put(store, request, draft->batch);
}

static void
retry_draft(struct store *store, struct sweep *sweep, struct draft *draft)
{
    const struct retry *retry = sweep->terms;
    struct outcome outcome;
    struct request request;

    if (store_request_get(store, draft->request, &request) < 0)
        return;
    if (draft->is_retrying || draft->status == STATUS_NONE) {
        resume(store, draft, &request);
        return;
    }
    if (!(retry->mask & 1u << draft->status) ||
        !draft_improves(draft, STATUS_OK)) {
        return;
    }
    if (request.state == REQUEST_DONE && request.status == STATUS_OK) {
        /* The answer came late, and is on its way from draft to draft. */
        if (store_outcome_get(store, &request, &outcome) == 0) {
            hand_over(store, &request, &outcome, sweep->batch, draft,
                      retry->intake->now_ms);
        }
        return;
    }
    if (switch_to_newer(store, sweep, draft, &request))
        return;
    if (!request_is_joinable(&request))
        request_revive(store, &request);
    wait_for(store, sweep, draft, &request);
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

/* Of a cancelled batch, the sweep that ends its drafts may not have come so
 * far. */
static void
drop_draft(struct store *store, struct sweep *sweep, struct draft *draft)
{
    if (sweep->terms)
        withdraw(store, draft, sweep->terms);
    result_remove(store, draft);
    draft_del(store, draft);
    table_del(store, TABLE_ESSENCE, key_draft(draft->batch, draft->index));
    request_leave(store, draft->request, draft);
    if (draft->answered_by != 0 && draft->answered_by != draft->request)
        request_leave(store, draft->answered_by, draft);
}

/* Removes one slice of rows of a table that begin with the batch's
 * number. True: there are more. */
static bool
drop_rows(struct store *store, enum table table, uint64_t batch)
{
    size_t most = store_slice(store);
    struct slice found;

    for (size_t i = 0; store->rc == 0; i++) {
        struct key key = key_start();

        if (table_seek(store, table, key_id(batch), 8, &found, NULL) < 0)
            return false;
        if (i == most)
            return true;
        key = key_bytes(key, found.data, found.bytes);
        table_del(store, table, key);
    }
    return false;
}

/* Removes a chunk's parts, of as many rows as are left to the slice. True: there are
 * more. Those in `body` are gone by now. */
static bool
drop_parts(struct store *store, const struct chunk *chunk, size_t *left)
{
    uint64_t part = chunk->part_first, end = part + chunk->part_count;
    struct slice found;

    if (part & PART_OF_BATCH)
        return false;
    for (; store->rc == 0 && part < end; part++) {
        if (table_seek(store, TABLE_PART, key_id(part), 0, &found, NULL) < 0)
            break;
        part = key_get_u64(found, 0);
        if (part >= end)
            break;
        if (*left == 0)
            return true;
        --*left;
        table_del(store, TABLE_PART, key_id(part));
    }
    return false;
}

/* Of a chunk that is damaged it is not known which parts it has: among all of the
 * store, from *part on, those of its batch are looked for. A part that is damaged
 * too stays. */
static bool
drop_lost_parts(struct store *store, uint64_t batch, uint64_t *part,
                size_t *left)
{
    struct part_head head = { 0 };
    struct record record;
    struct slice found;
    int rc;

    while (store->rc == 0) {
        rc = table_seek(store, TABLE_PART, key_id(*part), 0, &found, &record);
        if (rc < 0 && rc != E_CORRUPT)
            break;
        if (*left == 0)
            return true;
        --*left;
        *part = key_get_u64(found, 0);
        if (rc == 0)
            part_decode_head(&record, &head);
        if (rc == 0 && head.batch == batch)
            table_del(store, TABLE_PART, key_id(*part));
        ++*part;
    }
    return false;
}

/* Removes one slice of a batch's chunks. Nothing else tells of a chunk's parts: its
 * row goes after them. True: there are more. */
static bool
drop_chunks(struct store *store, uint64_t batch, uint64_t *part)
{
    size_t left = store_slice(store);
    struct chunk chunk;
    int rc;

    while (store->rc == 0) {
        rc = chunk_first(store, batch, &chunk);
        if (rc < 0 && rc != E_CORRUPT)
            break;
        if (rc == 0 ? drop_parts(store, &chunk, &left)
                    : drop_lost_parts(store, batch, part, &left)) {
            return true;
        }
        if (left == 0)
            return true;
        left--;
        table_del(store, TABLE_CHUNK, key_draft(batch, chunk.n));
    }
    return false;
}

/* The same for those that share a row. */
static bool
drop_newest(struct store *store, uint64_t batch, uint64_t *part)
{
    size_t left = store_slice(store);
    struct newest newest;
    int rc = newest_get(store, batch, &newest);

    if (rc == E_CORRUPT && drop_lost_parts(store, batch, part, &left))
        return true;
    for (size_t i = 0; rc == 0 && i < newest.count; i++) {
        if (drop_parts(store, &newest.chunks[i], &left))
            return true;
    }
    table_del(store, TABLE_NEWEST, key_id(batch));
    return false;
}

bool
store_drop_drafts(struct store *store, struct batch *batch,
                  struct cursor *cursor, bool is_whole,
                  const struct ending *ending)
{
    static const enum table tables[] = {
        TABLE_DRAFT,   TABLE_ESSENCE, TABLE_NAME,
        TABLE_REFUSAL, TABLE_DONE,    TABLE_BODY,
    };
    struct sweep sweep = { .batch = batch,
                           .terms = ending,
                           .visit = drop_draft };

    if (run_sweep(store, &sweep, &cursor->index))
        return true;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        /* Why it failed is what is left of it. */
        if (tables[i] == TABLE_REFUSAL && batch->state == BATCH_FAILED)
            continue;
        if (drop_rows(store, tables[i], batch->id))
            return true;
    }
    if (span_drop(store, batch->id) || ready_drop(store, batch->id) ||
        drop_chunks(store, batch->id, &cursor->batch) ||
        drop_newest(store, batch->id, &cursor->batch)) {
        return true;
    }
    if (is_whole) {
        store_key_free(store, batch->id);
        table_del(store, TABLE_UUID,
                  key_bytes(key_start(), batch->uuid, BATCH_UUID_BYTES));
        table_del(store, TABLE_SPEC, key_id(batch->id));
        table_del(store, TABLE_FILING, key_id(batch->id));
        batch_remove(store, batch->id);
    } else if (batch->tail.count > 0 || batch->segment_first != 0) {
        batch->segment_first = 0;
        name_drop_tail(store, batch);
    }
    return false;
}
