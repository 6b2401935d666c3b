/* Pages of results and of batches: all is on them, once, and they can be read. */
/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "tests/broker_drafts.h"
#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

TestSuite(broker_pages, .timeout = 60);

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

/* Reads all pages in an order; returns how many rows there were. */
static int64_t
read_pages(const char *verb, const char *more, int64_t limit)
{
    int64_t after = 0, count = 0;
    const cJSON *head;

    do {
        head =
            bench_ask(&bench, NULL, "'verb':'%s'%s,'after':%lld,'limit':%lld",
                      verb, more, (long long)after, (long long)limit);
        cr_assert_str_eq(at_str(head, "verb"), verb);
        cr_assert_leq(at_int(head, "count"), limit);
        cr_assert_gt(at_int(head, "count"), 0);
        after = at_int(head, "cursor");
        count += at_int(head, "count");
    } while (at_int(head, "more"));
    return count;
}

Test(broker_pages, pages_hold_all_results, .init = set_up, .fini = tear_down)
{
    static const int64_t limits[] = { 1, 7, 49, 50, 51, 10000 };
    const cJSON *head;
    char more[2][128];

    bench_submit_drafts(&bench, "k", 0, 50, uuid);
    bench_submit_drafts(&bench, "l", 50, 50, other);
    bench_work(&bench);
    (void)snprintf(more[0], sizeof(more[0]),
                   ",'batch':'%s','order':'completion'", uuid);
    (void)snprintf(more[1], sizeof(more[1]), ",'batch':'%s','order':'input'",
                   other);
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        cr_expect_eq(read_pages("results", more[0], limits[i]), 50);
        cr_expect_eq(read_pages("results", more[1], limits[i]), 50);
        cr_expect_eq(read_pages("export", "", limits[i]), 100);
    }
    head = bench_ask(&bench, NULL,
                     "'verb':'results','batch':'%s','order':'input',"
                     "'after':49",
                     other);
    cr_expect_eq(at_int(head, "count"), 1);
    cr_expect_eq(at_int(head, "more"), 0);
    cr_expect_not_null(strstr(bench_body(&bench).data, "\"index\":49,"));
    expect_error(bench_ask(&bench, NULL,
                           "'verb':'results','batch':'%s','order':'size'",
                           uuid),
                 "invalid");
    /* Small pages, large results: always at least one. */
    bench.conf.results_page_bytes_max = 10;
    cr_expect_eq(read_pages("export", "", 1000), 100);
}

/* Of another store, or from before this one was restored: what comes next would
 * not be read. */
Test(broker_pages, a_cursor_behind_the_last_result_is_refused, .init = set_up,
     .fini = tear_down)
{
    const cJSON *head;

    expect_error(bench_ask(&bench, NULL, "'verb':'export','after':1"),
                 "conflict");
    bench_submit_drafts(&bench, "k", 0, 3, uuid);
    bench_work(&bench);
    bench_submit_drafts(&bench, "l", 3, 2, other);
    bench_work(&bench);
    /* The last one of the store, behind all of the first batch. */
    head = bench_ask(&bench, NULL, "'verb':'results','batch':'%s','after':5",
                     uuid);
    cr_expect_eq(at_int(head, "count"), 0);
    cr_expect_eq(at_int(head, "cursor"), 5);
    head = bench_ask(&bench, NULL, "'verb':'export','after':5");
    cr_expect_eq(at_int(head, "cursor"), 5);
    bench_restart(&bench);
    head = bench_ask(&bench, NULL, "'verb':'export','after':5");
    cr_expect_eq(at_int(head, "cursor"), 5);
    expect_error(bench_ask(&bench, NULL,
                           "'verb':'results','batch':'%s','after':6", uuid),
                 "conflict");
    expect_error(bench_ask(&bench, NULL, "'verb':'export','after':6"),
                 "conflict");
    head = bench_ask(&bench, NULL,
                     "'verb':'results','batch':'%s','order':'input','after':6",
                     uuid);
    cr_expect_eq(at_int(head, "count"), 0, "that is an index");
}

/* Its results are passed over until they are removed, but not all of them in one
 * go: nobody else has a turn meanwhile. */
