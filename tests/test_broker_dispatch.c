/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "queue/lane.h"
#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

TestSuite(broker_dispatch, .timeout = 30);

static struct bench bench;
static struct hand *hand;
static char uuid[BENCH_UUID_BYTES], other[BENCH_UUID_BYTES];

static void
set_up(void)
{
    bench_init(&bench, BENCH_STORE_MAX);
    bench_start(&bench);
    hand = hand_new(&bench, 5);
    bench_run(&bench);
}

static void
tear_down(void)
{
    bench_fini(&bench);
}

/* Until all groups that are open now may go. */
static void
pass_window(void)
{
    bench_advance(&bench, bench.conf.group_window_ms);
}

Test(broker_dispatch, nothing_runs_before_the_seal, .init = set_up,
     .fini = tear_down)
{
    bench_open(&bench, "k", NULL, "", uuid);
    bench_chunk(&bench, uuid, 1, "{'id':'a','text':'x'}\n");
    bench_advance(&bench, 60000);
    cr_expect_eq(hand->slip_count, 0);
    /* Nor because another batch makes the broker look again. */
    bench_submit(&bench, "l", NULL, "{'id':'a','text':'y'}\n", other);
    pass_window();
    cr_expect_eq(hand->slip_count, 1);
    bench_work(&bench);
    bench_seal(&bench, uuid, 1, 1);
    cr_expect_eq(hand->slip_count, 1);
}

Test(broker_dispatch, early_batches_run_before_the_seal, .init = set_up,
     .fini = tear_down)
{
    bench_open(&bench, "k", NULL, "'early':true", uuid);
    bench_chunk(&bench, uuid, 1, "{'id':'a','text':'x'}\n");
    cr_expect_eq(hand->slip_count, 0, "its group is held");
    pass_window();
    bench_work(&bench);
    cr_expect_eq(bench.call_count, 1);
    cr_expect_str_eq(bench_state(&bench, uuid), "open");
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 1);
    bench_chunk(&bench, uuid, 2, "{'id':'b','text':'y'}\n");
    pass_window();
    bench_work(&bench);
    cr_expect_eq(bench.call_count, 2);
    bench_seal(&bench, uuid, 2, 2);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
}

Test(broker_dispatch, identical_drafts_make_one_request, .init = set_up,
     .fini = tear_down)
{
    const cJSON *head;

    bench_open(&bench, "k", NULL, "", uuid);
    head = bench_chunk(&bench, uuid, 1,
                       "{'id':'a','text':'x'}\n{'id':'b','text':'x'}\n");
    cr_expect_eq(at_int(head, "joined"), 1, "within a chunk");
    head = bench_chunk(&bench, uuid, 2, "{'id':'c','text':'x'}\n");
    cr_expect_eq(at_int(head, "joined"), 1, "in another chunk");
    bench_seal(&bench, uuid, 2, 3);
    bench_open(&bench, "l", NULL, "", other);
    head = bench_chunk(&bench, other, 1, "{'id':'d', 'text':'x'}\n");
    cr_expect_eq(at_int(head, "joined"), 1, "in another batch");
    pass_window();
    hand_start(hand);
    cr_assert_eq(hand_count(hand, SLIP_RUNNING), 1);
    head = bench_chunk(&bench, other, 2, "{'id':'e','text':'x'}\n");
    cr_expect_eq(at_int(head, "joined"), 1, "in flight");
    hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "retryable", 503, 0);
    bench_run(&bench);
    head = bench_chunk(&bench, other, 3, "{'id':'f','text':'x'}\n");
    cr_expect_eq(at_int(head, "joined"), 1, "delayed");
    bench_seal(&bench, other, 3, 3);
    bench_advance(&bench, 1000);
    bench_work(&bench);
    cr_expect_eq(bench.call_count, 2);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    cr_expect_str_eq(bench_state(&bench, other), "finished");
    cr_expect_eq(bench_stat(&bench, "requests"), 1);
    cr_expect_str_eq(result_str(&bench, uuid, "a", "cache"), "none");
    cr_expect_str_eq(result_str(&bench, uuid, "b", "cache"), "joined");
    cr_expect_str_eq(result_str(&bench, other, "f", "cache"), "joined");
    cr_expect_eq(result_int(&bench, uuid, "a", "attempts"), 2);
    /* One of them pays. */
    cr_expect_eq(result_int(&bench, other, "d", "cost_usd"), 0);
    cr_expect_eq(bench_status(&bench, uuid, "usage.total_tokens"), 15);
    cr_expect_eq(bench_status(&bench, other, "usage.total_tokens"), 0);
}

