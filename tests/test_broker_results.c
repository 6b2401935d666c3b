/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <uuid/uuid.h>

#include "base/buf.h"
#include "base/status.h"
#include "store/rows.h"
#include "tests/broker_drafts.h"
#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

TestSuite(broker_results, .timeout = 60);

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

/* Ends the call about a text. */
static void
fail(const char *text, int http_status)
{
    struct slip *slip = hand_find(hand, text);

    cr_assert_not_null(slip, "%s is not running", text);
    hand_end(hand, slip, "permanent", http_status, 0);
    bench_run(&bench);
}

/* Counts of a batch's status are those of its results. */
static void
expect_counts(const char *batch)
{
    cJSON *results = bench_results(&bench, batch, 0);
    int64_t counts[STATUS_COUNT] = { 0 };
    const cJSON *row, *head;
    char path[64];

    cJSON_ArrayForEach(row, results)
        counts[status_parse(at_str(row, "status"))]++;
    head = bench_ask(&bench, NULL, "'verb':'status','batch':'%s'", batch);
    cr_expect_eq(at_int(head, "counts.done"), cJSON_GetArraySize(results));
    for (enum status status = STATUS_OK; status < STATUS_COUNT; status++) {
        (void)snprintf(path, sizeof(path), "counts.%s", status_name(status));
        cr_expect_eq(at_int(head, path), counts[status], "%s", path);
    }
    cJSON_Delete(results);
}

Test(broker_results, retry_puts_fallbacks_back, .init = set_up,
     .fini = tear_down)
{
    cJSON *before, *after;
    const cJSON *head;
    int64_t last_seq;

    bench_submit_drafts(&bench, "k", 0, 4, uuid);
    hand_start(hand);
    fail("draft 1.", 400);
    fail("draft 2.", 429);
    fail("draft 3.", 403);
    bench_work(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    before = bench_results(&bench, uuid, 0);
    last_seq = bench_status(&bench, uuid, "last_seq");
    expect_error(bench_ask(&bench, NULL,
                           "'verb':'retry','batch':'%s','statuses':['ok']",
                           uuid),
                 "invalid");
    head = bench_ask(&bench, NULL,
                     "'verb':'retry','batch':'%s','statuses':["
                     "'rate_limited','bad_request']",
                     uuid);
    cr_expect_str_eq(at_str(head, "verb"), "retried");
    cr_expect_eq(at_int(head, "count"), 2);
    cr_expect_str_eq(bench_state(&bench, uuid), "sealed");
    /* What was there stays until something better comes. */
    cr_expect_eq(bench_status(&bench, uuid, "counts.rate_limited"), 1);
    hand_start(hand);
    cr_assert_eq(hand_count(hand, SLIP_RUNNING), 2);
    fail("draft 1.", 422);
    hand_answer(hand, hand_find(hand, "draft 2."), "answer");
    bench_run(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    after = bench_results(&bench, uuid, 0);
    cr_expect_eq(cJSON_GetArraySize(after), 4);
    cr_expect_str_eq(at_str(result_of(after, "2"), "status"), "ok");
    cr_expect_eq(at_int(result_of(after, "2"), "revision"), 2);
    cr_expect_gt(at_int(result_of(after, "2"), "seq"), last_seq);
    cr_expect_eq(at_int(result_of(after, "2"), "attempts"), 2);
    /* One that ended no better is as it was. */
    cr_expect_str_eq(at_str(result_of(after, "1"), "status"), "bad_request");
    cr_expect_eq(at_int(result_of(after, "1"), "revision"), 1);
    cr_expect(cJSON_Compare(result_of(before, "1"), result_of(after, "1"), 1));
    cr_expect(cJSON_Compare(result_of(before, "3"), result_of(after, "3"), 1));
    cJSON_Delete(before);
    cJSON_Delete(after);
    /* Only what is new, from the cursor on. */
    after = bench_results(&bench, uuid, last_seq);
    cr_expect_eq(cJSON_GetArraySize(after), 1);
    cJSON_Delete(after);
    expect_counts(uuid);
    head = bench_ask(&bench, NULL, "'verb':'retry','batch':'%s'", uuid);
    cr_expect_eq(at_int(head, "count"), 2);
    bench_work(&bench);
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 4);
    head = bench_ask(&bench, NULL, "'verb':'retry','batch':'%s'", uuid);
    cr_expect_eq(at_int(head, "count"), 0);
    cr_expect_str_eq(at_str(head, "state"), "finished");
}

Test(broker_results, retry_twice_is_the_same_as_once, .init = set_up,
     .fini = tear_down)
{
    bench_submit_drafts(&bench, "k", 0, 3, uuid);
    hand_start(hand);
    for (int i = 0; i < 3; i++) {
        hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "permanent", 400, 0);
    }
    bench_run(&bench);
    for (int i = 0; i < 3; i++)
        bench_ask_later(&bench, NULL, "'verb':'retry','batch':'%s'", uuid);
    bench_run(&bench);
    bench_ask(&bench, NULL, "'verb':'retry','batch':'%s'", uuid);
    cr_expect_eq(hand->slip_count, 3);
    bench_work(&bench);
    cr_expect_eq(bench.call_count, 6);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    expect_counts(uuid);
}

