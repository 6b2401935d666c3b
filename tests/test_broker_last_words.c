/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <uuid/uuid.h>

#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

#define REPLY "{\"content\":\"kept\"}"

static struct bench bench;
static struct hand *hand;
static char uuid[BENCH_UUID_BYTES];

/* A worker that calls for both drafts of a batch. */
static void
set_up(void)
{
    bench_init(&bench, BENCH_STORE_MAX);
    bench_start(&bench);
    hand = hand_new(&bench, 5);
    bench_run(&bench);
    bench_submit_many(&bench, "k", 2, uuid);
    cr_assert_eq(hand_start(hand), 2);
    hand_beat(hand);
    bench_run(&bench);
}

static void
tear_down(void)
{
    bench_fini(&bench);
}

TestSuite(broker_last_words, .timeout = 30, .init = set_up, .fini = tear_down);

/* It dies, and has left this behind. */
static void
die_with(const char *head, const char *body)
{
    struct err err = { 0 };
    uuid_t id;

    cr_assert_eq(uuid_parse(hand->uuid, id), 0);
    hand_die(hand);
    cr_assert_eq(store_begin(bench.store, bench.now_ms, &err), 0);
    broker_last_words(bench.broker, id, slice_of(head), slice_of(body),
                      bench.now_ms);
    broker_worker_died(bench.broker, id, bench.now_ms);
    cr_assert_eq(store_commit(bench.store, &err), 0);
    bench_run(&bench);
}

/* An answer to the first lease. */
static const char *
answer(void)
{
    static char head[512];

    (void)snprintf(head, sizeof(head),
                   "{\"verb\":\"turn\",\"results\":[{\"request\":%lld,"
                   "\"fence\":%lld,\"class\":\"ok\",\"http_status\":200,"
                   "\"text_at\":12,\"text_bytes\":4,\"sent\":1,\"bytes\":%zu}"
                   "]}",
                   (long long)hand->slips[0].request,
                   (long long)hand->slips[0].fence, strlen(REPLY));
    return head;
}

Test(broker_last_words, are_heard_before_its_leases_are_taken_back)
{
    die_with(answer(), REPLY);
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 1);
    cr_expect_str_eq(result_str(&bench, uuid, "0", "text"), "kept");
    cr_expect_eq(bench_stat(&bench, "leases_lost"), 1, "the other one");
    hand = hand_new(&bench, 5);
    bench_work(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    cr_expect_str_eq(result_str(&bench, uuid, "1", "text"), "answer");
}

Test(broker_last_words, that_were_heard_already_say_nothing_new)
{
    const char *words = answer();

    hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "sent");
    bench_run(&bench);
    die_with(words, REPLY);
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 1);
    cr_expect_str_eq(result_str(&bench, uuid, "0", "text"), "sent");
}

Test(broker_last_words, outlive_a_broker_that_was_killed_as_well)
{
    const char *words = answer();

    bench_restart(&bench);
    die_with(words, REPLY);
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 1);
    cr_expect_str_eq(result_str(&bench, uuid, "0", "text"), "kept");
}

Test(broker_last_words, that_are_no_turn_are_counted_and_left)
{
    die_with("{\"verb\":\"bye\"}", "");
    cr_expect_eq(bench_stat(&bench, "bad_messages"), 1);
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 0);
    cr_expect_eq(bench_stat(&bench, "leases_lost"), 2);
}

Test(broker_last_words, that_cannot_be_read_are_counted_and_left)
{
    die_with("{\"verb\":", "");
    cr_expect_eq(bench_stat(&bench, "bad_messages"), 1);
    cr_expect_eq(bench_stat(&bench, "leases_lost"), 2);
}

/* The window that a worker is told which says hello from there; 0: none. */
static int
window_of(const char *host, const char *lock)
{
    const char *at = NULL;
    int window_ms = 0;

    bench.is_slow = true; /* its letters stay unread */
    hand_say(hand,
             "{'verb':'hello','protocol':1,'worker':'%s','name':'w','host':"
             "'%s','pid':1,'lock':'%s','own':'','nth':%d,'capacity':5,"
             "'slots':0,'leaving':false,'held':[]}",
             hand->uuid, host, lock, ++hand->hellos);
    bench_turn(&bench);
    for (size_t i = 0; i < hand->letter_count; i++) {
        const char *head = hand->letters[i].head.data;

        at = strstr(head, "\"welcome\"") ? head : at;
    }
    cr_assert_not_null(at);
    at = strstr(at, "\"window_ms\":");
    if (at)
        cr_assert_eq(sscanf(at, "\"window_ms\":%d", &window_ms), 1);
    return window_ms;
}

Test(broker_last_words, are_asked_for_where_they_can_be_found)
{
    char lock[80];

    (void)snprintf(lock, sizeof(lock), "/run/worker-%s.lock", hand->uuid);
    bench.conf.commit_window_ms = 7;
    cr_expect_eq(window_of(BENCH_HOST, lock), 7);
    cr_expect_eq(window_of(BENCH_HOST, ""), 0, "it has no lock");
    cr_expect_eq(window_of("another", lock), 0, "it is elsewhere");
}