Test(broker_dispatch, a_cached_answer_costs_no_call, .init = set_up,
     .fini = tear_down)
{
    /* Times after the answer: it is good for two hours. */
    static const struct {
        int64_t at_ms;
        bool restarts;
        const char *tier;
    } steps[] = { { 0, false, "memory" },
                  { 3600000, true, "store" },
                  { 7199999, false, "store" },
                  { 7200000, false, "none" } };
    const char *lines = "{'id':'a','text':'x'}\n";
    int64_t done_ms;

    bench_submit(&bench, "k", NULL, lines, uuid);
    pass_window();
    bench_work(&bench);
    done_ms = bench.now_ms;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        bool is_cached = strcmp(steps[i].tier, "none") != 0;
        char key[16];

        bench_advance(&bench, done_ms + steps[i].at_ms - bench.now_ms);
        if (steps[i].restarts) {
            bench_restart(&bench);
            hand_hello(hand);
        }
        (void)snprintf(key, sizeof(key), "%zu", i);
        bench_submit(&bench, key, NULL, lines, other);
        cr_expect_str_eq(bench_state(&bench, other),
                         is_cached ? "finished" : "sealed", "step %zu", i);
        cr_expect_eq(bench_status(&bench, other, "counts.cached"), is_cached);
        if (!is_cached)
            continue;
        cr_expect_eq(result_int(&bench, other, "a", "cost_usd"), 0);
        cr_expect_str_eq(result_str(&bench, other, "a", "text"), "answer");
        cr_expect_str_eq(result_str(&bench, other, "a", "cache"),
                         steps[i].tier);
    }
    cr_expect_eq(bench.call_count, 1);
    pass_window();
    bench_work(&bench);
    cr_expect_eq(bench.call_count, 2);
}

Test(broker_dispatch, a_failure_is_no_cached_answer, .init = set_up,
     .fini = tear_down)
{
    bench_submit(&bench, "k", NULL, "{'id':'a','text':'x'}\n", uuid);
    pass_window();
    hand_start(hand);
    hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "permanent", 400, 0);
    bench_run(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    bench_submit(&bench, "l", NULL, "{'id':'a','text':'x'}\n", other);
    pass_window();
    bench_work(&bench);
    cr_expect_eq(bench.call_count, 2);
    cr_expect_str_eq(result_str(&bench, other, "a", "status"), "ok");
    cr_expect_str_eq(result_str(&bench, uuid, "a", "status"), "bad_request");
    cr_expect_str_eq(result_str(&bench, uuid, "a", "essence"),
                     "[bad_request] its message");
    cr_expect_str_eq(result_str(&bench, uuid, "a", "error.code"), "its_code");
    cr_expect_str_eq(result_str(&bench, uuid, "a", "text"), "(null)");
}

Test(broker_dispatch, sample_index_asks_again, .init = set_up,
     .fini = tear_down)
{
    bench_submit(&bench, "k", NULL,
                 "{'id':'a','text':'x'}\n"
                 "{'id':'b','text':'x','sample_index':0}\n"
                 "{'id':'c','text':'x','sample_index':1}\n"
                 "{'id':'d','text':'x','sample_index':1}\n",
                 uuid);
    pass_window();
    bench_work(&bench);
    cr_expect_eq(bench.call_count, 3);
    cr_expect_str_eq(bench.calls[0], bench.calls[1]);
    cr_expect_str_eq(result_str(&bench, uuid, "d", "cache"), "joined");
}

Test(broker_dispatch, groups_reach_workers_one_after_the_other, .init = set_up,
     .fini = tear_down)
{
    struct buf lines = { 0 };

    for (int i = 0; i < 40; i++) {
        buf_addf(&lines, "{'id':'%d','goal':'%c','text':'%d%c'}\n", i,
                 'A' + i % 4, i, 'A' + i % 4);
    }
    bench_submit(&bench, "k", NULL, lines.data, uuid);
    buf_fini(&lines);
    pass_window();
    bench_work(&bench);
    cr_expect_str_eq(bench_call_order(&bench),
                     "AAAAAAAAAABBBBBBBBBBCCCCCCCCCCDDDDDDDDDD");
}

