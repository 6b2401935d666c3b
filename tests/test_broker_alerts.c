/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <uuid/uuid.h>

#include "queue/core.h"
#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

TestSuite(broker_alerts, .timeout = 30);

#define SECOND 1000

static struct bench bench;
static struct hand *hand;
static char uuid[BENCH_UUID_BYTES];
static uint64_t at; /* of the news */

/* What lasts ten seconds fires; the window is ten seconds, too. */
static void
set_up(void)
{
    bench_init(&bench, BENCH_STORE_MAX);
    bench.conf.slots_max = 4;
    bench.conf.group_window_ms = 0;
    bench.conf.alert_window_ms = 10 * SECOND;
    bench.conf.alert_samples_min = 5;
    bench.conf.alert_resolve_ms = 2 * SECOND;
    bench.conf.alert_error_for_ms = 2 * SECOND;
    bench.conf.alert_latency_for_ms = 2 * SECOND;
    bench.conf.alert_hit_for_ms = 2 * SECOND;
    bench.conf.alert_suspended_for_ms = 10 * SECOND;
    bench.conf.alert_stuck_for_ms = 10 * SECOND;
    bench.conf.alert_hit_percent = 0;
    bench_start(&bench);
}

static void
tear_down(void)
{
    bench_fini(&bench);
}

static void
new_hand(void)
{
    hand = hand_new(&bench, 4);
    bench_run(&bench);
}

/* Time passes; the loop comes by each second. */
static void
pass(int seconds)
{
    for (int i = 0; i < seconds; i++)
        bench_advance(&bench, SECOND);
}

static const cJSON *
alert_of(const char *name, const char *upstream)
{
    const cJSON *head = bench_ask(&bench, NULL, "'verb':'alerts'"), *item;

    cJSON_ArrayForEach(item, cJSON_GetObjectItem(head, "alerts"))
    {
        if (strcmp(at_str(item, "alert"), name) == 0 &&
            strcmp(at_str(item, "upstream"), upstream) == 0) {
            return item;
        }
    }
    cr_assert_fail("no alert %s of %s", name, upstream);
    return NULL;
}

static const char *
state_of(const char *name, const char *upstream)
{
    return at_str(alert_of(name, upstream), "state");
}

static bool
is_stuck(void)
{
    return strcmp(state_of("queue_stuck", "(null)"), "quiet") != 0;
}

static void
submit(const char *key, int count)
{
    struct buf lines = { 0 };

    for (int i = 0; i < count; i++)
        buf_addf(&lines, "{'id':'%d','text':'%s %d.'}\n", i, key, i);
    bench_submit(&bench, key, NULL, lines.data, uuid);
    buf_fini(&lines);
}

static void
expect_news(const char *name, bool is_fired)
{
    struct alert_news news;

    cr_assert(alerts_next(broker_alerts(bench.broker), &at, &news),
              "no news of %s", name);
    cr_expect_str_eq(alert_name(news.alert.kind), name);
    cr_expect_eq(news.is_fired, is_fired);
}

Test(broker_alerts, a_new_broker_has_none, .init = set_up, .fini = tear_down)
{
    struct alert_news news;

    new_hand();
    pass(60);
    cr_expect_eq(at_int(bench_ask(&bench, NULL, "'verb':'alerts'"), "firing"),
                 0);
    cr_expect_not(alerts_next(broker_alerts(bench.broker), &at, &news));
}

Test(broker_alerts, calls_that_fail_are_told_of_their_upstream, .init = set_up,
     .fini = tear_down)
{
    const cJSON *head;

    new_hand();
    submit("k", 8);
    pass(1);
    for (int i = 0; i < 8; i++) {
        bench_run(&bench);
        (void)hand_start(hand);
        hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "permanent", 400, 0);
    }
    bench_run(&bench);
    pass(4);
    cr_expect_str_eq(state_of("error_rate", "one"), "firing");
    cr_expect_str_eq(state_of("error_rate", "two"), "quiet");
    cr_expect_eq(at_int(alert_of("error_rate", "one"), "value"), 100);
    expect_news("error_rate", true);
    head = bench_ask(&bench, NULL, "'verb':'stats'");
    cr_expect_eq(at_int(head, "stats.alerts_firing"), 1);
    cr_expect_eq(at_int(head, "stats.upstreams.0.alerts.error_rate"), 1);
    cr_expect_eq(at_int(head, "stats.upstreams.1.alerts.error_rate"), 0);
    head = bench_ask(&bench, NULL, "'verb':'hello','protocol':1");
    cr_expect_eq(at_int(head, "alerts_firing"), 1);
    /* And are forgotten with the window. */
    pass(20);
    cr_expect_str_eq(state_of("error_rate", "one"), "quiet");
    expect_news("error_rate", false);
}

