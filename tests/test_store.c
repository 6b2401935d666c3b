/* SPDX-License-Identifier: MIT */
#include "store/store.h"

#include <string.h>

#include "tests/store_expect.h"

/* Two ids with the same stem, and no number; FORM is what the stem hashes
 * behind them (FORMAT.md). */
#define TWIN_ID       "eedbmaijhafdjbel"
#define OTHER_TWIN_ID "lpnicjomdhghfbkh"
#define FORM          "\x00\x10\x00"

/* ---- batches, chunks, drafts ---- */

CLAIM(batch_is_found_by_id_uuid_and_key)
{
    unsigned char digest[DIGEST_BYTES];
    struct batch batch, other;
    struct spec spec;
    uint64_t id = play_open(play, "k1"), second = play_open(play, "k2");

    batch = play_get_batch(play, id);
    store_client_key(slice_of("alice"), slice_of("k1"), digest);
    play_reopen(play);
    play_begin(play);
    cr_expect_eq(store_batch_find(play->store, batch.uuid, &other), 0);
    cr_expect_eq(other.id, id);
    cr_expect_eq(store_batch_find_key(play->store, digest, &other), 0);
    cr_expect_eq(other.id, id);
    cr_expect_eq(store_spec_get(play->store, id, &spec), 0);
    cr_expect(slice_is(spec.key, "k1"));
    cr_expect_eq(store_batch_after(play->store, id, &other), 0);
    cr_expect_eq(other.id, second);
    cr_expect_eq(store_batch_after(play->store, second, &other), E_NOTFOUND);
    cr_expect_eq(store_batch_after(play->store, UINT64_MAX, &other),
                 E_NOTFOUND);
    cr_expect_eq(store_batch_before(play->store, second, &other), 0);
    cr_expect_eq(other.id, id);
    cr_expect_eq(store_batch_before(play->store, id, &other), E_NOTFOUND);
    store_key_free(play->store, id);
    cr_expect_eq(store_batch_find_key(play->store, digest, &other), E_NOTFOUND);
    store_abort(play->store);
}

CLAIM(key_that_was_freed_and_taken_again_stays_taken)
{
    unsigned char digest[DIGEST_BYTES];
    struct batch batch = { .state = BATCH_OPEN, .chunk_next = 1 };
    struct spec spec = { .client = slice_of("alice"), .key = slice_of("k") };
    uint64_t id = play_open(play, "k");

    store_client_key(spec.client, spec.key, digest);
    play_begin(play);
    store_key_free(play->store, id);
    store_batch_add(play->store, &batch, &spec);
    store_key_free(play->store, id);
    cr_expect_eq(store_batch_find_key(play->store, digest, &batch), 0);
    cr_expect_neq(batch.id, id);
    store_abort(play->store);
}

CLAIM(client_and_key_do_not_run_together)
{
    unsigned char one[DIGEST_BYTES], two[DIGEST_BYTES];

    (void)play;
    store_client_key(slice_of("ab"), slice_of("c"), one);
    store_client_key(slice_of("a"), slice_of("bc"), two);
    cr_expect(memcmp(one, two, sizeof(one)) != 0);
}

