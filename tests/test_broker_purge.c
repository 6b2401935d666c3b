/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "store/verify.h"
#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"
#include "tests/put_body.h"
#include "tests/rot.h"

TestSuite(broker_purge, .timeout = 60);

#define TWO "{'id':'a','text':'a'}\n{'id':'b','text':'b'}\n"

static struct bench bench;
static struct hand *hand;
static char uuid[BENCH_UUID_BYTES], other[BENCH_UUID_BYTES];

static void
set_up(void)
{
    bench_init(&bench, BENCH_STORE_MAX);
    bench_start(&bench);
    hand = hand_new(&bench, 5);
    bench_run(&bench);
}

/* The store is whole whatever was removed from it. */
static void
tear_down(void)
{
    struct buf report = { 0 };
    struct verify verify = { .report = &report };

    cr_assert_eq(store_begin(bench.store, bench.now_ms, NULL), 0);
    cr_expect_eq(store_verify(bench.store, &verify, NULL), 0);
    cr_expect_eq(verify.findings, 0, "%s", report.data);
    store_abort(bench.store);
    buf_fini(&report);
    bench_fini(&bench);
}

static const cJSON *
ask(const char *verb, const char *batch)
{
    return bench_ask(&bench, NULL, "'verb':'%s','batch':'%s'", verb, batch);
}

static void
submit(const char *key, const char *lines, char batch[BENCH_UUID_BYTES])
{
    bench_submit(&bench, key, NULL, lines, batch);
    bench_advance(&bench, bench.conf.group_window_ms);
    bench_work(&bench);
}

static struct store_usage
usage(void)
{
    struct store_usage usage;

    cr_assert_eq(store_begin(bench.store, bench.now_ms, NULL), 0);
    usage = store_usage(bench.store);
    store_abort(bench.store);
    return usage;
}

Test(broker_purge, removes_a_batch_and_all_that_is_its, .init = set_up,
     .fini = tear_down)
{
    submit("k", TWO, uuid);
    cr_assert_str_eq(at_str(ask("purge", uuid), "verb"), "purged");
    cr_assert_str_eq(at_str(ask("status", uuid), "code"), "not_found");
    bench_advance(&bench, 1000);
    cr_assert_eq(usage().batches, 0);
    cr_assert_eq(usage().drafts, 0);
    cr_assert_eq(usage().results, 0);
    cr_assert_eq(usage().requests, 2, "answers stay for the cache");
    cr_assert_str_eq(at_str(ask("purge", uuid), "code"), "not_found");
}

/* Puts parts of nobody before all others; takes them away. */
static void
put_parts(size_t count)
{
    struct chunk chunk = { .n = 1 };

    cr_assert_eq(store_begin(bench.store, bench.now_ms, NULL), 0);
    for (size_t i = 0; i < count; i++)
        put_body(bench.store, UINT64_MAX / 2, &chunk, slice_of("x"), NULL, 0);
    cr_assert_eq(store_commit(bench.store, NULL), 0);
}

static void
take_parts(size_t count)
{
    struct engine *engine = bench.store->engine;

    cr_assert_eq(store_begin(bench.store, bench.now_ms, NULL), 0);
    cr_expect_eq(engine->ops->rows(engine, TABLE_PART), count);
    for (uint64_t part = 1; part <= count; part++)
        table_del(bench.store, TABLE_PART, key_id(part));
    cr_assert_eq(store_commit(bench.store, NULL), 0);
}

/* It does not tell which they are: more are looked through than fit in a slice. */
Test(broker_purge, finds_the_parts_of_a_damaged_chunk, .init = set_up,
     .fini = tear_down)
{
    enum { PARTS = 2 * STORE_SLICE_MAX + 1 };

    put_parts(PARTS);
    submit("k", TWO, uuid);
    cr_assert(rot_row(bench.store, TABLE_NEWEST, 0, ROT_FLIP, 100));
    cr_assert_str_eq(at_str(ask("purge", uuid), "verb"), "purged");
    bench_advance(&bench, 1000);
    cr_expect_eq(usage().batches, 0);
    take_parts(PARTS);
}

Test(broker_purge, refuses_a_live_batch, .init = set_up, .fini = tear_down)
{
    bench_submit(&bench, "k", NULL, TWO, uuid);
    cr_assert_str_eq(at_str(ask("purge", uuid), "code"), "conflict");
    ask("pause", uuid);
    cr_assert_str_eq(at_str(ask("purge", uuid), "code"), "conflict");
    ask("cancel", uuid);
    cr_assert_str_eq(at_str(ask("purge", uuid), "verb"), "purged");
}

Test(broker_purge, frees_the_key_at_once, .init = set_up, .fini = tear_down)
{
    submit("k", TWO, uuid);
    ask("purge", uuid);
    bench_open(&bench, "k", NULL, "", other);
    cr_assert_str_neq(uuid, other);
    cr_assert_str_eq(bench_state(&bench, other), "open");
}

