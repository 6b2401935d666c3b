/* Drafts that go over to the request of another key. */
/* SPDX-License-Identifier: MIT */
#include "tests/store_expect.h"

#include <string.h>

/* What a claimed request is rendered from has the key of another word now. *goes_on:
 * the request does, for others. */
static enum disposition
move_on(struct play *play, uint64_t id, const char *word, bool *goes_on)
{
    int rc;
    struct intake intake = play_intake(play);
    struct request request = play_get_request(play, id);
    struct new_draft fresh = { .route = "local",
                               .draft = play_get_draft(play, request.batch,
                                                       request.index) };

    play_key(word, fresh.key);
    play_begin(play);
    rc = store_draft_move(play->store, &request, &fresh, &intake);
    play_commit(play);
    cr_assert_geq(rc, 0);
    *goes_on = rc == 1;
    return fresh.disposition;
}

/* Nobody else waits for it. */
static enum disposition
move(struct play *play, uint64_t id, const char *word)
{
    bool goes_on;
    enum disposition disposition = move_on(play, id, word, &goes_on);

    cr_expect_not(goes_on);
    return disposition;
}

/* The request that a draft waits for. */
static uint64_t
waits_for(struct play *play, uint64_t batch, uint32_t index)
{
    return play_get_draft(play, batch, index).request;
}

CLAIM(draft_that_moves_makes_a_request_of_its_own)
{
    uint64_t batch = play_batch(play, "k", "x"), id = claim_one(play, batch),
             to;

    cr_expect_eq(move(play, id, "y"), DRAFT_NEW);
    to = waits_for(play, batch, 0);
    cr_expect_neq(to, id);
    cr_expect_eq(play_find(play, "x"), 0, "nobody has it any more");
    cr_expect_eq(play_find(play, "y"), to);
    cr_expect_eq(play_rows(play, TABLE_REQUEST), 1);
    cr_expect_eq(play_rows(play, TABLE_LEASE), 0);
    play_check(play);
    cr_expect_eq(claim_one(play, batch), to);
    play_finish(play, to, STATUS_OK, "answer");
    expect_state(play, batch, BATCH_FINISHED);
    cr_expect_eq(play_get_draft(play, batch, 0).tier, CACHE_NONE);
    cr_expect_eq(play_get_draft(play, batch, 0).cost_nano, PLAY_COST);
}

CLAIM(draft_that_moves_joins_what_waits)
{
    uint64_t batch = play_batch(play, "k", "x"), id = claim_one(play, batch);
    uint64_t other = play_batch(play, "l", "y"), to = play_find(play, "y");

    cr_expect_eq(move(play, id, "y"), DRAFT_JOINED);
    cr_expect_eq(waits_for(play, batch, 0), to);
    cr_expect_eq(claim_one(play, batch), to, "it is ready for both");
    play_finish(play, to, STATUS_OK, "answer");
    expect_status(play, batch, 0, STATUS_OK);
    expect_status(play, other, 0, STATUS_OK);
    expect_state(play, batch, BATCH_FINISHED);
    cr_expect_eq(play_get_draft(play, batch, 0).tier, CACHE_JOINED);
    cr_expect_eq(play_get_draft(play, batch, 0).cost_nano, 0);
    cr_expect_eq(play_get_batch(play, batch).cost_nano, BATCH_COST_UNKNOWN);
}

CLAIM(draft_that_moves_has_the_answer_that_is_there)
{
    uint64_t other = play_batch(play, "l", "y"), to = claim_one(play, other);
    uint64_t batch = play_batch(play, "k", "x"), id;

    play_finish(play, to, STATUS_OK, "answer");
    id = claim_one(play, batch);
    cr_expect_eq(move(play, id, "y"), DRAFT_CACHED);
    expect_status(play, batch, 0, STATUS_OK);
    expect_state(play, batch, BATCH_FINISHED);
    cr_expect_eq(play_get_draft(play, batch, 0).tier, CACHE_STORE);
    cr_expect_eq(play_get_draft(play, batch, 0).cost_nano, 0);
    cr_expect_eq(play_rows(play, TABLE_REQUEST), 1);
}

CLAIM(draft_that_moves_joins_no_answer_that_is_too_old)
{
    uint64_t other = play_batch(play, "l", "y"), to = claim_one(play, other);
    uint64_t batch = play_batch(play, "k", "x"), id;

    play_finish(play, to, STATUS_OK, "answer");
    play->cached_after_ms = play->now_ms;
    id = claim_one(play, batch);
    cr_expect_eq(move(play, id, "y"), DRAFT_NEW);
    cr_expect_neq(waits_for(play, batch, 0), to);
    cr_expect_eq(play_find(play, "y"), waits_for(play, batch, 0));
}

/* The others keep the request, its key and its fence; one of them pays. */
CLAIM(request_goes_on_for_those_that_stay)
{
    uint64_t batch = play_batch(play, "k", "x x"), id = claim_one(play, batch);
    uint64_t other = play_batch(play, "l", "x");
    struct request request;
    bool goes_on;

    cr_expect_eq(move_on(play, id, "y", &goes_on), DRAFT_NEW);
    cr_expect(goes_on);
    request = play_get_request(play, id);
    cr_expect_eq(request.state, REQUEST_LEASED);
    cr_expect_eq(request.batch, batch);
    cr_expect_eq(request.index, 1);
    cr_expect_eq(request.fence, 1);
    cr_expect_eq(play_find(play, "x"), id);
    cr_expect_eq(play_get_draft(play, batch, 1).tier, CACHE_NONE);
    cr_expect_eq(play_get_draft(play, other, 0).tier, CACHE_JOINED);
    play_check(play);
    play_finish(play, id, STATUS_OK, "of x");
    expect_status(play, batch, 0, STATUS_NONE);
    expect_status(play, batch, 1, STATUS_OK);
    expect_state(play, other, BATCH_FINISHED);
    play_finish(play, claim_one(play, batch), STATUS_OK, "of y");
    expect_state(play, batch, BATCH_FINISHED);
}

