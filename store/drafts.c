/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/chunk_rows.h"
#include "store/rows.h"

/* How many drafts before its own a key is told of. */
#define KEYS_AHEAD 4

void
draft_put(struct store *store, const struct draft *draft)
{
    if (!draft->is_apart) {
        span_put(store, draft);
        return;
    }
    draft_encode(draft, table_fields(store));
    table_put(store, TABLE_DRAFT, key_draft(draft->batch, draft->index));
}

void
draft_del(struct store *store, const struct draft *draft)
{
    if (draft->is_apart)
        table_del(store, TABLE_DRAFT, key_draft(draft->batch, draft->index));
    else
        span_del(store, draft->batch, draft->index);
}

int
store_draft_get(struct store *store, uint64_t batch, uint32_t index,
                struct draft *draft)
{
    struct record record;
    bool is_apart = false;
    int rc = span_get(store, batch, index, &record), apart_rc;

    /* Also if the slot is damaged: it may be one in which there is none. */
    if (rc == E_NOTFOUND || rc == E_CORRUPT) {
        apart_rc =
            table_get(store, TABLE_DRAFT, key_draft(batch, index), &record);
        is_apart = apart_rc != E_NOTFOUND;
        rc = is_apart ? apart_rc : rc;
    }
    if (rc < 0)
        return rc;
    *draft =
        (struct draft){ .batch = batch, .index = index, .is_apart = is_apart };
    return draft_decode(&record, draft);
}

/* Those that have rows of their own came before all others of their batch. */
int
draft_next(struct store *store, uint64_t batch, uint32_t index,
           struct draft *draft)
{
    struct draft next = { .batch = batch, .is_apart = true };
    struct slice found;
    struct record record;
    int rc = table_seek(store, TABLE_DRAFT, key_draft(batch, index), 8, &found,
                        &record);

    if (rc == 0 || rc == E_CORRUPT) {
        index = key_get_u32(found, 8);
    } else if (rc == E_NOTFOUND) {
        next.is_apart = false;
        rc = span_next(store, batch, &index, &record);
    }
    if (rc == 0 || rc == E_CORRUPT) {
        next.index = index;
        *draft = next;
    }
    return rc < 0 ? rc : draft_decode(&record, draft);
}

int
store_draft_line(struct store *store, const struct draft *draft,
                 struct slice *line)
{
    struct slice part;
    int rc = part_peek(store, draft->batch, draft->part, &part);

    if (rc < 0)
        return rc;
    /* The line's own checksum: checking the whole part's for each of its lines
     * would read it as often as it has lines. */
    if ((uint64_t)draft->at + draft->bytes > part.bytes)
        return E_CORRUPT;
    *line = (struct slice){ part.data + draft->at, draft->bytes };
    if (draft_line_check(*line) != draft->line_check ||
        (uint64_t)draft->id_at + draft->id_bytes > line->bytes ||
        (uint64_t)draft->meta_at + draft->meta_bytes > line->bytes) {
        return E_CORRUPT;
    }
    return 0;
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
    return request_is_cached(&request, cached_after_ms) ? DRAFT_CACHED
                                                        : DRAFT_NEW;
}

/* The answer that the memory tier knows of, if the store still has it. */
static bool
recall(struct store *store, const struct new_draft *draft,
       const struct intake *intake, struct request *request)
{
    uint64_t id = intake->recall(intake->context, draft->key);

    return id != 0 && store_request_get(store, id, request) == 0 &&
           request->state == REQUEST_DONE && request->status == STATUS_OK &&
           memcmp(request->key, draft->key, sizeof(draft->key)) == 0;
}

/* Finds the request that serves a draft, if there is one: sets the disposition
 * and *request. A damaged one serves nobody, and is in nobody's way. If there is
 * none, returns whom the draft's key leads to; 0: to none. */