CLAIM(chunk_keeps_its_lines_byte_for_byte)
{
    struct play_draft drafts[] = { { .id = "a", .word = "x" },
                                   { .id = NULL },
                                   { .id = "b", .word = "y" } };
    uint64_t batch = play_open(play, "k");
    struct refusal refusal;
    struct draft draft;
    struct chunk chunk;
    struct slice line;

    play_add(play, batch, drafts, 3);
    play_reopen(play);
    draft = play_get_draft(play, batch, 2);
    play_begin(play);
    cr_assert_eq(store_draft_line(play->store, &draft, &line), 0);
    cr_expect(slice_is(line, "{\"id\":\"b\",\"word\":\"y\"}\n"));
    draft.line_check ^= 1;
    cr_expect_eq(store_draft_line(play->store, &draft, &line), E_CORRUPT);
    draft.line_check ^= 1;
    draft.at += 1;
    cr_expect_eq(store_draft_line(play->store, &draft, &line), E_CORRUPT);
    draft.at = UINT32_MAX;
    cr_expect_eq(store_draft_line(play->store, &draft, &line), E_CORRUPT);
    cr_assert_eq(store_chunk_get(play->store, batch, 1, &chunk), 0);
    cr_expect_eq(chunk.accepted, 2);
    cr_expect_eq(chunk.refused, 1);
    cr_expect_eq(store_chunk_get(play->store, batch, 2, &chunk), E_NOTFOUND);
    cr_assert_eq(store_refusal_next(play->store, batch, 0, &refusal), 0);
    cr_expect_eq(refusal.index, 1);
    cr_expect_eq(refusal.line, 2);
    cr_expect(slice_is(refusal.code, "missing_field"));
    cr_expect_eq(store_refusal_next(play->store, batch, 2, &refusal),
                 E_NOTFOUND);
    cr_expect_eq(store_draft_get(play->store, batch, 1, &draft), E_NOTFOUND);
    play_commit(play);
}

#define LINES_SHORT 500
#define LINE_BYTES  100
#define LONG_BYTES  100000

/* Appends a line to a body, and the draft that stands there. */
static void
add_line(struct buf *body, struct new_draft *draft, size_t bytes, char fill)
{
    draft->draft.at = (uint32_t)body->bytes;
    draft->draft.bytes = (uint32_t)bytes;
    for (size_t i = 0; i < bytes; i++)
        buf_add_char(body, fill);
    draft->draft.line_check =
        draft_line_check((struct slice){ body->data + draft->draft.at, bytes });
    buf_add_char(body, '\n');
}

CLAIM(chunk_lies_in_parts_of_whole_lines)
{
    struct new_draft drafts[2 * LINES_SHORT + 1] = { 0 };
    size_t count = sizeof(drafts) / sizeof(drafts[0]);
    uint64_t batch = play_open(play, "k");
    struct chunk chunk = { .n = 1 };
    struct buf body = { 0 };
    struct slice line;

    for (size_t i = 0; i < count; i++) {
        drafts[i].draft.batch = batch;
        add_line(&body, &drafts[i], i == LINES_SHORT ? LONG_BYTES : LINE_BYTES,
                 (char)('a' + i % 26));
    }
    play_begin(play);
    store_body_put(play->store, batch, &chunk, buf_slice(&body), drafts, count);
    store_chunk_put(play->store, batch, &chunk);
    for (size_t i = 0; i < count; i++) {
        uint32_t last = i > 0 ? drafts[i - 1].draft.part : 1;

        cr_assert_eq(store_draft_line(play->store, &drafts[i].draft, &line), 0);
        cr_expect_eq(line.data[0], (char)('a' + i % 26));
        cr_expect_leq(drafts[i].draft.part - last, 1);
    }
    /* A long line has one of its own; short ones share theirs. */
    cr_expect_eq(drafts[0].draft.part, 1);
    cr_expect_eq(drafts[LINES_SHORT].draft.at, 0);
    cr_expect_eq(drafts[LINES_SHORT].draft.part, 3);
    cr_expect_eq(drafts[count - 1].draft.part, 5);
    cr_assert_eq(store_chunk_get(play->store, batch, 1, &chunk), 0);
    cr_expect_eq(chunk.part_first, 1);
    cr_expect_eq(chunk.part_count, 5);
    /* What comes next goes behind them. */
    drafts[0].draft.at = 0;
    store_body_put(play->store, batch, &chunk,
                   (struct slice){ body.data, LINE_BYTES }, drafts, 1);
    cr_expect_eq(chunk.part_first, 6);
    cr_expect_eq(drafts[0].draft.part, 6);
    cr_expect_eq(store_draft_line(play->store, &drafts[0].draft, &line), 0);
    store_abort(play->store);
    buf_fini(&body);
}

