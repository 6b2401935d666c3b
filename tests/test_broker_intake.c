/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

TestSuite(broker_intake, .timeout = 30);

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

Test(broker_intake, submit_gives_each_draft_one_result, .init = set_up,
     .fini = tear_down)
{
    cJSON *results;
    const cJSON *row;

    hand_new(&bench, 5);
    bench_submit(&bench, "k", "{'goal':'Summarize'}",
                 "{'id':'a','text':'first'}\n"
                 "{'id':'b','text':'second','metadata':{'n':1}}\n"
                 "{'id':'c','text':'third'}\n",
                 uuid);
    bench_advance(&bench, bench.conf.group_window_ms);
    bench_work(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    results = bench_results(&bench, uuid, 0);
    cr_assert_eq(cJSON_GetArraySize(results), 3);
    row = result_of(results, "b");
    cr_expect_str_eq(at_str(row, "status"), "ok");
    cr_expect_str_eq(at_str(row, "text"), "answer");
    cr_expect_str_eq(at_str(row, "batch"), uuid);
    cr_expect_str_eq(at_str(row, "upstream"), "one");
    cr_expect_str_eq(at_str(row, "model"), "m-2026");
    cr_expect_str_eq(at_str(row, "cache"), "none");
    cr_expect_str_eq(at_str(row, "finish_reason"), "stop");
    cr_expect_eq(at_int(row, "index"), 1);
    cr_expect_eq(at_int(row, "revision"), 1);
    cr_expect_eq(at_int(row, "attempts"), 1);
    cr_expect_eq(at_int(row, "latency_ms"), 123);
    cr_expect_eq(at_int(row, "usage.total_tokens"), 15);
    cr_expect_eq(at_int(row, "metadata.n"), 1);
    /* 10 tokens at 1 and 5 at 2 dollars for a million. */
    cr_expect_float_eq(
        cJSON_GetObjectItemCaseSensitive(row, "cost_usd")->valuedouble, 20e-6,
        1e-12);
    cJSON_Delete(results);
    cr_expect_eq(bench.call_count, 3);
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 3);
    cr_expect_eq(bench_status(&bench, uuid, "usage.total_tokens"), 45);
}

Test(broker_intake, the_same_chunk_twice_is_the_same_as_once, .init = set_up,
     .fini = tear_down)
{
    static const char lines[] = "{'id':'a','text':'x'}\nnonsense\n"
                                "{'id':'b','text':'x'}\n";
    const cJSON *first, *second;
    char *one, *two;

    bench_open(&bench, "k", NULL, "", uuid);
    first = bench_chunk(&bench, uuid, 1, lines);
    second = bench_chunk(&bench, uuid, 1, lines);
    cr_expect_eq(at_int(first, "accepted"), 2);
    cr_expect_eq(at_int(first, "joined"), 1);
    cr_expect_eq(at_int(first, "drafts"), 3);
    cJSON_DeleteItemFromObject((cJSON *)first, "re");
    cJSON_DeleteItemFromObject((cJSON *)second, "re");
    one = cJSON_PrintUnformatted(first);
    two = cJSON_PrintUnformatted(second);
    cr_expect_str_eq(one, two);
    cJSON_free(one);
    cJSON_free(two);
    /* Both at once, as a client that repeats itself sends them. */
    bench_chunk_later(&bench, uuid, 2, "{'id':'c','text':'y'}\n");
    second = bench_chunk(&bench, uuid, 2, "{'id':'c','text':'y'}\n");
    cr_expect_eq(at_int(second, "accepted"), 1);
    cr_expect_eq(bench_status(&bench, uuid, "counts.drafts"), 4);
    bench_seal(&bench, uuid, 2, 4);
    /* Also when it is sealed: the answer may have been lost. */
    second = bench_chunk(&bench, uuid, 1, lines);
    cr_expect_str_eq(at_str(second, "verb"), "stored");
    cr_expect_eq(bench_stat(&bench, "requests"), 2);
}

