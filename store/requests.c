/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "store/table.h"

static struct key
key_ref(uint64_t request, uint64_t batch, uint32_t index)
{
    return key_u32(key_u64(key_id(request), batch), index);
}

#define REF_BATCH_AT 8 /* the batch in a ref's key */

static struct key
key_ready(uint64_t batch, struct place place, uint64_t request)
{
    return key_u64(key_u64(key_u64(key_id(batch), place.lead), place.group),
                   request);
}

int
store_request_get(struct store *store, uint64_t id, struct request *request)
{
    struct record record;
    int rc = table_get(store, TABLE_REQUEST, key_id(id), &record);

    if (rc < 0)
        return rc;
    *request = (struct request){ .id = id };
    return request_decode(&record, request);
}

void
request_put(struct store *store, const struct request *request)
{
    assert(request->id > 0);
    request_encode(request, table_fields(store));
    table_put(store, TABLE_REQUEST, key_id(request->id));
}

void
store_request_put(struct store *store, const struct request *request)
{
    request_put(store, request);
}

int
key_lookup(struct store *store, const unsigned char key[DIGEST_BYTES],
           struct request *request)
{
    struct record record;
    uint64_t id;
    int rc = table_get(store, TABLE_KEY,
                       key_bytes(key_start(), key, DIGEST_BYTES), &record);

    if (rc < 0)
        return rc;
    id = record_get_u64(&record);
    rc = record_end(&record);
    return rc < 0 ? rc : store_request_get(store, id, request);
}

void
key_point(struct store *store, const unsigned char key[DIGEST_BYTES],
          uint64_t request)
{
    record_u64(table_fields(store), request);
    table_put(store, TABLE_KEY, key_bytes(key_start(), key, DIGEST_BYTES));
}

void
ref_add(struct store *store, uint64_t request, uint64_t batch, uint32_t index)
{
    table_fields(store);
    table_put(store, TABLE_REF, key_ref(request, batch, index));
}

void
ref_del(struct store *store, uint64_t request, uint64_t batch, uint32_t index)
{
    table_del(store, TABLE_REF, key_ref(request, batch, index));
}

/* The first batch from `batch` on that has a draft of this request; 0 if there
 * is none. Skips from batch to batch, however many drafts each has. */
static uint64_t
next_batch(struct store *store, uint64_t request, uint64_t batch)
{
    struct slice found;
    int rc = table_seek(store, TABLE_REF, key_ref(request, batch, 0),
                        REF_BATCH_AT, &found, NULL);

    return rc < 0 ? 0 : key_get_u64(found, REF_BATCH_AT);
}

bool
request_is_wanted(struct store *store, uint64_t request)
{
    struct batch batch;

    for (uint64_t id = next_batch(store, request, 0); id != 0;
         id = next_batch(store, request, id + 1)) {
        if (store_batch_get(store, id, &batch) == 0 && batch_is_live(&batch))
            return true;
    }
    return false;
}

