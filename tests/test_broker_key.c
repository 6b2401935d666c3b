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