Test(broker_intake, another_digest_is_a_conflict, .init = set_up,
     .fini = tear_down)
{
    bench_open(&bench, "k", NULL, "", uuid);
    bench_chunk(&bench, uuid, 1, "{'id':'a','text':'x'}\n");
    expect_error(bench_chunk(&bench, uuid, 1, "{'id':'a','text':'y'}\n"),
                 "conflict");
    cr_expect_eq(bench_status(&bench, uuid, "counts.drafts"), 1);
}

Test(broker_intake, a_gap_names_the_next_chunk, .init = set_up,
     .fini = tear_down)
{
    const cJSON *head;

    bench_open(&bench, "k", NULL, "", uuid);
    head = bench_chunk(&bench, uuid, 3, "{'id':'a','text':'x'}\n");
    expect_error(head, "gap");
    cr_expect_eq(at_int(head, "expected"), 1);
    bench_chunk(&bench, uuid, 1, "{'id':'a','text':'x'}\n");
    head = bench_ask(&bench, NULL,
                     "'verb':'seal','batch':'%s','chunks':2,'drafts':2", uuid);
    expect_error(head, "gap");
    cr_expect_eq(at_int(head, "expected"), 2);
}

Test(broker_intake, a_chunk_has_lines_and_is_not_too_big, .init = set_up,
     .fini = tear_down)
{
    struct buf lines = { 0 };

    bench_open(&bench, "k", NULL, "", uuid);
    expect_error(bench_chunk(&bench, uuid, 1, ""), "invalid");
    for (int64_t i = 0; i <= bench.conf.chunk_drafts_max; i++)
        buf_add_char(&lines, '\n');
    expect_error(bench_chunk(&bench, uuid, 1, lines.data), "too_big");
    buf_reset(&lines);
    while (lines.bytes <= (size_t)bench.conf.chunk_bytes_max)
        buf_add_str(&lines, "xxxxxxxxxxxxxxxx");
    expect_error(bench_chunk(&bench, uuid, 1, lines.data), "too_big");
    buf_fini(&lines);
}

Test(broker_intake, the_same_key_gives_the_same_batch, .init = set_up,
     .fini = tear_down)
{
    const cJSON *head;

    bench_open(&bench, "k", "{'goal':'G','model':'x'}", "", uuid);
    bench_chunk(&bench, uuid, 1, "{'id':'a','text':'x'}\n");
    head = bench_ask(&bench, "{ 'model' : 'x', 'goal':'G' }",
                     "'verb':'open','client':'c','key':'k'");
    cr_expect_str_eq(at_str(head, "batch"), uuid);
    cr_expect_eq(at_int(head, "created"), 0);
    cr_expect_eq(at_int(head, "next_chunk"), 2);
    cr_expect_eq(at_int(head, "drafts"), 1);
    expect_error(bench_ask(&bench, "{'goal':'H','model':'x'}",
                           "'verb':'open','client':'c','key':'k'"),
                 "conflict");
    head = bench_ask(&bench, NULL, "'verb':'open','client':'d','key':'k'");
    cr_expect_str_neq(at_str(head, "batch"), uuid);
    bench_seal(&bench, uuid, 1, 1);
    head = bench_ask(&bench, "{'goal':'G','model':'x'}",
                     "'verb':'open','client':'c','key':'k'");
    cr_expect_str_eq(at_str(head, "state"), "sealed");
    /* By its key, too. */
    head = bench_ask(&bench, NULL, "'verb':'status','client':'c','key':'k'");
    cr_expect_str_eq(at_str(head, "batch"), uuid);
}

