/* Drafts that wait while a broker is started with another configuration. */
/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/verify.h"
#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

#define ANSWER_BYTES 128
#define KEY_BYTES    16

TestSuite(broker_moved, .timeout = 60);

static struct bench bench;
static struct hand *hand;
static char uuid[BENCH_UUID_BYTES], other[BENCH_UUID_BYTES];

static const char plain[] = "{'id':'a','text':'x'}\n";
static const char named[] = "{'id':'a','text':'x','model':'m'}\n";

static void
set_up(void)
{
    bench_init(&bench, BENCH_STORE_MAX);
    bench_start(&bench);
    hand = hand_new(&bench, 5);
    bench_run(&bench);
}

/* Whatever was moved, all that leads to it was moved along. */
static void
tear_down(void)
{
    struct buf report = { 0 };
    struct verify verify = { .report = &report };
    struct err err = { 0 };

    cr_assert_eq(store_begin(bench.store, bench.now_ms, &err), 0);
    cr_assert_eq(store_verify(bench.store, &verify, &err), 0);
    cr_expect_eq(verify.findings, 0, "%s", report.data);
    store_abort(bench.store);
    buf_fini(&report);
    bench_fini(&bench);
}

static void
set(char **word, const char *value)
{
    free(*word);
    *word = value ? mem_dup_str(value) : NULL;
}

static void
restart(void)
{
    bench_restart(&bench);
    hand_hello(hand);
    bench_run(&bench);
    bench_advance(&bench, bench.conf.group_window_ms);
}

static void
restart_with_model(const char *model)
{
    set(&bench.conf.upstreams[0].model, model);
    restart();
}

/* What a call asks, as its answer tells it. */
static void
tell(const struct slip *slip, char text[ANSWER_BYTES])
{
    const char *model = strstr(slip->body, "\"model\":\"");
    const char *limit = strstr(slip->body, "\"max_tokens\":");
    int bytes = snprintf(text, ANSWER_BYTES, "%s of %s", slip->upstream,
                         model ? "" : "none");

    if (model) {
        bytes += (int)snprintf(text + bytes, ANSWER_BYTES - (size_t)bytes,
                               "%.1s", model + strlen("\"model\":\""));
    }
    if (limit) {
        (void)snprintf(text + bytes, ANSWER_BYTES - (size_t)bytes, ", %.3s",
                       limit + strlen("\"max_tokens\":"));
    }
}

/* All that waits is called and answered. Returns how many calls that took. */
static size_t
work(void)
{
    size_t before = bench.call_count;
    struct slip *slip;

    for (;;) {
        char text[ANSWER_BYTES];

        bench_run(&bench);
        hand_start(hand);
        slip = hand_slip(hand, SLIP_RUNNING, 0);
        if (!slip)
            return bench.call_count - before;
        tell(slip, text);
        hand_answer(hand, slip, text);
    }
}

/* A draft alone in its batch was answered by such a call. */
static void
expect_answer(const char *batch, const char *want)
{
    cr_expect_str_eq(result_str(&bench, batch, "a", "status"), "ok");
    cr_expect_str_eq(result_str(&bench, batch, "a", "text"), want,
                     "answered by %s, and not by %s",
                     result_str(&bench, batch, "a", "text"), want);
}

/* How many calls a draft takes that comes now. */
static size_t
calls_for(const char *key, const char *line)
{
    char batch[BENCH_UUID_BYTES];

    bench_submit(&bench, key, NULL, line, batch);
    bench_advance(&bench, bench.conf.group_window_ms);
    return work();
}

/* ---- two drafts with one request, which the configuration parts ---- */

