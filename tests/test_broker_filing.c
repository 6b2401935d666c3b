/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/broker_file.h"
#include "tests/broker_hand.h"
#include "tests/rot.h"

TestSuite(broker_filing, .timeout = 60);

#define TURNS_MAX 5000

static struct bench bench;
static char file[BENCH_UUID_BYTES], batch[BENCH_UUID_BYTES];

static void
begin(void)
{
    bench_init(&bench, BENCH_STORE_MAX);
    bench.conf.group_window_ms = 0;
    bench_start(&bench);
}

static void
make(const char *content)
{
    file_make(&bench, content, file, batch);
}

static const cJSON *
status(void)
{
    return file_status(&bench, batch);
}

/* A result line of one of the files, by its custom_id; NULL. */
static cJSON *
line_of(const char *content, const char *id)
{
    while (*content) {
        const char *end = strchr(content, '\n');
        cJSON *line = cJSON_ParseWithLength(content, (size_t)(end - content));

        cr_assert_not_null(line, "no JSON: %s", content);
        if (strcmp(at_str(line, "custom_id"), id) == 0)
            return line;
        cJSON_Delete(line);
        content = end + 1;
    }
    return NULL;
}

static size_t
count_lines(const char *content)
{
    size_t count = 0;

    for (; *content; content++)
        count += *content == '\n';
    return count;
}

static void
expect_text(const char *content, const char *id, const char *path,
            const char *want)
{
    cJSON *line = line_of(content, id);

    cr_assert_not_null(line, "no line of %s in %s", id, content);
    cr_expect_str_eq(at_str(line, path), want);
    cJSON_Delete(line);
}

/* Files in the store, while nothing is done. */
static uint64_t
count_files(void)
{
    uint64_t count;

    cr_assert_eq(store_begin(bench.store, bench.now_ms, NULL), 0);
    count = store_usage(bench.store).files;
    store_abort(bench.store);
    return count;
}

Test(broker_filing, runs_a_file_and_ends_in_one_that_has_all_answers)
{
    struct buf content = { 0 };
    char *output;

    begin();
    hand_new(&bench, 5);
    file_add_line(&content, "a", "one");
    file_add_line(&content, "b", "two");
    make(content.data);
    file_expect_status(&bench, batch, "in_progress");
    cr_expect_eq(at_int(status(), "from_file.request_counts.total"), 2);
    bench_verify(&bench);
    bench_work(&bench);
    file_expect_status(&bench, batch, "completed");
    cr_expect_eq(at_int(status(), "from_file.request_counts.completed"), 2);
    cr_expect_eq(at_int(status(), "from_file.request_counts.failed"), 0);
    cr_expect_str_eq(at_str(status(), "from_file.error_file"), "(null)");
    cr_expect_str_eq(at_str(status(), "from_file.input_file"), file);
    output = file_download(&bench, at_str(status(), "from_file.output_file"));
    cr_expect_eq(count_lines(output), 2);
    expect_text(output, "b", "response.body.content", "answer");
    cr_expect(at_int(status(), "from_file.completed_at") > 0);
    cr_expect_eq(at_int(status(), "from_file.failed_at"), 0);
    bench_verify(&bench);
    free(output);
    buf_fini(&content);
    bench_fini(&bench);
}

/* ---- slices ---- */

