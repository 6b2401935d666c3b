/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "base/mem.h"
#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

TestSuite(broker_replies, .timeout = 30);

static struct bench bench;
static struct hand *hand;
static char uuid[BENCH_UUID_BYTES];

static void
set_up(void)
{
    bench_init(&bench, BENCH_STORE_MAX);
}

static void
tear_down(void)
{
    bench_fini(&bench);
}

/* One draft for each upstream, both of them started. */
static void
start(void)
{
    bench_start(&bench);
    hand = hand_new(&bench, 5);
    bench_submit(&bench, "k", NULL,
                 "{'id':'a','text':'for one'}\n"
                 "{'id':'b','text':'for two','upstream':'two'}\n",
                 uuid);
    bench_advance(&bench, bench.conf.group_window_ms);
    cr_assert_eq(hand_start(hand), 2);
}

static void
say_shape(const char *text, const char *shape)
{
    struct slip *slip = hand_find(hand, text);

    hand_say(hand,
             "{'verb':'result','request':%lld,'fence':%lld,'class':'ok',"
             "'http_status':200,'shape':'%s'}",
             (long long)slip->request, (long long)slip->fence, shape);
    bench_run(&bench);
}

Test(broker_replies, are_counted_by_their_shape, .init = set_up,
     .fini = tear_down)
{
    bench.conf.upstreams[1].dialect = mem_dup_str("anthropic");
    start();
    say_shape("for one", "anthropic");
    cr_expect_eq(bench_stat(&bench, "replies_anthropic"), 1);
    cr_expect_eq(bench_stat(&bench, "replies_fallback_path"), 1);
    cr_expect_eq(bench_stat(&bench, "replies_fallback_percent"), 100);
    say_shape("for two", "anthropic");
    cr_expect_eq(bench_stat(&bench, "replies_anthropic"), 2);
    cr_expect_eq(bench_stat(&bench, "replies_priority_path"), 1);
    cr_expect_eq(bench_stat(&bench, "replies_fallback_percent"), 50);
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 2);
}

Test(broker_replies, of_a_shape_that_nobody_knows_are_taken, .init = set_up,
     .fini = tear_down)
{
    start();
    say_shape("for one", "of tomorrow");
    cr_expect_eq(bench_stat(&bench, "replies_fallback_path"), 1);
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 1);
}

Test(broker_replies, that_never_came_are_counted_apart_and_tried_again,
     .init = set_up, .fini = tear_down)
{
    bench.conf.attempts_max = 2;
    start();
    hand_end(hand, hand_find(hand, "for one"), "uncertain", 0, 0);
    bench_run(&bench);
    cr_expect_eq(bench_stat(&bench, "calls_uncertain"), 1);
    cr_expect_eq(bench_status(&bench, uuid, "counts.done"), 0);
    bench_advance(&bench, bench.conf.backoff_cap_ms);
    cr_assert_eq(hand_start(hand), 1);
    hand_end(hand, hand_find(hand, "for one"), "uncertain", 0, 0);
    bench_run(&bench);
    cr_expect_eq(bench_status(&bench, uuid, "counts.error"), 1);
}

Test(broker_replies, that_stop_an_upstream_end_their_draft, .init = set_up,
     .fini = tear_down)
{
    start();
    hand_end(hand, hand_find(hand, "for two"), "stop", 401, 0);
    bench_run(&bench);
    cr_expect_eq(bench_status(&bench, uuid, "counts.auth_error"), 1);
    cr_expect_eq(bench_status(&bench, uuid, "counts.done"), 1);
}

Test(broker_replies, cut_off_by_the_upstreams_limit_get_more_room,
     .init = set_up, .fini = tear_down)
{
    bench.conf.upstreams[0].max_tokens_default = 100;
    start();
    cr_expect_not_null(
        strstr(hand_find(hand, "for one")->body, "\"max_tokens\":100}"));
    hand_end(hand, hand_find(hand, "for one"), "truncated", 200, 0);
    hand_end(hand, hand_find(hand, "for two"), "truncated", 200, 0);
    bench_run(&bench);
    /* Without a limit of ours, more room would change nothing. */
    cr_expect_eq(bench_status(&bench, uuid, "counts.error"), 1);
    cr_assert_eq(hand_start(hand), 1);
    cr_expect_not_null(
        strstr(hand_find(hand, "for one")->body, "\"max_tokens\":200}"));
    hand_end(hand, hand_find(hand, "for one"), "truncated", 200, 0);
    bench_run(&bench);
    cr_expect_eq(bench_status(&bench, uuid, "counts.error"), 2);
}
