/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

TestSuite(broker_upstreams, .timeout = 30);

static struct bench bench;
static struct hand *hand;
static char uuid[BENCH_UUID_BYTES], other[BENCH_UUID_BYTES];

static void
set_up(void)
{
    bench_init(&bench, BENCH_STORE_MAX);
    bench.conf.slots_max = 4;
    bench.conf.lease_ahead_max = 4;
    bench.conf.group_window_ms = 0;
}

static void
begin(void)
{
    bench_start(&bench);
    hand = hand_new(&bench, 4);
    bench_run(&bench);
}

static void
tear_down(void)
{
    bench_fini(&bench);
}

/* So many drafts for a route; NULL: the default. */
static void
submit(const char *key, const char *route, int count,
       char batch[BENCH_UUID_BYTES])
{
    struct buf lines = { 0 };

    for (int i = 0; i < count; i++) {
        buf_addf(&lines, "{'id':'%d','text':'%s %d.'", i, key, i);
        if (route)
            buf_addf(&lines, ",'upstream':'%s'", route);
        buf_add_str(&lines, "}\n");
    }
    bench_submit(&bench, key, NULL, lines.data, batch);
    buf_fini(&lines);
    bench_advance(&bench, 1);
}

/* The slips in a state whose call goes to an upstream; with `first`, the first of
 * them. */
static size_t
slips_to(const char *upstream, enum slip_state state, struct slip **first)
{
    struct slip *slip;
    size_t count = 0;

    if (first)
        *first = NULL;
    for (size_t i = 0; (slip = hand_slip(hand, state, i)); i++) {
        if (strcmp(slip->upstream, upstream) != 0)
            continue;
        if (first && !*first)
            *first = slip;
        count++;
    }
    return count;
}

/* Ends the calls that run at an upstream. */
static size_t
end_all(const char *upstream, const char *class_name, int http_status,
        int64_t wait_ms)
{
    struct slip *slip;
    size_t count = 0;

    while (slips_to(upstream, SLIP_RUNNING, &slip) > 0) {
        hand_end(hand, slip, class_name, http_status, wait_ms);
        count++;
    }
    bench_run(&bench);
    return count;
}

static const cJSON *
row_of(const char *name)
{
    const cJSON *head = bench_ask(&bench, NULL, "'verb':'upstreams'"), *row;

    cJSON_ArrayForEach(row, cJSON_GetObjectItem(head, "upstreams"))
    {
        if (strcmp(at_str(row, "name"), name) == 0)
            return row;
    }
    cr_assert(false, "no upstream %s", name);
    return NULL;
}

static bool
is_stalled(const char *batch)
{
    const cJSON *head =
        bench_ask(&bench, NULL, "'verb':'status','batch':'%s'", batch);

    return cJSON_GetObjectItem(head, "stalled") != NULL;
}

/* Works on, as time passes, until a batch is finished. */
static void
finish(const char *batch)
{
    for (int i = 0; i < 300; i++) {
        bench_work(&bench);
        if (strcmp(bench_state(&bench, batch), "finished") == 0)
            return;
        bench_advance(&bench, 1000);
    }
    cr_assert(false, "batch %s does not end", batch);
}

/* ---- stops ---- */

Test(broker_upstreams, a_stop_ends_its_draft_and_holds_the_others,
     .init = set_up, .fini = tear_down)
{
    const cJSON *head;
    struct slip *slip;

    begin();
    submit("k", NULL, 6, uuid);
    submit("l", "two", 1, other);
    hand_start(hand);
    cr_assert_geq(slips_to("one", SLIP_RUNNING, &slip), 1);
    hand_end(hand, slip, "stop", 401, 0);
    bench_run(&bench);
    cr_expect_eq(bench_status(&bench, uuid, "counts.auth_error"), 1);
    cr_expect_eq(slips_to("one", SLIP_WAITING, NULL), 0, "called back");
    cr_expect_not(is_stalled(uuid), "what is in flight goes on");
    while (slips_to("one", SLIP_RUNNING, &slip) > 0)
        hand_answer(hand, slip, "answer");
    bench_work(&bench);
    cr_expect_str_eq(bench_state(&bench, other), "finished");
    cr_expect_str_eq(bench_state(&bench, uuid), "sealed");
    cr_expect(is_stalled(uuid));
    head = bench_ask(&bench, NULL, "'verb':'status','batch':'%s'", uuid);
    cr_expect_str_eq(at_str(head, "stalled.upstream"), "one");
    cr_expect_eq(at_int(head, "stalled.http_status"), 401);
    cr_expect_str_eq(at_str(head, "stalled.code"), "its_code");
    cr_expect_str_eq(at_str(row_of("one"), "state"), "stopped");
    cr_expect_str_eq(at_str(row_of("two"), "state"), "ready");
    /* And over a restart. */
    bench_restart(&bench);
    hand_hello(hand);
    bench_run(&bench);
    bench_advance(&bench, 60000);
    cr_expect_eq(hand_count(hand, SLIP_WAITING), 0);
    cr_expect(is_stalled(uuid));
    head = bench_ask(&bench, NULL, "'verb':'upstream_resume','upstream':'one'");
    cr_expect_str_eq(at_str(head, "verb"), "resumed");
    cr_expect_str_eq(at_str(head, "upstream.state"), "ready");
    finish(uuid);
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 5);
}