Test(broker_alerts, answers_that_repeat_nothing_are_told_of, .init = set_up,
     .fini = tear_down)
{
    bench.conf.alert_hit_percent = 20;
    new_hand();
    submit("k", 10);
    bench_work(&bench);
    pass(4);
    cr_expect_str_eq(state_of("hit_rate", "(null)"), "firing");
    expect_news("hit_rate", true);
    submit("l", 1);
    bench_submit(&bench, "again", NULL,
                 "{'id':'0','text':'k 0.'}\n{'id':'1','text':'k 1.'}\n"
                 "{'id':'2','text':'k 2.'}\n{'id':'3','text':'k 3.'}\n"
                 "{'id':'4','text':'k 4.'}\n",
                 uuid);
    pass(5);
    cr_expect_str_eq(state_of("hit_rate", "(null)"), "quiet");
    expect_news("hit_rate", false);
}

Test(broker_alerts, an_upstream_that_is_not_asked_is_told_of, .init = set_up,
     .fini = tear_down)
{
    new_hand();
    submit("k", 2);
    bench_run(&bench);
    (void)hand_start(hand);
    hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "stop", 401, 0);
    hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    pass(9);
    cr_expect_str_eq(state_of("upstream_suspended", "one"), "pending");
    pass(3);
    cr_expect_str_eq(state_of("upstream_suspended", "one"), "firing");
    expect_news("upstream_suspended", true);
    (void)bench_ask(&bench, NULL, "'verb':'upstream_resume','upstream':'one'");
    pass(4);
    cr_expect_str_eq(state_of("upstream_suspended", "one"), "quiet");
    expect_news("upstream_suspended", false);
}

Test(broker_alerts, a_worker_that_died_is_told_of, .init = set_up,
     .fini = tear_down)
{
    new_hand();
    pass(2);
    hand_kill(hand);
    pass(2);
    cr_expect_str_eq(state_of("worker_lost", "(null)"), "firing");
    expect_news("worker_lost", true);
    pass(20);
    expect_news("worker_lost", false);
}

/* ---- what stands still ---- */

Test(broker_alerts, work_that_nobody_takes_stands_still, .init = set_up,
     .fini = tear_down)
{
    submit("k", 3);
    pass(8);
    cr_expect_str_eq(state_of("queue_stuck", "(null)"), "pending");
    pass(5);
    cr_expect_str_eq(state_of("queue_stuck", "(null)"), "firing");
    cr_expect_eq(at_int(alert_of("queue_stuck", "(null)"), "samples"), 3);
    expect_news("queue_stuck", true);
    new_hand();
    bench_work(&bench);
    pass(5);
    cr_expect_not(is_stuck());
    expect_news("queue_stuck", false);
}

/* Makes the schedule believe that a batch has nothing to give. */
static void
forget(const char *batch)
{
    struct batch row;
    struct err err = { 0 };
    uuid_t id;

    cr_assert_eq(uuid_parse(batch, id), 0);
    cr_assert_eq(store_begin(bench.store, bench.now_ms, &err), 0);
    cr_assert_eq(store_batch_find(bench.store, id, &row), 0);
    store_abort(bench.store);
    schedule_sleep(bench.broker->schedule, row.id, SCHEDULE_NEVER);
}

/* What the store says counts. */
Test(broker_alerts, a_batch_that_was_forgotten_stands_still, .init = set_up,
     .fini = tear_down)
{
    submit("k", 3);
    bench_run(&bench);
    forget(uuid);
    new_hand();
    pass(13);
    cr_expect_eq(hand_count(hand, SLIP_WAITING), 0, "the plot fails");
    cr_expect_str_eq(state_of("queue_stuck", "(null)"), "firing");
}

