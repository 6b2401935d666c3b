/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "store/rows.h"

static int
batch_found(int rc, struct slice found, struct record *record,
            struct batch *batch)
{
    if (rc == 0 || rc == E_CORRUPT)
        *batch = (struct batch){ .id = key_get_u64(found, 0) };
    return rc < 0 ? rc : batch_decode(record, batch);
}

int
store_batch_get(struct store *store, uint64_t id, struct batch *batch)
{
    struct key key = key_id(id);
    struct record record;
    int rc;

    if (id != 0 && id == store->late.id) {
        *batch = store->late;
        return 0;
    }
    rc = table_get(store, TABLE_BATCH, key, &record);
    return batch_found(rc, key_slice(&key), &record, batch);
}

static void
write_batch(struct store *store, const struct batch *batch)
{
    assert(batch->id > 0);
    batch_encode(batch, table_fields(store));
    table_put(store, TABLE_BATCH, key_id(batch->id));
}

void
batch_catch_up(struct store *store)
{
    struct batch late = store->late;

    if (late.id == 0)
        return;
    store->late.id = 0;
    write_batch(store, &late);
}

void
batch_put(struct store *store, const struct batch *batch)
{
    if (store->late.id != batch->id)
        batch_catch_up(store);
    store->late = *batch;
    store->is_dirty = true;
}

void
batch_remove(struct store *store, uint64_t id)
{
    if (store->late.id == id)
        store->late.id = 0;
    table_del(store, TABLE_BATCH, key_id(id));
}

int
store_batch_after(struct store *store, uint64_t id, struct batch *batch)
{
    struct slice found = { 0 };
    struct record record;
    int rc = E_NOTFOUND;

    batch_catch_up(store);
    if (id != UINT64_MAX) {
        rc = table_seek(store, TABLE_BATCH, key_id(id + 1), 0, &found, &record);
    }
    return batch_found(rc, found, &record, batch);
}

int
store_batch_before(struct store *store, uint64_t id, struct batch *batch)
{
    struct slice found = { 0 };
    struct record record;
    int rc;

    batch_catch_up(store);
    rc = table_before(store, TABLE_BATCH, key_id(id), 0, &found, &record);
    return batch_found(rc, found, &record, batch);
}

/* A batch through one of the two indexes that lead to it. */
static int
find_by(struct store *store, enum table table, struct key key,
        struct batch *batch)
{
    struct record record;
    uint64_t id;
    int rc = table_get(store, table, key, &record);

    if (rc < 0)
        return rc;
    id = record_get_u64(&record);
    rc = record_end(&record);
    return rc < 0 ? rc : store_batch_get(store, id, batch);
}

static struct key
uuid_key(const unsigned char uuid[BATCH_UUID_BYTES])
{
    return key_bytes(key_start(), uuid, BATCH_UUID_BYTES);
}

static struct key
digest_key(const unsigned char digest[DIGEST_BYTES])
{
    return key_bytes(key_start(), digest, DIGEST_BYTES);
}

int
store_batch_find(struct store *store,
                 const unsigned char uuid[BATCH_UUID_BYTES],
                 struct batch *batch)
{
    return find_by(store, TABLE_UUID, uuid_key(uuid), batch);
}

int
store_batch_find_key(struct store *store,
                     const unsigned char digest[DIGEST_BYTES],
                     struct batch *batch)
{
    return find_by(store, TABLE_CLIENT_KEY, digest_key(digest), batch);
}

void
store_client_key(struct slice client, struct slice key,
                 unsigned char digest[DIGEST_BYTES])
{
    struct buf joined = { 0 };

    buf_add_slice(&joined, client);
    buf_add_char(&joined, '\0');
    buf_add_slice(&joined, key);
    digest_of(joined.data, joined.bytes, digest);
    buf_fini(&joined);
}

uint64_t
store_batch_newest(const struct store *store)
{
    return store->ids.batch;
}

void
store_batch_add(struct store *store, struct batch *batch,
                const struct spec *spec)
{
    unsigned char digest[DIGEST_BYTES];

    batch->id = ++store->ids.batch;
    /* The spec first: it may be borrowed from the store. */
    store_client_key(spec->client, spec->key, digest);
    spec_encode(spec, table_fields(store));
    table_put(store, TABLE_SPEC, key_id(batch->id));
    record_u64(table_fields(store), batch->id);
    table_put(store, TABLE_CLIENT_KEY, digest_key(digest));
    write_batch(store, batch);
    record_u64(table_fields(store), batch->id);
    table_put(store, TABLE_UUID, uuid_key(batch->uuid));
}

void
store_batch_move(struct store *store, struct batch *batch, enum batch_state to)
{
    enum batch_state from = batch->state;

    batch_move(batch, to);
    if (store->batch_moved)
        store->batch_moved(store->moves_context, batch->id, from, to);
    if (store->ended && batch_has_ended(batch))
        store->ended(store->context, batch);
}

bool
store_batch_put(struct store *store, struct batch *batch, int64_t now_ms)
{
    bool is_finished = batch_is_under_way(batch) && batch_is_complete(batch);

    if (is_finished) {
        store_batch_move(store, batch, BATCH_FINISHED);
        batch->finished_ms = now_ms;
        store_timer_drop(store, &(struct timer){ .due_ms = batch->deadline_ms,
                                                 .kind = TIMER_DEADLINE,
                                                 .id = batch->id });
    }
    batch_put(store, batch);
    return is_finished;
}

void
store_watch(struct store *store,
            void (*ended)(void *context, const struct batch *batch),
            void *context)
{
    store->ended = ended;
    store->context = context;
}

void
store_watch_ready(struct store *store,
                  void (*ready)(void *context, uint64_t batch), void *context)
{
    store->ready = ready;
    store->ready_context = context;
}

void
store_watch_results(struct store *store,
                    void (*given)(void *context, const struct draft *draft),
                    void *context)
{
    store->given = given;
    store->given_context = context;
}

void
store_watch_moves(struct store *store,
                  void (*batch_moved)(void *context, uint64_t batch,
                                      enum batch_state from,
                                      enum batch_state to),
                  void (*request_moved)(void *context, uint64_t request,
                                        enum request_state from,
                                        enum request_state to),
                  void *context)
{
    store->batch_moved = batch_moved;
    store->request_moved = request_moved;
    store->moves_context = context;
}

int
store_spec_get(struct store *store, uint64_t batch, struct spec *spec)
{
    struct record record;
    int rc = table_get(store, TABLE_SPEC, key_id(batch), &record);

    return rc < 0 ? rc : spec_decode(&record, spec);
}

void
store_key_free(struct store *store, uint64_t batch)
{
    unsigned char digest[DIGEST_BYTES];
    struct batch holder;
    struct spec spec;

    if (store_spec_get(store, batch, &spec) < 0)
        return;
    store_client_key(spec.client, spec.key, digest);
    /* The key may be a newer batch's by now. */
    if (store_batch_find_key(store, digest, &holder) == 0 && holder.id == batch)
        table_del(store, TABLE_CLIENT_KEY, digest_key(digest));
}
