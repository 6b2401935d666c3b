/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/broker_file.h"
#include "tests/broker_hand.h"
#include "tests/rot.h"

TestSuite(broker_reading, .timeout = 60);

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

/* ---- lines ---- */

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

Test(broker_reading, fails_for_each_bad_line_and_says_which)
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

Test(broker_reading, finds_an_id_twice_however_far_apart)
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

Test(broker_reading, takes_a_mark_blank_lines_and_carriage_returns)
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

Test(broker_reading, fails_for_a_file_without_lines_or_with_too_many)
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

/* What a line's `input` is, and how many embeddings that asks for. */
static const struct {
    const char *input;
    int count;
} inputs[] = {
    { "'a text'", 1 }, { "['one','two','three']", 3 },
    { "[17,4,9]", 1 }, { "[[17,4],[9],[1,2,3]]", 3 },
    { "[]", 1 },
};

/* Over several slices; one more than there may be is too much. */
Test(broker_reading, counts_the_embeddings_that_a_file_asks_for)
{
    struct buf content = { 0 };
    char more[128];
    int count = 0;

    for (int i = 0; i < 10; i++) {
        const char *input = inputs[i % 5].input;

        count += inputs[i % 5].count;
        buf_addf(&content,
                 "{'custom_id':'%d','method':'POST','url':'/v1/embeddings',"
                 "'body':{'model':'m','input':%s}}\n",
                 i, input);
    }
    cr_assert_eq(count, 18);
    for (int is_too_much = 0; is_too_much < 2; is_too_much++) {
        bench_init(&bench, BENCH_STORE_MAX);
        bench.conf.chunk_drafts_max = 3;
        bench.conf.file_inputs_max = count - is_too_much;
        bench_start(&bench);
        file_upload(&bench, "in", content.data, file);
        (void)snprintf(more, sizeof(more),
                       "'file':'%s','endpoint':'/v1/embeddings'", file);
        bench_open(&bench, "b", NULL, more, batch);
        bench_run(&bench);
        cr_expect_str_eq(at_str(status(), "state"),
                         is_too_much ? "failed" : "sealed");
        if (is_too_much) {
            cr_expect_str_eq(at_str(status(), "from_file.errors.0.code"),
                             "too_many_inputs");
            cr_expect_str_eq(at_str(status(), "from_file.errors.0.message"),
                             "its lines ask for more than 17 embeddings "
                             "(file_inputs_max)");
        }
        bench_verify(&bench);
        bench_fini(&bench);
    }
    buf_fini(&content);
}

Test(broker_reading, passes_over_a_line_that_is_too_long_and_finds_the_next)
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

Test(broker_reading, remembers_so_many_bad_lines_and_counts_the_rest)
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

/* A broker that ends after each transaction, and starts again. */
/* Control characters take six bytes each there. */
Test(broker_reading, names_as_many_bad_lines_as_a_header_has_room_for)
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

/* ---- what is in the way ---- */

/* Opens a batch from a file of a hundred lines and reads the first slices. */
static void
read_a_part(void)
{
    struct buf content = { 0 };
    char id[16];

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
    buf_fini(&content);
}

Test(broker_reading, is_cancelled_while_its_file_is_read)
{
    bench_init(&bench, BENCH_STORE_MAX);
    bench.conf.chunk_drafts_max = 5;
    bench_start(&bench);
    read_a_part();
    bench_ask_later(&bench, NULL, "'verb':'cancel','client':'c','key':'b'");
    bench_turn(&bench);
    bench_verify(&bench);
    file_batch(&bench, "b", file, batch);
    file_expect_status(&bench, batch, "cancelled");
    cr_expect_lt(at_int(status(), "from_file.lines_read"), 100);
    cr_expect_eq(at_int(status(), "from_file.request_counts.total"), 0);
    cr_expect_str_eq(at_str(status(), "from_file.error_file"), "(null)");
    bench_verify(&bench);
    bench_fini(&bench);
}