Test(broker_filing, goes_on_after_a_restart_in_each_slice_of_either)
{
    struct buf content = { 0 };
    char id[16], *output;
    int turns = 0;
    struct hand *hand;

    bench_init(&bench, BENCH_STORE_MAX);
    bench.conf.chunk_drafts_max = 7;
    bench.conf.group_window_ms = 0;
    bench_start(&bench);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(id, sizeof(id), "%d", i);
        file_add_line(&content, id, id);
    }
    file_upload(&bench, "in", content.data, file);
    bench_ask_later(&bench, NULL,
                    "'verb':'open','client':'c','key':'b','file':'%s',"
                    "'endpoint':'/v1/chat/completions'",
                    file);
    do {
        bench_turn(&bench);
        bench_restart(&bench);
        bench_verify(&bench);
        cr_assert_lt(turns++, TURNS_MAX);
        bench_turn(&bench);
    } while (broker_next_ms(bench.broker) <= bench.now_ms);
    cr_expect_gt(turns, 7);
    file_batch(&bench, "b", file, batch);
    cr_expect_str_eq(at_str(status(), "state"), "sealed");
    cr_expect_eq(at_int(status(), "from_file.request_counts.total"), 100);
    hand = hand_new(&bench, 5);
    bench_work(&bench);
    hand_bye(hand);
    file_expect_status(&bench, batch, "completed");
    output = file_download(&bench, at_str(status(), "from_file.output_file"));
    cr_expect_eq(count_lines(output), 100);
    bench_verify(&bench);
    free(output);
    buf_fini(&content);
    bench_fini(&bench);
}

Test(broker_filing, makes_large_files_in_slices_that_a_restart_does_not_mix)
{
    struct buf content = { 0 };
    char id[16], *output, *text = mem_zalloc(300001, 1);
    struct hand *hand;
    int turns = 0;

    memset(text, 'x', 300000);
    begin();
    hand = hand_new(&bench, 5);
    for (int i = 0; i < 12; i++) {
        (void)snprintf(id, sizeof(id), "%d", i);
        file_add_line(&content, id, id);
    }
    make(content.data);
    while (hand_start(hand) > 0) {
        struct slip *slip = hand_slip(hand, SLIP_RUNNING, 0);

        while (slip) {
            hand_answer(hand, slip, text);
            if (hand_count(hand, SLIP_RUNNING) == 0)
                break;
            slip = hand_slip(hand, SLIP_RUNNING, 0);
        }
        bench_turn(&bench);
        bench_turn(&bench);
    }
    while (strcmp(at_str(status(), "from_file.status"), "completed") != 0) {
        bench_turn(&bench);
        bench_restart(&bench);
        bench_verify(&bench);
        cr_assert_lt(turns++, 100);
    }
    output = file_download(&bench, at_str(status(), "from_file.output_file"));
    cr_expect_eq(count_lines(output), 12);
    for (int i = 0; i < 12; i++) {
        (void)snprintf(id, sizeof(id), "%d", i);
        expect_text(output, id, "response.body.content", text);
    }
    free(output);
    free(text);
    buf_fini(&content);
    bench_fini(&bench);
}

/* `verify` names it. */
Test(broker_filing, a_file_that_is_damaged_as_it_is_made_keeps_nobody_busy)
{
    struct buf content = { 0 };
    struct hand *hand;
    char id[16];

    begin();
    bench.conf.results_page_bytes_max = 1; /* a line a slice */
    hand = hand_new(&bench, 5);
    for (int i = 0; i < 5; i++) {
        (void)snprintf(id, sizeof(id), "%d", i);
        file_add_line(&content, id, id);
    }
    make(content.data);
    cr_assert_eq(hand_start(hand), 5);
    while (hand_count(hand, SLIP_RUNNING) > 0)
        hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    bench_turn(&bench);
    bench_turn(&bench);
    cr_assert_eq(count_files(), 2);
    cr_assert(rot_row(bench.store, TABLE_FILE, 1, ROT_FLIP, 0));
    bench_run(&bench);
    file_expect_status(&bench, batch, "finalizing");
    buf_fini(&content);
    bench_fini(&bench);
}

/* ---- ends ---- */

static void
make_three(void)
{
    struct buf content = { 0 };

    file_add_line(&content, "a", "one");
    file_add_line(&content, "b", "two");
    file_add_line(&content, "c", "three");
    make(content.data);
    buf_fini(&content);
}