Test(broker_results, cancel_ends_what_has_no_result, .init = set_up,
     .fini = tear_down)
{
    cJSON *results;

    bench_submit_drafts(&bench, "k", 0, 30, uuid);
    hand_start(hand);
    hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    bench_run(&bench);
    for (int i = 0; i < 2; i++) {
        const cJSON *head =
            bench_ask(&bench, NULL, "'verb':'cancel','batch':'%s'", uuid);

        cr_expect_str_eq(at_str(head, "verb"), "cancelled");
        cr_expect_str_eq(at_str(head, "state"), "cancelled");
    }
    cr_expect_eq(bench_status(&bench, uuid, "counts.cancelled"), 29);
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 1);
    expect_counts(uuid);
    results = bench_results(&bench, uuid, 0);
    cr_expect_str_eq(at_str(result_of(results, "29"), "essence"), "(null)");
    cr_expect_str_eq(at_str(result_of(results, "29"), "upstream"), "(null)");
    cr_expect(cJSON_IsNull(
        cJSON_GetObjectItemCaseSensitive(result_of(results, "29"), "error")));
    cJSON_Delete(results);
    bench_work(&bench);
    cr_expect_eq(bench_stat(&bench, "requests_ready"), 0);
    cr_expect_eq(bench_stat(&bench, "requests_leased"), 0);
    expect_error(bench_ask(&bench, NULL, "'verb':'retry','batch':'%s'", uuid),
                 "conflict");
    bench_submit_drafts(&bench, "l", 0, 1, other);
    bench_work(&bench);
    expect_error(bench_ask(&bench, NULL, "'verb':'cancel','batch':'%s'", other),
                 "conflict");
}

Test(broker_results, cancel_keeps_requests_that_others_need, .init = set_up,
     .fini = tear_down)
{
    bench_submit_drafts(&bench, "k", 0, 4, uuid);
    bench_submit_drafts(&bench, "l", 2, 4, other);
    hand_start(hand);
    bench_ask(&bench, NULL, "'verb':'cancel','batch':'%s'", uuid);
    cr_expect_eq(hand->cancel_count, 2, "%zu", hand->cancel_count);
    bench_work(&bench);
    cr_expect_str_eq(bench_state(&bench, other), "finished");
    cr_expect_eq(bench_status(&bench, other, "counts.ok"), 4);
    cr_expect_eq(bench_status(&bench, uuid, "counts.cancelled"), 4);
    /* It pays now for what it had only joined. */
    cr_expect_eq(bench_status(&bench, other, "usage.total_tokens"), 60);
    expect_counts(uuid);
    expect_counts(other);
}

Test(broker_results, an_open_batch_can_be_cancelled, .init = set_up,
     .fini = tear_down)
{
    bench_open(&bench, "k", NULL, "", uuid);
    bench_chunk(&bench, uuid, 1, "{'id':'a','text':'x'}\n");
    bench_ask(&bench, NULL, "'verb':'cancel','batch':'%s'", uuid);
    expect_error(bench_chunk(&bench, uuid, 2, "{'id':'b','text':'x'}\n"),
                 "conflict");
    cr_expect_eq(bench_status(&bench, uuid, "counts.cancelled"), 1);
    bench_advance(&bench, bench.conf.open_ttl_ms * 2);
    cr_expect_str_eq(bench_state(&bench, uuid), "cancelled");
}

Test(broker_results, the_deadline_leaves_an_essence, .init = set_up,
     .fini = tear_down)
{
    cJSON *results;

    bench.conf.deadline_ms = 10000;
    bench_submit_drafts(&bench, "k", 0, 20, uuid);
    hand_start(hand);
    hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    bench_run(&bench);
    hand_start(hand);
    bench_advance(&bench, 10000 - bench.conf.group_window_ms - 1);
    cr_expect_str_eq(bench_state(&bench, uuid), "sealed");
    bench_advance(&bench, 1);
    cr_expect_str_eq(bench_state(&bench, uuid), "expired");
    cr_expect_eq(bench_status(&bench, uuid, "counts.expired"), 19);
    results = bench_results(&bench, uuid, 0);
    cr_expect_str_eq(at_str(result_of(results, "17"), "essence"),
                     "draft 17 [expired]");
    cr_expect_str_eq(at_str(result_of(results, "17"), "error.code"), "expired");
    cJSON_Delete(results);
    expect_counts(uuid);
    /* What is in flight is paid for: its answer is still taken. */
    hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "retryable", 500, 0);
    bench_run(&bench);
    cr_expect_eq(bench_status(&bench, uuid, "counts.expired"), 18);
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 2);
    while (hand->slip_count)
        hand_forget(hand, &hand->slips[0]);
    bench_advance(&bench, 60000);
    cr_expect_eq(hand->slip_count, 0);
    /* With a deadline as long as the first. */
    bench_ask(&bench, NULL, "'verb':'retry','batch':'%s'", uuid);
    cr_expect_eq(bench_status(&bench, uuid, "deadline"), bench.now_ms + 10000);
    bench_work(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 20);
    expect_counts(uuid);
}

