/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "store/rows.h"

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

int
request_answer(struct store *store, uint64_t id, uint64_t *answer)
{
    struct slice value;
    struct record record;
    int rc = table_get_raw(store, TABLE_REQUEST, key_id(id), &value);

    if (rc < 0)
        return rc;
    if (value.bytes < RECORD_SEAL_BYTES)
        return E_CORRUPT;
    record = (struct record){ .at = (const unsigned char *)value.data,
                              .left = value.bytes - RECORD_SEAL_BYTES };
    return request_decode_answer(&record, answer);
}

void
request_put(struct store *store, const struct request *request)
{
    assert(request->id > 0);
    request_encode(request, table_fields(store));
    table_put(store, TABLE_REQUEST, key_id(request->id));
}

void
request_change(struct store *store, struct request *request,
               enum request_state to)
{
    enum request_state from = request->state;

    request_move(request, to);
    if (store->request_moved)
        store->request_moved(store->moves_context, request->id, from, to);
}

void
store_request_put(struct store *store, const struct request *request)
{
    request_put(store, request);
}

int
key_open(struct store *store, const unsigned char key[DIGEST_BYTES],
         uint64_t holder, struct request *request)
{
    int rc = holder ? store_request_get(store, holder, request) : E_NOTFOUND;

    /* Another's, that begins with the same bits. */
    if (rc == 0 && memcmp(request->key, key, DIGEST_BYTES) != 0)
        rc = E_NOTFOUND;
    return rc;
}

int
key_lookup(struct store *store, const unsigned char key[DIGEST_BYTES],
           struct request *request)
{
    return key_open(store, key, keybook_find(store, key), request);
}

void
key_claim(struct store *store, struct request *request, uint64_t holder)
{
    struct request other;

    request->is_keyed = true;
    if (holder == request->id)
        return;
    if (holder != 0 && store_request_get(store, holder, &other) == 0 &&
        other.is_keyed) {
        other.is_keyed = false;
        request_put(store, &other);
    }
    keybook_set(store, request->key, request->id);
}

void
key_point(struct store *store, struct request *request)
{
    if (!request->is_keyed)
        key_claim(store, request, keybook_find(store, request->key));
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
        /* Nothing was counted before store_count_delayed() was called. */
        if (store->delayed > 0)
            store->delayed--;
        break;
    case REQUEST_LEASED:
        table_del(store, TABLE_LEASE, key_id(request->id));
        break;
    default:
        break;
    }
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

static int
lease_decode(struct record *record, struct lease *lease)
{
    lease->fence = record_get_u32(record);
    record_get_bytes(record, lease->worker, sizeof(lease->worker));
    lease->granted_ms = record_get_i64(record);
    lease->deadline_ms = record_get_i64(record);
    return record_end(record);
}

int
store_lease_get(struct store *store, uint64_t request, struct lease *lease)
{
    struct record record;
    int rc = table_get(store, TABLE_LEASE, key_id(request), &record);

    *lease = (struct lease){ .request = request };
    return rc < 0 ? rc : lease_decode(&record, lease);
}

int
store_lease_after(struct store *store, uint64_t request, struct lease *lease)
{
    struct slice found;
    struct record record;
    int rc =
        table_seek(store, TABLE_LEASE, key_id(request + 1), 0, &found, &record);

    if (rc == 0 || rc == E_CORRUPT)
        *lease = (struct lease){ .request = key_get_u64(found, 0) };
    return rc < 0 ? rc : lease_decode(&record, lease);
}

size_t
store_claim(struct store *store, uint64_t batch, struct place place,
            const struct lease *terms, struct request *requests, size_t max)
{
    struct spot spot = { .place = place };
    size_t count = 0;

    while (count < max && store->rc == 0) {
        struct request *request = &requests[count];
        struct lease lease = *terms;

        if (ready_seek(store, batch, &spot, &spot) < 0 ||
            spot.place.lead != place.lead || spot.place.group != place.group) {
            break;
        }
        if (store_request_get(store, spot.request, request) < 0 ||
            request->state != REQUEST_READY) {
            /* What its request does not confirm is an index gone wrong: the
             * truth wins. */
            ready_cut(store, batch, &spot, 1);
            continue;
        }
        request_unplace(store, request);
        request_change(store, request, REQUEST_LEASED);
        request->fence++;
        if (terms->upstream) {
            assert(strlen(terms->upstream) < sizeof(request->upstream));
            memcpy(request->upstream, terms->upstream,
                   strlen(terms->upstream) + 1);
        }
        request_put(store, request);
        lease.request = request->id;
        lease.fence = request->fence;
        lease_put(store, &lease);
        count++;
    }
    return count;
}

/* Cancels a request that nobody waits for any more, when it would go back into
 * the queue. True if it did. */
static bool
end_unwanted(struct store *store, struct request *request)
{
    request_unplace(store, request);
    if (request_is_wanted(store, request))
        return false;
    request_change(store, request, REQUEST_CANCELLED);
    request_put(store, request);
    (void)request_forget(store, request);
    return true;
}

void
store_release(struct store *store, struct request *request)
{
    if (end_unwanted(store, request))
        return;
    request_change(store, request, REQUEST_READY);
    request_put(store, request);
    ready_put_all(store, request);
}

void
store_delay(struct store *store, struct request *request, int64_t due_ms)
{
    struct timer timer;

    if (end_unwanted(store, request))
        return;
    request_change(store, request, REQUEST_DELAYED);
    store->delayed++;
    request->due_ms = due_ms;
    request_put(store, request);
    timer = delay_timer(request);
    store_timer_set(store, &timer);
}
