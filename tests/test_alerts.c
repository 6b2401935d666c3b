/* SPDX-License-Identifier: MIT */
#include "queue/alerts.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define SECOND 1000
#define MINUTE 60000

static struct conf conf;
static struct alerts *alerts;
static struct alert_facts facts;
static int64_t now_ms;
static uint64_t at; /* of the news */

static void
set_up(void)
{
    conf_init(&conf);
    conf.upstreams[0].name = mem_dup_str("one");
    conf.upstreams[1].name = mem_dup_str("two");
    conf.upstream_count = 2;
    alerts = alerts_new(&conf);
    facts = (struct alert_facts){ .store_percent = 1 };
    now_ms = INT64_C(1800000000000);
    at = 0;
}

static void
tear_down(void)
{
    alerts_free(alerts);
    conf_fini(&conf);
}

static const struct alert *
alert_of(enum alert_kind kind, int where)
{
    for (size_t i = 0; i < alerts->count; i++) {
        if (alerts->list[i].kind == kind && alerts->list[i].where == where)
            return &alerts->list[i];
    }
    cr_assert_fail("no %s of %d", alert_name(kind), where);
    return NULL;
}

/* Lets time pass with a look each second, and so many more drafts, of which some
 * are hits, in each. */
static void
pass(int64_t ms, uint64_t lookups, uint64_t hits)
{
    for (int64_t end_ms = now_ms + ms; now_ms < end_ms; now_ms += SECOND) {
        facts.counts.lookups += lookups;
        facts.counts.hits += hits;
        alerts_look(alerts, &facts, now_ms);
    }
}

/* The same with calls to an upstream. */
static void
pass_calls(int64_t ms, int where, uint64_t calls, uint64_t errors)
{
    struct alert_calls *counts = &facts.counts.upstreams[where];

    for (int64_t end_ms = now_ms + ms; now_ms < end_ms; now_ms += SECOND) {
        counts->calls += calls;
        counts->errors += errors;
        alerts_look(alerts, &facts, now_ms);
    }
}

static void
expect_news(enum alert_kind kind, bool is_fired)
{
    struct alert_news news;

    cr_assert(alerts_next(alerts, &at, &news), "no news of %s",
              alert_name(kind));
    cr_expect_eq(news.alert.kind, kind, "%s", alert_name(news.alert.kind));
    cr_expect_eq(news.is_fired, is_fired);
}

static void
expect_no_news(void)
{
    struct alert_news news;

    cr_expect_not(alerts_next(alerts, &at, &news), "%s",
                  alert_name(news.alert.kind));
}

Test(alerts, a_condition_fires_when_it_has_lasted, .init = set_up,
     .fini = tear_down)
{
    facts.store_percent = 91;
    pass(conf.alert_store_for_ms, 0, 0);
    cr_expect_eq(alert_of(ALERT_STORE_NEARLY_FULL, -1)->state, ALERT_PENDING);
    expect_no_news();
    pass(SECOND, 0, 0);
    cr_expect_eq(alert_of(ALERT_STORE_NEARLY_FULL, -1)->state, ALERT_FIRING);
    cr_expect_eq(alerts_firing(alerts), 1);
    expect_news(ALERT_STORE_NEARLY_FULL, true);
    pass(10 * MINUTE, 0, 0);
    expect_no_news();
}

Test(alerts, a_condition_that_ends_early_fires_nothing, .init = set_up,
     .fini = tear_down)
{
    for (int i = 0; i < 5; i++) {
        facts.store_percent = 91;
        pass(conf.alert_store_for_ms - SECOND, 0, 0);
        facts.store_percent = 50;
        pass(SECOND, 0, 0);
    }
    cr_expect_eq(alert_of(ALERT_STORE_NEARLY_FULL, -1)->state, ALERT_QUIET);
    expect_no_news();
}

Test(alerts, one_that_fires_is_over_when_it_was_well_for_long, .init = set_up,
     .fini = tear_down)
{
    facts.store_percent = 91;
    pass(2 * MINUTE, 0, 0);
    expect_news(ALERT_STORE_NEARLY_FULL, true);
    facts.store_percent = 50;
    pass(conf.alert_resolve_ms, 0, 0);
    cr_expect_eq(alert_of(ALERT_STORE_NEARLY_FULL, -1)->state, ALERT_EASING);
    cr_expect_eq(alerts_firing(alerts), 1, "it is not over yet");
    expect_no_news();
    /* It comes back: the same alert goes on. */
    facts.store_percent = 95;
    pass(SECOND, 0, 0);
    cr_expect_eq(alert_of(ALERT_STORE_NEARLY_FULL, -1)->state, ALERT_FIRING);
    expect_no_news();
    facts.store_percent = 50;
    pass(conf.alert_resolve_ms + SECOND, 0, 0);
    cr_expect_eq(alerts_firing(alerts), 0);
    expect_news(ALERT_STORE_NEARLY_FULL, false);
    expect_no_news();
}

/* 90 is the limit: what goes around it neither fires again nor is over until it
 * is below 81. */