CLAIM(id_is_taken_once_in_a_batch_and_again_in_another)
{
    struct play_draft drafts[] = { { .id = "a", .word = "x" },
                                   { .id = "a", .word = "y" },
                                   { .id = "b", .word = "z" } };
    struct play_draft more[] = { { .id = "b", .word = "v" },
                                 { .id = "c", .word = "w" } };
    uint64_t batch = play_open(play, "k1"), other = play_open(play, "k2");

    play_add(play, batch, drafts, 3);
    cr_expect_eq(drafts[0].disposition, DRAFT_NEW);
    cr_expect_eq(drafts[1].disposition, DRAFT_DUPLICATE_ID);
    cr_expect_eq(drafts[2].disposition, DRAFT_NEW);
    play_add(play, batch, more, 2);
    cr_expect_eq(more[0].disposition, DRAFT_DUPLICATE_ID);
    cr_expect_eq(more[1].disposition, DRAFT_NEW);
    play_add(play, other, more, 2);
    cr_expect_eq(more[0].disposition, DRAFT_NEW);
}

CLAIM(ids_that_look_alike_are_told_apart_and_found)
{
    static const char *const ids[] = {
        "1",
        "01",
        "001",
        "10",
        "a1",
        "a01",
        "1a",
        "a1b",
        "a01b",
        "1a1",
        "a-1",
        "a-2",
        "a",
        "aa",
        "18446744073709551616",
        "000000000000000001",
        "0000000000000000001",
        "x000000000000000001",
        "a9223372036854775807b",
    };
    enum { COUNT = sizeof(ids) / sizeof(ids[0]) };
    struct play_draft drafts[COUNT] = { 0 };
    uint64_t batch = play_open(play, "k");
    struct draft draft;

    for (int twice = 0; twice < 2; twice++) {
        for (int i = 0; i < COUNT; i++)
            drafts[i] = (struct play_draft){ .id = ids[i], .word = "x" };
        play_add(play, batch, drafts, COUNT);
        for (int i = 0; i < COUNT; i++) {
            cr_expect_eq(drafts[i].disposition == DRAFT_DUPLICATE_ID, twice,
                         "%s", ids[i]);
        }
    }
    play_begin(play);
    for (uint32_t i = 0; i < COUNT; i++) {
        cr_expect_eq(
            store_draft_find(play->store, batch, slice_of(ids[i]), &draft), 0);
        cr_expect_eq(draft.index, i);
    }
    cr_expect_eq(store_draft_find(play->store, batch, slice_of("2"), &draft),
                 E_NOTFOUND);
    cr_expect_eq(
        store_draft_find(play->store, batch + 1, slice_of("1"), &draft),
        E_NOTFOUND);
    store_abort(play->store);
}

CLAIM(ids_with_the_same_hash_are_told_apart)
{
    struct play_draft drafts[] = { { .id = TWIN_ID, .word = "x" },
                                   { .id = OTHER_TWIN_ID, .word = "y" },
                                   { .id = OTHER_TWIN_ID, .word = "z" },
                                   { .id = TWIN_ID, .word = "w" } };
    unsigned char one[DIGEST_BYTES], two[DIGEST_BYTES];
    uint64_t batch = play_open(play, "k");

    digest_of(TWIN_ID FORM, sizeof(TWIN_ID FORM) - 1, one);
    digest_of(OTHER_TWIN_ID FORM, sizeof(TWIN_ID FORM) - 1, two);
    cr_assert(memcmp(one, two, 8) == 0);
    play_add(play, batch, drafts, 4);
    cr_expect_eq(drafts[0].disposition, DRAFT_NEW);
    cr_expect_eq(drafts[1].disposition, DRAFT_NEW);
    cr_expect_eq(drafts[2].disposition, DRAFT_DUPLICATE_ID);
    cr_expect_eq(drafts[3].disposition, DRAFT_DUPLICATE_ID);
}

/* ---- deduplication ---- */

