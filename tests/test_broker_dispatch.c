/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
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

/* What each call was about: the last letter of its user message. */
static const char *
call_order(void)
{
    static char order[256];
    size_t count = 0;

    for (size_t i = 0; i < bench.call_count && count < sizeof(order) - 1; i++) {
        const char *end = strstr(bench.calls[i], "\"}]");

        cr_assert_not_null(end);
        order[count++] = end[-1];
    }
    order[count] = '\0';
    return order;
}

static const char *
status_of(const char *batch, const char *id, const char *member)
{
    static char text[256];
    cJSON *results = bench_results(&bench, batch, 0);
    const cJSON *row = result_of(results, id);

    (void)snprintf(text, sizeof(text), "%s",
                   row ? at_str(row, member) : "(none)");
    cJSON_Delete(results);
    return text;
}

static int64_t
number_of(const char *batch, const char *id, const char *member)
{
    cJSON *results = bench_results(&bench, batch, 0);
    int64_t number = at_int(result_of(results, id), member);

    cJSON_Delete(results);
    return number;
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
    cr_expect_str_eq(status_of(uuid, "a", "cache"), "none");
    cr_expect_str_eq(status_of(uuid, "b", "cache"), "joined");
    cr_expect_str_eq(status_of(other, "f", "cache"), "joined");
    cr_expect_eq(number_of(uuid, "a", "attempts"), 2);
    /* One of them pays. */
    cr_expect_eq(number_of(other, "d", "cost_usd"), 0);
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
        cr_expect_eq(number_of(other, "a", "cost_usd"), 0);
        cr_expect_str_eq(status_of(other, "a", "text"), "answer");
        cr_expect_str_eq(status_of(other, "a", "cache"), steps[i].tier);
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
    cr_expect_str_eq(status_of(other, "a", "status"), "ok");
    cr_expect_str_eq(status_of(uuid, "a", "status"), "bad_request");
    cr_expect_str_eq(status_of(uuid, "a", "essence"),
                     "[bad_request] its message");
    cr_expect_str_eq(status_of(uuid, "a", "error.code"), "its_code");
    cr_expect_str_eq(status_of(uuid, "a", "text"), "(null)");
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
    cr_expect_str_eq(status_of(uuid, "d", "cache"), "joined");
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
    cr_expect_str_eq(call_order(), "AAAAAAAAAABBBBBBBBBBCCCCCCCCCCDDDDDDDDDD");
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
    cr_expect_str_eq(call_order(), "AAAAAAAAAAAABBBBBBBBBBBB");
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
    cr_expect_str_eq(call_order(), "AAABBB");
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
    cr_expect_str_eq(call_order(), "AABB");
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
    cr_expect_str_eq(call_order(), "AB");
    pass_window();
    bench_work(&bench);
    cr_expect_str_eq(call_order(), "ABA");
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
    cr_expect_str_eq(call_order(), "A");
    bench_advance(&bench, 3600000 - bench.conf.group_window_ms);
    bench_work(&bench);
    cr_expect_str_eq(call_order(), "AB");
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
    cr_expect_str_eq(call_order(), "B");
    pass_window();
    bench_work(&bench);
    cr_expect_str_eq(call_order(), "BAC");
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
    cr_expect_str_eq(call_order(), "CEADB");
}

/* A wait that the server names is everybody's, costs no attempt, and other
 * upstreams do not mind. */
/* The number of slips in a state whose call goes to an upstream. */
static int
count_to(const char *upstream, enum slip_state state)
{
    struct slip *slip;
    int count = 0;

    for (size_t i = 0; (slip = hand_slip(hand, state, i)); i++)
        count += strcmp(slip->upstream, upstream) == 0;
    return count;
}