/* Groups that are full are followed by those of the same kind. */
Test(broker_dispatch, groups_of_a_kind_stay_together, .init = set_up,
     .fini = tear_down)
{
    struct buf lines = { 0 };

    hand_bye(hand);
    bench_run(&bench);
    for (int i = 0; i < 24; i++) {
        buf_addf(&lines, "{'id':'%d','goal':'%c','text':'", i, 'A' + i % 2);
        for (int j = 0; j < 1500; j++)
            buf_add_char(&lines, 'x');
        buf_addf(&lines, "%d%c'}\n", i, 'A' + i % 2);
    }
    bench_submit(&bench, "k", NULL, lines.data, uuid);
    buf_fini(&lines);
    pass_window();
    hand_hello(hand);
    bench_work(&bench);
    cr_expect_str_eq(bench_call_order(&bench), "AAAAAAAAAAAABBBBBBBBBBBB");
}

/* The last one of a kind is not full, and must not be held until others went. */
Test(broker_dispatch, a_group_that_is_not_full_follows_full_ones,
     .init = set_up, .fini = tear_down)
{
    struct buf lines = { 0 };

    for (int i = 0; i < 6; i++) {
        buf_addf(&lines, "{'id':'%d','goal':'%c','text':'", i, 'A' + i % 2);
        for (int j = 0; j < 1500; j++)
            buf_add_char(&lines, 'x');
        buf_addf(&lines, "%d%c'}\n", i, 'A' + i % 2);
    }
    bench_submit(&bench, "k", NULL, lines.data, uuid);
    buf_fini(&lines);
    bench_work(&bench);
    pass_window();
    bench_work(&bench);
    cr_expect_str_eq(bench_call_order(&bench), "AAABBB");
}

Test(broker_dispatch, groups_go_across_batches_within_the_window,
     .init = set_up, .fini = tear_down)
{
    bench_submit(&bench, "k", NULL,
                 "{'id':'1','goal':'A','text':'1A'}\n"
                 "{'id':'2','goal':'B','text':'2B'}\n",
                 uuid);
    bench_advance(&bench, bench.conf.group_window_ms - 1);
    bench_submit(&bench, "l", NULL,
                 "{'id':'1','goal':'B','text':'3B'}\n"
                 "{'id':'2','goal':'A','text':'4A'}\n",
                 other);
    cr_expect_eq(hand->slip_count, 0);
    bench_advance(&bench, 1);
    bench_work(&bench);
    cr_expect_str_eq(bench_call_order(&bench), "AABB");
}

Test(broker_dispatch, a_batch_that_comes_late_makes_its_own_group,
     .init = set_up, .fini = tear_down)
{
    bench_submit(&bench, "k", NULL,
                 "{'id':'1','goal':'A','text':'1A'}\n"
                 "{'id':'2','goal':'B','text':'2B'}\n",
                 uuid);
    pass_window();
    bench_submit(&bench, "l", NULL, "{'id':'2','goal':'A','text':'4A'}\n",
                 other);
    cr_expect_eq(hand->slip_count, 2);
    bench_work(&bench);
    cr_expect_str_eq(bench_call_order(&bench), "AB");
    pass_window();
    bench_work(&bench);
    cr_expect_str_eq(bench_call_order(&bench), "ABA");
}

Test(broker_dispatch, what_is_shared_does_not_run_before_its_batch_may,
     .init = set_up, .fini = tear_down)
{
    char more[64];

    /* All is there when the first worker comes. */
    hand_bye(hand);
    bench_submit(&bench, "k", NULL, "{'id':'1','goal':'A','text':'1A'}\n",
                 uuid);
    (void)snprintf(more, sizeof(more), "'not_before':%lld",
                   (long long)bench.now_ms + 3600000);
    bench_open(&bench, "l", NULL, more, other);
    bench_chunk(&bench, other, 1, "{'id':'1','goal':'A','text':'2B'}\n");
    bench_seal(&bench, other, 1, 1);
    pass_window();
    hand_hello(hand);
    hand->beats = true;
    bench_work(&bench);
    cr_expect_str_eq(bench_call_order(&bench), "A");
    bench_advance(&bench, 3600000 - bench.conf.group_window_ms);
    bench_work(&bench);
    cr_expect_str_eq(bench_call_order(&bench), "AB");
}

