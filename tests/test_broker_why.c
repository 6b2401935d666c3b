/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* memmem */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"
#include "tests/put_body.h"

TestSuite(broker_why, .timeout = 30);

#define A         "{'id':'a','text':'a'}\n"
#define AB        A "{'id':'b','text':'b'}\n"
#define WINDOW_MS 2000
#define DAY_MS    INT64_C(86400000)

static struct bench bench;
static struct hand *hand;
static char uuid[BENCH_UUID_BYTES], other[BENCH_UUID_BYTES];

static void
set_up_with(uint64_t store_bytes)
{
    bench_init(&bench, store_bytes);
    bench.conf.slots_max = 1;
    bench.conf.lease_ahead_max = 1;
    bench.conf.backoff_jitter_percent = 0;
    bench_start(&bench);
    hand = hand_new(&bench, 1);
    bench_run(&bench);
}

static void
set_up(void)
{
    set_up_with(BENCH_STORE_MAX);
}

static void
tear_down(void)
{
    bench_fini(&bench);
}

static const cJSON *
why(const char *batch, const char *id)
{
    const cJSON *head = bench_ask(
        &bench, NULL, "'verb':'why','batch':'%s','id':'%s'", batch, id);

    cr_assert_str_eq(at_str(head, "verb"), "why");
    cr_expect_eq(at_int(head, "now"), bench.now_ms);
    return head;
}

/* The nth wait is for this, until then (-1: no time is known), and says so. */
static void
expect_wait(const cJSON *head, int nth, const char *what, int64_t until_ms,
            const char *detail)
{
    const cJSON *waits = cJSON_GetObjectItemCaseSensitive(head, "waits");
    const cJSON *wait = cJSON_GetArrayItem(waits, nth);
    const cJSON *until;
    char *text = cJSON_PrintUnformatted(waits);

    cr_assert_not_null(wait, "wait %d for %s is not in %s", nth, what, text);
    cr_assert_str_eq(at_str(wait, "for"), what, "%s", text);
    cr_expect_str_eq(at_str(wait, "detail"), detail);
    until = cJSON_GetObjectItemCaseSensitive(wait, "until");
    if (until_ms < 0)
        cr_expect(cJSON_IsNull(until), "%s: an end", what);
    else
        cr_expect_eq((int64_t)until->valuedouble, until_ms, "%s: %s", what,
                     text);
    cJSON_free(text);
}

static void
expect_waits(const cJSON *head, int count)
{
    cr_expect_eq(
        cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(head, "waits")),
        count);
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
    bench_advance(&bench, WINDOW_MS);
}

static void
end(const char *class_name, int http_status, int64_t wait_ms)
{
    hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), class_name, http_status,
             wait_ms);
    bench_run(&bench);
}

/* ---- what a batch is kept by ---- */

Test(broker_why, an_open_batch_waits_for_its_seal_and_its_group, .init = set_up,
     .fini = tear_down)
{
    const cJSON *head;

    bench_open(&bench, "k", NULL, "", uuid);
    bench_chunk(&bench, uuid, 1, A);
    head = why(uuid, "a");
    cr_expect_str_eq(at_str(head, "state"), "waiting");
    cr_expect_str_eq(at_str(head, "batch_state"), "open");
    expect_waits(head, 2);
    expect_wait(head, 0, "seal", -1, "");
    expect_wait(head, 1, "group", bench.now_ms + WINDOW_MS, "");
    bench_seal(&bench, uuid, 1, 1);
    head = why(uuid, "a");
    expect_waits(head, 1);
    expect_wait(head, 0, "group", bench.now_ms + WINDOW_MS, "");
}

Test(broker_why, an_early_one_does_not, .init = set_up, .fini = tear_down)
{
    bench_open(&bench, "k", NULL, "'early':true", uuid);
    bench_chunk(&bench, uuid, 1, A);
    expect_wait(why(uuid, "a"), 0, "group", bench.now_ms + WINDOW_MS, "");
}

