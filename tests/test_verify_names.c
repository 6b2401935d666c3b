/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/verify.h"
#include "tests/name_play.h"
#include "tests/store_expect.h"

/* A batch with rows for d-1 to d-6 and x, and y in its tail. */
static uint64_t
furnish(struct play *play)
{
    uint64_t batch;

    play_start(play, PLAY_MEMORY);
    batch = play_open(play, "k");
    name_play_add(play, batch, "d-1 d-2 d-3 d-4 d-5 d-6 x y");
    play_check(play);
    return batch;
}

/* What is wrong is found, and right after repair. Ends the play. */
static void
expect_mended(struct play *play, uint64_t batch, const char *finding)
{
    expect_mend(play, finding);
    for (int i = 0; i < 8; i++) {
        static const char *const ids[] = { "d-1", "d-2", "d-3", "d-4",
                                           "d-5", "d-6", "x",   "y" };

        cr_expect_eq(name_play_index(play, batch, ids[i]), i, "%s", ids[i]);
    }
    cr_expect_str_eq(name_play_add(play, batch, "d-1 d-3 d-6 x y d-7 d-8 d-9"),
                     "dddddnnn");
    play_end(play);
}

/* Puts a run of d-… in the place of the one that there is, or beside it. */
static void
put_run(struct play *play, uint64_t batch, uint64_t number, uint32_t index,
        uint32_t count)
{
    play_begin(play);
    run_put(play->store, batch,
            &(struct run){ { name_play_stem("d-", 1), number }, index, count });
    play_commit(play);
}

static void
put_tail(struct play *play, uint64_t id, const struct run *tail, uint64_t limit)
{
    struct batch batch = play_get_batch(play, id);

    batch.tail = *tail;
    batch.tail_limit = limit;
    play_begin(play);
    store_batch_put(play->store, &batch, play->now_ms);
    play_commit(play);
}

Test(verify_names, a_run_that_is_lost_is_made_again)
{
    struct play play;
    uint64_t batch = furnish(&play);
    struct verify verify = { 0 };

    play_begin(&play);
    run_del(play.store, batch,
            &(struct run){ { name_play_stem("d-", 1), 1 }, 0, 6 });
    play_commit(&play);
    cr_assert_eq(store_repair(play.store, &verify, NULL), 0);
    cr_expect_eq(verify.mended, 6);
    cr_expect_eq(name_play_row(&play, batch, name_play_stem("d-", 1), 1).count,
                 6);
    put_run(&play, batch, 1, 0, 2);
    expect_mended(&play, batch, "draft 1/2: not found by its id");
}

Test(verify_names, a_run_that_is_too_long_is_cut)
{
    struct play play;
    uint64_t batch = furnish(&play);

    put_run(&play, batch, 1, 0, 8);
    expect_mended(&play, batch, "draft 6 has another, or is not there");
    batch = furnish(&play);
    put_run(&play, batch, 1, 0, UINT32_MAX);
    expect_mended(&play, batch, "draft 6 has another, or is not there");
}

Test(verify_names, a_run_of_other_drafts_is_removed)
{
    struct play play;
    uint64_t batch = furnish(&play);

    put_run(&play, batch, 1, 3, 2);
    expect_mended(&play, batch, "draft 3 has another, or is not there");
}

Test(verify_names, of_two_runs_with_the_same_names_one_is_left)
{
    struct play play;
    uint64_t batch = furnish(&play);

    put_run(&play, batch, 3, 2, 2);
    expect_mended(&play, batch, "draft 2 has another, or is not there");
    batch = furnish(&play);
    play_begin(&play);
    run_put(play.store, batch,
            &(struct run){ { name_play_stem("y", 0), 0 }, 7, 1 });
    play_commit(&play);
    expect_mended(&play, batch, "draft 7 has another, or is not there");
}

