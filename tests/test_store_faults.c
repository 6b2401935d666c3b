/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/verify.h"
#include "tests/faults.h"
#include "tests/rot.h"
#include "tests/store_expect.h"

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

    for (enum manner manner = FAULT_DIE_BEFORE; manner <= FAULT_DIE_AFTER;
         manner++) {
        bool is_through = false;

        for (int at = 1; !is_through; at++) {
            struct scratch scratch = scratch_make();
            struct err err = { 0 };
            struct store *store;

            cr_assert_lt(at, FAULTS_CALLS_MAX);
            faults_plan(manner, 0, at);
            is_through = faults_survive(create, &scratch);
            faults_plan(FAULT_NONE, 0, 0);
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

            cr_assert_lt(at, FAULTS_CALLS_MAX);
            faults_plan(FAULT_FAIL, errors[i], at);
            store = open_at(scratch.path, &err);
            is_through = faults_calls() < at;
            faults_plan(FAULT_NONE, 0, 0);
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
    store_finish(store, &request, &outcome, NULL,
                 (struct reply){ .text = { big, 100000 } },
                 scene->play.now_ms + 1);
    store_batch_add(store, &batch, &spec);
    play_abandon_at(&scene->play, &batch);
    free(big);
    return store_commit(store, err);
}

static void
set_scene(struct scene *scene)
{
    /* Ids that are not counted have rows of their own. */
    struct play_draft drafts[] = { { .id = "one", .word = "a" },
                                   { .id = "two", .word = "b" },
                                   { .id = "three", .word = "b" } };

    play_start(&scene->play, PLAY_LMDB);
    scene->batch = play_open(&scene->play, "k");
    play_add(&scene->play, scene->batch, drafts, 3);
    play_seal(&scene->play, scene->batch);
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
    for (enum manner manner = FAULT_DIE_BEFORE; manner <= FAULT_DIE_AFTER;
         manner++) {
        bool is_through = false;
        int seen[2] = { 0 };

        for (int at = 1; !is_through; at++) {
            struct scene scene;
            struct killed killed = { .scene = &scene };
            struct err err = { 0 };
            bool is_acked;
            int fds[2];
            char byte;

            cr_assert_lt(at, FAULTS_CALLS_MAX);
            set_scene(&scene);
            foresee(&scene);
            store_close(scene.play.store);
            cr_assert_eq(pipe(fds), 0);
            killed.ack_fd = fds[1];
            faults_plan(manner, 0, at);
            is_through = faults_survive(act_in_child, &killed);
            faults_plan(FAULT_NONE, 0, 0);
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

            cr_assert_lt(at, FAULTS_CALLS_MAX);
            set_scene(&scene);
            foresee(&scene);
            faults_plan(FAULT_FAIL, errors[i], at);
            rc = act(&scene, &err);
            is_through = faults_calls() < at;
            faults_plan(FAULT_NONE, 0, 0);
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

/* ---- repair ---- */

static void
repair_in_child(void *arg)
{
    struct scene *scene = arg;
    struct verify verify = { 0 };

    scene->play.store = open_at(scene->play.scratch.path, NULL);
    if (!scene->play.store || store_repair(scene->play.store, &verify, NULL))
        _exit(1);
}

/* Takes rows out of some indexes. */
static void
damage_scene(struct scene *scene)
{
    static const enum table tables[] = { TABLE_UUID, TABLE_NAME,  TABLE_KEY_LOG,
                                         TABLE_REF,  TABLE_READY, TABLE_LEASE };

    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        cr_assert(rot_row(scene->play.store, tables[i], 0, ROT_DROP, 0));
}

Test(store_faults, repair_that_was_killed_anywhere_is_gone_on_with,
     .timeout = 120)
{
    int calls = 0;

    for (enum manner manner = FAULT_DIE_BEFORE; manner <= FAULT_DIE_AFTER;
         manner++) {
        bool is_through = false;

        for (int at = 1; !is_through; at++) {
            struct verify verify = { 0 };
            struct scene scene;
            struct err err = { 0 };

            cr_assert_lt(at, FAULTS_CALLS_MAX);
            set_scene(&scene);
            damage_scene(&scene);
            store_close(scene.play.store);
            faults_plan(manner, 0, at);
            is_through = faults_survive(repair_in_child, &scene);
            faults_plan(FAULT_NONE, 0, 0);
            scene.play.store = open_at(scene.play.scratch.path, &err);
            cr_assert_not_null(scene.play.store, "call %d: %s", at, err.msg);
            cr_assert_eq(store_repair(scene.play.store, &verify, &err), 0,
                         "call %d: %s", at, err.msg);
            cr_expect_eq(verify.findings, 0, "call %d", at);
            cr_expect(!is_through || verify.mended == 0);
            play_end(&scene.play);
            calls = at;
        }
    }
    cr_expect_gt(calls, 3);
}