CLAIM(same_request_is_joined_within_a_chunk_and_over_batches)
{
    struct play_draft drafts[] = { { .id = "a", .word = "x" },
                                   { .id = "b", .word = "x" },
                                   { .id = "c", .word = "y" } };
    uint64_t batch = play_open(play, "k1"), other = play_open(play, "k2");
    struct batch record;

    play_add(play, batch, drafts, 3);
    cr_expect_eq(drafts[0].disposition, DRAFT_NEW);
    cr_expect_eq(drafts[1].disposition, DRAFT_JOINED);
    cr_expect_eq(drafts[2].disposition, DRAFT_NEW);
    cr_expect_eq(play_get_draft(play, batch, 0).request,
                 play_get_draft(play, batch, 1).request);
    drafts[0].id = "d";
    drafts[1].id = NULL;
    drafts[2].id = NULL;
    play_add(play, batch, drafts, 3);
    cr_expect_eq(drafts[0].disposition, DRAFT_JOINED);
    play_add(play, other, drafts, 1);
    cr_expect_eq(drafts[0].disposition, DRAFT_JOINED);
    record = play_get_batch(play, batch);
    cr_expect_eq(record.joined_count, 2);
    cr_expect_eq(play_get_draft(play, other, 0).tier, CACHE_JOINED);
}

CLAIM(leased_and_delayed_requests_are_joined_too)
{
    struct play_draft draft = { .id = "a", .word = "x" };
    uint64_t batch = play_batch(play, "k1", "x"), id = claim_one(play, batch);
    uint64_t other = play_open(play, "k2");

    play_add(play, other, &draft, 1);
    cr_expect_eq(draft.disposition, DRAFT_JOINED);
    play_delay(play, id, play->now_ms + 1000);
    draft.id = "b";
    play_add(play, other, &draft, 1);
    cr_expect_eq(draft.disposition, DRAFT_JOINED);
    cr_expect_eq(play_get_draft(play, other, 0).request, id);
    cr_expect_eq(play_get_draft(play, other, 1).request, id);
}

CLAIM(answer_is_served_for_its_time_by_the_store)
{
    struct play_draft draft = { .id = "a", .word = "x" };
    uint64_t batch = play_batch(play, "k1", "x"), id = claim_one(play, batch);
    uint64_t other = play_open(play, "k2");
    unsigned char key[DIGEST_BYTES];
    struct draft record;

    play_key("x", key);
    play_finish(play, id, STATUS_OK, "answer");
    play->cached_after_ms = play->now_ms - 1;
    play_add(play, other, &draft, 1);
    cr_expect_eq(draft.disposition, DRAFT_CACHED);
    record = play_get_draft(play, other, 0);
    cr_expect_eq(record.tier, CACHE_STORE);
    cr_expect_eq(record.status, STATUS_OK);
    cr_expect_eq(record.cost_nano, 0);
    cr_expect_eq(record.revision, 1);
    play_seal(play, other);
    expect_state(play, other, BATCH_FINISHED);
    play_begin(play);
    cr_expect_eq(store_key_peek(play->store, key, play->now_ms - 1),
                 DRAFT_CACHED);
    cr_expect_eq(store_key_peek(play->store, key, play->now_ms), DRAFT_NEW);
    store_abort(play->store);
    /* Too old: it is asked anew. */
    play->cached_after_ms = play->now_ms;
    other = play_open(play, "k3");
    play_add(play, other, &draft, 1);
    cr_expect_eq(draft.disposition, DRAFT_NEW);
}

CLAIM(fallback_is_no_answer_for_others)
{
    struct play_draft draft = { .id = "a", .word = "x" };
    uint64_t batch = play_batch(play, "k1", "x"), id = claim_one(play, batch);
    uint64_t other = play_open(play, "k2");

    play_finish(play, id, STATUS_SERVER_ERROR, "essence");
    play_add(play, other, &draft, 1);
    cr_expect_eq(draft.disposition, DRAFT_NEW);
}

