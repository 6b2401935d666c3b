/* SPDX-License-Identifier: MIT */
#include "store/wedge.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "store/rows.h"
#include "tests/store_play.h"

TestSuite(wedge, .timeout = 120);

#define PAGE_BYTES  4096
#define CHUNK       32 /* drafts: as few as a batch of its own pages begins with */
#define TURNS       16 /* chunks of a commit */
#define CHUNKS      400
#define BATCHES_MAX 8
#define FEW         60 /* batches */

/* Batches that grow by turns, and nothing else. */
struct growth {
    struct play play;
    enum table table;
    bool is_wedged;
    size_t batches;
    uint32_t counts[BATCHES_MAX];
};

static void
put_row(struct growth *growth, uint64_t batch, uint32_t index)
{
    struct draft draft = { .batch = batch, .index = index };
    struct spot spot = { { .lead = index / CHUNK, .group = index },
                         index * growth->batches + batch };

    if (growth->table == TABLE_DRAFT) {
        draft_put(growth->play.store, &draft);
        return;
    }
    ready_add(growth->play.store, batch, &spot);
}

static void
put_chunk(struct growth *growth, size_t which)
{
    struct store *store = growth->play.store;
    uint64_t batch = which + 1;
    bool is_apart = growth->is_wedged && growth->counts[which] == 0;

    if (is_apart)
        wedge_drive(store, batch);
    for (int i = 0; i < CHUNK; i++)
        put_row(growth, batch, growth->counts[which]++);
    if (is_apart)
        wedge_pull(store, batch);
}

static uint64_t
pages(struct play *play)
{
    uint64_t bytes;

    play_begin(play);
    bytes = store_bytes(play->store);
    store_abort(play->store);
    return bytes / PAGE_BYTES;
}

/* The pages that the table takes for as many rows of `batches` batches, of which
 * the last one comes first. */
static uint64_t
grow(enum table table, size_t batches, bool is_wedged)
{
    struct growth growth = { .table = table,
                             .batches = batches,
                             .is_wedged = is_wedged };
    uint64_t before;

    play_start(&growth.play, PLAY_LMDB);
    before = pages(&growth.play);
    for (size_t chunk = 0; chunk < CHUNKS; chunk++) {
        if (chunk % TURNS == 0)
            play_begin(&growth.play);
        put_chunk(&growth, batches - 1 - chunk % batches);
        if (chunk % TURNS == TURNS - 1)
            play_commit(&growth.play);
    }
    before = pages(&growth.play) - before;
    store_close(growth.play.store);
    scratch_remove(&growth.play.scratch);
    return before;
}

Test(wedge, eight_batches_take_as_many_pages_as_one)
{
    uint64_t one = grow(TABLE_DRAFT, 1, false);
    uint64_t eight = grow(TABLE_DRAFT, BATCHES_MAX, true);
    uint64_t without = grow(TABLE_DRAFT, BATCHES_MAX, false);

    cr_expect_leq(eight * 10, one * 11, "%lu pages, one has %lu", eight, one);
    cr_expect_gt(without * 10, one * 14, "only %lu without wedges", without);
}

/* Rows of `ready` have many requests each: half empty, their pages are few. */
Test(wedge, ready_requests_of_eight_batches_need_none)
{
    uint64_t bytes = grow(TABLE_READY, BATCHES_MAX, false) * PAGE_BYTES;

    cr_expect_leq(bytes, CHUNKS * CHUNK * 12, "%lu bytes", bytes);
}

Test(wedge, in_one_batch_takes_two_pages_at_most)
{
    cr_expect_leq(grow(TABLE_DRAFT, 1, true), grow(TABLE_DRAFT, 1, false) + 2);
}

/* ---- as drafts are taken in ---- */

/* Adds a chunk of drafts that are like no others. */
static void
add_chunk(struct play *play, uint64_t batch, uint32_t from, size_t count)
{
    struct play_draft drafts[CHUNK] = { 0 };
    char words[CHUNK][32];

    cr_assert_leq(count, CHUNK);
    for (size_t i = 0; i < count; i++) {
        snprintf(words[i], sizeof(words[i]), "%lu-%zu", (unsigned long)batch,
                 from + i);
        drafts[i].id = drafts[i].word = words[i];
    }
    play_add(play, batch, drafts, count);
}

static uint64_t
open_batch(struct play *play, size_t which)
{
    char key[16];

    snprintf(key, sizeof(key), "%zu", which);
    return play_open(play, key);
}

/* The pages of so many batches that have one chunk each. */
static uint64_t
fill(size_t batches, size_t count, bool is_crowded)
{
    struct play play;
    uint64_t after;

    play_start(&play, PLAY_LMDB);
    play.is_crowded = is_crowded;
    for (size_t i = 0; i < batches; i++)
        add_chunk(&play, open_batch(&play, i), 0, count);
    after = pages(&play);
    play_end(&play);
    return after;
}

Test(wedge, batches_of_few_drafts_share_pages)
{
    cr_expect_eq(fill(FEW, CHUNK - 1, true), fill(FEW, CHUNK - 1, false));
    cr_expect_eq(fill(FEW, 1, true), fill(FEW, 1, false));
}

