/* Events: that each is stored once, listed, tried again, and given up. */
/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "queue/deliveries.h"
#include "tests/broker_event.h"
#include "tests/rot.h"

TestSuite(broker_webhooks, .timeout = 30);

#define SECOND INT64_C(1000)
#define DAY    (86400 * SECOND)

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

Test(broker_webhooks, a_batch_that_finishes_is_told_of_once, .init = set_up,
     .fini = tear_down)
{
    cJSON *body;
    char id[64];

    bench_submit(&bench, "k", "{'goal':'g'}", EVENT_DRAFT, uuid);
    bench_advance(&bench, bench.conf.group_window_ms);
    cr_expect_eq(hand->parcel_count, 0, "it has not ended");
    bench_work(&bench);
    cr_assert_eq(hand->parcel_count, 1, "one webhook wants that");
    cr_expect_str_eq(hand->parcels[0].webhook, "all");
    cr_expect_str_eq(hand->parcels[0].url, "https://hooks.example/in");
    body = cJSON_Parse(hand->parcels[0].body);
    cr_assert_not_null(body);
    cr_expect_str_eq(at_str(body, "id"), hand->parcels[0].id);
    cr_expect_eq(strncmp(hand->parcels[0].id, "evt_", 4), 0);
    cr_expect_str_eq(at_str(body, "object"), "event");
    cr_expect_str_eq(at_str(body, "type"), "batch.completed");
    cr_expect_eq(at_int(body, "created_at"), bench.now_ms / 1000);
    snprintf(id, sizeof(id), "batch_%s", uuid);
    cr_expect_str_eq(at_str(body, "data.id"), id);
    cr_expect_str_eq(at_str(body, "data.client"), "c");
    cr_expect_str_eq(at_str(body, "data.state"), "finished");
    cr_expect_eq(at_int(body, "data.counts.ok"), 1);
    cr_expect_eq(at_int(body, "data.counts.failed"), 0);
    cJSON_Delete(body);
    event_expect(&bench, 0, "given", 1, 0);
    hand_posted(hand, 0, "ok", 204, 0);
    bench_run(&bench);
    cr_expect_eq(hand->noted_count, 1);
    event_expect(&bench, 0, "delivered", 1, 204);
    bench_advance(&bench, DAY);
    cr_expect_eq(hand->parcel_count, 0);
    cr_expect_eq(bench_stat(&bench, "events_added"), 1);
    cr_expect_eq(bench_stat(&bench, "events_delivered"), 1);
}

Test(broker_webhooks, each_webhook_that_wants_it_has_a_delivery_of_its_own,
     .init = set_up, .fini = tear_down)
{
    bench_submit(&bench, "k", NULL, EVENT_DRAFT, uuid);
    bench_ask(&bench, NULL, "'verb':'cancel','batch':'%s'", uuid);
    cr_assert_eq(hand->parcel_count, 2);
    cr_expect_str_eq(hand->parcels[0].webhook, "all");
    cr_expect_str_eq(hand->parcels[1].webhook, "some");
    cr_expect_str_neq(hand->parcels[0].id, hand->parcels[1].id);
    cr_expect(strstr(hand->parcels[1].body, "\"type\":\"batch.cancelled\""));
    cr_expect(strstr(hand->parcels[1].body, "\"failed\":1"));
    bench_ask(&bench, NULL, "'verb':'cancel','batch':'%s'", uuid);
    cr_expect_eq(hand->parcel_count, 2, "a repeated cancel is no event");
    cr_expect_eq(bench_stat(&bench, "events_added"), 2);
}

Test(broker_webhooks, a_batch_that_expires_and_ends_again_is_told_of_twice,
     .init = set_up, .fini = tear_down)
{
    bench_submit(&bench, "k", NULL, EVENT_DRAFT, uuid);
    bench_advance(&bench, bench.conf.deadline_ms + SECOND);
    cr_assert_str_eq(bench_state(&bench, uuid), "expired");
    cr_assert_eq(hand->parcel_count, 2);
    cr_expect(strstr(hand->parcels[0].body, "\"type\":\"batch.expired\""));
    hand_posted(hand, 1, "ok", 200, 0);
    hand_posted(hand, 0, "ok", 200, 0);
    bench_ask(&bench, NULL, "'verb':'retry','batch':'%s'", uuid);
    bench_advance(&bench, bench.conf.group_window_ms);
    bench_work(&bench);
    cr_assert_str_eq(bench_state(&bench, uuid), "finished");
    cr_assert_eq(hand->parcel_count, 1);
    cr_expect(strstr(hand->parcels[0].body, "\"type\":\"batch.completed\""));
}

