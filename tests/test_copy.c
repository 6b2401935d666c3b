/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "store/copy.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/faults.h"
#include "tests/put_body.h"
#include "tests/rot.h"
#include "tests/store_expect.h"

TestSuite(copy, .timeout = 120);

static const unsigned char store_id[STORE_UUID_BYTES] = "a store of tests";

/* A store on disk, and where its backup goes. */
struct scene {
    struct play play;
    struct scratch shelf;
    char *target, *partial;
    uint64_t batch;
    unsigned char digest[DIGEST_BYTES];
};

static void
set_scene(struct scene *scene)
{
    play_start(&scene->play, PLAY_LMDB);
    scene->shelf = scratch_make();
    scene->target = scratch_path(&scene->shelf, "copy");
    scene->partial = scratch_path(&scene->shelf, "copy.partial");
    scene->batch = play_batch(&scene->play, "k", "a b c d");
    play_finish(&scene->play, claim_one(&scene->play, scene->batch), STATUS_OK,
                "the answer");
    play_digest(&scene->play, scene->digest);
}

static void
end_scene(struct scene *scene)
{
    play_end(&scene->play);
    free(scene->target);
    free(scene->partial);
    scratch_remove(&scene->shelf);
}

static bool
exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Opens a directory in the place of the play's own, for as long as look takes. */
static void
visit(const char *dir, void (*look)(struct play *, void *), void *arg)
{
    struct play other = { .kind = PLAY_LMDB, .now_ms = 2000000 };
    struct err err = { 0 };

    other.store = store_open(dir, PLAY_MAP_BYTES, store_id, &err);
    cr_assert_not_null(other.store, "%s", err.msg);
    play_check(&other);
    look(&other, arg);
    store_close(other.store);
}

static void
expect_digest(struct play *play, void *arg)
{
    unsigned char digest[DIGEST_BYTES];

    play_digest(play, digest);
    cr_expect(memcmp(digest, arg, DIGEST_BYTES) == 0, "the copy is another");
}

Test(copy, a_backup_is_the_store_it_was_made_of)
{
    struct copy copy = { 0 };
    struct err err = { 0 };
    struct scene scene;
    struct stat st;

    set_scene(&scene);
    cr_assert_eq(store_backup(scene.play.store, scene.target, &copy, &err), 0,
                 "%s", err.msg);
    cr_expect_eq(copy.verify.findings, 0);
    cr_expect_gt(copy.rows, 0);
    cr_expect_eq(copy.rows, copy.rows_all);
    cr_expect_gt(copy.file_after, 0);
    visit(scene.target, expect_digest, scene.digest);
    cr_assert_eq(stat(scene.target, &st), 0);
    cr_expect_eq(st.st_mode & 0777, 0700);
    cr_expect_not(exists(scene.partial));
    end_scene(&scene);
}

static void
expect_nothing_in_flight(struct play *play, void *arg)
{
    uint64_t *requests = arg;

    /* A change of its own keeps what the clocks showed. */
    cr_expect_eq(store_latest_mark(play->store)->wall_ms, 8);
    expect_request(play, requests[0], REQUEST_READY);
    expect_request(play, requests[1], REQUEST_CANCELLED);
    play_begin(play);
    cr_expect_eq(store_usage(play->store).leases, 0);
    cr_expect_eq(
        store_worker_after(play->store, NULL, &(struct worker_row){ 0 }),
        E_NOTFOUND);
    store_abort(play->store);
}

/* The original goes on with it, and the copy must not wait for its workers. */
Test(copy, nothing_is_in_flight_in_a_backup)
{
    static const struct clock_mark mark = { .boot_ms = 7, .wall_ms = 8 };
    struct copy copy = { 0 };
    struct err err = { 0 };
    struct scene scene;
    uint64_t requests[2], other;

    set_scene(&scene);
    store_mark(scene.play.store, &mark);
    requests[0] = claim_one(&scene.play, scene.batch);
    other = play_batch(&scene.play, "k2", "x");
    requests[1] = claim_one(&scene.play, other);
    play_expire(&scene.play, other);
    play_due(&scene.play, 10);
    play_begin(&scene.play);
    store_worker_put(scene.play.store,
                     &(struct worker_row){ .host = slice_of("host") });
    play_commit(&scene.play);
    cr_assert_eq(store_backup(scene.play.store, scene.target, &copy, &err), 0,
                 "%s", err.msg);
    visit(scene.target, expect_nothing_in_flight, requests);
    expect_request(&scene.play, requests[0], REQUEST_LEASED);
    end_scene(&scene);
}

