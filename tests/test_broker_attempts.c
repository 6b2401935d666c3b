/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

TestSuite(broker_attempts, .timeout = 30);

static struct bench bench;
static struct hand *hand;
static char uuid[BENCH_UUID_BYTES];

static void
set_up(void)
{
    bench_init(&bench, BENCH_STORE_MAX);
    bench.conf.backoff_jitter_percent = 0;
    bench_start(&bench);
    hand = hand_new(&bench, 5);
    bench_run(&bench);
    bench_submit(&bench, "k", NULL, "{'id':'a','text':'a'}\n", uuid);
    bench_advance(&bench, bench.conf.group_window_ms);
    cr_assert_eq(hand_start(hand), 1);
}

static void
tear_down(void)
{
    bench_fini(&bench);
}

/* The newest attempt of the only request as one line; "" if there is none. */
static const char *
newest(void)
{
    static char text[512];
    struct request request;
    struct attempt attempt;
    struct err err = { 0 };

    *text = '\0';
    cr_assert_eq(store_begin(bench.store, bench.now_ms, &err), 0);
    if (store_request_get(bench.store, 1, &request) == 0 &&
        store_attempt_before(bench.store, &request, UINT32_MAX, &attempt) ==
            0) {
        snprintf(text, sizeof(text),
                 "%u: %s %s %u %.*s, fence %u, sent %d, %lld ms, waits %lld "
                 "by %.*s, %.*s at %.*s",
                 attempt.number, call_class_name(attempt.class),
                 status_name(attempt.status), attempt.http_status,
                 (int)attempt.code.bytes, attempt.code.data, attempt.fence,
                 attempt.was_sent, (long long)attempt.latency_ms,
                 (long long)attempt.wait_ms, (int)attempt.wait_from.bytes,
                 attempt.wait_from.data, (int)attempt.worker.bytes,
                 attempt.worker.data, (int)attempt.upstream.bytes,
                 attempt.upstream.data);
        cr_expect_eq(attempt.ended_ms, bench.now_ms);
    }
    store_abort(bench.store);
    return text;
}

static void
end(const char *class_name, int http_status, int64_t wait_ms)
{
    hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), class_name, http_status,
             wait_ms);
    bench_run(&bench);
}

/* Lets the request come back, and starts its next call. */
static void
again(int64_t wait_ms)
{
    bench_advance(&bench, wait_ms);
    cr_assert_eq(hand_start(hand), 1);
}

Test(broker_attempts, each_call_is_written_down_with_the_wait_behind_it,
     .init = set_up, .fini = tear_down)
{
    end("retryable", 503, 0);
    cr_expect_str_eq(newest(),
                     "1: retryable server_error 503 its_code, fence 1, sent 1, "
                     "-1 ms, waits 500 by backoff, w1 at one");
    again(500);
    hand->wait_from = "retry-after-ms";
    end("throttled", 429, 2000);
    cr_expect_str_eq(newest(),
                     "2: throttled rate_limited 429 its_code, fence 2, sent 1, "
                     "-1 ms, waits 2000 by retry-after-ms, w1 at one");
    again(2000);
    hand->wait_from = NULL;
    end("retryable", 503, 700);
    cr_expect_str_eq(newest(),
                     "3: retryable server_error 503 its_code, fence 3, sent 1, "
                     "-1 ms, waits 700 by , w1 at one",
                     "an older worker does not say");
    again(2000);
    hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    bench_run(&bench);
    cr_expect_str_eq(newest(),
                     "4: ok ok 200 , fence 4, sent 1, 123 ms, waits 0 "
                     "by , w1 at one");
}

Test(broker_attempts, a_wait_that_is_too_long_is_told_though_it_ends,
     .init = set_up, .fini = tear_down)
{
    hand->wait_from = "retry-after";
    end("throttled", 429, 2 * bench.conf.deadline_ms);
    cr_expect_str_eq(newest(),
                     "1: throttled rate_limited 429 its_code, fence 1, sent 1, "
                     "-1 ms, waits 172800000 by retry-after, w1 at one");
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
}

Test(broker_attempts, a_call_that_was_not_made_is_none, .init = set_up,
     .fini = tear_down)
{
    struct slip *slip = hand_slip(hand, SLIP_RUNNING, 0);

    hand_say(hand, "{'verb':'result','request':1,'fence':1,'class':'aborted',"
                   "'sent':0}");
    hand_forget(hand, slip);
    bench_run(&bench);
    cr_expect_str_eq(newest(), "");
    cr_assert_eq(hand_start(hand), 1);
    end("aborted", 0, 0);
    cr_expect_str_eq(newest(),
                     "1: aborted  0 its_code, fence 2, sent 1, -1 ms, waits 0 "
                     "by , w1 at one");
}

Test(broker_attempts, a_lease_that_is_given_back_is_none, .init = set_up,
     .fini = tear_down)
{
    hand_beat(hand);
    hand_say(hand, "{'verb':'release','held':[[1,1]]}");
    hand_forget(hand, hand_slip(hand, SLIP_RUNNING, 0));
    bench_run(&bench);
    cr_expect_str_eq(newest(), "");
}

