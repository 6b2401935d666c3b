/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"
#include "tests/put_body.h"

TestSuite(broker_full, .timeout = 60);

static struct bench bench;

static void
tear_down(void)
{
    bench_fini(&bench);
}

static void
add_draft(struct buf *lines, int number)
{
    buf_addf(lines, "{'id':'%d','goal':'%d','text':'", number, number % 3);
    for (int i = 0; i < 400; i++)
        buf_add_char(lines, 'x');
    buf_addf(lines, "%d'}\n", number);
}

/* Sends chunks of ten drafts until one is refused; returns how many went in. */
static int
fill(const char *uuid, int first)
{
    struct buf lines = { 0 };
    const cJSON *head;
    int n = first;

    for (;; n++) {
        buf_reset(&lines);
        for (int i = 0; i < 10; i++)
            add_draft(&lines, n * 10 + i);
        head = bench_chunk(&bench, uuid, n, lines.data);
        if (strcmp(at_str(head, "verb"), "stored") != 0)
            break;
        cr_assert_lt(n, 1000);
    }
    expect_error(head, "full");
    buf_fini(&lines);
    return n - first;
}

/* A transaction that cannot be committed has not happened, and all is as it was
 * before it: leases, slots, the schedule, waiters, counters. */
Test(broker_full, nothing_is_half_done, .fini = tear_down)
{
    char uuid[BENCH_UUID_BYTES], other[BENCH_UUID_BYTES];
    struct hand *hand;
    int chunks;

    bench_init(&bench, 120000);
    bench_start(&bench);
    hand = hand_new(&bench, 5);
    bench_open(&bench, "k", NULL, "", uuid);
    bench_open(&bench, "early", NULL, "'early':true", other);
    chunks = fill(uuid, 1);
    cr_assert_gt(chunks, 2);
    cr_expect_eq(bench_status(&bench, uuid, "next_chunk"), chunks + 1);
    cr_expect_eq(bench_status(&bench, uuid, "counts.drafts"), chunks * 10);
    cr_expect_eq(bench_stat(&bench, "drafts"), chunks * 10);
    cr_expect_eq(bench_stat(&bench, "drafts_accepted"), chunks * 10);
    cr_expect_eq(bench_stat(&bench, "slots_lent"), 5);
    cr_expect_eq(hand->slots, 5);
    /* Room again: another batch goes. */
    bench_ask(&bench, NULL, "'verb':'abort','batch':'%s'", uuid);
    cr_expect_eq(bench_stat(&bench, "drafts"), 0);
    bench_chunk(&bench, other, 1, "{'id':'a','text':'x'}\n");
    bench_advance(&bench, bench.conf.group_window_ms);
    bench_work(&bench);
    cr_expect_eq(bench_status(&bench, other, "counts.ok"), 1);
}

/* What fails together is tried one by one: only what is at fault is refused. */
Test(broker_full, one_message_too_many_harms_no_other, .fini = tear_down)
{
    char uuid[BENCH_UUID_BYTES], other[BENCH_UUID_BYTES];
    struct buf lines = { 0 };
    struct hand *hand;
    int64_t asked[4];

    bench_init(&bench, 150000);
    bench_start(&bench);
    hand = hand_new(&bench, 5);
    bench_open(&bench, "k", NULL, "", uuid);
    bench_submit(&bench, "l", NULL, "{'id':'a','text':'x'}\n", other);
    bench_advance(&bench, bench.conf.group_window_ms);
    hand_start(hand);
    cr_assert_eq(hand_count(hand, SLIP_RUNNING), 1);
    for (int i = 0; i < 1000 && lines.bytes < 200000; i++)
        add_draft(&lines, i);
    asked[0] =
        bench_ask_later(&bench, NULL, "'verb':'status','batch':'%s'", uuid);
    asked[1] =
        bench_ask_later(&bench, NULL, "'verb':'wait','batch':'%s'", other);
    hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    asked[2] = bench_chunk_later(&bench, uuid, 1, lines.data);
    asked[3] =
        bench_ask_later(&bench, NULL, "'verb':'results','batch':'%s'", other);
    bench_run(&bench);
    cr_assert_not_null(bench_answer(&bench, asked[0]));
    cr_assert_not_null(bench_answer(&bench, asked[1]));
    cr_assert_not_null(bench_answer(&bench, asked[3]));
    cr_expect_str_eq(at_str(bench_answer(&bench, asked[0])->head, "verb"),
                     "status");
    cr_expect_str_eq(at_str(bench_answer(&bench, asked[1])->head, "state"),
                     "finished");
    expect_error(bench_answer(&bench, asked[2])->head, "full");
    cr_expect_eq(at_int(bench_answer(&bench, asked[3])->head, "count"), 1);
    cr_expect_eq(bench.call_count, 1);
    cr_expect_eq(bench_stat(&bench, "calls"), 1);
    buf_fini(&lines);
}

/* Whichever message is the one for which there is no room: nothing is called
 * twice, and what there is stays readable. */
