/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

TestSuite(broker_time, .timeout = 30);

#define HOUR INT64_C(3600000)
#define DAY  (24 * HOUR)
#define ONE  "{'id':'a','text':'one'}\n"
#define TWO  "{'id':'a','text':'two'}\n"

static struct bench bench;
static char uuid[BENCH_UUID_BYTES];

static void
set_up(void)
{
    bench_init(&bench, BENCH_STORE_MAX);
    bench_start(&bench);
}

static void
tear_down(void)
{
    bench_fini(&bench);
}

/* Opens with further terms, sends a draft, seals, and lets its group go. */
static void
submit(const char *key, const char *more, const char *line)
{
    bench_open(&bench, key, NULL, more, uuid);
    bench_chunk(&bench, uuid, 1, line);
    bench_seal(&bench, uuid, 1, 1);
    bench_advance(&bench, bench.conf.group_window_ms);
}

static void
start_again(int64_t after_ms)
{
    bench.now_ms += after_ms;
    bench_restart(&bench);
    bench_run(&bench);
}

Test(broker_time, what_a_client_names_is_the_time_on_the_wall, .init = set_up,
     .fini = tear_down)
{
    /* The wall clock shows an hour more than the store's time. */
    broker_note_wall(bench.broker, HOUR);
    submit("k", "'not_before':1800003660000,'deadline':1800003720000", ONE);
    hand_new(&bench, 5);
    cr_expect_eq(bench_status(&bench, uuid, "not_before"), 1800003660000);
    cr_expect_eq(bench_status(&bench, uuid, "deadline"), 1800003720000);
    bench_advance(&bench, 50000);
    cr_expect_eq(bench_stat(&bench, "leases"), 0);
    bench_advance(&bench, 9000);
    cr_expect_eq(bench_stat(&bench, "leases"), 1, "a minute is over");
    cr_expect_str_eq(bench_state(&bench, uuid), "sealed");
    bench_advance(&bench, 60000);
    cr_expect_str_eq(bench_state(&bench, uuid), "expired");
}

Test(broker_time, a_deadline_that_is_past_opens_nothing, .init = set_up,
     .fini = tear_down)
{
    static const char *const pasts[] = { "1", "1577836800000",
                                         "1800003600000" };
    const cJSON *head;

    broker_note_wall(bench.broker, HOUR);
    for (size_t i = 0; i < sizeof(pasts) / sizeof(pasts[0]); i++) {
        head = bench_ask(&bench, NULL,
                         "'verb':'open','client':'c','key':'k','deadline':%s",
                         pasts[i]);
        expect_error(head, "invalid");
        cr_expect_str_eq(at_str(head, "field"), "deadline", "%s", pasts[i]);
    }
    cr_expect_str_eq(at_str(head, "message"),
                     "deadline: 2027-01-15T09:00:00.000Z is past");
    cr_expect_eq(bench_stat(&bench, "batches"), 0);
    /* Who comes back with the same words finds what they made. */
    bench_open(&bench, "k", NULL, "'deadline':1800003600001", uuid);
    bench_advance(&bench, 1000);
    head = bench_ask(&bench, NULL,
                     "'verb':'open','client':'c','key':'k',"
                     "'deadline':1800003600001");
    cr_expect_str_eq(at_str(head, "batch"), uuid);
}

/* Who names both is taken at his word. */
Test(broker_time, a_batch_may_end_before_it_starts, .init = set_up,
     .fini = tear_down)
{
    submit("k", "'not_before':1800007200000,'deadline':1800007200000", ONE);
    hand_new(&bench, 5);
    bench_advance(&bench, 2 * HOUR);
    cr_expect_str_eq(bench_state(&bench, uuid), "expired");
    cr_expect_eq(bench_stat(&bench, "leases"), 0);
    cr_expect_eq(bench.call_count, 0);
}

/* The bench's time begins on a Friday, at 08:00 UTC. */
Test(broker_time, the_usual_deadline_counts_from_when_it_may_start,
     .init = set_up, .fini = tear_down)
{
    static const struct {
        const char *key, *terms;
        int64_t start_ms;
    } cases[] = {
        { "now", "'not_before':1", BENCH_START_MS },
        { "later", "'not_before':1800360000000", INT64_C(1800360000000) },
        { "window", "'window':'fri 07:00-08:00'",
          BENCH_START_MS + 7 * DAY - HOUR },
        { "both", "'window':'fri 07:00-08:00','not_before':1800604800000",
          BENCH_START_MS + 14 * DAY - HOUR },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bench.now_ms = BENCH_START_MS;
        submit(cases[i].key, cases[i].terms, ONE);
        cr_expect_eq(bench_status(&bench, uuid, "deadline"),
                     cases[i].start_ms + bench.conf.deadline_ms, "%s",
                     cases[i].key);
    }
    /* There is an end of time, too. */
    submit("never", "'window':'fri 07:00-08:00','not_before':9007199254740992",
           TWO);
    cr_expect_eq(bench_status(&bench, uuid, "deadline"), INT64_C(1) << 53);
}

