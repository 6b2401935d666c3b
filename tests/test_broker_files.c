/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "store/file.h"
#include "tests/broker_fixture.h"

TestSuite(broker_files, .timeout = 60);

static struct bench bench;

static void
begin(void)
{
    bench_init(&bench, BENCH_STORE_MAX);
    bench_start(&bench);
}

static const cJSON *
open_file(const char *client, const char *key, size_t bytes,
          char uuid[BENCH_UUID_BYTES])
{
    const cJSON *head = bench_ask(
        &bench, NULL,
        "'verb':'file_open','client':'%s','key':'%s','name':'in.jsonl',"
        "'bytes':%zu",
        client, key, bytes);

    if (strcmp(at_str(head, "verb"), "file_opened") == 0)
        (void)snprintf(uuid, BENCH_UUID_BYTES, "%s", at_str(head, "file.file"));
    return head;
}

static const cJSON *
send_part(const char *uuid, size_t at, const char *bytes)
{
    unsigned char digest[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];

    digest_of(bytes, strlen(bytes), digest);
    digest_hex(digest, hex);
    return bench_ask(&bench, bytes,
                     "'verb':'file_part','client':'c','file':'%s','at':%zu,"
                     "'digest':'%s'",
                     uuid, at, hex);
}

static const cJSON *
close_file(const char *uuid, const char *content)
{
    unsigned char chain[DIGEST_BYTES] = { 0 };
    size_t bytes = strlen(content);
    char hex[DIGEST_HEX_BYTES];

    for (size_t at = 0; at < bytes; at += FILE_PIECE_BYTES) {
        size_t left = bytes - at;

        file_chain(chain,
                   (struct slice){ content + at, left < FILE_PIECE_BYTES
                                                     ? left
                                                     : FILE_PIECE_BYTES });
    }
    digest_hex(chain, hex);
    return bench_ask(&bench, NULL,
                     "'verb':'file_close','client':'c','file':'%s',"
                     "'digest':'%s'",
                     uuid, hex);
}

static const cJSON *
ask(const char *verb, const char *client, const char *uuid)
{
    return bench_ask(&bench, NULL, "'verb':'%s','client':'%s','file':'%s'",
                     verb, client, uuid);
}

static void
store_file(const char *key, const char *content, char uuid[BENCH_UUID_BYTES])
{
    open_file("c", key, strlen(content), uuid);
    cr_assert_str_eq(at_str(send_part(uuid, 0, content), "verb"), "file_part");
    cr_assert_str_eq(at_str(close_file(uuid, content), "file.state"), "stored");
}

static void
expect_error(const cJSON *head, const char *code)
{
    cr_expect_str_eq(at_str(head, "verb"), "error");
    cr_expect_str_eq(at_str(head, "code"), code);
}

Test(broker_files, come_in_parts_and_go_on_where_they_were_after_a_restart)
{
    char uuid[BENCH_UUID_BYTES];
    const cJSON *head;

    begin();
    head = open_file("c", "k", 12, uuid);
    cr_expect(cJSON_IsTrue(cJSON_GetObjectItem(head, "created")));
    cr_expect_eq(at_int(send_part(uuid, 0, "hello "), "received"), 6);
    expect_error(ask("file_read", "c", uuid), "conflict");
    bench_restart(&bench);
    head = open_file("c", "k", 12, uuid);
    cr_expect(cJSON_IsFalse(cJSON_GetObjectItem(head, "created")));
    cr_expect_eq(at_int(head, "file.received"), 6);
    cr_expect_eq(at_int(send_part(uuid, 6, "world!"), "received"), 12);
    head = close_file(uuid, "hello world!");
    cr_expect_str_eq(at_str(head, "file.state"), "stored");
    cr_expect_eq(at_int(head, "file.expires_at"),
                 BENCH_START_MS + bench.conf.file_ttl_ms);
    head = bench_ask(
        &bench, NULL,
        "'verb':'file_read','client':'c','file':'%s','at':4,'length':5", uuid);
    cr_expect_eq(at_int(head, "count"), 5);
    cr_expect(slice_is(bench_body(&bench), "o wor"));
    cr_expect(cJSON_IsTrue(cJSON_GetObjectItem(head, "more")));
    bench_fini(&bench);
}