Test(broker_intake, the_same_key_with_other_terms_is_a_conflict, .init = set_up,
     .fini = tear_down)
{
    static const struct {
        const char *name, *terms;
    } others[] = {
        { "name", "'name':'m','metadata':{'a':'1','b':'2'},'priority':2,"
                  "'window':'00:00-24:00','tz':'UTC'" },
        { "metadata", "'name':'n','metadata':{'a':'1'},'priority':2,"
                      "'window':'00:00-24:00','tz':'UTC'" },
        { "priority", "'name':'n','metadata':{'a':'1','b':'2'},"
                      "'window':'00:00-24:00','tz':'UTC'" },
        { "window", "'name':'n','metadata':{'a':'1','b':'2'},'priority':2" },
        { "time zone", "'name':'n','metadata':{'a':'1','b':'2'},'priority':2,"
                       "'window':'00:00-24:00','tz':'Europe/Berlin'" },
    };
    char want[100];
    const cJSON *head;

    bench_open(&bench, "k", NULL,
               "'name':'n','metadata':{'a':'1','b':'2'},'priority':2,"
               "'window':'00:00-24:00','tz':'UTC','deadline':1800000010000",
               uuid);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        head =
            bench_ask(&bench, NULL, "'verb':'open','client':'c','key':'k',%s",
                      others[i].terms);
        expect_error(head, "conflict");
        (void)snprintf(want, sizeof(want),
                       "key k was used with another %s; use another key",
                       others[i].name);
        cr_expect_str_eq(at_str(head, "message"), want);
        head = bench_ask(&bench, NULL,
                         "'verb':'open','client':'c','key':'k',"
                         "'adopt_terms':true,%s",
                         others[i].terms);
        cr_expect_str_eq(at_str(head, "batch"), uuid, "%s", others[i].name);
    }
    /* A time that counts from now is another one each time. */
    head = bench_ask(&bench, NULL,
                     "'verb':'open','client':'c','key':'k','name':'n',"
                     "'metadata':{'b':'2','a':'1'},'priority':2,"
                     "'window':'00:00-24:00','tz':'UTC',"
                     "'deadline':1800000020000,'not_before':1800000001000");
    cr_expect_str_eq(at_str(head, "batch"), uuid);
}

Test(broker_intake, a_seal_must_know_what_there_is, .init = set_up,
     .fini = tear_down)
{
    bench_open(&bench, "k", NULL, "", uuid);
    bench_chunk(&bench, uuid, 1, "{'id':'a','text':'x'}\n");
    expect_error(bench_ask(&bench, NULL,
                           "'verb':'seal','batch':'%s','chunks':0,'drafts':0",
                           uuid),
                 "conflict");
    expect_error(bench_ask(&bench, NULL,
                           "'verb':'seal','batch':'%s','chunks':1,'drafts':2",
                           uuid),
                 "conflict");
    cr_expect_str_eq(at_str(bench_seal(&bench, uuid, 1, 1), "state"), "sealed");
    cr_expect_str_eq(at_str(bench_seal(&bench, uuid, 1, 1), "state"), "sealed");
    expect_error(bench_chunk(&bench, uuid, 2, "{'id':'b','text':'x'}\n"),
                 "conflict");
}

Test(broker_intake, a_batch_without_drafts_is_removed_by_its_seal,
     .init = set_up, .fini = tear_down)
{
    bench_open(&bench, "k", NULL, "", uuid);
    bench_chunk(&bench, uuid, 1, "nonsense\n\n");
    cr_expect_str_eq(at_str(bench_seal(&bench, uuid, 1, 2), "state"), "empty");
    expect_error(bench_ask(&bench, NULL, "'verb':'status','batch':'%s'", uuid),
                 "not_found");
    bench_open(&bench, "k", "{'goal':'another'}", "", other);
    cr_expect_str_neq(uuid, other);
    bench_seal(&bench, other, 0, 0);
    cr_expect_eq(bench_stat(&bench, "batches"), 0);
}

Test(broker_intake, abort_drops_an_open_batch, .init = set_up,
     .fini = tear_down)
{
    bench_open(&bench, "k", NULL, "", uuid);
    bench_chunk(&bench, uuid, 1,
                "{'id':'a','text':'x'}\n{'id':'b','text':'y'}\nbad\n");
    for (int i = 0; i < 2; i++) {
        const cJSON *head =
            bench_ask(&bench, NULL, "'verb':'abort','batch':'%s'", uuid);

        cr_expect_str_eq(at_str(head, "verb"), "aborted");
        cr_expect_str_eq(at_str(head, "batch"), uuid);
    }
    cr_expect_eq(bench_stat(&bench, "batches"), 0);
    cr_expect_eq(bench_stat(&bench, "drafts"), 0);
    cr_expect_eq(bench_stat(&bench, "requests"), 0);
    cr_expect_eq(bench_stat(&bench, "requests_ready"), 0);
    bench_submit(&bench, "k", NULL, "{'id':'a','text':'x'}\n", other);
    expect_error(bench_ask(&bench, NULL, "'verb':'abort','batch':'%s'", other),
                 "conflict");
}