Test(broker_purge, the_cache_answers_until_its_time_is_over, .init = set_up,
     .fini = tear_down)
{
    submit("k", TWO, uuid);
    ask("purge", uuid);
    bench_advance(&bench, bench.conf.cache_ttl_ms / 2);
    submit("l", TWO, other);
    cr_assert_eq(bench.call_count, 2);
    cr_assert_eq(bench_status(&bench, other, "counts.cached"), 2);
    ask("purge", other);
    bench_advance(&bench, bench.conf.cache_ttl_ms / 2 + 10000);
    cr_assert_eq(usage().requests, 0);
    cr_assert_eq(usage().outcomes, 0);
}

Test(broker_purge, fallbacks_are_not_kept, .init = set_up, .fini = tear_down)
{
    bench_submit(&bench, "k", NULL, "{'id':'a','text':'a'}\n", uuid);
    bench_advance(&bench, bench.conf.group_window_ms);
    hand_start(hand);
    hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "permanent", 400, 0);
    bench_run(&bench);
    ask("purge", uuid);
    bench_advance(&bench, 1000);
    cr_assert_eq(usage().requests, 0);
}

Test(broker_purge, a_request_that_others_need_goes_on_from_their_draft,
     .init = set_up, .fini = tear_down)
{
    cJSON *results;

    bench_submit(&bench, "k", NULL, TWO, uuid);
    bench_submit(&bench, "l", NULL, TWO, other);
    ask("cancel", uuid);
    ask("purge", uuid);
    bench_advance(&bench, bench.conf.group_window_ms);
    bench_work(&bench);
    cr_assert_eq(bench.call_count, 2);
    cr_assert_str_eq(bench_state(&bench, other), "finished");
    results = bench_results(&bench, other, 0);
    cr_assert_str_eq(at_str(result_of(results, "a"), "cache"), "none",
                     "who is left pays");
    cJSON_Delete(results);
}

Test(broker_purge, a_call_in_flight_ends_in_the_cache, .init = set_up,
     .fini = tear_down)
{
    bench_submit(&bench, "k", NULL, TWO, uuid);
    bench_advance(&bench, bench.conf.group_window_ms);
    cr_assert_eq(hand_start(hand), 2);
    bench_advance(&bench, bench.conf.deadline_ms);
    cr_assert_str_eq(bench_state(&bench, uuid), "expired");
    ask("purge", uuid);
    bench_advance(&bench, 1000);
    cr_assert_eq(usage().drafts, 0);
    while (hand_slip(hand, SLIP_RUNNING, 0))
        hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    bench_run(&bench);
    bench_advance(&bench, bench.conf.cache_ttl_ms + 1000);
    cr_assert_eq(usage().requests, 0, "nothing is left behind");
}

/* The sweep of the cancel has not come by when the batch is purged. */
Test(broker_purge, ends_the_calls_of_a_batch_cancelled_just_before,
     .init = set_up, .fini = tear_down)
{
    bench_submit(&bench, "k", NULL, TWO, uuid);
    bench_submit(&bench, "l", NULL, "{'id':'b','text':'b'}\n", other);
    bench_advance(&bench, bench.conf.group_window_ms);
    cr_assert_eq(hand_start(hand), 2);
    bench_ask_later(&bench, NULL, "'verb':'cancel','batch':'%s'", uuid);
    bench_ask_later(&bench, NULL, "'verb':'purge','batch':'%s'", uuid);
    bench_run(&bench);
    cr_expect_eq(usage().batches, 1);
    cr_expect_eq(hand->cancel_count, 1, "%zu", hand->cancel_count);
    cr_expect_eq(usage().leases, 1);
    cr_expect_null(hand_find(hand, "\"a\""));
    hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    bench_run(&bench);
    cr_expect_str_eq(bench_state(&bench, other), "finished",
                     "whoever needs it, too, gets it");
}

Test(broker_purge, goes_on_after_a_restart, .init = set_up, .fini = tear_down)
{
    submit("k", TWO, uuid);
    ask("purge", uuid);
    bench_restart(&bench);
    bench_advance(&bench, 1000);
    cr_assert_eq(usage().batches, 0);
}

Test(broker_purge, an_export_passes_over_what_is_gone, .init = set_up,
     .fini = tear_down)
{
    const cJSON *head;

    submit("k", TWO, uuid);
    submit("l", "{'id':'c','text':'c'}\n", other);
    ask("purge", uuid);
    head = bench_ask(&bench, NULL, "'verb':'export','after':0");
    cr_assert_eq(at_int(head, "count"), 1);
    cr_assert_eq(at_int(head, "cursor"), 3);
    head = bench_ask(&bench, NULL, "'verb':'list'");
    cr_assert_eq(
        cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(head, "batches")),
        1);
}

Test(broker_purge, what_is_old_goes_by_itself, .fini = tear_down)
{
    set_up();
    bench.conf.results_ttl_ms = 3600000;
    bench_restart(&bench);
    hand_hello(hand);
    submit("k", TWO, uuid);
    bench_submit(&bench, "l", NULL, "{'id':'c','text':'live'}\n", other);
    ask("pause", other);
    bench_advance(&bench, 3500000);
    cr_assert_str_eq(bench_state(&bench, uuid), "finished");
    bench_advance(&bench, 400000);
    cr_assert_str_eq(at_str(ask("status", uuid), "code"), "not_found");
    cr_assert_eq(usage().batches, 1);
    cr_assert_str_eq(bench_state(&bench, other), "paused",
                     "what lives is not old");
    cr_assert_eq(bench_stat(&bench, "batches_purged"), 1);
}