Test(broker_dispatch, throttling_holds_the_upstream, .init = set_up,
     .fini = tear_down)
{
    int64_t told_ms;

    bench_submit(&bench, "k", NULL, "{'id':'a','text':'A'}\n", uuid);
    pass_window();
    for (int i = 0; i < 20; i++) {
        hand_start(hand);
        cr_assert_eq(count_to("one", SLIP_RUNNING), 1, "round %d", i);
        told_ms = bench.now_ms;
        hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "throttled", 429,
                 10000);
        bench_run(&bench);
        if (i == 0) {
            bench_submit(&bench, "l", NULL,
                         "{'id':'a','goal':'other','text':'B'}\n"
                         "{'id':'b','upstream':'two','text':'C'}\n",
                         other);
            pass_window();
            bench_work(&bench);
            cr_expect_str_eq(call_order(), "AC");
        }
        bench_advance(&bench, told_ms + 10000 - 1 - bench.now_ms);
        cr_expect_null(hand_slip(hand, SLIP_WAITING, 0),
                       "the wait is not shortened");
        bench_advance(&bench, 1);
    }
    /* What it permits is not known yet: one after the other. */
    for (int i = 0; i < 10; i++) {
        bench_work(&bench);
        bench_advance(&bench, 10000);
    }
    cr_expect_str_eq(status_of(uuid, "a", "status"), "ok");
    cr_expect_eq(number_of(uuid, "a", "attempts") +
                     number_of(other, "a", "attempts"),
                 22);
    cr_expect_str_eq(bench_state(&bench, other), "finished");
    cr_expect_eq(bench_stat(&bench, "calls_throttled"), 20);
}

Test(broker_dispatch, throttling_ends_at_its_limit, .init = set_up,
     .fini = tear_down)
{
    bench.conf.throttle_max = 3;
    bench_submit(&bench, "k", NULL, "{'id':'a','text':'a harbour'}\n", uuid);
    pass_window();
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(hand_start(hand), 1, "round %d", i);
        hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "throttled", 429, 100);
        bench_advance(&bench, 1000);
    }
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    cr_expect_str_eq(status_of(uuid, "a", "status"), "rate_limited");
    cr_expect_str_eq(status_of(uuid, "a", "essence"), "harbour [rate_limited]");
    cr_expect_eq(number_of(uuid, "a", "error.http_status"), 429);
}

Test(broker_dispatch, backoff_holds_no_slot_and_outlives_the_broker,
     .init = set_up, .fini = tear_down)
{
    bench.conf.slots_max = 1;
    bench.conf.backoff_base_ms = 60000;
    bench.conf.backoff_jitter_percent = 0;
    bench_submit(&bench, "k", NULL, "{'id':'a','text':'A'}\n", uuid);
    pass_window();
    hand_start(hand);
    hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "retryable", 500, 0);
    bench_submit(&bench, "l", NULL, "{'id':'a','text':'B'}\n", other);
    pass_window();
    bench_work(&bench);
    cr_expect_str_eq(call_order(), "AB");
    bench_restart(&bench);
    hand_hello(hand);
    bench_run(&bench);
    bench_advance(&bench, 60000 - bench.conf.group_window_ms - 1);
    cr_expect_eq(hand->slip_count, 0);
    bench_advance(&bench, 1);
    cr_expect_eq(hand->slip_count, 1);
    bench_work(&bench);
    cr_expect_eq(number_of(uuid, "a", "attempts"), 2);
}

Test(broker_dispatch, attempts_end_with_an_essence, .init = set_up,
     .fini = tear_down)
{
    bench_submit(&bench, "k", "{'goal':'Translate to Welsh'}",
                 "{'id':'a','text':'the invoice of the harbour'}\n", uuid);
    pass_window();
    for (int64_t i = 0; i < bench.conf.attempts_max; i++) {
        cr_expect_eq(hand_start(hand), 1);
        hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "retryable", 503, 0);
        bench_run(&bench);
        bench_advance(&bench, 120000);
    }
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    cr_expect_str_eq(status_of(uuid, "a", "status"), "server_error");
    cr_expect_str_eq(status_of(uuid, "a", "essence"),
                     "invoice harbour Translate Welsh [server_error]");
    cr_expect_eq(number_of(uuid, "a", "attempts"), bench.conf.attempts_max);
}