Test(broker_filing, tells_answers_failures_and_what_was_never_answered_apart)
{
    struct hand *hand;
    char *output, *error;

    begin();
    hand = hand_new(&bench, 5);
    make_three();
    hand_start(hand);
    hand_answer(hand, hand_find(hand, "one"), "fine");
    hand_end(hand, hand_find(hand, "two"), "permanent", 404, 0);
    bench_run(&bench);
    bench_ask(&bench, NULL, "'verb':'results','batch':'%s','file':'output'",
              batch);
    cr_expect(strstr(bench_body(&bench).data, "\"custom_id\":\"a\""));
    cr_expect_eq(count_lines(bench_body(&bench).data), 1);
    bench_advance(&bench, bench.conf.deadline_ms);
    file_expect_status(&bench, batch, "expired");
    cr_expect(at_int(status(), "from_file.expired_at") > 0);
    output = file_download(&bench, at_str(status(), "from_file.output_file"));
    error = file_download(&bench, at_str(status(), "from_file.error_file"));
    cr_expect_eq(count_lines(output), 1);
    cr_expect_eq(count_lines(error), 2);
    expect_text(output, "a", "response.body.content", "fine");
    expect_text(error, "b", "response.body.error.message", "its message");
    expect_text(error, "b", "response.body.error.code", "its_code");
    expect_text(error, "c", "error.code", "batch_expired");
    cr_expect_eq(at_int(status(), "from_file.request_counts.failed"), 2);
    bench_verify(&bench);
    free(output);
    free(error);
    bench_fini(&bench);
}

Test(broker_filing, has_no_output_where_nothing_was_answered)
{
    struct hand *hand;

    begin();
    hand = hand_new(&bench, 5);
    make_three();
    hand_start(hand);
    for (int i = 0; i < 3; i++)
        hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "permanent", 400, 0);
    bench_run(&bench);
    file_expect_status(&bench, batch, "completed");
    cr_expect_str_eq(at_str(status(), "from_file.output_file"), "(null)");
    cr_expect_str_neq(at_str(status(), "from_file.error_file"), "(null)");
    bench_verify(&bench);
    bench_fini(&bench);
}

Test(broker_filing, keeps_what_was_answered_before_a_cancel)
{
    struct hand *hand;
    char *error;

    begin();
    hand = hand_new(&bench, 5);
    make_three();
    hand_start(hand);
    hand_answer(hand, hand_find(hand, "one"), "fine");
    bench_run(&bench);
    cr_expect_str_eq(
        at_str(bench_ask(&bench, NULL,
                         "'verb':'cancel','batch':'%s','client':'c'", batch),
               "verb"),
        "cancelled");
    file_expect_status(&bench, batch, "cancelled");
    cr_expect(at_int(status(), "from_file.cancelled_at") > 0);
    cr_expect(at_int(status(), "from_file.cancelling_at") > 0);
    error = file_download(&bench, at_str(status(), "from_file.error_file"));
    cr_expect_eq(count_lines(error), 2);
    expect_text(error, "b", "error.code", "batch_cancelled");
    cr_expect_str_neq(at_str(status(), "from_file.output_file"), "(null)");
    bench_verify(&bench);
    free(error);
    bench_fini(&bench);
}

Test(broker_filing, ends_in_new_files_after_a_retry_and_leaves_the_old_ones)
{
    char first[BENCH_UUID_BYTES];
    struct hand *hand;
    char *error;

    begin();
    hand = hand_new(&bench, 5);
    make_three();
    hand_start(hand);
    for (int i = 0; i < 3; i++)
        hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "permanent", 400, 0);
    bench_run(&bench);
    (void)snprintf(first, sizeof(first), "%s",
                   at_str(status(), "from_file.error_file"));
    bench_ask(&bench, NULL, "'verb':'retry','batch':'%s'", batch);
    file_expect_status(&bench, batch, "in_progress");
    bench_work(&bench);
    file_expect_status(&bench, batch, "completed");
    cr_expect_str_eq(at_str(status(), "from_file.error_file"), "(null)");
    cr_expect_str_neq(at_str(status(), "from_file.output_file"), "(null)");
    error = file_download(&bench, first);
    cr_expect_eq(count_lines(error), 3);
    bench_verify(&bench);
    free(error);
    bench_fini(&bench);
}