Test(broker_intake, bad_lines_are_refused_and_the_rest_goes_on, .init = set_up,
     .fini = tear_down)
{
    const cJSON *head;

    bench_open(&bench, "k", NULL, "", uuid);
    head = bench_chunk(&bench, uuid, 1,
                       "{'id':'a','text':'x'}\n"
                       "\n"
                       "{'id':'a','text':'y'}\n"
                       "{'id':'b'}\n"
                       "{'id':'c','text':'z'}");
    cr_assert_eq(at_int(head, "accepted"), 2);
    cr_expect_eq(
        cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(head, "refused")),
        3);
    cr_expect_eq(at_int(head, "refused.1.index"), 2);
    cr_expect_eq(at_int(head, "refused.1.line"), 3);
    cr_expect_str_eq(at_str(head, "refused.1.code"), "duplicate_id");
    cr_expect_str_eq(at_str(head, "refused.2.code"), "missing_field");
    cr_expect_str_eq(at_str(head, "refused.2.field"), "text");
    /* An id of an earlier chunk. */
    head = bench_chunk(&bench, uuid, 2, "{'id':'\\u0063','text':'new'}\n");
    cr_expect_eq(at_int(head, "accepted"), 0);
    cr_expect_eq(at_int(head, "refused.0.index"), 5);
    cr_expect_eq(at_int(head, "refused.0.line"), 1);
    cr_expect_eq(bench_status(&bench, uuid, "counts.refused"), 4);
    head =
        bench_ask(&bench, NULL,
                  "'verb':'refusals','batch':'%s','after':2,'limit':2", uuid);
    cr_expect_eq(at_int(head, "count"), 2);
    cr_expect_eq(at_int(head, "cursor"), 4);
    cr_expect_eq(at_int(head, "more"), 1);
    cr_expect_not_null(strstr(bench_body(&bench).data,
                              "{\"index\":3,\"code\":\"missing_field\","
                              "\"field\":\"text\",\"message\":"));
}

Test(broker_intake, a_batch_tells_of_which_chunks_it_was_made, .init = set_up,
     .fini = tear_down)
{
    static const char *const chunks[] = { "{'id':'a','text':'x'}\n\n",
                                          "{'id':'b','text':'y'}\n",
                                          "{'id':'c','text':'z'}\n" };
    const cJSON *head;

    bench_open(&bench, "k", NULL, "", uuid);
    for (int i = 0; i < 3; i++)
        bench_chunk(&bench, uuid, i + 1, chunks[i]);
    bench_seal(&bench, uuid, 3, 4);
    head =
        bench_ask(&bench, NULL, "'verb':'chunks','batch':'%s','limit':2", uuid);
    cr_expect_eq(at_int(head, "count"), 2);
    cr_expect_eq(at_int(head, "cursor"), 2);
    cr_expect_eq(at_int(head, "more"), 1);
    head =
        bench_ask(&bench, NULL, "'verb':'chunks','batch':'%s','after':2", uuid);
    cr_expect_eq(at_int(head, "count"), 1);
    cr_expect_eq(at_int(head, "more"), 0);
    /* sha256sum of the third one's line */
    cr_expect_str_eq(bench_body(&bench).data,
                     "{\"n\":3,\"drafts\":1,\"digest\":"
                     "\"aa10ef1249de24faf8f149618ad72b129dad20675053df02d6448e6"
                     "f91b5c0dd\"}\n");
}

/* The answer's header has a limit of its own: what it cannot hold is asked for
 * with `refusals`. */
