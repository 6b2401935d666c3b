/* SPDX-License-Identifier: MIT */
/*
 * Histories of random events: clients that repeat themselves, leave things out
 * and vanish; workers that are slow, die, come back, and one that lies; brokers
 * that are started anew, commits that fail, time that jumps. Then calm, and all
 * that was acknowledged has come to its end. A history that goes wrong is run
 * again with HISTORY=seed.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/status.h"
#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

TestSuite(broker_random, .timeout = 110);

#ifdef __SANITIZE_ADDRESS__
#define HISTORIES 60 /* all is slow then */
#else
#define HISTORIES 240
#endif
#define STEPS      1200
#define BATCHES    6
#define CHUNKS     6
#define HOUR_MS    INT64_C(3600000)
#define CALM_STEPS 3000
#define UNKNOWN    (-1)

/* What a client knows of a chunk. */
struct sent {
    char *lines;
    int64_t re;       /* of the question that waits for its answer */
    int64_t accepted; /* as acknowledged */
};

/* What a client knows of its batch. */
struct plan {
    char uuid[BENCH_UUID_BYTES]; /* empty until it was told */
    bool is_early, is_dropped;
    int64_t open_re;
    int chunk_count;
    struct sent chunks[CHUNKS];
};

struct history {
    struct bench bench;
    uint64_t random;
    struct plan plans[BATCHES];
    struct hand *liar;
};

static uint64_t
draw(struct history *history, uint64_t below)
{
    uint64_t z = history->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % below;
}

static struct plan *
any_plan(struct history *history)
{
    return &history->plans[draw(history, BATCHES)];
}

/* ---- clients ---- */

static void
post_open(struct history *history, struct plan *plan)
{
    int number = (int)(plan - history->plans);

    plan->open_re = bench_ask_later(
        &history->bench, number % 3 ? "{'goal':'G'}" : NULL,
        "'verb':'open','client':'c','key':'%d','early':%s,'priority':%d%s",
        number, plan->is_early ? "true" : "false", number % 4,
        number == 5 ? ",'window':'sat,sun 00:00-24:00'" : "");
}

static void
make_lines(struct history *history, struct plan *plan, struct sent *chunk)
{
    struct buf lines = { 0 };
    int count = 1 + (int)draw(history, 6);
    long number = (chunk - plan->chunks) * 10;

    for (int i = 0; i < count; i++) {
        /* Some ids twice, some lines no good. */
        if (draw(history, 12) > 0)
            number++;
        if (draw(history, 20) == 0) {
            buf_add_str(&lines, "no draft\n");
            continue;
        }
        buf_addf(&lines, "{'id':'%ld','text':'text %d'", number,
                 (int)draw(history, 10));
        if (draw(history, 3) == 0)
            buf_addf(&lines, ",'goal':'goal %d'", (int)draw(history, 2));
        if (draw(history, 5) == 0)
            buf_add_str(&lines, ",'upstream':'two'");
        if (draw(history, 8) == 0)
            buf_add_str(&lines, ",'max_tokens':100");
        buf_add_str(&lines, "}\n");
    }
    chunk->lines = buf_take(&lines);
    chunk->accepted = UNKNOWN;
}

static void
post_chunk(struct history *history, struct plan *plan)
{
    int n;

    if (!*plan->uuid) {
        post_open(history, plan);
        return;
    }
    if (plan->chunk_count < CHUNKS && draw(history, 3) > 0) {
        n = plan->chunk_count++;
        make_lines(history, plan, &plan->chunks[n]);
    } else if (plan->chunk_count > 0) {
        n = (int)draw(history, (uint64_t)plan->chunk_count);
    } else {
        return;
    }
    plan->chunks[n].re = bench_chunk_later(&history->bench, plan->uuid, n + 1,
                                           plan->chunks[n].lines);
}

static void
learn(struct history *history)
{
    for (int i = 0; i < BATCHES; i++) {
        struct plan *plan = &history->plans[i];
        const struct answer *answer =
            bench_answer(&history->bench, plan->open_re);

        if (answer && !*plan->uuid) {
            (void)snprintf(plan->uuid, sizeof(plan->uuid), "%s",
                           at_str(answer->head, "batch"));
        }
        for (int n = 0; n < plan->chunk_count; n++) {
            struct sent *chunk = &plan->chunks[n];

            answer = bench_answer(&history->bench, chunk->re);
            if (!answer || strcmp(at_str(answer->head, "verb"), "stored") != 0)
                continue;
            cr_assert(chunk->accepted == UNKNOWN ||
                      chunk->accepted == at_int(answer->head, "accepted"));
            chunk->accepted = at_int(answer->head, "accepted");
        }
    }
}