Test(copy, what_is_there_is_not_overwritten)
{
    struct copy copy = { 0 };
    struct err err = { 0 };
    struct scene scene;
    char *deep;

    set_scene(&scene);
    cr_assert_eq(mkdir(scene.target, 0700), 0);
    cr_expect_eq(store_backup(scene.play.store, scene.target, &copy, &err),
                 E_CONFLICT);
    cr_expect(strstr(err.msg, "exists; name a directory"), "%s", err.msg);
    cr_assert_eq(rmdir(scene.target), 0);
    cr_assert_eq(symlink("nowhere", scene.target), 0);
    cr_expect_eq(store_backup(scene.play.store, scene.target, &copy, &err),
                 E_CONFLICT);
    deep = scratch_path(&scene.shelf, "no/such/place");
    cr_expect_eq(store_backup(scene.play.store, deep, &copy, &err), E_INVALID);
    cr_expect(strstr(err.msg, "No such file"), "%s", err.msg);
    free(deep);
    end_scene(&scene);
}

/* Work that goes on while rows are copied. */
struct busy {
    struct scene *scene;
    uint64_t requests[64];
    size_t count, done;
};

static bool
work_on(void *context, const struct copy *copy)
{
    struct busy *busy = context;

    if (copy->step == COPY_READ && busy->done < busy->count) {
        play_finish(&busy->scene->play, busy->requests[busy->done++], STATUS_OK,
                    "an answer that comes meanwhile");
    }
    return true;
}

Test(copy, a_backup_is_of_one_moment_whatever_goes_on)
{
    enum { DRAFTS = 8000 };
    struct play_draft *drafts = calloc(DRAFTS, sizeof(*drafts));
    char(*ids)[8] = calloc(DRAFTS, sizeof(*ids));
    struct copy copy = { .go_on = work_on };
    struct busy busy = { 0 };
    struct err err = { 0 };
    struct scene scene;
    uint64_t batch;

    set_scene(&scene);
    busy.scene = &scene;
    copy.context = &busy;
    batch = play_open(&scene.play, "many");
    for (int i = 0; i < DRAFTS; i++) {
        snprintf(ids[i], sizeof(ids[i]), "%d", i);
        drafts[i] = (struct play_draft){ .id = ids[i], .word = ids[i] };
    }
    play_add(&scene.play, batch, drafts, DRAFTS);
    play_seal(&scene.play, batch);
    busy.count = play_claim(&scene.play, batch, busy.requests, 64);
    for (size_t i = 0; i < busy.count; i++)
        play_release(&scene.play, busy.requests[i]);
    play_digest(&scene.play, scene.digest);
    cr_assert_eq(store_backup(scene.play.store, scene.target, &copy, &err), 0,
                 "%s", err.msg);
    cr_expect_gt(busy.done, 5, "nothing went on");
    visit(scene.target, expect_digest, scene.digest);
    free(drafts);
    free(ids);
    end_scene(&scene);
}

static bool
no_further(void *context, const struct copy *copy)
{
    enum copy_step *step = context;

    return copy->step < *step;
}

Test(copy, a_backup_that_is_ended_leaves_nothing)
{
    for (enum copy_step step = COPY_READ; step <= COPY_VERIFY; step++) {
        struct copy copy = { .go_on = no_further, .context = &step };
        struct err err = { 0 };
        struct scene scene;
        char word[8];

        set_scene(&scene);
        for (int i = 0; i < 150; i++) {
            snprintf(word, sizeof(word), "w%d", i);
            play_batch(&scene.play, word, word);
        }
        cr_expect_eq(store_backup(scene.play.store, scene.target, &copy, &err),
                     1, "step %d: %s", (int)step, err.msg);
        cr_expect_eq(copy.step, step);
        cr_expect_not(exists(scene.target));
        cr_expect_not(exists(scene.partial));
        end_scene(&scene);
    }
}