Test(broker_files, take_what_came_twice_once_and_nothing_else_in_its_place)
{
    char uuid[BENCH_UUID_BYTES];
    const cJSON *head;

    begin();
    open_file("c", "k", 9, uuid);
    send_part(uuid, 0, "abcdef");
    cr_expect_eq(at_int(send_part(uuid, 0, "abcdef"), "received"), 6);
    expect_error(send_part(uuid, 2, "XX"), "conflict");
    head = send_part(uuid, 7, "hi");
    expect_error(head, "gap");
    cr_expect_eq(at_int(head, "expected"), 6);
    expect_error(close_file(uuid, "abcdef"), "gap");
    cr_expect_eq(at_int(send_part(uuid, 4, "efghi"), "received"), 9);
    expect_error(send_part(uuid, 9, "j"), "too_big");
    expect_error(close_file(uuid, "abcdefghX"), "conflict");
    cr_expect_str_eq(at_str(close_file(uuid, "abcdefghi"), "verb"), "file");
    cr_expect_str_eq(at_str(close_file(uuid, "abcdefghi"), "verb"), "file");
    expect_error(open_file("c", "k", 8, uuid), "conflict");
    bench_fini(&bench);
}

Test(broker_files, of_another_client_are_as_if_they_were_not_there)
{
    static const char *const verbs[] = { "file", "file_read", "file_close",
                                         "file_part", "file_delete" };
    char uuid[BENCH_UUID_BYTES], missing[BENCH_UUID_BYTES];
    char theirs[200], none[200];

    begin();
    store_file("k", "content", uuid);
    (void)snprintf(missing, sizeof(missing),
                   "00000000-0000-4000-8000-000000000000");
    for (size_t i = 0; i < 5; i++) {
        const cJSON *head = ask(verbs[i], "d", uuid);

        expect_error(head, "not_found");
        (void)snprintf(theirs, sizeof(theirs), "%.8s", at_str(head, "message"));
        head = ask(verbs[i], "d", missing);
        expect_error(head, "not_found");
        (void)snprintf(none, sizeof(none), "%.8s", at_str(head, "message"));
        cr_expect_str_eq(theirs, none);
    }
    bench_ask(&bench, NULL, "'verb':'file_list','client':'d'");
    cr_expect_eq(bench_body(&bench).bytes, 0);
    /* The same key is another file's there. */
    cr_expect(cJSON_IsTrue(
        cJSON_GetObjectItem(open_file("d", "k", 1, missing), "created")));
    bench_fini(&bench);
}

static void
expect_names(const char *members, const char *keys)
{
    const cJSON *head =
        bench_ask(&bench, NULL, "'verb':'file_list','client':'c'%s", members);
    struct slice body = bench_body(&bench);
    char got[64] = "";

    cr_assert_str_eq(at_str(head, "verb"), "file_list");
    for (int64_t i = 0; i < at_int(head, "count"); i++) {
        const char *end = memchr(body.data, '\n', body.bytes);
        cJSON *line =
            cJSON_ParseWithLength(body.data, (size_t)(end - body.data));
        size_t used = strlen(got);

        (void)snprintf(got + used, sizeof(got) - used, "%d",
                       (int)at_int(line, "bytes"));
        cJSON_Delete(line);
        body.bytes -= (size_t)(end + 1 - body.data);
        body.data = end + 1;
    }
    cr_expect_str_eq(got, keys, "%s: got %s, want %s", members, got, keys);
}

Test(broker_files, are_listed_page_by_page_in_both_orders)
{
    char uuids[4][BENCH_UUID_BYTES], more[80];

    begin();
    store_file("1", "a", uuids[0]);
    store_file("2", "ab", uuids[1]);
    store_file("3", "abc", uuids[2]);
    open_file("c", "4", 4, uuids[3]);
    expect_names("", "321");
    expect_names(",'order':'asc'", "123");
    expect_names(",'limit':2", "32");
    (void)snprintf(more, sizeof(more), ",'after':'%s'", uuids[1]);
    expect_names(more, "1");
    (void)snprintf(more, sizeof(more), ",'order':'asc','after':'%s'", uuids[1]);
    expect_names(more, "3");
    expect_names(",'purpose':'batch_output'", "");
    cr_expect_str_eq(at_str(ask("file_delete", "c", uuids[1]), "verb"),
                     "file_deleted");
    expect_names("", "31");
    bench_fini(&bench);
}