/* ---- who may ---- */

Test(broker_filing, belongs_to_its_client_and_is_made_by_the_broker_alone)
{
    static const char *const verbs[] = { "status", "cancel", "results",
                                         "wait",   "retry",  "purge",
                                         "pause",  "seal",   "refusals" };
    const cJSON *head;

    begin();
    make_three();
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        head = bench_ask(&bench, NULL, "'verb':'%s','batch':'%s','client':'d'",
                         verbs[i], batch);
        expect_error(head, "not_found");
    }
    expect_error(bench_ask(&bench, NULL,
                           "'verb':'open','client':'d','key':'b','file':'%s',"
                           "'endpoint':'/v1/responses'",
                           file),
                 "not_found");
    expect_error(bench_ask(&bench, NULL,
                           "'verb':'seal','batch':'%s','chunks':1,'drafts':3",
                           batch),
                 "conflict");
    expect_error(bench_ask(&bench, NULL, "'verb':'abort','batch':'%s'", batch),
                 "conflict");
    expect_error(bench_chunk(&bench, batch, 2, "{'id':'x','text':'y'}\n"),
                 "conflict");
    expect_error(bench_ask(&bench, NULL,
                           "'verb':'open','client':'c','key':'b','file':'%s',"
                           "'endpoint':'/v1/responses'",
                           file),
                 "conflict");
    expect_error(
        bench_ask(&bench, NULL, "'verb':'open','client':'c','key':'b'"),
        "conflict");
    bench_fini(&bench);
}

Test(broker_filing, is_refused_for_terms_that_make_no_sense)
{
    static const char *const terms[] = {
        "'endpoint':'/v1/moderations'",
        "'endpoint':'/v1/responses','early':true",
        "'endpoint':'/v1/responses','completion_ms':999",
        "'endpoint':'/v1/responses','completion_ms':5000,'deadline':99",
        "'endpoint':'/v1/responses','output_expires_after':3599999",
        "'priority':1",
    };

    begin();
    file_upload(&bench, "in", "x", file);
    for (size_t i = 0; i < sizeof(terms) / sizeof(terms[0]); i++) {
        expect_error(bench_ask(&bench, NULL,
                               "'verb':'open','client':'c','key':'b','file':"
                               "'%s',%s",
                               file, terms[i]),
                     "invalid");
    }
    bench_fini(&bench);
}

Test(broker_filing, is_listed_apart_and_waited_for_until_its_files_are_there)
{
    char other[BENCH_UUID_BYTES];
    struct hand *hand;
    int64_t re;

    begin();
    hand = hand_new(&bench, 5);
    make_three();
    bench_open(&bench, "by hand", NULL, "", other);
    cr_expect_eq(cJSON_GetArraySize(cJSON_GetObjectItem(
                     bench_ask(&bench, NULL,
                               "'verb':'list','client':'c','from_file':true"),
                     "batches")),
                 1);
    re = bench_ask_later(&bench, NULL,
                         "'verb':'wait','batch':'%s','timeout':60000", batch);
    bench_run(&bench);
    hand_start(hand);
    for (int i = 0; i < 3; i++)
        hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "x");
    bench_turn(&bench);
    while (!bench_answer(&bench, re))
        bench_turn(&bench);
    cr_expect_str_eq(at_str(bench_answer(&bench, re)->head, "from_file.status"),
                     "completed");
    bench_fini(&bench);
}