/* What is damaged is copied as it is, and named. */
Test(copy, a_backup_of_a_damaged_store_says_so)
{
    struct buf report = { 0 };
    struct copy copy = { .verify.report = &report };
    struct err err = { 0 };
    struct scene scene;

    set_scene(&scene);
    cr_assert(rot_row(scene.play.store, TABLE_ANSWER, 0, ROT_FLIP, 3));
    cr_assert_eq(store_backup(scene.play.store, scene.target, &copy, &err), 0,
                 "%s", err.msg);
    cr_expect_eq(copy.verify.findings, 1);
    cr_expect_str_eq(report.data, "answer 1: its checksum fails\n");
    cr_expect(exists(scene.target));
    cr_assert(rot_row(scene.play.store, TABLE_ANSWER, 0, ROT_FLIP, 3));
    buf_fini(&report);
    end_scene(&scene);
}

/* ---- faults ---- */

static void
back_up_in_child(void *arg)
{
    struct scene *scene = arg;
    struct copy copy = { 0 };

    /* A process of its own opens the store: LMDB does not survive a fork. */
    scene->play.store =
        store_open(scene->play.scratch.path, PLAY_MAP_BYTES, store_id, NULL);
    if (!scene->play.store ||
        store_backup(scene->play.store, scene->target, &copy, NULL) != 0) {
        _exit(1);
    }
}

Test(copy, a_backup_that_is_killed_is_whole_or_not_there)
{
    int calls = 0, whole = 0;

    for (enum manner manner = FAULT_DIE_BEFORE; manner <= FAULT_DIE_AFTER;
         manner++) {
        bool is_through = false;

        for (int at = 1; !is_through; at++) {
            struct copy copy = { 0 };
            struct err err = { 0 };
            struct scene scene;

            cr_assert_lt(at, FAULTS_CALLS_MAX);
            set_scene(&scene);
            store_close(scene.play.store);
            faults_plan(manner, 0, at);
            is_through = faults_survive(back_up_in_child, &scene);
            faults_plan(FAULT_NONE, 0, 0);
            scene.play.store = store_open(scene.play.scratch.path,
                                          PLAY_MAP_BYTES, store_id, &err);
            cr_assert_not_null(scene.play.store, "call %d: %s", at, err.msg);
            cr_assert(!is_through || exists(scene.target));
            whole += exists(scene.target);
            if (!exists(scene.target)) {
                cr_assert_eq(
                    store_backup(scene.play.store, scene.target, &copy, &err),
                    0, "call %d: %s", at, err.msg);
            }
            visit(scene.target, expect_digest, scene.digest);
            cr_expect_not(exists(scene.partial), "call %d", at);
            end_scene(&scene);
            calls = at;
        }
    }
    cr_expect_gt(calls, 10);
    cr_expect_gt(whole, 3);
}

/* LMDB's own meta page is written by a call that is not planned for; all others
 * fail in turn. */
Test(copy, a_backup_that_finds_no_space_leaves_nothing)
{
    static const int errors[] = { ENOSPC, EIO };
    int full = 0;

    for (int i = 0; i < 2; i++) {
        bool is_through = false;

        for (int at = 1; !is_through; at++) {
            struct copy copy = { 0 };
            struct err err = { 0 };
            struct scene scene;
            int rc;

            cr_assert_lt(at, FAULTS_CALLS_MAX);
            set_scene(&scene);
            faults_plan(FAULT_FAIL, errors[i], at);
            rc = store_backup(scene.play.store, scene.target, &copy, &err);
            is_through = faults_calls() < at;
            faults_plan(FAULT_NONE, 0, 0);
            cr_expect(is_through == (rc == 0), "call %d: %s", at, err.msg);
            full += rc == E_FULL;
            if (rc < 0) {
                cr_expect(strstr(err.msg, scene.target), "%s", err.msg);
                /* Only the flush behind the last rename comes too late. */
                cr_expect(!exists(scene.target) || strstr(err.msg, "flush"),
                          "call %d: %s", at, err.msg);
                cr_expect_not(exists(scene.partial), "call %d", at);
            }
            end_scene(&scene);
        }
    }
    cr_expect_gt(full, 3);
}

/* ---- compaction ---- */