/* A wait that ends behind the deadline of one batch may be short enough for
 * another one that needs the request, too. */
Test(broker_results, the_last_deadline_of_all_counts, .init = set_up,
     .fini = tear_down)
{
    bench.conf.deadline_ms = 10000;
    bench_submit_drafts(&bench, "k", 0, 1, uuid);
    bench.conf.deadline_ms = 3600000;
    bench_submit_drafts(&bench, "l", 0, 1, other);
    hand_start(hand);
    hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "throttled", 429, 20000);
    bench_advance(&bench, 30000);
    cr_expect_str_eq(bench_state(&bench, uuid), "expired");
    bench_work(&bench);
    cr_expect_eq(bench_status(&bench, other, "counts.ok"), 1);
    /* And of one alone, it ends now. */
    bench.conf.deadline_ms = 10000;
    bench_submit_drafts(&bench, "m", 7, 1, uuid);
    hand_start(hand);
    hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "throttled", 429, 20000);
    bench_run(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    cr_expect_eq(bench_status(&bench, uuid, "counts.rate_limited"), 1);
}

Test(broker_results, deadlines_at_the_end_of_time_are_survived, .init = set_up,
     .fini = tear_down)
{
    bench_open(&bench, "k", NULL, "'deadline':9007199254740992,'not_before':0",
               uuid);
    bench_chunk(&bench, uuid, 1, "{'id':'a','text':'draft'}\n");
    bench_seal(&bench, uuid, 1, 1);
    bench_advance(&bench, bench.conf.group_window_ms);
    hand_start(hand);
    fail("draft", 400);
    bench_ask(&bench, NULL, "'verb':'retry','batch':'%s'", uuid);
    cr_expect_eq(bench_status(&bench, uuid, "deadline"), INT64_C(1) << 53);
    bench_work(&bench);
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 1);
}

Test(broker_results, an_open_batch_is_abandoned, .init = set_up,
     .fini = tear_down)
{
    bench_open(&bench, "k", NULL, "", uuid);
    bench_chunk(&bench, uuid, 1, "{'id':'a','text':'x'}\nbad\n");
    bench_advance(&bench, bench.conf.open_ttl_ms - 1);
    cr_expect_str_eq(bench_state(&bench, uuid), "open");
    bench_advance(&bench, 1);
    cr_expect_str_eq(bench_state(&bench, uuid), "abandoned");
    cr_expect_eq(bench_stat(&bench, "drafts"), 0);
    cr_expect_eq(bench_stat(&bench, "requests"), 0);
    expect_error(bench_chunk(&bench, uuid, 2, "{'id':'a','text':'x'}\n"),
                 "conflict");
    expect_error(bench_ask(&bench, NULL, "'verb':'cancel','batch':'%s'", uuid),
                 "conflict");
}

Test(broker_results, waiting_ends_with_the_batch, .init = set_up,
     .fini = tear_down)
{
    int64_t re;

    bench_submit_drafts(&bench, "k", 0, 3, uuid);
    re = bench_ask_later(&bench, NULL,
                         "'verb':'wait','batch':'%s','timeout':60000", uuid);
    bench_advance(&bench, 30000);
    cr_expect_null(bench_answer(&bench, re));
    bench_work(&bench);
    cr_assert_not_null(bench_answer(&bench, re));
    cr_expect_str_eq(at_str(bench_answer(&bench, re)->head, "verb"), "status");
    cr_expect_str_eq(at_str(bench_answer(&bench, re)->head, "state"),
                     "finished");
    /* At once, if there is nothing to wait for. */
    cr_expect_not_null(
        bench_ask(&bench, NULL, "'verb':'wait','batch':'%s'", uuid));
}

