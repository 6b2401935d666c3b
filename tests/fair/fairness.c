/*
 * fairness.c - who waits how long, under which schedule
 *
 * Crowds of batches are submitted to the real core, at once or one after the
 * other, in simulated time; a worker with 20 slots makes their calls, which take 40 ms for each
 * token of their answer. Printed is the mean time from submission to completion
 * of each crowd's batches. The program is linked once with each schedule.
 */
/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/mem.h"
#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"

#define SLOTS        20
#define MS_PER_TOKEN 40
#define TOKEN_BYTES  4
#define CHUNK_DRAFTS 100
#define BATCHES_MAX  200
#define CROWDS_MAX   4

/* Batches of a kind. */
struct crowd {
    const char *name, *client;
    int batches, drafts;
    int chars;   /* of a draft's text */
    int answer;  /* tokens of an answer; allowed are twice as many */
    int every_s; /* between two of its batches; the first comes at once */
};

struct run {
    struct bench bench;
    struct hand *hand;
    int batch_count;
    int left[BATCHES_MAX]; /* drafts to do */
    const struct crowd *crowds[BATCHES_MAX];
    int64_t come_ms[BATCHES_MAX], done_ms[BATCHES_MAX];
    int64_t *ends_ms; /* of calls, by request */
    size_t end_count;
};

static void
add_draft(struct buf *lines, const struct crowd *crowd, int batch, int draft)
{
    size_t from;

    buf_addf(lines, "{\"id\":\"%d\",\"max_tokens\":%d,\"text\":\"", draft,
             2 * crowd->answer);
    from = lines->bytes;
    buf_addf(lines, "<%d %d %d> ", batch, crowd->answer, draft);
    while (lines->bytes - from < (size_t)crowd->chars)
        buf_add_char(lines, 'x');
    buf_add_str(lines, "\"}\n");
}

static void
submit(struct run *run, int batch)
{
    const struct crowd *crowd = run->crowds[batch];
    char uuid[BENCH_UUID_BYTES];
    int chunks = 0;

    bench_ask(&run->bench, NULL, "'verb':'open','client':'%s','key':'%d'",
              crowd->client, batch);
    (void)snprintf(
        uuid, sizeof(uuid), "%s",
        at_str(bench_answer(&run->bench, run->bench.re)->head, "batch"));
    for (int first = 0; first < crowd->drafts; first += CHUNK_DRAFTS) {
        struct buf lines = { 0 };

        for (int i = first; i < crowd->drafts && i < first + CHUNK_DRAFTS; i++)
            add_draft(&lines, crowd, batch, i);
        bench_chunk(&run->bench, uuid, ++chunks, lines.data);
        buf_fini(&lines);
    }
    bench_seal(&run->bench, uuid, chunks, crowd->drafts);
    run->left[batch] = crowd->drafts;
}

/* Submits what has to come by now; returns when the next one comes. */
static int64_t
submit_due(struct run *run)
{
    int64_t next_ms = INT64_MAX;

    for (int i = 0; i < run->batch_count; i++) {
        if (run->left[i] > 0 || run->done_ms[i] > 0)
            continue;
        if (run->come_ms[i] <= run->bench.now_ms)
            submit(run, i);
        else if (run->come_ms[i] < next_ms)
            next_ms = run->come_ms[i];
    }
    return next_ms;
}

/* What a call is about, from its prompt. */
static void
read_call(const struct slip *slip, int *batch, int *answer)
{
    const char *at = strchr(slip->body, '<');
    char *end;

    cr_assert_not_null(at);
    *batch = (int)strtol(at + 1, &end, 10);
    *answer = (int)strtol(end, &end, 10);
}

static void
start_calls(struct run *run)
{
    struct slip *slip;

    hand_start(run->hand);
    for (size_t i = 0; (slip = hand_slip(run->hand, SLIP_RUNNING, i)); i++) {
        int batch, answer;

        while (run->end_count <= (size_t)slip->request) {
            run->ends_ms = mem_grow(run->ends_ms, run->end_count * 2 + 1024,
                                    sizeof(run->ends_ms[0]));
            memset(run->ends_ms + run->end_count, 0,
                   (run->end_count + 1024) * sizeof(run->ends_ms[0]));
            run->end_count = run->end_count * 2 + 1024;
        }
        if (run->ends_ms[slip->request] != 0)
            continue;
        read_call(slip, &batch, &answer);
        run->ends_ms[slip->request] =
            run->bench.now_ms + (int64_t)answer * MS_PER_TOKEN;
    }
}

static int64_t
next_end_ms(const struct run *run)
{
    int64_t next_ms = INT64_MAX;
    struct slip *slip;

    for (size_t i = 0; (slip = hand_slip(run->hand, SLIP_RUNNING, i)); i++) {
        if (run->ends_ms[slip->request] < next_ms)
            next_ms = run->ends_ms[slip->request];
    }
    return next_ms;
}

