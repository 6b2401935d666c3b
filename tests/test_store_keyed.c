/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "store/rows.h"
#include "store/verify.h"
#include "tests/store_play.h"

TestSuite(store_keyed, .timeout = 60);

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

/* One of two requests with the key of "a" is found by it, and both know. */
static void
expect_holder(uint64_t holder, uint64_t other, const char *when)
{
    cr_expect_eq(play_find(&play, "a"), holder, "%s", when);
    cr_expect(play_get_request(&play, holder).is_keyed, "%s", when);
    cr_expect_not(play_get_request(&play, other).is_keyed, "%s", when);
}

/* A request whose batch expired while it was leased, and one made after it. */
static void
make_two(uint64_t *batch, uint64_t *old, uint64_t *new)
{
    uint64_t first = play_batch(&play, "k", "a");

    cr_assert_eq(play_claim(&play, first, old, 1), 1);
    cr_expect(play_get_request(&play, *old).is_keyed);
    play_expire(&play, first);
    (void)play_due(&play, SIZE_MAX);
    play_release(&play, *old);
    *batch = play_batch(&play, "l", "a");
    cr_assert_eq(play_claim(&play, *batch, new, 1), 1);
    cr_assert_neq(*old, *new);
    expect_holder(*new, *old, "the newer one took it over");
}

Test(store_keyed, the_one_that_was_answered_last_is_found, .init = set_up,
     .fini = tear_down)
{
    uint64_t batch, old, new;

    make_two(&batch, &old, &new);
    play_finish(&play, old, STATUS_OK, "late");
    expect_holder(old, new, "answered late");
    play_finish(&play, new, STATUS_OK, "in time");
    expect_holder(new, old, "answered after that");
}

Test(store_keyed, a_failure_takes_no_key_over, .init = set_up,
     .fini = tear_down)
{
    uint64_t batch, old, new;

    make_two(&batch, &old, &new);
    play_finish(&play, old, STATUS_OK, "late");
    play_finish(&play, new, STATUS_ERROR, "failed");
    expect_holder(old, new, "it is the answer");
}

/* As of a store from before requests knew. */
Test(store_keyed, one_that_does_not_know_is_looked_for, .init = set_up,
     .fini = tear_down)
{
    uint64_t batch, old, new;
    struct request request;

    make_two(&batch, &old, &new);
    request = play_get_request(&play, new);
    request.is_keyed = false;
    play_begin(&play);
    store_request_put(play.store, &request);
    play_commit(&play);
    play_finish(&play, new, STATUS_OK, "answer");
    expect_holder(new, old, "it was found already");
}

Test(store_keyed, what_it_says_of_itself_is_verified, .init = set_up,
     .fini = tear_down)
{
    uint64_t batch, old, new;
    struct verify verify = { 0 };
    struct request request;
    struct err err = { 0 };

    make_two(&batch, &old, &new);
    request = play_get_request(&play, old);
    request.is_keyed = true;
    play_begin(&play);
    store_request_put(play.store, &request);
    play_commit(&play);
    verify = play_verify(&play, NULL);
    cr_expect_eq(verify.findings, 1);
    verify = (struct verify){ 0 };
    cr_assert_eq(store_repair(play.store, &verify, &err), 0, "%s", err.msg);
    cr_expect_eq(verify.findings, 0);
    expect_holder(old, new, "mended");
}
