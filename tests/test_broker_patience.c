/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

TestSuite(broker_patience, .timeout = 30);

#define SLOTS 3
#define AHEAD 4

static struct bench bench;
static struct hand *hand;
static char uuid[BENCH_UUID_BYTES];

/* A batch of more requests than are leased, and a worker whose calls run. */
static void
set_up(void)
{
    struct buf lines = { 0 };

    bench_init(&bench, BENCH_STORE_MAX);
    bench.conf.group_window_ms = 0;
    bench.conf.slots_max = SLOTS;
    bench.conf.lease_ahead_max = AHEAD;
    bench.conf.commit_window_ms = 5;
    bench_start(&bench);
    hand = hand_new(&bench, SLOTS);
    for (int i = 0; i < 900; i++)
        buf_addf(&lines, "{'id':'%d','text':'text %d'}\n", i, i);
    bench_submit(&bench, "k", NULL, lines.data, uuid);
    bench_run(&bench);
    cr_assert_eq(hand_start(hand), SLOTS);
    bench_run(&bench);
    buf_fini(&lines);
}

static void
tear_down(void)
{
    bench_fini(&bench);
}

/* So many calls have ended; others start in their place. */
static void
answer(size_t count)
{
    for (size_t i = 0; i < count; i++)
        hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    cr_assert_eq(hand_start(hand), count);
}

/* Calls end one after another, so long from each other. */
static void
answer_each(int64_t gap_ms)
{
    for (int i = 0; i < 80; i++) {
        answer(1);
        bench_run(&bench);
        bench_advance(&bench, gap_ms);
    }
}

Test(broker_patience, an_answer_waits_where_calls_end_often, .init = set_up,
     .fini = tear_down)
{
    answer_each(4);
    answer(1);
    bench_turn(&bench);
    cr_expect_gt(bench.patience_ms, 0);
    answer(SLOTS - 1);
    bench_turn(&bench);
    cr_expect_gt(bench.patience_ms, 0, "the commit before does not count");
}

Test(broker_patience, an_answer_waits_for_none_that_will_not_come_soon,
     .init = set_up, .fini = tear_down)
{
    answer_each(6);
    answer(1);
    bench_turn(&bench);
    cr_expect_eq(bench.patience_ms, 0);
}

/* One answer waits for SLOTS - 1 others, so far apart as they have come since. */
Test(broker_patience, a_silence_tells_nothing_of_the_next_answers,
     .init = set_up, .fini = tear_down)
{
    bench_advance(&bench, 5000);
    for (int i = 0; i < 40; i++) {
        answer(1);
        bench_turn(&bench);
        if (i == 0)
            cr_expect_eq(bench.patience_ms, 0, "nothing is known");
        else
            cr_expect_eq(bench.patience_ms, SLOTS - 1, "answer %d: %lld", i,
                         (long long)bench.patience_ms);
        bench_run(&bench);
        bench_advance(&bench, 1);
    }
}

Test(broker_patience, a_round_of_calls_is_enough, .init = set_up,
     .fini = tear_down)
{
    answer_each(1);
    answer(SLOTS);
    bench_turn(&bench);
    cr_expect_eq(bench.patience_ms, 0);
}

Test(broker_patience, a_worker_that_has_started_all_gets_more_at_once,
     .init = set_up, .fini = tear_down)
{
    bool was_short = false;

    answer_each(1);
    bench.conf.lease_ahead_max = 0;
    for (int i = 0; i < 20; i++) {
        bool has_more = hand_count(hand, SLIP_WAITING) > 0;

        hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
        bench_turn(&bench);
        cr_assert_eq(bench.patience_ms > 0, has_more, "answer %d", i);
        was_short = was_short || !has_more;
        bench_run(&bench);
        (void)hand_start(hand);
        bench_run(&bench);
    }
    cr_expect(was_short);
}