static const struct {
    const char *name;
    const char *first, *second; /* what they say, besides their text */
    char before, after;         /* the default model */
    const char *url, *route;    /* of the second broker; NULL: as before */
    const char *upstream;       /* what its first one is called; NULL: one */
    size_t calls;
    const char *one, *two; /* their answers; NULL: it cannot be sent */
} cases[] = {
    { "a model is named by the second", "", ",'model':'m'", 'm', 'n', NULL,
      NULL, NULL, 2, "one of n", "one of m" },
    { "a model is named by the first", ",'model':'m'", "", 'm', 'n', NULL, NULL,
      NULL, 1, "one of m", "one of m" },
    { "a model is named by none", "", "", 'm', 'n', NULL, NULL, NULL, 1,
      "one of n", "one of n" },
    { "a model is named by both", ",'model':'m'", ",'model':'m'", 'm', 'n',
      NULL, NULL, NULL, 1, "one of m", "one of m" },
    { "nothing is changed", "", ",'model':'m'", 'm', 'm', NULL, NULL, NULL, 1,
      "one of m", "one of m" },
    { "the URL is another", "", ",'model':'m'", 'm', 'm',
      "https://other.example/v1", NULL, NULL, 1, "one of m", "one of m" },
    { "the URL and the model", "", ",'model':'m'", 'm', 'n',
      "https://other.example/v1", NULL, NULL, 2, "one of n", "one of m" },
    { "the model and the URL", ",'model':'m'", "", 'm', 'n',
      "https://other.example/v1", NULL, NULL, 2, "one of m", "one of n" },
    { "the default route", "", ",'upstream':'one'", 'm', 'm', NULL, "two", NULL,
      2, "two of m", "one of m" },
    { "the default route, behind one that names it", ",'upstream':'one'", "",
      'm', 'm', NULL, "two", NULL, 1, "one of m", "one of m" },
    { "a set as the default route", "", ",'upstream':'one'", 'm', 'm', NULL,
      "one,two", NULL, 2, "one of m", "one of m" },
    { "a name that is no more, of the second", "", ",'upstream':'one'", 'm',
      'm', NULL, NULL, "uno", 1, "uno of m", NULL },
    { "a name that is no more, of the first", ",'upstream':'one'", "", 'm', 'm',
      NULL, NULL, "uno", 1, NULL, "uno of m" },
    { "a name that is no more, of both", ",'upstream':'one'",
      ",'upstream':'one'", 'm', 'm', NULL, NULL, "uno", 0, NULL, NULL },
};

static void
submit_two(const char *first, const char *second)
{
    char line[ANSWER_BYTES];

    (void)snprintf(line, sizeof(line), "{'id':'a','text':'x'%s}\n", first);
    bench_submit(&bench, "k", NULL, line, uuid);
    (void)snprintf(line, sizeof(line), "{'id':'a','text':'x'%s}\n", second);
    bench_submit(&bench, "l", NULL, line, other);
    cr_assert_eq(bench_stat(&bench, "drafts_joined"), 1);
}

static void
expect_end(const char *batch, const char *want)
{
    cr_expect_str_eq(bench_state(&bench, batch), "finished");
    if (want) {
        expect_answer(batch, want);
        return;
    }
    cr_expect_str_eq(result_str(&bench, batch, "a", "status"), "error");
    cr_expect_str_eq(result_str(&bench, batch, "a", "error.code"),
                     "unsendable");
}

Test(broker_moved, each_is_answered_by_what_its_key_or_itself_says)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char before[] = { cases[i].before, '\0' };
        const char after[] = { cases[i].after, '\0' };
        size_t calls;

        set_up();
        set(&bench.conf.upstreams[0].model, before);
        bench_restart(&bench);
        hand_hello(hand);
        bench_run(&bench);
        submit_two(cases[i].first, cases[i].second);
        if (cases[i].url)
            set(&bench.conf.upstreams[0].base_url, cases[i].url);
        if (cases[i].route)
            set(&bench.conf.route, cases[i].route);
        if (cases[i].upstream)
            set(&bench.conf.upstreams[0].name, cases[i].upstream);
        restart_with_model(after);
        calls = work();
        cr_expect_eq(calls, cases[i].calls, "%s: %zu calls", cases[i].name,
                     calls);
        expect_end(uuid, cases[i].one);
        expect_end(other, cases[i].two);
        tear_down();
    }
}

