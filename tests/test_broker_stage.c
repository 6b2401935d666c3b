/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

TestSuite(broker_stage, .timeout = 30);

static struct bench bench;
static struct hand *hand;
static char uuid[BENCH_UUID_BYTES], other[BENCH_UUID_BYTES];

/* Two calls of one batch and one of another are in flight. */
static void
set_up(void)
{
    bench_init(&bench, BENCH_STORE_MAX);
    bench.conf.group_window_ms = 0;
    bench.conf.t1_ms = 1000;
    bench.conf.t2_ms = 2000;
    bench.conf.t3_ms = 4000;
    bench.conf.t4_ms = 8000;
    bench_start(&bench);
    hand = hand_new(&bench, 3);
    bench_submit(&bench, "k", NULL,
                 "{'id':'a','text':'first'}\n{'id':'b','text':'second'}\n",
                 uuid);
    bench_submit(&bench, "l", NULL, "{'id':'c','text':'third'}\n", other);
    bench_run(&bench);
    cr_assert_eq(hand_start(hand), 3);
    bench_run(&bench);
}

static void
tear_down(void)
{
    bench_fini(&bench);
}

static void
expect(const char *batch, int64_t stage, const int64_t calls[4])
{
    cr_expect_eq(bench_status(&bench, batch, "slow.stage"), stage);
    for (int i = 0; i < 4; i++) {
        char path[32];

        (void)snprintf(path, sizeof(path), "slow.calls.%d", i);
        cr_expect_eq(bench_status(&bench, batch, path), calls[i], "%s", path);
    }
}

Test(broker_stage, a_call_goes_through_the_stages_while_it_lasts,
     .init = set_up, .fini = tear_down)
{
    expect(uuid, 0, (int64_t[]){ 0, 0, 0, 0 });
    bench_advance(&bench, 1000);
    expect(uuid, 0, (int64_t[]){ 0, 0, 0, 0 });
    bench_advance(&bench, 1);
    expect(uuid, 1, (int64_t[]){ 2, 0, 0, 0 });
    expect(other, 1, (int64_t[]){ 1, 0, 0, 0 });
    hand_answer(hand, hand_find(hand, "first"), "answer");
    bench_advance(&bench, 1000);
    expect(uuid, 2, (int64_t[]){ 0, 1, 0, 0 });
    bench_advance(&bench, 2000);
    expect(uuid, 3, (int64_t[]){ 0, 0, 1, 0 });
    bench_advance(&bench, 4000);
    expect(uuid, 4, (int64_t[]){ 0, 0, 0, 1 });
    hand_answer(hand, hand_find(hand, "second"), "answer");
    bench_run(&bench);
    expect(uuid, 0, (int64_t[]){ 0, 0, 0, 0 });
    expect(other, 4, (int64_t[]){ 0, 0, 0, 1 });
}

/* The loop sleeps until something is due: a stage is, to the millisecond. */
Test(broker_stage, the_next_stage_wakes_the_loop, .init = set_up,
     .fini = tear_down)
{
    int64_t next_ms = broker_next_ms(bench.broker);

    cr_expect_eq(next_ms, bench.now_ms + 1001);
}

/* What waits in the worker for a slot is not in flight. */
Test(broker_stage, a_lease_that_has_not_started_is_in_time)
{
    bench_init(&bench, BENCH_STORE_MAX);
    bench.conf.group_window_ms = 0;
    bench_start(&bench);
    hand = hand_new(&bench, 1);
    bench_submit(&bench, "k", NULL, "{'id':'a','text':'first'}\n", uuid);
    bench_run(&bench);
    cr_assert_eq(hand_count(hand, SLIP_WAITING), 1);
    bench_advance(&bench, 30000);
    expect(uuid, 0, (int64_t[]){ 0, 0, 0, 0 });
    bench_fini(&bench);
}
