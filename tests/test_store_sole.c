/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "store/rows.h"
#include "store/verify.h"
#include "tests/rot.h"

TestSuite(store_sole, .timeout = 60);

static struct play play;

static void
set_up(void)
{
    play_start(&play, PLAY_MEMORY);
}

static void
tear_down(void)
{
    play_check(&play);
    play_end(&play);
}

/* The rows that tell who refers to a request. */
static uint64_t
refs(void)
{
    struct engine *engine = play.store->engine;
    uint64_t count;

    play_begin(&play);
    count = engine->ops->rows(engine, TABLE_REF);
    store_abort(play.store);
    return count;
}

static uint64_t
drafts_of(uint64_t request)
{
    uint64_t count;

    play_begin(&play);
    count = store_request_drafts(play.store, request, 100);
    store_abort(play.store);
    return count;
}

/* An open batch of two drafts. */
static uint64_t
open_with(const char *key, const char *one, const char *other)
{
    struct play_draft drafts[] = { { .id = "0", .word = one },
                                   { .id = "1", .word = other } };
    uint64_t batch = play_open(&play, key);

    play_add(&play, batch, drafts, 2);
    return batch;
}

/* Writes a request as formats 1 to 4 did: with a row for each draft. */
static void
make_old(uint64_t id)
{
    struct request request;

    play_begin(&play);
    cr_assert_eq(store_request_get(play.store, id, &request), 0);
    cr_assert(request.is_sole);
    ref_add(play.store, &request, request.batch, request.index);
    play_commit(&play);
    cr_assert_not(play_get_request(&play, id).is_sole);
}

Test(store_sole, a_draft_that_shares_its_request_with_none_has_no_row,
     .init = set_up, .fini = tear_down)
{
    uint64_t batch = play_batch(&play, "k", "a b"), request;

    request = play_find(&play, "a");
    cr_expect(play_get_request(&play, request).is_sole);
    cr_expect_eq(refs(), 0);
    cr_expect_eq(drafts_of(request), 1);
    cr_assert_eq(play_claim(&play, batch, &request, 1), 1);
    play_finish(&play, request, STATUS_OK, "the answer");
    cr_expect_eq(play_get_draft(&play, batch, 0).status, STATUS_OK);
    cr_expect_eq(refs(), 0);
}

Test(store_sole, the_second_draft_brings_a_row_for_both, .init = set_up,
     .fini = tear_down)
{
    uint64_t first = play_batch(&play, "k1", "a b"), request, second;

    second = play_batch(&play, "k2", "a");
    request = play_find(&play, "a");
    cr_expect_not(play_get_request(&play, request).is_sole);
    cr_expect_eq(refs(), 2);
    (void)play_batch(&play, "k3", "a");
    cr_expect_eq(refs(), 3);
    cr_expect_eq(drafts_of(request), 3);
    cr_assert_eq(play_claim(&play, first, &request, 1), 1);
    play_finish(&play, request, STATUS_OK, "the answer");
    cr_expect_eq(play_get_draft(&play, first, 0).status, STATUS_OK);
    cr_expect_eq(play_get_draft(&play, second, 0).status, STATUS_OK);
}

Test(store_sole, an_answer_from_the_cache_has_a_row, .init = set_up,
     .fini = tear_down)
{
    uint64_t batch = play_batch(&play, "k1", "a"), request;

    cr_assert_eq(play_claim(&play, batch, &request, 1), 1);
    play_finish(&play, request, STATUS_OK, "the answer");
    batch = play_batch(&play, "k2", "a");
    cr_expect_eq(play_get_draft(&play, batch, 0).answered_by, request);
    cr_expect_eq(refs(), 2);
    cr_expect_eq(drafts_of(request), 2);
}

/* Whatever it was written by. */
Test(store_sole, nothing_is_left_when_all_batches_are_dropped, .init = set_up,
     .fini = tear_down)
{
    for (int old = 0; old <= 1; old++) {
        uint64_t batches[3];

        batches[0] = open_with("k1", "a", "b");
        batches[1] = open_with("k2", "c", "d");
        if (old) {
            make_old(play_find(&play, "a"));
            make_old(play_find(&play, "c"));
        }
        batches[2] = open_with("k3", "b", "d");
        for (int i = 0; i < 3; i++) {
            play_abort(&play, batches[i], true);
            play_due(&play, 10);
            play_check(&play);
        }
        cr_expect_eq(refs(), 0);
        cr_expect_eq(play_find(&play, "a"), 0);
        cr_expect_eq(play_find(&play, "b"), 0);
        cr_expect_eq(play_find(&play, "c"), 0);
    }
}

