/* Drafts that are put back: who answers them then, and who pays. */
/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tests/store_expect.h"

#define FALLBACKS (1u << STATUS_SERVER_ERROR | 1u << STATUS_EXPIRED)
static void
count_failures(struct play *play, uint64_t id, uint32_t count)
{
    struct request request = play_get_request(play, id);

    request.failures = count;
    play_begin(play);
    store_request_put(play->store, &request);
    play_commit(play);
}

CLAIM(retry_puts_fallbacks_back_and_the_batch_finishes_again)
{
    uint64_t batch = play_batch(play, "k", "x x y"), ids[2], id;

    cr_assert_eq(play_claim(play, batch, ids, 2), 2);
    count_failures(play, ids[0], 5);
    play_finish(play, ids[0], STATUS_SERVER_ERROR, "essence");
    play_finish(play, ids[1], STATUS_BAD_REQUEST, "error");
    expect_state(play, batch, BATCH_FINISHED);
    play_retry(play, batch, 1u << STATUS_SERVER_ERROR);
    expect_state(play, batch, BATCH_SEALED);
    play_due(play, 10);
    play_check(play);
    cr_expect_eq(play_get_batch(play, batch).retry_count, 2);
    id = claim_one(play, batch);
    cr_expect_eq(id, ids[0]);
    cr_expect_eq(play_get_request(play, id).failures, 0);
    /* The result stays while it is tried again. */
    expect_status(play, batch, 0, STATUS_SERVER_ERROR);
    play_finish(play, id, STATUS_RATE_LIMITED, "worse");
    expect_state(play, batch, BATCH_FINISHED);
    expect_status(play, batch, 0, STATUS_SERVER_ERROR);
    cr_expect_eq(play_get_draft(play, batch, 0).revision, 1);
    play_retry(play, batch, 1u << STATUS_SERVER_ERROR);
    play_due(play, 10);
    play_finish(play, claim_one(play, batch), STATUS_OK, "answer");
    expect_state(play, batch, BATCH_FINISHED);
    expect_status(play, batch, 1, STATUS_OK);
    expect_status(play, batch, 2, STATUS_BAD_REQUEST);
    cr_expect_eq(play_get_draft(play, batch, 1).revision, 2);
}

CLAIM(retry_of_what_expired_runs_it)
{
    uint64_t batch = play_batch(play, "k", "x"), id = play_find(play, "x");

    play_expire(play, batch);
    play_due(play, 10);
    expect_request(play, id, REQUEST_CANCELLED);
    play_retry(play, batch, FALLBACKS);
    play_due(play, 10);
    cr_expect_eq(claim_one(play, batch), id);
    play_finish(play, id, STATUS_OK, "answer");
    expect_status(play, batch, 0, STATUS_OK);
    expect_state(play, batch, BATCH_FINISHED);
}

CLAIM(retry_touches_neither_answers_nor_what_waits)
{
    uint64_t batch = play_batch(play, "k", "x y"), id = claim_one(play, batch);

    play_finish(play, id, STATUS_OK, "answer");
    play_retry(play, batch, UINT32_MAX);
    play_due(play, 10);
    cr_expect_eq(play_get_batch(play, batch).retry_count, 0);
    expect_status(play, batch, 0, STATUS_OK);
    expect_status(play, batch, 1, STATUS_NONE);
    expect_state(play, batch, BATCH_SEALED);
}

CLAIM(retry_joins_a_newer_request_and_still_shows_the_old_result)
{
    uint64_t one = play_batch(play, "k1", "x"), old = claim_one(play, one);
    struct draft draft;
    uint64_t two, id;
    char text[RESULT_TEXT_BYTES];

    play_finish(play, old, STATUS_SERVER_ERROR, "old essence");
    two = play_batch(play, "k2", "x");
    id = claim_one(play, two);
    cr_expect_neq(id, old);
    play_retry(play, one, FALLBACKS);
    play_due(play, 10);
    cr_expect_eq(play_get_draft(play, one, 0).request, id);
    cr_expect_neq(next_result(play, one, 0, &draft, text), 0);
    cr_expect_str_eq(text, "old essence");
    cr_expect_eq(draft.tier, CACHE_NONE, "it paid for the old one");
    cr_expect_eq(draft.cost_nano, PLAY_COST);
    play_check(play);
    play_finish(play, id, STATUS_BAD_REQUEST, "no better");
    expect_state(play, one, BATCH_FINISHED);
    cr_expect_neq(next_result(play, one, 0, &draft, text), 0);
    cr_expect_str_eq(text, "old essence");
    cr_expect_eq(draft.status, STATUS_SERVER_ERROR);
    cr_expect_eq(draft.tier, CACHE_NONE);
    cr_expect_eq(draft.cost_nano, PLAY_COST);
    /* An answer to either is taken. */
    play_finish(play, old, STATUS_OK, "late");
    cr_expect_neq(next_result(play, one, 0, &draft, text), 0);
    cr_expect_str_eq(text, "late");
    expect_status(play, two, 0, STATUS_BAD_REQUEST);
}

