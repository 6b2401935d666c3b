/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* nanosleep */
#include "queue/job.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/verify.h"
#include "tests/broker_fixture.h"
#include "tests/rot.h"
#include "tests/store_expect.h"

TestSuite(job, .timeout = 60);

#define JOB         "6f1c5c3e-0d4c-4c59-9a3e-%012d"
#define DRAFTS      3000 /* more rows than between two questions */
#define PATIENCE_MS 30000
#define ATTEMPTS    20

/* A broker that is asked, and a store on the disk that the jobs are about. */
static struct bench bench;
static struct play play;
static struct scratch shelf;
static char *target;
static struct job *job;
static int number; /* of what is asked for */

static void
fill_store(void)
{
    struct play_draft *drafts = calloc(DRAFTS, sizeof(*drafts));
    char(*ids)[8] = calloc(DRAFTS, sizeof(*ids));
    uint64_t batch = play_open(&play, "k");

    for (int i = 0; i < DRAFTS; i++) {
        snprintf(ids[i], sizeof(ids[i]), "%d", i);
        drafts[i] = (struct play_draft){ .id = ids[i], .word = ids[i] };
    }
    play_add(&play, batch, drafts, DRAFTS);
    play_seal(&play, batch);
    free(drafts);
    free(ids);
}

static void
set_up(void)
{
    bench_init(&bench, BENCH_STORE_MAX);
    bench_start(&bench);
    play_start(&play, PLAY_LMDB);
    fill_store();
    shelf = scratch_make();
    target = scratch_path(&shelf, "copy");
    job = NULL;
}

static void
tear_down(void)
{
    job_free(job);
    play_end(&play);
    bench_fini(&bench);
    scratch_remove(&shelf);
    free(target);
}

static const cJSON *
ask(const char *verb)
{
    return bench_ask(&bench, NULL,
                     "'verb':'%s','job':'" JOB "','directory':'%s'", verb,
                     number, target);
}

static void
tend(void)
{
    job_tend(&job, bench.broker, play.store, &bench.conf);
}

/* Tends it until it is over, and asks how it ended. */
static const cJSON *
finish(const char *verb)
{
    const struct timespec pause = { .tv_nsec = 1000000 };
    int64_t end_ms = clock_mono_ms() + PATIENCE_MS;

    do {
        tend();
        cr_assert_lt(clock_mono_ms(), end_ms, "it does not end");
        (void)nanosleep(&pause, NULL);
    } while (job);
    return ask(verb);
}

Test(job, nothing_is_started_that_nobody_wants, .init = set_up,
     .fini = tear_down)
{
    tend();
    cr_expect_null(job);
}

Test(job, verify_reads_a_snapshot_while_the_store_is_used, .init = set_up,
     .fini = tear_down)
{
    static const char *const keys[] = { "v", "w", "x", "y", "z" };
    const cJSON *answer;

    ask("verify");
    tend();
    cr_assert_not_null(job);
    /* Keys of their own: the thread may begin before, between or after them. */
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        play_batch(&play, keys[i], "p q r");
    answer = finish("verify");
    cr_expect_str_eq(at_str(answer, "state"), "done");
    cr_expect_eq(at_int(answer, "findings"), 0);
    cr_expect_gt(at_int(answer, "rows"), DRAFTS);
    cr_expect_eq(at_int(answer, "rows"), at_int(answer, "rows_all"));
}

Test(job, what_is_wrong_is_handed_over, .init = set_up, .fini = tear_down)
{
    const cJSON *answer;

    cr_assert(rot_row(play.store, TABLE_UUID, 0, ROT_DROP, 0));
    ask("verify");
    answer = finish("verify");
    cr_expect_eq(at_int(answer, "findings"), 1);
    cr_expect_eq(at_int(answer, "repairable"), 1);
    cr_expect(slice_is(bench_body(&bench), "batch 1: not found by its uuid\n"));
    cr_assert_eq(store_repair(play.store, &(struct verify){ 0 }, NULL), 0);
}

Test(job, backup_is_made_in_the_thread, .init = set_up, .fini = tear_down)
{
    const cJSON *answer;

    ask("backup");
    answer = finish("backup");
    cr_expect_str_eq(at_str(answer, "state"), "done");
    cr_expect_str_eq(at_str(answer, "step"), "verify");
    cr_expect_gt(at_int(answer, "bytes"), 100000);
    cr_expect_eq(access(target, F_OK), 0);
}

/* The first reason counts. */
Test(job, one_that_is_stopped_says_why_and_leaves_nothing, .init = set_up,
     .fini = tear_down)
{
    const cJSON *answer;

    /* It may be through before it is stopped. */
    for (number = 0; number < ATTEMPTS; number++) {
        ask("backup");
        tend();
        job_stop(job, E_FULL, "the first reason");
        job_stop(job, E_DRAINING, "the second reason");
        answer = finish("backup");
        if (strcmp(at_str(answer, "verb"), "error") == 0)
            break;
        target[strlen(target) - 1]++;
    }
    cr_assert_str_eq(at_str(answer, "code"), "full");
    cr_expect_str_eq(at_str(answer, "message"), "the first reason");
    cr_expect_neq(access(target, F_OK), 0);
}

Test(job, a_snapshot_that_is_held_too_long_is_given_up, .init = set_up,
     .fini = tear_down)
{
    const cJSON *answer;

    bench.conf.snapshot_ms_max = 0;
    ask("verify");
    answer = finish("verify");
    cr_expect_str_eq(at_str(answer, "code"), "full");
    cr_expect(strstr(at_str(answer, "message"), "snapshot_ms_max"));
}

Test(job, the_end_of_the_loop_ends_it, .init = set_up, .fini = tear_down)
{
    ask("backup");
    tend();
    job_free(job);
    job = NULL;
    cr_expect_str_eq(at_str(ask("backup"), "state"), "running");
}

Test(job, a_store_in_memory_has_no_snapshot, .init = set_up, .fini = tear_down)
{
    const cJSON *answer;

    ask("verify");
    job_tend(&job, bench.broker, bench.store, &bench.conf);
    answer = finish("verify");
    cr_expect_str_eq(at_str(answer, "code"), "invalid");
}
