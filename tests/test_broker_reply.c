/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/digest.h"
#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

TestSuite(broker_reply, .timeout = 60);

#define WANT "{\"content\":\"answer\"}" /* what a hand sends */

static struct bench bench;
static struct hand *hand;
static char uuid[BENCH_UUID_BYTES];

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

static const cJSON *
ask_reply(int index, int at)
{
    return bench_ask(&bench, NULL,
                     "'verb':'reply','batch':'%s','index':%d,'at':%d", uuid,
                     index, at);
}

Test(broker_reply, is_told_byte_for_byte_from_anywhere, .init = set_up,
     .fini = tear_down)
{
    const cJSON *head;

    bench_submit(&bench, "k", NULL, "{'id':'a','text':'one'}\n", uuid);
    expect_error(ask_reply(0, 0), "not_found");
    bench_advance(&bench, bench.conf.group_window_ms);
    bench_work(&bench);
    head = ask_reply(0, 0);
    cr_assert_str_eq(at_str(head, "verb"), "reply");
    cr_expect_str_eq(at_str(head, "status"), "ok");
    cr_expect_str_eq(at_str(head, "cache"), "none");
    cr_expect_eq(at_int(head, "http_status"), 200);
    cr_expect_eq(at_int(head, "bytes"), strlen(WANT));
    cr_expect_eq(at_int(head, "attempts"), 1);
    cr_expect(slice_is(bench_body(&bench), WANT));
    head = ask_reply(0, 2);
    cr_expect_eq(at_int(head, "at"), 2);
    cr_expect(slice_is(bench_body(&bench), WANT + 2));
    head = ask_reply(0, 1000);
    cr_expect_eq(at_int(head, "at"), strlen(WANT));
    cr_expect_eq(bench_body(&bench).bytes, 0);
    expect_error(ask_reply(1, 0), "not_found");
}

Test(broker_reply, comes_in_pages_that_make_the_whole, .init = set_up,
     .fini = tear_down)
{
    struct buf whole = { 0 };
    const cJSON *head;

    bench.conf.results_page_bytes_max = 8;
    bench_submit(&bench, "k", NULL, "{'id':'a','text':'one'}\n", uuid);
    bench_advance(&bench, bench.conf.group_window_ms);
    bench_work(&bench);
    do {
        head = ask_reply(0, (int)whole.bytes);
        cr_assert_str_eq(at_str(head, "verb"), "reply");
        cr_assert_leq(bench_body(&bench).bytes, 8);
        buf_add_slice(&whole, bench_body(&bench));
    } while (cJSON_IsTrue(cJSON_GetObjectItem(head, "more")));
    cr_expect(slice_is(buf_slice(&whole), WANT));
    buf_fini(&whole);
}

Test(broker_reply, of_a_failure_says_which, .init = set_up, .fini = tear_down)
{
    const cJSON *head;

    bench_submit(&bench, "k", NULL,
                 "{'id':'a','text':'one'}\n{'id':'b','text':'two'}\n", uuid);
    bench_advance(&bench, bench.conf.group_window_ms);
    bench_run(&bench);
    hand_start(hand);
    hand_end(hand, hand_find(hand, "one"), "permanent", 400, 0);
    bench_run(&bench);
    head = ask_reply(0, 0);
    cr_assert_str_eq(at_str(head, "verb"), "reply");
    cr_expect_str_eq(at_str(head, "status"), "bad_request");
    cr_expect_eq(at_int(head, "http_status"), 400);
    cr_expect_str_eq(at_str(head, "code"), "its_code");
    cr_expect_str_eq(at_str(head, "message"), "its message");
    cr_expect_eq(bench_body(&bench).bytes, 0);
    bench_ask(&bench, NULL, "'verb':'cancel','batch':'%s'", uuid);
    bench_run(&bench);
    head = ask_reply(1, 0);
    cr_assert_str_eq(at_str(head, "verb"), "reply");
    cr_expect_str_eq(at_str(head, "status"), "cancelled");
    cr_expect_eq(at_int(head, "http_status"), 0);
}

/* Of a batch in which somebody waits for one answer, no request is held. */
Test(broker_reply, at_once_waits_for_no_group, .init = set_up,
     .fini = tear_down)
{
    static const char line[] = "{\"id\":\"a\",\"text\":\"one\"}\n";
    unsigned char digest[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES], held[BENCH_UUID_BYTES];

    digest_of(line, strlen(line), digest);
    digest_hex(digest, hex);
    bench_open(&bench, "k", NULL, "'priority':3", uuid);
    bench_ask(&bench, "{'id':'a','text':'one'}\n",
              "'verb':'chunk','batch':'%s','n':1,'digest':'%s','at_once':true",
              uuid, hex);
    bench_seal(&bench, uuid, 1, 1);
    bench_submit(&bench, "other", NULL, "{'id':'a','text':'two'}\n", held);
    bench_run(&bench);
    hand_start(hand);
    cr_expect_not_null(hand_find(hand, "one"));
    cr_expect_null(hand_find(hand, "two"), "its group is open");
}

Test(broker_reply, greeting_names_the_models_of_upstreams, .init = set_up,
     .fini = tear_down)
{
    const cJSON *head = bench_ask(&bench, NULL, "'verb':'hello','protocol':1");
    const cJSON *models = cJSON_GetObjectItem(head, "models"), *model;
    size_t count = 0;

    cr_assert(cJSON_IsArray(models));
    cJSON_ArrayForEach(model, models)
    {
        cr_expect_str_neq(at_str(model, "id"), "");
        cr_expect_str_neq(at_str(model, "upstream"), "");
        count++;
    }
    for (size_t i = 0; i < bench.conf.upstream_count; i++)
        count -= bench.conf.upstreams[i].model ? 1 : 0;
    cr_expect_eq(count, 0);
}