Test(broker_full, every_limit_is_survived, .fini = tear_down)
{
    for (uint64_t bytes = 3000; bytes < 60000; bytes += 1501) {
        char uuid[BENCH_UUID_BYTES];
        struct hand *hand;
        const cJSON *head;
        struct buf lines = { 0 };

        bench_init(&bench, bytes);
        bench_start(&bench);
        hand = hand_new(&bench, 3);
        bench_run(&bench);
        for (int i = 0; i < 6; i++)
            add_draft(&lines, i);
        head = bench_ask(&bench, NULL, "'verb':'open','client':'c','key':'k'");
        if (strcmp(at_str(head, "verb"), "opened") == 0) {
            (void)snprintf(uuid, sizeof(uuid), "%s", at_str(head, "batch"));
            head = bench_chunk(&bench, uuid, 1, lines.data);
            bench_ask(&bench, NULL,
                      "'verb':'seal','batch':'%s','chunks':1,'drafts':6", uuid);
            bench_advance(&bench, bench.conf.group_window_ms);
            for (int i = 0; i < 20; i++) {
                struct slip *slip;

                hand_start(hand);
                while ((slip = hand_slip(hand, SLIP_RUNNING, 0)))
                    hand_answer(hand, slip, "answer");
                bench_advance(&bench, 1000);
            }
            bench_ask(&bench, NULL, "'verb':'results','batch':'%s'", uuid);
            cr_expect_eq(at_int(bench_ask(&bench, NULL,
                                          "'verb':'status','batch':'%s'", uuid),
                                "counts.refused"),
                         0);
        }
        cr_expect_leq(bench.call_count, 6);
        buf_fini(&lines);
        if (bytes + 1501 < 60000)
            bench_fini(&bench);
    }
    cr_expect_eq(bench.call_count, 6, "the last one had room for all");
}

/* Both limits are told as they are, and change nothing for what is there. */
Test(broker_full, limits_are_told, .fini = tear_down)
{
    char uuid[BENCH_UUID_BYTES];
    const cJSON *head;

    bench_init(&bench, 120000);
    bench.conf.store_soft_percent = 40;
    bench.conf.store_hard_percent = 80;
    bench_start(&bench);
    hand_new(&bench, 5);
    cr_expect_eq(bench_stat(&bench, "store_bytes_soft"), 48000);
    cr_expect_eq(bench_stat(&bench, "store_bytes_hard"), 96000);
    cr_expect_eq(bench_stat(&bench, "store_bytes_max"), 120000);
    bench_open(&bench, "k", NULL, "", uuid);
    cr_expect_gt(fill(uuid, 1), 1);
    cr_expect_gt(bench_stat(&bench, "store_bytes") +
                     bench_stat(&bench, "store_bytes_promised"),
                 48000);
    head = bench_ask(&bench, NULL, "'verb':'open','client':'c','key':'l'");
    expect_error(head, "full");
    cr_expect(
        strstr(at_str(head, "message"), "the soft limit, for new batches"),
        "%s", at_str(head, "message"));
    /* The same batch again is no new one. */
    head = bench_ask(&bench, NULL, "'verb':'open','client':'c','key':'k'");
    cr_expect_str_eq(at_str(head, "verb"), "opened");
    bench_ask(&bench, NULL, "'verb':'abort','batch':'%s'", uuid);
    bench_open(&bench, "l", NULL, "", uuid);
}

/* Takes all the room that there is but for some bytes. */
static void
take_all(uint64_t but)
{
    struct store_usage usage;
    struct chunk chunk = { 0 };
    struct err err = { 0 };
    size_t bytes;
    char *body;

    cr_assert_eq(store_begin(bench.store, bench.now_ms, &err), 0);
    usage = store_usage(bench.store);
    /* The engine has as much again; a row has a key, says whose it is, and has a
     * checksum. */
    bytes = (size_t)(2 * usage.bytes_max - usage.bytes - but - 24);
    body = calloc(1, bytes);
    put_body(bench.store, 1000, &chunk, (struct slice){ body, bytes }, NULL, 0);
    cr_assert_eq(store_commit(bench.store, &err), 0, "%s", err.msg);
    free(body);
}

/* A deadline has passed, and there is no room for the essences: clients are
 * still answered, and what is purged makes the room. */
Test(broker_full, what_is_due_does_not_stand_in_the_way_of_a_purge,
     .fini = tear_down)
{
    char done[BENCH_UUID_BYTES], late[BENCH_UUID_BYTES];
    struct buf lines = { 0 };

    bench_init(&bench, 120000);
    bench.conf.deadline_ms = 10000;
    bench_start(&bench);
    for (int i = 0; i < 20; i++)
        add_draft(&lines, i);
    bench_submit(&bench, "late", NULL, lines.data, late);
    hand_new(&bench, 5);
    bench_submit(&bench, "done", NULL, "{'id':'a','text':'x'}\n", done);
    bench_ask(&bench, NULL, "'verb':'cancel','batch':'%s'", done);
    bench_run(&bench);
    cr_assert_str_eq(bench_state(&bench, done), "cancelled");
    take_all(650); /* for a slice or two */
    bench_advance(&bench, bench.conf.deadline_ms + 1000);
    cr_expect_gt(bench_status(&bench, late, "counts.expired"), 0);
    cr_expect_lt(bench_status(&bench, late, "counts.expired"), 20);
    cr_expect_eq(bench.call_count, 0, "called, and no room for the answer");
    cr_expect_str_eq(
        at_str(bench_ask(&bench, NULL, "'verb':'purge','batch':'%s'", done),
               "verb"),
        "purged");
    bench_advance(&bench, 5000);
    cr_expect_eq(bench_status(&bench, late, "counts.expired"), 20);
    buf_fini(&lines);
}
