/*
 * fuzz_record.c - any bytes at all are a record, or are refused
 *
 * The first byte chooses the kind, if it is the number of one. What decodes is
 * encoded again to the bytes that were read; kinds that only the store itself
 * decodes are written as rows of a store in memory, with a seal, and read back.
 * Where rows are changed in their place, what was put there is found, whatever the
 * row had been.
 */
/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "store/answer.h"
#include "store/chunk_rows.h"
#include "store/rows.h"
#include "store/verify.h"

#define STORE_BYTES_MAX (64u << 20)
#define READY_MAX       1000 /* requests that are claimed */
#define INDEX_KEYS      3
#define INDEX_CELL_KEYS 2 /* so few that rows are merged */
#define INDEX_ENTRY     3 /* bytes of the input, of an entry */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Not assert(): must also hold where that is compiled away. */
static void
must(bool is_true)
{
    if (!is_true)
        abort();
}

/* The fields that were read are those that were written, byte for byte. A record
 * of an earlier format ends early: what is written has its defaults behind it,
 * which are zeroes. */
static void
must_be_same(const struct record *rest, struct slice fields,
             const struct buf *again)
{
    size_t bytes = fields.bytes - rest->left;

    must(again->bytes >= bytes);
    must(bytes == 0 || memcmp(again->data, fields.data, bytes) == 0);
    for (size_t i = bytes; i < again->bytes; i++)
        must(again->data[i] == 0);
}

typedef void kind_fn(struct record *record, struct slice fields,
                     struct buf *again);

static void
try_batch(struct record *record, struct slice fields, struct buf *again)
{
    struct batch batch = { 0 };

    if (batch_decode(record, &batch) < 0)
        return;
    batch_encode(&batch, again);
    must_be_same(record, fields, again);
    must(batch_state_name(batch.state) != NULL);
    (void)batch_is_complete(&batch);
}

static void
try_spec(struct record *record, struct slice fields, struct buf *again)
{
    struct spec spec;

    if (spec_decode(record, &spec) < 0)
        return;
    spec_encode(&spec, again);
    must_be_same(record, fields, again);
}

static void
try_draft(struct record *record, struct slice fields, struct buf *again)
{
    struct draft draft = { 0 };

    if (draft_decode(record, &draft) < 0)
        return;
    draft_encode(&draft, again);
    must_be_same(record, fields, again);
    must(cache_tier_name(draft.tier) != NULL);
}

static void
try_request(struct record *record, struct slice fields, struct buf *again)
{
    struct record peek = *record;
    struct request request = { 0 };
    uint64_t answer;
    int rc = request_decode_answer(&peek, &answer);

    if (request_decode(record, &request) < 0)
        return;
    must(rc == 0);
    must(answer == request.answer);
    request_encode(&request, again);
    must_be_same(record, fields, again);
    must(request_state_name(request.state) != NULL);
}

static void
try_outcome(struct record *record, struct slice fields, struct buf *again)
{
    struct outcome outcome;

    if (outcome_decode(record, &outcome) < 0)
        return;
    outcome_encode(&outcome, again);
    must_be_same(record, fields, again);
}

static void
try_attempt(struct record *record, struct slice fields, struct buf *again)
{
    struct attempt attempt;

    if (attempt_decode(record, &attempt) < 0)
        return;
    attempt_encode(&attempt, again);
    must_be_same(record, fields, again);
    must(call_class_name(attempt.class) != NULL);
}

/* What outcome and call have in common is told once, also if it was told twice:
 * what is written of that comes back as it is. */
static void
try_answer(struct record *record, struct slice fields, struct buf *again)
{
    struct outcome outcome;
    struct attempt call;
    struct buf twice = { 0 };
    struct record written;

    (void)fields;
    if (answer_decode(record, &outcome, &call) < 0)
        return;
    answer_encode(&outcome, &call, again);
    written = (struct record){ .at = (const unsigned char *)again->data,
                               .left = again->bytes };
    must(answer_decode(&written, &outcome, &call) == 0);
    must(written.left == 0);
    answer_encode(&outcome, &call, &twice);
    must(slice_equal(buf_slice(again), buf_slice(&twice)));
    buf_fini(&twice);
}

static void
try_upstream(struct record *record, struct slice fields, struct buf *again)
{
    struct upstream_row row;

    if (upstream_decode(record, &row) < 0)
        return;
    upstream_encode(&row, again);
    must_be_same(record, fields, again);
}

static void
try_delivery(struct record *record, struct slice fields, struct buf *again)
{
    struct delivery delivery;

    if (delivery_decode(record, &delivery) < 0)
        return;
    delivery_encode(&delivery, again);
    must_be_same(record, fields, again);
    must(delivery_state_name(delivery.state) != NULL);
}