void
ready_put(struct store *store, const struct request *request, uint64_t batch)
{
    table_fields(store);
    table_put(store, TABLE_READY,
              key_ready(batch, request->place, request->id));
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
    struct batch batch;

    for (uint64_t id = next_batch(store, request->id, 0); id != 0;
         id = next_batch(store, request->id, id + 1)) {
        if (store_batch_get(store, id, &batch) == 0 && batch_is_live(&batch))
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

static struct timer
delay_timer(const struct request *request)
{
    return (struct timer){ .due_ms = request->due_ms,
                           .kind = TIMER_REQUEST,
                           .id = request->id };
}

void
request_unplace(struct store *store, const struct request *request)
{
    struct timer timer = delay_timer(request);

    switch (request->state) {
    case REQUEST_READY:
        ready_del_all(store, request);
        break;
    case REQUEST_DELAYED:
        store_timer_drop(store, &timer);
        break;
    case REQUEST_LEASED:
        table_del(store, TABLE_LEASE, key_id(request->id));
        break;
    default:
        break;
    }
}

int
store_ready_next(struct store *store, uint64_t batch, struct place *place)
{
    struct slice found;
    int rc = table_seek(store, TABLE_READY, key_ready(batch, *place, 0), 8,
                        &found, NULL);

    if (rc < 0)
        return rc;
    place->lead = key_get_u64(found, 8);
    place->group = key_get_u64(found, 16);
    return 0;
}

static void
lease_put(struct store *store, const struct lease *lease)
{
    struct buf *out = table_fields(store);

    record_u32(out, lease->fence);
    record_bytes(out, lease->worker, sizeof(lease->worker));
    record_i64(out, lease->granted_ms);
    record_i64(out, lease->deadline_ms);
    table_put(store, TABLE_LEASE, key_id(lease->request));
}

int
store_lease_after(struct store *store, uint64_t request, struct lease *lease)
{
    struct slice found;
    struct record record;
    int rc =
        table_seek(store, TABLE_LEASE, key_id(request + 1), 0, &found, &record);

    if (rc < 0)
        return rc;
    *lease = (struct lease){ .request = key_get_u64(found, 0) };
    lease->fence = record_get_u32(&record);
    record_get_bytes(&record, lease->worker, sizeof(lease->worker));
    lease->granted_ms = record_get_i64(&record);
    lease->deadline_ms = record_get_i64(&record);
    return record_end(&record);
}

size_t
store_claim(struct store *store, uint64_t batch, struct place place,
            const struct lease *terms, struct request *requests, size_t max)
{
    size_t count = 0;
    uint64_t from = 0;

    while (count < max && store->rc == 0) {
        struct request *request = &requests[count];
        struct lease lease = *terms;
        struct slice found;
        int rc = table_seek(store, TABLE_READY, key_ready(batch, place, from),
                            24, &found, NULL);

        if (rc < 0)
            break;
        from = key_get_u64(found, 24);
        rc = store_request_get(store, from, request);
        if (rc < 0 || request->state != REQUEST_READY) {
            /* A row that its request does not confirm is an index gone
             * wrong: the truth wins. */
            table_del(store, TABLE_READY, key_ready(batch, place, from));
            continue;
        }
        request_unplace(store, request);
        request_move(request, REQUEST_LEASED);
        request->fence++;
        request_put(store, request);
        lease.request = request->id;
        lease.fence = request->fence;
        lease_put(store, &lease);
        count++;
    }
    return count;
}

void
store_release(struct store *store, struct request *request)
{
    request_unplace(store, request);
    request_move(request, REQUEST_READY);
    request_put(store, request);
    ready_put_all(store, request);
}

void
store_delay(struct store *store, struct request *request, int64_t due_ms)
{
    struct timer timer;

    request_unplace(store, request);
    request_move(request, REQUEST_DELAYED);
    request->due_ms = due_ms;
    request_put(store, request);
    timer = delay_timer(request);
    store_timer_set(store, &timer);
}

static void
outcome_put(struct store *store, uint64_t request,
            const struct outcome *outcome, struct slice reply)
{
    outcome_encode(outcome, table_fields(store));
    table_put(store, TABLE_OUTCOME, key_id(request));
    record_bytes(table_fields(store), reply.data, reply.bytes);
    table_put(store, TABLE_REPLY, key_id(request));
}

int
store_outcome_get(struct store *store, uint64_t request,
                  struct outcome *outcome)
{
    struct record record;
    int rc = table_get(store, TABLE_OUTCOME, key_id(request), &record);

    return rc < 0 ? rc : outcome_decode(&record, outcome);
}

int
store_reply_get(struct store *store, uint64_t request, struct slice *reply)
{
    struct record record;
    int rc = table_get(store, TABLE_REPLY, key_id(request), &record);

    if (rc < 0)
        return rc;
    *reply = (struct slice){ (const char *)record.at, record.left };
    return 0;
}

void
store_finish(struct store *store, struct request *request,
             const struct outcome *outcome, struct slice reply, int64_t now_ms)
{
    struct cursor cursor = { 0 };

    assert(outcome->status != STATUS_NONE);
    request_unplace(store, request);
    request_move(request, REQUEST_DONE);
    /* A further try that ended no better leaves what was kept. */
    if (request->status == STATUS_NONE || outcome->status == STATUS_OK) {
        request->status = outcome->status;
        request->done_ms = now_ms;
        outcome_put(store, request->id, outcome, reply);
    }
    request_put(store, request);
    if (outcome->status == STATUS_OK)
        key_point(store, request->key, request->id);
    if (store_fan_out(store, request, &cursor, now_ms)) {
        store_timer_set(store, &(struct timer){ .due_ms = now_ms,
                                                .kind = TIMER_FAN_OUT,
                                                .id = request->id,
                                                .cursor = cursor });
    }
}

/* Adds what a call used and cost to the batch that paid for it. */
static void
account(struct batch *batch, const struct outcome *outcome)
{
    if (outcome->prompt_tokens > 0)
        batch->prompt_tokens += (uint64_t)outcome->prompt_tokens;
    if (outcome->completion_tokens > 0)
        batch->completion_tokens += (uint64_t)outcome->completion_tokens;
    if (outcome->total_tokens > 0)
        batch->total_tokens += (uint64_t)outcome->total_tokens;
    if (outcome->cost_nano < 0)
        return;
    if (batch->cost_nano == BATCH_COST_UNKNOWN)
        batch->cost_nano = 0;
    batch->cost_nano += outcome->cost_nano;
}

/* One draft of a finished request. */
static void
hand_over(struct store *store, const struct request *request,
          const struct outcome *outcome, struct batch *batch,
          struct draft *draft, int64_t now_ms)
{
    bool was_retrying = draft->is_retrying;

    if (was_retrying) {
        draft->is_retrying = false;
        batch->retry_count--;
    }
    if (draft_improves(draft, request->status)) {
        draft->cost_nano = draft->tier == CACHE_NONE ? outcome->cost_nano : 0;
        if (draft->tier == CACHE_NONE)
            account(batch, outcome);
        result_give(store, batch, draft, request->status, now_ms);
    } else if (was_retrying) {
        draft_put(store, draft);
    }
}

bool
store_fan_out(struct store *store, struct request *request,
              struct cursor *cursor, int64_t now_ms)
{
    struct batch batch = { 0 };
    struct outcome outcome;
    int rc = store_outcome_get(store, request->id, &outcome);

    /* Numbers only: what they need of the outcome survives the writing. */
    for (int i = 0; rc == 0 && store->rc == 0; i++) {
        struct slice found;
        struct draft draft;

        rc = table_seek(store, TABLE_REF,
                        key_ref(request->id, cursor->batch, cursor->index),
                        REF_BATCH_AT, &found, NULL);
        if (rc < 0)
            break;
        cursor->batch = key_get_u64(found, REF_BATCH_AT);
        cursor->index = key_get_u32(found, REF_BATCH_AT + 8);
        if (i == STORE_SLICE_MAX) {
            if (batch.id)
                store_batch_put(store, &batch, now_ms);
            return true;
        }
        if (batch.id != cursor->batch) {
            if (batch.id)
                store_batch_put(store, &batch, now_ms);
            rc = store_batch_get(store, cursor->batch, &batch);
        }
        if (rc == 0)
            rc = store_draft_get(store, cursor->batch, cursor->index, &draft);
        if (rc == 0)
            hand_over(store, request, &outcome, &batch, &draft, now_ms);
        cursor->index++;
    }
    if (rc < 0 && rc != E_NOTFOUND)
        store_fail(store, rc, TABLE_REF, "fan out");
    if (batch.id)
        store_batch_put(store, &batch, now_ms);
    return false;
}
