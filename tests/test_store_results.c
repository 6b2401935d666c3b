/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tests/store_expect.h"

#define FALLBACKS (1u << STATUS_SERVER_ERROR | 1u << STATUS_EXPIRED)

/* ---- results ---- */

CLAIM(finish_gives_each_draft_one_result)
{
    uint64_t batch = play_batch(play, "k1", "x x y"), ids[2], seq = 0;
    uint64_t other = play_batch(play, "k2", "x");
    struct draft draft;
    char text[RESULT_TEXT_BYTES];

    cr_assert_eq(play_claim(play, batch, ids, 2), 2);
    play_finish(play, ids[0], STATUS_OK, "of x");
    expect_state(play, batch, BATCH_SEALED);
    expect_state(play, other, BATCH_FINISHED);
    play_finish(play, ids[1], STATUS_SERVER_ERROR, "of y");
    expect_state(play, batch, BATCH_FINISHED);
    play_reopen(play);
    seq = next_result(play, batch, 0, &draft, text);
    cr_expect_eq(draft.index, 0);
    cr_expect_str_eq(text, "of x");
    cr_expect_eq(draft.tier, CACHE_NONE);
    cr_expect_eq(draft.cost_nano, PLAY_COST);
    seq = next_result(play, batch, seq, &draft, text);
    cr_expect_eq(draft.index, 1);
    cr_expect_eq(draft.tier, CACHE_JOINED);
    cr_expect_eq(draft.cost_nano, 0);
    seq = next_result(play, batch, seq, &draft, text);
    cr_expect_eq(draft.status, STATUS_SERVER_ERROR);
    cr_expect_str_eq(text, "of y");
    cr_expect_eq(next_result(play, batch, seq, &draft, text), 0);
    cr_expect_eq(next_result(play, batch, UINT64_MAX, &draft, text), 0);
    cr_expect_eq(play_get_batch(play, batch).cost_nano, 2 * PLAY_COST);
    cr_expect_eq(play_get_batch(play, batch).total_tokens, 2);
    cr_expect_eq(play_get_batch(play, other).cost_nano, BATCH_COST_UNKNOWN);
    /* Over all batches, in one order. */
    seq = 0;
    for (uint64_t count = 1, next; count <= 4; count++, seq = next) {
        next = next_result(play, 0, seq, &draft, text);
        cr_expect_gt(next, seq);
    }
    cr_expect_eq(next_result(play, 0, seq, &draft, text), 0);
}

CLAIM(results_are_found_by_index)
{
    uint64_t batch = play_batch(play, "k", "a b c"), ids[3];
    struct result_row row;

    cr_assert_eq(play_claim(play, batch, ids, 3), 3);
    play_finish(play, ids[1], STATUS_OK, "of b");
    play_begin(play);
    cr_assert_eq(store_result_at(play->store, batch, 0, &row), 0);
    cr_expect_eq(row.draft.index, 1);
    cr_expect(slice_is(row.reply, "of b"));
    cr_expect(slice_is(row.line, "{\"id\":\"1\",\"word\":\"b\"}\n"));
    cr_expect_eq(store_result_at(play->store, batch, 2, &row), E_NOTFOUND);
    cr_expect_eq(store_result_at(play->store, batch, UINT32_MAX, &row),
                 E_NOTFOUND);
    store_abort(play->store);
}

CLAIM(late_success_upgrades_fallbacks_with_a_new_seq)
{
    uint64_t batch = play_batch(play, "k", "x x"), id = claim_one(play, batch);
    struct draft draft, before;
    char text[RESULT_TEXT_BYTES];

    play_finish(play, id, STATUS_SERVER_ERROR, "essence");
    before = play_get_draft(play, batch, 0);
    cr_expect_eq(before.revision, 1);
    play_finish(play, id, STATUS_OK, "late");
    draft = play_get_draft(play, batch, 0);
    cr_expect_eq(draft.status, STATUS_OK);
    cr_expect_eq(draft.revision, 2);
    cr_expect_gt(draft.seq, before.seq);
    cr_expect_eq(next_result(play, batch, 0, &draft, text), 3);
    cr_expect_str_eq(text, "late");
    cr_expect_eq(next_result(play, batch, 3, &draft, text), 4);
    cr_expect_eq(next_result(play, batch, 4, &draft, text), 0);
    cr_expect_eq(play_get_batch(play, batch).status_count[STATUS_OK], 2);
}

