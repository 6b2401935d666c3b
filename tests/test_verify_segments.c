/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "store/verify.h"
#include "tests/rot.h"
#include "tests/segment_play.h"
#include "tests/store_expect.h"

#define ROWS   "1-3 7-10 13-13"
#define NEWEST "18-20"

/* Two batches; the first one's segments are ROWS and NEWEST. */
static struct turns
furnish(struct play *play)
{
    struct turns turns;

    play_start(play, PLAY_MEMORY);
    turns_begin(&turns, play, 2, TURN_DRAFTS);
    turns_take(&turns, play, "ababbbabaabbabbbbaaa");
    return turns;
}

static void
expect_rows(struct play *play, uint64_t batch)
{
    cr_expect_str_eq(segment_play_rows(play, batch), ROWS);
    cr_expect_str_eq(segment_play_newest(play, batch), NEWEST);
}

/* What is wrong is found, and right after repair, as it was. Ends the play. */
static void
expect_mended(struct play *play, const struct turns *turns, const char *finding)
{
    expect_mend(play, finding);
    expect_rows(play, turns->batches[0]);
    segment_play_expect_all(play, turns->batches[0]);
    segment_play_expect_all(play, turns->batches[1]);
    play_end(play);
}

static void
put(struct play *play, uint64_t batch, uint64_t first, uint64_t last)
{
    play_begin(play);
    segment_put(play->store, batch, &(struct segment){ first, last });
    play_commit(play);
}

static void
drop(struct play *play, uint64_t batch, uint64_t first)
{
    play_begin(play);
    table_del(play->store, TABLE_DONE, key_u64(key_id(batch), first));
    play_commit(play);
}

static void
put_newest(struct play *play, uint64_t id, uint64_t first, uint64_t last)
{
    struct batch batch = play_get_batch(play, id);

    batch.segment_first = first;
    batch.last_seq = last;
    play_begin(play);
    store_batch_put(play->store, &batch, play->now_ms);
    play_commit(play);
}

Test(verify_segments, segments_that_are_lost_are_made_again)
{
    struct play play;
    struct turns turns = furnish(&play);

    expect_rows(&play, turns.batches[0]);
    play_check(&play);
    drop(&play, turns.batches[0], 7);
    expect_mended(&play, &turns, "draft 1/4: not in done");
    turns = furnish(&play);
    drop(&play, turns.batches[0], 1);
    drop(&play, turns.batches[0], 7);
    drop(&play, turns.batches[0], 13);
    expect_mended(&play, &turns, "draft 1/0: not in done");
}

/* In whatever order its numbers come: what is near to the row before, the row behind,
 * or the newest one, becomes a part of it. */
Test(verify_segments, any_order_of_numbers_makes_the_same_segments)
{
    static const uint64_t orders[][6] = {
        { 1, 3, 7, 9, 13, 10 }, { 13, 10, 9, 7, 3, 1 }, { 7, 13, 1, 10, 3, 9 },
        { 3, 9, 1, 7, 13, 10 }, { 10, 1, 3, 13, 7, 9 },
    };

    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        struct play play;
        struct turns turns = furnish(&play);

        drop(&play, turns.batches[0], 1);
        drop(&play, turns.batches[0], 7);
        drop(&play, turns.batches[0], 13);
        for (size_t n = 0; n < 6; n++) {
            play_begin(&play);
            segment_restore(play.store, turns.batches[0], orders[i][n]);
            play_commit(&play);
        }
        expect_rows(&play, turns.batches[0]);
        play_end(&play);
    }
}

Test(verify_segments, a_newest_segment_that_is_lost_is_made_again)
{
    struct play play;
    struct turns turns = furnish(&play);

    put_newest(&play, turns.batches[0], 20, 20);
    expect_mended(&play, &turns, "not in done");
    turns = furnish(&play);
    put_newest(&play, turns.batches[0], 18, 14);
    expect_mended(&play, &turns, "last seq: 14, counted 20");
}

/* No number is in two of them: the later one has it. */
Test(verify_segments, a_segment_that_reaches_into_the_next_one_is_cut)
{
    struct verify verify = { 0 };
    struct play play;
    struct turns turns = furnish(&play);

    put(&play, turns.batches[0], 1, 7);
    cr_assert_eq(store_repair(play.store, &verify, NULL), 0);
    cr_expect_eq(verify.mended, 1);
    cr_expect_str_eq(segment_play_rows(&play, turns.batches[0]),
                     "1-6 7-10 13-13");
    put(&play, turns.batches[0], 13, 18);
    cr_assert_eq(store_repair(play.store, &verify, NULL), 0);
    cr_expect_eq(verify.mended, 1);
    cr_expect_str_eq(segment_play_rows(&play, turns.batches[0]),
                     "1-6 7-10 13-17");
    segment_play_expect_all(&play, turns.batches[0]);
    play_end(&play);
}

Test(verify_segments, a_segment_of_nothing_is_removed)
{
    struct play play;
    struct turns turns = furnish(&play);

    put(&play, turns.batches[0], 11, 11);
    expect_mended(&play, &turns, "done 1/11: leads to no result of its batch");
    turns = furnish(&play);
    put(&play, turns.batches[0], 19, 20);
    expect_mended(&play, &turns,
                  "done 1/19: begins in or behind its batch's newest one");
    turns = furnish(&play);
    put(&play, turns.batches[0], 30, 31);
    expect_mended(&play, &turns,
                  "done 1/30: begins in or behind its batch's newest one");
    turns = furnish(&play);
    put(&play, 77, 1, 3);
    expect_mended(&play, &turns, "done 77/1: no batch");
}

Test(verify_segments, a_segment_that_ends_before_it_begins_is_damaged)
{
    struct play play;
    struct turns turns = furnish(&play);

    play_begin(&play);
    record_u64(table_fields(play.store), 6);
    table_put(play.store, TABLE_DONE, key_u64(key_id(turns.batches[0]), 7));
    play_commit(&play);
    segment_play_expect_all(&play, turns.batches[0]);
    expect_mended(&play, &turns, "done 1/7: damaged");
}