/* ---- what a draft finds where it goes ---- */

Test(broker_moved, it_joins_what_waits_there, .init = set_up, .fini = tear_down)
{
    bench_submit(&bench, "k", NULL, plain, uuid);
    set(&bench.conf.upstreams[0].model, "n");
    bench_restart(&bench);
    bench_submit(&bench, "l", NULL, plain, other);
    bench_advance(&bench, bench.conf.group_window_ms);
    hand_hello(hand);
    cr_expect_eq(work(), 1);
    expect_answer(uuid, "one of n");
    expect_answer(other, "one of n");
    cr_expect_str_eq(result_str(&bench, uuid, "a", "cache"), "joined");
    cr_expect_str_eq(result_str(&bench, other, "a", "cache"), "none");
}

Test(broker_moved, it_has_the_answer_that_is_there, .init = set_up,
     .fini = tear_down)
{
    bench_submit(&bench, "k", NULL, plain, uuid);
    bench_ask(&bench, NULL, "'verb':'pause','batch':'%s'", uuid);
    restart_with_model("n");
    cr_assert_eq(calls_for("l", plain), 1);
    bench_ask(&bench, NULL, "'verb':'resume','batch':'%s'", uuid);
    cr_expect_eq(work(), 0);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    expect_answer(uuid, "one of n");
    cr_expect_str_eq(result_str(&bench, uuid, "a", "cache"), "memory");
}

Test(broker_moved, answers_are_found_by_the_key_they_were_asked_for,
     .init = set_up, .fini = tear_down)
{
    bench_submit(&bench, "k", NULL, plain, uuid);
    bench_submit(&bench, "l", NULL, named, other);
    restart_with_model("n");
    cr_assert_eq(work(), 2);
    cr_expect_eq(calls_for("m", plain), 0);
    cr_expect_eq(calls_for("n", named), 0);
    restart_with_model("m");
    cr_expect_eq(calls_for("o", plain), 0, "as the named one was answered");
    restart_with_model("o");
    cr_expect_eq(calls_for("p", plain), 1);
}

/* The limit of an answer comes from the upstream as its model does. */
Test(broker_moved, a_limit_that_a_draft_names_stays, .init = set_up,
     .fini = tear_down)
{
    bench.conf.upstreams[0].max_tokens_default = 100;
    restart();
    submit_two("", ",'max_tokens':100");
    bench.conf.upstreams[0].max_tokens_default = 200;
    restart();
    cr_expect_eq(work(), 2);
    expect_answer(uuid, "one of m, 200");
    expect_answer(other, "one of m, 100");
}

/* ---- calls of the request that it had ---- */

/* The call that is under way is for the old model. */
static int64_t
start_old(const char *line)
{
    struct slip *slip;

    bench_submit(&bench, "k", NULL, line, uuid);
    bench_advance(&bench, bench.conf.group_window_ms);
    hand_start(hand);
    slip = hand_slip(hand, SLIP_RUNNING, 0);
    cr_assert_not_null(slip);
    return slip->request;
}

Test(broker_moved, a_call_that_goes_on_ends_what_it_was_for, .init = set_up,
     .fini = tear_down)
{
    (void)start_old(plain);
    bench_submit(&bench, "l", NULL, named, other);
    restart_with_model("n");
    cr_expect_eq(work(), 0, "the call goes on");
    expect_answer(uuid, "one of m");
    expect_answer(other, "one of m");
    cr_expect_eq(calls_for("m", named), 0);
    cr_expect_eq(calls_for("n", plain), 1);
}

/* A worker that was lost comes back with its answer, when another call is made
 * for its draft: that is kept for what was asked, and for nothing else. */