CLAIM(worse_end_leaves_the_result_and_a_second_answer_too)
{
    uint64_t batch = play_batch(play, "k", "x"), id = claim_one(play, batch);
    struct draft draft;
    char text[RESULT_TEXT_BYTES];

    play_finish(play, id, STATUS_OK, "first");
    play_finish(play, id, STATUS_SERVER_ERROR, "worse");
    play_finish(play, id, STATUS_OK, "second");
    cr_expect_eq(next_result(play, batch, 0, &draft, text), 1);
    cr_expect_str_eq(text, "first");
    cr_expect_eq(draft.revision, 1);
    cr_expect_eq(play_get_batch(play, batch).cost_nano, PLAY_COST);
}

CLAIM(popular_answer_reaches_all_its_drafts_in_slices)
{
    enum { DRAFTS = 2 * STORE_SLICE_MAX + 500 };
    struct play_draft *drafts = mem_zalloc(DRAFTS, sizeof(*drafts));
    char(*ids)[8] = mem_zalloc(DRAFTS, sizeof(*ids));
    uint64_t batch = play_open(play, "k"), id;

    for (uint32_t i = 0; i < DRAFTS; i++) {
        snprintf(ids[i], sizeof(ids[i]), "%u", i);
        drafts[i] = (struct play_draft){ .id = ids[i], .word = "x" };
    }
    play_add(play, batch, drafts, DRAFTS);
    play_seal(play, batch);
    id = claim_one(play, batch);
    play_finish(play, id, STATUS_OK, "of all");
    cr_expect_eq(play_get_batch(play, batch).status_count[STATUS_OK],
                 STORE_SLICE_MAX);
    play_check(play);
    play_reopen(play);
    cr_expect_eq(play_due(play, 1), 1);
    cr_expect_eq(play_get_batch(play, batch).status_count[STATUS_OK],
                 2 * STORE_SLICE_MAX);
    expect_state(play, batch, BATCH_SEALED);
    cr_expect_eq(play_due(play, 10), 1);
    expect_state(play, batch, BATCH_FINISHED);
    expect_status(play, batch, DRAFTS - 1, STATUS_OK);
    free(drafts);
    free(ids);
}

/* ---- cancel, expire ---- */

CLAIM(cancel_ends_drafts_and_requests)
{
    uint64_t batch = play_batch(play, "k", "a b c"), ids[2];
    uint64_t waiting = play_find(play, "c");

    cr_assert_eq(play_claim(play, batch, ids, 2), 2);
    play_finish(play, ids[0], STATUS_OK, "answer");
    play_cancel(play, batch);
    play_due(play, 10);
    expect_status(play, batch, 0, STATUS_OK);
    expect_status(play, batch, 1, STATUS_CANCELLED);
    expect_status(play, batch, 2, STATUS_CANCELLED);
    expect_request(play, ids[1], REQUEST_CANCELLED);
    expect_request(play, waiting, REQUEST_CANCELLED);
    cr_expect_eq(play->told_off, 1);
    play_check(play);
    /* It is final: an answer that comes after it goes to the cache. */
    play_finish(play, ids[1], STATUS_OK, "late");
    expect_status(play, batch, 1, STATUS_CANCELLED);
    expect_request(play, ids[1], REQUEST_DONE);
}