/* A batch of one draft, which shares its request with the other one. */
Test(broker_patience, the_last_answer_of_a_batch_does_not_wait, .init = set_up,
     .fini = tear_down)
{
    char other[BENCH_UUID_BYTES];
    struct slip *last;

    answer_each(1);
    bench_submit(&bench, "other", NULL, "{'id':'a','text':'text 200'}\n",
                 other);
    for (int i = 0; i < 200 && !hand_find(hand, "text 200"); i++) {
        answer(1);
        bench_run(&bench);
        bench_advance(&bench, 1);
    }
    last = hand_find(hand, "text 200");
    cr_assert_not_null(last);
    hand_answer(hand, last, "answer");
    cr_assert_eq(hand_start(hand), 1);
    bench_turn(&bench);
    cr_expect_eq(bench.patience_ms, 0);
}

/* What it holds beyond its slots, after so many answers so long from each other.
 */
static size_t
ahead_at(int64_t gap_ms)
{
    answer_each(gap_ms);
    return hand_count(hand, SLIP_WAITING);
}

static void
expect_between(size_t got, size_t least, size_t most)
{
    cr_expect_geq(got, least, "%zu", got);
    cr_expect_leq(got, most, "%zu", got);
}

Test(broker_patience, leases_run_ahead_as_far_as_calls_are_short,
     .init = set_up, .fini = tear_down)
{
    cr_expect_eq(ahead_at(1), AHEAD, "the limit");
    bench.conf.lease_ahead_max = 40;
    cr_expect_eq(ahead_at(0), 40);
    bench.conf.lease_ahead_max = 64;
    expect_between(ahead_at(1), 48, 50);
    expect_between(ahead_at(4), 12, 13);
    cr_expect_eq(ahead_at(50), 8);
}

Test(broker_patience, answers_read_at_one_time_have_come_one_by_one,
     .init = set_up, .fini = tear_down)
{
    bench.conf.lease_ahead_max = 64;
    for (int i = 0; i < 20; i++) {
        answer(SLOTS);
        bench_run(&bench);
        bench_advance(&bench, 4 * SLOTS);
    }
    expect_between(hand_count(hand, SLIP_WAITING), 12, 13);
}

Test(broker_patience, leases_ahead_are_shared_by_the_workers, .init = set_up,
     .fini = tear_down)
{
    bench.conf.lease_ahead_max = 64;
    (void)hand_new(&bench, 1);
    bench_run(&bench);
    hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    bench_run(&bench);
    cr_assert_eq(hand->slots, SLOTS - 1, "the other one has got a slot");
    expect_between(ahead_at(1), 24, 25);
}

Test(broker_patience, nothing_waits_but_answers, .init = set_up,
     .fini = tear_down)
{
    answer_each(1);
    bench_turn(&bench);
    cr_expect_eq(bench.patience_ms, 0, "nothing has come");
    answer(1);
    hand_beat(hand);
    bench_turn(&bench);
    cr_expect_eq(bench.patience_ms, 0, "a beat");
    bench_run(&bench);
    answer(1);
    (void)bench_ask_later(&bench, NULL, "'verb':'stats'");
    bench_turn(&bench);
    cr_expect_eq(bench.patience_ms, 0, "a client");
    bench_run(&bench);
    answer(1);
    hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "throttled", 429, 1000);
    bench_turn(&bench);
    cr_expect_eq(bench.patience_ms, 0, "a failure");
}

Test(broker_patience, a_commit_that_failed_leaves_no_urgency, .init = set_up,
     .fini = tear_down)
{
    answer_each(1);
    hand_beat(hand);
    bench.fails = true;
    bench_turn(&bench);
    bench_run(&bench);
    answer(1);
    bench_turn(&bench);
    cr_expect_gt(bench.patience_ms, 0);
}

Test(broker_patience, without_a_window_nothing_waits, .init = set_up,
     .fini = tear_down)
{
    answer_each(0);
    bench.conf.commit_window_ms = 0;
    answer(1);
    bench_turn(&bench);
    cr_expect_eq(bench.patience_ms, 0);
}
