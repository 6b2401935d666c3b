/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/store_expect.h"

/* What the store asks of the file system goes through the functions below, so
 * that one of the calls, counted from the first, can fail, or the process die
 * before it, in the middle of it, or after it. */

#define CALLS_MAX 200 /* that one operation may need */

enum manner { NONE, FAIL, DIE_BEFORE, DIE_WITHIN, DIE_AFTER };

static struct {
    enum manner manner;
    int error; /* of FAIL */
    int at;    /* the call, from 1 */
    int count; /* of calls so far */
} plan;

static void
set_plan(enum manner manner, int error, int at)
{
    plan.manner = manner;
    plan.error = error;
    plan.at = at;
    plan.count = 0;
}

/* A sanitizer calls some of them before it is ready for code of its own. */
#define PLAIN  __attribute__((no_sanitize("address", "undefined")))
#define PUBLIC __attribute__((visibility("default"))) PLAIN

/* True if the call that begins is the one, and how. */
PLAIN static bool
is_turn(enum manner manner)
{
    return plan.count == plan.at && plan.manner == manner;
}

/* Begins a call: true if it must fail. */
PLAIN static bool
begin_call(void)
{
    plan.count++;
    if (is_turn(DIE_BEFORE))
        raise(SIGKILL);
    if (!is_turn(FAIL))
        return false;
    errno = plan.error;
    return true;
}

PLAIN static long
end_call(long rc)
{
    int saved = errno;

    if (is_turn(DIE_AFTER) || is_turn(DIE_WITHIN))
        raise(SIGKILL);
    errno = saved;
    return rc;
}

PUBLIC ssize_t
pwrite(int fd, const void *data, size_t bytes, off_t at)
{
    if (begin_call())
        return -1;
    if (is_turn(DIE_WITHIN))
        bytes /= 2;
    return end_call(syscall(SYS_pwrite64, fd, data, bytes, at));
}

PUBLIC ssize_t
writev(int fd, const struct iovec *parts, int count)
{
    if (begin_call())
        return -1;
    if (is_turn(DIE_WITHIN))
        count = (count + 1) / 2;
    return end_call(syscall(SYS_writev, fd, parts, count));
}

PUBLIC int
fdatasync(int fd)
{
    return begin_call() ? -1 : (int)end_call(syscall(SYS_fdatasync, fd));
}

PUBLIC int
fsync(int fd)
{
    return begin_call() ? -1 : (int)end_call(syscall(SYS_fsync, fd));
}

PUBLIC int
ftruncate(int fd, off_t bytes)
{
    return begin_call() ? -1 : (int)end_call(syscall(SYS_ftruncate, fd, bytes));
}

PUBLIC int
rename(const char *from, const char *to)
{
    return begin_call() ? -1
                        : (int)end_call(syscall(SYS_renameat2, AT_FDCWD, from,
                                                AT_FDCWD, to, 0));
}

PUBLIC int
mkdir(const char *path, mode_t mode)
{
    return begin_call()
               ? -1
               : (int)end_call(syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}

static const unsigned char store_id[STORE_UUID_BYTES] = "a store of tests";

static struct store *
open_at(const char *dir, struct err *err)
{
    return store_open(dir, PLAY_MAP_BYTES, store_id, err);
}

static bool
exists(const struct scratch *scratch, const char *leaf)
{
    char *path = scratch_path(scratch, leaf);
    bool is_there = access(path, F_OK) == 0;

    free(path);
    return is_there;
}

/* Runs work in a child; true if it came to its end, false if it was killed. */
static bool
survives(void (*work)(void *arg), void *arg)
{
    pid_t pid = fork();
    int status;

    cr_assert_geq(pid, 0);
    if (pid == 0) {
        work(arg);
        _exit(0);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status)) {
        cr_assert_eq(WEXITSTATUS(status), 0, "the child ended with %d",
                     WEXITSTATUS(status));
        return true;
    }
    cr_assert_eq(WTERMSIG(status), SIGKILL, "the child died of signal %d",
                 WTERMSIG(status));
    return false;
}

/* ---- creation ---- */

static void
create(void *arg)
{
    const struct scratch *scratch = arg;
    struct store *store = open_at(scratch->path, NULL);

    if (!store)
        _exit(1);
    store_close(store);
}

