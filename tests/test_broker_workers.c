/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

TestSuite(broker_workers, .timeout = 30);

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

Test(broker_workers, a_lease_that_beats_leave_out_is_lost, .init = set_up,
     .fini = tear_down)
{
    struct hand *hand = hand_new(&bench, 5);
    int64_t request;

    bench_submit_many(&bench, "k", 1, uuid);
    cr_assert_eq(hand->slip_count, 1);
    request = hand->slips[0].request;
    hand_forget(hand, &hand->slips[0]);
    bench_advance(&bench, bench.conf.heartbeat_ms);
    cr_expect_eq(hand->slip_count, 0);
    bench_advance(&bench, bench.conf.heartbeat_ms);
    cr_assert_eq(hand->slip_count, 1);
    cr_expect_eq(hand->slips[0].request, request);
    cr_expect_eq(hand->slips[0].fence, 2);
    cr_expect_eq(bench_stat(&bench, "leases_lost"), 0, "it was not started");
}

Test(broker_workers, beats_keep_a_lease_for_as_long_as_one_may_last,
     .init = set_up, .fini = tear_down)
{
    struct hand *hand = hand_new(&bench, 5);
    int64_t most_ms = bench.conf.lease_run_max_ms;

    bench_submit_many(&bench, "k", 1, uuid);
    hand_start(hand);
    bench_advance(&bench, most_ms - 1000);
    cr_expect_eq(hand_count(hand, SLIP_RUNNING), 1);
    cr_expect_eq(hand->cancel_count, 0);
    bench_advance(&bench, 2000);
    cr_expect_eq(hand->cancel_count, 1, "it is told");
    cr_expect_eq(bench_stat(&bench, "leases_lost"), 1);
    cr_assert_eq(hand_count(hand, SLIP_WAITING), 1);
    cr_expect_eq(hand->slips[0].fence, 2);
    bench_work(&bench);
    cr_expect_eq(bench.call_count, 2);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
}

Test(broker_workers, a_restart_does_not_make_a_lease_young_again,
     .init = set_up, .fini = tear_down)
{
    struct hand *hand = hand_new(&bench, 5);
    int64_t most_ms = bench.conf.lease_run_max_ms;

    bench_submit_many(&bench, "k", 1, uuid);
    hand_start(hand);
    bench_advance(&bench, most_ms / 2);
    bench_restart(&bench);
    hand_hello(hand);
    bench_advance(&bench, most_ms / 2 - 10000);
    cr_expect_eq(hand_count(hand, SLIP_RUNNING), 1);
    cr_expect_eq(hand->cancel_count, 0);
    /* What ended while there was no broker is heard all the same. */
    bench_restart(&bench);
    bench.now_ms += 60000;
    hand_hello(hand);
    bench_advance(&bench, bench.conf.heartbeat_ms);
    cr_expect_eq(hand->cancel_count, 0);
    bench_advance(&bench, bench.conf.upstreams[0].request_timeout_ms);
    cr_expect_eq(hand->cancel_count, 0);
    bench_advance(&bench, 60000);
    cr_expect_eq(hand->cancel_count, 1, "its length once more, and no longer");
}

/* Its link stays, its calls go on, and it neither reads nor beats. */
Test(broker_workers,
     a_frozen_worker_makes_no_second_result_and_no_call_too_many,
     .init = set_up, .fini = tear_down)
{
    struct hand *frozen = hand_new(&bench, 5), *next;
    int64_t lease_ms = bench.conf.upstreams[0].request_timeout_ms + 15000;

    bench_submit_many(&bench, "k", 8, uuid);
    cr_assert_eq(hand_start(frozen), 5);
    hand_beat(frozen);
    bench_run(&bench);
    frozen->is_frozen = true;
    frozen->beats = false;
    next = hand_new(&bench, 5);
    /* Until its calls must have ended, nobody gets its slots. */
    for (int64_t ms = 0; ms < lease_ms - 5000; ms += 5000) {
        bench_advance(&bench, 5000);
        cr_assert_eq(hand_start(next), 0, "after %lld ms", (long long)ms);
    }
    bench_advance(&bench, lease_ms + 5000);
    cr_expect_eq(next->slots, 5);
    /* By then the upstream has given up the first five. */
    bench.in_flight -= 5;
    bench_work(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    bench.in_flight += 5;
    /* It wakes up: its leases are over by its own clock, or are told to be. */
    frozen->is_frozen = false;
    hand_tick(frozen);
    hand_beat(frozen);
    bench_run(&bench);
    cr_expect_eq(frozen->slip_count, 0);
    cr_expect_eq(hand_start(frozen), 0);
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 8);
    cr_expect_eq(bench_status(&bench, uuid, "last_seq"), 8);
    cr_expect_eq(bench.in_flight, 0);
}

