/* SPDX-License-Identifier: MIT */
#include "store/store.h"

#include <string.h>

#include "tests/put_body.h"
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
    put_body(play->store, batch, &chunk, buf_slice(&body), drafts, count);
    store_chunk_put(play->store, batch, &chunk);
    for (size_t i = 0; i < count; i++) {
        uint64_t last = i > 0 ? drafts[i - 1].draft.part : 1;

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
    put_body(play->store, batch, &chunk,
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
