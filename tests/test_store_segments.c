/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "tests/rot.h"
#include "tests/segment_play.h"
#include "tests/store_expect.h"

#define SEGMENT_BYTES 8 /* of a batch's record, the newest one */

CLAIM(results_of_a_batch_that_runs_alone_take_no_row)
{
    struct turns turns;

    turns_begin(&turns, play, 2, 5);
    turns_take(&turns, play, "aaaaabbbbb");
    play_reopen(play);
    cr_expect_eq(play_rows(play, TABLE_DONE), 0);
    cr_expect_str_eq(segment_play_newest(play, turns.batches[0]), "1-5");
    cr_expect_str_eq(segment_play_newest(play, turns.batches[1]), "6-10");
    segment_play_expect_all(play, turns.batches[0]);
    segment_play_expect_all(play, turns.batches[1]);
}

/* The gap is two, in a play. */
CLAIM(segment_ends_before_a_result_that_comes_late)
{
    struct turns turns;

    turns_begin(&turns, play, 2, 8);
    turns_take(&turns, play, "abab");
    cr_expect_str_eq(segment_play_newest(play, turns.batches[0]), "1-3");
    cr_expect_str_eq(segment_play_rows(play, turns.batches[0]), "");
    turns_take(&turns, play, "bba");
    cr_expect_str_eq(segment_play_rows(play, turns.batches[0]), "1-3");
    cr_expect_str_eq(segment_play_newest(play, turns.batches[0]), "7-7");
    turns_take(&turns, play, "bba");
    cr_expect_str_eq(segment_play_rows(play, turns.batches[0]), "1-3 7-7");
    cr_expect_str_eq(segment_play_rows(play, turns.batches[1]), "");
    cr_expect_str_eq(segment_play_newest(play, turns.batches[1]), "2-9");
    segment_play_expect_all(play, turns.batches[0]);
    segment_play_expect_all(play, turns.batches[1]);
}

CLAIM(segment_of_one_goes_with_its_result)
{
    uint64_t batch;
    struct turns turns;

    turns_begin(&turns, play, 2, 12);
    batch = turns.batches[0];
    turns_take(&turns, play, "AbbbAAbbbAbb");
    cr_expect_str_eq(segment_play_rows(play, batch), "1-1 5-6");
    cr_expect_str_eq(segment_play_newest(play, batch), "10-10");
    play_retry(play, batch, FALLBACKS);
    play_due(play, 10);
    turns.next[0] = 0;
    turns_take(&turns, play, "a");
    cr_expect_str_eq(segment_play_rows(play, batch), "5-6 10-10");
    cr_expect_str_eq(segment_play_newest(play, batch), "13-13");
    turns.next[0] = 3;
    turns_take(&turns, play, "bbba");
    cr_expect_str_eq(segment_play_rows(play, batch), "5-6 13-13");
    turns.next[0] = 1;
    turns_take(&turns, play, "aa");
    /* Which leads to nothing now. */
    cr_expect_str_eq(segment_play_rows(play, batch), "5-6 13-13");
    cr_expect_str_eq(segment_play_newest(play, batch), "17-19");
    segment_play_expect_all(play, batch);
    play_check(play);
}

/* The newest one, before it was a row. */
CLAIM(newest_segment_of_one_goes_with_its_result)
{
    struct turns turns;

    turns_begin(&turns, play, 2, 4);
    turns_take(&turns, play, "Abbb");
    cr_expect_str_eq(segment_play_newest(play, turns.batches[0]), "1-1");
    play_retry(play, turns.batches[0], FALLBACKS);
    play_due(play, 10);
    turns.next[0] = 0;
    turns_take(&turns, play, "a");
    cr_expect_str_eq(segment_play_rows(play, turns.batches[0]), "");
    cr_expect_str_eq(segment_play_newest(play, turns.batches[0]), "5-5");
    segment_play_expect_all(play, turns.batches[0]);
}

/* An open batch: of one that is dropped whole nothing is left, of another its
 * record, which leads to no result. */
