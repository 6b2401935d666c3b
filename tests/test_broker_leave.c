/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

TestSuite(broker_leave, .timeout = 30);

#define DRAFTS 20

static struct bench bench;
static char uuid[BENCH_UUID_BYTES];

static void
set_up(void)
{
    bench_init(&bench, BENCH_STORE_MAX);
    bench_start(&bench);
}

static void
tear_down(void)
{
    bench_fini(&bench);
}

static void
submit(void)
{
    struct buf lines = { 0 };

    for (int i = 0; i < DRAFTS; i++)
        buf_addf(&lines, "{'id':'%d','text':'text %d'}\n", i, i);
    bench_submit(&bench, "k", NULL, lines.data, uuid);
    buf_fini(&lines);
    bench_advance(&bench, bench.conf.group_window_ms);
}

/* What sheaf-worker does when it is told to end: says so, gives back what it has
 * not started. */
static void
leave(struct hand *hand)
{
    struct slip *slip;

    hand->is_draining = true;
    hand_beat(hand);
    while ((slip = hand_slip(hand, SLIP_WAITING, 0))) {
        hand_say(hand, "{'verb':'release','held':[[%lld,%lld]]}",
                 (long long)slip->request, (long long)slip->fence);
        hand_forget(hand, slip);
    }
    bench_run(&bench);
}

Test(broker_leave, a_worker_that_leaves_is_leased_nothing, .init = set_up,
     .fini = tear_down)
{
    struct hand *hand = hand_new(&bench, 5), *next;

    submit();
    cr_assert_eq(hand_start(hand), 5);
    leave(hand);
    cr_expect_eq(hand->slip_count, 5);
    cr_expect_eq(bench_stat(&bench, "requests_leased"), 5);
    /* Its slots are another's as its calls end. */
    next = hand_new(&bench, 5);
    bench_run(&bench);
    cr_expect_eq(next->slots, 0);
    hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    bench_run(&bench);
    cr_expect_eq(next->slots, 1);
    cr_expect_eq(hand->slip_count, 4);
    cr_expect_eq(hand_start(next), 1);
    while (hand_slip(hand, SLIP_RUNNING, 0))
        hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    hand_bye(hand);
    bench_work(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    cr_expect_eq(bench.call_count, DRAFTS);
    cr_expect_eq(bench_stat(&bench, "leases_lost"), 0);
}

Test(broker_leave, the_next_broker_leases_it_nothing_either, .init = set_up,
     .fini = tear_down)
{
    struct hand *hand = hand_new(&bench, 5);

    submit();
    hand_start(hand);
    leave(hand);
    bench_restart(&bench);
    hand_hello(hand);
    bench_run(&bench);
    cr_expect_eq(hand->slip_count, 5);
    bench_advance(&bench, bench.conf.heartbeat_ms * 3);
    cr_expect_eq(hand->slip_count, 5);
    while (hand_slip(hand, SLIP_RUNNING, 0))
        hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    bench_run(&bench);
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 5);
    cr_expect_eq(bench_stat(&bench, "requests_leased"), 0);
}

/* The word that sends it away is lost with its link. */
Test(broker_leave, one_that_missed_its_drain_is_told_again, .init = set_up,
     .fini = tear_down)
{
    struct hand *hand = hand_new(&bench, 5);
    struct worker_view view;
    struct err err = { 0 };

    bench_run(&bench);
    cr_assert(broker_worker_at(bench.broker, 0, &view));
    cr_assert_eq(store_begin(bench.store, bench.now_ms, &err), 0);
    broker_dismiss(bench.broker, view.uuid);
    store_abort(bench.store);
    hand_disconnect(hand);
    bench_run(&bench);
    cr_expect_not(hand->is_draining);
    hand_hello(hand);
    bench_run(&bench);
    cr_expect(hand->is_draining);
}
