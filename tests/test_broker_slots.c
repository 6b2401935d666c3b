/* Slots: lent to workers, and never more than there are. */
/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

TestSuite(broker_slots, .timeout = 30);

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

static int64_t
slots_of_all(void)
{
    int64_t sum = 0;

    for (size_t i = 0; i < bench.hand_count; i++)
        sum += bench.hands[i]->is_alive ? bench.hands[i]->slots : 0;
    return sum;
}

Test(broker_slots, slots_are_shared_and_never_exceed_the_limit, .init = set_up,
     .fini = tear_down)
{
    struct hand *first = hand_new(&bench, 64), *second, *third;

    bench_submit_many(&bench, "k", 60, uuid);
    cr_expect_eq(first->slots, 5);
    cr_expect_eq(first->slip_count, (size_t)5 + 8);
    bench_start_calls(&bench);
    cr_expect_eq(bench.in_flight, 5);
    /* The others have to wait until the first one gives slots back. */
    second = hand_new(&bench, 1);
    third = hand_new(&bench, 64);
    bench_run(&bench);
    cr_expect_eq(first->slots, 2);
    cr_expect_eq(second->slots + third->slots, 0);
    bench_start_calls(&bench);
    cr_expect_eq(bench.in_flight, 5);
    for (int i = 0; i < 3; i++) {
        hand_answer(first, hand_slip(first, SLIP_RUNNING, 0), "answer");
        bench_run(&bench);
        bench_start_calls(&bench);
    }
    cr_expect_eq(bench.in_flight, 5);
    cr_expect_eq(second->slots, 1, "its capacity");
    cr_expect_eq(slots_of_all(), 5);
    /* Two go, in their ways; all is the third one's. */
    while (hand_slip(first, SLIP_RUNNING, 0))
        hand_answer(first, hand_slip(first, SLIP_RUNNING, 0), "answer");
    bench_run(&bench);
    hand_bye(first);
    while (first->slip_count)
        hand_forget(first, &first->slips[0]);
    first->slots = 0;
    hand_kill(second);
    bench_run(&bench);
    cr_expect_eq(third->slots, 5);
    bench_work(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    cr_expect_eq(bench.in_flight_most, 5);
    cr_expect_eq(bench_stat(&bench, "slots_lent"), 5);
}

Test(broker_slots, few_drafts_are_spread_over_all_workers, .init = set_up,
     .fini = tear_down)
{
    struct hand *first = hand_new(&bench, 5), *second = hand_new(&bench, 5);

    bench_run(&bench);
    bench_submit_many(&bench, "k", 5, uuid);
    cr_expect_eq(first->slip_count, 3);
    cr_expect_eq(second->slip_count, 2);
}

/* Nothing is heard of it any more: until its calls must have ended, its slots
 * are nobody else's. */
Test(broker_slots, a_lost_worker_keeps_its_slots_until_its_calls_have_ended,
     .init = set_up, .fini = tear_down)
{
    struct hand *lost = hand_new(&bench, 5), *next;
    int64_t call_ms = bench.conf.upstreams[0].request_timeout_ms;

    bench_submit_many(&bench, "k", 3, uuid);
    bench_start_calls(&bench);
    cr_assert_eq(bench.in_flight, 3);
    hand_beat(lost);
    bench_run(&bench);
    hand_disconnect(lost);
    next = hand_new(&bench, 5);
    bench_advance(&bench, call_ms - bench.conf.lease_ms);
    cr_expect_eq(next->slots, 0);
    cr_expect_eq(next->slip_count, 0);
    bench_advance(&bench, bench.conf.lease_ms * 2);
    cr_expect_eq(next->slots, 5);
    cr_expect_eq(next->slip_count, 3);
    cr_expect_gt(next->slips[0].fence, 1);
    bench_work(&bench);
    cr_expect_eq(bench.call_count, 6);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    cr_expect_eq(bench_stat(&bench, "leases_lost"), 3);
}

Test(broker_slots, a_dead_worker_frees_its_slots_at_once, .init = set_up,
     .fini = tear_down)
{
    struct hand *dead = hand_new(&bench, 5), *next;
    struct worker_view view;

    bench_submit_many(&bench, "k", 3, uuid);
    bench_start_calls(&bench);
    next = hand_new(&bench, 5);
    bench_run(&bench);
    cr_assert(broker_worker_at(bench.broker, 0, &view));
    cr_expect(view.is_here);
    cr_expect(view.is_online);
    cr_expect_eq(view.pid, (uint32_t)dead->number);
    cr_expect_str_eq(view.own, BENCH_OWN);
    hand_kill(dead);
    cr_expect_eq(next->slots, 5);
    cr_expect_eq(next->slip_count, 3);
    cr_expect_eq(next->slips[0].fence, 2);
    bench_work(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    cr_assert(broker_worker_at(bench.broker, 0, &view));
    cr_expect_not(broker_worker_at(bench.broker, 1, &view));
}

Test(broker_slots, after_a_restart_slots_wait_for_the_workers_that_had_them,
     .init = set_up, .fini = tear_down)
{
    struct hand *gone = hand_new(&bench, 5), *next;

    bench_submit_many(&bench, "k", 5, uuid);
    hand_start(gone);
    bench_restart(&bench);
    next = hand_new(&bench, 5);
    bench_advance(&bench, 300000);
    cr_expect_eq(next->slots, 0);
    bench_advance(&bench, 400000);
    cr_expect_eq(next->slots, 5);
    bench_work(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
}

/* It comes back when its slots are another one's: it must stop starting. */
Test(broker_slots, a_worker_that_comes_back_takes_no_slots_that_were_lent,
     .init = set_up, .fini = tear_down)
{
    struct hand *lost = hand_new(&bench, 5), *next;

    bench_submit_many(&bench, "k", 40, uuid);
    hand_disconnect(lost);
    next = hand_new(&bench, 5);
    bench_advance(&bench, 700000);
    cr_assert_eq(next->slots, 5);
    hand_start(next);
    lost->slots = 5; /* as it remembers */
    hand_hello(lost);
    bench_run(&bench);
    bench_start_calls(&bench);
    cr_expect_eq(bench.in_flight, 5);
    bench_work(&bench);
    cr_expect_eq(bench.in_flight_most, 5);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    cr_expect_eq(slots_of_all(), 5);
}

/* A worker's answer to an earlier word says nothing about a later one. */
Test(broker_slots, words_that_cross_lend_nothing_twice, .init = set_up,
     .fini = tear_down)
{
    struct hand *first = hand_new(&bench, 5), *second, *third;

    bench_submit_many(&bench, "k", 40, uuid);
    cr_assert_eq(first->slots, 5);
    bench.is_slow = true;
    second = hand_new(&bench, 5);
    bench_turn(&bench); /* the first is to keep 3 */
    hand_read(second);
    hand_bye(second);
    bench_turn(&bench); /* and may have all again */
    third = hand_new(&bench, 5);
    bench_turn(&bench); /* or not */
    for (int i = 0; i < 10 && first->slots == 5; i++)
        hand_read_one(first);
    cr_assert_eq(first->slots, 3);
    bench_turn(&bench);
    hand_read(third);
    bench_turn(&bench);
    hand_read(third);
    hand_start(third);
    hand_read_one(first);
    hand_start(first);
    hand_read(first);
    bench.is_slow = false;
    bench_work(&bench);
    cr_expect_eq(bench.in_flight_most, 5);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
}

Test(broker_slots, slots_survive_commits_that_fail, .init = set_up,
     .fini = tear_down)
{
    struct hand *first = hand_new(&bench, 5), *second;

    bench_submit_many(&bench, "k", 40, uuid);
    hand_start(first);
    /* What was lent before the start is still lent. */
    bench_restart(&bench);
    bench.fails = true;
    second = hand_new(&bench, 5);
    bench_advance(&bench, 5000);
    cr_expect_eq(second->slots, 0);
    hand_hello(first);
    bench_run(&bench);
    cr_expect_eq(first->slots, 3);
    /* What was lent, and never told, is told again. */
    for (int i = 0; i < 2; i++)
        hand_forget(first, hand_slip(first, SLIP_RUNNING, 0));
    bench.fails = true;
    first->slots_told = 3;
    hand_say(first, "{'verb':'slots','count':3}");
    bench_run(&bench);
    cr_expect_eq(second->slots, 2);
    bench_advance(&bench, bench.conf.heartbeat_ms * 2);
    bench_work(&bench);
    cr_expect_eq(bench.in_flight_most, 5);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
}

/* In a full store, also where it was said alone. */
Test(broker_slots, what_was_said_of_them_and_found_no_room_is_asked_again,
     .init = set_up, .fini = tear_down)
{
    struct hand *first = hand_new(&bench, 5), *second;

    bench_submit_many(&bench, "k", 40, uuid);
    cr_assert_eq(first->slots, 5);
    bench.is_slow = true;
    second = hand_new(&bench, 5);
    bench_turn(&bench);
    hand_read(first); /* it is to keep 3, and says so */
    cr_assert_eq(first->slots, 3);
    bench.fails = 2;
    bench_turn(&bench);
    bench.is_slow = false;
    bench_run(&bench);
    cr_expect_eq(bench.fails, 0);
    cr_expect_eq(second->slots, 2);
    bench_work(&bench);
    cr_expect_eq(bench.in_flight_most, 5);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
}