Test(broker_upstreams, whoever_waits_is_told_of_a_stall, .init = set_up,
     .fini = tear_down)
{
    int64_t plain, stalled;

    begin();
    submit("k", NULL, 1, uuid);
    submit("l", NULL, 1, other);
    hand_start(hand);
    plain = bench_ask_later(&bench, NULL, "'verb':'wait','batch':'%s'", uuid);
    stalled = bench_ask_later(
        &bench, NULL, "'verb':'wait','batch':'%s','stalled':true", other);
    bench_run(&bench);
    cr_assert_null(bench_answer(&bench, stalled));
    /* The stop ends one of them, and stalls the other when it is given back. */
    hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "stop", 402, 0);
    bench_run(&bench);
    cr_expect_not_null(bench_answer(&bench, plain), "it is finished");
    cr_assert_null(bench_answer(&bench, stalled), "its call is in flight");
    hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "aborted", 0, 0);
    bench_run(&bench);
    cr_expect(is_stalled(other));
    cr_assert_not_null(bench_answer(&bench, stalled));
    cr_expect_str_eq(
        at_str(bench_answer(&bench, stalled)->head, "stalled.upstream"), "one");
}

Test(broker_upstreams, a_404_of_one_that_never_answered_is_a_stop,
     .init = set_up, .fini = tear_down)
{
    begin();
    submit("k", NULL, 1, uuid);
    hand_start(hand);
    end_all("one", "permanent", 404, 0);
    cr_expect_eq(bench_status(&bench, uuid, "counts.not_found"), 1);
    cr_expect_str_eq(at_str(row_of("one"), "state"), "stopped");
    (void)bench_ask(&bench, NULL, "'verb':'upstream_resume','upstream':'one'");
    submit("l", NULL, 1, other);
    bench_work(&bench);
    submit("m", NULL, 1, other);
    hand_start(hand);
    end_all("one", "permanent", 404, 0);
    cr_expect_str_eq(at_str(row_of("one"), "state"), "ready");
}

/* Who says that has found the address. */
Test(broker_upstreams, a_404_that_names_the_model_is_about_one_request,
     .init = set_up, .fini = tear_down)
{
    begin();
    submit("k", NULL, 1, uuid);
    hand_start(hand);
    hand->code = "model_not_found";
    end_all("one", "permanent", 404, 0);
    cr_expect_eq(bench_status(&bench, uuid, "counts.not_found"), 1);
    cr_expect_str_eq(at_str(row_of("one"), "state"), "ready");
    submit("l", NULL, 1, other);
    bench_work(&bench);
    cr_expect_eq(bench_status(&bench, other, "counts.ok"), 1);
}

Test(broker_upstreams, nobody_resumes_what_is_not_there, .init = set_up,
     .fini = tear_down)
{
    begin();
    cr_expect_str_eq(
        at_str(bench_ask(&bench, NULL,
                         "'verb':'upstream_resume','upstream':'three'"),
               "code"),
        "not_found");
    cr_expect_str_eq(
        at_str(bench_ask(&bench, NULL, "'verb':'upstream_resume'"), "field"),
        "upstream");
}

/* ---- throttles ---- */