static void
end_call(struct run *run, struct slip *slip)
{
    int prompt = (int)strlen(slip->body) / TOKEN_BYTES;
    int batch, answer;

    read_call(slip, &batch, &answer);
    hand_say(run->hand,
             "{'verb':'result','request':%lld,'fence':%lld,'class':'ok',"
             "'http_status':200,'prompt_tokens':%d,'completion_tokens':%d,"
             "'total_tokens':%d,'sent':1}",
             (long long)slip->request, (long long)slip->fence, prompt, answer,
             prompt + answer);
    hand_forget(run->hand, slip);
    if (--run->left[batch] == 0)
        run->done_ms[batch] = run->bench.now_ms;
}

static void
end_calls(struct run *run)
{
    struct slip *slip;

    for (size_t i = 0; (slip = hand_slip(run->hand, SLIP_RUNNING, i));) {
        if (run->ends_ms[slip->request] <= run->bench.now_ms)
            end_call(run, slip);
        else
            i++;
    }
}

static void
work(struct run *run)
{
    int64_t next_ms = submit_due(run), end_ms;

    run->hand = hand_new(&run->bench, SLOTS);
    bench_advance(&run->bench, run->bench.conf.group_window_ms);
    for (;;) {
        bench_run(&run->bench);
        start_calls(run);
        end_ms = next_end_ms(run);
        if (end_ms < next_ms)
            next_ms = end_ms;
        if (next_ms == INT64_MAX)
            break;
        bench_advance(&run->bench, next_ms - run->bench.now_ms);
        end_calls(run);
        next_ms = submit_due(run);
    }
}

static void
add_weight(struct conf *conf, const char *name, int64_t weight)
{
    conf->clients[conf->client_count++] =
        (struct conf_client){ .name = mem_dup_str(name), .weight = weight };
}

static void
simulate(const char *name, const struct crowd *crowds, size_t count)
{
    struct run *run = mem_zalloc(1, sizeof(*run));
    int batch = 0;

    bench_init(&run->bench, BENCH_STORE_MAX);
    run->bench.conf.slots_max = SLOTS;
    run->bench.conf.deadline_ms = INT64_C(1) << 34;
    add_weight(&run->bench.conf, "heavy", 4);
    bench_start(&run->bench);
    for (size_t i = 0; i < count; i++) {
        for (int j = 0; j < crowds[i].batches; j++, batch++) {
            run->crowds[batch] = &crowds[i];
            run->come_ms[batch] =
                run->bench.now_ms + INT64_C(1000) * j * crowds[i].every_s;
        }
    }
    run->batch_count = batch;
    work(run);
    batch = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t sum_ms = 0, most_ms = 0;

        for (int j = 0; j < crowds[i].batches; j++, batch++) {
            int64_t took_ms = run->done_ms[batch] - run->come_ms[batch];

            cr_assert_eq(run->left[batch], 0, "all are done");
            sum_ms += took_ms;
            most_ms = took_ms > most_ms ? took_ms : most_ms;
        }
        printf("%-6s %-10s %3d x %5d  mean %6lld s  last %6lld s\n", name,
               crowds[i].name, crowds[i].batches, crowds[i].drafts,
               (long long)(sum_ms / crowds[i].batches / 1000),
               (long long)(most_ms / 1000));
    }
    (void)fflush(stdout);
    free(run->ends_ms);
    bench_fini(&run->bench);
    free(run);
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

Test(fairness, short_batches_behind_a_long_one)
{
    static const struct crowd crowds[] = {
        { "long", "c", 1, 10000, 1500, 400, 0 },
        { "short", "c", 50, 10, 200, 50, 0 },
    };

    simulate("long", crowds, COUNT(crowds));
}

Test(fairness, short_batches_now_and_then)
{
    static const struct crowd crowds[] = {
        { "long", "c", 1, 10000, 1500, 400, 0 },
        { "short", "c", 50, 10, 200, 50, 60 },
    };

    simulate("then", crowds, COUNT(crowds));
}

Test(fairness, scenario_a_equal_costs)
{
    static const struct crowd crowds[] = {
        { "big", "c", 1, 10000, 400, 100, 0 },
        { "small", "c", 50, 10, 400, 100, 20 },
        { "middle", "c", 5, 200, 400, 100, 0 },
    };

    simulate("A", crowds, COUNT(crowds));
}

Test(fairness, scenario_b_one_ten_times_as_costly)
{
    static const struct crowd crowds[] = {
        { "costly", "c", 1, 3000, 400, 1000, 0 },
        { "cheap", "c", 1, 3000, 400, 100, 0 },
        { "small", "c", 50, 10, 400, 100, 20 },
    };

    simulate("B", crowds, COUNT(crowds));
}

Test(fairness, scenario_c_many_of_a_middle_size)
{
    static const struct crowd crowds[] = {
        { "big", "c", 1, 10000, 400, 100, 0 },
        { "middle", "c", 20, 500, 400, 100, 0 },
        { "small", "c", 50, 10, 400, 100, 20 },
    };

    simulate("C", crowds, COUNT(crowds));
}

Test(fairness, clients_of_different_weights)
{
    static const struct crowd crowds[] = {
        { "oldest", "c", 1, 10, 400, 100, 0 },
        { "weight 1", "c", 10, 200, 400, 100, 0 },
        { "weight 4", "heavy", 1, 2000, 400, 100, 0 },
    };

    simulate("weight", crowds, COUNT(crowds));
}