/* A worker that was cut off comes back with the answers of calls that were made
 * a second time. */
Test(broker_workers, a_late_success_is_accepted, .init = set_up,
     .fini = tear_down)
{
    struct hand *lost = hand_new(&bench, 5), *next;

    bench_submit_many(&bench, "k", 2, uuid);
    bench_start_calls(&bench);
    hand_disconnect(lost);
    for (int i = 0; i < 2; i++)
        hand_answer(lost, hand_slip(lost, SLIP_RUNNING, 0), "late");
    next = hand_new(&bench, 5);
    bench_advance(&bench, 700000);
    cr_assert_eq(next->slip_count, 2);
    hand_start(next);
    /* One is in flight again, one has failed meanwhile. */
    hand_end(next, hand_find(next, "k 1"), "permanent", 400, 0);
    bench_run(&bench);
    cr_expect_eq(bench_status(&bench, uuid, "counts.bad_request"), 1);
    hand_hello(lost);
    bench_run(&bench);
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 0,
                 "hello says which leases are gone");
    cr_expect_eq(lost->slip_count, 0);
}

static void
say_result(struct hand *hand, int64_t request, int64_t fence,
           const char *class_name)
{
    hand_say(hand,
             "{'verb':'result','request':%lld,'fence':%lld,'class':'%s',"
             "'http_status':%d,'sent':1}",
             (long long)request, (long long)fence, class_name,
             strcmp(class_name, "ok") == 0 ? 200 : 400);
}

/* The first result has no class, the second one an answer; the starts are no
 * pairs; the last result says that it has more of the body than there is. */
Test(broker_workers, a_turn_is_taken_part_by_part, .init = set_up,
     .fini = tear_down)
{
    struct hand *hand = hand_new(&bench, 5);
    struct buf head = { 0 };
    const struct slip *slips[4];

    bench_submit_many(&bench, "k", 4, uuid);
    for (size_t i = 0; i < 4; i++) {
        slips[i] = hand_slip(hand, SLIP_WAITING, i);
        cr_assert_not_null(slips[i]);
    }
    buf_addf(&head,
             "{\"verb\":\"turn\",\"started\":[7],\"results\":["
             "{\"request\":%lld,\"fence\":%lld,\"bytes\":3},"
             "{\"request\":%lld,\"fence\":%lld,\"class\":\"ok\","
             "\"http_status\":200,\"text_at\":6,\"text_bytes\":3,\"sent\":1,"
             "\"bytes\":11},"
             "{\"request\":%lld,\"fence\":%lld,\"class\":\"permanent\","
             "\"http_status\":400,\"sent\":1},"
             "{\"request\":%lld,\"fence\":%lld,\"class\":\"ok\","
             "\"http_status\":200,\"bytes\":1}]}",
             (long long)slips[0]->request, (long long)slips[0]->fence,
             (long long)slips[1]->request, (long long)slips[1]->fence,
             (long long)slips[2]->request, (long long)slips[2]->fence,
             (long long)slips[3]->request, (long long)slips[3]->fence);
    bench_post(&bench, SIDE_WORKERS, &hand->peer, buf_slice(&head),
               slice_of("bad{\"a\":\"txt\"}"));
    bench_run(&bench);
    cr_expect_eq(bench_stat(&bench, "bad_messages"), 3);
    cr_expect_eq(hand->confirm_count, 2);
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 1);
    cr_expect_eq(bench_status(&bench, uuid, "counts.done"), 2);
    bench_ask(&bench, NULL, "'verb':'results','batch':'%s'", uuid);
    cr_expect_not_null(strstr(bench_body(&bench).data, "\"text\":\"txt\""),
                       "%s", bench_body(&bench).data);
    cr_expect_eq(hand_count(hand, SLIP_WAITING), 4, "it forgets none itself");
    buf_fini(&head);
}