CLAIM(cancel_leaves_what_another_batch_needs)
{
    uint64_t one = play_batch(play, "k1", "x y"), ids[2];
    uint64_t two = play_batch(play, "k2", "x y");
    struct request request;

    cr_assert_eq(play_claim(play, one, ids, 1), 1);
    play_cancel(play, one);
    play_due(play, 10);
    cr_expect_eq(play->told_off, 0);
    expect_request(play, ids[0], REQUEST_LEASED);
    play_check(play);
    /* The other batch renders it, and pays for it, from now on. */
    request = play_get_request(play, ids[0]);
    cr_expect_eq(request.batch, two);
    cr_expect_eq(request.index, 0);
    play_finish(play, ids[0], STATUS_OK, "answer");
    expect_status(play, two, 0, STATUS_OK);
    cr_expect_eq(play_get_draft(play, two, 0).cost_nano, PLAY_COST);
    cr_expect_eq(play_claim(play, one, ids, 1), 0);
    cr_expect_eq(play_claim(play, two, ids, 1), 1);
    play_finish(play, ids[0], STATUS_OK, "answer");
    expect_state(play, two, BATCH_FINISHED);
    cr_expect_eq(play_get_batch(play, two).cost_nano, 2 * PLAY_COST);
}

CLAIM(expired_draft_keeps_its_essence_until_a_late_answer)
{
    uint64_t batch = play_batch(play, "k", "x y"), id = claim_one(play, batch);
    struct draft draft;
    char text[RESULT_TEXT_BYTES];

    play->now_ms = play_get_batch(play, batch).deadline_ms;
    cr_expect_eq(play_due(play, 10), 2);
    expect_state(play, batch, BATCH_EXPIRED);
    /* What is in flight is paid for: it may still come. */
    expect_request(play, id, REQUEST_LEASED);
    cr_expect_eq(play->told_off, 0);
    expect_request(play, play_find(play, "y"), REQUEST_CANCELLED);
    play_check(play);
    cr_expect_neq(next_result(play, batch, 0, &draft, text), 0);
    cr_expect_eq(draft.status, STATUS_EXPIRED);
    cr_expect_str_eq(text, "essence of 0: {\"id\":\"0\",\"word\":\"x\"}\n");
    play_finish(play, id, STATUS_OK, "late");
    expect_status(play, batch, 0, STATUS_OK);
    cr_expect_eq(play_get_draft(play, batch, 0).revision, 2);
    play_begin(play);
    cr_expect_eq(store_usage(play->store).results, 2);
    store_abort(play->store);
}

CLAIM(request_that_lost_its_drafts_is_not_tried_again)
{
    uint64_t batch = play_batch(play, "k", "x y"), ids[2];

    cr_assert_eq(play_claim(play, batch, ids, 2), 2);
    play_expire(play, batch);
    play_due(play, 10);
    play_release(play, ids[0]);
    expect_request(play, ids[0], REQUEST_CANCELLED);
    play_delay(play, ids[1], play->now_ms + 1);
    expect_request(play, ids[1], REQUEST_CANCELLED);
    play->now_ms++;
    cr_expect_eq(play_due(play, 10), 0);
}

CLAIM(sweeps_go_on_after_a_slice)
{
    enum { DRAFTS = STORE_SLICE_MAX + 10 };
    struct play_draft *drafts = mem_zalloc(DRAFTS, sizeof(*drafts));
    char(*ids)[8] = mem_zalloc(DRAFTS, sizeof(*ids));
    uint64_t batch = play_open(play, "k");

    for (uint32_t i = 0; i < DRAFTS; i++) {
        snprintf(ids[i], sizeof(ids[i]), "%u", i);
        drafts[i] = (struct play_draft){ .id = ids[i], .word = ids[i] };
    }
    play_add(play, batch, drafts, DRAFTS);
    play_seal(play, batch);
    play_expire(play, batch);
    cr_expect_eq(play_due(play, 1), 1);
    expect_status(play, batch, STORE_SLICE_MAX, STATUS_NONE);
    play_check(play);
    play_reopen(play);
    cr_expect_eq(play_due(play, 10), 1);
    expect_status(play, batch, DRAFTS - 1, STATUS_EXPIRED);
    play_retry(play, batch, FALLBACKS);
    cr_expect_eq(play_due(play, 1), 1);
    cr_expect_eq(play_get_batch(play, batch).retry_count, STORE_SLICE_MAX);
    play_check(play);
    play_cancel(play, batch);
    play_due(play, 10);
    cr_expect_eq(play_get_batch(play, batch).retry_count, 0);
    expect_status(play, batch, 0, STATUS_EXPIRED);
    free(drafts);
    free(ids);
}

