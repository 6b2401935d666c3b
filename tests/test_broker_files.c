/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/broker_file.h"

TestSuite(broker_files, .timeout = 60);

static struct bench bench;

static void
begin(void)
{
    bench_init(&bench, BENCH_STORE_MAX);
    bench_start(&bench);
}

static const cJSON *
ask(const char *verb, const char *client, const char *uuid)
{
    return bench_ask(&bench, NULL, "'verb':'%s','client':'%s','file':'%s'",
                     verb, client, uuid);
}

Test(broker_files, come_in_parts_and_go_on_where_they_were_after_a_restart)
{
    char uuid[BENCH_UUID_BYTES];
    const cJSON *head;

    begin();
    head = file_ask_open(&bench, "c", "k", 12, uuid);
    cr_expect(cJSON_IsTrue(cJSON_GetObjectItem(head, "created")));
    cr_expect_eq(at_int(file_ask_part(&bench, uuid, 0, "hello "), "received"),
                 6);
    expect_error(ask("file_read", "c", uuid), "conflict");
    bench_restart(&bench);
    head = file_ask_open(&bench, "c", "k", 12, uuid);
    cr_expect(cJSON_IsFalse(cJSON_GetObjectItem(head, "created")));
    cr_expect_eq(at_int(head, "file.received"), 6);
    cr_expect_eq(at_int(file_ask_part(&bench, uuid, 6, "world!"), "received"),
                 12);
    head = file_ask_close(&bench, uuid, "hello world!");
    cr_expect_str_eq(at_str(head, "file.state"), "stored");
    cr_expect_eq(at_int(head, "file.expires_at"),
                 BENCH_START_MS + bench.conf.file_ttl_ms);
    head = bench_ask(
        &bench, NULL,
        "'verb':'file_read','client':'c','file':'%s','at':4,'length':5", uuid);
    cr_expect_eq(at_int(head, "count"), 5);
    cr_expect(slice_is(bench_body(&bench), "o wor"));
    cr_expect(cJSON_IsTrue(cJSON_GetObjectItem(head, "more")));
    bench_verify(&bench);
    bench_fini(&bench);
}

Test(broker_files, take_what_came_twice_once_and_nothing_else_in_its_place)
{
    char uuid[BENCH_UUID_BYTES];
    const cJSON *head;

    begin();
    file_ask_open(&bench, "c", "k", 9, uuid);
    file_ask_part(&bench, uuid, 0, "abcdef");
    cr_expect_eq(at_int(file_ask_part(&bench, uuid, 0, "abcdef"), "received"),
                 6);
    expect_error(file_ask_part(&bench, uuid, 2, "XX"), "conflict");
    head = file_ask_part(&bench, uuid, 7, "hi");
    expect_error(head, "gap");
    cr_expect_eq(at_int(head, "expected"), 6);
    expect_error(file_ask_close(&bench, uuid, "abcdef"), "gap");
    cr_expect_eq(at_int(file_ask_part(&bench, uuid, 4, "efghi"), "received"),
                 9);
    expect_error(file_ask_part(&bench, uuid, 9, "j"), "too_big");
    expect_error(file_ask_close(&bench, uuid, "abcdefghX"), "conflict");
    cr_expect_str_eq(at_str(file_ask_close(&bench, uuid, "abcdefghi"), "verb"),
                     "file");
    cr_expect_str_eq(at_str(file_ask_close(&bench, uuid, "abcdefghi"), "verb"),
                     "file");
    expect_error(file_ask_open(&bench, "c", "k", 8, uuid), "conflict");
    bench_verify(&bench);
    bench_fini(&bench);
}

