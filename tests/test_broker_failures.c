/* Calls that end without an answer: the waits, and the ends. */
/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

#define BIG_BYTES      4096
#define BIG_LINE_BYTES 8192

TestSuite(broker_failures, .timeout = 30);

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

/* A wait that the server names is everybody's, costs no attempt, and other
 * upstreams do not mind. */
Test(broker_failures, throttling_holds_the_upstream, .init = set_up,
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
            cr_expect_str_eq(bench_call_order(&bench), "AC");
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
    cr_expect_str_eq(result_str(&bench, uuid, "a", "status"), "ok");
    cr_expect_eq(result_int(&bench, uuid, "a", "attempts") +
                     result_int(&bench, other, "a", "attempts"),
                 22);
    cr_expect_str_eq(bench_state(&bench, other), "finished");
    cr_expect_eq(bench_stat(&bench, "calls_throttled"), 20);
}

Test(broker_failures, throttling_ends_at_its_limit, .init = set_up,
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
    cr_expect_str_eq(result_str(&bench, uuid, "a", "status"), "rate_limited");
    cr_expect_str_eq(result_str(&bench, uuid, "a", "essence"),
                     "harbour [rate_limited]");
    cr_expect_eq(result_int(&bench, uuid, "a", "error.http_status"), 429);
}

Test(broker_failures, backoff_holds_no_slot_and_outlives_the_broker,
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
    cr_expect_str_eq(bench_call_order(&bench), "AB");
    bench_restart(&bench);
    hand_hello(hand);
    bench_run(&bench);
    bench_advance(&bench, 60000 - bench.conf.group_window_ms - 1);
    cr_expect_eq(hand->slip_count, 0);
    bench_advance(&bench, 1);
    cr_expect_eq(hand->slip_count, 1);
    bench_work(&bench);
    cr_expect_eq(result_int(&bench, uuid, "a", "attempts"), 2);
}

Test(broker_failures, attempts_end_with_an_essence, .init = set_up,
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
    cr_expect_str_eq(result_str(&bench, uuid, "a", "status"), "server_error");
    cr_expect_str_eq(result_str(&bench, uuid, "a", "essence"),
                     "invoice harbour Translate Welsh [server_error]");
    cr_expect_eq(result_int(&bench, uuid, "a", "attempts"),
                 bench.conf.attempts_max);
}

Test(broker_failures, what_was_cut_off_gets_more_room_once, .init = set_up,
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
    cr_expect_str_eq(result_str(&bench, uuid, "a", "status"), "error");
    cr_expect_eq(bench.call_count, 3);
}

/* 10 tokens at 1 and 5 at 2 dollars for a million, twice. */
Test(broker_failures, what_was_cut_off_is_paid_for_as_well, .init = set_up,
     .fini = tear_down)
{
    struct slip *slip;
    cJSON *results;

    bench_submit(&bench, "k", NULL, "{'id':'a','text':'A','max_tokens':50}\n",
                 uuid);
    pass_window();
    hand_start(hand);
    slip = hand_slip(hand, SLIP_RUNNING, 0);
    hand_say(hand,
             "{'verb':'result','request':%lld,'fence':%lld,'class':'truncated',"
             "'http_status':200,'prompt_tokens':10,'completion_tokens':5,"
             "'total_tokens':15,'sent':1}",
             (long long)slip->request, (long long)slip->fence);
    hand_forget(hand, slip);
    bench_work(&bench);
    results = bench_results(&bench, uuid, 0);
    cr_expect_str_eq(at_str(result_of(results, "a"), "status"), "ok");
    cr_expect_eq(at_int(result_of(results, "a"), "usage.total_tokens"), 15);
    cr_expect_float_eq(
        cJSON_GetObjectItemCaseSensitive(result_of(results, "a"), "cost_usd")
            ->valuedouble,
        40e-6, 1e-12);
    cJSON_Delete(results);
    cr_expect_eq(bench_status(&bench, uuid, "usage.total_tokens"), 30);
}

/* An answer to the first of the calls that run, with what the words say of its
 * tokens. */
static void
answer_with(const char *tokens)
{
    struct slip *slip = hand_slip(hand, SLIP_RUNNING, 0);

    hand_say(hand,
             "{'verb':'result','request':%lld,'fence':%lld,'class':'ok',"
             "'http_status':200,%s'sent':1}",
             (long long)slip->request, (long long)slip->fence, tokens);
    hand_forget(hand, slip);
}