CLAIM(memory_tier_is_believed_only_if_the_store_agrees)
{
    struct play_draft draft = { .id = "a", .word = "x" };
    uint64_t batch = play_batch(play, "k1", "x y"), ids[2];
    uint64_t other = play_open(play, "k2");

    cr_assert_eq(play_claim(play, batch, ids, 2), 2);
    play_key("x", play->keys[0]);
    play->requests[0] = 999; /* is not there */
    play->memory_count = 1;
    play_add(play, other, &draft, 1);
    cr_expect_eq(draft.disposition, DRAFT_JOINED);
    play->requests[0] = ids[0]; /* is no answer yet */
    draft.id = "b";
    play_add(play, other, &draft, 1);
    cr_expect_eq(draft.disposition, DRAFT_JOINED);
    play_finish(play, ids[0], STATUS_OK, "answer of x");
    play_finish(play, ids[1], STATUS_OK, "answer of y");
    play->cached_after_ms = play->now_ms; /* for the store it is too old */
    play->requests[0] = ids[1];           /* answers something else */
    draft.id = "c";
    play_add(play, other, &draft, 1);
    cr_expect_eq(draft.disposition, DRAFT_NEW);
    play->requests[0] = ids[0];
    draft.id = "d";
    play_add(play, other, &draft, 1);
    cr_expect_eq(draft.disposition, DRAFT_CACHED);
    cr_expect_eq(play_get_draft(play, other, 3).tier, CACHE_MEMORY);
}

/* ---- leases ---- */

CLAIM(claim_goes_in_the_order_of_places)
{
    /* Groups of four, two groups to a lead: see store_play.c. */
    uint64_t batch = play_batch(play, "k", "a b c d e f g h i j"), ids[10];
    struct place at = { 0 }, from = { 0 };
    struct request peeked;

    play_begin(play);
    cr_assert_eq(store_ready_next(play->store, batch, &at), 0);
    cr_expect_eq(at.lead, 1);
    cr_expect_eq(at.group, 1);
    cr_assert_eq(store_ready_peek(play->store, batch, at, &peeked), 0);
    at.group++;
    cr_assert_eq(store_ready_next(play->store, batch, &at), 0);
    cr_expect_eq(at.group, 2);
    at.group++;
    cr_assert_eq(store_ready_next(play->store, batch, &at), 0);
    cr_expect_eq(at.lead, 2);
    cr_expect_eq(at.group, 3);
    cr_expect_eq(store_ready_next(play->store, batch + 1, &from), E_NOTFOUND);
    store_abort(play->store);
    cr_assert_eq(play_claim(play, batch, ids, 3), 3);
    cr_expect_eq(ids[0], peeked.id);
    cr_assert_eq(play_claim(play, batch, ids + 3, 10), 7);
    for (uint32_t i = 0; i < 10; i++) {
        cr_expect_eq(ids[i], play_get_draft(play, batch, i).request);
        expect_request(play, ids[i], REQUEST_LEASED);
    }
    cr_expect_eq(play_claim(play, batch, ids, 1), 0);
}

CLAIM(fence_grows_with_every_lease)
{
    uint64_t batch = play_batch(play, "k", "x"), id;
    struct lease lease;

    for (uint32_t fence = 1; fence < 4; fence++) {
        id = claim_one(play, batch);
        cr_expect_eq(play_get_request(play, id).fence, fence);
        play_begin(play);
        cr_assert_eq(store_lease_after(play->store, 0, &lease), 0);
        cr_expect_eq(lease.request, id);
        cr_expect_eq(lease.fence, fence);
        cr_expect_eq(lease.granted_ms, play->now_ms);
        cr_expect_eq(store_lease_after(play->store, id, &lease), E_NOTFOUND);
        store_abort(play->store);
        play_release(play, id);
        play_reopen(play);
    }
}