Test(store_faults, creation_may_be_interrupted_anywhere)
{
    int calls = 0;

    for (enum manner manner = DIE_BEFORE; manner <= DIE_AFTER; manner++) {
        bool is_through = false;

        for (int at = 1; !is_through; at++) {
            struct scratch scratch = scratch_make();
            struct err err = { 0 };
            struct store *store;

            cr_assert_lt(at, CALLS_MAX);
            set_plan(manner, 0, at);
            is_through = survives(create, &scratch);
            set_plan(NONE, 0, 0);
            store = open_at(scratch.path, &err);
            cr_assert_not_null(store, "killed in call %d: %s", at, err.msg);
            store_close(store);
            cr_expect(exists(&scratch, "data.mdb"));
            cr_expect_not(exists(&scratch, "new"), "killed in call %d", at);
            scratch_remove(&scratch);
            calls = at;
        }
    }
    cr_expect_gt(calls, 8, "only %d calls", calls);
}

Test(store_faults, creation_that_fails_leaves_nothing_that_looks_like_a_store)
{
    static const int errors[] = { ENOSPC, EIO };

    for (int i = 0; i < 2; i++) {
        bool is_through = false;

        for (int at = 1; !is_through; at++) {
            struct scratch scratch = scratch_make();
            struct err err = { 0 };
            struct store *store;

            cr_assert_lt(at, CALLS_MAX);
            set_plan(FAIL, errors[i], at);
            store = open_at(scratch.path, &err);
            is_through = plan.count < at;
            set_plan(NONE, 0, 0);
            cr_expect(store || err.code == E_FULL || err.code == E_IO,
                      "call %d: %s", at, err.msg);
            cr_expect(is_through == (store != NULL), "call %d", at);
            store_close(store);
            store = open_at(scratch.path, &err);
            cr_assert_not_null(store, "after call %d: %s", at, err.msg);
            store_close(store);
            scratch_remove(&scratch);
        }
    }
}

/* ---- commits ---- */

/* A batch that was sealed, with one request in flight and one waiting. */
struct scene {
    struct play play;
    uint64_t batch, leased;
    unsigned char before[DIGEST_BYTES], after[DIGEST_BYTES];
};

/* What is done in one transaction: an answer, and a new batch. */
static int
act(struct scene *scene, struct err *err)
{
    struct store *store = scene->play.store;
    struct outcome outcome = { .status = STATUS_OK, .cost_nano = 1 };
    struct batch batch = { .state = BATCH_OPEN,
                           .uuid = "another batch",
                           .chunk_next = 1 };
    struct spec spec = { .client = slice_of("bob"), .key = slice_of("k") };
    struct request request;
    char *big = calloc(1, 100000);

    cr_assert_eq(store_begin(store, scene->play.now_ms + 1, err), 0);
    cr_assert_eq(store_request_get(store, scene->leased, &request), 0);
    store_finish(store, &request, &outcome, (struct slice){ big, 100000 },
                 scene->play.now_ms + 1);
    store_batch_add(store, &batch, &spec);
    play_abandon_at(&scene->play, &batch);
    free(big);
    return store_commit(store, err);
}

static void
set_scene(struct scene *scene)
{
    play_start(&scene->play, PLAY_LMDB);
    scene->batch = play_batch(&scene->play, "k", "a b");
    scene->leased = claim_one(&scene->play, scene->batch);
    play_digest(&scene->play, scene->before);
}

/* What the store holds when nothing goes wrong. */
static void
foresee(struct scene *scene)
{
    struct scene other;
    struct err err = { 0 };

    set_scene(&other);
    cr_assert(memcmp(other.before, scene->before, DIGEST_BYTES) == 0,
              "the scene is not the same each time");
    cr_assert_eq(act(&other, &err), 0, "%s", err.msg);
    play_digest(&other.play, scene->after);
    play_end(&other.play);
    cr_assert(memcmp(scene->before, scene->after, DIGEST_BYTES) != 0);
}

/* -1: as before; 1: as after. */
static int
where(struct scene *scene)
{
    unsigned char now[DIGEST_BYTES];

    play_check(&scene->play);
    play_digest(&scene->play, now);
    if (memcmp(now, scene->before, DIGEST_BYTES) == 0)
        return -1;
    cr_assert(memcmp(now, scene->after, DIGEST_BYTES) == 0,
              "neither before nor after");
    return 1;
}