Test(broker_upstreams, a_throttle_calls_back_what_has_not_started,
     .init = set_up, .fini = tear_down)
{
    struct slip *slip;

    begin();
    submit("k", NULL, 8, uuid);
    hand_start(hand);
    cr_assert_gt(slips_to("one", SLIP_WAITING, NULL), 0, "leased ahead");
    cr_assert_gt(slips_to("one", SLIP_RUNNING, &slip), 0);
    hand_end(hand, slip, "throttled", 429, 5000);
    bench_run(&bench);
    cr_expect_eq(slips_to("one", SLIP_WAITING, NULL), 0);
    cr_expect_str_eq(at_str(row_of("one"), "state"), "suspended");
    cr_expect_eq(bench_status(&bench, uuid, "counts.done"), 0);
    while (slips_to("one", SLIP_RUNNING, &slip) > 0)
        hand_answer(hand, slip, "answer");
    bench_run(&bench);
    bench_restart(&bench);
    hand_hello(hand);
    bench_run(&bench);
    bench_advance(&bench, 4000);
    cr_expect_eq(hand_count(hand, SLIP_WAITING), 0, "remembered");
    finish(uuid);
}

/* Its answer comes when another call has stopped the upstream. */
Test(broker_upstreams, a_throttle_at_one_that_is_stopped_waits_for_the_resume,
     .init = set_up, .fini = tear_down)
{
    struct slip *slip;

    begin();
    submit("k", NULL, 4, uuid);
    hand_start(hand);
    cr_assert_geq(slips_to("one", SLIP_RUNNING, &slip), 2);
    hand_end(hand, slip, "stop", 429, 0);
    end_all("one", "throttled", 429, 1000);
    cr_expect_eq(bench_status(&bench, uuid, "counts.done"), 1, "the stop's");
    cr_expect(is_stalled(uuid));
    (void)bench_ask(&bench, NULL, "'verb':'upstream_resume','upstream':'one'");
    finish(uuid);
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 3);
    cr_expect_eq(bench_status(&bench, uuid, "counts.rate_limited"), 1);
}

/* The rate that it would have taken is another's. */
Test(broker_upstreams, a_cancel_gives_back_what_was_not_called, .init = set_up,
     .fini = tear_down)
{
    bench.conf.upstreams[0].requests_per_minute = 20; /* one at once */
    begin();
    submit("a", "one", 1, uuid);
    cr_assert_eq(slips_to("one", SLIP_WAITING, NULL), 1);
    bench_ask(&bench, NULL, "'verb':'cancel','batch':'%s'", uuid);
    cr_assert_eq(slips_to("one", SLIP_WAITING, NULL), 0);
    submit("b", "one", 1, other);
    cr_expect_eq(slips_to("one", SLIP_WAITING, NULL), 1);
}

/* It may have been made, and is paid for. */
Test(broker_upstreams, a_cancel_gives_back_nothing_of_a_call, .init = set_up,
     .fini = tear_down)
{
    bench.conf.upstreams[0].requests_per_minute = 20; /* one at once */
    begin();
    submit("a", "one", 1, uuid);
    cr_assert_eq(hand_start(hand), 1);
    hand_beat(hand);
    bench_run(&bench);
    bench_ask(&bench, NULL, "'verb':'cancel','batch':'%s'", uuid);
    submit("b", "one", 1, other);
    cr_expect_eq(slips_to("one", SLIP_WAITING, NULL), 0);
    bench_advance(&bench, 3200);
    cr_expect_eq(slips_to("one", SLIP_WAITING, NULL), 1);
}

/* What is learnt from a refusal is kept to: one lease after the other, none of
 * them ahead. */
Test(broker_upstreams, calls_are_spread_after_a_refusal, .init = set_up,
     .fini = tear_down)
{
    int64_t last_ms = 0;
    struct slip *slip;

    begin();
    submit("k", NULL, 12, uuid);
    hand_start(hand);
    for (int i = 0; i < 3; i++)
        hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    bench_advance(&bench, 100);
    slips_to("one", SLIP_RUNNING, &slip);
    hand_end(hand, slip, "throttled", 429, 2000);
    bench_run(&bench);
    end_all("one", "aborted", 0, 0);
    for (int calls = 0; calls < 3;) {
        if (hand_start(hand) > 0) {
            cr_expect_eq(hand_count(hand, SLIP_WAITING), 0);
            cr_expect_eq(hand_count(hand, SLIP_RUNNING), 1);
            cr_expect(last_ms == 0 || bench.now_ms - last_ms >= 200,
                      "%lld ms apart", (long long)(bench.now_ms - last_ms));
            last_ms = bench.now_ms;
            hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
            calls++;
        }
        bench_advance(&bench, 10);
    }
}

