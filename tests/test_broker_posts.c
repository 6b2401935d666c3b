/* Tries to post an event: by workers that die, leave, or say nothing. */
/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>

#include "queue/deliveries.h"
#include "tests/broker_event.h"

TestSuite(broker_posts, .timeout = 30);

#define SECOND INT64_C(1000)

static struct bench bench;
static struct hand *hand;
static char uuid[BENCH_UUID_BYTES];

static void
set_up(void)
{
    hand = event_bench(&bench);
}

static void
set_up_one(void)
{
    event_bench_one(&bench);
}

static void
tear_down(void)
{
    bench_fini(&bench);
}

Test(broker_posts, a_worker_that_dies_loses_what_it_was_to_post, .init = set_up,
     .fini = tear_down)
{
    struct hand *second = hand_new(&bench, 1);
    char id[64];

    bench_run(&bench);
    event_finish(&bench, "k", uuid);
    if (hand->parcel_count == 0) {
        struct hand *other = hand;

        hand = second;
        second = other;
    }
    cr_assert_eq(hand->parcel_count, 1);
    snprintf(id, sizeof(id), "%s", hand->parcels[0].id);
    hand_kill(hand);
    bench_run(&bench);
    cr_assert_eq(second->parcel_count, 1, "at once, to the other one");
    cr_expect_str_eq(second->parcels[0].id, id);
    cr_expect_eq(second->parcels[0].attempt, 2);
    cr_expect_eq(bench_stat(&bench, "events_lost"), 1);
    hand_posted(second, 0, "failed", 500, 0);
    bench_run(&bench);
    event_expect(&bench, 0, "waiting", 2, 500);
}

Test(broker_posts, a_worker_that_says_nothing_is_waited_for_so_long,
     .init = set_up, .fini = tear_down)
{
    event_finish(&bench, "k", uuid);
    bench_advance(&bench, 15000 + DELIVERIES_MARGIN_MS - 1);
    event_expect(&bench, 0, "given", 1, 0);
    bench_advance(&bench, 1);
    event_expect(&bench, 0, "waiting", 1, 0);
    bench_advance(&bench, 6 * SECOND);
    cr_assert_eq(hand->parcel_count, 2);
    /* Its first try ended well after all: nothing else is of interest. */
    hand_posted(hand, 0, "ok", 200, 0);
    bench_run(&bench);
    event_expect(&bench, 0, "delivered", 2, 200);
    hand_posted(hand, 0, "failed", 500, 0);
    bench_run(&bench);
    event_expect(&bench, 0, "delivered", 2, 200);
    cr_expect_eq(hand->noted_count, 2, "both are confirmed");
}

Test(broker_posts, a_try_that_never_arrived_is_made_at_once, .init = set_up,
     .fini = tear_down)
{
    cJSON *row;

    bench_ask(&bench, NULL, "'verb':'webhook_test','webhook':'all'");
    cr_assert_eq(hand->parcel_count, 1);
    bench.is_slow = true;
    bench_ask(&bench, NULL, "'verb':'webhook_test','webhook':'all'");
    bench.is_slow = false;
    hand_disconnect(hand);
    hand_hello(hand);
    bench_run(&bench);
    cr_assert_eq(hand->parcel_count, 2, "one that it has, and the lost one");
    cr_expect_eq(hand->parcels[0].attempt, 1);
    cr_expect_eq(hand->parcels[1].attempt, 2);
    row = event_listed(&bench, 0);
    cr_expect_eq(at_int(row, "failures"), 0);
    cJSON_Delete(row);
}

Test(broker_posts, a_late_failure_of_an_earlier_try_is_nothing, .init = set_up,
     .fini = tear_down)
{
    event_finish(&bench, "k", uuid);
    bench_advance(&bench, 15000 + DELIVERIES_MARGIN_MS + 6 * SECOND);
    cr_assert_eq(hand->parcel_count, 2);
    hand_posted(hand, 0, "failed", 410, 0);
    bench_run(&bench);
    event_expect(&bench, 0, "given", 2, 0);
}

Test(broker_posts, what_a_worker_cannot_make_is_no_failure, .init = set_up,
     .fini = tear_down)
{
    cJSON *row;

    event_finish(&bench, "k", uuid);
    hand_posted(hand, 0, "unmade", 0, 0);
    bench_run(&bench);
    cr_expect_eq(hand->parcel_count, 0, "not again at once");
    cr_expect_leq(event_wait(hand, 2 * SECOND), 1100);
    row = event_listed(&bench, 0);
    cr_expect_eq(at_int(row, "failures"), 0);
    cJSON_Delete(row);
}