CLAIM(delayed_request_comes_back_by_its_timer)
{
    uint64_t batch = play_batch(play, "k", "x"), id = claim_one(play, batch);

    play_delay(play, id, play->now_ms + 500);
    play_check(play);
    cr_expect_eq(play_claim(play, batch, &id, 1), 0);
    play->now_ms += 499;
    cr_expect_eq(play_due(play, 10), 0);
    play->now_ms += 1;
    cr_expect_eq(play_due(play, 10), 1);
    expect_request(play, id, REQUEST_READY);
    cr_expect_eq(claim_one(play, batch), id);
}

CLAIM(shared_request_is_ready_for_each_batch_and_claimed_once)
{
    uint64_t one = play_batch(play, "k1", "x"),
             two = play_batch(play, "k2", "x");
    uint64_t id = claim_one(play, two);

    cr_expect_eq(play_claim(play, one, &id, 1), 0);
    play_release(play, id);
    cr_expect_eq(claim_one(play, one), id);
    cr_expect_eq(play_claim(play, two, &id, 1), 0);
}

/* ---- timers, workers, transactions ---- */

CLAIM(timers_come_by_time_then_kind_then_id)
{
    static const struct timer want[] = {
        { .due_ms = 5, .kind = TIMER_EXPIRE, .id = 9 },
        { .due_ms = 7, .kind = TIMER_REQUEST, .id = 8, .argument = 3 },
        { .due_ms = 7, .kind = TIMER_FAN_OUT, .id = 1, .cursor = { 4, 5 } },
        { .due_ms = 7, .kind = TIMER_FAN_OUT, .id = 256 },
        { .due_ms = 300, .kind = TIMER_ABANDON, .id = 1 },
    };
    static const int order[] = { 3, 0, 4, 2, 1 };
    struct timer got;

    play_begin(play);
    cr_expect_eq(store_timer_first(play->store, &got), E_NOTFOUND);
    for (int i = 0; i < 5; i++)
        store_timer_set(play->store, &want[order[i]]);
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(store_timer_first(play->store, &got), 0);
        cr_expect_eq(got.due_ms, want[i].due_ms);
        cr_expect_eq(got.kind, want[i].kind);
        cr_expect_eq(got.id, want[i].id);
        cr_expect_eq(got.argument, want[i].argument);
        cr_expect_eq(got.cursor.batch, want[i].cursor.batch);
        cr_expect_eq(got.cursor.index, want[i].cursor.index);
        store_timer_drop(play->store, &got);
    }
    cr_expect_eq(store_timer_first(play->store, &got), E_NOTFOUND);
    play_commit(play);
}

CLAIM(workers_are_remembered)
{
    struct worker_row row = { .uuid = { 1 }, .slots = 5, .pid = 77 }, got;

    row.host = slice_of("host");
    row.own = slice_of("token");
    play_begin(play);
    cr_expect_eq(store_worker_after(play->store, NULL, &got), E_NOTFOUND);
    store_worker_put(play->store, &row);
    row.uuid[0] = 255;
    row.slots = 2;
    store_worker_put(play->store, &row);
    play_commit(play);
    play_reopen(play);
    play_begin(play);
    cr_assert_eq(store_worker_after(play->store, NULL, &got), 0);
    cr_expect_eq(got.uuid[0], 1);
    cr_expect_eq(got.slots, 5);
    cr_expect_eq(got.pid, 77);
    cr_expect(slice_is(got.host, "host"));
    cr_expect(slice_is(got.lock, ""));
    cr_expect(slice_is(got.own, "token"));
    cr_assert_eq(store_worker_after(play->store, got.uuid, &got), 0);
    cr_expect_eq(got.uuid[0], 255);
    cr_expect_eq(store_worker_after(play->store, got.uuid, &got), E_NOTFOUND);
    store_worker_drop(play->store, row.uuid);
    cr_assert_eq(store_worker_after(play->store, NULL, &got), 0);
    cr_expect_eq(store_worker_after(play->store, got.uuid, &got), E_NOTFOUND);
    play_commit(play);
}