Test(alerts, a_figure_near_its_limit_does_not_flap, .init = set_up,
     .fini = tear_down)
{
    facts.store_percent = 91;
    pass(2 * MINUTE, 0, 0);
    expect_news(ALERT_STORE_NEARLY_FULL, true);
    for (int i = 0; i < 20; i++) {
        facts.store_percent = i % 2 ? 91 : 82;
        pass(2 * MINUTE, 0, 0);
    }
    expect_no_news();
    facts.store_percent = 80;
    pass(2 * MINUTE, 0, 0);
    expect_news(ALERT_STORE_NEARLY_FULL, false);
}

Test(alerts, a_floor_has_its_margin_above, .init = set_up, .fini = tear_down)
{
    pass(conf.alert_hit_for_ms + 2 * MINUTE, 100, 19);
    expect_news(ALERT_HIT_RATE, true);
    pass(30 * MINUTE, 100, 21);
    expect_no_news();
    pass(30 * MINUTE, 100, 23);
    expect_news(ALERT_HIT_RATE, false);
}

/* Nobody knows that but who submits them. */
Test(alerts, drafts_that_never_repeat_are_told_how_to_be_let_alone,
     .init = set_up, .fini = tear_down)
{
    struct buf text = { 0 };

    pass(conf.alert_hit_for_ms + 2 * MINUTE, 100, 1);
    alert_tell(alert_of(ALERT_HIT_RATE, -1), &conf, &text);
    cr_expect_null(strstr(text.data, "alert_hit_percent"), "%s", text.data);
    expect_news(ALERT_HIT_RATE, true);
    pass(30 * MINUTE, 100, 0);
    buf_reset(&text);
    alert_tell(alert_of(ALERT_HIT_RATE, -1), &conf, &text);
    cr_expect(strstr(text.data, "set it to 0 (alert_hit_percent)"), "%s",
              text.data);
    conf.alert_hit_percent = 0;
    pass(30 * MINUTE, 100, 0);
    expect_news(ALERT_HIT_RATE, false);
    buf_fini(&text);
}

Test(alerts, too_few_samples_say_nothing, .init = set_up, .fini = tear_down)
{
    struct buf text = { 0 };

    /* 19 errors in a window: one less than there must be. */
    facts.counts.upstreams[0] = (struct alert_calls){ 0 };
    pass_calls(SECOND, 0, 0, 0);
    facts.counts.upstreams[0].calls = facts.counts.upstreams[0].errors = 19;
    pass(conf.alert_window_ms - MINUTE, 0, 0);
    cr_expect_not(alert_of(ALERT_ERROR_RATE, 0)->is_known);
    cr_expect_eq(alert_of(ALERT_ERROR_RATE, 0)->state, ALERT_QUIET);
    alert_tell(alert_of(ALERT_ERROR_RATE, 0), &conf, &text);
    cr_expect_str_eq(text.data, "too little to tell: 19 of alert_samples_min "
                                "(20)");
    buf_fini(&text);
    facts.counts.upstreams[0].calls++;
    pass(SECOND, 0, 0);
    cr_expect_eq(alert_of(ALERT_ERROR_RATE, 0)->state, ALERT_PENDING);
    cr_expect_eq(alert_of(ALERT_ERROR_RATE, 1)->state, ALERT_QUIET,
                 "the other upstream has nothing to do with it");
}

Test(alerts, what_is_older_than_the_window_is_forgotten, .init = set_up,
     .fini = tear_down)
{
    pass_calls(10 * MINUTE, 1, 10, 10);
    expect_news(ALERT_ERROR_RATE, true);
    cr_expect_eq(alert_of(ALERT_ERROR_RATE, 1)->value, 100);
    /* Errors of the past weigh in until they leave the window, no longer. */
    pass_calls(conf.alert_window_ms / 2, 1, 10, 0);
    cr_expect_gt(alert_of(ALERT_ERROR_RATE, 1)->value, 40);
    pass_calls(conf.alert_window_ms * 6 / 10 + SECOND, 1, 10, 0);
    cr_expect_eq(alert_of(ALERT_ERROR_RATE, 1)->value, 0);
    pass_calls(conf.alert_resolve_ms, 1, 10, 0);
    expect_news(ALERT_ERROR_RATE, false);
}

Test(alerts, an_upstream_that_is_not_called_any_more_is_well, .init = set_up,
     .fini = tear_down)
{
    pass_calls(10 * MINUTE, 0, 10, 1);
    expect_news(ALERT_ERROR_RATE, true);
    pass(10 * MINUTE, 0, 0);
    expect_news(ALERT_ERROR_RATE, false);
    cr_expect_not(alert_of(ALERT_ERROR_RATE, 0)->is_known);
}