Test(broker_why, a_batch_waits_for_its_time_and_then_for_its_window,
     .init = set_up, .fini = tear_down)
{
    int64_t start_ms = BENCH_START_MS + 3600000;
    int64_t saturday_ms = INT64_C(1800057600000); /* 2027-01-16 */
    char more[200];

    (void)snprintf(more, sizeof(more),
                   "'not_before':%lld,'window':'sat,sun 00:00-24:00','tz':"
                   "'Etc/UTC','deadline':%lld",
                   (long long)start_ms,
                   (long long)(BENCH_START_MS + 3 * DAY_MS));
    bench_open(&bench, "k", NULL, more, uuid);
    bench_chunk(&bench, uuid, 1, A);
    bench_seal(&bench, uuid, 1, 1);
    bench_advance(&bench, WINDOW_MS);
    expect_wait(why(uuid, "a"), 0, "schedule", start_ms, "");
    bench_advance(&bench, 3600000);
    expect_wait(why(uuid, "a"), 0, "window", saturday_ms,
                "sat,sun 00:00-24:00 Etc/UTC");
    expect_waits(why(uuid, "a"), 1);
    bench_advance(&bench, saturday_ms - bench.now_ms);
    cr_expect_str_eq(at_str(why(uuid, "a"), "state"), "leased");
}

/* A retry has a deadline as long as the first, whenever the window opens. */
Test(broker_why, a_wait_is_told_that_ends_behind_the_deadline, .init = set_up,
     .fini = tear_down)
{
    bench_open(&bench, "k", NULL,
               "'window':'fri 08:00-09:00','deadline':1800001800000", uuid);
    bench_chunk(&bench, uuid, 1, A);
    bench_seal(&bench, uuid, 1, 1);
    bench_ask(&bench, NULL, "'verb':'pause','batch':'%s'", uuid);
    bench_advance(&bench, 7200000);
    cr_assert_str_eq(bench_state(&bench, uuid), "expired");
    bench_ask(&bench, NULL, "'verb':'retry','batch':'%s'", uuid);
    bench_run(&bench);
    expect_wait(why(uuid, "a"), 0, "window", BENCH_START_MS + 7 * DAY_MS,
                "fri 08:00-09:00 , but its batch expires before that, at "
                "2027-01-15T10:30:00.000Z");
}

Test(broker_why, a_paused_batch_is_told_with_what_else_keeps_it, .init = set_up,
     .fini = tear_down)
{
    const cJSON *head;

    submit("k", A, uuid);
    hand_start(hand);
    end("retryable", 503, 0);
    ask("pause", uuid);
    head = why(uuid, "a");
    cr_expect_str_eq(at_str(head, "state"), "delayed");
    expect_waits(head, 2);
    expect_wait(head, 0, "pause", -1, "");
    expect_wait(head, 1, "backoff", bench.now_ms + 500,
                "after attempt 1 of 5: 503");
    bench_advance(&bench, 500);
    head = why(uuid, "a");
    cr_expect_str_eq(at_str(head, "state"), "waiting");
    expect_waits(head, 1);
}

/* Its own batch is paused, and another one needs the same. */
Test(broker_why, goes_through_the_batch_that_may_start_first, .init = set_up,
     .fini = tear_down)
{
    const cJSON *head;
    char more[100];

    hand_bye(hand);
    bench_submit(&bench, "k", NULL, A, uuid);
    ask("pause", uuid);
    head = why(uuid, "a");
    cr_expect_str_eq(at_str(head, "through"), "(null)");
    expect_wait(head, 0, "pause", -1, "");
    (void)snprintf(more, sizeof(more), "'not_before':%lld",
                   (long long)(bench.now_ms + 5000));
    bench_open(&bench, "l", NULL, more, other);
    bench_chunk(&bench, other, 1, "{'id':'z','text':'a'}\n");
    bench_seal(&bench, other, 1, 1);
    head = why(uuid, "a");
    cr_expect_str_eq(at_str(head, "through"), other);
    expect_wait(head, 0, "schedule", bench.now_ms + 5000, "");
    cr_expect_str_eq(at_str(why(other, "z"), "through"), "(null)");
    bench_advance(&bench, 5000);
    expect_wait(why(uuid, "a"), 0, "worker", -1, "");
}

/* ---- what a request is kept by ---- */