/* The cache's answers are of less worth than what somebody may still ask for. */
Test(broker_purge, unused_answers_go_before_any_batch, .fini = tear_down)
{
    set_up();
    submit("k", TWO, uuid);
    submit("l", "{'id':'c','text':'c'}\n", other);
    ask("purge", uuid);
    bench_advance(&bench, 1000);
    cr_assert_eq(usage().requests, 3, "answers stay for the cache");
    bench.conf.results_bytes_max = (int64_t)usage().bytes - 1;
    bench_restart(&bench);
    hand_hello(hand);
    bench_advance(&bench, 30000);
    cr_expect_eq(usage().requests, 2, "one was enough");
    cr_expect_str_eq(bench_state(&bench, other), "finished");
    cr_expect_eq(bench_stat(&bench, "batches_purged"), 0);
}

/* An answer that is wanted again has a draft again. */
Test(broker_purge, answers_in_use_are_kept, .fini = tear_down)
{
    cJSON *results;

    set_up();
    submit("k", TWO, uuid);
    ask("purge", uuid);
    bench_advance(&bench, 1000);
    submit("l", "{'id':'c','text':'a'}\n", other);
    cr_assert_eq(bench.call_count, 2, "the cache answers");
    bench.conf.results_bytes_max = (int64_t)usage().bytes - 1;
    bench_restart(&bench);
    hand_hello(hand);
    bench_advance(&bench, 30000);
    cr_expect_eq(usage().requests, 1);
    results = bench_results(&bench, other, 0);
    cr_expect_str_eq(at_str(result_of(results, "c"), "text"), "answer");
    cJSON_Delete(results);
}

#define ANSWER_BYTES 3000
#define FULL_BYTES   120000 /* of the whole store */

/* A batch of five drafts with long answers, which is purged. False: the store is
 * full. */
static bool
submit_and_purge(int number)
{
    char key[16], lines[512] = "", text[ANSWER_BYTES + 1];
    const cJSON *head;
    size_t used = 0;

    (void)snprintf(key, sizeof(key), "%d", number);
    head =
        bench_ask(&bench, NULL, "'verb':'open','client':'c','key':'%s'", key);
    if (strcmp(at_str(head, "verb"), "opened") != 0) {
        cr_assert_str_eq(at_str(head, "code"), "full");
        return false;
    }
    for (int i = 0; i < 5; i++) {
        used +=
            (size_t)snprintf(lines + used, sizeof(lines) - used,
                             "{'id':'%d','text':'%d of %d'}\n", i, i, number);
    }
    bench_submit(&bench, key, NULL, lines, uuid);
    bench_advance(&bench, bench.conf.group_window_ms);
    memset(text, 'x', ANSWER_BYTES);
    text[ANSWER_BYTES] = '\0';
    hand_start(hand);
    while (hand_slip(hand, SLIP_RUNNING, 0))
        hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), text);
    bench_run(&bench);
    cr_assert_str_eq(bench_state(&bench, uuid), "finished");
    ask("purge", uuid);
    bench_advance(&bench, 10);
    return true;
}

/* No purge can help any more: nothing but answers of the cache is there. */
Test(broker_purge, a_store_full_of_unused_answers_takes_new_batches,
     .fini = tear_down)
{
    int64_t began_ms;
    int number = 0;

    bench_init(&bench, FULL_BYTES);
    bench_start(&bench);
    hand = hand_new(&bench, 5);
    bench_run(&bench);
    began_ms = bench.now_ms;
    while (submit_and_purge(number))
        cr_assert_lt(number++, 100, "the store is never full");
    cr_expect_gt(number, 3);
    cr_expect_eq(usage().drafts, 0);
    cr_expect_geq(usage().requests, 5 * 3);
    bench_advance(&bench, 1000);
    cr_assert_lt(bench.now_ms - began_ms, bench.conf.cache_ttl_ms);
    cr_expect(submit_and_purge(number));
    cr_expect_gt(usage().requests, 5, "no more went than had to");
}

Test(broker_purge, what_is_too_much_goes_the_oldest_first, .fini = tear_down)
{
    char first[BENCH_UUID_BYTES];
    uint64_t before;

    set_up();
    submit("k", TWO, first);
    submit("l", "{'id':'c','text':'c'}\n", uuid);
    before = usage().bytes;
    bench.conf.results_bytes_max = (int64_t)before + 100;
    bench_restart(&bench);
    hand_hello(hand);
    submit("m", "{'id':'d','text':'d'}\n", other);
    bench_advance(&bench, 30000);
    cr_assert_str_eq(at_str(ask("status", first), "code"), "not_found");
    cr_assert_str_eq(bench_state(&bench, other), "finished");
}