Test(alerts, latencies_are_shares_above_their_stage, .init = set_up,
     .fini = tear_down)
{
    struct alert_calls *calls = &facts.counts.upstreams[0];

    for (int i = 0; i < 300; i++) {
        calls->timed += 100;
        calls->above_t2 += 50; /* half is not more than half */
        calls->above_t3 += 6;
        alerts_look(alerts, &facts, now_ms += SECOND);
    }
    cr_expect_eq(alert_of(ALERT_LATENCY_P50, 0)->state, ALERT_QUIET);
    cr_expect_eq(alert_of(ALERT_LATENCY_P95, 0)->state, ALERT_FIRING);
    cr_expect_eq(alert_of(ALERT_LATENCY_P95, 1)->state, ALERT_QUIET);
    expect_news(ALERT_LATENCY_P95, true);
    for (int i = 0; i < 400; i++) {
        calls->timed += 100;
        calls->above_t2 += 51;
        alerts_look(alerts, &facts, now_ms += SECOND);
    }
    expect_news(ALERT_LATENCY_P50, true);
    expect_news(ALERT_LATENCY_P95, false);
}

Test(alerts, a_lost_worker_is_told_at_once_and_for_a_window, .init = set_up,
     .fini = tear_down)
{
    pass(MINUTE, 0, 0);
    facts.counts.workers_lost = 1;
    pass(SECOND, 0, 0);
    expect_news(ALERT_WORKER_LOST, true);
    pass(conf.alert_window_ms - SECOND, 0, 0);
    expect_no_news();
    pass(conf.alert_window_ms / 10 + conf.alert_resolve_ms + SECOND, 0, 0);
    expect_news(ALERT_WORKER_LOST, false);
}

Test(alerts, what_is_so_or_not_is_told_so, .init = set_up, .fini = tear_down)
{
    facts.is_suspended[1] = true;
    pass(conf.alert_suspended_for_ms + SECOND, 0, 0);
    expect_news(ALERT_UPSTREAM_SUSPENDED, true);
    facts.is_stuck = true;
    facts.ready = 7;
    pass(conf.alert_stuck_for_ms + SECOND, 0, 0);
    expect_news(ALERT_QUEUE_STUCK, true);
    facts.is_suspended[1] = facts.is_stuck = false;
    pass(conf.alert_resolve_ms + SECOND, 0, 0);
    expect_news(ALERT_UPSTREAM_SUSPENDED, false);
    expect_news(ALERT_QUEUE_STUCK, false);
    expect_no_news();
}

Test(alerts, whoever_reads_too_late_misses_the_oldest, .init = set_up,
     .fini = tear_down)
{
    int64_t start_ms = now_ms;
    struct alert_news news;

    conf.alert_store_for_ms = conf.alert_resolve_ms = 0;
    for (int i = 0; i < ALERT_NEWS_MAX + 10; i++) {
        facts.store_percent = i % 2 ? 50 : 99;
        pass(SECOND, 0, 0);
    }
    for (int i = 0; i < ALERT_NEWS_MAX; i++) {
        cr_assert(alerts_next(alerts, &at, &news));
        cr_expect_eq(news.is_fired, i % 2 == 0, "in order: %d", i);
        cr_expect_eq(news.at_ms, start_ms + (i + 10) * SECOND);
    }
    expect_no_news();
}

Test(alerts, json_says_what_and_of_whom, .init = set_up, .fini = tear_down)
{
    cJSON *json;

    facts.counts.upstreams[1].calls = facts.counts.upstreams[1].errors = 0;
    pass_calls(SECOND, 1, 0, 0);
    pass_calls(SECOND, 1, 40, 10);
    json = alert_json(alert_of(ALERT_ERROR_RATE, 1), &conf);
    cr_expect_str_eq(cJSON_GetObjectItem(json, "alert")->valuestring,
                     "error_rate");
    cr_expect_str_eq(cJSON_GetObjectItem(json, "upstream")->valuestring, "two");
    cr_expect_eq(cJSON_GetObjectItem(json, "value")->valuedouble, 25);
    cr_expect_eq(cJSON_GetObjectItem(json, "limit")->valuedouble, 5);
    cr_expect_str_eq(cJSON_GetObjectItem(json, "message")->valuestring,
                     "25.0 % of 40 calls failed; the limit is 5 %");
    cJSON_Delete(json);
    json = alert_json(alert_of(ALERT_HIT_RATE, -1), &conf);
    cr_expect(cJSON_IsNull(cJSON_GetObjectItem(json, "upstream")));
    cr_expect(cJSON_IsNull(cJSON_GetObjectItem(json, "value")), "unknown");
    cJSON_Delete(json);
}

Test(alerts, a_loop_that_stood_still_looks_at_what_is_as_old_as_the_window,
     .init = set_up, .fini = tear_down)
{
    pass_calls(10 * MINUTE, 0, 10, 10);
    cr_expect_gt(alert_of(ALERT_ERROR_RATE, 0)->samples, 2900);
    now_ms += 10 * conf.alert_window_ms;
    pass_calls(2 * SECOND, 0, 10, 0);
    /* Since the last mark before it: a step's calls at most, and the new ones. */
    cr_expect_leq(alert_of(ALERT_ERROR_RATE, 0)->samples, 320);
    pass_calls(conf.alert_window_ms + MINUTE, 0, 10, 0);
    cr_expect_eq(alert_of(ALERT_ERROR_RATE, 0)->value, 0);
}