Test(broker_webhooks, the_waits_are_those_of_the_table)
{
    static const int64_t want_s[] = { 0, 5, 300, 1800, 7200, 28800, 86400 };

    for (uint32_t i = 0; i < 7; i++) {
        cr_expect_eq(deliveries_wait_ms(i, 0), want_s[i] * 1000);
        cr_expect_geq(deliveries_wait_ms(i, 0.99), want_s[i] * 1000);
        cr_expect_leq(deliveries_wait_ms(i, 0.99), want_s[i] * 1100);
    }
    cr_expect_lt(deliveries_wait_ms(7, 0), 0);
}

Test(broker_webhooks, what_fails_is_tried_again_until_it_is_given_up,
     .init = set_up, .fini = tear_down)
{
    static const int64_t want_s[] = { 5, 300, 1800, 7200, 28800, 86400 };
    char id[64], body[1024];

    event_finish(&bench, "k", uuid);
    snprintf(id, sizeof(id), "%s", hand->parcels[0].id);
    snprintf(body, sizeof(body), "%s", hand->parcels[0].body);
    for (size_t i = 0; i < 6; i++) {
        int64_t waited_ms;

        hand_posted(hand, 0, "failed", 500, 0);
        bench_run(&bench);
        event_expect(&bench, 0, "waiting", (int64_t)i + 1, 500);
        waited_ms = event_wait(hand, want_s[i] * 1110);
        cr_expect_geq(waited_ms, want_s[i] * 1000, "try %zu", i + 2);
        cr_expect_str_eq(hand->parcels[0].id, id, "it is the same event");
        cr_expect_str_eq(hand->parcels[0].body, body);
        cr_expect_eq(hand->parcels[0].attempt, (int64_t)i + 2);
    }
    hand_posted(hand, 0, "failed", 500, 0);
    bench_run(&bench);
    event_expect(&bench, 0, "failed", 7, 500);
    cr_expect_eq(bench_stat(&bench, "events_failed"), 1);
    cr_expect_eq(bench_stat(&bench, "events_retried"), 6);
}

Test(broker_webhooks, a_receiver_may_name_a_longer_wait, .init = set_up,
     .fini = tear_down)
{
    event_finish(&bench, "k", uuid);
    hand_posted(hand, 0, "failed", 429, 60 * SECOND);
    cr_expect_geq(event_wait(hand, 70 * SECOND), 60 * SECOND);
    hand_posted(hand, 0, "failed", 503, 2 * DAY);
    cr_expect_geq(event_wait(hand, 2 * DAY), DAY, "it is cut to a day");
    cr_expect_leq(bench.now_ms, BENCH_START_MS + DAY + 3600 * SECOND);
}

Test(broker_webhooks, a_receiver_that_is_gone_is_left_alone, .init = set_up,
     .fini = tear_down)
{
    event_finish(&bench, "k", uuid);
    hand_posted(hand, 0, "failed", 410, 0);
    bench_run(&bench);
    event_expect(&bench, 0, "failed", 1, 410);
}

Test(broker_webhooks, one_that_does_not_answer_holds_up_no_other,
     .init = set_up, .fini = tear_down)
{
    for (int i = 0; i < 4; i++) {
        char key[8];

        snprintf(key, sizeof(key), "k%d", i);
        bench_submit(&bench, key, NULL, EVENT_DRAFT, uuid);
        bench_ask(&bench, NULL, "'verb':'cancel','batch':'%s'", uuid);
    }
    cr_assert_eq(hand->parcel_count, 4, "posts_max of each webhook");
    for (size_t i = hand->parcel_count; i > 0; i--) {
        if (strcmp(hand->parcels[i - 1].webhook, "some") == 0)
            hand_posted(hand, i - 1, "ok", 200, 0);
    }
    bench_run(&bench);
    cr_assert_eq(hand->parcel_count, 4);
    for (size_t i = 0, other = 0; i < 4; i++) {
        other += strcmp(hand->parcels[i].webhook, "some") == 0;
        if (i == 3)
            cr_expect_eq(other, 2);
    }
}

