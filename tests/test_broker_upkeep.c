/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/broker_fixture.h"

TestSuite(broker_upkeep, .timeout = 30);

#define JOB   "6f1c5c3e-0d4c-4c59-9a3e-0123456789ab"
#define OTHER "00000000-0d4c-4c59-9a3e-0123456789ab"

static struct bench bench;

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

static const cJSON *
verify(const char *job)
{
    return bench_ask(&bench, NULL, "'verb':'verify','job':'%s'", job);
}

static const cJSON *
backup(const char *job, const char *directory)
{
    return bench_ask(&bench, NULL,
                     "'verb':'backup','job':'%s','directory':'%s'", job,
                     directory);
}

Test(broker_upkeep, a_job_is_started_once_however_often_it_is_asked_for,
     .init = set_up, .fini = tear_down)
{
    struct job_progress progress = {
        .step = "verify", .rows = 7, .rows_all = 9, .findings = 2, .mendable = 1
    };
    struct job_terms terms;
    const cJSON *answer = verify(JOB);

    cr_assert_str_eq(at_str(answer, "verb"), "upkeep");
    cr_assert_str_eq(at_str(answer, "state"), "running");
    cr_assert(broker_job_take(bench.broker, &terms));
    cr_assert_eq(terms.kind, JOB_VERIFY);
    cr_assert_str_eq(at_str(verify(JOB), "state"), "running");
    cr_assert_not(broker_job_take(bench.broker, &terms));
    broker_job_note(bench.broker, &progress);
    answer = verify(JOB);
    cr_expect_eq(at_int(answer, "rows"), 7);
    cr_expect_eq(at_int(answer, "rows_all"), 9);
    cr_expect_str_eq(at_str(answer, "step"), "verify");
    cr_expect_eq(bench_body(&bench).bytes, 0);
    broker_job_give(bench.broker, NULL, slice_of("draft 1/0: not in done\n"));
    for (int i = 0; i < 2; i++) {
        answer = verify(JOB);
        cr_expect_str_eq(at_str(answer, "state"), "done");
        cr_expect_eq(at_int(answer, "findings"), 2);
        cr_expect_eq(at_int(answer, "repairable"), 1);
        cr_expect(slice_is(bench_body(&bench), "draft 1/0: not in done\n"));
    }
    cr_assert_not(broker_job_take(bench.broker, &terms));
}

Test(broker_upkeep, there_is_one_at_a_time, .init = set_up, .fini = tear_down)
{
    struct job_terms terms;

    cr_assert_str_eq(at_str(backup(JOB, "/a/b/"), "kind"), "backup");
    cr_expect_str_eq(at_str(verify(OTHER), "code"), "full");
    cr_expect_str_eq(at_str(verify(JOB), "code"), "conflict");
    cr_assert(broker_job_take(bench.broker, &terms));
    cr_expect_str_eq(terms.target, "/a/b");
    cr_expect_str_eq(at_str(verify(OTHER), "code"), "full");
    broker_job_give(bench.broker, NULL, slice_of(""));
    cr_expect_str_eq(at_str(verify(OTHER), "state"), "running");
    cr_assert(broker_job_take(bench.broker, &terms));
    cr_expect_eq(terms.kind, JOB_VERIFY);
}

Test(broker_upkeep, a_job_that_failed_says_why, .init = set_up,
     .fini = tear_down)
{
    struct job_terms terms;
    struct err err = { 0 };

    backup(JOB, "/a");
    cr_assert(broker_job_take(bench.broker, &terms));
    err_set(&err, E_CONFLICT, "/a exists");
    broker_job_give(bench.broker, &err, slice_of(""));
    for (int i = 0; i < 2; i++) {
        cr_expect_str_eq(at_str(backup(JOB, "/a"), "code"), "conflict");
        cr_expect_str_eq(at_str(backup(JOB, "/a"), "message"), "/a exists");
    }
}

Test(broker_upkeep, what_cannot_be_done_is_refused, .init = set_up,
     .fini = tear_down)
{
    struct job_terms terms;

    cr_expect_str_eq(at_str(verify("x"), "code"), "invalid");
    cr_expect_str_eq(at_str(backup(JOB, "a/b"), "code"), "invalid");
    cr_expect_str_eq(at_str(backup(JOB, "/"), "code"), "invalid");
    cr_expect_str_eq(
        at_str(bench_ask(&bench, NULL, "'verb':'backup','job':'" JOB "'"),
               "code"),
        "invalid");
    broker_drain(bench.broker, BENCH_OWN);
    cr_expect_str_eq(at_str(verify(JOB), "code"), "draining");
    cr_assert_not(broker_job_take(bench.broker, &terms));
}
