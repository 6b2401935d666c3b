/* SPDX-License-Identifier: MIT */
#include "tests/broker_file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "store/file.h"
#include "store/verify.h"

#define PART_BYTES 100000
#define READ_BYTES 70000

/* What ' for " stands for, as the broker gets it. */
static char *
quoted(const char *text)
{
    char *copy = mem_dup_str(text);

    for (char *at = copy; *at; at++) {
        if (*at == '\'')
            *at = '"';
    }
    return copy;
}

const cJSON *
file_ask_open(struct bench *bench, const char *client, const char *key,
              size_t bytes, char uuid[BENCH_UUID_BYTES])
{
    const cJSON *head = bench_ask(
        bench, NULL,
        "'verb':'file_open','client':'%s','key':'%s','name':'in.jsonl',"
        "'bytes':%zu",
        client, key, bytes);

    if (strcmp(at_str(head, "verb"), "file_opened") == 0)
        (void)snprintf(uuid, BENCH_UUID_BYTES, "%s", at_str(head, "file.file"));
    return head;
}

const cJSON *
file_ask_part(struct bench *bench, const char *uuid, size_t at,
              const char *bytes)
{
    char *body = quoted(bytes);
    unsigned char digest[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];

    digest_of(body, strlen(body), digest);
    digest_hex(digest, hex);
    free(body);
    return bench_ask(bench, bytes,
                     "'verb':'file_part','client':'c','file':'%s','at':%zu,"
                     "'digest':'%s'",
                     uuid, at, hex);
}

const cJSON *
file_ask_close(struct bench *bench, const char *uuid, const char *content)
{
    unsigned char chain[DIGEST_BYTES] = { 0 };
    size_t bytes = strlen(content);
    char *body = quoted(content);
    char hex[DIGEST_HEX_BYTES];

    for (size_t at = 0; at < bytes; at += FILE_PIECE_BYTES) {
        size_t left = bytes - at;

        if (left > FILE_PIECE_BYTES)
            left = FILE_PIECE_BYTES;
        file_chain(chain, (struct slice){ body + at, left });
    }
    digest_hex(chain, hex);
    free(body);
    return bench_ask(bench, NULL,
                     "'verb':'file_close','client':'c','file':'%s',"
                     "'digest':'%s'",
                     uuid, hex);
}

void
file_upload(struct bench *bench, const char *key, const char *content,
            char uuid[BENCH_UUID_BYTES])
{
    size_t bytes = strlen(content);
    const cJSON *head = file_ask_open(bench, "c", key, bytes, uuid);

    cr_assert_str_eq(at_str(head, "verb"), "file_opened");
    for (size_t at = 0; at < bytes; at += PART_BYTES) {
        char *part = mem_dup(content + at,
                             bytes - at < PART_BYTES ? bytes - at : PART_BYTES);

        head = file_ask_part(bench, uuid, at, part);
        cr_assert_str_eq(at_str(head, "verb"), "file_part");
        free(part);
    }
    head = file_ask_close(bench, uuid, content);
    cr_assert_str_eq(at_str(head, "file.state"), "stored");
}

char *
file_download(struct bench *bench, const char *uuid)
{
    struct buf out = { 0 };
    bool has_more = true;

    while (has_more) {
        const cJSON *head =
            bench_ask(bench, NULL,
                      "'verb':'file_read','client':'c','file':'%s','at':%zu,"
                      "'length':%d",
                      uuid, out.bytes, READ_BYTES);

        cr_assert_str_eq(at_str(head, "verb"), "file_read");
        cr_assert_eq(at_int(head, "count"), bench_body(bench).bytes);
        buf_add_slice(&out, bench_body(bench));
        has_more = at_int(head, "more") != 0;
    }
    return buf_take(&out);
}

void
file_batch(struct bench *bench, const char *key, const char *file,
           char uuid[BENCH_UUID_BYTES])
{
    char more[128];

    (void)snprintf(more, sizeof(more),
                   "'file':'%s','endpoint':'/v1/chat/completions'", file);
    bench_open(bench, key, NULL, more, uuid);
}

void
file_make(struct bench *bench, const char *content, char file[BENCH_UUID_BYTES],
          char batch[BENCH_UUID_BYTES])
{
    file_upload(bench, "in", content, file);
    file_batch(bench, "b", file, batch);
    bench_run(bench);
}

const cJSON *
file_status(struct bench *bench, const char *batch)
{
    return bench_ask(bench, NULL, "'verb':'status','batch':'%s','client':'c'",
                     batch);
}

void
file_expect_status(struct bench *bench, const char *batch, const char *want)
{
    cr_expect_str_eq(at_str(file_status(bench, batch), "from_file.status"),
                     want);
}

void
file_add_line(struct buf *content, const char *id, const char *text)
{
    buf_addf(content,
             "{'custom_id':'%s','method':'POST','url':'/v1/chat/completions',"
             "'body':{'model':'m','messages':[{'role':'user','content':'%s'}]"
             "}}\n",
             id, text);
}

void
bench_verify(struct bench *bench)
{
    struct buf report = { 0 };
    struct verify verify = { .report = &report };

    cr_assert_eq(store_begin(bench->store, bench->now_ms, NULL), 0);
    cr_expect_eq(store_verify(bench->store, &verify, NULL), 0);
    cr_expect_eq(verify.findings, 0, "%s", report.data);
    store_abort(bench->store);
    buf_fini(&report);
}