Test(broker_filing, is_purged_with_what_it_was_making_but_not_what_it_made)
{
    char output[BENCH_UUID_BYTES];

    begin();
    hand_new(&bench, 5);
    make_three();
    bench_work(&bench);
    (void)snprintf(output, sizeof(output), "%s",
                   at_str(status(), "from_file.output_file"));
    bench_ask(&bench, NULL, "'verb':'purge','batch':'%s'", batch);
    bench_verify(&bench);
    expect_error(status(), "not_found");
    cr_expect_str_eq(
        at_str(bench_ask(&bench, NULL, "'verb':'file','client':'c','file':'%s'",
                         output),
               "file.purpose"),
        "batch_output");
    bench_advance(&bench, bench.conf.file_ttl_ms);
    cr_expect_eq(bench_stat(&bench, "files"), 0);
    bench_fini(&bench);
}

static void
upload_a_line(void)
{
    struct buf content = { 0 };

    file_add_line(&content, "a", "one");
    file_upload(&bench, "in", content.data, file);
    buf_fini(&content);
}

Test(broker_filing, expires_from_when_it_was_opened)
{
    begin();
    upload_a_line();
    bench_ask(&bench, NULL,
              "'verb':'open','client':'c','key':'b','file':'%s',"
              "'endpoint':'/v1/chat/completions','completion_ms':5000,"
              "'output_expires_after':3600000",
              file);
    file_batch(&bench, "b", file, batch);
    cr_expect_eq(at_int(status(), "from_file.expires_at"),
                 BENCH_START_MS + 5000);
    bench_advance(&bench, 5000);
    file_expect_status(&bench, batch, "expired");
    bench_advance(&bench, 3600000);
    expect_error(bench_ask(&bench, NULL,
                           "'verb':'file','client':'c','file':'%s'",
                           at_str(status(), "from_file.error_file")),
                 "not_found");
    bench_fini(&bench);
}

Test(broker_filing, has_its_time_after_it_may_start)
{
    begin();
    upload_a_line();
    bench_ask(&bench, NULL,
              "'verb':'open','client':'c','key':'b','file':'%s',"
              "'endpoint':'/v1/chat/completions','not_before':%lld",
              file, (long long)BENCH_START_MS + 5000);
    file_batch(&bench, "b", file, batch);
    cr_expect_eq(at_int(status(), "from_file.expires_at"),
                 BENCH_START_MS + 5000 + bench.conf.deadline_ms);
    bench_fini(&bench);
}

Test(broker_filing, forgets_what_it_was_making_when_it_is_retried_or_purged)
{
    static const char *const verbs[] = { "retry", "purge" };
    char id[16], *text = mem_zalloc(300001, 1);
    struct buf content = { 0 };

    memset(text, 'x', 300000);
    for (int i = 0; i < 12; i++) {
        (void)snprintf(id, sizeof(id), "%d", i);
        file_add_line(&content, id, id);
    }
    for (size_t i = 0; i < 2; i++) {
        struct hand *hand;
        int64_t re;

        begin();
        hand = hand_new(&bench, 5);
        make(content.data);
        /* One fails, so that there is something to try again. */
        hand_start(hand);
        hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "permanent", 400, 0);
        bench_turn(&bench);
        while (hand_count(hand, SLIP_RUNNING) > 0 || hand_start(hand) > 0) {
            hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), text);
            if (hand_count(hand, SLIP_RUNNING) == 0)
                bench_turn(&bench);
        }
        /* The first slice of several is made, of both files. */
        cr_assert_eq(count_files(), 3);
        re = bench_ask_later(&bench, NULL, "'verb':'%s','batch':'%s'", verbs[i],
                             batch);
        bench_turn(&bench);
        cr_assert_str_neq(at_str(bench_answer(&bench, re)->head, "verb"),
                          "error");
        bench_verify(&bench);
        bench_run(&bench);
        bench_verify(&bench);
        cr_expect_eq(bench_stat(&bench, "files"), 1, "left by %s", verbs[i]);
        bench_fini(&bench);
    }
    free(text);
    buf_fini(&content);
}