Test(broker_files, of_another_client_are_as_if_they_were_not_there)
{
    static const char *const verbs[] = { "file", "file_read", "file_close",
                                         "file_part", "file_delete" };
    char uuid[BENCH_UUID_BYTES], missing[BENCH_UUID_BYTES];
    char theirs[200], none[200];

    begin();
    file_upload(&bench, "k", "content", uuid);
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
    cr_expect(cJSON_IsTrue(cJSON_GetObjectItem(
        file_ask_open(&bench, "d", "k", 1, missing), "created")));
    bench_verify(&bench);
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
    file_upload(&bench, "1", "a", uuids[0]);
    file_upload(&bench, "2", "ab", uuids[1]);
    file_upload(&bench, "3", "abc", uuids[2]);
    file_ask_open(&bench, "c", "4", 4, uuids[3]);
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
    bench_verify(&bench);
    bench_fini(&bench);
}

Test(broker_files, go_when_they_are_deleted_or_have_expired_or_stay_open)
{
    char kept[BENCH_UUID_BYTES], gone[BENCH_UUID_BYTES], left[BENCH_UUID_BYTES];

    begin();
    file_upload(&bench, "1", "kept", kept);
    file_upload(&bench, "2", "gone", gone);
    file_ask_open(&bench, "c", "3", 4, left);
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
    bench_verify(&bench);
    bench_fini(&bench);
}

Test(broker_files, that_ran_out_while_there_was_no_broker_get_its_grace)
{
    char uuid[BENCH_UUID_BYTES];

    begin();
    file_upload(&bench, "1", "content", uuid);
    bench.now_ms += bench.conf.file_ttl_ms + 1000;
    bench_restart(&bench);
    cr_expect_str_eq(at_str(ask("file", "c", uuid), "verb"), "file");
    bench_advance(&bench, bench.conf.start_grace_ms);
    expect_error(ask("file", "c", uuid), "not_found");
    bench_verify(&bench);
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
    expect_error(file_ask_open(&bench, "c", "1", 2001, uuid), "too_big");
    file_ask_open(&bench, "c", "1", 1500, uuid);
    head = file_ask_open(&bench, "c", "2", 1501, uuid);
    expect_error(head, "full");
    cr_expect(strstr(at_str(head, "message"), "client_files_bytes_max"));
    file_ask_open(&bench, "c", "2", 1, uuid);
    file_ask_open(&bench, "c", "3", 1, uuid);
    head = file_ask_open(&bench, "c", "4", 1, uuid);
    expect_error(head, "full");
    cr_expect(strstr(at_str(head, "message"), "client_files_max"));
    cr_expect_str_eq(at_str(file_ask_open(&bench, "d", "4", 1, uuid), "verb"),
                     "file_opened");
    bench_verify(&bench);
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
        file_upload(&bench, key, content, uuids[i]);
    }
    bench_advance(&bench, 60000);
    expect_error(ask("file", "c", uuids[0]), "not_found");
    cr_expect_str_eq(at_str(ask("file", "c", uuids[2]), "verb"), "file");
    free(content);
    bench_verify(&bench);
    bench_fini(&bench);
}

Test(broker_files, are_refused_where_the_store_is_full)
{
    char uuid[BENCH_UUID_BYTES], key[2] = "1", *content = mem_zalloc(100001, 1);
    const cJSON *head = NULL;

    memset(content, 'x', 100000);
    bench_init(&bench, 4 << 20);
    bench_start(&bench);
    expect_error(file_ask_open(&bench, "c", "0", 4 << 20, uuid), "full");
    /* Both find room before the first byte of either has come. */
    file_ask_open(&bench, "c", "2", 3 << 20, uuid);
    file_ask_open(&bench, "c", "1", 3 << 20, uuid);
    for (; *key < '3'; ++*key) {
        file_ask_open(&bench, "c", key, 3 << 20, uuid);
        for (size_t at = 0; at + 100000 < 3u << 20; at += 100000) {
            head = file_ask_part(&bench, uuid, at, content);
            if (strcmp(at_str(head, "verb"), "error") == 0)
                break;
        }
    }
    expect_error(head, "full");
    free(content);
    bench_verify(&bench);
    bench_fini(&bench);
}