Test(broker_intake, a_thousand_refused_lines_have_a_readable_answer,
     .init = set_up, .fini = tear_down)
{
    struct buf lines = { 0 };
    const cJSON *head;
    int64_t after = 0, count = 0;

    for (int64_t i = 0; i < bench.conf.chunk_drafts_max; i++)
        buf_add_str(&lines, "{'id':'a','text':1,'sample_index':-1}\n");
    bench_open(&bench, "k", NULL, "", uuid);
    head = bench_chunk(&bench, uuid, 1, lines.data);
    cr_expect_str_eq(at_str(head, "verb"), "stored");
    cr_expect_eq(at_int(head, "accepted"), 0);
    cr_expect_eq(
        cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(head, "refused")),
        100);
    do {
        head = bench_ask(&bench, NULL,
                         "'verb':'refusals','batch':'%s','after':%lld", uuid,
                         (long long)after);
        count += at_int(head, "count");
        after = at_int(head, "cursor");
    } while (at_int(head, "more"));
    cr_expect_eq(count, bench.conf.chunk_drafts_max);
    buf_fini(&lines);
}

Test(broker_intake, what_is_refused_is_told_in_valid_utf8, .init = set_up,
     .fini = tear_down)
{
    struct buf line = { 0 };
    const cJSON *head;

    /* Every offset, so that any cut falls within a character. */
    for (int i = 0; i < 4; i++) {
        buf_add_str(&line, &"xxx{'id':'a','"[3]);
        for (int j = 0; j < i; j++)
            buf_add_char(&line, 'x');
        for (int j = 0; j < 300; j++)
            buf_add_str(&line, "\xf0\x9f\x92\xa1");
        buf_add_str(&line, "':1}\n{'id':'b','text':'x','upstream':'");
        for (int j = 0; j < i; j++)
            buf_add_char(&line, 'x');
        for (int j = 0; j < 300; j++)
            buf_add_str(&line, "\xf0\x9f\x92\xa1");
        buf_add_str(&line, "'}\n");
    }
    bench_open(&bench, "k", NULL, "", uuid);
    head = bench_chunk(&bench, uuid, 1, line.data);
    cr_expect_eq(at_int(head, "accepted"), 0);
    cr_expect_str_eq(at_str(head, "refused.0.code"), "unknown_field");
    cr_expect_str_eq(at_str(head, "refused.1.code"), "unknown_upstream");
    for (int i = 0; i < 4; i++) {
        head = bench_ask(&bench, NULL, "'verb':'%.*s%s'", i, "xxx",
                         "\xf0\x9f\x92\xa1\xf0\x9f\x92\xa1\xf0\x9f\x92\xa1"
                         "\xf0\x9f\x92\xa1\xf0\x9f\x92\xa1\xf0\x9f\x92\xa1"
                         "\xf0\x9f\x92\xa1\xf0\x9f\x92\xa1\xf0\x9f\x92\xa1"
                         "\xf0\x9f\x92\xa1\xf0\x9f\x92\xa1\xf0\x9f\x92\xa1"
                         "\xf0\x9f\x92\xa1\xf0\x9f\x92\xa1\xf0\x9f\x92\xa1"
                         "\xf0\x9f\x92\xa1\xf0\x9f\x92\xa1");
        expect_error(head, "protocol");
        head = bench_ask(&bench, NULL,
                         "'verb':'retry','batch':'%s','statuses':['%.*s%s']",
                         uuid, i, "xxx",
                         "\xf0\x9f\x92\xa1\xf0\x9f\x92\xa1\xf0\x9f\x92\xa1"
                         "\xf0\x9f\x92\xa1\xf0\x9f\x92\xa1\xf0\x9f\x92\xa1"
                         "\xf0\x9f\x92\xa1\xf0\x9f\x92\xa1\xf0\x9f\x92\xa1");
        expect_error(head, "invalid");
    }
    buf_fini(&line);
}