Test(broker_files, go_when_they_are_deleted_or_have_expired_or_stay_open)
{
    char kept[BENCH_UUID_BYTES], gone[BENCH_UUID_BYTES], left[BENCH_UUID_BYTES];

    begin();
    store_file("1", "kept", kept);
    store_file("2", "gone", gone);
    open_file("c", "3", 4, left);
    cr_expect_str_eq(at_str(ask("file_delete", "c", gone), "verb"),
                     "file_deleted");
    expect_error(ask("file", "c", gone), "not_found");
    cr_expect_eq(bench_stat(&bench, "files"), 2);
    bench_advance(&bench, bench.conf.open_ttl_ms);
    expect_error(ask("file", "c", left), "not_found");
    cr_expect_str_eq(at_str(ask("file", "c", kept), "verb"), "file");
    bench_advance(&bench, bench.conf.file_ttl_ms);
    expect_error(ask("file", "c", kept), "not_found");
    cr_expect_eq(bench_stat(&bench, "files"), 0);
    bench_fini(&bench);
}

Test(broker_files, that_ran_out_while_there_was_no_broker_get_its_grace)
{
    char uuid[BENCH_UUID_BYTES];

    begin();
    store_file("1", "content", uuid);
    bench.now_ms += bench.conf.file_ttl_ms + 1000;
    bench_restart(&bench);
    cr_expect_str_eq(at_str(ask("file", "c", uuid), "verb"), "file");
    bench_advance(&bench, bench.conf.start_grace_ms);
    expect_error(ask("file", "c", uuid), "not_found");
    bench_fini(&bench);
}

Test(broker_files, are_refused_beyond_what_a_client_may_have)
{
    char uuid[BENCH_UUID_BYTES];
    const cJSON *head;

    bench_init(&bench, BENCH_STORE_MAX);
    bench.conf.file_bytes_max = 2000;
    bench.conf.client_files_max = 3;
    bench.conf.client_files_bytes_max = 3000;
    bench_start(&bench);
    expect_error(open_file("c", "1", 2001, uuid), "too_big");
    open_file("c", "1", 1500, uuid);
    head = open_file("c", "2", 1501, uuid);
    expect_error(head, "full");
    cr_expect(strstr(at_str(head, "message"), "client_files_bytes_max"));
    open_file("c", "2", 1, uuid);
    open_file("c", "3", 1, uuid);
    head = open_file("c", "4", 1, uuid);
    expect_error(head, "full");
    cr_expect(strstr(at_str(head, "message"), "client_files_max"));
    cr_expect_str_eq(at_str(open_file("d", "4", 1, uuid), "verb"),
                     "file_opened");
    bench_fini(&bench);
}

Test(broker_files, go_oldest_first_where_the_store_is_larger_than_it_may_be)
{
    char uuids[3][BENCH_UUID_BYTES], key[8];
    char *content = mem_zalloc(100001, 1);

    memset(content, 'x', 100000);
    bench_init(&bench, BENCH_STORE_MAX);
    bench.conf.results_bytes_max = 250000;
    bench_start(&bench);
    for (int i = 0; i < 3; i++) {
        (void)snprintf(key, sizeof(key), "%d", i);
        store_file(key, content, uuids[i]);
    }
    bench_advance(&bench, 60000);
    expect_error(ask("file", "c", uuids[0]), "not_found");
    cr_expect_str_eq(at_str(ask("file", "c", uuids[2]), "verb"), "file");
    free(content);
    bench_fini(&bench);
}

Test(broker_files, are_refused_where_the_store_is_full)
{
    char uuid[BENCH_UUID_BYTES], key[2] = "1", *content = mem_zalloc(100001, 1);
    const cJSON *head = NULL;

    memset(content, 'x', 100000);
    bench_init(&bench, 4 << 20);
    bench_start(&bench);
    expect_error(open_file("c", "0", 4 << 20, uuid), "full");
    /* Both find room before the first byte of either has come. */
    open_file("c", "2", 3 << 20, uuid);
    open_file("c", "1", 3 << 20, uuid);
    for (; *key < '3'; ++*key) {
        open_file("c", key, 3 << 20, uuid);
        for (size_t at = 0; at + 100000 < 3u << 20; at += 100000) {
            head = send_part(uuid, at, content);
            if (strcmp(at_str(head, "verb"), "error") == 0)
                break;
        }
    }
    expect_error(head, "full");
    free(content);
    bench_fini(&bench);
}