Test(broker_moved, a_late_answer_is_none_to_the_new_request, .init = set_up,
     .fini = tear_down)
{
    struct hand *second = hand_new(&bench, 5);
    int64_t old = start_old(plain);
    struct slip *slip;

    hand_disconnect(hand);
    set(&bench.conf.upstreams[0].model, "n");
    bench_restart(&bench);
    hand_hello(second);
    bench_run(&bench);
    bench_advance(&bench, 1200000);
    hand_start(second);
    slip = hand_slip(second, SLIP_RUNNING, 0);
    cr_assert_not_null(slip);
    cr_expect_neq(slip->request, old);
    cr_expect_not_null(strstr(slip->body, "\"model\":\"n\""));
    hand_hello(hand);
    bench_run(&bench);
    hand_say(hand,
             "{'verb':'result','request':%lld,'fence':1,'class':'ok',"
             "'http_status':200,'sent':1}",
             (long long)old);
    bench_run(&bench);
    cr_expect_str_eq(bench_state(&bench, uuid), "sealed");
    hand_answer(second, slip, "one of n");
    bench_run(&bench);
    expect_answer(uuid, "one of n");
    hand_kill(second);
    cr_expect_eq(calls_for("m", named), 1);
}

/* What was leased ahead, and not started, would go to the new URL, which comes with
 * the welcome, and be kept for the old one: it comes back. */
Test(broker_moved, a_call_that_was_not_started_is_not_made, .init = set_up,
     .fini = tear_down)
{
    char **url = &bench.conf.upstreams[0].base_url;
    char *first = mem_dup_str(*url);

    bench.conf.slots_max = 1;
    restart();
    bench_submit(&bench, "k", NULL, plain, uuid);
    bench_submit(&bench, "l", NULL, "{'id':'a','text':'y'}\n", other);
    bench_advance(&bench, bench.conf.group_window_ms);
    hand_start(hand);
    cr_assert_eq(hand_count(hand, SLIP_RUNNING), 1);
    cr_assert_eq(hand_count(hand, SLIP_WAITING), 1);
    set(url, "https://other.example/v1");
    bench_restart(&bench);
    hand_hello(hand);
    bench_run(&bench);
    cr_expect_eq(hand->cancel_count, 1);
    cr_expect_eq(bench_stat(&bench, "leases_lost"), 0);
    cr_assert_eq(hand_count(hand, SLIP_RUNNING), 1);
    cr_expect_eq(work(), 1);
    expect_answer(uuid, "one of m");
    expect_answer(other, "one of m");
    set(url, first);
    restart();
    cr_expect_eq(calls_for("m", plain), 0, "this was answered there");
    cr_expect_eq(calls_for("n", "{'id':'a','text':'y'}\n"), 1, "this was not");
    free(first);
}

/* ---- drafts that do not wait ---- */

/* Its own draft has run out; the one that joined it is asked. */
Test(broker_moved, an_expired_draft_takes_nobody_along, .init = set_up,
     .fini = tear_down)
{
    bench_open(&bench, "k", NULL, "'deadline':1800000010000", uuid);
    bench_chunk(&bench, uuid, 1, plain);
    bench_seal(&bench, uuid, 1, 1);
    bench_ask(&bench, NULL, "'verb':'pause','batch':'%s'", uuid);
    bench_submit(&bench, "l", NULL, named, other);
    bench_ask(&bench, NULL, "'verb':'pause','batch':'%s'", other);
    bench_advance(&bench, 20000);
    cr_assert_str_eq(bench_state(&bench, uuid), "expired");
    restart_with_model("n");
    bench_ask(&bench, NULL, "'verb':'resume','batch':'%s'", other);
    cr_expect_eq(work(), 1);
    expect_answer(other, "one of m");
}

/* Its result was a failure for the old model; tried again, it asks the new one,
 * and the failure is shown until that answers. */
