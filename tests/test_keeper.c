/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* O_CLOEXEC, flock */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
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
static struct hand *hand;
static char *lock;
static int lock_fd;

static void
say_hello(struct hand *from, const char *uuid, const char *file)
{
    hand_say(from,
             "{'verb':'hello','protocol':1,'worker':'%s','name':'w','host':"
             "'" BENCH_HOST "','pid':7,'lock':'%s','own':'','capacity':5,"
             "'slots':0,'held':[]}",
             uuid, file);
    bench_run(&bench);
}

static void
set_up(void)
{
    static const struct keeper_terms terms = { .own = BENCH_OWN,
                                               .parent_fd = -1 };
    char leaf[64];

    scratch = scratch_make();
    bench_init(&bench, BENCH_STORE_MAX);
    bench_start(&bench);
    hand = hand_new(&bench, 5);
    (void)snprintf(leaf, sizeof(leaf), "worker-%s.lock", hand->uuid);
    lock = scratch_path(&scratch, leaf);
    lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(lock_fd, 0);
    cr_assert_eq(flock(lock_fd, LOCK_EX), 0);
    keeper = keeper_new(&terms);
    say_hello(hand, hand->uuid, lock);
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
    if (commits) {
        cr_assert_eq(store_commit(bench.store, &err), 0, "%s", err.msg);
        keeper_remove_locks(keeper, bench.broker);
    } else {
        store_abort(bench.store);
    }
}

/* Its process ends: what it has said is on its way, and its link stands until
 * that was read. */
static void
die(void)
{
    cr_assert_eq(flock(lock_fd, LOCK_UN), 0);
}

/* The end of its link is seen, which the broker learns from what it says to it.
 */
static void
end_link(void)
{
    hand_disconnect(hand);
    look(true);
    bench_run(&bench);
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
    die();
    end_link();
    cr_assert_eq(bench_stat(&bench, "slots_lent"), 5);
    cr_expect(is_there());
    look(true);
    cr_expect_eq(bench_stat(&bench, "slots_lent"), 0);
    cr_expect_eq(bench_stat(&bench, "workers_offline"), 0);
    cr_expect_not(is_there(), "its last words lie about");
}

Test(keeper, keeps_the_lock_where_the_store_had_no_room_to_forget,
     .init = set_up, .fini = tear_down)
{
    struct err err = { 0 };

    die();
    end_link();
    look(false);
    cr_assert_eq(broker_recover(bench.broker, bench.now_ms, false, &err), 0);
    keeper_remove_locks(keeper, bench.broker);
    cr_expect(is_there());
    look(true);
    cr_expect_not(is_there());
}

Test(keeper, keeps_a_dead_worker_until_its_link_has_ended, .init = set_up,
     .fini = tear_down)
{
    die();
    look(true);
    bench_run(&bench);
    look(true);
    cr_expect_eq(bench_stat(&bench, "slots_lent"), 5);
    cr_expect(is_there());
}

/* Whoever can write there could stop the broker for ever. */
Test(keeper, waits_for_no_words_from_a_pipe, .init = set_up, .fini = tear_down)
{
    die();
    cr_assert_eq(unlink(lock), 0);
    cr_assert_eq(mkfifo(lock, S_IRUSR | S_IWUSR), 0);
    end_link();
    look(true);
    cr_expect_eq(bench_stat(&bench, "slots_lent"), 0);
    cr_expect_not(is_there());
}

/* The worker makes the one call of a batch. */
static void
start_call(char uuid[BENCH_UUID_BYTES])
{
    bench_submit_many(&bench, "k", 1, uuid);
    bench_start_calls(&bench);
    hand_beat(hand);
    bench_run(&bench);
    cr_assert_eq(hand_count(hand, SLIP_RUNNING), 1);
}

/* A worker that says that it leaves has finished what it ran. */
Test(keeper, hears_a_dead_worker_that_said_good_bye, .init = set_up,
     .fini = tear_down)
{
    char uuid[BENCH_UUID_BYTES];

    start_call(uuid);
    hand_bye(hand);
    die();
    look(true);
    bench_run(&bench);
    cr_expect_eq(bench_stat(&bench, "workers_lost"), 0);
    cr_expect_eq(bench_stat(&bench, "leases_lost"), 0);
    cr_expect_eq(bench_stat(&bench, "slots_lent"), 0);
}

/* Somebody else is there who would call again what is paid for. */
Test(keeper, hears_the_answer_of_a_dead_worker, .init = set_up,
     .fini = tear_down)
{
    char uuid[BENCH_UUID_BYTES];

    start_call(uuid);
    (void)hand_new(&bench, 5);
    bench_run(&bench);
    hand_answer(hand, hand_slip(hand, SLIP_RUNNING, 0), "answer");
    die();
    look(true);
    bench_run(&bench);
    bench_start_calls(&bench);
    cr_expect_eq(bench.call_count, 1, "called twice");
    cr_expect_eq(bench_stat(&bench, "leases_lost"), 0);
    cr_expect_str_eq(bench_state(&bench, uuid), "finished");
}

/* What its successor needs to know the same: a worker of somebody else, whose
 * lock is gone, may be alive where that cannot be seen. */
Test(keeper, that_dies_before_its_commit_leaves_the_proof, .init = set_up,
     .fini = tear_down)
{
    die();
    end_link();
    look(false);
    cr_assert(is_there(), "the lock is gone, the worker is not");
    bench_restart(&bench);
    cr_assert_eq(bench_stat(&bench, "slots_lent"), 5);
    look(true);
    cr_expect_eq(bench_stat(&bench, "slots_lent"), 0);
}

Test(keeper, removes_no_file_that_is_no_lock_of_a_worker, .init = set_up,
     .fini = tear_down)
{
    static const char other[] = "7e57ab1e-0000-4000-8000-000000000001";
    static const char *const names[] = {
        "precious", "worker-7e57ab1e-0000-4000-8000-000000000002.lock",
        "worker-.lock", "worker-7e57ab1e-0000-4000-8000-000000000001.lock.txt"
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *path = scratch_path(&scratch, names[i]);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        cr_assert_geq(fd, 0);
        hand = hand_new(&bench, 1);
        bench_run(&bench);
        say_hello(hand, i % 2 ? hand->uuid : other, path);
        end_link();
        look(true);
        cr_expect_eq(access(path, F_OK), 0, "%s is gone", names[i]);
        close(fd);
        free(path);
    }
    cr_expect_eq(bench_stat(&bench, "bad_messages"), 4);
}