/* ---- failover ---- */

Test(broker_upstreams, a_failure_goes_to_the_other_at_once, .init = set_up,
     .fini = tear_down)
{
    cJSON *results;

    bench.conf.upstreams[0].priority = 2;
    begin();
    submit("k", "one,two", 1, uuid);
    hand_start(hand);
    cr_expect_eq(end_all("one", "retryable", 500, 0), 1);
    hand_start(hand);
    cr_assert_eq(slips_to("two", SLIP_RUNNING, NULL), 1, "with no pause");
    bench_work(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    results = bench_results(&bench, uuid, 0);
    cr_expect_str_eq(at_str(result_of(results, "0"), "upstream"), "two");
    cr_expect_eq(at_int(result_of(results, "0"), "attempts"), 2);
    cJSON_Delete(results);
}

Test(broker_upstreams, a_throttle_or_a_stop_moves_all_to_the_other,
     .init = set_up, .fini = tear_down)
{
    static const struct {
        const char *class_name;
        int http_status;
        int64_t wait_ms;
    } ends[] = { { "throttled", 429, 60000 }, { "stop", 401, 0 } };

    bench.conf.upstreams[0].priority = 2;
    begin();
    for (size_t i = 0; i < 2; i++) {
        char key[2] = { (char)('k' + i), '\0' };

        submit(key, "two,one", 8, uuid);
        hand_start(hand);
        cr_expect_geq(end_all("one", ends[i].class_name, ends[i].http_status,
                              ends[i].wait_ms),
                      3);
        bench_work(&bench);
        cr_expect_str_eq(bench_state(&bench, uuid), "finished");
        cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 8,
                     "none is lost");
        (void)bench_ask(&bench, NULL,
                        "'verb':'upstream_resume','upstream':'one'");
        bench_advance(&bench, 60000);
    }
}

Test(broker_upstreams, the_default_route_is_for_drafts_that_name_none,
     .init = set_up, .fini = tear_down)
{
    struct err err = { 0 };

    cr_assert_eq(conf_set(&bench.conf, "route", "two", &err), 0);
    begin();
    submit("k", NULL, 1, uuid);
    hand_start(hand);
    cr_expect_eq(slips_to("two", SLIP_RUNNING, NULL), 1);
}

Test(broker_upstreams, a_route_is_a_set_to_the_cache, .init = set_up,
     .fini = tear_down)
{
    begin();
    bench_submit(&bench, "k", NULL,
                 "{'id':'a','text':'t','upstream':'one,two'}\n"
                 "{'id':'b','text':'t','upstream':'two, one'}\n"
                 "{'id':'c','text':'t','upstream':'one'}\n",
                 uuid);
    bench_advance(&bench, 1);
    bench_work(&bench);
    cr_expect_eq(bench_status(&bench, uuid, "counts.joined"), 1);
    cr_expect_eq(bench_stat(&bench, "calls"), 2);
}

Test(broker_upstreams, a_model_has_its_name_there, .init = set_up,
     .fini = tear_down)
{
    struct slip *slip;
    int mapped = 0;

    bench.conf.upstreams[1].model_map = mem_dup_str("gpt=llama");
    begin();
    bench_submit(&bench, "k", NULL,
                 "{'id':'a','text':'t','model':'gpt','upstream':'two'}\n"
                 "{'id':'b','text':'t','model':'gpt','upstream':'one'}\n"
                 "{'id':'c','text':'u','upstream':'two'}\n",
                 uuid);
    bench_advance(&bench, 1);
    hand_start(hand);
    for (size_t i = 0; (slip = hand_slip(hand, SLIP_RUNNING, i)); i++)
        mapped += slip->model && strcmp(slip->model, "llama") == 0;
    cr_expect_eq(mapped, 1);
    free(bench.conf.upstreams[1].model_map);
    bench.conf.upstreams[1].model_map = NULL;
}

/* ---- the breaker ---- */