static kind_fn *const kinds[] = { try_batch,    try_spec,     try_draft,
                                  try_request,  try_outcome,  try_attempt,
                                  try_upstream, try_delivery, try_answer };
#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

/* ---- rows ---- */

static void
put_row(struct store *store, enum table table, struct key key,
        struct slice fields)
{
    record_bytes(table_fields(store), fields.data, fields.bytes);
    table_put(store, table, key);
}

/* As it is, and with a slot that is sealed. */
static void
put_span(struct store *store, struct slice fields)
{
    struct key key = key_draft(2, 0);
    struct buf row = { 0 };

    table_put_raw(store, TABLE_SPAN, key_draft(1, 0), fields);
    if (fields.bytes >= SPAN_SLOT_BYTES - RECORD_SEAL_BYTES) {
        record_bytes(&row, fields.data, SPAN_SLOT_BYTES - RECORD_SEAL_BYTES);
        record_seal(&row, TABLE_SPAN, key_slice(&key));
        table_put_raw(store, TABLE_SPAN, key, buf_slice(&row));
    }
    buf_fini(&row);
}

static uint64_t
recall(void *context, const unsigned char *key)
{
    (void)context;
    (void)key;
    return 0;
}

static void
place(void *context, struct new_draft *draft)
{
    (void)context;
    (void)draft;
}

/* Adds a draft whose id and request key meet rows that are there already. */
static void
add_draft(struct store *store)
{
    struct intake intake = { .recall = recall, .place = place };
    struct new_draft draft = { .draft = { .index = 3 },
                               .id = slice_of("id"),
                               .route = "local" };
    struct batch batch = { .id = 1 };
    struct chunk chunk = { .n = 1 };

    (void)store_drafts_add(store, &batch, &chunk, &draft, 1, &intake);
}

/* A row of the ready index: what is read is in order, and comes back. */
static void
try_series(struct slice fields)
{
    struct record record = { .at = (const unsigned char *)fields.data,
                             .left = fields.bytes };
    struct series_row row = { .from = { { 1, 1 }, 1 } }, other = row;
    struct buf again = { 0 };

    if (series_decode(&record, &row) < 0)
        return;
    must(row.count > 0 && row.count <= SERIES_MAX);
    series_encode(&row, &again);
    record = (struct record){ .at = (const unsigned char *)again.data,
                              .left = again.bytes };
    must(series_decode(&record, &other) == 0);
    must(other.count == row.count);
    for (size_t i = 0; i < row.count; i++) {
        const struct series *series = &row.list[i];

        must(spot_compare(&series->first, &other.list[i].first) == 0);
        must(series->count == other.list[i].count);
        must(series_has(&row, &series->first));
        must(i == 0 || spot_compare(&series[-1].first, &series->first) < 0);
    }
    buf_fini(&again);
}

/* Takes requests out of the ready index, and puts others there, around a row. */
static void
use_ready(struct store *store)
{
    struct spot spots[] = { { { 1, 1 }, 1 }, { { 1, 1 }, 2 }, { { 9, 9 }, 3 } };
    struct lease terms = { .granted_ms = 1, .deadline_ms = 2 };
    struct request requests[4];
    struct place place = { 0 };

    /* Each that is not there is removed by itself. */
    for (int i = 0; i < 8 && store_usage(store).ready < READY_MAX &&
                    store_ready_next(store, 1, &place) == 0;
         i++) {
        (void)store_claim(store, 1, place, &terms, requests, 4);
    }
    for (size_t i = 0; i < sizeof(spots) / sizeof(spots[0]); i++)
        ready_add(store, 1, &spots[i]);
    for (size_t i = 0; i < sizeof(spots) / sizeof(spots[0]); i++) {
        must(ready_find(store, 1, &spots[i]) == 0);
        ready_cut(store, 1, &spots[i], 1);
        must(ready_find(store, 1, &spots[i]) != 0);
    }
    must(!ready_drop(store, 1));
}