/* Its call may be its worker's end, and the answer to another is told with it. */
Test(broker_workers, a_turn_tells_of_starts_first, .init = set_up,
     .fini = tear_down)
{
    struct hand *hand = hand_new(&bench, 5);
    const struct slip *one, *two;

    bench_submit_many(&bench, "k", 2, uuid);
    one = hand_slip(hand, SLIP_WAITING, 0);
    two = hand_slip(hand, SLIP_WAITING, 1);
    cr_assert(one && two);
    hand_say(hand,
             "{'verb':'turn','results':[{'request':%lld,'fence':%lld,"
             "'class':'permanent','http_status':400,'sent':1}],"
             "'started':[[%lld,%lld],[%lld,%lld]]}",
             (long long)one->request, (long long)one->fence,
             (long long)one->request, (long long)one->fence,
             (long long)two->request, (long long)two->fence);
    bench_run(&bench);
    cr_expect_eq(bench_stat(&bench, "bad_messages"), 0);
    cr_expect_eq(hand->confirm_count, 1);
    hand_kill(hand);
    cr_expect_eq(bench_stat(&bench, "leases_lost"), 1, "of the one that ran");
}

Test(broker_workers, old_fences_may_bring_answers_but_no_failures,
     .init = set_up, .fini = tear_down)
{
    struct hand *old = hand_new(&bench, 5), *next;
    int64_t requests[3];
    uint64_t confirms;

    bench_submit_many(&bench, "k", 3, uuid);
    hand_start(old);
    for (size_t i = 0; i < 3; i++) {
        char text[16];

        (void)snprintf(text, sizeof(text), "k %zu", i);
        requests[i] = hand_find(old, text)->request;
    }
    while (old->slip_count)
        hand_forget(old, &old->slips[0]);
    bench_advance(&bench, bench.conf.heartbeat_ms * 2);
    cr_assert_eq(old->slip_count, 3, "they were lost and leased again");
    next = hand_new(&bench, 1);
    bench_run(&bench);
    hand_start(old);
    hand_end(old, hand_find(old, "k 2"), "permanent", 400, 0);
    bench_run(&bench);
    confirms = old->confirm_count;
    /* A failure is ignored, but confirmed, so that it is not repeated. */
    say_result(old, requests[0], 1, "permanent");
    bench_run(&bench);
    cr_expect_eq(old->confirm_count, confirms + 1);
    cr_expect_eq(bench_status(&bench, uuid, "counts.done"), 1);
    /* A success ends the request, and the newer call with it. */
    say_result(old, requests[1], 1, "ok");
    bench_run(&bench);
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 1);
    cr_expect_null(hand_find(old, "k 1"));
    cr_expect_eq(old->cancel_count, 1);
    /* And makes a fallback an answer, once. */
    say_result(next, requests[2], 1, "ok");
    say_result(next, requests[2], 1, "ok");
    bench_run(&bench);
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 2);
    cr_expect_eq(bench_status(&bench, uuid, "counts.bad_request"), 0);
    bench_work(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    cr_expect_eq(bench_stat(&bench, "late_results"), 4);
}