Test(broker_reading, fails_when_its_file_goes_while_it_is_read)
{
    bench_init(&bench, BENCH_STORE_MAX);
    bench.conf.chunk_drafts_max = 5;
    bench_start(&bench);
    read_a_part();
    bench_ask(&bench, NULL, "'verb':'file_delete','client':'c','file':'%s'",
              file);
    file_batch(&bench, "b", file, batch);
    file_expect_status(&bench, batch, "failed");
    cr_expect_str_eq(at_str(status(), "from_file.errors.0.code"),
                     "input_file_gone");
    bench_verify(&bench);
    bench_fini(&bench);
}

Test(broker_reading, waits_for_room_in_the_store_and_goes_on_when_there_is_some)
{
    char other[BENCH_UUID_BYTES], id[16], *text = mem_zalloc(30001, 1);
    struct buf content = { 0 };

    /* By chance, so that it cannot be packed. */
    srand(1);
    for (int i = 0; i < 30000; i++) {
        text[i] = (char)('(' + rand() % ('~' - '('));
        if (text[i] == '\\')
            text[i] = '~';
    }
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
    file_expect_status(&bench, batch, "validating");
    bench_verify(&bench);
    bench_ask(&bench, NULL, "'verb':'file_delete','client':'c','file':'%s'",
              other);
    bench_advance(&bench, 60000);
    file_expect_status(&bench, batch, "in_progress");
    bench_verify(&bench);
    free(text);
    buf_fini(&content);
    bench_fini(&bench);
}

Test(broker_reading, keeps_a_file_while_it_is_read_that_would_have_to_go)
{
    for (int is_large = 0; is_large < 2; is_large++) {
        bench_init(&bench, BENCH_STORE_MAX);
        bench.conf.chunk_drafts_max = 5;
        bench.conf.file_ttl_ms = is_large ? 0 : 5000;
        bench.conf.results_bytes_max = is_large ? 1 : 0;
        bench_start(&bench);
        read_a_part();
        /* Its time is over, or the next look at what is too much is due. */
        bench.now_ms += 11000;
        bench_run(&bench);
        file_batch(&bench, "b", file, batch);
        file_expect_status(&bench, batch, "in_progress");
        bench_verify(&bench);
        bench_advance(&bench, 120000);
        expect_error(bench_ask(&bench, NULL,
                               "'verb':'file','client':'c','file':'%s'", file),
                     "not_found");
        bench_fini(&bench);
    }
}

/* What else is wrong with its lines is told, and counted among them. */
Test(broker_reading, a_draft_that_is_damaged_meanwhile_fails_the_batch)
{
    struct buf content = { 0 };
    const cJSON *head;

    begin();
    bench.conf.chunk_drafts_max = 3;
    file_add_line(&content, "a", "one");
    file_add_line(&content, "b", "two");
    file_add_line(&content, "c", "three");
    buf_add_str(&content, "{}\n{}\n");
    file_add_line(&content, "a", "four");
    file_upload(&bench, "in", content.data, file);
    bench_ask_later(&bench, NULL,
                    "'verb':'open','client':'c','key':'b','file':'%s',"
                    "'endpoint':'/v1/chat/completions'",
                    file);
    bench_turn(&bench);
    cr_assert_eq(rot_drafts(bench.store), 3);
    file_batch(&bench, "b", file, batch);
    head = status();
    cr_expect_str_eq(at_str(head, "state"), "failed");
    cr_expect_eq(at_int(head, "counts.refused"), 3);
    cr_expect_eq(at_int(head, "counts.drafts"), 7);
    cr_expect_str_eq(at_str(head, "from_file.errors.0.code"),
                     "missing_custom_id");
    cr_expect_eq(at_int(head, "from_file.errors.1.line"), 5);
    cr_expect_str_eq(at_str(head, "from_file.errors.2.code"), "invalid_line");
    buf_fini(&content);
    bench_fini(&bench);
}