static uint64_t
find_server(struct store *store, struct new_draft *draft,
            const struct intake *intake, struct request *request)
{
    uint64_t holder;

    draft->disposition = DRAFT_NEW;
    draft->draft.tier = CACHE_NONE;
    if (recall(store, draft, intake, request)) {
        draft->disposition = DRAFT_CACHED;
        draft->draft.tier = CACHE_MEMORY;
        return 0;
    }
    holder = keybook_find(store, draft->key);
    if (key_open(store, draft->key, holder, request) < 0)
        return holder;
    if (request_is_joinable(request)) {
        draft->disposition = DRAFT_JOINED;
        draft->draft.tier = CACHE_JOINED;
    } else if (request_is_cached(request, intake->cached_after_ms)) {
        draft->disposition = DRAFT_CACHED;
        draft->draft.tier = CACHE_STORE;
    }
    return holder;
}

static void
make_request(struct store *store, struct new_draft *draft, uint64_t holder,
             const struct intake *intake, struct request *request)
{
    assert(strlen(draft->route) < sizeof(request->route));
    intake->place(intake->context, draft);
    *request = (struct request){
        .id = ++store->ids.request,
        .state = REQUEST_READY,
        .kind = draft->kind,
        .place = draft->place,
        .batch = draft->draft.batch,
        .index = draft->draft.index,
        .is_sole = true,
        .tokens = draft->tokens,
        .model = draft->model,
    };
    memcpy(request->key, draft->key, sizeof(request->key));
    memcpy(request->route, draft->route, strlen(draft->route) + 1);
    key_claim(store, request, holder);
    request_put(store, request);
}

/* The requests of a chunk that are ready for its batch. */
struct gain {
    struct spot *spots;
    size_t count;
    bool is_mixed; /* they are not in order */
};

static void
gain_add(struct gain *gain, const struct request *request)
{
    struct spot spot = { request->place, request->id };

    gain->is_mixed |= gain->count > 0 &&
                      spot_compare(&gain->spots[gain->count - 1], &spot) > 0;
    gain->spots[gain->count++] = spot;
}

static int
compare_spots(const void *one, const void *other)
{
    return spot_compare(one, other);
}

/* Goals that take turns in a chunk are in rows of their own: in order, each row
 * is written once. */
static void
gain_put(struct store *store, uint64_t batch, struct gain *gain)
{
    if (gain->is_mixed) {
        qsort(gain->spots, gain->count, sizeof(gain->spots[0]), compare_spots);
    }
    for (size_t i = 0; i < gain->count; i++)
        ready_add(store, batch, &gain->spots[i]);
}

static int
add_draft(struct store *store, struct batch *batch, struct chunk *chunk,
          struct new_draft *fresh, const struct intake *intake,
          struct gain *gain)
{
    struct draft *draft = &fresh->draft;
    struct request request = { 0 };
    uint64_t holder;
    int rc;

    draft->batch = batch->id;
    rc = name_claim(store, batch, draft->index, fresh->id);
    if (rc < 0)
        return rc;
    if (rc == 1) {
        fresh->disposition = DRAFT_DUPLICATE_ID;
        return 0;
    }
    holder = find_server(store, fresh, intake, &request);
    if (fresh->disposition == DRAFT_NEW)
        make_request(store, fresh, holder, intake, &request);
    else
        ref_add(store, &request, batch->id, draft->index);
    draft->request = request.id;
    draft->cost_nano = BATCH_COST_UNKNOWN;
    chunk->accepted++;
    if (fresh->disposition == DRAFT_CACHED) {
        chunk->cached++;
        batch->cached_count++;
        draft->cost_nano = 0;
        result_give(store, batch, draft, STATUS_OK, intake->now_ms);
        return 0;
    }
    draft_put(store, draft);
    if (fresh->disposition == DRAFT_JOINED) {
        chunk->joined++;
        batch->joined_count++;
        if (request.batch == 0)
            request_repoint(store, &request);
    }
    if (request.state == REQUEST_READY)
        gain_add(gain, &request);
    return 0;
}

/* Writes of a batch what leads to its drafts, and nothing else: there are some
 * though the chunk could not be added. */
static void
keep_ways(struct store *store, const struct batch *batch)
{
    struct batch stored;

    if (store_batch_get(store, batch->id, &stored) < 0)
        return;
    stored.tail = batch->tail;
    stored.tail_limit = batch->tail_limit;
    stored.segment_first = batch->segment_first;
    stored.last_seq = batch->last_seq;
    batch_put(store, &stored);
}