CLAIM(retry_before_the_sweep_is_through_puts_back_what_it_did_not_reach)
{
    uint64_t one = play_batch(play, "k1", "x x"), id = play_find(play, "x");
    uint64_t two = play_batch(play, "k2", "x");

    /* Expired, and not swept yet: the last who wants it goes. */
    play_expire(play, one);
    play_cancel(play, two);
    while (play_get_draft(play, two, 0).status == STATUS_NONE)
        play_due(play, 1);
    expect_request(play, id, REQUEST_CANCELLED);
    play_retry(play, one, FALLBACKS);
    play_due(play, 10);
    expect_request(play, id, REQUEST_READY);
    play_check(play);
    play_finish(play, claim_one(play, one), STATUS_OK, "answer");
    expect_state(play, one, BATCH_FINISHED);
}

/* ---- drop ---- */

CLAIM(dropped_batch_leaves_nothing)
{
    struct play_draft drafts[] = { { .id = "a", .word = "x" },
                                   { .id = NULL },
                                   { .id = "b", .word = "y" } };
    uint64_t batch = play_open(play, "k");
    struct store_usage usage;
    struct batch record;

    play_add(play, batch, drafts, 3);
    play_abort(play, batch, true);
    play_due(play, 10);
    play_begin(play);
    usage = store_usage(play->store);
    cr_expect_eq(usage.batches, 0);
    cr_expect_eq(usage.drafts, 0);
    cr_expect_eq(usage.requests, 0);
    cr_expect_eq(usage.ready, 0);
    cr_expect_eq(store_batch_get(play->store, batch, &record), E_NOTFOUND);
    store_abort(play->store);
    cr_expect_eq(play_open(play, "k"), batch + 1, "a number is used once");
}

CLAIM(abandoned_batch_keeps_its_record)
{
    struct play_draft draft = { .id = "a", .word = "x" };
    uint64_t batch = play_open(play, "k");

    play_add(play, batch, &draft, 1);
    play_abort(play, batch, false);
    play_due(play, 10);
    expect_state(play, batch, BATCH_ABANDONED);
    cr_expect_eq(play_find(play, "x"), 0);
}

CLAIM(request_of_a_dropped_draft_goes_on_for_the_others)
{
    struct play_draft draft = { .id = "a", .word = "x" };
    uint64_t batch = play_open(play, "k1"), other, id;
    struct request request;

    play_add(play, batch, &draft, 1);
    id = play_find(play, "x");
    other = play_batch(play, "k2", "y x");
    play_abort(play, batch, true);
    play_due(play, 10);
    request = play_get_request(play, id);
    cr_expect_eq(request.state, REQUEST_READY);
    cr_expect_eq(request.batch, other);
    cr_expect_eq(request.index, 1);
    play_finish(play, id, STATUS_OK, "answer");
    cr_expect_eq(play_get_draft(play, other, 1).cost_nano, PLAY_COST);
}

CLAIM(draft_that_joins_an_orphan_in_flight_becomes_its_source)
{
    struct play_draft draft = { .id = "a", .word = "x" };
    uint64_t batch = play_open(play, "k1"), id;
    struct request request;

    play_add(play, batch, &draft, 1);
    id = claim_one(play, batch); /* an early batch */
    play_abort(play, batch, true);
    play_due(play, 10);
    request = play_get_request(play, id);
    cr_expect_eq(request.state, REQUEST_LEASED);
    cr_expect_eq(request.batch, 0);
    play_check(play);
    batch = play_batch(play, "k2", "x");
    request = play_get_request(play, id);
    cr_expect_eq(request.batch, batch);
    play_release(play, id);
    cr_expect_eq(claim_one(play, batch), id);
}

CLAIM(request_whose_last_waiting_batch_is_dropped_is_cancelled)
{
    struct play_draft draft = { .id = "a", .word = "x" };
    uint64_t one = play_batch(play, "k1", "x"), two = play_open(play, "k2");
    uint64_t id = play_find(play, "x");

    play_add(play, two, &draft, 1);
    play_cancel(play, one);
    play_due(play, 10);
    expect_request(play, id, REQUEST_READY);
    play_abort(play, two, true);
    play_due(play, 10);
    expect_request(play, id, REQUEST_CANCELLED);
}
