/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/broker_file.h"
#include "tests/broker_hand.h"

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

/* Uploads a content and opens a batch from it; all due is done. */
static void
make(const char *content)
{
    file_upload(&bench, "in", content, file);
    file_batch(&bench, "b", file, batch);
    bench_run(&bench);
}

static const cJSON *
status(void)
{
    return bench_ask(&bench, NULL, "'verb':'status','batch':'%s','client':'c'",
                     batch);
}

static void
expect_status(const char *want)
{
    cr_expect_str_eq(at_str(status(), "from_file.status"), want);
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

/* ---- reading ---- */

Test(broker_filing, runs_a_file_and_ends_in_one_that_has_all_answers)
{
    struct buf content = { 0 };
    char *output;

    begin();
    hand_new(&bench, 5);
    file_add_line(&content, "a", "one");
    file_add_line(&content, "b", "two");
    make(content.data);
    expect_status("in_progress");
    cr_expect_eq(at_int(status(), "from_file.request_counts.total"), 2);
    bench_verify(&bench);
    bench_work(&bench);
    expect_status("completed");
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

/* A line of a file, what is wrong with it, and where. */
struct bad {
    const char *line, *code, *param;
};

static const struct bad bads[] = {
    { "{'custom_id':", "invalid_json_line", "(null)" },
    { "[]", "invalid_json_line", "(null)" },
    { "{'a':1,'a':1}", "invalid_json_line", "(null)" },
    { "{'method':'POST','url':'/v1/chat/completions','body':{}}",
      "missing_custom_id", "custom_id" },
    { "{'id':'x','method':'POST','url':'/v1/chat/completions','body':{}}",
      "missing_custom_id", "custom_id" },
    { "{'custom_id':'x','text':'a draft'}", "missing_field", "body" },
    { "{'custom_id':'x','method':'POST','url':'/v1/chat/completions'}",
      "missing_field", "body" },
    { "{'custom_id':'x','method':'GET','url':'/v1/chat/completions',"
      "'body':{}}",
      "invalid_method", "method" },
    { "{'custom_id':'x','method':'POST','url':'/v1/embeddings','body':{}}",
      "url_mismatch", "url" },
    { "{'custom_id':'x','method':'POST','url':'/v1/other','body':{}}",
      "url_mismatch", "url" },
    { "{'custom_id':'x','method':'POST','url':'/v1/chat/completions',"
      "'body':{'stream':true}}",
      "stream_not_supported", "body.stream" },
    { "{'custom_id':'x','method':'POST','url':'/v1/chat/completions',"
      "'body':{},'odd':1}",
      "invalid_line", "odd" },
};

Test(broker_filing, fails_for_each_bad_line_and_says_which)
{
    for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
        struct buf content = { 0 };
        const cJSON *head;

        begin();
        hand_new(&bench, 5);
        file_add_line(&content, "good", "text");
        buf_addf(&content, "\n%s\n", bads[i].line);
        make(content.data);
        head = status();
        cr_expect_str_eq(at_str(head, "state"), "failed", "%s", bads[i].line);
        cr_expect_eq(at_int(head, "from_file.error_count"), 1);
        cr_expect_str_eq(at_str(head, "from_file.errors.0.code"), bads[i].code,
                         "%s: %s", bads[i].line,
                         at_str(head, "from_file.errors.0.code"));
        cr_expect_str_eq(at_str(head, "from_file.errors.0.param"),
                         bads[i].param, "%s: %s", bads[i].line,
                         at_str(head, "from_file.errors.0.param"));
        cr_expect_eq(at_int(head, "from_file.errors.0.line"), 3);
        cr_expect_eq(at_int(head, "from_file.request_counts.total"), 0);
        bench_work(&bench);
        cr_expect_eq(bench.call_count, 0, "%s was called", bads[i].line);
        bench_verify(&bench);
        buf_fini(&content);
        bench_fini(&bench);
    }
}

Test(broker_filing, finds_an_id_twice_however_far_apart)
{
    struct buf content = { 0 };
    char id[16];

    bench_init(&bench, BENCH_STORE_MAX);
    bench.conf.chunk_drafts_max = 10;
    bench_start(&bench);
    for (int i = 0; i < 35; i++) {
        (void)snprintf(id, sizeof(id), "%d", i == 33 ? 2 : i);
        file_add_line(&content, id, "text");
    }
    make(content.data);
    cr_expect_str_eq(at_str(status(), "state"), "failed");
    cr_expect_str_eq(at_str(status(), "from_file.errors.0.code"),
                     "duplicate_custom_id");
    cr_expect_eq(at_int(status(), "from_file.errors.0.line"), 34);
    bench_verify(&bench);
    buf_fini(&content);
    bench_fini(&bench);
}

Test(broker_filing, takes_a_mark_blank_lines_and_carriage_returns)
{
    struct buf content = { 0 }, mixed = { 0 };

    begin();
    buf_add_str(&mixed, "\xef\xbb\xbf");
    file_add_line(&content, "a", "one");
    buf_add(&mixed, content.data, content.bytes - 1);
    buf_add_str(&mixed, "\r\n\r\n  \n");
    buf_reset(&content);
    file_add_line(&content, "b", "two");
    buf_add(&mixed, content.data, content.bytes - 1); /* no end */
    make(mixed.data);
    cr_expect_str_eq(at_str(status(), "state"), "sealed");
    cr_expect_eq(at_int(status(), "from_file.request_counts.total"), 2);
    cr_expect_eq(at_int(status(), "from_file.lines_read"), 4);
    bench_verify(&bench);
    buf_fini(&content);
    buf_fini(&mixed);
    bench_fini(&bench);
}

Test(broker_filing, fails_for_a_file_without_lines_or_with_too_many)
{
    struct buf content = { 0 };
    struct hand *hand;
    char id[16];

    bench_init(&bench, BENCH_STORE_MAX);
    bench_webhook(&bench, "all", NULL, NULL);
    bench_start(&bench);
    hand = hand_new(&bench, 1);
    make("\n\n");
    cr_expect_eq(at_int(status(), "counts.drafts"), 1);
    cr_expect_eq(at_int(status(), "counts.refused"), 1);
    cr_assert_eq(hand->parcel_count, 1);
    cr_expect(strstr(hand->parcels[0].body, "\"failed\":0"), "%s",
              hand->parcels[0].body);
    cr_expect_str_eq(at_str(status(), "from_file.errors.0.code"), "empty_file");
    cr_expect_str_eq(at_str(status(), "from_file.errors.0.param"), "(null)");
    cr_expect(cJSON_IsNull(cJSON_GetObjectItem(
        cJSON_GetArrayItem(
            cJSON_GetObjectItem(cJSON_GetObjectItem(status(), "from_file"),
                                "errors"),
            0),
        "line")));
    bench_verify(&bench);
    bench_fini(&bench);

    bench_init(&bench, BENCH_STORE_MAX);
    bench.conf.file_lines_max = 12;
    bench.conf.chunk_drafts_max = 5;
    bench_start(&bench);
    for (int i = 0; i < 12; i++) {
        (void)snprintf(id, sizeof(id), "%d", i);
        file_add_line(&content, id, "text");
    }
    make(content.data);
    cr_expect_str_eq(at_str(status(), "state"), "sealed");
    file_add_line(&content, "one more", "text");
    file_upload(&bench, "in 2", content.data, file);
    file_batch(&bench, "b 2", file, batch);
    bench_run(&bench);
    cr_expect_str_eq(at_str(status(), "from_file.errors.0.code"),
                     "too_many_tasks");
    bench_verify(&bench);
    buf_fini(&content);
    bench_fini(&bench);
}

Test(broker_filing, passes_over_a_line_that_is_too_long_and_finds_the_next)
{
    struct buf content = { 0 };
    char *text = mem_zalloc(200001, 1);

    memset(text, 'x', 200000);
    bench_init(&bench, BENCH_STORE_MAX);
    bench.conf.line_bytes_max = 2048;
    bench.conf.chunk_bytes_max = 4096;
    bench_start(&bench);
    file_add_line(&content, "a", "one");
    text[5000] = '\0';
    file_add_line(&content, "long", text);
    text[5000] = 'x';
    file_add_line(&content, "longer", text);
    buf_add_str(&content, "bad\n");
    file_ask_open(&bench, "c", "in", content.bytes, file);
    for (size_t at = 0; at < content.bytes; at += 4000) {
        char *part =
            mem_dup(content.data + at,
                    content.bytes - at < 4000 ? content.bytes - at : 4000);

        file_ask_part(&bench, file, at, part);
        free(part);
    }
    file_ask_close(&bench, file, content.data);
    file_batch(&bench, "b", file, batch);
    bench_run(&bench);
    cr_expect_eq(at_int(status(), "from_file.error_count"), 3);
    cr_expect_str_eq(at_str(status(), "from_file.errors.0.code"),
                     "line_too_long");
    cr_expect_eq(at_int(status(), "from_file.errors.0.line"), 2);
    cr_expect_eq(at_int(status(), "from_file.errors.1.line"), 3);
    cr_expect_str_eq(at_str(status(), "from_file.errors.2.code"),
                     "invalid_json_line");
    cr_expect_eq(at_int(status(), "from_file.errors.2.line"), 4);
    bench_verify(&bench);
    free(text);
    buf_fini(&content);
    bench_fini(&bench);
}

Test(broker_filing, remembers_so_many_bad_lines_and_counts_the_rest)
{
    struct buf content = { 0 };

    begin();
    for (int i = 0; i < 250; i++)
        buf_add_str(&content, "bad\n");
    file_upload(&bench, "in", content.data, file);
    file_batch(&bench, "b", file, batch);
    bench_run(&bench);
    cr_expect_eq(at_int(status(), "from_file.error_count"), 250);
    cr_expect_eq(at_int(status(), "from_file.errors.99.line"), 100);
    cr_expect_eq(cJSON_GetArraySize(cJSON_GetObjectItem(
                     cJSON_GetObjectItem(status(), "from_file"), "errors")),
                 100);
    cr_expect_eq(
        at_int(bench_ask(&bench, NULL, "'verb':'refusals','batch':'%s'", batch),
               "count"),
        100);
    bench_verify(&bench);
    buf_fini(&content);
    bench_fini(&bench);
}

/* ---- slices ---- */

/* A broker that ends after each transaction, and starts again. */
/* Control characters take six bytes each there. */
Test(broker_filing, names_as_many_bad_lines_as_a_header_has_room_for)
{
    struct buf content = { 0 }, members = { 0 };
    const cJSON *head;

    begin();
    for (int i = 0; i < 100; i++)
        buf_add_str(&content, "{'custom_id':'a','method':'POST',"
                              "'url':'/v1/embeddings','body':{}}\n");
    file_upload(&bench, "in", content.data, file);
    for (int i = 0; i < 16; i++) {
        buf_addf(&members, "%s'%02d", i ? "," : "", i);
        for (int at = 2; at < 64; at++)
            buf_add_str(&members, "\\u0001");
        buf_add_str(&members, "':'");
        for (int at = 0; at < 512; at++)
            buf_add_str(&members, "\\u0001");
        buf_add_char(&members, '\'');
    }
    head = bench_ask(&bench, NULL,
                     "'verb':'open','client':'c','key':'b','file':'%s',"
                     "'endpoint':'/v1/chat/completions','metadata':{%s}",
                     file, members.data);
    cr_assert_str_eq(at_str(head, "verb"), "opened");
    (void)snprintf(batch, sizeof(batch), "%s", at_str(head, "batch"));
    bench_run(&bench);
    cr_expect_eq(at_int(status(), "from_file.error_count"), 100);
    cr_expect_eq(at_int(status(), "from_file.errors.0.line"), 1);
    cr_expect_leq(wire_bytes(status()), WIRE_HEADER_BYTES_MAX);
    cr_expect_leq(wire_bytes(bench_ask(&bench, NULL, "'verb':'list'")),
                  WIRE_HEADER_BYTES_MAX);
    buf_fini(&content);
    buf_fini(&members);
    bench_fini(&bench);
}

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
    expect_status("completed");
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
    expect_status("expired");
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
    expect_status("completed");
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
    expect_status("cancelled");
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

Test(broker_filing, is_cancelled_while_its_file_is_read)
{
    struct buf content = { 0 };
    char id[16];

    bench_init(&bench, BENCH_STORE_MAX);
    bench.conf.chunk_drafts_max = 5;
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
    for (int i = 0; i < 4; i++)
        bench_turn(&bench);
    bench_ask_later(&bench, NULL, "'verb':'cancel','client':'c','key':'b'");
    bench_turn(&bench);
    bench_verify(&bench);
    file_batch(&bench, "b", file, batch);
    expect_status("cancelled");
    cr_expect_lt(at_int(status(), "from_file.lines_read"), 100);
    cr_expect_eq(at_int(status(), "from_file.request_counts.total"), 0);
    cr_expect_str_eq(at_str(status(), "from_file.error_file"), "(null)");
    bench_verify(&bench);
    buf_fini(&content);
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
    expect_status("in_progress");
    bench_work(&bench);
    expect_status("completed");
    cr_expect_str_eq(at_str(status(), "from_file.error_file"), "(null)");
    cr_expect_str_neq(at_str(status(), "from_file.output_file"), "(null)");
    error = file_download(&bench, first);
    cr_expect_eq(count_lines(error), 3);
    bench_verify(&bench);
    free(error);
    bench_fini(&bench);
}

Test(broker_filing, fails_when_its_file_goes_while_it_is_read)
{
    struct buf content = { 0 };
    char id[16];

    bench_init(&bench, BENCH_STORE_MAX);
    bench.conf.chunk_drafts_max = 5;
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
    for (int i = 0; i < 4; i++)
        bench_turn(&bench);
    bench_ask(&bench, NULL, "'verb':'file_delete','client':'c','file':'%s'",
              file);
    file_batch(&bench, "b", file, batch);
    expect_status("failed");
    cr_expect_str_eq(at_str(status(), "from_file.errors.0.code"),
                     "input_file_gone");
    bench_verify(&bench);
    buf_fini(&content);
    bench_fini(&bench);
}

/* ---- who may ---- */

static void
expect_code(const cJSON *head, const char *code)
{
    cr_expect_str_eq(at_str(head, "verb"), "error");
    cr_expect_str_eq(at_str(head, "code"), code);
}

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
        expect_code(head, "not_found");
    }
    expect_code(bench_ask(&bench, NULL,
                          "'verb':'open','client':'d','key':'b','file':'%s',"
                          "'endpoint':'/v1/responses'",
                          file),
                "not_found");
    expect_code(bench_ask(&bench, NULL,
                          "'verb':'seal','batch':'%s','chunks':1,'drafts':3",
                          batch),
                "conflict");
    expect_code(bench_ask(&bench, NULL, "'verb':'abort','batch':'%s'", batch),
                "conflict");
    expect_code(bench_chunk(&bench, batch, 2, "{'id':'x','text':'y'}\n"),
                "conflict");
    expect_code(bench_ask(&bench, NULL,
                          "'verb':'open','client':'c','key':'b','file':'%s',"
                          "'endpoint':'/v1/responses'",
                          file),
                "conflict");
    expect_code(bench_ask(&bench, NULL, "'verb':'open','client':'c','key':'b'"),
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
        expect_code(bench_ask(&bench, NULL,
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
    expect_code(status(), "not_found");
    cr_expect_str_eq(
        at_str(bench_ask(&bench, NULL, "'verb':'file','client':'c','file':'%s'",
                         output),
               "file.purpose"),
        "batch_output");
    bench_advance(&bench, bench.conf.file_ttl_ms);
    cr_expect_eq(bench_stat(&bench, "files"), 0);
    bench_fini(&bench);
}

Test(broker_filing, expires_from_when_it_was_opened)
{
    struct buf content = { 0 };

    begin();
    file_add_line(&content, "a", "one");
    file_upload(&bench, "in", content.data, file);
    bench_ask(&bench, NULL,
              "'verb':'open','client':'c','key':'b','file':'%s',"
              "'endpoint':'/v1/chat/completions','completion_ms':5000,"
              "'output_expires_after':3600000",
              file);
    file_batch(&bench, "b", file, batch);
    cr_expect_eq(at_int(status(), "from_file.expires_at"),
                 BENCH_START_MS + 5000);
    bench_advance(&bench, 5000);
    expect_status("expired");
    bench_advance(&bench, 3600000);
    expect_code(bench_ask(&bench, NULL,
                          "'verb':'file','client':'c','file':'%s'",
                          at_str(status(), "from_file.error_file")),
                "not_found");
    buf_fini(&content);
    bench_fini(&bench);
}

/* ---- what is in the way ---- */

Test(broker_filing, waits_for_room_in_the_store_and_goes_on_when_there_is_some)
{
    char other[BENCH_UUID_BYTES], id[16], *text = mem_zalloc(30001, 1);
    struct buf content = { 0 };

    memset(text, 'x', 30000);
    bench_init(&bench, 4 << 20);
    bench.conf.chunk_bytes_max = 65536;
    bench.conf.line_bytes_max = 65536;
    bench.conf.group_chars_max = 10000000;
    bench_start(&bench);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(id, sizeof(id), "%d", i);
        file_add_line(&content, id, text);
    }
    file_ask_open(&bench, "c", "in", content.bytes, file);
    for (size_t at = 0; at < content.bytes; at += 60000) {
        size_t left = content.bytes - at;
        char *part = mem_dup(content.data + at, left < 60000 ? left : 60000);

        file_ask_part(&bench, file, at, part);
        free(part);
    }
    file_ask_close(&bench, file, content.data);
    /* Another one takes the room that its drafts would need. */
    file_ask_open(&bench, "c", "other", 2000000, other);
    for (size_t at = 0; at < 1980000; at += 30000)
        file_ask_part(&bench, other, at, text);
    file_batch(&bench, "b", file, batch);
    bench_advance(&bench, 60000);
    expect_status("validating");
    bench_verify(&bench);
    bench_ask(&bench, NULL, "'verb':'file_delete','client':'c','file':'%s'",
              other);
    bench_advance(&bench, 60000);
    expect_status("in_progress");
    bench_verify(&bench);
    free(text);
    buf_fini(&content);
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

Test(broker_filing, keeps_a_file_while_it_is_read_that_would_have_to_go)
{
    struct buf content = { 0 };
    char id[16];

    for (int i = 0; i < 100; i++) {
        (void)snprintf(id, sizeof(id), "%d", i);
        file_add_line(&content, id, id);
    }
    for (int is_large = 0; is_large < 2; is_large++) {
        bench_init(&bench, BENCH_STORE_MAX);
        bench.conf.chunk_drafts_max = 5;
        bench.conf.file_ttl_ms = is_large ? 0 : 5000;
        bench.conf.results_bytes_max = is_large ? 1 : 0;
        bench_start(&bench);
        file_upload(&bench, "in", content.data, file);
        bench_ask_later(&bench, NULL,
                        "'verb':'open','client':'c','key':'b','file':'%s',"
                        "'endpoint':'/v1/chat/completions'",
                        file);
        for (int i = 0; i < 4; i++)
            bench_turn(&bench);
        /* Its time is over, or the next look at what is too much is due. */
        bench.now_ms += 11000;
        bench_run(&bench);
        file_batch(&bench, "b", file, batch);
        expect_status("in_progress");
        bench_verify(&bench);
        bench_advance(&bench, 120000);
        expect_code(bench_ask(&bench, NULL,
                              "'verb':'file','client':'c','file':'%s'", file),
                    "not_found");
        bench_fini(&bench);
    }
    buf_fini(&content);
}
