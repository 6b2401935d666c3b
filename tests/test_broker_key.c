/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

TestSuite(broker_key, .timeout = 30);

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

/* Another broker starts, with another word in its configuration. */
static void
restart_with(char **word, const char *value)
{
    free(*word);
    *word = mem_dup_str(value);
    bench_restart(&bench);
    hand_hello(hand);
    bench_run(&bench);
}

/* Submits one draft and works it off; true if that took a call. */
static bool
calls_for(const char *key, const char *options, const char *line)
{
    size_t before = bench.call_count;

    bench_submit(&bench, key, options, line, other);
    bench_advance(&bench, bench.conf.group_window_ms);
    bench_work(&bench);
    cr_assert_str_eq(bench_state(&bench, other), "finished");
    return bench.call_count > before;
}

/* It was accepted with one configuration and sent with another: its answer is
 * kept for the same request of the second, and for none of the first. */
Test(broker_key, is_that_of_what_is_sent_after_a_restart, .init = set_up,
     .fini = tear_down)
{
    static const char line[] = "{'id':'a','text':'x'}\n";
    char **url = &bench.conf.upstreams[0].base_url;
    char *first = mem_dup_str(*url);

    bench_submit(&bench, "k", NULL, line, uuid);
    restart_with(url, "https://other.example/v1");
    bench_advance(&bench, bench.conf.group_window_ms);
    bench_work(&bench);
    cr_assert_str_eq(bench_state(&bench, uuid), "finished");
    cr_assert_eq(bench.call_count, 1);
    cr_expect_not(calls_for("l", NULL, line));
    restart_with(url, first);
    cr_expect(calls_for("m", NULL, line));
    free(first);
}

static const char plain[] = "{'id':'a','text':'x'}\n";
static const char named[] = "{'id':'a','text':'x','model':'m'}\n";

/* A draft that names no model has failed with the model m, which is that of
 * another configuration. A draft that names it waits, with the same key; the
 * first one tries again, joins its request, and is left with it. */
static void
leave_request(void)
{
    bench_submit(&bench, "k", NULL, plain, uuid);
    bench_advance(&bench, bench.conf.group_window_ms);
    hand_start(hand);
    hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "permanent", 400, 0);
    bench_run(&bench);
    cr_assert_str_eq(bench_state(&bench, uuid), "finished");
    restart_with(&bench.conf.upstreams[0].model, "n");
    bench_submit(&bench, "l", NULL, named, other);
    bench_ask(&bench, NULL, "'verb':'retry','batch':'%s'", uuid);
    bench_ask(&bench, NULL, "'verb':'cancel','batch':'%s'", other);
}

/* Starts the call of the request that was left, which is for the model n. */
static struct slip *
start_left(void)
{
    struct slip *slip;

    bench_advance(&bench, bench.conf.group_window_ms);
    hand_start(hand);
    slip = hand_slip(hand, SLIP_RUNNING, 0);
    cr_assert_not_null(slip);
    cr_expect_not_null(strstr(slip->body, "\"model\":\"n\""));
    return slip;
}

Test(broker_key, of_a_new_request_is_that_of_an_old_draft_that_is_sent,
     .init = set_up, .fini = tear_down)
{
    leave_request();
    hand_answer(hand, start_left(), "answer");
    bench_run(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    cr_expect(calls_for("m", NULL, named));
    cr_expect_not(calls_for("n", NULL, plain));
}

/* Whichever of its drafts a request is rendered from. */
Test(broker_key, follows_the_draft_that_is_sent, .init = set_up,
     .fini = tear_down)
{
    leave_request();
    bench_submit(&bench, "m", NULL, named, other);
    hand_end(hand, start_left(), "retryable", 500, 0);
    bench_ask(&bench, NULL, "'verb':'cancel','batch':'%s'", uuid);
    bench_advance(&bench, 60000);
    bench_work(&bench);
    cr_assert_str_eq(bench_state(&bench, other), "finished");
    cr_expect_not_null(
        strstr(bench.calls[bench.call_count - 1], "\"model\":\"m\""));
    cr_expect_not(calls_for("n", NULL, named));
    cr_expect(calls_for("o", NULL, plain));
}