static void
drop_one(struct play *play, const char *key, bool is_whole)
{
    enum { DRAFTS = 3 };
    struct play_draft drafts[DRAFTS] = { { .id = "1" },
                                         { .id = "2" },
                                         { .id = "3" } };
    struct turns turns;
    uint64_t batch = play_open(play, key), ids[DRAFTS];

    for (int i = 0; i < DRAFTS; i++)
        drafts[i].word = is_whole ? &"w0\0w1\0w2"[3 * i] : &"p0\0p1\0p2"[3 * i];
    play_add(play, batch, drafts, DRAFTS);
    cr_assert_eq(play_claim(play, batch, ids, DRAFTS), DRAFTS);
    turns_begin(&turns, play, 1, 3);
    play_finish(play, ids[0], STATUS_OK, "x");
    turns_take(&turns, play, "aaa");
    play_finish(play, ids[1], STATUS_OK, "x");
    cr_expect_eq(play_rows(play, TABLE_DONE), 1);
    cr_expect_neq(play_get_batch(play, batch).segment_first, 0);
    play_abort(play, batch, is_whole);
    play_due(play, 10);
    cr_expect_eq(play_rows(play, TABLE_DONE), 0);
    if (!is_whole)
        cr_expect_eq(play_get_batch(play, batch).segment_first, 0);
}

CLAIM(dropped_batch_leaves_no_segments)
{
    drop_one(play, "k", true);
}

CLAIM(abandoned_batch_has_no_segments)
{
    drop_one(play, "k", false);
}

/* ---- any order ---- */

struct dice {
    uint64_t random;
};

static uint64_t
pick(struct dice *dice, uint64_t below)
{
    dice->random = dice->random * 6364136223846793005u + 1442695040888963407u;
    return (dice->random >> 33) % below;
}

/* One of several batches gets a result, or has its fallbacks tried again. */
static void
take_any_turn(struct play *play, struct turns *turns, size_t batches,
              struct dice *dice)
{
    size_t i = pick(dice, batches);
    uint64_t id;

    if (pick(dice, 8) == 0) {
        play_retry(play, turns->batches[i], FALLBACKS);
        play_due(play, 10);
    }
    if (play_get_batch(play, turns->batches[i]).state != BATCH_SEALED)
        return;
    if (play_claim(play, turns->batches[i], &id, 1) == 0)
        return;
    play_finish(play, id, pick(dice, 2) ? STATUS_OK : STATUS_SERVER_ERROR, "x");
}

CLAIM(results_of_batches_in_any_order_are_read)
{
    enum { BATCHES = 4, DRAFTS = 12, STEPS = 120 };
    struct dice dice = { .random = 7 };

    for (uint64_t gap = 1; gap <= 4; gap++) {
        struct turns turns = { 0 };

        store_keep_apart(play->store, gap);
        for (size_t i = 0; i < BATCHES; i++) {
            struct buf words = { 0 };
            char key[8];

            for (size_t n = 0; n < DRAFTS; n++)
                buf_addf(&words, "%s%c%zu%d", n ? " " : "", (int)('a' + i), n,
                         (int)gap);
            snprintf(key, sizeof(key), "%zu%d", i, (int)gap);
            turns.batches[i] = play_batch(play, key, words.data);
            buf_fini(&words);
        }
        for (int step = 0; step < STEPS; step++)
            take_any_turn(play, &turns, BATCHES, &dice);
        for (size_t i = 0; i < BATCHES; i++)
            segment_play_expect_all(play, turns.batches[i]);
        play_check(play);
    }
    cr_expect_gt(play_rows(play, TABLE_DONE), 10);
}

/* ---- damage ---- */

CLAIM(damaged_segment_leaves_nothing_out)
{
    struct turns turns;
    uint64_t batch;

    turns_begin(&turns, play, 3, 10);
    batch = turns.batches[0];
    turns_take(&turns, play, "aacccabbbaacccabcbabba");
    cr_expect_gt(play_rows(play, TABLE_DONE), 4);
    for (uint64_t nth = 0; rot_row(play->store, TABLE_DONE, nth, ROT_FLIP, 3);
         nth++) {
        segment_play_expect_all(play, batch);
        segment_play_expect_all(play, turns.batches[1]);
        segment_play_expect_all(play, turns.batches[2]);
    }
    for (uint64_t nth = 0; rot_row(play->store, TABLE_DONE, nth, ROT_FLIP, 3);
         nth++) {
        continue;
    }
}