CLAIM(request_that_gets_another_key_is_found_by_that_alone)
{
    uint64_t batch = play_batch(play, "k", "a"), id = claim_one(play, batch);
    struct request request = play_get_request(play, id);
    unsigned char key[DIGEST_BYTES];

    play_key("b", key);
    play_begin(play);
    store_request_rekey(play->store, &request, key);
    store_request_put(play->store, &request);
    play_commit(play);
    cr_expect_eq(play_find(play, "a"), 0);
    cr_expect_eq(play_find(play, "b"), id);
    /* What leads to another is left. */
    batch = play_batch(play, "k2", "c");
    request = play_get_request(play, claim_one(play, batch));
    play_begin(play);
    store_request_rekey(play->store, &request, key);
    store_request_put(play->store, &request);
    play_commit(play);
    cr_expect_eq(play_find(play, "c"), 0);
    cr_expect_eq(play_find(play, "b"), id);
}

CLAIM(aborted_transaction_gives_its_numbers_back)
{
    struct batch batch = { .state = BATCH_OPEN, .chunk_next = 1 };
    struct spec spec = { .client = slice_of("a"), .key = slice_of("k") };
    uint64_t first;

    play_begin(play);
    store_batch_add(play->store, &batch, &spec);
    first = batch.id;
    store_abort(play->store);
    play_begin(play);
    cr_expect_eq(store_batch_get(play->store, first, &batch), E_NOTFOUND);
    store_batch_add(play->store, &batch, &spec);
    cr_expect_eq(batch.id, first);
    play_abandon_at(play, &batch);
    play_commit(play);
}

CLAIM(group_numbers_and_the_latest_time_survive)
{
    int64_t latest = play->now_ms + 5;
    uint64_t group;
    struct err err;

    cr_assert_eq(store_begin(play->store, latest, &err), 0);
    group = store_group_next(play->store);
    play_commit(play);
    cr_assert_eq(store_begin(play->store, 1, &err), 0);
    cr_expect_eq(store_group_next(play->store), group + 1);
    play_commit(play);
    play_reopen(play);
    cr_expect_eq(store_latest_ms(play->store), latest);
    play_begin(play);
    cr_expect_eq(store_group_next(play->store), group + 2);
    store_abort(play->store);
}

CLAIM(what_the_clocks_showed_at_the_latest_time_survives)
{
    struct clock_mark mark = { .boot = "the boot's own", .boot_ms = 5 };
    const struct clock_mark *kept;

    mark.wall_ms = 1234567890123;
    store_mark(play->store, &mark);
    play_begin(play);
    store_group_next(play->store);
    store_worker_put(play->store, &(struct worker_row){ .pid = 1 });
    play_commit(play);
    /* Of a transaction that was nothing, nothing is kept. */
    mark.wall_ms++;
    store_mark(play->store, &mark);
    play_begin(play);
    store_worker_put(play->store, &(struct worker_row){ .pid = 2 });
    store_abort(play->store);
    play_reopen(play);
    kept = store_latest_mark(play->store);
    cr_expect_arr_eq(kept->boot, mark.boot, sizeof(mark.boot));
    cr_expect_eq(kept->boot_ms, 5);
    cr_expect_eq(kept->wall_ms, 1234567890123);
}

CLAIM(key_of_a_request_that_was_changed_serves_nobody)
{
    struct play_draft draft = { .id = "a", .word = "x" };
    uint64_t batch = play_batch(play, "k1", "x"), id = claim_one(play, batch);
    uint64_t other = play_open(play, "k2");
    struct request request = play_get_request(play, id);

    play_key("z", request.key);
    play_begin(play);
    store_request_put(play->store, &request);
    play_commit(play);
    play_add(play, other, &draft, 1);
    cr_expect_eq(draft.disposition, DRAFT_NEW);
    play_finish(play, id, STATUS_OK, "answer of z");
    cr_expect_eq(play_find(play, "z"), id);
}