Test(broker_attempts, a_call_whose_lease_is_lost_is_written_down,
     .init = set_up, .fini = tear_down)
{
    unsigned char id[16] = { 0, 0, 0, 1, 0, 0, 0x40, 0, 0x80 };
    struct err err = { 0 };

    hand_beat(hand);
    bench_run(&bench);
    hand_die(hand);
    cr_assert_eq(store_begin(bench.store, bench.now_ms, &err), 0);
    broker_worker_died(bench.broker, id, bench.now_ms);
    cr_assert_eq(store_commit(bench.store, &err), 0);
    cr_expect_str_eq(newest(), "1: lost  0 , fence 1, sent 1, -1 ms, waits 0 "
                               "by , w1 at one");
}

Test(broker_attempts, a_late_answer_is_one_and_a_late_failure_is_not,
     .init = set_up, .fini = tear_down)
{
    /* Two beats say that it is called, and then nothing of it. */
    hand_beat(hand);
    bench_run(&bench);
    hand_say(hand, "{'verb':'beat','slots':5,'held':[]}");
    hand_say(hand, "{'verb':'beat','slots':5,'held':[]}");
    bench_run(&bench);
    cr_expect_eq(strncmp(newest(), "1: lost", 7), 0, "%s", newest());
    cr_assert_eq(hand_count(hand, SLIP_WAITING), 1, "leased anew");
    hand_say(hand, "{'verb':'result','request':1,'fence':1,'class':'retryable',"
                   "'http_status':500,'sent':1}");
    bench_run(&bench);
    cr_expect_eq(strncmp(newest(), "1: lost", 7), 0, "%s", newest());
    hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    bench_run(&bench);
    cr_expect_eq(strncmp(newest(), "2: ok ok 200 , fence 1", 22), 0, "%s",
                 newest());
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
}

/* It has gone to the other one since. */
Test(broker_attempts, a_late_answer_is_of_the_upstream_that_gave_it,
     .init = set_up, .fini = tear_down)
{
    bench_submit(&bench, "l", NULL,
                 "{'id':'b','text':'b','upstream':'one,two'}\n", uuid);
    hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    bench_advance(&bench, bench.conf.group_window_ms);
    cr_assert_eq(hand_start(hand), 1);
    cr_assert_str_eq(hand_slip(hand, SLIP_RUNNING, 0)->upstream, "two");
    hand_beat(hand);
    bench_run(&bench);
    hand_say(hand, "{'verb':'beat','slots':5,'held':[]}");
    hand_say(hand, "{'verb':'beat','slots':5,'held':[]}");
    bench_run(&bench);
    cr_assert_str_eq(hand_slip(hand, SLIP_WAITING, 0)->upstream, "one");
    hand_say(hand, "{'verb':'result','request':2,'fence':1,'upstream':'two',"
                   "'class':'ok','http_status':200,'shape':'chat','sent':1}");
    bench_run(&bench);
    cr_expect_str_eq(
        at_str(
            bench_ask(&bench, NULL, "'verb':'why','batch':'%s','id':'b'", uuid),
            "attempts.1.upstream"),
        "two");
    cr_expect_str_eq(result_str(&bench, uuid, "b", "upstream"), "two");
}

/* A header has its limit, whatever stands in it: the client's ids and the
 * worker's words are as long, and as odd, as they may be. */
Test(broker_attempts, the_newest_attempts_fill_a_header_and_no_more,
     .fini = tear_down)
{
    char code[6 * ATTEMPT_TEXT_BYTES_MAX + 1] = "";
    struct buf line = { 0 };
    const cJSON *head;
    int count;

    bench_init(&bench, BENCH_STORE_MAX);
    bench.conf.id_bytes_max = 4096;
    bench.conf.backoff_jitter_percent = 0;
    bench_start(&bench);
    hand = hand_new(&bench, 5);
    bench_run(&bench);
    for (size_t i = 0; i < ATTEMPT_TEXT_BYTES_MAX; i++)
        memcpy(code + 6 * i, "\\u0001", 7);
    buf_add_str(&line, "{'id':'");
    for (size_t i = 0; i < 4096; i++)
        buf_add_str(&line, "\\u0001");
    buf_add_str(&line, "','text':'a'}\n");
    bench_submit(&bench, "k", NULL, line.data, uuid);
    bench_advance(&bench, bench.conf.group_window_ms);
    for (int i = 0; i < STORE_ATTEMPTS_MAX + 8; i++) {
        cr_assert_eq(hand_start(hand), 1);
        hand_say(hand,
                 "{'verb':'result','request':1,'fence':%d,'class':'throttled',"
                 "'http_status':429,'wait_ms':100,'code':'%s','sent':1}",
                 i + 1, code);
        hand_forget(hand, hand_slip(hand, SLIP_RUNNING, 0));
        bench_run(&bench);
        bench_advance(&bench, 100);
    }
    head = bench_ask(&bench, NULL, "'verb':'why','batch':'%s','index':0", uuid);
    cr_assert_str_eq(at_str(head, "verb"), "why");
    cr_expect_eq(strlen(at_str(head, "custom_id")), 4096);
    cr_expect_eq(at_int(head, "attempts_total"), STORE_ATTEMPTS_MAX + 8);
    count =
        cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(head, "attempts"));
    cr_expect_gt(count, 5);
    cr_expect_lt(count, STORE_ATTEMPTS_MAX);
    for (int i = 0; i < count; i++) {
        char path[32];

        (void)snprintf(path, sizeof(path), "attempts.%d.n", i);
        cr_expect_eq(at_int(head, path),
                     STORE_ATTEMPTS_MAX + 8 - count + 1 + i);
    }
    buf_fini(&line);
}
