/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

TestSuite(broker_fair, .timeout = 60);

static struct bench bench;
static struct hand *hand;

static void
set_up(void)
{
    bench_init(&bench, BENCH_STORE_MAX);
    bench.conf.turn_tokens = 1000;
    bench.conf.group_chars_max = 1; /* each goes alone */
    bench.conf.oldest_share_percent = 0;
    /* Time stands still here: calls that take none let leases run far ahead of
     * what is settled. */
    bench.conf.lease_ahead_max = 8;
    bench.conf.clients[0] =
        (struct conf_client){ .name = mem_dup_str("heavy"), .weight = 3 };
    bench.conf.client_count = 1;
    bench_start(&bench);
}

static void
tear_down(void)
{
    bench_fini(&bench);
}

/* A batch whose drafts ask for answers of so many tokens; texts begin with its
 * letter. */
static void
submit(const char *client, char letter, int drafts, int tokens,
       const char *more)
{
    struct buf lines = { 0 };
    char uuid[BENCH_UUID_BYTES];

    bench_ask(&bench, NULL, "'verb':'open','client':'%s','key':'%c'%s", client,
              letter, more);
    (void)snprintf(uuid, sizeof(uuid), "%s",
                   at_str(bench_answer(&bench, bench.re)->head, "batch"));
    for (int i = 0; i < drafts; i++) {
        buf_addf(&lines,
                 "{'id':'%d','goal':'%c','max_tokens':%d,'text':'<%c %d'}\n", i,
                 letter, tokens, letter, i);
    }
    bench_chunk(&bench, uuid, 1, lines.data);
    bench_seal(&bench, uuid, 1, drafts);
    buf_fini(&lines);
}

static char
letter_of(const char *body)
{
    const char *at = strchr(body, '<');

    cr_assert_not_null(at);
    return at[1];
}

/* Ends all calls that run with so many tokens; 0 fails them. */
static void
end_all(int tokens)
{
    struct slip *slip;

    while ((slip = hand_slip(hand, SLIP_RUNNING, 0))) {
        if (tokens == 0) {
            hand_end(hand, slip, "permanent", 400, 0);
            continue;
        }
        hand_say(hand,
                 "{'verb':'result','request':%lld,'fence':%lld,'class':'ok',"
                 "'http_status':200,'total_tokens':%d,'sent':1}",
                 (long long)slip->request, (long long)slip->fence,
                 letter_of(slip->body) == 'A' ? tokens : 1000 + tokens);
        hand_forget(hand, slip);
    }
}

/* Makes so many calls; counts those of a letter. */
static int
calls_of(char letter, size_t count, int tokens)
{
    size_t until = bench.call_count + count;
    int found = 0;

    for (size_t i = bench.call_count; i < until; i++) {
        if (i == bench.call_count) {
            end_all(tokens);
            bench_run(&bench);
            cr_assert_gt(hand_start(hand), 0);
        }
        found += letter_of(bench.calls[i]) == letter;
    }
    return found;
}

Test(broker_fair, a_short_batch_does_not_wait_for_a_long_one, .init = set_up,
     .fini = tear_down)
{
    submit("c", 'A', 200, 1000, "");
    for (char letter = 'B'; letter < 'G'; letter++)
        submit("c", letter, 3, 10, "");
    hand = hand_new(&bench, 5);
    bench_run(&bench);
    hand_start(hand);
    calls_of('A', 25, 0);
    /* All of them in the first calls, with few of the long one between. */
    for (char letter = 'B'; letter < 'G'; letter++) {
        int found = 0;

        for (size_t i = 0; i < 25; i++)
            found += letter_of(bench.calls[i]) == letter;
        cr_expect_eq(found, 3, "batch %c", letter);
    }
}

Test(broker_fair, clients_share_by_weight, .init = set_up, .fini = tear_down)
{
    submit("heavy", 'A', 300, 200, "");
    submit("light", 'B', 150, 200, "");
    submit("light", 'C', 150, 200, "");
    hand = hand_new(&bench, 5);
    bench_run(&bench);
    hand_start(hand);
    /* All cost the same: three in four, within a turn. */
    cr_expect_leq(abs(calls_of('A', 240, 0) - 180), 6);
}

/* Those of B take a thousand tokens more than those of A, where both were
 * thought to take the same. */
Test(broker_fair, what_calls_really_took_is_settled, .init = set_up,
     .fini = tear_down)
{
    submit("c", 'A', 300, 200, "");
    submit("d", 'B', 300, 200, "");
    hand = hand_new(&bench, 5);
    bench_run(&bench);
    hand_start(hand);
    cr_expect_geq(calls_of('A', 240, 1000), 150, "two of three");
}

/* Failures are no way to be served for nothing. */
Test(broker_fair, a_batch_that_fails_pays_too, .init = set_up,
     .fini = tear_down)
{
    submit("c", 'A', 300, 200, "");
    submit("d", 'B', 300, 200, "");
    hand = hand_new(&bench, 5);
    bench_run(&bench);
    hand_start(hand);
    cr_expect_leq(abs(calls_of('A', 200, 0) - 100), 6);
}

Test(broker_fair, a_low_priority_rises_with_time, .init = set_up,
     .fini = tear_down)
{
    submit("c", 'A', 300, 200, ",'priority':2");
    submit("d", 'B', 300, 200, ",'priority':3");
    hand = hand_new(&bench, 5);
    bench_run(&bench);
    hand_start(hand);
    cr_expect_eq(calls_of('A', 50, 0), 0);
    bench_advance(&bench, bench.conf.age_ms);
    cr_expect_geq(calls_of('A', 100, 0), 35);
}

/* As after a failed commit and at a start. */
Test(broker_fair, the_schedule_is_made_anew_from_the_store, .init = set_up,
     .fini = tear_down)
{
    submit("heavy", 'A', 300, 200, "");
    submit("light", 'B', 300, 200, "");
    hand = hand_new(&bench, 5);
    bench_run(&bench);
    bench_restart(&bench);
    hand_hello(hand);
    bench_run(&bench);
    hand_start(hand);
    cr_expect_leq(abs(calls_of('A', 240, 0) - 180), 10);
}
