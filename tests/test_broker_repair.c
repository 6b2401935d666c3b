/* What repair makes good where batches hang together with files and events. */
/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/filing.h"
#include "store/verify.h"
#include "tests/broker_event.h"
#include "tests/broker_file.h"

TestSuite(broker_repair, .timeout = 60);

static struct bench bench;
static char file[BENCH_UUID_BYTES], batch[BENCH_UUID_BYTES];

static void
begin(void)
{
    bench_init(&bench, BENCH_STORE_MAX);
    bench.conf.group_window_ms = 0;
    bench.conf.chunk_drafts_max = 5;
    bench.conf.results_page_bytes_max = 4096;
    bench_start(&bench);
}

/* Opens a batch from a file of so many lines, and lets so many turns pass. */
static void
make(int lines, int turns)
{
    struct buf content = { 0 };
    char id[16];

    for (int i = 0; i < lines; i++) {
        (void)snprintf(id, sizeof(id), "%d", i);
        file_add_line(&content, id, id);
    }
    file_upload(&bench, "in", content.data, file);
    bench_ask_later(&bench, NULL,
                    "'verb':'open','client':'c','key':'b','file':'%s',"
                    "'endpoint':'/v1/chat/completions'",
                    file);
    while (turns-- > 0)
        bench_turn(&bench);
    buf_fini(&content);
}

/* Removes all timers of a kind, as damage would. */
static void
lose_timers(enum timer_kind kind)
{
    struct timer timer = { 0 };
    int lost = 0;

    cr_assert_eq(store_begin(bench.store, bench.now_ms, NULL), 0);
    while (store_timer_after(bench.store, &timer) == 0) {
        if (timer.kind == kind) {
            store_timer_drop(bench.store, &timer);
            lost++;
        }
    }
    cr_assert_eq(store_commit(bench.store, NULL), 0);
    cr_assert_gt(lost, 0, "no timer of kind %d", (int)kind);
}

/* Repair finds something, says so, and leaves nothing. No broker is there while
 * it does: what ends then is nobody's to notice. */
static void
expect_repair(const char *reason)
{
    struct buf report = { 0 };
    struct verify verify = { .report = &report,
                             .open_ttl_ms = bench.conf.open_ttl_ms };
    struct err err = { 0 };

    store_watch(bench.store, NULL, NULL);
    cr_assert_eq(store_repair(bench.store, &verify, &err), 0, "%s", err.msg);
    cr_expect_gt(verify.mended, 0);
    cr_expect_eq(verify.findings, 0);
    cr_assert_not_null(report.data);
    cr_expect(strstr(report.data, reason), "%s is not in: %s", reason,
              report.data);
    buf_fini(&report);
    bench_restart(&bench);
}

static const char *
status(void)
{
    file_batch(&bench, "b", file, batch);
    return at_str(
        bench_ask(&bench, NULL, "'verb':'status','batch':'%s'", batch),
        "from_file.status");
}

Test(broker_repair, lets_a_file_be_read_on)
{
    begin();
    make(50, 4);
    lose_timers(TIMER_FILE_READ);
    expect_repair("nothing goes on with that");
    cr_expect_str_eq(status(), "in_progress");
    bench_verify(&bench);
    bench_fini(&bench);
}

/* Answers all; the first slice of the output is made. */
static void
answer(struct hand *hand)
{
    while (hand_count(hand, SLIP_RUNNING) > 0 || hand_start(hand) > 0) {
        hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "fine");
        if (hand_count(hand, SLIP_RUNNING) == 0)
            bench_turn(&bench);
    }
}

Test(broker_repair, lets_files_be_made_on)
{
    struct hand *hand;

    begin();
    make(50, 30);
    hand = hand_new(&bench, 5);
    bench_run(&bench);
    answer(hand);
    lose_timers(TIMER_FILE_MAKE);
    expect_repair("nothing goes on with that");
    cr_expect_str_eq(status(), "completed");
    bench_verify(&bench);
    bench_fini(&bench);
}