Test(broker_posts, a_restart_forgets_no_wait_and_repeats_no_try, .init = set_up,
     .fini = tear_down)
{
    event_finish(&bench, "k", uuid);
    hand_posted(hand, 0, "failed", 500, 0);
    bench_advance(&bench, 6 * SECOND);
    cr_assert_eq(hand->parcel_count, 1);
    hand_posted(hand, 0, "failed", 500, 0);
    bench_run(&bench);
    bench_restart(&bench);
    hand_hello(hand);
    bench_run(&bench);
    cr_expect_geq(event_wait(hand, 340 * SECOND), 299 * SECOND);
    /* While it is on its way. */
    bench_restart(&bench);
    hand_hello(hand);
    bench_advance(&bench, SECOND);
    cr_assert_eq(hand->parcel_count, 1, "it is not given twice");
    hand_posted(hand, 0, "ok", 200, 0);
    bench_run(&bench);
    event_expect(&bench, 0, "delivered", 3, 200);
}

Test(broker_posts, a_worker_that_died_with_the_broker_loses_it_too,
     .init = set_up, .fini = tear_down)
{
    event_finish(&bench, "k", uuid);
    hand_die(hand);
    bench_restart(&bench);
    bench_run(&bench);
    hand_kill(hand);
    hand = hand_new(&bench, 1);
    bench_run(&bench);
    cr_assert_eq(hand->parcel_count, 1);
    cr_expect_eq(hand->parcels[0].attempt, 2);
}

/* What was given in a transaction that failed was never sent. */
Test(broker_posts, a_try_whose_commit_fails_is_made_all_the_same,
     .init = set_up, .fini = tear_down)
{
    event_finish(&bench, "k", uuid);
    hand_posted(hand, 0, "failed", 500, 0);
    bench_run(&bench);
    bench.now_ms += 6 * SECOND;
    bench.fails = true;
    bench_turn(&bench);
    bench_advance(&bench, SECOND);
    cr_assert_eq(hand->parcel_count, 1);
    cr_expect_eq(hand->parcels[0].attempt, 2);
}

Test(broker_posts, only_a_worker_with_the_secret_is_given_anything,
     .init = set_up_one, .fini = tear_down)
{
    struct hand *poor = hand_new(&bench, 1);

    poor->has_no_secrets = true;
    poor->beats = true;
    hand_hello(poor);
    bench_run(&bench);
    event_finish(&bench, "k", uuid);
    cr_expect_eq(poor->parcel_count, 0);
    event_expect(&bench, 0, "waiting", 0, 0);
    cr_expect_eq(at_int(bench_ask(&bench, NULL, "'verb':'webhooks'"),
                        "webhooks.0.workers"),
                 0);
    hand = hand_new(&bench, 1);
    bench_run(&bench);
    cr_expect_eq(hand->parcel_count, 1);
    cr_expect_eq(at_int(bench_ask(&bench, NULL, "'verb':'webhooks'"),
                        "webhooks.0.in_flight"),
                 1);
}

Test(broker_posts, a_worker_that_leaves_is_given_nothing, .init = set_up,
     .fini = tear_down)
{
    hand->is_draining = true;
    hand_beat(hand);
    bench_run(&bench);
    bench_ask(&bench, NULL, "'verb':'webhook_test','webhook':'all'");
    cr_expect_eq(hand->parcel_count, 0);
    hand = hand_new(&bench, 1);
    bench_run(&bench);
    cr_expect_eq(hand->parcel_count, 1);
}

Test(broker_posts, workers_that_die_of_it_end_it, .init = set_up_one,
     .fini = tear_down)
{
    cJSON *row;

    bench_ask(&bench, NULL, "'verb':'webhook_test','webhook':'all'");
    for (int i = 0; i < DELIVERIES_LOSSES_MAX; i++) {
        event_expect(&bench, 0, "waiting", i, 0);
        hand = hand_new(&bench, 1);
        bench_run(&bench);
        cr_assert_eq(hand->parcel_count, 1);
        hand_kill(hand);
        bench_run(&bench);
        hand_free(bench.hands[--bench.hand_count]);
    }
    row = event_listed(&bench, 0);
    cr_expect_str_eq(at_str(row, "state"), "failed");
    cr_expect_str_eq(at_str(row, "code"), "lost");
    cJSON_Delete(row);
}

Test(broker_posts, a_broker_that_goes_starts_no_more_of_them, .init = set_up,
     .fini = tear_down)
{
    bench_submit(&bench, "k", NULL, EVENT_DRAFT, uuid);
    cr_assert_eq(store_begin(bench.store, bench.now_ms, NULL), 0);
    broker_drain(bench.broker, "nobody's");
    cr_assert_eq(store_commit(bench.store, NULL), 0);
    bench_ask(&bench, NULL, "'verb':'cancel','batch':'%s'", uuid);
    bench_ask(&bench, NULL, "'verb':'webhook_test','webhook':'all'");
    bench_advance(&bench, SECOND);
    cr_expect_eq(hand->parcel_count, 0);
    event_expect(&bench, 0, "waiting", 0, 0);
}
