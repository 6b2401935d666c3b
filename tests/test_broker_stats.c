/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "queue/core.h"
#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

TestSuite(broker_stats, .timeout = 30);

static struct bench bench;
static struct hand *hand;
static char uuid[BENCH_UUID_BYTES];

static void
set_up(void)
{
    bench_init(&bench, BENCH_STORE_MAX);
    bench.conf.slots_max = 4;
    bench.conf.group_window_ms = 0;
    bench.conf.upstreams[0].price_input_usd = 1;
    bench.conf.upstreams[0].price_output_usd = 2;
    bench_start(&bench);
    hand = hand_new(&bench, 4);
    bench_run(&bench);
}

static void
tear_down(void)
{
    bench_fini(&bench);
}

static const cJSON *
stats(void)
{
    return cJSON_GetObjectItem(bench_ask(&bench, NULL, "'verb':'stats'"),
                               "stats");
}

static double
usd(const char *tier)
{
    const cJSON *reuse = cJSON_GetObjectItem(stats(), "reuse");

    return cJSON_GetObjectItem(cJSON_GetObjectItem(reuse, tier), "saved_usd")
        ->valuedouble;
}

/* A call of 123 ms, by broker_hand.c, is above 100 and not above 250. */
Test(broker_stats, calls_are_counted_by_upstream_and_status, .init = set_up,
     .fini = tear_down)
{
    bench_submit(&bench, "k", NULL,
                 "{'id':'a','text':'A.'}\n{'id':'b','text':'B.'}\n"
                 "{'id':'c','text':'C.','upstream':'two'}\n",
                 uuid);
    bench_run(&bench);
    cr_assert_eq(hand_start(hand), 3);
    cr_expect_eq(at_int(stats(), "upstreams.0.in_flight"), 2);
    cr_expect_eq(at_int(stats(), "upstreams.1.in_flight"), 1);
    hand_end(hand, hand_find(hand, "A."), "permanent", 400, 0);
    bench_work(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    cr_expect_eq(at_int(stats(), "upstreams.0.durations.ok.1"), 1);
    cr_expect_eq(at_int(stats(), "upstreams.0.durations.ok.14"), 123, "sum");
    cr_expect_eq(at_int(stats(), "upstreams.1.durations.ok.1"), 1);
    cr_expect_eq(at_int(stats(), "upstreams.0.classes.permanent"), 1);
    cr_expect_eq(at_int(stats(), "upstreams.0.classes.ok"), 1);
    cr_expect_eq(at_int(stats(), "upstreams.0.prompt_tokens"), 10);
    cr_expect_eq(at_int(stats(), "upstreams.1.completion_tokens"), 5);
    cr_expect_eq(at_int(stats(), "upstreams.0.in_flight"), 0);
    cr_expect_eq(at_int(stats(), "results_given.ok"), 2);
    cr_expect_eq(at_int(stats(), "results_given.bad_request"), 1);
    /* 10 tokens of a prompt for 1 $ per million, and 5 of an answer for 2 $. */
    cr_expect_float_eq(
        cJSON_GetObjectItem(
            cJSON_GetArrayItem(cJSON_GetObjectItem(stats(), "upstreams"), 0),
            "cost_usd")
            ->valuedouble,
        20e-6, 1e-9);
}

Test(broker_stats, an_answer_that_is_used_again_saves_its_price, .init = set_up,
     .fini = tear_down)
{
    bench_submit(&bench, "k", NULL,
                 "{'id':'a','text':'A.'}\n{'id':'b','text':'A.'}\n"
                 "{'id':'c','text':'A.'}\n",
                 uuid);
    bench_work(&bench);
    cr_expect_eq(at_int(stats(), "reuse.joined.answers"), 2);
    cr_expect_float_eq(usd("joined"), 40e-6, 1e-9);
    bench_submit(&bench, "l", NULL, "{'id':'a','text':'A.'}\n", uuid);
    cr_expect_eq(at_int(stats(), "reuse.memory.answers"), 1);
    cr_expect_float_eq(usd("memory"), 20e-6, 1e-9);
    /* The second tier: memory is empty after a restart. */
    bench_restart(&bench);
    bench_submit(&bench, "m", NULL, "{'id':'a','text':'A.'}\n", uuid);
    cr_expect_eq(at_int(stats(), "reuse.store.answers"), 1);
    cr_expect_float_eq(usd("store"), 20e-6, 1e-9);
    cr_expect_eq(at_int(stats(), "reuse.memory.answers"), 0,
                 "counters begin anew");
}

/* What a transaction counted that failed is counted once, when it is tried
 * again. */
Test(broker_stats, a_failed_commit_counts_nothing, .init = set_up,
     .fini = tear_down)
{
    bench_submit(&bench, "k", NULL, "{'id':'a','text':'A.'}\n", uuid);
    bench_run(&bench);
    cr_assert_eq(hand_start(hand), 1);
    hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    bench.fails = true;
    bench_run(&bench);
    cr_assert_str_eq(bench_state(&bench, uuid), "finished");
    cr_expect_eq(at_int(stats(), "upstreams.0.classes.ok"), 1);
    cr_expect_eq(at_int(stats(), "results_given.ok"), 1);
}

/* Also over a restart, a failed commit and a cancel. */
Test(broker_stats, delayed_requests_are_counted, .init = set_up,
     .fini = tear_down)
{
    bench_submit(&bench, "k", NULL,
                 "{'id':'a','text':'A.'}\n{'id':'b','text':'B.'}\n"
                 "{'id':'c','text':'C.'}\n",
                 uuid);
    bench_run(&bench);
    cr_assert_eq(hand_start(hand), 3);
    hand_end(hand, hand_find(hand, "A."), "retryable", 500, 0);
    hand_end(hand, hand_find(hand, "B."), "retryable", 500, 0);
    bench_run(&bench);
    cr_expect_eq(at_int(stats(), "requests_delayed"), 2);
    hand_end(hand, hand_find(hand, "C."), "retryable", 500, 0);
    bench.fails = true;
    bench_run(&bench);
    cr_expect_eq(at_int(stats(), "requests_delayed"), 3);
    bench_restart(&bench);
    hand_hello(hand);
    bench_run(&bench);
    cr_expect_eq(at_int(stats(), "requests_delayed"), 3);
    bench_advance(&bench, 60000);
    cr_expect_eq(at_int(stats(), "requests_delayed"), 0);
    cr_assert_eq(hand_start(hand), 3);
    hand_end(hand, hand_find(hand, "A."), "retryable", 500, 0);
    bench_run(&bench);
    cr_expect_eq(at_int(stats(), "requests_delayed"), 1);
    (void)bench_ask(&bench, NULL, "'verb':'cancel','batch':'%s'", uuid);
    bench_advance(&bench, 1000);
    cr_expect_eq(at_int(stats(), "requests_delayed"), 0);
}

Test(broker_stats, the_oldest_batch_has_an_age, .init = set_up,
     .fini = tear_down)
{
    cr_expect_eq(at_int(stats(), "oldest_age_ms"), 0, "there is none");
    bench_submit(&bench, "k", NULL, "{'id':'a','text':'A.'}\n", uuid);
    bench_advance(&bench, 5000);
    bench_submit(&bench, "l", NULL, "{'id':'b','text':'B.'}\n", uuid);
    cr_expect_geq(at_int(stats(), "oldest_age_ms"), 5000);
    bench_work(&bench);
    cr_expect_eq(at_int(stats(), "oldest_age_ms"), 0, "they are over");
}

Test(broker_stats, a_worker_that_died_is_counted, .init = set_up,
     .fini = tear_down)
{
    bench_submit(&bench, "k", NULL, "{'id':'a','text':'A.'}\n", uuid);
    bench_run(&bench);
    cr_assert_eq(hand_start(hand), 1);
    hand_beat(hand);
    bench_run(&bench);
    hand_kill(hand);
    bench_run(&bench);
    cr_expect_eq(at_int(stats(), "workers_lost"), 1);
    cr_expect_eq(at_int(stats(), "upstreams.0.classes.lost"), 1);
    /* One that says goodbye is not lost. */
    hand = hand_new(&bench, 4);
    bench_run(&bench);
    hand_bye(hand);
    bench_run(&bench);
    cr_expect_eq(at_int(stats(), "workers_lost"), 1);
}

Test(broker_stats, commits_are_counted_by_length_and_items, .init = set_up,
     .fini = tear_down)
{
    broker_note_commit(bench.broker, 300, 1);
    broker_note_commit(bench.broker, 700, 30);
    cr_expect_eq(at_int(stats(), "commit_us.2"), 1);
    cr_expect_eq(at_int(stats(), "commit_us.3"), 1);
    cr_expect_eq(at_int(stats(), "commit_us.14"), 1000, "the sum");
    cr_expect_eq(at_int(stats(), "commit_items.0"), 1);
    cr_expect_eq(at_int(stats(), "commit_items.5"), 1);
}

/* The most upstreams, the longest names, every status and class, and counts that
 * take a year of a thousand calls a second. */
Test(broker_stats, the_largest_answer_fits_into_a_header, .init = set_up,
     .fini = tear_down)
{
    const uint64_t most = UINT64_C(40000000000);
    struct meter *meter;
    struct upstreams *upstreams;
    struct buf text = { 0 };

    while (bench.conf.upstream_count < CONF_UPSTREAMS_MAX) {
        size_t at = bench.conf.upstream_count++;
        struct conf_upstream *upstream = &bench.conf.upstreams[at];
        char name[CONF_NAME_BYTES_MAX + 1];

        (void)snprintf(name, sizeof(name), "%0*zu", CONF_NAME_BYTES_MAX, at);
        upstream->name = mem_dup_str(name);
        upstream->base_url = mem_dup_str("https://example.org/v1");
    }
    bench_restart(&bench);
    meter = &bench.broker->meter;
    upstreams = bench.broker->upstreams;
    for (size_t i = 0; i < METER_ROWS; i++) {
        for (size_t j = 0; j < STATUS_COUNT; j++) {
            for (size_t k = 0; k <= HISTOGRAM_BOUNDS_MAX; k++)
                meter->rows[i].durations[j].counts[k] = most;
            meter->rows[i].durations[j].sum = most * 1000;
        }
        for (size_t j = 0; j < CLASS_COUNT; j++)
            meter->rows[i].classes[j] = most;
        meter->rows[i].prompt_tokens = most * 1000;
        meter->rows[i].completion_tokens = most * 1000;
        meter->rows[i].cost_nano = most * 12345;
    }
    for (size_t i = 0; i < upstreams->count; i++)
        upstreams->list[i].refusals = most;
#define COUNTER_FILL(name) bench.broker->counters.name = most;
    COUNTER_LIST(COUNTER_FILL)
#undef COUNTER_FILL
    wire_print(cJSON_Duplicate(bench_ask(&bench, NULL, "'verb':'stats'"), true),
               &text);
    cr_expect_leq(text.bytes, WIRE_HEADER_BYTES_MAX, "%zu", text.bytes);
    cr_expect_gt(text.bytes, WIRE_HEADER_BYTES_MAX / 2, "%zu: not the largest",
                 text.bytes);
    buf_fini(&text);
}