/* Writes a batch's filing in a phase, as it would be if the end of the batch had
 * not been noticed. */
static void
set_phase(enum filing_phase phase)
{
    struct batch row = { 0 };
    struct filing filing;

    cr_assert_eq(store_begin(bench.store, bench.now_ms, NULL), 0);
    cr_assert_eq(store_batch_after(bench.store, 0, &row), 0);
    cr_assert_eq(store_filing_get(bench.store, row.id, &filing), 0);
    filing.phase = phase;
    store_filing_put(bench.store, &filing);
    cr_assert_eq(store_commit(bench.store, NULL), 0);
}

Test(broker_repair, notices_that_a_batch_has_ended)
{
    begin();
    hand_new(&bench, 5);
    make(7, 5);
    bench_work(&bench);
    cr_assert_str_eq(status(), "completed");
    set_phase(FILING_RUNNING);
    expect_repair("its files are not being made");
    cr_expect_str_eq(status(), "completed");
    bench_verify(&bench);
    bench_fini(&bench);
}

Test(broker_repair, deletes_a_file_that_no_batch_makes)
{
    struct file orphan = { .state = FILE_OPEN,
                           .purpose = FILE_BATCH_OUTPUT,
                           .uuid = "orphan",
                           .client = "c",
                           .batch = "of no batch" };

    begin();
    cr_assert_eq(store_begin(bench.store, bench.now_ms, NULL), 0);
    store_file_add(bench.store, &orphan);
    store_file_append(bench.store, &orphan, slice_of("some bytes"));
    cr_assert_eq(store_commit(bench.store, NULL), 0);
    expect_repair("no batch makes it");
    bench_run(&bench);
    cr_expect_eq(bench_stat(&bench, "files"), 0);
    bench_fini(&bench);
}

Test(broker_repair, lets_a_file_go_in_time_and_to_its_end)
{
    struct file row;

    begin();
    file_upload(&bench, "in", "content", file);
    lose_timers(TIMER_FILE_END);
    expect_repair("nothing ends it");
    cr_assert_eq(store_begin(bench.store, bench.now_ms, NULL), 0);
    cr_assert_eq(store_file_after(bench.store, 0, &row), 0);
    store_file_delete(bench.store, &row, bench.now_ms);
    cr_assert_eq(store_commit(bench.store, NULL), 0);
    lose_timers(TIMER_FILE_DROP);
    expect_repair("nothing removes what it has");
    bench_run(&bench);
    cr_expect_eq(bench_stat(&bench, "files"), 0);
    bench_verify(&bench);
    bench_fini(&bench);
}

/* Its last draft is done, and its counters hide that. */
Test(broker_repair, lets_a_complete_batch_end_and_be_told_of)
{
    struct hand *hand = event_bench(&bench);
    struct batch row;

    bench_submit(&bench, "k", NULL, EVENT_DRAFT, batch);
    cr_assert_eq(store_begin(bench.store, bench.now_ms, NULL), 0);
    cr_assert_eq(store_batch_after(bench.store, 0, &row), 0);
    row.draft_count++;
    cr_assert_not(store_batch_put(bench.store, &row, bench.now_ms));
    cr_assert_eq(store_commit(bench.store, NULL), 0);
    bench_advance(&bench, bench.conf.group_window_ms);
    bench_work(&bench);
    cr_assert_str_eq(bench_state(&bench, batch), "sealed");
    expect_repair("drafts: 2, counted 1");
    hand_hello(hand);
    bench_run(&bench);
    cr_expect_str_eq(bench_state(&bench, batch), "finished");
    cr_assert_eq(hand->parcel_count, 1);
    cr_expect(strstr(hand->parcels[0].body, "\"type\":\"batch.completed\""));
    bench_verify(&bench);
    bench_fini(&bench);
}