Test(broker_why, a_failure_waits_for_its_backoff, .init = set_up,
     .fini = tear_down)
{
    const cJSON *head;

    submit("k", A, uuid);
    hand_start(hand);
    end("retryable", 503, 0);
    bench_advance(&bench, 500);
    hand_start(hand);
    end("uncertain", 0, 0);
    head = why(uuid, "a");
    cr_expect_str_eq(at_str(head, "state"), "delayed");
    expect_waits(head, 1);
    expect_wait(head, 0, "backoff", bench.now_ms + 1000,
                "after attempt 2 of 5: its_code");
    cr_expect_eq(at_int(head, "request.attempts"), 2);
    cr_expect_eq(at_int(head, "request.failures"), 2);
    cr_expect_eq(at_int(head, "request.failures_max"), 5);
    cr_expect_eq(at_int(head, "request.uncertain"), 1);
    cr_expect_eq(at_int(head, "request.fence"), 2);
    cr_expect_eq(at_int(head, "attempts_total"), 2);
    cr_expect_eq(at_int(head, "attempts.0.n"), 1);
    cr_expect_eq(at_int(head, "attempts.0.http_status"), 503);
    cr_expect_str_eq(at_str(head, "attempts.0.status"), "server_error");
    cr_expect_eq(at_int(head, "attempts.0.wait_ms"), 500);
    cr_expect_str_eq(at_str(head, "attempts.0.wait_from"), "backoff");
    cr_expect_str_eq(at_str(head, "attempts.0.worker"), "w1");
    cr_expect_str_eq(at_str(head, "attempts.0.upstream"), "one");
    cr_expect_eq(at_int(head, "attempts.0.sent"), 1);
    cr_expect_eq(at_int(head, "attempts.1.n"), 2);
    cr_expect_eq(at_int(head, "attempts.1.ended_at"), bench.now_ms);
    cr_expect_str_eq(at_str(head, "attempts.1.status"), "error");
    cr_expect_eq(at_int(head, "attempts.1.fence"), 2);
}

Test(broker_why, a_servers_wait_is_told_with_the_header_and_holds_others,
     .init = set_up, .fini = tear_down)
{
    const cJSON *head;
    int64_t until_ms;

    bench.conf.throttle_max = 7;
    submit("k", AB "{'id':'c','text':'c','upstream':'two'}\n", uuid);
    hand_start(hand);
    hand->wait_from = "retry-after-ms";
    until_ms = bench.now_ms + 4000;
    end("throttled", 429, 4000);
    head = why(uuid, "a");
    /* It holds the upstream, and this one like all others. */
    expect_waits(head, 1);
    expect_wait(head, 0, "cooldown", until_ms, "one");
    cr_expect_str_eq(at_str(head, "attempts.0.wait_from"), "retry-after-ms");
    cr_expect_eq(at_int(head, "request.throttled"), 1);
    hand_say(hand, "{'verb':'release','held':[[2,1]]}");
    hand_forget(hand, hand_slip(hand, SLIP_WAITING, 0));
    bench_run(&bench);
    head = why(uuid, "b");
    cr_expect_str_eq(at_str(head, "state"), "waiting");
    expect_waits(head, 1);
    expect_wait(head, 0, "cooldown", until_ms, "one");
    expect_waits(why(uuid, "c"), 1);
    expect_wait(why(uuid, "c"), 0, "lease", bench.now_ms + 615000, "worker w1");
}

Test(broker_why, a_stop_is_told_with_its_reason_and_what_ends_it,
     .init = set_up, .fini = tear_down)
{
    submit("k", AB, uuid);
    hand_start(hand);
    end("stop", 401, 0);
    expect_wait(why(uuid, "b"), 0, "cooldown", -1,
                "one, which said stop (its_code: its message): only 'upstreams "
                "resume one' lets it be asked again");
    bench_ask(&bench, NULL, "'verb':'upstream_resume','upstream':'one'");
    bench_run(&bench);
    cr_expect_str_eq(at_str(why(uuid, "b"), "state"), "leased");
}

