/* Asking why for drafts that were refused, or are not there. */
/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "tests/broker_fixture.h"

TestSuite(broker_refused, .timeout = 30);

#define A "{'id':'a','text':'a'}\n"

static struct bench bench;
static char uuid[BENCH_UUID_BYTES], other[BENCH_UUID_BYTES];

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

static const cJSON *
ask_id(const char *batch, const char *id)
{
    return bench_ask(&bench, NULL, "'verb':'why','batch':'%s','id':'%s'", batch,
                     id);
}

static const cJSON *
ask_index(const char *batch, int index)
{
    return bench_ask(&bench, NULL, "'verb':'why','batch':'%s','index':%d",
                     batch, index);
}

static void
expect_refused(const cJSON *head, const char *code, const char *message)
{
    cr_assert_str_eq(at_str(head, "verb"), "error");
    cr_expect_str_eq(at_str(head, "code"), code);
    cr_expect_str_eq(at_str(head, "message"), message);
}

Test(broker_refused, a_refused_draft_says_why_it_was_refused, .init = set_up,
     .fini = tear_down)
{
    const cJSON *head;

    bench_open(&bench, "k", NULL, "", uuid);
    bench_chunk(&bench, uuid, 1, A "{'id':'b','txet':'b'}\nnonsense\n");
    bench_chunk(&bench, uuid, 2, "\n{'custom_id':'c','text':7}\n");
    head = ask_id(uuid, "b");
    cr_assert_str_eq(at_str(head, "verb"), "why");
    cr_expect_str_eq(at_str(head, "state"), "refused");
    cr_expect_str_eq(at_str(head, "custom_id"), "b");
    cr_expect_eq(at_int(head, "index"), 1);
    cr_expect_str_eq(at_str(head, "refusal.code"), "unknown_field");
    cr_expect_str_eq(at_str(head, "refusal.field"), "txet");
    cr_expect_str_eq(at_str(head, "request"), "(null)");
    cr_expect_str_eq(at_str(head, "result"), "(null)");
    cr_expect_str_eq(at_str(head, "unrendered"), "the draft was refused");
    cr_expect_eq(bench_body(&bench).bytes, 0);
    head = ask_id(uuid, "c");
    cr_expect_eq(at_int(head, "index"), 4);
    cr_expect_str_eq(at_str(head, "refusal.code"), "wrong_type");
}

Test(broker_refused, one_without_an_id_is_found_by_its_index, .init = set_up,
     .fini = tear_down)
{
    const cJSON *head;

    bench_open(&bench, "k", NULL, "", uuid);
    bench_chunk(&bench, uuid, 1, A "nonsense\n");
    bench_chunk(&bench, uuid, 2, "\n" A);
    head = ask_index(uuid, 1);
    cr_expect_str_eq(at_str(head, "refusal.code"), "not_json");
    cr_expect_str_eq(at_str(head, "custom_id"), "(null)");
    cr_expect_str_eq(at_str(ask_index(uuid, 2), "refusal.code"),
                     "refused_by_client");
    /* Its id is another's: by the id, that is found. */
    head = ask_index(uuid, 3);
    cr_expect_str_eq(at_str(head, "refusal.code"), "duplicate_id");
    cr_expect_str_eq(at_str(head, "custom_id"), "a");
    cr_expect_eq(at_int(ask_id(uuid, "a"), "index"), 0);
    cr_expect_str_eq(at_str(ask_index(uuid, 0), "custom_id"), "a");
}

Test(broker_refused, so_many_are_looked_through_for_an_id, .init = set_up,
     .fini = tear_down)
{
    struct buf lines = { 0 };

    bench_open(&bench, "k", NULL, "", uuid);
    for (int n = 0; n < 2; n++) {
        buf_reset(&lines);
        for (int i = 0; i < 600; i++)
            buf_addf(&lines, "{'id':'%d'}\n", n * 600 + i);
        bench_chunk(&bench, uuid, n + 1, lines.data);
    }
    cr_expect_eq(at_int(ask_id(uuid, "999"), "index"), 999);
    expect_refused(ask_id(uuid, "1000"), "not_found",
                   "no draft \"1000\" in the batch, nor among the first that "
                   "were refused");
    cr_expect_str_eq(at_str(ask_index(uuid, 1000), "custom_id"), "1000");
    buf_fini(&lines);
}

Test(broker_refused, what_is_unknown_is_not_found, .init = set_up,
     .fini = tear_down)
{
    static const char none[] = "5f0c0000-0000-4000-8000-000000000000";

    bench_open(&bench, "k", NULL, "", uuid);
    bench_chunk(&bench, uuid, 1, A "{'id':'b'}\n");
    expect_refused(ask_id(uuid, "x"), "not_found",
                   "no draft \"x\" in the batch");
    expect_refused(ask_index(uuid, 2), "not_found",
                   "no draft with index 2 in the batch");
    expect_refused(ask_id(none, "a"), "not_found",
                   "no batch 5f0c0000-0000-4000-8000-000000000000");
    cr_expect_str_eq(
        at_str(bench_ask(&bench, NULL, "'verb':'why','batch':'%s'", uuid),
               "field"),
        "index");
}

Test(broker_refused, drafts_that_were_dropped_are_not_found, .init = set_up,
     .fini = tear_down)
{
    bench_open(&bench, "k", NULL, "", uuid);
    bench_chunk(&bench, uuid, 1, A);
    bench_advance(&bench, bench.conf.open_ttl_ms);
    expect_refused(ask_id(uuid, "a"), "not_found",
                   "the batch was not sealed in time, and its drafts were "
                   "dropped");
    bench_submit(&bench, "l", NULL, A, other);
    bench_ask(&bench, NULL, "'verb':'cancel','batch':'%s'", other);
    bench_ask_later(&bench, NULL, "'verb':'purge','batch':'%s'", other);
    expect_refused(ask_id(other, "a"), "not_found", "the batch was purged");
}