static bool
is_null(const cJSON *result, const char *path)
{
    return cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(result, path));
}

/* Nobody knows what it cost; but what was told of is paid for. */
Test(broker_failures, tokens_that_are_not_told_are_not_zero, .init = set_up,
     .fini = tear_down)
{
    const cJSON *result, *usage;
    cJSON *results;

    bench_submit(&bench, "k", NULL,
                 "{'id':'a','text':'A'}\n{'id':'b','text':'B'}\n", uuid);
    pass_window();
    hand_start(hand);
    answer_with("");
    answer_with("'prompt_tokens':10,");
    bench_run(&bench);
    results = bench_results(&bench, uuid, 0);
    result = result_of(results, "a");
    cr_expect_str_eq(at_str(result, "status"), "ok");
    cr_expect(is_null(result, "usage"));
    cr_expect(is_null(result, "cost_usd"));
    result = result_of(results, "b");
    usage = cJSON_GetObjectItemCaseSensitive(result, "usage");
    cr_expect_eq(at_int(usage, "prompt_tokens"), 10);
    cr_expect(is_null(usage, "completion_tokens"));
    cr_expect(is_null(usage, "total_tokens"));
    cr_expect_float_eq(
        cJSON_GetObjectItemCaseSensitive(result, "cost_usd")->valuedouble,
        10e-6, 1e-12);
    cJSON_Delete(results);
    cr_expect_eq(bench_status(&bench, uuid, "usage.prompt_tokens"), 10);
    cr_expect_eq(bench_status(&bench, uuid, "usage.total_tokens"), 10);
}

Test(broker_failures, an_aborted_call_spends_no_attempt, .init = set_up,
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
    cr_expect_str_eq(result_str(&bench, uuid, "a", "status"), "ok");
    cr_expect_eq(result_int(&bench, uuid, "a", "attempts"), 1);
}

/* What the upstream claims cannot bring the broker down. */
Test(broker_failures, absurd_numbers_of_tokens_are_survived, .init = set_up,
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
Test(broker_failures, what_cannot_be_sent_any_more_ends, .init = set_up,
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
    cr_expect_str_eq(result_str(&bench, uuid, "a", "status"), "error");
    cr_expect_str_eq(result_str(&bench, uuid, "a", "error.code"), "unsendable");
    cr_expect_str_eq(result_str(&bench, uuid, "a", "latency_ms"), "(null)");
    cr_expect_str_eq(result_str(&bench, uuid, "b", "status"), "ok");
}

static void
expect_unsendable(const char *id, const char *essence, const char *reason)
{
    const char *message;

    cr_expect_str_eq(result_str(&bench, uuid, id, "error.code"), "unsendable");
    cr_expect_str_eq(result_str(&bench, uuid, id, "essence"), essence);
    message = result_str(&bench, uuid, id, "error.message");
    cr_expect(strstr(message, reason), "%s", message);
}

/* The limits and the upstreams of now say nothing about what was accepted. */
Test(broker_failures, what_cannot_be_sent_any_more_leaves_its_essence,
     .init = set_up, .fini = tear_down)
{
    char line[BIG_LINE_BYTES];
    int at =
        snprintf(line, sizeof(line),
                 "{'id':'a-name-of-some-length','text':'harbour invoice'}\n"
                 "{'id':'big','text':'ledger bridge',"
                 "'metadata':{'x':'%0*d'}}\n",
                 BIG_BYTES, 0);

    cr_assert_lt(at, (int)sizeof(line));
    bench_submit(&bench, "k", "{'upstream':'two'}", line, uuid);
    bench.conf.upstreams[1].name[0] = 'z';
    bench.conf.id_bytes_max = 16;
    bench.conf.line_bytes_max = BIG_BYTES;
    bench_restart(&bench);
    hand_hello(hand);
    bench_work(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    expect_unsendable("a-name-of-some-length", "harbour invoice [error]",
                      "upstream is not configured any more");
    expect_unsendable("big", "ledger bridge [error]", "line_bytes_max is 4096");
}

Test(broker_failures, a_smaller_limit_of_ids_ends_nothing, .init = set_up,
     .fini = tear_down)
{
    bench_submit(&bench, "k", NULL,
                 "{'id':'a-name-of-some-length','text':'A'}\n", uuid);
    bench.conf.id_bytes_max = 16;
    bench_restart(&bench);
    hand_hello(hand);
    bench_work(&bench);
    cr_expect_str_eq(
        result_str(&bench, uuid, "a-name-of-some-length", "status"), "ok");
}