Test(broker_workers, a_restart_repeats_no_call, .init = set_up,
     .fini = tear_down)
{
    struct hand *hand = hand_new(&bench, 5);
    size_t leases;

    bench_submit_many(&bench, "k", 30, uuid);
    hand_start(hand);
    leases = hand->slip_count;
    /* Some end while there is no broker, some go on. */
    bench_restart(&bench);
    for (int i = 0; i < 3; i++)
        hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    hand_hello(hand);
    bench_run(&bench);
    cr_expect_eq(hand->cancel_count, 0);
    cr_expect_eq(hand->slip_count, leases);
    cr_expect_eq(bench_status(&bench, uuid, "counts.ok"), 3);
    cr_expect_eq(hand_count(hand, SLIP_RUNNING), 2);
    cr_expect_eq(hand->slots, 5);
    bench_work(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    cr_expect_eq(bench.call_count, 30);
}

/* The confirmation of a result that was stored did not arrive. */
Test(broker_workers, fewer_of_them_than_were_there_are_a_wrong_configuration,
     .init = set_up, .fini = tear_down)
{
    struct err err = { 0 };

    (void)hand_new(&bench, 2);
    (void)hand_new(&bench, 2);
    bench_submit_many(&bench, "k", 4, uuid);
    broker_free(bench.broker);
    bench.conf.sessions_max = 1;
    bench.broker = broker_new(&(struct broker_env){ .conf = &bench.conf,
                                                    .store = bench.store,
                                                    .rules = bench.rules,
                                                    .outbox = &bench.outbox,
                                                    .version = "1.2.3",
                                                    .host = BENCH_HOST });
    cr_expect_eq(broker_recover(bench.broker, bench.now_ms, true, &err),
                 E_INVALID);
    cr_expect(strstr(err.msg, "sessions_max: 1 is less"), "%s", err.msg);
}

Test(broker_workers, a_result_that_was_stored_is_not_asked_for_again,
     .init = set_up, .fini = tear_down)
{
    struct hand *hand = hand_new(&bench, 5);

    bench_submit_many(&bench, "k", 1, uuid);
    hand_start(hand);
    hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    bench.is_slow = true;
    bench_turn(&bench);
    bench_restart(&bench);
    bench.is_slow = false;
    cr_assert_eq(hand->slip_count, 1);
    hand_hello(hand);
    bench_work(&bench);
    cr_expect_eq(hand->slip_count, 0);
    cr_expect_eq(bench.call_count, 1);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
}

Test(broker_workers, a_stranger_is_asked_for_its_name, .init = set_up,
     .fini = tear_down)
{
    struct hand *hand = hand_new(&bench, 5);

    bench_run(&bench);
    bench_restart(&bench);
    /* The link is there again, but it was not noticed that it broke. */
    hand->is_connected = hand->is_welcome = true;
    hand_beat(hand);
    bench_run(&bench);
    cr_expect(hand->is_welcome);
    bench_submit_many(&bench, "k", 1, uuid);
    cr_expect_eq(hand->slip_count, 1);
}

Test(broker_workers, released_leases_go_to_others, .init = set_up,
     .fini = tear_down)
{
    struct hand *first = hand_new(&bench, 1), *second;

    bench_submit_many(&bench, "k", 1, uuid);
    cr_assert_eq(first->slip_count, 1);
    second = hand_new(&bench, 1);
    bench_run(&bench);
    hand_say(first, "{'verb':'release','held':[[%lld,%lld]]}",
             (long long)first->slips[0].request,
             (long long)first->slips[0].fence);
    hand_forget(first, &first->slips[0]);
    bench_run(&bench);
    cr_expect_eq(first->slip_count + second->slip_count, 1);
    hand_bye(first);
    while (first->slip_count)
        hand_forget(first, &first->slips[0]);
    bench_work(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    cr_expect_eq(bench_stat(&bench, "leases_lost"), 0);
}

Test(broker_workers, what_is_cancelled_is_told_to_its_worker, .init = set_up,
     .fini = tear_down)
{
    struct hand *hand = hand_new(&bench, 5);

    bench_submit_many(&bench, "k", 8, uuid);
    bench_submit_many(&bench, "l", 1, other);
    hand_start(hand);
    cr_assert_eq(hand->slip_count, 9);
    bench_ask(&bench, NULL, "'verb':'cancel','batch':'%s'", uuid);
    cr_expect_eq(hand->cancel_count, 8);
    cr_expect_eq(hand->slip_count, 1);
    bench_work(&bench);
    cr_expect_str_eq(bench_state(&bench, other), "finished");
    cr_expect_eq(bench_stat(&bench, "requests_leased"), 0);
}

Test(broker_workers, nonsense_is_counted_and_harms_nobody, .init = set_up,
     .fini = tear_down)
{
    static const char *const words[] = {
        "{'verb':'hello','protocol':1,'worker':'x','capacity':5}",
        "{'verb':'hello','protocol':1,'capacity':5}",
        "{'verb':'hello','protocol':7,'worker':"
        "'11111111-0000-4000-8000-000000000000','capacity':5}",
        "{'verb':'hello','protocol':1,'worker':"
        "'11111111-0000-4000-8000-000000000000','capacity':0}",
        "{'verb':'beat','held':[[1]]}",
        "{'verb':'beat','held':[7]}",
        "{'verb':'slots'}",
        "{'verb':'slots','count':-1}",
        "{'verb':'result','request':1,'fence':1}",
        "{'verb':'result','request':1,'fence':1,'class':'great'}",
        "{'verb':'result','request':1,'fence':1,'class':'ok','text_at':5}",
        "{'verb':'result','request':0,'fence':1,'class':'ok'}",
        "{'verb':'release','held':[[1,2,3]]}",
        "{'verb':'turn','results':7}",
        "{'verb':'turn','results':[7]}",
        "{'verb':'turn','started':[[1]]}",
        "{'verb':'sing'}",
    };
    size_t count = sizeof(words) / sizeof(words[0]);
    struct hand *hand = hand_new(&bench, 5);

    bench_submit_many(&bench, "k", 2, uuid);
    for (size_t i = 0; i < count; i++) {
        hand_say(hand, "%s", words[i]);
        bench_run(&bench);
        cr_expect_eq(bench_stat(&bench, "bad_messages"), (int64_t)i + 1, "%s",
                     words[i]);
    }
    /* Of requests that are none, or not its own. */
    say_result(hand, 4711, 1, "ok");
    say_result(hand, 1, 4711, "permanent");
    hand_say(hand, "{'verb':'beat','held':[[4711,1,1],[1,4711,0]]}");
    hand_say(hand, "{'verb':'release','held':[[4711,1]]}");
    bench_run(&bench);
    bench_work(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
}

/* It was on its way over a link that broke, and lists what was held then. */
Test(broker_workers, a_hello_that_was_overtaken_is_ignored, .init = set_up,
     .fini = tear_down)
{
    struct hand *hand = hand_new(&bench, 5);
    struct link_peer old = hand->peer, now;

    bench_run(&bench);
    hand_disconnect(hand);
    hand_hello(hand);
    bench_run(&bench);
    bench_submit_many(&bench, "k", 1, uuid);
    cr_assert_eq(hand_start(hand), 1);
    now = hand->peer;
    hand->peer = old;
    hand_say(hand,
             "{'verb':'hello','protocol':1,'worker':'%s','nth':1,"
             "'capacity':5,'held':[]}",
             hand->uuid);
    hand->peer = now;
    bench_run(&bench);
    cr_expect_eq(bench_stat(&bench, "requests_leased"), 1);
    bench_work(&bench);
    cr_expect_eq(bench.call_count, 1);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
}

/* The welcome took long: it is on its way, and so is a lease. */
Test(broker_workers, a_repeated_hello_takes_no_lease_back, .init = set_up,
     .fini = tear_down)
{
    struct hand *hand = hand_new(&bench, 5);

    bench_submit_many(&bench, "k", 1, uuid);
    cr_assert_eq(hand_start(hand), 1);
    hand_say(hand,
             "{'verb':'hello','protocol':1,'worker':'%s','nth':%d,"
             "'capacity':5,'held':[]}",
             hand->uuid, ++hand->hellos);
    bench_run(&bench);
    cr_expect_eq(bench_stat(&bench, "leases_lost"), 0);
    cr_expect_eq(bench_stat(&bench, "requests_leased"), 1);
    bench_work(&bench);
    cr_expect_eq(bench.call_count, 1);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
}

Test(broker_workers, one_link_is_one_worker, .init = set_up, .fini = tear_down)
{
    struct hand *hand = hand_new(&bench, 5);

    bench_run(&bench);
    hand_say(hand, "{'verb':'hello','protocol':1,'worker':"
                   "'11111111-0000-4000-8000-000000000000','capacity':5}");
    bench_run(&bench);
    cr_expect_eq(bench_stat(&bench, "workers"), 1);
}

Test(broker_workers, a_reload_is_told_to_all_that_are_there, .init = set_up,
     .fini = tear_down)
{
    struct hand *here = hand_new(&bench, 1), *gone = hand_new(&bench, 1);
    struct err err = { 0 };

    bench_run(&bench);
    hand_bye(gone);
    bench_run(&bench);
    cr_assert_eq(store_begin(bench.store, bench.now_ms, &err), 0);
    broker_reload(bench.broker);
    store_abort(bench.store);
    bench_advance(&bench, 1);
    cr_expect_eq(here->reload_count, 1);
    cr_expect_eq(gone->reload_count, 0);
}

Test(broker_workers, what_workers_say_of_their_tokens_is_added_up,
     .init = set_up, .fini = tear_down)
{
    struct hand *first = hand_new(&bench, 1), *second = hand_new(&bench, 1);

    bench_run(&bench);
    cr_expect_eq(bench_stat(&bench, "token_hit_percent"), 0);
    hand_say(first, "{'verb':'beat','held':[],'tokens':[5,1]}");
    hand_say(second, "{'verb':'beat','held':[],'tokens':[1,1]}");
    hand_say(first, "{'verb':'beat','held':[]}");
    hand_say(first, "{'verb':'beat','held':[],'tokens':[1]}");
    hand_say(first, "{'verb':'beat','held':[],'tokens':7}");
    bench_run(&bench);
    cr_expect_eq(bench_stat(&bench, "token_hits"), 6);
    cr_expect_eq(bench_stat(&bench, "token_fetches"), 2);
    cr_expect_eq(bench_stat(&bench, "token_hit_percent"), 75);
}
