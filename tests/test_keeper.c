/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* O_CLOEXEC, flock */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "queue/keeper.h"
#include "tests/broker_fixture.h"
#include "tests/broker_hand.h"
#include "tests/scratch.h"

TestSuite(keeper, .timeout = 30);

/* A worker that somebody else has started on this host, and its lock. */
static struct bench bench;
static struct scratch scratch;
static struct keeper *keeper;
static char *lock;
static int lock_fd;

static void
set_up(void)
{
    static const struct keeper_terms terms = { .own = BENCH_OWN,
                                               .parent_fd = -1 };
    struct hand *hand;

    scratch = scratch_make();
    lock = scratch_path(&scratch, "worker.lock");
    lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(lock_fd, 0);
    cr_assert_eq(flock(lock_fd, LOCK_EX), 0);
    keeper = keeper_new(&terms);
    bench_init(&bench, BENCH_STORE_MAX);
    bench_start(&bench);
    hand = hand_new(&bench, 5);
    hand_say(hand,
             "{'verb':'hello','protocol':1,'worker':'%s','name':'w','host':"
             "'" BENCH_HOST "','pid':7,'lock':'%s','own':'','capacity':5,"
             "'slots':0,'held':[]}",
             hand->uuid, lock);
    bench_run(&bench);
    cr_assert_eq(bench_stat(&bench, "workers"), 1);
}

static void
tear_down(void)
{
    bench_fini(&bench);
    keeper_free(keeper);
    close(lock_fd);
    free(lock);
    scratch_remove(&scratch);
}

/* Looks round in a transaction, which is committed or was never heard of. */
static void
look(bool commits)
{
    struct err err = { 0 };

    cr_assert_eq(store_begin(bench.store, bench.now_ms, &err), 0);
    keeper_look(keeper, bench.broker, true, bench.now_ms);
    if (commits)
        cr_assert_eq(store_commit(bench.store, &err), 0, "%s", err.msg);
    else
        store_abort(bench.store);
}

static bool
is_there(void)
{
    return access(lock, F_OK) == 0;
}

Test(keeper, leaves_a_worker_that_has_its_lock, .init = set_up,
     .fini = tear_down)
{
    look(true);
    look(true);
    cr_expect_eq(bench_stat(&bench, "workers"), 1);
    cr_expect(is_there());
}

Test(keeper, forgets_a_dead_worker_and_then_removes_its_lock, .init = set_up,
     .fini = tear_down)
{
    cr_assert_eq(flock(lock_fd, LOCK_UN), 0);
    look(true);
    cr_expect_eq(bench_stat(&bench, "workers"), 0);
    look(true);
    cr_expect_not(is_there());
}

/* What its successor needs to know the same: a worker of somebody else, whose
 * lock is gone, may be alive where that cannot be seen. */
Test(keeper, that_dies_before_its_commit_leaves_the_proof, .init = set_up,
     .fini = tear_down)
{
    cr_assert_eq(flock(lock_fd, LOCK_UN), 0);
    look(false);
    cr_assert(is_there(), "the lock is gone, the worker is not");
    bench_restart(&bench);
    cr_assert_eq(bench_stat(&bench, "slots_lent"), 5);
    look(true);
    cr_expect_eq(bench_stat(&bench, "slots_lent"), 0);
}