Test(broker_why, counts_who_comes_first_while_slots_are_taken, .init = set_up,
     .fini = tear_down)
{
    const cJSON *head;

    submit("k", AB "{'id':'c','text':'c'}\n{'id':'d','text':'d'}\n", uuid);
    hand_start(hand);
    head = why(uuid, "c");
    cr_expect_str_eq(at_str(head, "state"), "ready");
    expect_waits(head, 1);
    expect_wait(head, 0, "slot", -1,
                "1 slot, 1 lent; it is the next of its batch");
    head = why(uuid, "d");
    expect_wait(head, 0, "slot", -1,
                "1 slot, 1 lent; 1 of its batch comes first");
    cr_expect_eq(at_int(head, "waits.0.slots"), 1);
    cr_expect_eq(at_int(head, "waits.0.lent"), 1);
    cr_expect_eq(at_int(head, "waits.0.before"), 1);
}

Test(broker_why, a_lease_is_told_with_its_worker_and_whether_it_is_called,
     .init = set_up, .fini = tear_down)
{
    int64_t since_ms, until_ms;
    const cJSON *head;

    submit("k", A, uuid);
    since_ms = bench.now_ms;
    head = why(uuid, "a");
    cr_expect_str_eq(at_str(head, "state"), "leased");
    expect_waits(head, 1);
    expect_wait(head, 0, "lease", since_ms + 615000, "worker w1");
    cr_expect_eq(at_int(head, "request.lease.started"), 0);
    hand_start(hand);
    bench_advance(&bench, bench.conf.heartbeat_ms);
    until_ms = bench.now_ms + 615000;
    hand_beat(hand);
    bench_run(&bench);
    head = why(uuid, "a");
    expect_wait(head, 0, "answer", until_ms, "worker w1");
    cr_expect_eq(at_int(head, "request.lease.started"), 1);
    cr_expect_eq(at_int(head, "request.lease.online"), 1);
    cr_expect_eq(at_int(head, "request.lease.granted_at"), since_ms);
    cr_expect_eq(at_int(head, "request.lease.deadline"), until_ms);
    cr_expect_str_eq(at_str(head, "request.lease.worker"), "w1");
    bench_restart(&bench);
    head = why(uuid, "a");
    expect_wait(head, 0, "lease", bench.now_ms + 615000,
                "worker 00000001-0000-4000-8000-000000000000, which is not "
                "connected");
    hand_hello(hand);
    bench_run(&bench);
    expect_wait(why(uuid, "a"), 0, "answer", bench.now_ms + 615000,
                "worker w1");
    hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    bench_run(&bench);
    head = why(uuid, "a");
    cr_expect_str_eq(at_str(head, "state"), "done");
    expect_waits(head, 0);
}

Test(broker_why, what_was_lost_too_often_waits_for_a_worker_of_its_own,
     .init = set_up, .fini = tear_down)
{
    const cJSON *head;

    bench.conf.lost_max = 1;
    submit("k", AB, uuid);
    hand_start(hand);
    hand_beat(hand);
    bench_run(&bench);
    /* It lists the first one no more, and does not hear that it is to give back
     * the second one. */
    bench.is_slow = true;
    hand_say(hand, "{'verb':'beat','slots':1,'held':[[2,1,0]]}");
    hand_say(hand, "{'verb':'beat','slots':1,'held':[[2,1,0]]}");
    bench_run(&bench);
    head = why(uuid, "a");
    cr_expect_str_eq(at_str(head, "state"), "waiting");
    expect_waits(head, 1);
    expect_wait(head, 0, "alone", -1, "lost 1 time");
    cr_expect_eq(at_int(head, "request.lost"), 1);
    cr_expect_str_eq(at_str(head, "attempts.0.class"), "lost");
}

Test(broker_why, times_to_come_are_those_of_the_wall_clock, .init = set_up,
     .fini = tear_down)
{
    const cJSON *head;

    submit("k", A, uuid);
    hand_start(hand);
    end("retryable", 503, 0);
    broker_note_wall(bench.broker, 3600000);
    head = bench_ask(&bench, NULL, "'verb':'why','batch':'%s','id':'a'", uuid);
    cr_expect_eq(at_int(head, "now"), bench.now_ms + 3600000);
    expect_wait(head, 0, "backoff", bench.now_ms + 3600000 + 500,
                "after attempt 1 of 5: 503");
    cr_expect_eq(at_int(head, "attempts.0.ended_at"), bench.now_ms,
                 "what has happened stays where it was");
}

