/* Requests: joined, served from what is known, claimed, and leased. */
/* SPDX-License-Identifier: MIT */
#include "tests/store_expect.h"

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