Test(store_sole, a_request_of_an_older_store_ends_like_others, .init = set_up,
     .fini = tear_down)
{
    uint64_t batch = play_batch(&play, "k1", "a"), request, other;

    make_old(play_find(&play, "a"));
    cr_expect_eq(refs(), 1);
    other = play_batch(&play, "k2", "a");
    cr_expect_eq(refs(), 2);
    cr_assert_eq(play_claim(&play, other, &request, 1), 1);
    play_finish(&play, request, STATUS_OK, "the answer");
    cr_expect_eq(play_get_draft(&play, batch, 0).status, STATUS_OK);
    cr_expect_eq(play_get_draft(&play, other, 0).status, STATUS_OK);
}

Test(store_sole, one_that_ended_badly_is_tried_again, .init = set_up,
     .fini = tear_down)
{
    uint64_t batch = play_batch(&play, "k", "a"), request;

    cr_assert_eq(play_claim(&play, batch, &request, 1), 1);
    play_finish(&play, request, STATUS_SERVER_ERROR, "the essence");
    play_retry(&play, batch, 1u << STATUS_SERVER_ERROR);
    play_due(&play, 10);
    cr_assert_eq(play_claim(&play, batch, &request, 1), 1);
    cr_expect(play_get_request(&play, request).is_sole);
    play_finish(&play, request, STATUS_OK, "the answer");
    cr_expect_eq(play_get_draft(&play, batch, 0).revision, 2);
    cr_expect_eq(refs(), 0);
}

/* What verify finds, and repair mends. */
static void
expect_mended(void)
{
    struct verify verify = play_verify(&play, NULL);
    struct err err = { 0 };

    cr_expect_gt(verify.findings, 0);
    verify = (struct verify){ 0 };
    cr_assert_eq(store_repair(play.store, &verify, &err), 0, "%s", err.msg);
    cr_expect_eq(verify.findings, 0);
    play_check(&play);
}

Test(store_sole, a_request_that_names_a_wrong_draft_is_found, .init = set_up,
     .fini = tear_down)
{
    struct request request;
    uint64_t batch = play_batch(&play, "k", "a b"), ids[2];

    request = play_get_request(&play, play_find(&play, "a"));
    request.index = 1;
    play_begin(&play);
    store_request_put(play.store, &request);
    play_commit(&play);
    expect_mended();
    cr_assert_eq(play_claim(&play, batch, ids, 2), 2);
    play_finish(&play, ids[0], STATUS_OK, "one");
    play_finish(&play, ids[1], STATUS_OK, "two");
    cr_expect_eq(play_get_draft(&play, batch, 0).status, STATUS_OK);
    cr_expect_eq(play_get_draft(&play, batch, 1).status, STATUS_OK);
}

Test(store_sole, a_request_that_is_not_the_only_one_is_found, .init = set_up,
     .fini = tear_down)
{
    struct request request;
    uint64_t batch = play_batch(&play, "k", "a a"), id = play_find(&play, "a");

    request = play_get_request(&play, id);
    request.is_sole = true;
    play_begin(&play);
    store_request_put(play.store, &request);
    play_commit(&play);
    expect_mended();
    cr_expect_eq(drafts_of(id), 2);
    cr_assert_eq(play_claim(&play, batch, &id, 1), 1);
    play_finish(&play, id, STATUS_OK, "both");
    cr_expect_eq(play_get_draft(&play, batch, 1).status, STATUS_OK);
}

Test(store_sole, a_row_that_is_not_needed_is_removed, .init = set_up,
     .fini = tear_down)
{
    struct request request;

    (void)play_batch(&play, "k", "a");
    request = play_get_request(&play, play_find(&play, "a"));
    make_old(request.id);
    play_begin(&play);
    store_request_put(play.store, &request);
    play_commit(&play);
    cr_assert_eq(refs(), 1);
    expect_mended();
    cr_expect_eq(refs(), 0);
}