struct killed {
    struct scene *scene;
    int ack_fd;
};

static void
act_in_child(void *arg)
{
    struct killed *killed = arg;
    struct err err = { 0 };

    /* A process of its own opens the store: LMDB does not survive a fork. */
    killed->scene->play.store = open_at(killed->scene->play.scratch.path, &err);
    if (!killed->scene->play.store || act(killed->scene, &err) < 0 ||
        write(killed->ack_fd, "x", 1) != 1) {
        _exit(1);
    }
}

Test(store_faults, commit_is_whole_or_not_at_all_when_the_process_dies,
     .timeout = 120)
{
    for (enum manner manner = DIE_BEFORE; manner <= DIE_AFTER; manner++) {
        bool is_through = false;
        int seen[2] = { 0 };

        for (int at = 1; !is_through; at++) {
            struct scene scene;
            struct killed killed = { .scene = &scene };
            struct err err = { 0 };
            bool is_acked;
            int fds[2];
            char byte;

            cr_assert_lt(at, CALLS_MAX);
            set_scene(&scene);
            foresee(&scene);
            store_close(scene.play.store);
            cr_assert_eq(pipe(fds), 0);
            killed.ack_fd = fds[1];
            set_plan(manner, 0, at);
            is_through = survives(act_in_child, &killed);
            set_plan(NONE, 0, 0);
            close(fds[1]);
            is_acked = read(fds[0], &byte, 1) == 1;
            close(fds[0]);
            scene.play.store = open_at(scene.play.scratch.path, &err);
            cr_assert_not_null(scene.play.store, "call %d: %s", at, err.msg);
            if (where(&scene) > 0)
                seen[1]++;
            else
                seen[0]++;
            cr_expect(!is_acked || where(&scene) > 0,
                      "call %d: what was confirmed is lost", at);
            play_end(&scene.play);
        }
        cr_expect(seen[0] > 0 && seen[1] > 0, "no kill before and after");
    }
}

/* At most one call of a commit may have an unknown outcome. */
static void
check_failed(struct scene *scene, int at, int rc, int error)
{
    struct err err = { 0 };

    cr_expect(rc == E_IO || (rc == E_FULL && error == ENOSPC),
              "call %d: got %s", at, err_name(rc));
    if (rc == E_FULL) {
        /* Nothing was changed, and all goes on without a restart: at once, or
         * after a look. */
        if (at % 2)
            cr_expect_eq(where(scene), -1, "call %d", at);
        cr_assert_eq(act(scene, &err), 0, "call %d: %s", at, err.msg);
        cr_expect_eq(where(scene), 1);
        return;
    }
    store_close(scene->play.store);
    scene->play.store = open_at(scene->play.scratch.path, &err);
    cr_assert_not_null(scene->play.store, "call %d: %s", at, err.msg);
    (void)where(scene);
}

Test(store_faults, commit_that_fails_changes_nothing_or_says_that_it_may_have,
     .timeout = 120)
{
    static const int errors[] = { ENOSPC, EIO };
    int full_count = 0, io_count = 0;

    for (int i = 0; i < 2; i++) {
        bool is_through = false;

        for (int at = 1; !is_through; at++) {
            struct scene scene;
            struct err err = { 0 };
            int rc;

            cr_assert_lt(at, CALLS_MAX);
            set_scene(&scene);
            foresee(&scene);
            set_plan(FAIL, errors[i], at);
            rc = act(&scene, &err);
            is_through = plan.count < at;
            set_plan(NONE, 0, 0);
            if (is_through) {
                cr_expect_eq(rc, 0);
                cr_expect_eq(where(&scene), 1);
            } else {
                cr_expect_lt(rc, 0, "call %d failed, and nobody says so", at);
                cr_expect_eq(rc, err.code);
                check_failed(&scene, at, rc, errors[i]);
                full_count += rc == E_FULL;
                io_count += rc == E_IO;
            }
            play_end(&scene.play);
        }
    }
    cr_expect_gt(full_count, 1);
    cr_expect_gt(io_count, full_count, "EIO is E_IO, and ENOSPC once");
}