/* ---- what all are kept by ---- */

Test(broker_why, without_a_worker_that_is_what_is_waited_for, .init = set_up,
     .fini = tear_down)
{
    hand_bye(hand);
    bench_run(&bench);
    submit("k", A, uuid);
    expect_waits(why(uuid, "a"), 1);
    expect_wait(why(uuid, "a"), 0, "worker", -1, "");
    hand_hello(hand);
    bench_run(&bench);
    expect_wait(why(uuid, "a"), 0, "lease", bench.now_ms + 615000, "worker w1");
}

Test(broker_why, a_broker_that_shuts_down_says_so, .init = set_up,
     .fini = tear_down)
{
    struct err err = { 0 };

    bench_submit(&bench, "k", NULL, A, uuid);
    cr_assert_eq(store_begin(bench.store, bench.now_ms, &err), 0);
    broker_drain(bench.broker, BENCH_OWN);
    cr_assert_eq(store_commit(bench.store, &err), 0);
    bench_advance(&bench, WINDOW_MS);
    expect_waits(why(uuid, "a"), 1);
    expect_wait(why(uuid, "a"), 0, "drain", -1, "");
}

Test(broker_why, a_store_without_room_for_an_answer_says_so, .fini = tear_down)
{
    struct store_usage usage;
    struct chunk chunk = { 0 };
    struct err err = { 0 };
    size_t bytes;
    char *body;

    set_up_with(120000);
    bench_submit(&bench, "k", NULL, A, uuid);
    cr_assert_eq(store_begin(bench.store, bench.now_ms, &err), 0);
    usage = store_usage(bench.store);
    bytes = (size_t)(2 * usage.bytes_max - usage.bytes) - 2000;
    body = calloc(1, bytes);
    put_body(bench.store, 1000, &chunk, (struct slice){ body, bytes }, NULL, 0);
    cr_assert_eq(store_commit(bench.store, &err), 0, "%s", err.msg);
    free(body);
    bench_advance(&bench, WINDOW_MS);
    expect_waits(why(uuid, "a"), 1);
    expect_wait(why(uuid, "a"), 0, "room", -1,
                "purge batches, raise store_bytes_max, or make room on the "
                "disk");
}

/* ---- what has ended, and what ends ---- */