Test(broker_upstreams, a_broken_one_gets_one_probe_and_no_attempt_is_spent,
     .init = set_up, .fini = tear_down)
{
    int64_t calls;

    bench.conf.breaker_failures = 3;
    begin();
    submit("k", NULL, 8, uuid);
    hand_start(hand);
    end_all("one", "retryable", 500, 0);
    cr_expect_str_eq(at_str(row_of("one"), "state"), "broken");
    cr_expect_str_eq(at_str(row_of("one"), "code"), "its_code");
    cr_expect_str_eq(at_str(row_of("one"), "message"), "its message");
    cr_expect_eq(at_int(row_of("one"), "http_status"), 500);
    cr_expect_eq(hand_count(hand, SLIP_WAITING), 0, "called back");
    calls = bench_stat(&bench, "calls");
    bench_advance(&bench, bench.conf.breaker_pause_ms - 1);
    cr_expect_eq(hand_start(hand), 0);
    bench_advance(&bench, 1);
    cr_expect_eq(hand_start(hand), 1, "one probe");
    end_all("one", "retryable", 500, 0);
    bench_advance(&bench, 2 * bench.conf.breaker_pause_ms - 1);
    cr_expect_eq(hand_start(hand), 0);
    cr_expect_eq(bench_stat(&bench, "calls"), calls + 1);
    bench_advance(&bench, 1);
    cr_expect_eq(hand_start(hand), 1);
    cr_expect_str_eq(at_str(row_of("one"), "state"), "probing");
    cr_expect_str_eq(at_str(row_of("one"), "code"), "its_code");
    hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    bench_run(&bench);
    cr_expect_str_eq(at_str(row_of("one"), "state"), "ready");
    cr_expect_str_eq(at_str(row_of("one"), "code"), "");
    cr_expect_eq(at_int(row_of("one"), "http_status"), 0);
    cr_expect_eq(at_int(row_of("one"), "window"), 1, "closes slowly");
    finish(uuid);
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 8);
}

/* ---- the last resort ---- */

Test(broker_upstreams, the_last_resort_is_as_the_batch_says, .init = set_up,
     .fini = tear_down)
{
    cJSON *results;
    char third[BENCH_UUID_BYTES];

    begin();
    submit("k", NULL, 1, uuid);
    hand_start(hand);
    end_all("one", "stop", 402, 0);
    bench_submit(&bench, "e", "{'last_resort':'essence'}",
                 "{'id':'0','text':'a quiet harbour'}\n", other);
    bench_submit(&bench, "l", "{'last_resort':'local'}",
                 "{'id':'0','text':'another harbour'}\n", third);
    submit("w", NULL, 1, uuid);
    bench_work(&bench);
    cr_expect(is_stalled(uuid), "the others wait");
    results = bench_results(&bench, other, 0);
    cr_expect_str_eq(at_str(result_of(results, "0"), "status"), "error");
    cr_expect_str_eq(at_str(result_of(results, "0"), "error.code"),
                     "last_resort");
    cr_expect_str_eq(at_str(result_of(results, "0"), "essence"),
                     "quiet harbour [error]");
    cJSON_Delete(results);
    results = bench_results(&bench, third, 0);
    cr_expect_str_eq(at_str(result_of(results, "0"), "status"), "error");
    cr_expect_str_eq(at_str(result_of(results, "0"), "error.code"),
                     "local_fallback");
    cr_expect_str_eq(at_str(result_of(results, "0"), "text"), "answer");
    cr_expect_str_eq(at_str(result_of(results, "0"), "upstream"), "local");
    cJSON_Delete(results);
    /* It is no answer: who asks again gets a real one. */
    (void)bench_ask(&bench, NULL, "'verb':'upstream_resume','upstream':'one'");
    (void)bench_ask(&bench, NULL, "'verb':'retry','batch':'%s'", third);
    finish(third);
    results = bench_results(&bench, third, 0);
    cr_expect_str_eq(at_str(result_of(results, "0"), "status"), "ok");
    cr_expect_str_eq(at_str(result_of(results, "0"), "upstream"), "one");
    cJSON_Delete(results);
}

Test(broker_upstreams, near_a_deadline_what_can_go_nowhere_ends, .init = set_up,
     .fini = tear_down)
{
    struct err err = { 0 };

    cr_assert_eq(conf_set(&bench.conf, "last_resort", "essence", &err), 0);
    bench.conf.deadline_ms = 600000;
    bench.conf.last_resort_ms = 60000;
    begin();
    submit("k", NULL, 2, uuid);
    hand_start(hand);
    end_all("one", "throttled", 429, 570000);
    bench_advance(&bench, 1000);
    bench_work(&bench);
    /* The wait ends before the deadline, but too near to it. */
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    cr_expect_eq(bench_status(&bench, uuid, "counts.error"), 2);
}
