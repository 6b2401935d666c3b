/* Headers of messages: what is wrong with one is told, by the member. */
/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "queue/wire.h"
#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

TestSuite(broker_headers, .timeout = 30);

static struct bench bench;

static void
set_up(void)
{
    bench_init(&bench, BENCH_STORE_MAX);
    bench_start(&bench);
}

static void
tear_down(void)
{
    bench_fini(&bench);
}

Test(broker_headers, errors_name_the_member, .init = set_up, .fini = tear_down)
{
    static const struct {
        const char *members, *code, *field;
    } cases[] = {
        { "'verb':'open','client':'c'", "invalid", "key" },
        { "'verb':'open','key':'k'", "invalid", "client" },
        { "'verb':'open','client':'','key':'k'", "invalid", "client" },
        { "'verb':'open','client':'c','key':''", "invalid", "key" },
        { "'verb':'open','client':7,'key':'k'", "invalid", "client" },
        { "'verb':'open','client':'c','key':'k','name':[]", "invalid", "name" },
        { "'verb':'open','client':'c','key':'k','early':1", "invalid",
          "early" },
        { "'verb':'open','client':'c','key':'k','priority':4", "invalid",
          "priority" },
        { "'verb':'open','client':'c','key':'k','priority':1.5", "invalid",
          "priority" },
        { "'verb':'open','client':'c','key':'k','not_before':-1", "invalid",
          "not_before" },
        { "'verb':'open','client':'c','key':'k','deadline':'x'", "invalid",
          "deadline" },
        { "'verb':'open','client':'c','key':'k','window':'never'", "invalid",
          "window" },
        { "'verb':'open','client':'c','key':'k','window':'1-5 08:00-12:00',"
          "'tz':'Nowhere/City'",
          "invalid", "window" },
        { "'verb':'open','client':'c','key':'k','metadata':[]", "invalid",
          "metadata" },
        { "'verb':'open','client':'c','key':'k','metadata':{'a':1}", "invalid",
          "metadata" },
        { "'verb':'status','batch':'zzz'", "invalid", "batch" },
        { "'verb':'status','batch':7", "invalid", "batch" },
        { "'verb':'status','batch':'00000000-0000-4000-8000-000000000000'",
          "not_found", NULL },
        { "'verb':'status','client':'c','key':'none'", "not_found", NULL },
        { "'verb':'list','limit':0", "invalid", "limit" },
        { "'verb':'list','limit':101", "invalid", "limit" },
        { "'verb':'list','before':'x'", "invalid", "before" },
        { "'verb':'export','after':-1", "invalid", "after" },
        { "'verb':'export','limit':10001", "invalid", "limit" },
        { "'verb':'hello','protocol':2", "version", NULL },
        { "'verb':'nonsense'", "protocol", NULL },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const cJSON *head = bench_ask(&bench, NULL, "%s", cases[i].members);

        cr_expect_str_eq(at_str(head, "verb"), "error", "%s", cases[i].members);
        cr_expect_str_eq(at_str(head, "code"), cases[i].code, "%s: %s",
                         cases[i].members, at_str(head, "code"));
        if (cases[i].field) {
            cr_expect_str_eq(at_str(head, "field"), cases[i].field, "%s: %s",
                             cases[i].members, at_str(head, "message"));
        } else {
            cr_expect_null(cJSON_GetObjectItemCaseSensitive(head, "field"));
        }
    }
    expect_error(bench_ask(&bench, "{'text':'x'}",
                           "'verb':'open','client':'c','key':'k'"),
                 "invalid");
    cr_expect_eq(bench_stat(&bench, "batches"), 0);
}

static void
post(const char *head)
{
    struct link_peer peer = { .id = { 1 }, .bytes = 5 };

    bench_post(&bench, SIDE_CLIENTS, &peer, slice_of(head),
               (struct slice){ 0 });
    bench_run(&bench);
}

Test(broker_headers, what_is_no_header_is_counted, .init = set_up,
     .fini = tear_down)
{
    static const char *const heads[] = {
        "",
        "nonsense",
        "[]",
        "{}",
        "{\"verb\":7}",
        "{\"verb\":\"status\"}",
        "{\"verb\":\"status\",\"re\":-1}",
        "{\"verb\":\"status\",\"re\":\"1\"}",
        "{\"verb\":\"status\",\"re\":1.5}",
        "{\"verb\":\"status\",\"re\":9007199254740993000}",
        "{\"verb\":\"status\",\"re\":777} x",
    };
    size_t count = sizeof(heads) / sizeof(heads[0]);
    struct buf large = { 0 };

    for (size_t i = 0; i < count; i++)
        post(heads[i]);
    cr_expect_eq(bench.answer_count, 0);
    cr_expect_eq(bench_stat(&bench, "bad_messages"), (int64_t)count);
    /* With a usable `re` there is somebody to tell. */
    post("{\"re\":1000}");
    expect_error(bench_answer(&bench, 1000)->head, "protocol");
    post("{\"re\":1001,\"verb\":[]}");
    expect_error(bench_answer(&bench, 1001)->head, "protocol");
    post("{\"re\":1002,\"verb\":\"dance\"}");
    expect_error(bench_answer(&bench, 1002)->head, "protocol");
    post("{\"verb\":\"status\",\"verb\":\"x\",\"re\":1003}");
    expect_error(bench_answer(&bench, 1003)->head, "protocol");
    post("{\"verb\":\"open\",\"re\":1004,\"name\":\"a\\u0000b\"}");
    expect_error(bench_answer(&bench, 1004)->head, "protocol");
    buf_addf(&large, "{\"verb\":\"open\",\"re\":1005,\"name\":\"%*s\"}",
             WIRE_HEADER_BYTES_MAX, "x");
    post(large.data);
    buf_fini(&large);
    expect_error(bench_answer(&bench, 1005)->head, "protocol");
    cr_expect_eq(bench_stat(&bench, "bad_messages"), (int64_t)count + 6);
}

Test(broker_headers, hello_tells_the_limits, .init = set_up, .fini = tear_down)
{
    const cJSON *head = bench_ask(&bench, NULL, "'verb':'hello'");

    cr_expect_str_eq(at_str(head, "verb"), "welcome");
    cr_expect_str_eq(at_str(head, "version"), "1.2.3");
    cr_expect_eq(at_int(head, "limits.chunk_bytes_max"), 1048576);
    cr_expect_eq(at_int(head, "limits.chunk_drafts_max"), 1000);
    cr_expect_eq(at_int(head, "limits.line_bytes_max"), 1048576);
    cr_expect_eq(at_int(head, "limits.window_bytes"), 4194304);
    cr_expect_eq(at_int(head, "limits.page_bytes_max"), 1048576);
    cr_expect_str_eq(at_str(head, "upstreams.1"), "two");
    cr_expect_str_eq(at_str(head, "default_upstream"), "one");
    cr_expect_eq(at_int(head, "draining"), 0);
}