static void
post_seal(struct history *history, struct plan *plan)
{
    const cJSON *head;

    if (!*plan->uuid)
        return;
    /* Whatever there is: the client may have lost its place. */
    head = bench_ask(&history->bench, NULL, "'verb':'status','batch':'%s'",
                     plan->uuid);
    if (strcmp(at_str(head, "verb"), "status") != 0)
        return;
    head = bench_ask(&history->bench, NULL,
                     "'verb':'seal','batch':'%s','chunks':%lld,'drafts':%lld",
                     plan->uuid, (long long)at_int(head, "next_chunk") - 1,
                     (long long)at_int(head, "counts.drafts"));
    if (strcmp(at_str(head, "verb"), "sealed") == 0 &&
        strcmp(at_str(head, "state"), "empty") == 0) {
        plan->is_dropped = true;
    }
}

static void
act_as_client(struct history *history)
{
    static const char *const asks[] = {
        "status", "results", "refusals", "cancel", "retry", "retry", "wait",
    };
    struct plan *plan = any_plan(history);
    struct bench *bench = &history->bench;
    uint64_t what = draw(history, 24);

    if (what < 14) {
        post_chunk(history, plan);
    } else if (what < 17) {
        post_seal(history, plan);
    } else if (what == 17 && draw(history, 4) == 0 && *plan->uuid) {
        bench_ask_later(bench, NULL, "'verb':'abort','batch':'%s'", plan->uuid);
        plan->is_dropped = true; /* or not: it may be sealed */
    } else if (what < 23 && *plan->uuid) {
        what = draw(history, sizeof(asks) / sizeof(asks[0]));
        if (strcmp(asks[what], "cancel") == 0 && draw(history, 4) > 0)
            return;
        bench_ask_later(bench, NULL,
                        "'verb':'%s','batch':'%s','after':%d,'limit':5",
                        asks[what], plan->uuid, (int)draw(history, 20));
    } else {
        bench_ask_later(bench, NULL, "'verb':'%s'",
                        draw(history, 2) ? "list" : "export");
    }
}

/* ---- workers ---- */

static void
end_call(struct history *history, struct hand *hand)
{
    static const struct {
        const char *class_name;
        int http_status, wait_ms;
    } ends[] = {
        { "retryable", 500, 0 },     { "retryable", 0, 0 },
        { "throttled", 429, 3000 },  { "permanent", 400, 0 },
        { "permanent", 401, 0 },     { "truncated", 200, 0 },
        { "refused", 200, 0 },       { "aborted", 0, 0 },
        { "retryable", 503, 40000 },
    };
    size_t count = hand_count(hand, SLIP_RUNNING), which;
    struct slip *slip;

    if (count == 0)
        return;
    slip = hand_slip(hand, SLIP_RUNNING, draw(history, count));
    which = draw(history, 2 * sizeof(ends) / sizeof(ends[0]));
    if (which < sizeof(ends) / sizeof(ends[0])) {
        hand_end(hand, slip, ends[which].class_name, ends[which].http_status,
                 ends[which].wait_ms);
    } else {
        hand_answer(hand, slip, "answer");
    }
}

static void
lie(struct history *history)
{
    static const char *const classes[] = { "ok", "permanent", "retryable",
                                           "throttled", "aborted" };
    struct hand *liar = history->liar;
    int request = 1 + (int)draw(history, 30), fence = (int)draw(history, 4);

    switch (draw(history, 6)) {
    case 0:
        hand_say(liar, "{'verb':'beat','held':[[%d,%d,1],[%d,1,0]]}", request,
                 fence, request + 1);
        break;
    case 1:
        hand_say(liar, "{'verb':'slots','count':%d}", (int)draw(history, 7));
        break;
    case 2:
        hand_say(liar, "{'verb':'release','held':[[%d,%d]]}", request, fence);
        break;
    case 3:
        hand_say(liar,
                 "{'verb':'result','request':%d,'fence':%d,'class':'%s',"
                 "'http_status':%d,'sent':1,'wait_ms':%d}",
                 request, fence, classes[draw(history, 5)],
                 (int)draw(history, 600), (int)draw(history, 5000));
        break;
    case 4:
        hand_say(liar, "{'verb':'slots','count':'many'}");
        break;
    default:
        hand_hello(liar);
    }
    while (liar->slip_count)
        hand_forget(liar, &liar->slips[0]);
}