/* The message is applied once more, alone, when its transaction has failed. */
Test(broker_webhooks, an_end_whose_commit_fails_is_told_of_when_it_is_there,
     .init = set_up, .fini = tear_down)
{
    bench_submit(&bench, "k", NULL, EVENT_DRAFT, uuid);
    bench.fails = true;
    bench_ask(&bench, NULL, "'verb':'cancel','batch':'%s'", uuid);
    cr_expect_not(bench.fails, "a commit has failed");
    cr_expect_eq(hand->parcel_count, 2);
    cr_expect_eq(bench_stat(&bench, "events_added"), 2);
    cr_expect_eq(at_int(bench_ask(&bench, NULL, "'verb':'webhooks'"), "count"),
                 2);
}

Test(broker_webhooks, one_that_is_damaged_holds_up_no_other, .init = set_up_one,
     .fini = tear_down)
{
    for (int i = 0; i < 2; i++)
        bench_ask(&bench, NULL, "'verb':'webhook_test','webhook':'all'");
    cr_assert(rot_row(bench.store, TABLE_DELIVERY, 0, ROT_FLIP, 100));
    hand = hand_new(&bench, 1);
    hand->beats = true;
    bench_run(&bench);
    cr_assert_eq(hand->parcel_count, 1);
    cr_expect_eq(hand->parcels[0].delivery, 2);
    hand_posted(hand, 0, "ok", 200, 0);
    bench_run(&bench);
    cr_assert_eq(store_begin(bench.store, bench.now_ms, NULL), 0);
    cr_expect_eq(store_delivery_count(bench.store), 2);
    store_abort(bench.store);
    bench_advance(&bench, DELIVERIES_IDLE_MS + SECOND);
    cr_assert_eq(store_begin(bench.store, bench.now_ms, NULL), 0);
    cr_expect_eq(store_delivery_count(bench.store), 1, "it is removed");
    store_abort(bench.store);
}

Test(broker_webhooks, what_is_not_configured_any_more_is_given_up,
     .init = set_up, .fini = tear_down)
{
    cJSON *row;

    bench_ask(&bench, NULL, "'verb':'webhook_test','webhook':'some'");
    bench_ask(&bench, NULL, "'verb':'webhook_test','webhook':'some'");
    hand_posted(hand, 1, "failed", 500, 0);
    bench_run(&bench);
    /* One is on its way, and one waits. */
    bench.conf.webhook_count = 1;
    bench_restart(&bench);
    hand_hello(hand);
    bench_advance(&bench, 60 * SECOND);
    event_expect(&bench, 1, "waiting", 1, 0);
    event_expect(&bench, 0, "waiting", 1, 500);
    bench_advance(&bench, DELIVERIES_IDLE_MS);
    row = event_listed(&bench, 0);
    cr_expect_str_eq(at_str(row, "state"), "failed");
    cJSON_Delete(row);
    row = event_listed(&bench, 1);
    cr_expect_str_eq(at_str(row, "state"), "failed");
    cJSON_Delete(row);
    bench.conf.webhook_count = 2; /* to be freed */
}

Test(broker_webhooks, what_nobody_can_post_is_given_up_in_the_end,
     .init = set_up_one, .fini = tear_down)
{
    cJSON *row;

    bench_submit(&bench, "k", NULL, EVENT_DRAFT, uuid);
    bench_ask(&bench, NULL, "'verb':'cancel','batch':'%s'", uuid);
    bench_advance(&bench, DELIVERIES_IDLE_MS - SECOND);
    event_expect(&bench, 0, "waiting", 0, 0);
    bench_advance(&bench, 2 * SECOND);
    row = event_listed(&bench, 0);
    cr_expect_str_eq(at_str(row, "state"), "failed");
    cr_expect_str_eq(at_str(row, "code"), "no_worker");
    cJSON_Delete(row);
}

Test(broker_webhooks, the_oldest_go_when_there_are_too_many, .init = set_up_one,
     .fini = tear_down)
{
    cJSON *row;

    hand = hand_new(&bench, 1);
    bench_run(&bench);
    for (int i = 0; i < 3; i++)
        bench_ask(&bench, NULL, "'verb':'webhook_test','webhook':'all'");
    /* The second one has ended: it goes first. */
    hand_posted(hand, 1, "ok", 200, 0);
    bench_run(&bench);
    hand_disconnect(hand);
    for (int i = 0; i < 8; i++)
        bench_ask(&bench, NULL, "'verb':'webhook_test','webhook':'all'");
    row = event_listed(&bench, 9);
    cr_expect_eq(at_int(row, "delivery"), 1);
    cJSON_Delete(row);
    row = event_listed(&bench, 8);
    cr_expect_eq(at_int(row, "delivery"), 3);
    cJSON_Delete(row);
    bench_ask(&bench, NULL, "'verb':'webhook_test','webhook':'all'");
    row = event_listed(&bench, 9);
    cr_expect_eq(at_int(row, "delivery"), 3, "none has ended: the oldest went");
    cJSON_Delete(row);
    cr_expect_eq(bench_stat(&bench, "events_dropped"), 2);
}