CLAIM(damaged_batch_leaves_none_of_its_results_out)
{
    struct result_row row;
    uint64_t seq = 0, batch;
    struct turns turns;
    int count = 0;

    turns_begin(&turns, play, 2, 8);
    batch = turns.batches[0];
    turns_take(&turns, play, "abbbababbba");
    cr_assert(rot_row(play->store, TABLE_BATCH, 0, ROT_FLIP, 7));
    play_begin(play);
    while (store_result_after(play->store, batch, seq, &row) == 0) {
        seq = row.draft.seq;
        count++;
    }
    store_abort(play->store);
    cr_expect_eq(count, 4);
    cr_assert(rot_row(play->store, TABLE_BATCH, 0, ROT_FLIP, 7));
}

/* Whoever reads on is told of it, and where. */
CLAIM(damaged_place_of_a_result_is_told)
{
    struct result_row row;
    struct turns turns;

    turns_begin(&turns, play, 2, 4);
    turns_take(&turns, play, "ababa");
    cr_assert(rot_row(play->store, TABLE_RESULT, 2, ROT_FLIP, 7));
    play_begin(play);
    cr_expect_eq(store_result_after(play->store, turns.batches[0], 1, &row),
                 E_CORRUPT);
    cr_expect_eq(row.draft.seq, 3);
    cr_expect_eq(store_result_after(play->store, turns.batches[0], 3, &row), 0);
    cr_expect_eq(row.draft.seq, 5);
    store_abort(play->store);
    cr_assert(rot_row(play->store, TABLE_RESULT, 2, ROT_FLIP, 7));
}

/* ---- many of others ---- */

static void
put_result(struct play *play, uint64_t seq, uint64_t batch, uint32_t index)
{
    result_order(play->store,
                 &(struct draft){ .batch = batch, .index = index, .seq = seq });
}

/* One call looks at so many rows, and the next one goes on. */
Test(store_segments, one_call_passes_over_so_many_of_others)
{
    enum { FIRST = 10, PASSED = 2 * RESULT_PASSED_MAX + 5 };
    struct result_row row;
    struct turns turns;
    struct batch batch;
    struct play play;

    play_start(&play, PLAY_MEMORY);
    turns_begin(&turns, &play, 1, 2);
    turns_take(&turns, &play, "a");
    batch = play_get_batch(&play, turns.batches[0]);
    play_begin(&play);
    for (uint64_t seq = 0; seq < PASSED; seq++)
        put_result(&play, FIRST + seq, batch.id + 1, 0);
    batch.last_seq = FIRST + PASSED - 3;
    batch_put(play.store, &batch);
    cr_assert_eq(store_result_after(play.store, batch.id, 0, &row), 0);
    cr_expect_eq(row.passed, 0);
    cr_expect_eq(store_result_after(play.store, batch.id, 1, &row), 1);
    cr_expect_eq(row.passed, RESULT_PASSED_MAX);
    cr_expect_eq(row.draft.seq, FIRST + RESULT_PASSED_MAX - 1);
    cr_expect_eq(store_result_after(play.store, batch.id, row.draft.seq, &row),
                 1);
    cr_expect_eq(store_result_after(play.store, batch.id, row.draft.seq, &row),
                 E_NOTFOUND);
    /* Behind the last one that it has, nobody looks. */
    cr_expect_eq(store_result_after(play.store, batch.id, batch.last_seq, &row),
                 E_NOTFOUND);
    cr_expect_eq(row.passed, 1);
    store_abort(play.store);
    play_end(&play);
}

/* What was gone over when there was nothing is not read again: a segment that leads
 * to nothing is one look, however long it is. */
CLAIM(segment_that_was_emptied_is_passed_over)
{
    struct result_row row;
    struct turns turns;

    turns_begin(&turns, play, 2, 8);
    turns_take(&turns, play, "AAAAbbba");
    play_retry(play, turns.batches[0], FALLBACKS);
    play_due(play, 10);
    turns.next[0] = 0;
    turns_take(&turns, play, "aaaa");
    cr_expect_str_eq(segment_play_rows(play, turns.batches[0]), "1-4");
    play_begin(play);
    cr_assert_eq(store_result_after(play->store, turns.batches[0], 0, &row), 0);
    cr_expect_eq(row.draft.seq, 8);
    cr_expect_eq(row.passed, 1);
    store_abort(play->store);
    segment_play_expect_all(play, turns.batches[0]);
}

