/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

TestSuite(broker_pause, .timeout = 30);

#define THREE                                        \
    "{'id':'a','text':'a'}\n{'id':'b','text':'b'}\n" \
    "{'id':'c','text':'c'}\n"

static struct bench bench;
static struct hand *hand;
static char uuid[BENCH_UUID_BYTES], other[BENCH_UUID_BYTES];

static void
set_up(void)
{
    bench_init(&bench, BENCH_STORE_MAX);
    bench.conf.slots_max = 1;
    bench.conf.lease_ahead_max = 1;
    bench_start(&bench);
    hand = hand_new(&bench, 1);
    bench_run(&bench);
}

static void
tear_down(void)
{
    bench_fini(&bench);
}

static const cJSON *
ask(const char *verb, const char *batch)
{
    return bench_ask(&bench, NULL, "'verb':'%s','batch':'%s'", verb, batch);
}

/* Three drafts, and their group may go. */
static void
submit(const char *key, char batch[BENCH_UUID_BYTES])
{
    bench_submit(&bench, key, NULL, THREE, batch);
    bench_advance(&bench, bench.conf.group_window_ms);
}

Test(broker_pause, a_paused_batch_starts_nothing_and_goes_on_when_resumed,
     .init = set_up, .fini = tear_down)
{
    bench_submit(&bench, "k", NULL, THREE, uuid);
    cr_assert_str_eq(at_str(ask("pause", uuid), "verb"), "paused");
    bench_advance(&bench, 60000);
    bench_work(&bench);
    cr_assert_eq(bench.call_count, 0);
    cr_assert_str_eq(bench_state(&bench, uuid), "paused");
    cr_assert_str_eq(at_str(ask("resume", uuid), "state"), "sealed");
    bench_work(&bench);
    cr_assert_eq(bench.call_count, 3);
    cr_assert_str_eq(bench_state(&bench, uuid), "finished");
}

Test(broker_pause, is_repeatable_and_refused_in_other_states, .init = set_up,
     .fini = tear_down)
{
    bench_open(&bench, "k", NULL, "", uuid);
    cr_assert_str_eq(at_str(ask("pause", uuid), "code"), "conflict");
    bench_chunk(&bench, uuid, 1, THREE);
    bench_seal(&bench, uuid, 1, 3);
    cr_assert_str_eq(at_str(ask("resume", uuid), "state"), "sealed");
    cr_assert_str_eq(at_str(ask("pause", uuid), "state"), "paused");
    cr_assert_str_eq(at_str(ask("pause", uuid), "state"), "paused");
    cr_assert_str_eq(at_str(ask("cancel", uuid), "state"), "cancelled");
    cr_assert_str_eq(at_str(ask("pause", uuid), "code"), "conflict");
    cr_assert_str_eq(at_str(ask("resume", uuid), "code"), "conflict");
}

Test(broker_pause, takes_back_what_was_not_started_and_lets_calls_end,
     .init = set_up, .fini = tear_down)
{
    submit("k", uuid);
    cr_assert_eq(hand_start(hand), 1);
    cr_assert_eq(hand_count(hand, SLIP_WAITING), 1, "one lease ahead");
    hand_beat(hand);
    bench_run(&bench);
    ask("pause", uuid);
    bench_run(&bench);
    cr_assert_eq(hand_count(hand, SLIP_WAITING), 0);
    cr_assert_eq(hand_count(hand, SLIP_RUNNING), 1);
    hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    bench_work(&bench);
    cr_assert_eq(bench.call_count, 1);
    cr_assert_eq(bench_status(&bench, uuid, "counts.ok"), 1);
    cr_assert_eq(bench_stat(&bench, "leases_lost"), 0);
}

Test(broker_pause, what_another_batch_needs_goes_on_for_both, .init = set_up,
     .fini = tear_down)
{
    bench_submit(&bench, "k", NULL, THREE, uuid);
    bench_submit(&bench, "l", NULL, THREE, other);
    ask("pause", uuid);
    bench_advance(&bench, bench.conf.group_window_ms);
    bench_work(&bench);
    cr_assert_eq(bench.call_count, 3);
    cr_assert_str_eq(bench_state(&bench, other), "finished");
    cr_assert_str_eq(bench_state(&bench, uuid), "finished",
                     "all its answers came from the other one");
}

Test(broker_pause, survives_a_restart, .init = set_up, .fini = tear_down)
{
    bench_submit(&bench, "k", NULL, THREE, uuid);
    ask("pause", uuid);
    bench_restart(&bench);
    hand_hello(hand);
    bench_advance(&bench, 60000);
    bench_work(&bench);
    cr_assert_eq(bench.call_count, 0);
    ask("resume", uuid);
    bench_work(&bench);
    cr_assert_str_eq(bench_state(&bench, uuid), "finished");
}

Test(broker_pause, expires_all_the_same, .init = set_up, .fini = tear_down)
{
    submit("k", uuid);
    ask("pause", uuid);
    bench_advance(&bench, bench.conf.deadline_ms + 1);
    cr_assert_str_eq(bench_state(&bench, uuid), "expired");
    cr_assert_eq(bench_status(&bench, uuid, "counts.expired"), 3);
}

Test(broker_pause, a_retry_waits_for_the_resume, .init = set_up,
     .fini = tear_down)
{
    submit("k", uuid);
    hand_start(hand);
    hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "permanent", 400, 0);
    bench_run(&bench);
    ask("pause", uuid);
    bench_run(&bench);
    cr_assert_eq(at_int(ask("retry", uuid), "count"), 1);
    bench_advance(&bench, 1000);
    bench_work(&bench);
    cr_assert_str_eq(bench_state(&bench, uuid), "paused");
    ask("resume", uuid);
    bench_work(&bench);
    cr_assert_eq(bench_status(&bench, uuid, "counts.ok"), 3);
    cr_assert_str_eq(bench_state(&bench, uuid), "finished");
}

Test(broker_pause, whoever_waits_goes_on_waiting, .init = set_up,
     .fini = tear_down)
{
    int64_t re;

    submit("k", uuid);
    ask("pause", uuid);
    re = bench_ask_later(&bench, NULL,
                         "'verb':'wait','batch':'%s','timeout':60000", uuid);
    bench_run(&bench);
    cr_assert_null(bench_answer(&bench, re));
    ask("resume", uuid);
    bench_work(&bench);
    cr_assert_str_eq(at_str(bench_answer(&bench, re)->head, "state"),
                     "finished");
}