Test(broker_why, what_is_done_waits_for_nothing, .init = set_up,
     .fini = tear_down)
{
    unsigned char key[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    struct slice identity;
    const cJSON *head;

    submit("k", A, uuid);
    bench_work(&bench);
    head = why(uuid, "a");
    cr_expect_str_eq(at_str(head, "custom_id"), "a");
    cr_expect_eq(at_int(head, "index"), 0);
    cr_expect_str_eq(at_str(head, "state"), "done");
    expect_waits(head, 0);
    cr_expect_str_eq(at_str(head, "result.status"), "ok");
    cr_expect_eq(at_int(head, "result.revision"), 1);
    cr_expect_eq(at_int(head, "result.seq"), 1);
    cr_expect_eq(at_int(head, "result.completed_at"), bench.now_ms);
    cr_expect_str_eq(at_str(head, "cache"), "none");
    cr_expect_str_eq(at_str(head, "refusal"), "(null)");
    cr_expect_str_eq(at_str(head, "unrendered"), "(null)");
    cr_expect_eq(at_int(head, "attempts_total"), 1);
    cr_expect_eq(at_int(head, "attempts.0.latency_ms"), 123);
    cr_expect_str_eq(at_str(head, "attempts.0.class"), "ok");
    /* Frame 1 is what went into the key, to the byte. */
    identity = bench_body(&bench);
    digest_of(identity.data, identity.bytes, key);
    digest_hex(key, hex);
    cr_expect_str_eq(at_str(head, "request.key"), hex);
    cr_expect(memmem(identity.data, identity.bytes, "\0one\0", 5) != NULL);
}

Test(broker_why, sweeps_that_are_on_their_way_are_told, .init = set_up,
     .fini = tear_down)
{
    int64_t re;

    submit("k", AB, uuid);
    hand_start(hand);
    end("permanent", 400, 0);
    /* In one transaction: the sweep comes when all was answered. */
    bench_ask_later(&bench, NULL, "'verb':'retry','batch':'%s'", uuid);
    re = bench_ask_later(&bench, NULL, "'verb':'why','batch':'%s','id':'a'",
                         uuid);
    bench_run(&bench);
    expect_wait(bench_answer(&bench, re)->head, 0, "sweep", -1,
                "it is to be tried again");
    cr_expect_str_eq(at_str(bench_answer(&bench, re)->head, "state"), "done");
    bench_ask_later(&bench, NULL, "'verb':'cancel','batch':'%s'", uuid);
    re = bench_ask_later(&bench, NULL, "'verb':'why','batch':'%s','id':'b'",
                         uuid);
    bench_run(&bench);
    expect_wait(bench_answer(&bench, re)->head, 0, "sweep", -1,
                "its batch is cancelled");
    cr_expect_str_eq(at_str(bench_answer(&bench, re)->head, "state"),
                     "waiting");
    cr_expect_str_eq(at_str(why(uuid, "b"), "result.status"), "cancelled");
}

Test(broker_why, attempts_stay_when_it_is_tried_again, .init = set_up,
     .fini = tear_down)
{
    const cJSON *head;

    submit("k", A, uuid);
    hand_start(hand);
    end("permanent", 400, 0);
    cr_expect_eq(at_int(why(uuid, "a"), "attempts_total"), 1);
    ask("retry", uuid);
    bench_run(&bench);
    head = why(uuid, "a");
    cr_expect_str_eq(at_str(head, "state"), "leased");
    cr_expect_str_eq(at_str(head, "result.status"), "bad_request");
    bench_work(&bench);
    head = why(uuid, "a");
    cr_expect_eq(at_int(head, "attempts_total"), 2);
    cr_expect_eq(at_int(head, "attempts.0.http_status"), 400);
    cr_expect_eq(at_int(head, "attempts.1.http_status"), 200);
}

/* ---- sharing ---- */

Test(broker_why, who_joined_is_told_whose_request_it_is, .init = set_up,
     .fini = tear_down)
{
    const cJSON *head;

    submit("k", A "{'id':'twin','text':'a'}\n", uuid);
    bench_submit(&bench, "l", NULL, "{'id':'guest','text':'a'}\n", other);
    head = why(other, "guest");
    cr_expect_str_eq(at_str(head, "cache"), "joined");
    cr_expect_eq(at_int(head, "request.id"), 1);
    cr_expect_eq(at_int(head, "request.drafts"), 3);
    cr_expect_str_eq(at_str(head, "request.source.batch"), uuid);
    cr_expect_str_eq(at_str(head, "request.source.custom_id"), "a");
    cr_expect_eq(at_int(head, "request.source.index"), 0);
    cr_expect_eq(at_int(head, "request.lead"), 1);
    cr_expect_eq(at_int(head, "request.group"), 1);
    bench_work(&bench);
    submit("m", "{'id':'later','text':'a'}\n", other);
    head = why(other, "later");
    cr_expect_str_eq(at_str(head, "state"), "done");
    cr_expect_str_eq(at_str(head, "cache"), "memory");
    cr_expect_eq(at_int(head, "request.id"), 1);
    cr_expect_eq(at_int(head, "attempts_total"), 1);
}

Test(broker_why, a_key_of_another_configuration_is_not_made_up, .init = set_up,
     .fini = tear_down)
{
    const cJSON *head;

    submit("k", A, uuid);
    bench_work(&bench);
    free(bench.conf.upstreams[0].base_url);
    bench.conf.upstreams[0].base_url = strdup("https://other.example/v1");
    head = why(uuid, "a");
    cr_expect_str_eq(at_str(head, "unrendered"),
                     "the configuration has changed, the key would be another");
    cr_expect_eq(bench_body(&bench).bytes, 0);
}