/* Reads all kinds of rows of which the store gives out the fields. */
static void
read_rows(struct store *store)
{
    unsigned char key[DIGEST_BYTES] = { 0 };
    struct result_row result;
    struct refusal refusal;
    struct worker_row worker;
    struct request request;
    struct outcome outcome;
    struct attempt attempt;
    struct delivery delivery;
    struct chunk chunk;
    struct lease lease;
    struct timer timer;
    struct batch batch;
    struct draft draft;
    struct slice text;

    (void)store_chunk_get(store, 1, 1, &chunk);
    (void)store_chunk_get(store, 1, 2, &chunk);
    if (part_peek(store, 1, 1, &text) == 0)
        must(text.bytes == 0 || text.data != NULL);
    (void)part_get(store, 1, 1, 1, &text);
    (void)store_refusal_next(store, 1, 0, &refusal);
    (void)store_lease_after(store, 0, &lease);
    (void)store_timer_first(store, &timer);
    (void)store_worker_after(store, NULL, &worker);
    (void)store_batch_find(store, key, &batch);
    (void)store_batch_find_key(store, key, &batch);
    (void)store_key_peek(store, key, 0);
    (void)store_result_after(store, 1, 0, &result);
    (void)store_result_after(store, 0, 0, &result);
    (void)store_result_at(store, 1, 0, &result);
    for (uint64_t answer = 0; answer < 2; answer++) {
        request = (struct request){ .id = 1, .answer = answer };
        (void)store_outcome_get(store, &request, &outcome);
        (void)store_answer_get(store, &request, &outcome, &text);
        (void)store_attempt_before(store, &request, UINT32_MAX, &attempt);
    }
    (void)store_delivery_after(store, 0, &delivery);
    for (uint64_t at = 1; at < 3; at++) {
        uint32_t index = 0;

        while (draft_next(store, at, index, &draft) != E_NOTFOUND) {
            must(draft.index >= index);
            index = draft.index + 1;
            if (store_draft_get(store, at, draft.index, &draft) == 0 &&
                store_draft_line(store, &draft, &text) == 0) {
                must(text.bytes == 0 || text.data != NULL);
            }
        }
    }
}

static void
try_rows(struct slice fields)
{
    static const unsigned char uuid[STORE_UUID_BYTES] = { 0 };
    struct store *store = store_open_memory(STORE_BYTES_MAX, uuid);
    struct key zeroes = key_bytes(key_start(), (unsigned char[32]){ 0 }, 32);
    struct key uuid_key = key_bytes(key_start(), uuid, sizeof(uuid));

    must(store_begin(store, 1, NULL) == 0);
    put_row(store, TABLE_CHUNK, key_draft(1, 1), fields);
    put_row(store, TABLE_BODY, key_draft(1, 1), fields);
    put_row(store, TABLE_PART, key_id(1), fields);
    put_row(store, TABLE_NEWEST, key_id(1), fields);
    put_row(store, TABLE_REFUSAL, key_draft(1, 1), fields);
    put_row(store, TABLE_DRAFT, key_draft(1, 1), fields);
    put_span(store, fields);
    put_row(store, TABLE_ESSENCE, key_draft(1, 1), fields);
    put_row(store, TABLE_ATTEMPT, key_draft(1, 1), fields);
    put_row(store, TABLE_DELIVERY, key_id(1), fields);
    put_row(store, TABLE_LEASE, key_id(1), fields);
    put_row(store, TABLE_OUTCOME, key_id(1), fields);
    put_row(store, TABLE_REPLY, key_id(1), fields);
    put_row(store, TABLE_ANSWER, key_id(1), fields);
    put_row(store, TABLE_RESULT, key_id(1), fields);
    put_row(store, TABLE_DONE, key_u64(key_id(1), 1), fields);
    put_row(store, TABLE_WORKER, uuid_key, fields);
    put_row(store, TABLE_UUID, uuid_key, fields);
    put_row(store, TABLE_CLIENT_KEY, zeroes, fields);
    put_row(store, TABLE_KEY, zeroes, fields);
    put_row(store, TABLE_KEY_SET, key_id(0), fields);
    put_row(store, TABLE_KEY_CELL, key_id(0), fields);
    put_row(store, TABLE_KEY_LOG, key_id(1), fields);
    put_row(store, TABLE_REQUEST, key_id(1), fields);
    put_row(store, TABLE_TIMER, key_u64(key_u8(key_id(1), 1), 1), fields);
    put_row(store, TABLE_READY, ready_key(1, &(struct spot){ { 1, 1 }, 1 }),
            fields);
    must(ready_count(store) == 0);
    keybook_load(store);
    read_rows(store);
    add_draft(store);
    use_ready(store);
    try_series(fields);
    store_close(store);
}

/* ---- rows that are changed ---- */

/* Sets a key, and looks for it before and after it is written. */
static void
use_key(struct store *store, const unsigned char key[DIGEST_BYTES],
        uint64_t request)
{
    keybook_set(store, key, request);
    must(keybook_find(store, key) == request);
    must(store_commit(store, NULL) == 0);
    must(store_begin(store, 1, NULL) == 0);
    must(keybook_find(store, key) == request);
}

/* Takes some bytes of what is left of the input. */
static struct slice
take(struct slice *left, size_t bytes)
{
    struct slice taken = { left->data,
                           bytes < left->bytes ? bytes : left->bytes };

    left->data += taken.bytes;
    left->bytes -= taken.bytes;
    return taken;
}