/* A draft with a fallback that waits for a newer request, which another batch
 * has in flight. */
struct joined {
    uint64_t one, two;   /* batches: of the draft, of the newer request */
    uint64_t old, newer; /* requests */
};

static struct joined
join_newer(struct play *play)
{
    struct joined joined;

    joined.one = play_batch(play, "k1", "x");
    joined.old = claim_one(play, joined.one);
    play_finish(play, joined.old, STATUS_SERVER_ERROR, "old essence");
    joined.two = play_batch(play, "k2", "x");
    joined.newer = claim_one(play, joined.two);
    play_retry(play, joined.one, FALLBACKS);
    play_due(play, 10);
    cr_assert_eq(play_get_draft(play, joined.one, 0).request, joined.newer);
    return joined;
}

CLAIM(answer_to_a_newer_request_is_paid_by_whose_it_is)
{
    struct joined joined = join_newer(play);
    struct draft draft;
    char text[RESULT_TEXT_BYTES];

    play_finish(play, joined.newer, STATUS_OK, "answer");
    cr_expect_neq(next_result(play, joined.one, 0, &draft, text), 0);
    cr_expect_str_eq(text, "answer");
    cr_expect_eq(draft.tier, CACHE_JOINED);
    cr_expect_eq(draft.cost_nano, 0);
    cr_expect_eq(play_get_draft(play, joined.two, 0).tier, CACHE_NONE);
    cr_expect_eq(play_get_draft(play, joined.two, 0).cost_nano, PLAY_COST);
    play_check(play);
}

/* One that was cut off and made again, and one that was refused and put back. */
CLAIM(draft_pays_for_all_calls_that_were_made_for_it)
{
    uint64_t batch = play_batch(play, "k", "x"), id = claim_one(play, batch);
    const struct outcome spent = { .prompt_tokens = 3,
                                   .completion_tokens = 4,
                                   .total_tokens = 7,
                                   .cost_nano = 2 };
    struct request request = play_get_request(play, id);

    play_begin(play);
    store_charge(play->store, &request, &spent);
    play_commit(play);
    cr_expect_eq(play_get_draft(play, batch, 0).cost_nano, 2);
    play_finish(play, id, STATUS_SERVER_ERROR, "essence");
    cr_expect_eq(play_get_draft(play, batch, 0).cost_nano, 2 + PLAY_COST);
    play_retry(play, batch, FALLBACKS);
    play_due(play, 10);
    play_finish(play, claim_one(play, batch), STATUS_OK, "answer");
    cr_expect_eq(play_get_draft(play, batch, 0).cost_nano, 2 + 2 * PLAY_COST);
    cr_expect_eq(play_get_batch(play, batch).cost_nano, 2 + 2 * PLAY_COST);
    cr_expect_eq(play_get_batch(play, batch).total_tokens, 7 + 2);
    play_check(play);
}

CLAIM(cancelled_draft_pays_for_what_was_made_for_it)
{
    uint64_t batch = play_batch(play, "k", "x"), id = claim_one(play, batch);
    const struct outcome spent = { .cost_nano = 2 };
    struct request request = play_get_request(play, id);

    play_begin(play);
    store_charge(play->store, &request, &spent);
    play_commit(play);
    play_cancel(play, batch);
    play_due(play, 10);
    expect_status(play, batch, 0, STATUS_CANCELLED);
    cr_expect_eq(play_get_draft(play, batch, 0).cost_nano, 2);
    play_check(play);
}

