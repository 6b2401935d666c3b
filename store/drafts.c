/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "base/json.h"
#include "store/table.h"

static int
batch_found(int rc, struct slice found, struct record *record,
            struct batch *batch)
{
    if (rc < 0)
        return rc;
    *batch = (struct batch){ .id = key_get_u64(found, 0) };
    return batch_decode(record, batch);
}

int
store_batch_get(struct store *store, uint64_t id, struct batch *batch)
{
    struct key key = key_id(id);
    struct record record;
    int rc = table_get(store, TABLE_BATCH, key, &record);

    return batch_found(rc, key_slice(&key), &record, batch);
}

int
store_batch_after(struct store *store, uint64_t id, struct batch *batch)
{
    struct slice found = { 0 };
    struct record record;
    int rc = table_seek(store, TABLE_BATCH, key_id(id + 1), 0, &found, &record);

    return batch_found(rc, found, &record, batch);
}

int
store_batch_before(struct store *store, uint64_t id, struct batch *batch)
{
    struct slice found = { 0 };
    struct record record;
    int rc = table_before(store, TABLE_BATCH, key_id(id), 0, &found, &record);

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

static void
batch_put(struct store *store, const struct batch *batch)
{
    assert(batch->id > 0);
    batch_encode(batch, table_fields(store));
    table_put(store, TABLE_BATCH, key_id(batch->id));
}

void
store_batch_add(struct store *store, struct batch *batch,
                const struct spec *spec)
{
    unsigned char digest[DIGEST_BYTES];

    batch->id = ++store->ids.batch;
    batch_put(store, batch);
    spec_encode(spec, table_fields(store));
    table_put(store, TABLE_SPEC, key_id(batch->id));
    record_u64(table_fields(store), batch->id);
    table_put(store, TABLE_UUID, uuid_key(batch->uuid));
    store_client_key(spec->client, spec->key, digest);
    record_u64(table_fields(store), batch->id);
    table_put(store, TABLE_CLIENT_KEY, digest_key(digest));
}

bool
store_batch_put(struct store *store, struct batch *batch, int64_t now_ms)
{
    bool is_finished = batch->state == BATCH_SEALED && batch_is_complete(batch);

    if (is_finished) {
        batch_move(batch, BATCH_FINISHED);
        batch->finished_ms = now_ms;
        store_timer_drop(store, &(struct timer){ .due_ms = batch->deadline_ms,
                                                 .kind = TIMER_DEADLINE,
                                                 .id = batch->id });
    }
    batch_put(store, batch);
    return is_finished;
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

void
store_body_put(struct store *store, uint64_t batch, uint32_t n,
               struct slice body)
{
    record_bytes(table_fields(store), body.data, body.bytes);
    table_put(store, TABLE_BODY, key_draft(batch, n));
}

void
store_chunk_put(struct store *store, uint64_t batch, const struct chunk *chunk)
{
    struct buf *out = table_fields(store);

    record_bytes(out, chunk->digest, sizeof(chunk->digest));
    record_u32(out, chunk->index_first);
    record_u32(out, chunk->draft_count);
    record_u32(out, chunk->accepted);
    record_u32(out, chunk->joined);
    record_u32(out, chunk->cached);
    record_u32(out, chunk->refused);
    table_put(store, TABLE_CHUNK, key_draft(batch, chunk->n));
}

int
store_chunk_get(struct store *store, uint64_t batch, uint32_t n,
                struct chunk *chunk)
{
    struct record record;
    int rc = table_get(store, TABLE_CHUNK, key_draft(batch, n), &record);

    if (rc < 0)
        return rc;
    *chunk = (struct chunk){ .n = n };
    record_get_bytes(&record, chunk->digest, sizeof(chunk->digest));
    chunk->index_first = record_get_u32(&record);
    chunk->draft_count = record_get_u32(&record);
    chunk->accepted = record_get_u32(&record);
    chunk->joined = record_get_u32(&record);
    chunk->cached = record_get_u32(&record);
    chunk->refused = record_get_u32(&record);
    return record_end(&record);
}

void
draft_put(struct store *store, const struct draft *draft)
{
    draft_encode(draft, table_fields(store));
    table_put(store, TABLE_DRAFT, key_draft(draft->batch, draft->index));
}

int
store_draft_get(struct store *store, uint64_t batch, uint32_t index,
                struct draft *draft)
{
    struct record record;
    int rc = table_get(store, TABLE_DRAFT, key_draft(batch, index), &record);

    if (rc < 0)
        return rc;
    *draft = (struct draft){ .batch = batch, .index = index };
    return draft_decode(&record, draft);
}

int
store_draft_line(struct store *store, const struct draft *draft,
                 struct slice *line)
{
    struct key key = key_draft(draft->batch, draft->chunk);
    struct slice body;
    int rc = store->engine->ops->get(store->engine, TABLE_BODY, key_slice(&key),
                                     &body);

    if (rc < 0)
        return rc;
    /* The line's own checksum: checking the whole chunk's for each of its
     * thousand lines would read it a thousand times. */
    if (body.bytes < RECORD_SEAL_BYTES ||
        (uint64_t)draft->at + draft->bytes > body.bytes - RECORD_SEAL_BYTES) {
        return E_CORRUPT;
    }
    *line = (struct slice){ body.data + draft->at, draft->bytes };
    if (draft_line_check(*line) != draft->line_check ||
        (uint64_t)draft->id_at + draft->id_bytes > line->bytes ||
        (uint64_t)draft->meta_at + draft->meta_bytes > line->bytes) {
        return E_CORRUPT;
    }
    return 0;
}

void
store_refusal_add(struct store *store, uint64_t batch,
                  const struct refusal *refusal)
{
    struct buf *out = table_fields(store);

    record_u32(out, refusal->line);
    record_str(out, refusal->field);
    record_str(out, refusal->code);
    record_str(out, refusal->message);
    table_put(store, TABLE_REFUSAL, key_draft(batch, refusal->index));
}

int
store_refusal_next(struct store *store, uint64_t batch, uint32_t index,
                   struct refusal *refusal)
{
    struct slice found;
    struct record record;
    int rc = table_seek(store, TABLE_REFUSAL, key_draft(batch, index), 8,
                        &found, &record);

    if (rc < 0)
        return rc;
    refusal->index = key_get_u32(found, 8);
    refusal->line = record_get_u32(&record);
    refusal->field = record_get_str(&record);
    refusal->code = record_get_str(&record);
    refusal->message = record_get_str(&record);
    return record_end(&record);
}

/* 1 if the draft at `index` has this id, 0 if not, or an error. */
static int
has_id(struct store *store, uint64_t batch, uint32_t index, struct slice id)
{
    struct buf decoded = { 0 };
    struct draft draft;
    struct slice line;
    int rc = store_draft_get(store, batch, index, &draft);

    if (rc == 0)
        rc = store_draft_line(store, &draft, &line);
    if (rc < 0)
        return rc;
    assert(draft.id_bytes >= 2);
    json_decode_inner(
        (struct slice){ line.data + draft.id_at + 1, draft.id_bytes - 2 },
        &decoded);
    rc = slice_equal(buf_slice(&decoded), id);
    buf_fini(&decoded);
    return rc;
}

static struct key
name_key(uint64_t batch, uint64_t hash)
{
    return key_u64(key_id(batch), hash);
}

/* Claims an id within the batch. 1: it is taken. */
static int
claim_name(struct store *store, const struct new_draft *draft)
{
    uint64_t hash = digest_xxh(draft->id.data, draft->id.bytes, 0);
    struct record record;
    int rc;

    for (;; hash++) {
        rc = table_get(store, TABLE_NAME, name_key(draft->draft.batch, hash),
                       &record);
        if (rc < 0)
            break;
        rc = has_id(store, draft->draft.batch, record_get_u32(&record),
                    draft->id);
        if (rc != 0)
            return rc;
    }
    if (rc != E_NOTFOUND)
        return rc;
    record_u32(table_fields(store), draft->draft.index);
    table_put(store, TABLE_NAME, name_key(draft->draft.batch, hash));
    return 0;
}

static bool
is_cached(const struct request *request, int64_t cached_after_ms)
{
    return request->state == REQUEST_DONE && request->status == STATUS_OK &&
           request->done_ms > cached_after_ms;
}

enum disposition
store_key_peek(struct store *store, const unsigned char key[DIGEST_BYTES],
               int64_t cached_after_ms)
{
    struct request request;

    if (key_lookup(store, key, &request) < 0)
        return DRAFT_NEW;
    if (request_is_joinable(&request))
        return DRAFT_JOINED;
    return is_cached(&request, cached_after_ms) ? DRAFT_CACHED : DRAFT_NEW;
}

/* Finds the request that serves a draft, if there is one: sets the disposition
 * and *request. */
static int
find_server(struct store *store, struct new_draft *draft,
            const struct intake *intake, struct request *request)
{
    int rc;

    draft->disposition = DRAFT_NEW;
    request->id = intake->recall(intake->context, draft->key);
    if (request->id != 0) {
        draft->disposition = DRAFT_CACHED;
        draft->draft.tier = CACHE_MEMORY;
        return 0;
    }
    rc = key_lookup(store, draft->key, request);
    if (rc == E_NOTFOUND)
        return 0;
    if (rc < 0)
        return rc;
    if (request_is_joinable(request)) {
        draft->disposition = DRAFT_JOINED;
        draft->draft.tier = CACHE_JOINED;
    } else if (is_cached(request, intake->cached_after_ms)) {
        draft->disposition = DRAFT_CACHED;
        draft->draft.tier = CACHE_STORE;
    }
    return 0;
}

static void
make_request(struct store *store, struct new_draft *draft,
             const struct intake *intake, struct request *request)
{
    assert(strlen(draft->upstream) < sizeof(request->upstream));
    intake->place(intake->context, draft);
    *request = (struct request){
        .id = ++store->ids.request,
        .state = REQUEST_READY,
        .kind = draft->kind,
        .place = draft->place,
        .batch = draft->draft.batch,
        .index = draft->draft.index,
    };
    memcpy(request->key, draft->key, sizeof(request->key));
    memcpy(request->upstream, draft->upstream, strlen(draft->upstream) + 1);
    draft->draft.tier = CACHE_NONE;
    request_put(store, request);
    key_point(store, request->key, request->id);
}

static int
add_draft(struct store *store, struct batch *batch, struct chunk *chunk,
          struct new_draft *draft, const struct intake *intake)
{
    struct request request = { 0 };
    int rc = claim_name(store, draft);

    if (rc < 0)
        return rc;
    if (rc == 1) {
        draft->disposition = DRAFT_DUPLICATE_ID;
        return 0;
    }
    rc = find_server(store, draft, intake, &request);
    if (rc < 0)
        return rc;
    if (draft->disposition == DRAFT_NEW)
        make_request(store, draft, intake, &request);
    draft->draft.request = request.id;
    draft->draft.cost_nano = BATCH_COST_UNKNOWN;
    ref_add(store, request.id, batch->id, draft->draft.index);
    chunk->accepted++;
    if (draft->disposition == DRAFT_CACHED) {
        chunk->cached++;
        batch->cached_count++;
        draft->draft.cost_nano = 0;
        result_give(store, batch, &draft->draft, STATUS_OK, intake->now_ms);
        return 0;
    }
    if (draft->disposition == DRAFT_JOINED) {
        chunk->joined++;
        batch->joined_count++;
    }
    if (request.state == REQUEST_READY)
        ready_put(store, &request, batch->id);
    draft_put(store, &draft->draft);
    return 0;
}

int
store_drafts_add(struct store *store, struct batch *batch, struct chunk *chunk,
                 struct new_draft *drafts, size_t count,
                 const struct intake *intake)
{
    int rc = 0;

    for (size_t i = 0; i < count && rc == 0; i++)
        rc = add_draft(store, batch, chunk, &drafts[i], intake);
    return rc;
}

uint64_t
store_group_next(struct store *store)
{
    return ++store->ids.group;
}