Test(broker_pages, a_page_passes_over_so_many_of_a_purged_batch, .init = set_up,
     .fini = tear_down)
{
    enum { CHUNKS = 11, DRAFTS = 1000, LOOKS_MAX = 10000 };
    const cJSON *head;
    int64_t exported;

    bench_open(&bench, "k", NULL, "", uuid);
    for (int n = 0; n < CHUNKS; n++) {
        struct buf lines = { 0 };

        for (int i = 0; i < DRAFTS; i++)
            buf_addf(&lines, "{'id':'%d','text':'t'}\n", n * DRAFTS + i);
        (void)bench_chunk(&bench, uuid, n + 1, lines.data);
        buf_fini(&lines);
    }
    (void)bench_seal(&bench, uuid, CHUNKS, CHUNKS * DRAFTS);
    bench_advance(&bench, bench.conf.group_window_ms);
    bench_work(&bench);
    cr_assert_str_eq(bench_state(&bench, uuid), "finished");
    (void)bench_ask_later(&bench, NULL, "'verb':'purge','batch':'%s'", uuid);
    exported = bench_ask_later(&bench, NULL, "'verb':'export'");
    bench_turn(&bench);
    head = bench_answer(&bench, exported)->head;
    cr_expect_eq(at_int(head, "count"), 0);
    cr_expect_eq(at_int(head, "cursor"), LOOKS_MAX);
    cr_expect_eq(at_int(head, "more"), 1);
}

/* A reader that follows a batch while it runs sees each change once. */
Test(broker_pages, a_reader_skips_nothing_while_it_runs, .init = set_up,
     .fini = tear_down)
{
    int64_t after = 0, seen = 0;

    bench_submit_drafts(&bench, "k", 0, 40, uuid);
    while (strcmp(bench_state(&bench, uuid), "sealed") == 0) {
        const cJSON *head;

        hand_start(hand);
        /* The last one first. */
        hand_answer(
            hand,
            hand_slip(hand, SLIP_RUNNING, hand_count(hand, SLIP_RUNNING) - 1),
            "answer");
        head = bench_ask(&bench, NULL,
                         "'verb':'results','batch':'%s','after':%lld", uuid,
                         (long long)after);
        cr_expect_eq(at_int(head, "count"), 1);
        seen += at_int(head, "count");
        after = at_int(head, "cursor");
    }
    cr_expect_eq(seen, 40);
}

Test(broker_pages, lists_are_newest_first, .init = set_up, .fini = tear_down)
{
    char uuids[5][BENCH_UUID_BYTES], key[8];
    const cJSON *head;

    for (int i = 0; i < 5; i++) {
        (void)snprintf(key, sizeof(key), "%d", i);
        bench_open(&bench, key, NULL, "", uuids[i]);
    }
    bench_ask(&bench, NULL, "'verb':'open','client':'d','key':'x'");
    head = bench_ask(&bench, NULL, "'verb':'list','client':'c','limit':3");
    cr_expect_str_eq(at_str(head, "batches.0.batch"), uuids[4]);
    cr_expect_str_eq(at_str(head, "batches.2.batch"), uuids[2]);
    cr_expect_eq(at_int(head, "more"), 1);
    head = bench_ask(&bench, NULL,
                     "'verb':'list','client':'c','limit':3,'before':'%s'",
                     uuids[2]);
    cr_expect_str_eq(at_str(head, "batches.0.batch"), uuids[1]);
    cr_expect_str_eq(at_str(head, "batches.1.key"), "0");
    cr_expect_eq(at_int(head, "more"), 0);
    head = bench_ask(&bench, NULL, "'verb':'list'");
    cr_expect_str_eq(at_str(head, "batches.0.client"), "d");
}

/* A list's header has a limit: then there is more. */
Test(broker_pages, a_long_list_is_readable, .init = set_up, .fini = tear_down)
{
    struct buf more = { 0 };
    char key[128], before[64] = "";
    const cJSON *head;
    int count = 0;

    buf_add_str(&more, "'metadata':{");
    for (int i = 0; i < 16; i++) {
        buf_addf(&more, "%s'm%d':'", i ? "," : "", i);
        for (int j = 0; j < 170; j++)
            buf_add_str(&more, "\\u0001\\u0002\\u0003");
        buf_add_char(&more, '\'');
    }
    buf_add_char(&more, '}');
    for (int i = 0; i < 100; i++) {
        (void)snprintf(key, sizeof(key), "a key that is rather long %050d", i);
        bench_open(&bench, key, NULL, i < 90 ? "" : more.data, uuid);
    }
    do {
        const cJSON *batches;

        head = bench_ask(&bench, NULL, "'verb':'list','limit':100%s", before);
        batches = cJSON_GetObjectItemCaseSensitive(head, "batches");
        cr_assert_gt(cJSON_GetArraySize(batches), 0);
        count += cJSON_GetArraySize(batches);
        (void)snprintf(key, sizeof(key), "%d.batch",
                       cJSON_GetArraySize(batches) - 1);
        (void)snprintf(before, sizeof(before), ",'before':'%s'",
                       at_str(batches, key));
    } while (at_int(head, "more"));
    cr_expect_eq(count, 100);
    buf_fini(&more);
}