/* A row of the index, whole, or with a bit of it flipped: entries of a cell, from a
 * prefix on, each of three bytes of the input. */
static void
put_entries(struct store *store, enum table table, uint64_t first,
            struct slice bytes)
{
    struct key key = key_id(first);
    struct key_entry entry = { .prefix = first };
    struct buf *row = table_fields(store);
    size_t bit;

    if (table == TABLE_KEY_LOG)
        buf_add(row, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
    for (size_t at = 1; at + INDEX_ENTRY <= bytes.bytes; at += INDEX_ENTRY) {
        const unsigned char *from = (const unsigned char *)bytes.data + at;

        entry.prefix += 1 + ((uint64_t)(from[0] << 8 | from[1]) << 20);
        entry.request = from[2];
        key_entry_put(row, entry);
    }
    record_seal(row, table, key_slice(&key));
    bit = bytes.bytes ? (unsigned char)bytes.data[0] : 0;
    if (bit / 8 < row->bytes)
        row->data[bit / 8] = (char)(row->data[bit / 8] ^ 1 << bit % 8);
    table_put_raw(store, table, key, buf_slice(row));
}

/* The index of request keys: the input has keys, which share two cells, and then
 * rows of these, each with its length before it. */
static void
try_index(struct slice left)
{
    static const unsigned char uuid[STORE_UUID_BYTES] = { 0 };
    static const enum table tables[] = { TABLE_KEY_CELL, TABLE_KEY_CELL,
                                         TABLE_KEY_CELL, TABLE_KEY_SET,
                                         TABLE_KEY_SET,  TABLE_KEY_LOG };
    unsigned char keys[INDEX_KEYS][DIGEST_BYTES] = { 0 };
    struct verify verify = { 0 };
    struct store *store = store_open_memory(STORE_BYTES_MAX, uuid);

    store_keep_recent(store, 0, INDEX_CELL_KEYS);
    must(store_begin(store, 1, NULL) == 0);
    for (size_t i = 0; i < INDEX_KEYS; i++) {
        struct slice key = take(&left, sizeof(uint64_t) - 1);

        if (key.bytes > 0)
            memcpy(keys[i] + 1, key.data, key.bytes);
        keys[i][1] &= 0x1f;
    }
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        struct slice length = take(&left, 1);
        size_t bytes = length.bytes ? (unsigned char)length.data[0] : 0;

        put_entries(store, tables[i], key_entry_first(i % 2) + i,
                    take(&left, bytes));
    }
    keybook_load(store);
    for (uint64_t n = 0; n < UINT64_C(2) * INDEX_KEYS; n++)
        use_key(store, keys[n % INDEX_KEYS], (n + 1) % (INDEX_KEYS + 1));
    must(store_commit(store, NULL) == 0);
    must(store_repair(store, &verify, NULL) == 0);
    must(verify.findings == 0);
    store_close(store);
}

/* A span in which a draft is written, and removed. */
static void
try_span(struct slice fields)
{
    static const unsigned char uuid[STORE_UUID_BYTES] = { 0 };
    struct draft draft = { .batch = 1, .request = 1 };
    struct record record;
    struct store *store;

    if (fields.bytes == 0)
        return;
    draft.index = (unsigned char)fields.data[0] % (2 * SPAN_SLOTS);
    store = store_open_memory(STORE_BYTES_MAX, uuid);
    must(store_begin(store, 1, NULL) == 0);
    table_put_raw(store, TABLE_SPAN, key_draft(1, 0),
                  (struct slice){ fields.data + 1, fields.bytes - 1 });
    span_put(store, &draft);
    must(span_get(store, 1, draft.index, &record) == 0);
    span_catch_up(store);
    must(span_get(store, 1, draft.index, &record) == 0);
    span_del(store, 1, draft.index);
    must(span_get(store, 1, draft.index, &record) == E_NOTFOUND);
    span_catch_up(store);
    must(!span_drop(store, 1));
    draft.index = 0;
    must(span_next(store, 1, &draft.index, &record) == E_NOTFOUND);
    store_close(store);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct slice fields = { (const char *)data + 1, bytes ? bytes - 1 : 0 };
    struct record record = { .at = data + 1, .left = fields.bytes };
    struct buf again = { 0 };

    if (bytes == 0)
        return 0;
    if (data[0] < KIND_COUNT)
        kinds[data[0]](&record, fields, &again);
    else if (data[0] == KIND_COUNT)
        try_index(fields);
    else if (data[0] == KIND_COUNT + 1)
        try_span(fields);
    else
        try_rows(fields);
    buf_fini(&again);
    return 0;
}