Test(wedge, larger_batches_have_a_page_more_at_most)
{
    uint64_t shared = fill(FEW, CHUNK, false), apart = fill(FEW, CHUNK, true);

    cr_expect_gt(apart, shared);
    cr_expect_leq(apart, shared + FEW, "%lu pages, and %lu", apart, shared);
}

/* The pages of batches that are taken in by turns; all is found again. */
static uint64_t
take_by_turns(enum play_kind kind, bool is_crowded)
{
    enum { BATCHES = 4, ROUNDS = 12 };
    struct play play;
    uint64_t batches[BATCHES], after;

    play_start(&play, kind);
    play.is_crowded = is_crowded;
    for (size_t i = 0; i < BATCHES; i++)
        batches[i] = open_batch(&play, i);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < BATCHES; i++)
            add_chunk(&play, batches[i], round * CHUNK, CHUNK);
    }
    after = pages(&play);
    for (size_t i = 0; i < BATCHES; i++) {
        uint64_t requests[CHUNK];
        struct draft draft;

        draft = play_get_draft(&play, batches[i], ROUNDS * CHUNK - 1);
        cr_expect_eq(draft.batch, batches[i]);
        cr_expect_eq(play_claim(&play, batches[i], requests, CHUNK), CHUNK);
    }
    play_end(&play);
    return after;
}

Test(wedge, intake_of_batches_that_come_by_turns_drives_one_in)
{
    uint64_t apart = take_by_turns(PLAY_LMDB, true);
    uint64_t mixed = take_by_turns(PLAY_LMDB, false);

    cr_expect_leq(apart * 100, mixed * 90, "%lu pages, and %lu", apart, mixed);
}

Test(wedge, is_nothing_to_an_engine_without_pages)
{
    (void)take_by_turns(PLAY_MEMORY, true);
}

Test(wedge, forgotten_with_its_transaction_leaves_nothing)
{
    unsigned char before[DIGEST_BYTES], after[DIGEST_BYTES];
    struct play play;
    struct slice found;
    uint64_t batch;

    play_start(&play, PLAY_LMDB);
    batch = open_batch(&play, 0);
    add_chunk(&play, batch, 0, CHUNK);
    play_digest(&play, before);
    play_begin(&play);
    wedge_drive(play.store, batch + 1);
    store_abort(play.store);
    play_digest(&play, after);
    cr_expect_eq(memcmp(before, after, DIGEST_BYTES), 0);
    play_begin(&play);
    cr_expect_eq(table_seek(play.store, TABLE_DRAFT, key_draft(batch + 1, 0), 8,
                            &found, NULL),
                 E_NOTFOUND);
    store_abort(play.store);
    play_end(&play);
}

Test(wedge, not_followed_by_rows_leaves_nothing)
{
    unsigned char before[DIGEST_BYTES], after[DIGEST_BYTES];
    struct play play;
    uint64_t pages_before;

    play_start(&play, PLAY_LMDB);
    for (size_t i = 0; i < 3; i++)
        add_chunk(&play, open_batch(&play, i), 0, CHUNK);
    play_digest(&play, before);
    pages_before = pages(&play);
    for (uint64_t batch = 4; batch < 50; batch++) {
        play_begin(&play);
        wedge_drive(play.store, batch);
        wedge_pull(play.store, batch);
        play_commit(&play);
    }
    play_digest(&play, after);
    cr_expect_eq(memcmp(before, after, DIGEST_BYTES), 0);
    cr_expect_leq(pages(&play), pages_before + 2);
    play_end(&play);
}

/* Puts a store that is soon full in the place of the roomy one. */
static void
make_small(struct play *play)
{
    static const unsigned char id[STORE_UUID_BYTES] = "a store of tests";
    struct err err = { 0 };

    store_close(play->store);
    play->store = store_open(play->scratch.path, 1u << 20, id, &err);
    cr_assert_not_null(play->store, "%s", err.msg);
}

Test(wedge, that_finds_no_room_changes_nothing)
{
    unsigned char before[DIGEST_BYTES], after[DIGEST_BYTES];
    struct growth growth = { .table = TABLE_DRAFT };
    struct play *play = &growth.play;
    struct err err = { 0 };

    play_start(play, PLAY_LMDB);
    make_small(play);
    play_digest(play, before);
    play_begin(play);
    for (uint64_t batch = 1; play->store->rc == 0; batch++) {
        cr_assert_lt(batch, 10000);
        wedge_drive(play->store, batch);
        for (uint32_t i = 0; i < CHUNK; i++)
            put_row(&growth, batch, i);
        wedge_pull(play->store, batch);
    }
    cr_expect_eq(store_commit(play->store, &err), E_FULL, "%s", err.msg);
    play_digest(play, after);
    cr_expect_eq(memcmp(before, after, DIGEST_BYTES), 0);
    play->is_crowded = true;
    add_chunk(play, open_batch(play, 0), 0, CHUNK);
    play_end(play);
}