Test(verify_names, a_tail_that_is_wrong_is_mended)
{
    struct play play;
    struct run tail = { { name_play_stem("y", 0), 0 }, 7, 3 };
    uint64_t batch = furnish(&play);

    put_tail(&play, batch, &tail, 0);
    expect_mended(&play, batch, "newest names: draft 8 has another");
    batch = furnish(&play);
    tail = (struct run){ { name_play_stem("d-", 1), 7 }, 6, 1 };
    put_tail(&play, batch, &tail, 0);
    expect_mended(&play, batch, "newest names: draft 6 has another");
    batch = furnish(&play);
    put_tail(&play, batch, &(struct run){ 0 }, 0);
    expect_mended(&play, batch, "draft 1/7: not found by its id");
}

/* Up to the number of the next row, and no further. */
Test(verify_names, a_tail_that_may_grow_into_a_row_is_found)
{
    struct play play;
    uint64_t batch = furnish(&play);
    struct verify verify = { 0 };
    struct batch record;

    name_play_add(&play, batch, "d-0");
    record = play_get_batch(&play, batch);
    cr_expect_eq(record.tail_limit, 0);
    put_tail(&play, batch, &record.tail, 1);
    play_check(&play);
    put_tail(&play, batch, &record.tail, 2);
    cr_assert_eq(store_repair(play.store, &verify, NULL), 0);
    cr_expect_eq(verify.mended, 1);
    cr_expect_eq(play_get_batch(&play, batch).tail_limit, 0);
    cr_expect_str_eq(name_play_add(&play, batch, "d-1"), "d");
    play_end(&play);
}

/* A row that is made again may stand where the tail would have grown to. */
Test(verify_names, repair_lets_no_tail_grow_over_what_it_makes)
{
    uint64_t stem = name_play_stem("d-", 1), batch;
    struct draft draft;
    struct play play;

    play_start(&play, PLAY_MEMORY);
    batch = play_open(&play, "k");
    name_play_add(&play, batch, "d-5 d-6 x");
    play_begin(&play);
    run_del(play.store, batch, &(struct run){ { stem, 5 }, 0, 2 });
    play_commit(&play);
    name_play_add(&play, batch, "d-2 d-3");
    cr_expect_eq(play_get_batch(&play, batch).tail_limit, RUN_NO_LIMIT);
    for (uint32_t index = 0; index < 2; index++) {
        draft = play_get_draft(&play, batch, index);
        play_begin(&play);
        name_restore(play.store, &draft);
        play_commit(&play);
        cr_expect_eq(play_get_batch(&play, batch).tail_limit, 0);
    }
    cr_expect_eq(name_play_row(&play, batch, stem, 5).count, 2);
    cr_expect_str_eq(name_play_add(&play, batch, "d-4 d-5 d-6 d-7"), "nddn");
    play_end(&play);
}

/* Between two rows it is to go on, while it looks at one of them it is not. */
static bool
goes_on(void *context, const struct verify *verify)
{
    (void)context;
    return verify->rows % VERIFY_STEP_ROWS == 0;
}

Test(verify_names, verify_ends_within_a_run_when_it_is_told_so)
{
    struct verify verify = { .go_on = goes_on };
    struct play_draft *drafts = mem_zalloc(VERIFY_STEP_ROWS, sizeof(*drafts));
    char(*ids)[ID_BYTES] = mem_zalloc(VERIFY_STEP_ROWS, sizeof(*ids));
    struct play play;
    uint64_t batch;

    play_start(&play, PLAY_MEMORY);
    batch = play_open(&play, "k");
    for (int i = 0; i < VERIFY_STEP_ROWS; i++) {
        snprintf(ids[i], sizeof(ids[i]), "d-%04d", i);
        drafts[i] = (struct play_draft){ .id = ids[i], .word = "x" };
    }
    play_add(&play, batch, drafts, VERIFY_STEP_ROWS);
    play_begin(&play);
    cr_expect_eq(store_verify(play.store, &verify, NULL), 1);
    store_abort(play.store);
    free(drafts);
    free(ids);
    play_end(&play);
}