/* A store that was much larger than what it holds. */
static void
set_wide(struct scene *scene)
{
    char *big = calloc(1, 1 << 20);
    uint64_t fat;

    set_scene(scene);
    fat = play_open(&scene->play, "fat");
    play_begin(&scene->play);
    for (uint32_t n = 1; n <= 8; n++) {
        struct chunk chunk = { .n = n };

        put_body(scene->play.store, fat, &chunk, (struct slice){ big, 1 << 20 },
                 NULL, 0);
        store_chunk_put(scene->play.store, fat, &chunk);
    }
    play_commit(&scene->play);
    play_abort(&scene->play, fat, true);
    play_due(&scene->play, 100);
    play_digest(&scene->play, scene->digest);
    free(big);
}

static int
compact(struct scene *scene, struct copy *copy, struct err *err)
{
    return store_compact(scene->play.scratch.path, PLAY_MAP_BYTES, copy, err);
}

static void
open_again(struct scene *scene, const char *when)
{
    char *beside = scratch_path(&scene->play.scratch, "compact");
    struct err err = { 0 };

    scene->play.store =
        store_open(scene->play.scratch.path, PLAY_MAP_BYTES, store_id, &err);
    cr_assert_not_null(scene->play.store, "%s: %s", when, err.msg);
    play_check(&scene->play);
    expect_digest(&scene->play, scene->digest);
    cr_expect_not(exists(beside), "%s", when);
    free(beside);
}

Test(copy, compaction_gives_free_pages_back)
{
    struct copy copy = { 0 };
    struct err err = { 0 };
    struct scene scene;

    set_wide(&scene);
    store_close(scene.play.store);
    cr_assert_eq(compact(&scene, &copy, &err), 0, "%s", err.msg);
    cr_expect_gt(copy.file_before, 8 << 20);
    cr_expect_lt(copy.file_after, 1 << 20);
    open_again(&scene, "after");
    /* And it works on. */
    play_finish(&scene.play, claim_one(&scene.play, scene.batch), STATUS_OK,
                "another");
    end_scene(&scene);
}

Test(copy, where_there_is_no_store_none_is_made)
{
    struct scratch scratch = scratch_make();
    char *path = scratch_path(&scratch, "data.mdb");
    struct copy copy = { 0 };
    struct err err = { 0 };

    cr_expect_eq(store_compact(scratch.path, PLAY_MAP_BYTES, &copy, &err),
                 E_NOTFOUND);
    cr_expect_not(exists(path));
    free(path);
    scratch_remove(&scratch);
}

static void
compact_in_child(void *arg)
{
    struct copy copy = { 0 };

    if (compact(arg, &copy, NULL) != 0)
        _exit(1);
}

Test(copy, compaction_that_is_killed_leaves_the_old_or_the_new)
{
    int calls = 0, small = 0;

    for (enum manner manner = FAULT_DIE_BEFORE; manner <= FAULT_DIE_AFTER;
         manner++) {
        bool is_through = false;

        for (int at = 1; !is_through; at++) {
            char *path, when[16];
            struct scene scene;
            struct stat st;

            cr_assert_lt(at, FAULTS_CALLS_MAX);
            snprintf(when, sizeof(when), "call %d", at);
            set_wide(&scene);
            store_close(scene.play.store);
            faults_plan(manner, 0, at);
            is_through = faults_survive(compact_in_child, &scene);
            faults_plan(FAULT_NONE, 0, 0);
            open_again(&scene, when);
            path = scratch_path(&scene.play.scratch, "data.mdb");
            cr_assert_eq(stat(path, &st), 0);
            small += st.st_size < 1 << 20;
            free(path);
            end_scene(&scene);
            calls = at;
        }
    }
    cr_expect_gt(calls, 5);
    cr_expect_gt(small, 3);
}

Test(copy, compaction_that_fails_leaves_the_store)
{
    static const int errors[] = { ENOSPC, EIO };

    for (int i = 0; i < 2; i++) {
        bool is_through = false;

        for (int at = 1; !is_through; at++) {
            struct copy copy = { 0 };
            struct err err = { 0 };
            struct scene scene;
            int rc;

            cr_assert_lt(at, FAULTS_CALLS_MAX);
            set_wide(&scene);
            store_close(scene.play.store);
            faults_plan(FAULT_FAIL, errors[i], at);
            rc = compact(&scene, &copy, &err);
            is_through = faults_calls() < at;
            faults_plan(FAULT_NONE, 0, 0);
            cr_expect(is_through == (rc == 0), "call %d: %s", at, err.msg);
            open_again(&scene, err.msg);
            end_scene(&scene);
        }
    }
}