CLAIM(late_failure_of_the_old_request_does_not_end_the_waiting)
{
    struct joined joined = join_newer(play);

    play_finish(play, joined.old, STATUS_ERROR, "late");
    cr_expect(play_get_draft(play, joined.one, 0).is_retrying);
    cr_expect_eq(play_get_draft(play, joined.one, 0).request, joined.newer);
    expect_state(play, joined.one, BATCH_SEALED);
    play_finish(play, joined.newer, STATUS_OK, "answer");
    expect_status(play, joined.one, 0, STATUS_OK);
    expect_state(play, joined.one, BATCH_FINISHED);
}

CLAIM(dropped_draft_leaves_both_its_requests)
{
    struct joined joined = join_newer(play);
    struct batch batch = play_get_batch(play, joined.one);
    struct request request;
    struct cursor cursor = { 0 };

    batch.state = BATCH_ABANDONED;
    play_begin(play);
    cr_expect_not(store_drop_drafts(play->store, &batch, &cursor, true, NULL));
    cr_expect_eq(store_request_get(play->store, joined.old, &request),
                 E_NOTFOUND);
    play_commit(play);
    expect_request(play, joined.newer, REQUEST_LEASED);
    /* Its timers find no batch. */
    play->now_ms = batch.deadline_ms;
    play_due(play, 10);
}

CLAIM(retry_becomes_the_source_of_an_orphan_in_flight)
{
    struct play_draft draft = { .id = "a", .word = "x" };
    uint64_t one = play_batch(play, "k1", "x"), two, id;

    play_finish(play, claim_one(play, one), STATUS_SERVER_ERROR, "essence");
    two = play_open(play, "k2");
    play_add(play, two, &draft, 1);
    id = claim_one(play, two);
    play_abort(play, two, true);
    play_due(play, 10);
    cr_expect_eq(play_get_request(play, id).batch, 0);
    play_retry(play, one, FALLBACKS);
    play_due(play, 10);
    cr_expect_eq(play_get_request(play, id).batch, one);
}

CLAIM(answer_of_a_dropped_draft_is_kept_for_others)
{
    struct play_draft draft = { .id = "a", .word = "x" };
    uint64_t one = play_open(play, "k1"), two = play_open(play, "k2");

    play_add(play, one, &draft, 1);
    play_finish(play, claim_one(play, one), STATUS_OK, "answer");
    play_abort(play, one, true);
    play_due(play, 10);
    play_add(play, two, &draft, 1);
    cr_expect_eq(draft.disposition, DRAFT_CACHED);
}

CLAIM(retry_takes_the_answer_that_a_newer_request_got)
{
    uint64_t one = play_batch(play, "k1", "x"), two;
    struct draft draft;
    char text[RESULT_TEXT_BYTES];

    play_finish(play, claim_one(play, one), STATUS_SERVER_ERROR, "essence");
    two = play_batch(play, "k2", "x");
    play_finish(play, claim_one(play, two), STATUS_OK, "answer");
    play_retry(play, one, FALLBACKS);
    play_due(play, 10);
    expect_state(play, one, BATCH_FINISHED);
    cr_expect_neq(next_result(play, one, 0, &draft, text), 0);
    cr_expect_str_eq(text, "answer");
    cr_expect_eq(draft.tier, CACHE_STORE);
    cr_expect_eq(draft.cost_nano, 0);
    cr_expect_eq(draft.revision, 2);
}

CLAIM(draft_that_gets_its_answer_elsewhere_waits_no_more)
{
    uint64_t one = play_batch(play, "k1", "x"), old = claim_one(play, one);
    uint64_t two, newer;

    play_finish(play, old, STATUS_SERVER_ERROR, "essence");
    two = play_batch(play, "k2", "x");
    newer = play_find(play, "x");
    play_retry(play, one, FALLBACKS);
    play_due(play, 10);
    play_cancel(play, two);
    play_due(play, 10);
    expect_request(play, newer, REQUEST_READY);
    play_finish(play, old, STATUS_OK, "late");
    expect_state(play, one, BATCH_FINISHED);
    expect_request(play, newer, REQUEST_CANCELLED);
    cr_expect_eq(play_claim(play, one, &newer, 1), 0);
}