Test(broker_webhooks, what_has_ended_is_removed_after_its_time, .init = set_up,
     .fini = tear_down)
{
    event_finish(&bench, "k", uuid);
    hand_posted(hand, 0, "ok", 200, 0);
    bench_run(&bench);
    bench_ask(&bench, NULL, "'verb':'purge','batch':'%s'", uuid);
    bench_advance(&bench, bench.conf.deliveries_ttl_ms - SECOND);
    event_expect(&bench, 0, "delivered", 1, 200);
    bench_advance(&bench, 2 * SECOND);
    cr_expect_eq(at_int(bench_ask(&bench, NULL, "'verb':'webhooks'"), "count"),
                 0);
}

Test(broker_webhooks, one_is_sent_again_when_somebody_asks, .init = set_up,
     .fini = tear_down)
{
    const cJSON *answer;
    char id[64];

    event_finish(&bench, "k", uuid);
    snprintf(id, sizeof(id), "%s", hand->parcels[0].id);
    hand_posted(hand, 0, "failed", 410, 0);
    bench_run(&bench);
    answer =
        bench_ask(&bench, NULL, "'verb':'webhook_resend','event':'%s'", id);
    cr_expect_str_eq(at_str(answer, "verb"), "resent");
    cr_expect_eq(at_int(answer, "delivery.failures"), 0);
    cr_assert_eq(hand->parcel_count, 1);
    cr_expect_str_eq(hand->parcels[0].id, id);
    cr_expect_eq(hand->parcels[0].attempt, 2);
    answer =
        bench_ask(&bench, NULL, "'verb':'webhook_resend','event':'%s'", id);
    cr_expect_str_eq(at_str(answer, "delivery.state"), "given");
    cr_expect_eq(hand->parcel_count, 1, "it is on its way");
    answer = bench_ask(&bench, NULL, "'verb':'webhook_resend','event':'evt_1'");
    cr_expect_str_eq(at_str(answer, "code"), "invalid");
    answer = bench_ask(&bench, NULL,
                       "'verb':'webhook_resend','event':"
                       "'evt_00000000-0000-4000-8000-000000000000'");
    cr_expect_str_eq(at_str(answer, "code"), "not_found");
}

Test(broker_webhooks, a_test_event_is_sent_to_one, .init = set_up,
     .fini = tear_down)
{
    const cJSON *answer =
        bench_ask(&bench, NULL, "'verb':'webhook_test','webhook':'some'");

    cr_expect_str_eq(at_str(answer, "verb"), "tested");
    cr_assert_eq(hand->parcel_count, 1);
    cr_expect_str_eq(hand->parcels[0].id, at_str(answer, "delivery.id"));
    cr_expect(strstr(hand->parcels[0].body, "\"type\":\"webhook.test\""));
    cr_expect_str_eq(at_str(answer, "delivery.batch"), "(null)");
    answer = bench_ask(&bench, NULL, "'verb':'webhook_test','webhook':'none'");
    cr_expect_str_eq(at_str(answer, "code"), "not_found");
}

Test(broker_webhooks, the_list_has_pages, .init = set_up, .fini = tear_down)
{
    const cJSON *answer;
    int64_t before = INT64_C(9007199254740992);

    for (int i = 0; i < 5; i++)
        bench_ask(&bench, NULL, "'verb':'webhook_test','webhook':'some'");
    for (int left = 5; left > 0; left -= 2) {
        answer =
            bench_ask(&bench, NULL, "'verb':'webhooks','limit':2,'before':%lld",
                      (long long)before);
        cr_expect_eq(at_int(answer, "count"), left > 2 ? 2 : left);
        cr_expect_eq(at_int(answer, "more"), left > 2);
        before = at_int(answer, "cursor");
    }
    cr_expect_eq(before, 1);
}