/* ---- a store of format 6 ---- */

/* Writes what leads to the results of a batch as it was before. */
static void
make_old(struct play *play, uint64_t id)
{
    struct batch batch = play_get_batch(play, id);
    struct segment segment;
    struct draft draft;
    struct buf *out;

    play_begin(play);
    while (segment_row(play->store, id, 1, &segment) == 0) {
        table_del(play->store, TABLE_DONE, key_u64(key_id(id), segment.first));
    }
    for (uint32_t index = 0; index < batch.draft_count; index++) {
        cr_assert_eq(store_draft_get(play->store, id, index, &draft), 0);
        if (draft.seq == 0)
            continue;
        record_u32(table_fields(play->store), index);
        table_put(play->store, TABLE_DONE, key_u64(key_id(id), draft.seq));
    }
    out = table_fields(play->store);
    batch_encode(&batch, out);
    out->bytes -= SEGMENT_BYTES;
    table_put(play->store, TABLE_BATCH, key_id(id));
    play_commit(play);
}

CLAIM(results_of_an_older_store_are_segments_of_one)
{
    struct turns turns;
    uint64_t batch;

    turns_begin(&turns, play, 2, 10);
    batch = turns.batches[0];
    turns_take(&turns, play, "aAbbbaAb");
    make_old(play, batch);
    make_old(play, turns.batches[1]);
    cr_expect_str_eq(segment_play_rows(play, batch), "1-1 2-2 6-6 7-7");
    cr_expect_str_eq(segment_play_newest(play, batch), "0-7");
    play_check(play);
    segment_play_expect_all(play, batch);
    play_reopen(play);
    /* What comes now is in segments, what is replaced is gone. */
    turns_take(&turns, play, "aabbba");
    cr_expect_str_eq(segment_play_rows(play, batch), "1-1 2-2 6-6 7-7 9-10");
    cr_expect_str_eq(segment_play_newest(play, batch), "14-14");
    play_retry(play, batch, FALLBACKS);
    play_due(play, 10);
    turns.next[0] = 1;
    turns_take(&turns, play, "a");
    cr_expect_str_eq(segment_play_rows(play, batch), "1-1 6-6 7-7 9-10");
    cr_expect_str_eq(segment_play_newest(play, batch), "14-15");
    segment_play_expect_all(play, batch);
    segment_play_expect_all(play, turns.batches[1]);
    play_check(play);
    play_cancel(play, batch);
    play_due(play, 10);
    segment_play_expect_all(play, batch);
}

/* ---- a chunk that could not be added ---- */

/* Answered at once from the cache, before another draft could not be added: nobody
 * writes the batch then. */
CLAIM(results_before_a_damaged_name_are_read)
{
    struct new_draft fresh[2] = { 0 };
    struct intake intake = play_intake(play);
    struct chunk chunk = { 0 };
    struct result_row row;
    struct batch record;
    uint64_t batch;

    play_finish(play, claim_one(play, play_batch(play, "k", "x")), STATUS_OK,
                "answer");
    batch = play_open(play, "l");
    play_add(play, batch, &(struct play_draft){ .id = "a", .word = "y" }, 1);
    cr_assert(rot_row(play->store, TABLE_SPAN, 1, ROT_FLIP, 9));
    record = play_get_batch(play, batch);
    for (uint32_t i = 0; i < 2; i++) {
        fresh[i].draft.index = i + 1;
        fresh[i].route = "local";
        fresh[i].id = slice_of(i ? "a" : "b");
        play_key("x", fresh[i].key);
    }
    play_begin(play);
    cr_expect_eq(
        store_drafts_add(play->store, &record, &chunk, fresh, 2, &intake),
        E_CORRUPT);
    cr_expect_eq(fresh[0].disposition, DRAFT_CACHED);
    /* Behind another's, so that it is looked for in a segment. */
    cr_expect_eq(store_result_after(play->store, batch, 0, &row), 0);
    cr_expect_eq(row.draft.index, 1);
    cr_expect_eq(row.passed, 1);
    store_abort(play->store);
    cr_assert(rot_row(play->store, TABLE_SPAN, 1, ROT_FLIP, 9));
}