Test(broker_intake, check_says_what_a_chunk_would_do_and_stores_nothing,
     .init = set_up, .fini = tear_down)
{
    char key[17], group[17], cached[8];
    size_t chars, tokens;
    const cJSON *head;

    bench_submit(&bench, "k", "{'goal':'G'}", "{'id':'a','text':'x'}\n", uuid);
    head = bench_ask(&bench,
                     "{'goal':'G'}{'id':'1','text':'x'}\nbad\n"
                     "{'id':'2','text':'two words'}\n",
                     "'verb':'check','options_bytes':12");
    cr_assert_str_eq(at_str(head, "verb"), "checked");
    cr_expect_eq(at_int(head, "accepted"), 2);
    cr_expect_str_eq(at_str(head, "refused.0.code"), "not_json");
    cr_expect_eq(at_int(head, "refused.0.index"), 1);
    cr_expect_eq(at_int(head, "refused.0.line"), 2);
    cr_assert_eq(sscanf(bench_body(&bench).data,
                        "%16[0-9a-f] %16[0-9a-f] %7s %zu %zu\n-\n%*s %*s none",
                        key, group, cached, &chars, &tokens),
                 5);
    cr_expect_str_eq(cached, "joined");
    cr_expect_eq(chars, 1);
    cr_expect_gt(tokens, 20);
    cr_expect_eq(bench_stat(&bench, "batches"), 1);
    cr_expect_eq(bench_stat(&bench, "drafts"), 1);
}

/* The member at fault, in each case. */
Test(broker_intake, draining_refuses_new_work, .init = set_up,
     .fini = tear_down)
{
    struct hand *own = hand_new(&bench, 2);
    struct err err = { 0 };

    bench_open(&bench, "k", NULL, "", uuid);
    bench_submit(&bench, "l", NULL, "{'id':'a','text':'x'}\n", other);
    cr_assert_eq(store_begin(bench.store, bench.now_ms, &err), 0);
    broker_drain(bench.broker, BENCH_OWN);
    store_abort(bench.store);
    bench_advance(&bench, bench.conf.group_window_ms);
    cr_expect(own->is_draining);
    cr_expect_eq(own->slip_count, 0);
    expect_error(bench_chunk(&bench, uuid, 1, "{'id':'a','text':'x'}\n"),
                 "draining");
    expect_error(bench_ask(&bench, NULL,
                           "'verb':'open','client':'c',"
                           "'key':'new'"),
                 "draining");
    /* What is there can be read. */
    cr_expect_str_eq(bench_state(&bench, other), "sealed");
    cr_expect_eq(at_int(bench_ask(&bench, NULL, "'verb':'hello'"), "draining"),
                 1);
    /* A worker of its own that comes now is told, too. */
    own->is_draining = false;
    hand_hello(own);
    bench_run(&bench);
    cr_expect(own->is_draining);
}

Test(broker_intake, as_many_batches_live_as_are_allowed, .init = set_up,
     .fini = tear_down)
{
    char uuids[3][BENCH_UUID_BYTES];
    const cJSON *head;

    bench.conf.batches_live_max = 2;
    bench_restart(&bench);
    hand_new(&bench, 5);
    bench_open(&bench, "0", NULL, "", uuids[0]);
    bench_open(&bench, "1", NULL, "", uuids[1]);
    head = bench_ask(&bench, NULL, "'verb':'open','client':'c','key':'2'");
    expect_error(head, "full");
    for (int i = 0; i < 2; i++) {
        bench_chunk(&bench, uuids[i], 1, "{'id':'a','text':'x'}\n");
        bench_seal(&bench, uuids[i], 1, 1);
    }
    bench_advance(&bench, bench.conf.group_window_ms);
    bench_work(&bench);
    cr_expect_str_eq(bench_state(&bench, uuids[0]), "finished");
    cr_expect_str_eq(bench_state(&bench, uuids[1]), "finished");
    cr_expect_eq(bench_stat(&bench, "batches_live"), 0);
    /* Those that are finished, cancelled or dropped count no more. */
    for (int i = 2; i < 10; i++) {
        char key[8];

        (void)snprintf(key, sizeof(key), "%d", i);
        bench_submit(&bench, key, NULL, "{'id':'a','text':'x'}\n", uuids[2]);
        cr_expect_str_eq(bench_state(&bench, uuids[2]), "finished");
        (void)snprintf(key, sizeof(key), "c%d", i);
        bench_submit(&bench, key, NULL, "{'id':'a','text':'new'}\n", uuids[2]);
        bench_ask(&bench, NULL, "'verb':'cancel','batch':'%s'", uuids[2]);
        bench_open(&bench, "again", NULL, "", uuids[2]);
        bench_ask(&bench, NULL, "'verb':'abort','batch':'%s'", uuids[2]);
    }
    cr_expect_eq(bench_stat(&bench, "batches_live"), 0);
}