int
store_drafts_add(struct store *store, struct batch *batch, struct chunk *chunk,
                 struct new_draft *drafts, size_t count,
                 const struct intake *intake)
{
    struct gain gain = { .spots = mem_zalloc(count, sizeof(gain.spots[0])) };
    int rc = 0;

    for (size_t i = 0; i < count && rc == 0; i++) {
        if (count - i > KEYS_AHEAD)
            keybook_expect(store, drafts[i + KEYS_AHEAD].key);
        rc = add_draft(store, batch, chunk, &drafts[i], intake, &gain);
    }
    gain_put(store, batch->id, &gain);
    free(gain.spots);
    if (rc < 0)
        keep_ways(store, batch);
    return rc;
}

/* ---- drafts whose request has become another one ---- */

/* True if the draft that a request is rendered from waits for it; *batch is its
 * batch. */
static bool
source_waits(struct store *store, const struct request *request,
             const struct draft *draft, struct batch *batch)
{
    return store_batch_get(store, draft->batch, batch) == 0 &&
           batch_is_live(batch) && draft_waits(draft, request->id);
}

/* Lets a leased request be rendered from another draft that waits for it. */
static int
pass_source(struct store *store, struct request *request,
            const struct draft *draft)
{
    request_repoint(store, request);
    return request->batch == draft->batch && request->index == draft->index
               ? E_NOTFOUND
               : 1;
}

/* A draft's record says that it waits no more for a leased request, which goes on
 * for those that still do, or ends. */
static int
leave_leased(struct store *store, struct request *request,
             const struct draft *draft)
{
    /* The one that gave its result is still needed to show it. */
    if (draft->answered_by != request->id)
        request_leave(store, request->id, draft);
    if (store_request_get(store, request->id, request) < 0)
        return 0;
    if (request->batch == draft->batch && request->index == draft->index)
        request_repoint(store, request);
    if (request_is_wanted(store, request))
        return 1;
    store_release(store, request);
    return 0;
}

int
store_draft_move(struct store *store, struct request *request,
                 struct new_draft *fresh, const struct intake *intake)
{
    struct draft *draft = &fresh->draft;
    enum cache_tier tier = draft->tier;
    struct request server = { 0 };
    struct batch batch;
    uint64_t holder;

    if (!source_waits(store, request, draft, &batch))
        return pass_source(store, request, draft);
    holder = find_server(store, fresh, intake, &server);
    if (fresh->disposition == DRAFT_NEW)
        make_request(store, fresh, holder, intake, &server);
    else
        ref_add(store, &server, draft->batch, draft->index);
    draft->request = server.id;
    if (fresh->disposition == DRAFT_CACHED) {
        struct outcome outcome = { 0 }; /* whose numbers another has paid */

        hand_over(store, &server, &outcome, &batch, draft, intake->now_ms);
        store_batch_put(store, &batch, intake->now_ms);
    } else {
        if (draft->status != STATUS_NONE)
            draft->tier = tier;
        draft_put(store, draft);
        if (server.state == REQUEST_READY)
            ready_put(store, &server, draft->batch);
        if (server.batch == 0)
            request_repoint(store, &server);
    }
    return leave_leased(store, request, draft);
}

int
store_draft_part(struct store *store, struct request *request,
                 const struct draft *draft, struct request *own)
{
    struct draft parted = *draft;
    struct batch batch;

    *own = (struct request){ 0 };
    if (!source_waits(store, request, draft, &batch))
        return pass_source(store, request, draft);
    *own = (struct request){
        .id = ++store->ids.request,
        .state = REQUEST_READY,
        .kind = request->kind,
        .place = request->place,
        .batch = draft->batch,
        .index = draft->index,
        .is_sole = true,
        .tokens = request->tokens,
        .model = request->model,
    };
    memcpy(own->key, request->key, sizeof(own->key));
    memcpy(own->route, request->route, sizeof(own->route));
    request_put(store, own);
    ready_put(store, own, draft->batch);
    parted.request = own->id;
    if (parted.status == STATUS_NONE)
        parted.tier = CACHE_NONE;
    draft_put(store, &parted);
    return leave_leased(store, request, &parted);
}

uint64_t
store_group_next(struct store *store)
{
    store->is_dirty = true; /* a number that was given out stays given out */
    return ++store->ids.group;
}