static void
bury(struct history *history, struct hand *hand)
{
    struct bench *bench = &history->bench;
    struct err err = { 0 };
    uuid_t id;

    hand_die(hand);
    if (draw(history, 3) == 0)
        return; /* nobody has seen it */
    cr_assert_eq(uuid_parse(hand->uuid, id), 0);
    cr_assert_eq(store_begin(bench->store, bench->now_ms, &err), 0);
    broker_worker_died(bench->broker, id, bench->now_ms);
    cr_assert_eq(store_commit(bench->store, &err), 0);
}

static void
act_as_worker(struct history *history)
{
    struct bench *bench = &history->bench;
    struct hand *hand = bench->hand_count
                            ? bench->hands[draw(history, bench->hand_count)]
                            : NULL;
    uint64_t what = draw(history, 60);

    if (what == 0 && bench->hand_count < BENCH_HANDS_MAX) {
        hand_new(bench, 1 + (uint32_t)draw(history, 6));
        return;
    }
    if (!hand || !hand->is_alive)
        return;
    if (!hand->is_connected && draw(history, 4) == 0)
        hand_hello(hand);
    if (hand == history->liar) {
        lie(history);
    } else if (what < 3) {
        hand_hello(hand);
    } else if (what < 4 && draw(history, 2)) {
        hand_disconnect(hand);
    } else if (what < 5 && draw(history, 3) == 0) {
        bury(history, hand);
    } else if (what < 20) {
        hand_start(hand);
    } else if (what < 40) {
        end_call(history, hand);
    } else if (what < 50) {
        hand_read_one(hand);
    } else if (what < 56) {
        hand_read(hand);
    } else {
        hand_beat(hand);
    }
}

/* ---- the world ---- */

static void
pass_time(struct history *history)
{
    static const int64_t most_ms[] = { 100, 1000, 1000, 3000, 3000, 20000 };
    struct bench *bench = &history->bench;
    int64_t most = most_ms[draw(history, 6)];

    if (draw(history, 60) == 0)
        most = 30 * 60000;
    if (draw(history, 300) == 0)
        most = 25 * HOUR_MS;
    bench->now_ms += (int64_t)draw(history, (uint64_t)most);
    for (size_t i = 0; i < bench->hand_count; i++)
        hand_tick(bench->hands[i]);
}

static void
step(struct history *history)
{
    struct bench *bench = &history->bench;
    uint64_t what = draw(history, 100);

    if (what < 15) {
        act_as_client(history);
    } else if (what < 70) {
        act_as_worker(history);
    } else if (what < 80) {
        pass_time(history);
    } else if (what < 81) {
        if (draw(history, 4) == 0)
            bench_restart(bench);
    } else if (what < 82) {
        bench->fails = true;
    } else {
        bench_turn(bench);
        for (size_t i = 0; i < bench->hand_count; i++) {
            if (draw(history, 3) > 0)
                hand_read(bench->hands[i]);
        }
    }
    learn(history);
}

/* ---- calm ---- */

/* One good worker; the others go, unseen or seen. */
static void
calm_down(struct history *history)
{
    struct bench *bench = &history->bench;
    bool is_live = true;
    int steps = 0;

    bench->is_slow = false;
    for (size_t i = 0; i < bench->hand_count; i++) {
        if (bench->hands[i]->is_alive)
            bury(history, bench->hands[i]);
    }
    if (bench->hand_count == BENCH_HANDS_MAX) {
        hand_free(bench->hands[0]);
        bench->hands[0] = bench->hands[--bench->hand_count];
    }
    hand_new(bench, 5);
    bench_run(bench);
    for (int i = 0; i < BATCHES; i++)
        post_seal(history, &history->plans[i]);
    while (is_live) {
        cr_assert_lt(steps++, CALM_STEPS, "it does not come to an end");
        bench_work(bench);
        /* Leases that nobody needs any more end with their workers' time. */
        is_live = bench_stat(bench, "batches_live") > 0 ||
                  bench_stat(bench, "requests_leased") > 0;
        if (is_live)
            bench_advance(bench, steps < 100 ? 1000 : 600000);
    }
}