/* BENCH_START_MS is a Friday, 08:00 UTC. */
Test(broker_dispatch, nothing_is_started_outside_the_window, .init = set_up,
     .fini = tear_down)
{
    bench_open(&bench, "k", NULL, "'window':'fri 09:00-10:00'", uuid);
    bench_chunk(&bench, uuid, 1, "{'id':'1','text':'A'}\n");
    bench_seal(&bench, uuid, 1, 1);
    bench_advance(&bench, 3600000 - 1);
    cr_expect_eq(hand->slip_count, 0);
    bench_advance(&bench, 1);
    cr_expect_eq(hand->slip_count, 1);
    bench_work(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
}

Test(broker_dispatch, a_long_draft_goes_alone, .init = set_up,
     .fini = tear_down)
{
    struct buf lines = { 0 };

    bench_submit(&bench, "k", NULL, "{'id':'1','text':'A'}\n", uuid);
    buf_add_str(&lines, "{'id':'1','text':'");
    for (int64_t i = 0; i < bench.conf.group_chars_max; i++)
        buf_add_char(&lines, 'x');
    buf_add_str(&lines, "B'}\n{'id':'2','text':'C'}\n");
    bench_submit(&bench, "l", NULL, lines.data, other);
    buf_fini(&lines);
    /* It waits for nobody, and lets the others be together. */
    bench_work(&bench);
    cr_expect_str_eq(bench_call_order(&bench), "B");
    pass_window();
    bench_work(&bench);
    cr_expect_str_eq(bench_call_order(&bench), "BAC");
}

Test(broker_dispatch, urgent_batches_go_first, .init = set_up,
     .fini = tear_down)
{
    static const char *const priorities[] = { "1", "0", "3", "1", "2" };
    char uuids[5][BENCH_UUID_BYTES];

    bench.conf.oldest_share_percent = 0;
    bench_restart(&bench);
    hand_hello(hand);
    for (int i = 0; i < 5; i++) {
        char key[8], more[32], line[64];

        (void)snprintf(key, sizeof(key), "%d", i);
        (void)snprintf(more, sizeof(more), "'priority':%s", priorities[i]);
        (void)snprintf(line, sizeof(line),
                       "{'id':'1','goal':'%d','text':'%c'}\n", i, 'A' + i);
        bench_open(&bench, key, NULL, more, uuids[i]);
        bench_chunk(&bench, uuids[i], 1, line);
        bench_seal(&bench, uuids[i], 1, 1);
    }
    pass_window();
    bench_work(&bench);
    cr_expect_str_eq(bench_call_order(&bench), "CEADB");
}

/* Calls under way whose body has a text; with `first`, the first of them. */
static size_t
calls_with(const char *text, struct slip **first)
{
    struct slip *slip;
    size_t count = 0;

    for (size_t i = 0; (slip = hand_slip(hand, SLIP_RUNNING, i)); i++) {
        if (!strstr(slip->body, text))
            continue;
        if (first && count == 0)
            *first = slip;
        count++;
    }
    return count;
}

/* Behind so many places of a model whose lane is full, one of another. */
static void
submit_behind(int places)
{
    struct buf lines = { 0 };

    for (int i = 0; i < places; i++) {
        buf_addf(&lines, "{'id':'%d','goal':'g%d','text':'t','model':'one'}\n",
                 i, i);
    }
    buf_addf(&lines, "{'id':'%d','goal':'g','text':'behind','model':'two'}\n",
             places);
    bench_submit(&bench, "k", NULL, lines.data, uuid);
    buf_fini(&lines);
    pass_window();
    hand_start(hand);
}

static void
restart_with_slots(int slots)
{
    bench.conf.slots_max = slots;
    bench_restart(&bench);
    hand = hand_new(&bench, (uint32_t)slots);
    bench_run(&bench);
}

Test(broker_dispatch, another_model_goes_past_a_lane_that_is_full,
     .init = set_up, .fini = tear_down)
{
    restart_with_slots(4 * LANE_WINDOW_FIRST);
    submit_behind(LANE_WINDOW_FIRST + 40);
    cr_expect_eq(calls_with("one", NULL), LANE_WINDOW_FIRST);
    cr_expect_eq(calls_with("behind", NULL), 1);
}

/* A hundred thousand of them would hold up the broker with each call that ends. */
Test(broker_dispatch, few_places_are_looked_at_in_one_go_and_all_in_time,
     .init = set_up, .fini = tear_down)
{
    int ends = 0;

    restart_with_slots(4 * LANE_WINDOW_FIRST);
    submit_behind(LANE_WINDOW_FIRST + 500);
    cr_expect_eq(calls_with("one", NULL), LANE_WINDOW_FIRST);
    cr_expect_eq(calls_with("behind", NULL), 0, "it looked at all places");
    for (; ends < 40 && calls_with("behind", NULL) == 0; ends++) {
        struct slip *slip = NULL;

        cr_assert_gt(calls_with("one", &slip), 0);
        hand_end(hand, slip, "retryable", 503, 0);
        bench_run(&bench);
        hand_start(hand);
    }
    cr_expect_lt(ends, 10, "it was not looked for behind the first places");
}
