/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "base/buf.h"
#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

TestSuite(broker_poison, .timeout = 30);

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

/* A sealed batch of `count` drafts whose groups wait for nobody. */
static void
submit(const char *key, int count)
{
    struct buf lines = { 0 };

    for (int i = 0; i < count; i++)
        buf_addf(&lines, "{'id':'%d','text':'%s %d'}\n", i, key, i);
    bench_submit(&bench, key, NULL, lines.data, uuid);
    buf_fini(&lines);
    bench_advance(&bench, bench.conf.group_window_ms);
}

/* A worker that calls what it gets, until it calls the text: then it dies. True
 * if it did. */
static bool
work_until(struct hand *hand, const char *text)
{
    bench_run(&bench);
    while (hand_start(hand) > 0) {
        struct slip *slip;

        if (hand_find(hand, text)) {
            hand_kill(hand);
            return true;
        }
        while ((slip = hand_slip(hand, SLIP_RUNNING, 0)))
            hand_answer(hand, slip, "answer");
        bench_run(&bench);
    }
    return false;
}

/* Lets workers die with a text as often as it takes to suspect it. */
static void
make_suspect(const char *text)
{
    for (int64_t i = 0; i < bench.conf.lost_max; i++)
        cr_assert(work_until(hand_new(&bench, 5), text));
    cr_assert_geq(bench_stat(&bench, "suspects"), 1);
}

static const char *
error_of(const cJSON *results, const char *id, const char *name)
{
    const cJSON *row = result_of(results, id);
    const cJSON *error = cJSON_GetObjectItem(row, "error");

    return cJSON_GetStringValue(cJSON_GetObjectItem(error, name));
}

Test(broker_poison, a_request_that_kills_its_workers_ends_and_no_other_does,
     .init = set_up, .fini = tear_down)
{
    cJSON *results;
    int deaths = 0;

    /* Five are in flight each time, and each of them could be the one. */
    submit("k", 6);
    while (work_until(hand_new(&bench, 5), "k 0"))
        deaths++;
    cr_expect_eq(deaths, (int)bench.conf.lost_max + 1);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 5);
    cr_expect_eq(bench_status(&bench, uuid, "counts.error"), 1);
    results = bench_results(&bench, uuid, 0);
    cr_assert_str_eq(error_of(results, "0", "code"), "poison");
    cr_expect_str_eq(error_of(results, "0", "message"),
                     "4 workers were lost while they called it, the last one "
                     "with nothing else to do");
    cr_expect_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(
                         result_of(results, "0"), "essence")),
                     "0 [error]");
    cJSON_Delete(results);
    cr_expect_eq(bench_stat(&bench, "poisoned"), 1);
    cr_expect_eq(bench_stat(&bench, "calls_failed"), 0);
}

Test(broker_poison, what_survives_alone_starts_anew, .init = set_up,
     .fini = tear_down)
{
    struct hand *hand;

    submit("k", 1);
    for (int round = 0; round < 2; round++) {
        make_suspect("k 0");
        hand = hand_new(&bench, 5);
        bench_run(&bench);
        cr_assert_eq(hand_start(hand), 1);
        /* An answer of any kind shows that it is not what they die of. */
        hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "retryable", 500, 0);
        bench_run(&bench);
        hand_bye(hand);
        bench_advance(&bench, 60000);
    }
    cr_expect_eq(bench_stat(&bench, "poisoned"), 0);
    hand_new(&bench, 5);
    bench_work(&bench);
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 1);
}

Test(broker_poison, what_was_not_started_is_not_suspected, .init = set_up,
     .fini = tear_down)
{
    submit("k", 20);
    for (int i = 0; i < 6; i++) {
        struct hand *hand = hand_new(&bench, 5);

        bench_run(&bench);
        cr_assert_gt(hand->slip_count, 5);
        hand_kill(hand);
    }
    cr_expect_eq(bench_stat(&bench, "leases_lost"), 0);
    cr_expect_eq(bench_stat(&bench, "suspects"), 0);
}

Test(broker_poison, nothing_is_held_against_a_request_that_was_given_back,
     .init = set_up, .fini = tear_down)
{
    bench.conf.lost_max = 1;
    submit("k", 5);
    for (int i = 0; i < 3; i++) {
        struct hand *hand = hand_new(&bench, 5);

        /* One goes, one is told to; both abort what they run. */
        bench_run(&bench);
        cr_assert_eq(hand_start(hand), 5);
        if (i == 1)
            bench_restart(&bench);
        if (i == 1)
            hand_hello(hand);
        bench_run(&bench);
        while (hand_count(hand, SLIP_RUNNING))
            hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "aborted", 0, 0);
        hand_bye(hand);
        bench_run(&bench);
    }
    cr_expect_eq(bench_stat(&bench, "leases_lost"), 0);
    cr_expect_eq(bench_stat(&bench, "requests_ready"), 5);
    hand_new(&bench, 5);
    bench_work(&bench);
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 5);
}

