/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

TestSuite(broker_late, .timeout = 30);

#define LEASE_MS INT64_C(75000)

static struct bench bench;
static struct hand *hand;
static char uuid[BENCH_UUID_BYTES];

static void
set_up(void)
{
    bench_init(&bench, BENCH_STORE_MAX);
    for (size_t i = 0; i < bench.conf.upstream_count; i++) {
        bench.conf.upstreams[i].request_timeout_ms =
            LEASE_MS - CONF_LEASE_MARGIN_MS;
    }
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

Test(broker_late, a_loop_that_stood_still_charges_it_to_no_lease,
     .init = set_up, .fini = tear_down)
{
    /* For three times the lease nothing is heard, as nobody listens. */
    bench.now_ms += 3 * LEASE_MS;
    bench_turn(&bench);
    cr_assert_eq(bench_stat(&bench, "leases_lost"), 0);
    hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    bench_run(&bench);
    cr_assert_str_eq(bench_state(&bench, uuid), "finished");
    cr_assert_eq(bench.call_count, 1);
}

/* Until the call is in its last stage: nothing falls due before its lease ends.
 */
static void
pass_the_stages(void)
{
    bench_advance(&bench, bench.conf.t4_ms + 1);
}

Test(broker_late, a_loop_that_was_to_wake_as_a_lease_ends_knows_it_is_late,
     .init = set_up, .fini = tear_down)
{
    pass_the_stages();
    for (int i = 0; i < 3; i++) {
        hand_beat(hand);
        bench_run(&bench);
        bench.now_ms += LEASE_MS + 55;
        bench_turn(&bench);
        cr_assert_eq(bench_stat(&bench, "leases_lost"), 0, "the time %d", i);
    }
    hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    bench_run(&bench);
    cr_assert_eq(bench_stat(&bench, "leases"), 1);
    cr_assert_str_eq(bench_state(&bench, uuid), "finished");
}

Test(broker_late, a_late_loop_listens_for_a_heartbeat_before_it_ends_a_lease,
     .init = set_up, .fini = tear_down)
{
    pass_the_stages();
    hand_beat(hand);
    hand->beats = false;
    bench_advance(&bench, LEASE_MS - 100);
    bench.now_ms += 2 * bench.conf.heartbeat_ms;
    bench_turn(&bench);
    bench_advance(&bench, bench.conf.heartbeat_ms - 1);
    cr_assert_eq(bench_stat(&bench, "leases_lost"), 0);
    bench_advance(&bench, 1);
    cr_assert_eq(bench_stat(&bench, "leases_lost"), 1);
}

Test(broker_late, a_loop_rests_long_only_while_no_lease_is_held, .init = set_up,
     .fini = tear_down)
{
    pass_the_stages();
    cr_assert_leq(broker_next_ms(bench.broker),
                  bench.now_ms + bench.conf.heartbeat_ms / 2);
    hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    bench_run(&bench);
    cr_assert_gt(broker_next_ms(bench.broker),
                 bench.now_ms + bench.conf.heartbeat_ms);
}

Test(broker_late, a_worker_that_is_silent_loses_its_lease_all_the_same,
     .init = set_up, .fini = tear_down)
{
    hand_disconnect(hand);
    hand->beats = false;
    bench_advance(&bench, 2 * LEASE_MS);
    cr_assert_eq(bench_stat(&bench, "requests_leased"), 0);
}

Test(broker_late, who_was_not_welcomed_is_sent_nothing, .init = set_up,
     .fini = tear_down)
{
    struct hand *other;
    char more[BENCH_UUID_BYTES];

    /* Its hello is in a transaction that finds no space, with work at hand. */
    hand_disconnect(hand);
    bench_submit(&bench, "l", NULL, "{'id':'b','text':'b'}\n", more);
    bench_advance(&bench, bench.conf.group_window_ms);
    bench.is_slow = true;
    other = hand_new(&bench, 5);
    bench_ask_later(&bench, NULL, "'verb':'stats'");
    bench.fails = true;
    bench_turn(&bench);
    cr_assert_gt(other->letter_count, 0);
    cr_assert_not_null(strstr(other->letters[0].head.data, "welcome"),
                       "the first word to it is %s",
                       other->letters[0].head.data);
}

Test(broker_late, an_answer_to_an_earlier_word_gives_no_slot_back,
     .init = set_up, .fini = tear_down)
{
    struct hand *other;

    /* Told of five, and of three when another one comes; what it says next was
     * said to the first word. */
    other = hand_new(&bench, 5);
    bench_run(&bench);
    hand_say(hand, "{'verb':'slots','count':0,'word':1}");
    bench_run(&bench);
    cr_assert_leq(hand->slots + other->slots, bench.conf.slots_max);
    cr_assert_leq(bench_stat(&bench, "slots_lent"), bench.conf.slots_max);
    cr_assert_geq(hand->slots, 1, "it keeps what it was lent");
}

Test(broker_late, a_failure_of_anothers_lease_is_not_taken, .init = set_up,
     .fini = tear_down)
{
    struct hand *liar = hand_new(&bench, 1);
    struct slip *slip = hand_slip(hand, SLIP_RUNNING, 0);

    bench_run(&bench);
    hand_say(liar,
             "{'verb':'result','request':%lld,'fence':%lld,'class':'permanent',"
             "'http_status':400,'sent':1}",
             (long long)slip->request, (long long)slip->fence);
    bench_run(&bench);
    cr_assert_str_eq(bench_state(&bench, uuid), "sealed");
    hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    bench_run(&bench);
    cr_assert_eq(bench_status(&bench, uuid, "counts.ok"), 1);
}

/* It has served nobody, and the call that was made since is paid for. */
Test(broker_late, a_late_text_of_the_sampler_ends_no_call, .init = set_up,
     .fini = tear_down)
{
    hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "stop", 401, 0);
    bench_submit(&bench, "l", "{'last_resort':'local'}",
                 "{'id':'b','text':'b'}\n", uuid);
    bench_advance(&bench, bench.conf.group_window_ms);
    cr_assert_eq(hand_start(hand), 1);
    cr_assert_str_eq(hand_slip(hand, SLIP_RUNNING, 0)->upstream, "local");
    (void)bench_ask(&bench, NULL, "'verb':'upstream_resume','upstream':'one'");
    hand_say(hand, "{'verb':'beat','slots':5,'held':[]}");
    hand_say(hand, "{'verb':'beat','slots':5,'held':[]}");
    bench_run(&bench);
    cr_assert_str_eq(hand_slip(hand, SLIP_WAITING, 0)->upstream, "one");
    cr_assert_eq(hand_start(hand), 1);
    hand_say(hand, "{'verb':'result','request':2,'fence':1,'upstream':'local',"
                   "'class':'ok','http_status':200,'sent':1}");
    bench_run(&bench);
    cr_expect_eq(hand->cancel_count, 0);
    cr_expect_str_eq(bench_state(&bench, uuid), "sealed");
    hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 1), "answer");
    bench_run(&bench);
    cr_expect_str_eq(result_str(&bench, uuid, "b", "status"), "ok");
}