Test(broker_moved, a_failure_is_kept_until_the_new_answer, .init = set_up,
     .fini = tear_down)
{
    struct slip *slip;

    (void)start_old(plain);
    bench_submit(&bench, "l", NULL, named, other);
    hand_end(hand, hand_slip(hand, SLIP_RUNNING, 0), "permanent", 400, 0);
    bench_run(&bench);
    cr_assert_str_eq(bench_state(&bench, other), "finished");
    restart_with_model("n");
    bench_ask(&bench, NULL, "'verb':'retry','batch':'%s'", uuid);
    bench_run(&bench);
    hand_start(hand);
    slip = hand_slip(hand, SLIP_RUNNING, 0);
    cr_assert_not_null(slip);
    cr_expect_not_null(strstr(slip->body, "\"model\":\"n\""));
    cr_expect_str_eq(result_str(&bench, uuid, "a", "status"), "bad_request");
    hand_answer(hand, slip, "one of n");
    bench_run(&bench);
    expect_answer(uuid, "one of n");
    cr_expect_str_eq(result_str(&bench, other, "a", "status"), "bad_request",
                     "it named another model");
}

/* ---- many ---- */

/* How many drafts refer to the first request. */
static size_t
left(size_t max)
{
    struct err err = { 0 };
    size_t count;

    cr_assert_eq(store_begin(bench.store, bench.now_ms, &err), 0);
    count = store_request_drafts(bench.store, 1, max);
    store_abort(bench.store);
    return count;
}

/* A thousand drafts have one request, and the last one says what the others do not.
 * In no turn more are moved than it may do, and a call answers each kind. */
Test(broker_moved, many_go_in_bounded_steps, .init = set_up, .fini = tear_down)
{
    enum { MANY = 1000, STEPS = 100 };
    struct buf lines = { 0 };
    size_t before = MANY;

    bench.conf.commit_items_max = STEPS;
    for (int i = 0; i < MANY; i++) {
        buf_addf(&lines, "{'id':'%d','text':'x'%s}\n", i,
                 i == MANY - 1 ? ",'model':'m'" : "");
    }
    bench_submit(&bench, "k", NULL, lines.data, uuid);
    buf_fini(&lines);
    cr_assert_eq(left(MANY + 1), MANY);
    set(&bench.conf.upstreams[0].model, "n");
    bench_restart(&bench);
    hand_hello(hand);
    for (int turns = 0; before > 1; turns++) {
        size_t now;

        cr_assert_lt(turns, MANY, "nothing is moved any more");
        bench_turn(&bench);
        now = left(MANY + 1);
        cr_assert_leq(before - now, STEPS, "%zu at once", before - now);
        before = now;
    }
    cr_expect_eq(work(), 2);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
    cr_expect_str_eq(result_str(&bench, uuid, "0", "text"), "one of n");
    cr_expect_str_eq(result_str(&bench, uuid, "999", "text"), "one of m");
}

static void
count_return(void *context, uint64_t request, enum request_state from,
             enum request_state to)
{
    size_t *returns = context;

    *returns += request == 1 && from == REQUEST_LEASED && to == REQUEST_READY;
}

static void
ignore_batch(void *context, uint64_t batch, enum batch_state from,
             enum batch_state to)
{
    (void)context;
    (void)batch;
    (void)from;
    (void)to;
}

/* To put a request back costs as much as there are batches that want it: those that
 * leave do so one behind the other. */
Test(broker_moved, many_batches_leave_in_one_go, .init = set_up,
     .fini = tear_down)
{
    enum { BATCHES = 60 };
    char key[KEY_BYTES];
    size_t returns = 0;

    for (int i = 0; i < BATCHES; i++) {
        (void)snprintf(key, sizeof(key), "b%d", i);
        bench_submit(&bench, key, NULL, i == BATCHES - 1 ? named : plain,
                     i ? other : uuid);
    }
    cr_assert_eq(left(BATCHES + 1), BATCHES);
    store_watch_moves(bench.store, ignore_batch, count_return, &returns);
    restart_with_model("n");
    cr_expect_eq(work(), 2);
    cr_expect_eq(returns, 1, "put back %zu times", returns);
    expect_answer(uuid, "one of n");
    expect_answer(other, "one of m");
}