Test(broker_poison, a_suspect_waits_until_a_worker_holds_nothing,
     .init = set_up, .fini = tear_down)
{
    struct hand *only;

    submit("s", 1);
    make_suspect("s 0");
    submit("k", 20);
    only = hand_new(&bench, 5);
    /* It was given other leases before the suspect's turn came: those that it
     * has not started go back, those that run end. */
    bench_run(&bench);
    cr_assert_not_null(only);
    cr_expect_null(hand_find(only, "s 0"));
    for (int i = 0; i < 100 && !hand_find(only, "s 0"); i++) {
        struct slip *slip;

        cr_assert_gt(hand_start(only), 0);
        if (hand_find(only, "s 0"))
            break;
        while ((slip = hand_slip(only, SLIP_RUNNING, 0)))
            hand_answer(only, slip, "answer");
        bench_run(&bench);
    }
    cr_assert_not_null(hand_find(only, "s 0"));
    cr_expect_eq(only->slip_count, 1, "nothing runs or waits beside it");
    hand_answer(only, hand_find(only, "s 0"), "answer");
    bench_work(&bench);
    cr_expect_eq(bench_stat(&bench, "requests_done"), 21);
}

Test(broker_poison, the_other_workers_go_on, .init = set_up, .fini = tear_down)
{
    struct hand *first, *second, *alone, *free_one;

    submit("s", 1);
    make_suspect("s 0");
    first = hand_new(&bench, 5);
    second = hand_new(&bench, 5);
    bench_run(&bench);
    submit("k", 20);
    hand_start(first);
    hand_start(second);
    alone = hand_find(first, "s 0") ? first : second;
    free_one = alone == first ? second : first;
    cr_assert_not_null(hand_find(alone, "s 0"));
    cr_expect_eq(alone->slip_count, 1);
    cr_expect_geq(hand_count(free_one, SLIP_RUNNING), 2);
    for (int i = 0; i < 10; i++) {
        struct slip *slip;

        while ((slip = hand_slip(free_one, SLIP_RUNNING, 0)))
            hand_answer(free_one, slip, "answer");
        bench_run(&bench);
        hand_start(free_one);
    }
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 20);
    cr_expect_eq(alone->slip_count, 1);
}

Test(broker_poison, suspects_run_one_after_the_other, .init = set_up,
     .fini = tear_down)
{
    struct hand *hands[3];

    submit("k", 5);
    make_suspect("k 0");
    cr_assert_eq(bench_stat(&bench, "suspects"), 5);
    for (int i = 0; i < 3; i++)
        hands[i] = hand_new(&bench, 5);
    for (int round = 0; round < 5; round++) {
        size_t held = 0;

        bench_run(&bench);
        for (int i = 0; i < 3; i++)
            held += hands[i]->slip_count;
        cr_expect_eq(held, 1, "round %d: %zu", round, held);
        for (int i = 0; i < 3; i++) {
            if (hand_start(hands[i]))
                hand_answer(hands[i], hand_slip(hands[i], SLIP_RUNNING, 0),
                            "answer");
        }
    }
    bench_run(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
}

Test(broker_poison, a_suspect_is_one_after_a_restart_too, .init = set_up,
     .fini = tear_down)
{
    struct hand *hand;

    submit("s", 1);
    make_suspect("s 0");
    bench_restart(&bench);
    hand = hand_new(&bench, 5);
    bench_run(&bench);
    cr_assert_eq(hand_start(hand), 1);
    /* While it runs alone, too: nothing comes beside it. */
    bench_restart(&bench);
    hand_hello(hand);
    submit("k", 5);
    cr_expect_eq(hand->slip_count, 1);
    hand_kill(hand);
    cr_expect_eq(bench_stat(&bench, "poisoned"), 1);
}

Test(broker_poison, a_retry_gives_a_new_chance, .init = set_up,
     .fini = tear_down)
{
    submit("k", 1);
    make_suspect("k 0");
    cr_assert(work_until(hand_new(&bench, 5), "k 0"));
    cr_assert_str_eq(bench_state(&bench, uuid), "finished");
    bench_ask(&bench, NULL, "'verb':'retry','batch':'%s'", uuid);
    cr_assert(work_until(hand_new(&bench, 5), "k 0"));
    cr_expect_eq(bench_stat(&bench, "poisoned"), 1);
    hand_new(&bench, 5);
    bench_work(&bench);
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 1);
}