/* One that failed and is tried again is shown as it was, until there is better. */
CLAIM(failure_stays_until_the_new_request_is_answered)
{
    uint64_t batch = play_batch(play, "k", "x"), id = claim_one(play, batch),
             to;

    play_finish(play, id, STATUS_ERROR, "failed");
    play_retry(play, batch, 1u << STATUS_ERROR);
    (void)play_due(play, SIZE_MAX);
    cr_assert_eq(claim_one(play, batch), id);
    cr_expect_eq(move(play, id, "y"), DRAFT_NEW);
    to = waits_for(play, batch, 0);
    cr_expect_eq(play_get_draft(play, batch, 0).answered_by, id);
    expect_request(play, id, REQUEST_CANCELLED);
    play_check(play);
    cr_assert_eq(claim_one(play, batch), to);
    play_finish(play, to, STATUS_OK, "answer");
    expect_state(play, batch, BATCH_FINISHED);
    expect_status(play, batch, 0, STATUS_OK);
    cr_expect_eq(play_get_draft(play, batch, 0).answered_by, to);
    cr_expect_eq(play_get_batch(play, batch).retry_count, 0);
    cr_expect_eq(play_rows(play, TABLE_REQUEST), 1,
                 "nothing shows the old one");
}

CLAIM(failure_is_replaced_at_once_by_an_answer_that_is_there)
{
    uint64_t other = play_batch(play, "l", "y"), to = claim_one(play, other);
    uint64_t batch = play_batch(play, "k", "x"), id = claim_one(play, batch);

    play_finish(play, to, STATUS_OK, "answer");
    play_finish(play, id, STATUS_ERROR, "failed");
    play_retry(play, batch, 1u << STATUS_ERROR);
    (void)play_due(play, SIZE_MAX);
    cr_assert_eq(claim_one(play, batch), id);
    cr_expect_eq(move(play, id, "y"), DRAFT_CACHED);
    expect_state(play, batch, BATCH_FINISHED);
    expect_status(play, batch, 0, STATUS_OK);
    cr_expect_eq(play_get_batch(play, batch).retry_count, 0);
    cr_expect_eq(play_rows(play, TABLE_REQUEST), 1);
}

/* A draft that has ended takes no request along: the next one is rendered. */
CLAIM(draft_that_does_not_wait_moves_nowhere)
{
    uint64_t batch = play_batch(play, "k", "x"), id = claim_one(play, batch);
    uint64_t other = play_batch(play, "l", "x");
    bool goes_on;

    play_expire(play, batch);
    (void)play_due(play, SIZE_MAX);
    cr_assert_eq(play_get_request(play, id).batch, batch);
    (void)move_on(play, id, "y", &goes_on);
    cr_expect(goes_on);
    cr_expect_eq(waits_for(play, batch, 0), id);
    cr_expect_eq(play_get_request(play, id).batch, other);
    expect_request(play, id, REQUEST_LEASED);
    cr_expect_eq(play_find(play, "y"), 0);
    play_check(play);
    play_finish(play, id, STATUS_OK, "of x");
    expect_status(play, batch, 0, STATUS_OK);
    expect_status(play, other, 0, STATUS_OK);
}

/* Nobody waits for a request that was called until its batch expired. */
CLAIM(request_that_nobody_waits_for_is_not_moved)
{
    uint64_t batch = play_batch(play, "k", "x"), id = claim_one(play, batch);
    struct intake intake = play_intake(play);
    struct new_draft fresh = { .route = "local" };
    struct request request, own;

    play_expire(play, batch);
    (void)play_due(play, SIZE_MAX);
    request = play_get_request(play, id);
    fresh.draft = play_get_draft(play, batch, 0);
    play_key("y", fresh.key);
    play_begin(play);
    cr_expect_eq(store_draft_move(play->store, &request, &fresh, &intake),
                 E_NOTFOUND);
    cr_expect_eq(store_draft_part(play->store, &request, &fresh.draft, &own),
                 E_NOTFOUND);
    cr_expect_eq(own.id, 0);
    play_commit(play);
    expect_request(play, id, REQUEST_LEASED);
    cr_expect_eq(play_rows(play, TABLE_REQUEST), 1);
}

/* One that leads nowhere ends alone: its key is still that of the others. */
CLAIM(draft_that_parts_ends_for_itself)
{
    uint64_t batch = play_batch(play, "k", "x"), id = claim_one(play, batch);
    uint64_t other = play_batch(play, "l", "x");
    struct request request = play_get_request(play, id), own;
    struct draft draft = play_get_draft(play, batch, 0);

    play_begin(play);
    cr_assert_eq(store_draft_part(play->store, &request, &draft, &own), 1);
    play_commit(play);
    cr_expect_eq(waits_for(play, batch, 0), own.id);
    cr_expect_eq(waits_for(play, other, 0), id);
    cr_expect_eq(play_find(play, "x"), id);
    expect_request(play, id, REQUEST_LEASED);
    play_finish(play, own.id, STATUS_ERROR, "cannot be sent");
    expect_status(play, batch, 0, STATUS_ERROR);
    expect_status(play, other, 0, STATUS_NONE);
    cr_expect_eq(play_find(play, "x"), id);
    play_check(play);
    play_finish(play, id, STATUS_OK, "of x");
    expect_status(play, batch, 0, STATUS_ERROR);
    expect_state(play, other, BATCH_FINISHED);
}