Test(broker_dispatch, what_was_cut_off_gets_more_room_once, .init = set_up,
     .fini = tear_down)
{
    bench_submit(&bench, "k", NULL,
                 "{'id':'a','text':'A','max_tokens':50}\n"
                 "{'id':'b','text':'B'}\n",
                 uuid);
    pass_window();
    hand_start(hand);
    hand_end(hand, hand_find(hand, "A\"}]"), "truncated", 200, 0);
    hand_end(hand, hand_find(hand, "B\"}]"), "truncated", 200, 0);
    bench_run(&bench);
    cr_expect_eq(hand_start(hand), 1);
    cr_expect_not_null(strstr(bench.calls[0], "\"max_tokens\":50}"));
    cr_expect_not_null(strstr(bench.calls[2], "\"max_tokens\":100}"));
    hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "truncated", 200, 0);
    bench_work(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    cr_expect_str_eq(status_of(uuid, "a", "status"), "error");
    cr_expect_eq(bench.call_count, 3);
}

Test(broker_dispatch, an_aborted_call_spends_no_attempt, .init = set_up,
     .fini = tear_down)
{
    bench_submit(&bench, "k", NULL, "{'id':'a','text':'A'}\n", uuid);
    pass_window();
    for (int i = 0; i < 20; i++) {
        hand_start(hand);
        hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "aborted", 0, 0);
        bench_run(&bench);
    }
    bench_work(&bench);
    cr_expect_str_eq(status_of(uuid, "a", "status"), "ok");
    cr_expect_eq(number_of(uuid, "a", "attempts"), 1);
}

/* What the upstream claims cannot bring the broker down. */
Test(broker_dispatch, absurd_numbers_of_tokens_are_survived, .init = set_up,
     .fini = tear_down)
{
    bench.conf.upstreams[0].price_input_usd = 1000000;
    bench_submit(&bench, "k", NULL,
                 "{'id':'a','text':'A'}\n{'id':'b','text':'B'}\n"
                 "{'id':'c','text':'C'}\n",
                 uuid);
    pass_window();
    hand_start(hand);
    for (int i = 0; i < 3; i++) {
        struct slip *slip = hand_slip(hand, SLIP_RUNNING, 0);
        int64_t request = slip->request, fence = slip->fence;

        hand_say(hand,
                 "{'verb':'result','request':%lld,'fence':%lld,'class':'ok',"
                 "'http_status':200,'prompt_tokens':9007199254740992,"
                 "'completion_tokens':9007199254740992,"
                 "'total_tokens':9007199254740992,'sent':1}",
                 (long long)request, (long long)fence);
        hand_forget(hand, slip);
    }
    bench_run(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 3);
    cr_expect_leq(bench_status(&bench, uuid, "usage.total_tokens"), INT64_C(1)
                                                                        << 53);
}

/* A draft whose upstream is gone when its turn comes. */
Test(broker_dispatch, what_cannot_be_sent_any_more_ends, .init = set_up,
     .fini = tear_down)
{
    bench_submit(&bench, "k", NULL,
                 "{'id':'a','text':'A','upstream':'two'}\n"
                 "{'id':'b','text':'B'}\n",
                 uuid);
    bench.conf.upstreams[1].name[0] = 'z';
    bench_restart(&bench);
    hand_hello(hand);
    bench_work(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    cr_expect_str_eq(status_of(uuid, "a", "status"), "error");
    cr_expect_str_eq(status_of(uuid, "a", "error.code"), "unsendable");
    cr_expect_str_eq(status_of(uuid, "a", "latency_ms"), "(null)");
    cr_expect_str_eq(status_of(uuid, "b", "status"), "ok");
}