static int64_t
check_results(struct history *history, const char *uuid, const cJSON *head)
{
    cJSON *results = bench_results(&history->bench, uuid, 0);
    int64_t counts[STATUS_COUNT] = { 0 }, last_seq = 0, done = 0;
    bool has[CHUNKS * 8] = { false };
    const cJSON *row;

    cJSON_ArrayForEach(row, results)
    {
        int64_t index = at_int(row, "index");

        cr_assert_gt(at_int(row, "seq"), last_seq);
        last_seq = at_int(row, "seq");
        cr_assert_lt(index, CHUNKS * 8);
        cr_assert_not(has[index], "two results of %lld", (long long)index);
        has[index] = true;
        counts[status_parse(at_str(row, "status"))]++;
        done++;
    }
    cr_assert_eq(last_seq, at_int(head, "last_seq"));
    cr_assert_eq(done, at_int(head, "counts.done"));
    cr_assert_eq(done + at_int(head, "counts.refused"),
                 at_int(head, "counts.drafts"));
    cr_assert_eq(at_int(head, "counts.retrying"), 0);
    for (enum status status = STATUS_OK; status < STATUS_COUNT; status++) {
        char path[64];

        (void)snprintf(path, sizeof(path), "counts.%s", status_name(status));
        cr_assert_eq(at_int(head, path), counts[status], "%s", path);
    }
    cJSON_Delete(results);
    return done;
}

static void
check_plan(struct history *history, struct plan *plan, int64_t *done)
{
    struct bench *bench = &history->bench;
    int64_t accepted = 0, known = 0;
    const cJSON *head;
    const char *state;

    if (!*plan->uuid)
        return;
    head = bench_ask(bench, NULL, "'verb':'status','batch':'%s'", plan->uuid);
    if (strcmp(at_str(head, "verb"), "error") == 0) {
        cr_assert(plan->is_dropped, "a batch is gone");
        return;
    }
    state = at_str(head, "state");
    cr_assert_str_neq(state, "sealed");
    cr_assert_str_neq(state, "open");
    if (strcmp(state, "abandoned") == 0)
        return;
    accepted = check_results(history, plan->uuid, head);
    *done += accepted;
    for (int n = 0; n < plan->chunk_count; n++) {
        if (plan->chunks[n].accepted != UNKNOWN) {
            cr_assert_gt(at_int(head, "next_chunk"), n + 1,
                         "an acknowledged chunk is lost");
            known += plan->chunks[n].accepted;
        }
    }
    cr_assert_geq(accepted, known);
}

static void
check_end(struct history *history)
{
    struct bench *bench = &history->bench;
    int64_t done = 0;

    for (int i = 0; i < BATCHES; i++)
        check_plan(history, &history->plans[i], &done);
    /* Batches whose answer was lost are there, too, but they are empty. */
    cr_assert_eq(bench_stat(bench, "drafts"), done);
    cr_assert_eq(bench_stat(bench, "results"), done);
    cr_assert_eq(bench_stat(bench, "requests_ready"), 0);
    cr_assert_eq(bench_stat(bench, "requests_leased"), 0);
    cr_assert_leq(bench_stat(bench, "slots_lent"), bench->conf.slots_max);
    cr_assert_eq(bench->in_flight, 0);
}

static void
run_history(uint64_t seed)
{
    struct history *history = mem_zalloc(1, sizeof(*history));
    struct bench *bench = &history->bench;

    history->random = seed;
    bench_init(bench, BENCH_STORE_MAX);
    bench->conf.slots_max = 1 + (int64_t)draw(history, 8);
    bench->conf.lease_ms = 10000;
    bench->conf.heartbeat_ms = 2000;
    for (size_t i = 0; i < bench->conf.upstream_count; i++)
        bench->conf.upstreams[i].request_timeout_ms = 5000;
    bench->conf.lease_ahead_max = (int64_t)draw(history, 4);
    bench->conf.cache_ttl_ms = draw(history, 2) ? 7200000 : 5000;
    bench->conf.throttle_max = 4;
    bench_start(bench);
    bench->is_slow = true;
    for (int i = 0; i < BATCHES; i++)
        history->plans[i].is_early = draw(history, 2) == 0;
    for (uint64_t i = 0; i < 1 + draw(history, 3); i++)
        hand_new(bench, 1 + (uint32_t)draw(history, 6));
    if (draw(history, 4) == 0) {
        history->liar = hand_new(bench, 3);
        history->liar->beats = false;
    }
    for (int i = 0; i < STEPS; i++)
        step(history);
    bench->fails = false;
    calm_down(history);
    check_end(history);
    bench_fini(bench);
    for (int i = 0; i < BATCHES; i++) {
        for (int n = 0; n < history->plans[i].chunk_count; n++)
            free(history->plans[i].chunks[n].lines);
    }
    free(history);
}

Test(broker_random, histories_end_well)
{
    const char *given = getenv("HISTORY");

    if (given) {
        run_history(strtoull(given, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
        /* Said first: an assertion that fails ends the process. */
        (void)fprintf(stderr, "HISTORY=%llu\n", (unsigned long long)seed);
        run_history(seed);
    }
}