Test(broker_results, waiting_ends_with_a_new_result, .init = set_up,
     .fini = tear_down)
{
    int64_t re, last_seq;

    bench_submit_drafts(&bench, "k", 0, 3, uuid);
    hand_start(hand);
    hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    cr_expect_not_null(
        bench_ask(&bench, NULL, "'verb':'wait','batch':'%s','after':0", uuid));
    last_seq = bench_status(&bench, uuid, "last_seq");
    re =
        bench_ask_later(&bench, NULL, "'verb':'wait','batch':'%s','after':%lld",
                        uuid, (long long)last_seq);
    bench_run(&bench);
    cr_expect_null(bench_answer(&bench, re));
    hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    bench_run(&bench);
    cr_assert_not_null(bench_answer(&bench, re));
    cr_expect_eq(at_int(bench_answer(&bench, re)->head, "last_seq"),
                 last_seq + 1);
    cr_expect_str_eq(at_str(bench_answer(&bench, re)->head, "state"), "sealed");
}

Test(broker_results, waiting_ends_in_time, .init = set_up, .fini = tear_down)
{
    int64_t re;

    bench_submit_drafts(&bench, "k", 0, 1, uuid);
    re = bench_ask_later(&bench, NULL,
                         "'verb':'wait','batch':'%s','timeout':5000", uuid);
    bench_advance(&bench, 4999);
    cr_expect_null(bench_answer(&bench, re));
    bench_advance(&bench, 1);
    cr_assert_not_null(bench_answer(&bench, re));
    cr_expect_str_eq(at_str(bench_answer(&bench, re)->head, "state"), "sealed");
    cr_expect_not_null(bench_ask(
        &bench, NULL, "'verb':'wait','batch':'%s','timeout':0", uuid));
    expect_error(bench_ask(&bench, NULL,
                           "'verb':'wait','batch':'%s','timeout':60001", uuid),
                 "invalid");
}

Test(broker_results, waiters_have_a_limit, .init = set_up, .fini = tear_down)
{
    bench.conf.waiters_max = 2;
    bench_restart(&bench);
    bench_submit_drafts(&bench, "k", 0, 1, uuid);
    for (int i = 0; i < 2; i++) {
        cr_expect_null(
            bench_ask(&bench, NULL, "'verb':'wait','batch':'%s'", uuid));
    }
    expect_error(bench_ask(&bench, NULL, "'verb':'wait','batch':'%s'", uuid),
                 "full");
    bench_advance(&bench, 60000);
    cr_expect_eq(bench.answer_count, bench.re);
    cr_expect_null(bench_ask(&bench, NULL, "'verb':'wait','batch':'%s'", uuid));
}

/* ---- between others' ---- */

#define PASSED_MAX 100000 /* others' results that a page passes over */

/* Lets a batch have its newest result behind so many of others. */
static void
put_others(const char *batch, uint64_t count)
{
    struct draft draft = { .batch = UINT32_MAX, .seq = 1 };
    struct batch record;
    uuid_t id;

    cr_assert_eq(uuid_parse(batch, id), 0);
    cr_assert_eq(store_begin(bench.store, bench.now_ms, NULL), 0);
    cr_assert_eq(store_batch_find(bench.store, id, &record), 0);
    cr_assert_eq(record.last_seq, 1);
    while (draft.seq <= count) {
        draft.seq++;
        result_order(bench.store, &draft);
    }
    record.last_seq = bench.store->ids.seq = draft.seq + 1;
    batch_put(bench.store, &record);
    cr_assert_eq(store_commit(bench.store, NULL), 0);
}

/* A page may be empty, and the next one goes on where it ended. */
Test(broker_results, a_page_passes_over_so_many_of_other_batches,
     .init = set_up, .fini = tear_down)
{
    const cJSON *head;

    bench_submit_drafts(&bench, "k", 0, 2, uuid);
    hand_start(hand);
    fail("draft 0.", 400);
    put_others(uuid, PASSED_MAX + 500);
    head = bench_ask(&bench, NULL, "'verb':'results','batch':'%s'", uuid);
    cr_expect_eq(at_int(head, "count"), 1);
    cr_expect_eq(at_int(head, "more"), 1);
    cr_expect_gt(at_int(head, "cursor"), 1);
    head = bench_ask(&bench, NULL, "'verb':'results','batch':'%s','after':%d",
                     uuid, 1);
    cr_expect_eq(at_int(head, "count"), 0);
    cr_expect_eq(at_int(head, "more"), 1);
    cr_expect_leq(at_int(head, "cursor"), PASSED_MAX + 1);
    cr_expect_gt(at_int(head, "cursor"), PASSED_MAX / 2);
    head = bench_ask(&bench, NULL, "'verb':'results','batch':'%s','after':%lld",
                     uuid, (long long)at_int(head, "cursor"));
    cr_expect_eq(at_int(head, "count"), 0);
    cr_expect_eq(at_int(head, "more"), 0);
}