Test(broker_time, lengths_stay_when_the_wall_clock_jumps, .init = set_up,
     .fini = tear_down)
{
    static const int64_t jumps[] = { 0, 25 * HOUR, -HOUR, -1800000000000, 0 };

    submit("k", "'deadline':1800086400000", ONE);
    for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
        broker_note_wall(bench.broker, jumps[i]);
        bench_advance(&bench, 4 * HOUR);
        cr_expect_str_eq(bench_state(&bench, uuid), "sealed", "jump %zu", i);
    }
    cr_expect_eq(bench_status(&bench, uuid, "deadline"), 1800086400000,
                 "shown as it was given");
    bench_advance(&bench, 4 * HOUR);
    cr_expect_str_eq(bench_state(&bench, uuid), "expired");
}

Test(broker_time, less_than_a_second_is_no_difference, .init = set_up,
     .fini = tear_down)
{
    broker_note_wall(bench.broker, 999);
    submit("k", "'not_before':1800000060000", ONE);
    broker_note_wall(bench.broker, -999);
    cr_expect_eq(bench_status(&bench, uuid, "not_before"), 1800000060000);
    hand_new(&bench, 5);
    bench_advance(&bench, 57999);
    cr_expect_eq(bench_stat(&bench, "leases"), 0);
    bench_advance(&bench, 1);
    cr_expect_eq(bench_stat(&bench, "leases"), 1);
}

Test(broker_time, windows_follow_the_wall_clock, .init = set_up,
     .fini = tear_down)
{
    submit("k", "'window':'fri 20:00-22:00'", ONE);
    hand_new(&bench, 5);
    bench_advance(&bench, HOUR);
    cr_expect_eq(bench_stat(&bench, "leases"), 0);
    /* It is put forward into the window. */
    broker_note_wall(bench.broker, 12 * HOUR);
    bench_advance(&bench, 100);
    cr_expect_eq(bench_stat(&bench, "leases"), 1);
    bench_work(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    /* And back out of it. */
    broker_note_wall(bench.broker, 0);
    submit("l", "'window':'fri 20:00-22:00'", TWO);
    bench_advance(&bench, HOUR);
    cr_expect_eq(bench_stat(&bench, "leases"), 1);
    bench_advance(&bench, 10 * HOUR);
    cr_expect_eq(bench_stat(&bench, "leases"), 2);
}

Test(broker_time, a_deadline_in_the_down_time_gets_a_grace, .init = set_up,
     .fini = tear_down)
{
    int64_t grace_ms = bench.conf.start_grace_ms;

    submit("k", "", ONE);
    start_again(25 * HOUR);
    cr_expect_str_eq(bench_state(&bench, uuid), "sealed");
    bench_advance(&bench, grace_ms - 1000);
    cr_expect_str_eq(bench_state(&bench, uuid), "sealed");
    bench_advance(&bench, 1000);
    cr_expect_str_eq(bench_state(&bench, uuid), "expired");
    /* What it gets done in that time is done. */
    submit("l", "", TWO);
    start_again(25 * HOUR);
    hand_new(&bench, 5);
    bench_work(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    bench_advance(&bench, 2 * grace_ms);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
}

Test(broker_time, the_grace_is_no_longer_than_what_it_stands_for,
     .init = set_up, .fini = tear_down)
{
    submit("k", "'deadline':1800000010000", ONE);
    start_again(HOUR);
    bench_advance(&bench, 7000);
    cr_expect_str_eq(bench_state(&bench, uuid), "sealed");
    bench_advance(&bench, 3000);
    cr_expect_str_eq(bench_state(&bench, uuid), "expired");
}

Test(broker_time, a_deadline_that_was_still_to_come_gets_none, .init = set_up,
     .fini = tear_down)
{
    submit("k", "", ONE);
    start_again(23 * HOUR);
    bench_advance(&bench, HOUR);
    cr_expect_str_eq(bench_state(&bench, uuid), "expired");
}

Test(broker_time, a_batch_left_open_in_the_down_time_can_still_be_sealed,
     .init = set_up, .fini = tear_down)
{
    bench_open(&bench, "k", NULL, "", uuid);
    bench_chunk(&bench, uuid, 1, ONE);
    start_again(25 * HOUR);
    cr_expect_str_eq(bench_state(&bench, uuid), "open");
    bench_seal(&bench, uuid, 1, 1);
    bench_advance(&bench, HOUR);
    cr_expect_str_eq(bench_state(&bench, uuid), "sealed");
    bench_open(&bench, "l", NULL, "", uuid);
    start_again(25 * HOUR);
    bench_advance(&bench, bench.conf.start_grace_ms);
    cr_expect_str_eq(bench_state(&bench, uuid), "abandoned");
}

Test(broker_time, results_are_not_purged_at_the_start, .init = set_up,
     .fini = tear_down)
{
    bench.conf.results_ttl_ms = DAY;
    hand_new(&bench, 5);
    submit("k", "", ONE);
    bench_work(&bench);
    start_again(25 * HOUR);
    bench_advance(&bench, bench.conf.start_grace_ms - 1000);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    bench_advance(&bench, HOUR);
    cr_expect_eq(bench_stat(&bench, "batches_purged"), 1);
}