/* The same, but others go on: it is their turn, as far as anybody can tell. */
Test(broker_alerts, while_others_go_on_nothing_stands_still, .init = set_up,
     .fini = tear_down)
{
    submit("k", 3);
    bench_run(&bench);
    forget(uuid);
    new_hand();
    for (int i = 0; i < 30; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "k%d", i);
        submit(key, 1);
        bench_work(&bench);
        pass(1);
        cr_assert_not(is_stuck(), "second %d", i);
    }
    cr_expect_eq(bench_stat(&bench, "requests_ready"), 3, "the plot fails");
}

/* Among many that are held for a reason, one is not. */
Test(broker_alerts, the_one_that_could_go_is_found_among_many, .init = set_up,
     .fini = tear_down)
{
    for (int i = 0; i < 200; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "k%d", i);
        submit(key, 1);
        if (i != 150)
            (void)bench_ask(&bench, NULL, "'verb':'pause','batch':'%s'", uuid);
    }
    pass(17);
    cr_expect_str_eq(state_of("queue_stuck", "(null)"), "firing");
}

Test(broker_alerts, what_waits_for_a_reason_does_not_stand_still,
     .init = set_up, .fini = tear_down)
{
    submit("paused", 1);
    (void)bench_ask(&bench, NULL, "'verb':'pause','batch':'%s'", uuid);
    bench_open(&bench, "later", NULL,
               "'not_before':1900000000000,'deadline':1900000001000", uuid);
    (void)bench_chunk(&bench, uuid, 1, "{'id':'a','text':'A.'}\n");
    (void)bench_seal(&bench, uuid, 1, 1);
    bench_open(&bench, "open", NULL, "", uuid);
    (void)bench_chunk(&bench, uuid, 1, "{'id':'a','text':'B.'}\n");
    for (int i = 0; i < 30; i++) {
        pass(1);
        cr_assert_not(is_stuck(), "second %d", i);
    }
    cr_expect_gt(bench_stat(&bench, "requests_ready"), 0);
}

Test(broker_alerts, what_waits_for_its_upstream_does_not_stand_still,
     .init = set_up, .fini = tear_down)
{
    new_hand();
    submit("k", 6);
    bench_run(&bench);
    (void)hand_start(hand);
    hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "stop", 401, 0);
    bench_run(&bench);
    while (hand_slip(hand, SLIP_RUNNING, 0))
        hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    for (int i = 0; i < 30; i++) {
        pass(1);
        cr_assert_not(is_stuck(), "second %d", i);
    }
    cr_expect_gt(bench_stat(&bench, "requests_ready"), 0);
}

Test(broker_alerts, long_calls_in_all_slots_do_not_stand_still, .init = set_up,
     .fini = tear_down)
{
    bench.conf.lease_ahead_max = 0;
    new_hand();
    hand->beats = true;
    submit("k", 9);
    bench_run(&bench);
    cr_assert_eq(hand_start(hand), 4);
    for (int i = 0; i < 30; i++) {
        pass(1);
        cr_assert_not(is_stuck(), "second %d", i);
    }
}

/* ---- webhooks ---- */

static int64_t
events_stored(void)
{
    return bench_stat(&bench, "events_added");
}

Test(broker_alerts, webhooks_are_told_once_of_each_change, .fini = tear_down)
{
    bench_init(&bench, BENCH_STORE_MAX);
    bench_webhook(&bench, "pager", "alert.fired, alert.resolved", NULL);
    bench.conf.alert_window_ms = 10 * SECOND;
    bench.conf.alert_resolve_ms = 2 * SECOND;
    bench_start(&bench);
    new_hand();
    pass(2);
    hand_kill(hand);
    /* Commits fail, that of the event, too: it is stored all the same, and
     * once. */
    for (int i = 0; i < 30; i++) {
        bench.fails = true;
        bench_advance(&bench, 100);
    }
    bench.fails = false;
    cr_expect_eq(events_stored(), 1);
    pass(20);
    cr_expect_eq(events_stored(), 2);
    pass(20);
    cr_expect_eq(events_stored(), 2);
}
