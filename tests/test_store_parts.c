/* The parts of chunks: where they lie, how they are found, and how they go. */
/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "store/chunk_rows.h"
#include "store/part.h"
#include "store/rows.h"
#include "store/verify.h"
#include "tests/put_body.h"
#include "tests/rot.h"
#include "tests/store_expect.h"

#define PAGE_BYTES 4096

/* Adds a chunk of one draft, whose id and word are made of these. */
static void
add_one(struct play *play, uint64_t batch, const char *id)
{
    struct play_draft draft = { .id = id, .word = id };

    play_add(play, batch, &draft, 1);
    cr_assert_eq(draft.disposition, DRAFT_NEW, "%s", id);
}

/* The line of a draft is that of its id. */
static void
expect_line(struct play *play, uint64_t batch, uint32_t index, const char *id)
{
    struct draft draft = play_get_draft(play, batch, index);
    char want[64];
    struct slice line;

    snprintf(want, sizeof(want), "{\"id\":\"%s\",\"word\":\"%s\"}\n", id, id);
    play_begin(play);
    cr_assert_eq(store_draft_line(play->store, &draft, &line), 0, "%s", id);
    cr_expect(slice_is(line, want), "got %.*s, want %s", (int)line.bytes,
              line.data, want);
    store_abort(play->store);
}

/* Adds so many chunks without drafts to each of two batches, in turns, at once. */
static void
add_chunks(struct play *play, const uint64_t ids[2], uint32_t count)
{
    struct batch batch;

    play_begin(play);
    for (uint32_t n = 1; n <= count; n++) {
        for (int i = 0; i < 2; i++) {
            struct chunk chunk = { .n = n };
            char line[32];
            int bytes = snprintf(line, sizeof(line), "%d of %u\n", i, n);

            digest_of(line, (size_t)bytes, chunk.digest);
            put_body(play->store, ids[i], &chunk,
                     (struct slice){ line, (size_t)bytes }, NULL, 0);
            store_chunk_put(play->store, ids[i], &chunk);
        }
    }
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(store_batch_get(play->store, ids[i], &batch), 0);
        batch.chunk_next = count + 1;
        store_batch_put(play->store, &batch, play->now_ms);
    }
    play_commit(play);
}

/* All chunks that add_chunks() gave to the second batch are whole. */
static void
expect_chunks(struct play *play, uint64_t batch, uint32_t count)
{
    struct chunk chunk;
    struct slice line;
    char want[32];

    play_begin(play);
    for (uint32_t n = 1; n <= count; n++) {
        cr_assert_eq(store_chunk_get(play->store, batch, n, &chunk), 0);
        cr_assert_eq(store_chunk_line(play->store, batch, &chunk, 1, &line), 0,
                     "chunk %u", n);
        snprintf(want, sizeof(want), "1 of %u", n);
        cr_assert(slice_is(line, want), "chunk %u: %.*s", n, (int)line.bytes,
                  line.data);
    }
    store_abort(play->store);
}

/* Eight batches get a line of a kilobyte in each commit: three fill a page, whose
 * ever they are. */
Test(store_parts, parts_of_all_batches_share_pages, .timeout = 60)
{
    enum { BATCHES = 8, ROUNDS = 120, LINE_BYTES = 1000, A_PAGE = 3 };
    char line[LINE_BYTES];
    struct play play;
    uint64_t before, after;
    uint64_t most = BATCHES * ROUNDS / A_PAGE + BATCHES * ROUNDS / 100;

    memset(line, 'x', sizeof(line));
    play_start(&play, PLAY_LMDB);
    play_begin(&play);
    before = store_bytes(play.store);
    store_abort(play.store);
    for (uint32_t n = 1; n <= ROUNDS; n++) {
        play_begin(&play);
        for (uint64_t batch = 1; batch <= BATCHES; batch++) {
            struct chunk chunk = { .n = n };

            put_body(play.store, batch, &chunk,
                     (struct slice){ line, sizeof(line) }, NULL, 0);
        }
        play_commit(&play);
    }
    play_begin(&play);
    after = store_bytes(play.store);
    store_abort(play.store);
    cr_expect_leq(after - before, most * PAGE_BYTES, "%llu pages",
                  (unsigned long long)(after - before) / PAGE_BYTES);
    store_close(play.store);
    scratch_remove(&play.scratch);
}

/* An open batch of an older store gets more drafts, results and its end. */
CLAIM(lines_of_an_older_store_are_read_and_their_batch_goes_on)
{
    uint64_t batch = play_open(play, "k"), other = play_open(play, "l");

    add_one(play, batch, "a");
    add_one(play, other, "x");
    add_one(play, batch, "b");
    play_make_older(play, batch);
    cr_assert_eq(play_rows(play, TABLE_BODY), 2);
    cr_assert_eq(play_rows(play, TABLE_PART), 1);
    cr_expect(play_get_draft(play, batch, 0).part & PART_OF_BATCH);
    play_check(play);
    play_reopen(play);
    add_one(play, other, "y");
    add_one(play, batch, "c");
    play_check(play);
    play_finish(play, play_find(play, "b"), STATUS_OK, "of b");
    play_finish(play, play_find(play, "c"), STATUS_OK, "of c");
    expect_line(play, batch, 0, "a");
    expect_line(play, batch, 1, "b");
    expect_line(play, batch, 2, "c");
    expect_line(play, other, 0, "x");
    expect_line(play, other, 1, "y");
    play_check(play);
    play_abort(play, batch, true);
    play_due(play, 10);
    cr_expect_eq(play_rows(play, TABLE_BODY), 0);
    cr_expect_eq(play_rows(play, TABLE_PART), 2);
    cr_expect_eq(play_rows(play, TABLE_CHUNK), 0);
    cr_expect_eq(play_rows(play, TABLE_NEWEST), 1);
    expect_line(play, other, 0, "x");
    expect_line(play, other, 1, "y");
}

/* What is left is of one batch, which has so many chunks of a part each. */
static void
expect_rows(struct play *play, uint64_t chunks)
{
    cr_expect_eq(play_rows(play, TABLE_PART), chunks);
    cr_expect_eq(play_rows(play, TABLE_CHUNK), chunks - NEWEST_MAX);
    cr_expect_eq(play_rows(play, TABLE_NEWEST), 1);
}

/* Stopped behind any slice, what is left hangs together. */
CLAIM(removal_takes_the_parts_of_one_batch_slice_by_slice)
{
    enum { CHUNKS = 2 * STORE_SLICE_MAX };
    uint64_t ids[2], rows, left;
    int slices = 0;

    ids[0] = play_open(play, "k");
    ids[1] = play_open(play, "l");
    add_chunks(play, ids, CHUNKS);
    play_abort(play, ids[0], true);
    rows = play_rows(play, TABLE_PART) + play_rows(play, TABLE_CHUNK);
    while (play_due(play, 1) == 1) {
        left = play_rows(play, TABLE_PART) + play_rows(play, TABLE_CHUNK);
        cr_expect_leq(rows - left, STORE_SLICE_MAX);
        rows = left;
        slices++;
        play_check(play);
        play_reopen(play);
    }
    cr_expect_geq(slices, 4);
    expect_rows(play, CHUNKS);
    expect_chunks(play, ids[1], CHUNKS);
}

/* Writes a chunk that is one part, of its own number, as formats 1 and 2 have it. */
static void
forget_parts(struct play *play, uint64_t batch, uint32_t n)
{
    struct key key = key_draft(batch, n);
    struct record record;
    struct buf fields = { 0 };

    play_begin(play);
    cr_assert_eq(table_get(play->store, TABLE_CHUNK, key, &record), 0);
    record_bytes(&fields, record.at, record.left - sizeof(uint64_t));
    buf_add_slice(table_fields(play->store), buf_slice(&fields));
    table_put(play->store, TABLE_CHUNK, key);
    play_commit(play);
    buf_fini(&fields);
}

CLAIM(chunk_that_names_no_part_is_the_one_of_its_number)
{
    uint64_t batch = play_open(play, "k");
    struct chunk chunk;
    struct slice line;

    add_one(play, batch, "a");
    add_one(play, batch, "b");
    play_make_older(play, batch);
    forget_parts(play, batch, 1);
    forget_parts(play, batch, 2);
    add_one(play, batch, "c");
    play_begin(play);
    for (uint32_t n = 1; n <= 3; n++) {
        cr_assert_eq(store_chunk_get(play->store, batch, n, &chunk), 0);
        cr_expect_eq(chunk.part_first, n < 3 ? PART_OF_BATCH | n : 3);
        cr_expect_eq(chunk.part_count, 1);
        cr_assert_eq(store_chunk_line(play->store, batch, &chunk, 1, &line), 0);
        cr_expect_eq(line.data[strlen("{\"id\":\"")], "abc"[n - 1]);
    }
    store_abort(play->store);
    play_check(play);
    play_abort(play, batch, true);
    play_due(play, 10);
    cr_expect_eq(play_rows(play, TABLE_BODY) + play_rows(play, TABLE_PART), 0);
}

/* Where its chunks do not say which parts it has, these do. */
CLAIM(removal_finds_the_parts_of_a_damaged_chunk)
{
    enum { CHUNKS = STORE_SLICE_MAX };
    uint64_t ids[2];

    ids[0] = play_open(play, "k");
    ids[1] = play_open(play, "l");
    add_chunks(play, ids, CHUNKS);
    cr_assert(rot_row(play->store, TABLE_CHUNK, 10, ROT_FLIP, 3));
    cr_assert(rot_row(play->store, TABLE_CHUNK, CHUNKS - 10, ROT_FLIP, 99));
    cr_assert(rot_row(play->store, TABLE_NEWEST, 0, ROT_FLIP, 99));
    play_abort(play, ids[0], true);
    while (play_due(play, 1) == 1)
        play_reopen(play);
    expect_rows(play, CHUNKS);
    expect_chunks(play, ids[1], CHUNKS);
}

/* A number that was forgotten would be given out again, and its lines lost. */
CLAIM(number_of_a_part_is_raised_to_what_is_in_use)
{
    uint64_t batch = play_open(play, "k");
    struct buf report = { 0 };
    struct verify verify = { .report = &report };

    add_one(play, batch, "a");
    add_one(play, batch, "b");
    play_begin(play);
    play->store->ids.part = 0;
    play->store->is_dirty = true;
    play_commit(play);
    cr_assert_eq(store_repair(play->store, &verify, NULL), 0);
    cr_expect_eq(verify.mended, 2, "%s", report.data);
    cr_expect_eq(verify.findings, 0, "%s", report.data);
    add_one(play, batch, "c");
    expect_line(play, batch, 0, "a");
    expect_line(play, batch, 1, "b");
    expect_line(play, batch, 2, "c");
    buf_fini(&report);
}

/* A part says whose it is: a chunk that names another's has lost its own. */
CLAIM(part_of_another_chunk_is_not_taken_for_its_own)
{
    uint64_t batch = play_open(play, "k");
    struct buf report = { 0 };
    struct verify verify = { .report = &report };
    struct chunk chunk;
    struct slice line;

    add_one(play, batch, "a");
    add_one(play, batch, "b");
    play_begin(play);
    cr_assert_eq(store_chunk_get(play->store, batch, 2, &chunk), 0);
    chunk.part_first = 1;
    store_chunk_put(play->store, batch, &chunk);
    cr_expect_eq(store_chunk_line(play->store, batch, &chunk, 1, &line),
                 E_NOTFOUND);
    cr_assert_eq(store_verify(play->store, &verify, NULL), 0);
    cr_expect_not_null(strstr(report.data, "chunk 1/2: no part 1"), "%s",
                       report.data);
    cr_expect_not_null(strstr(report.data, "part 2: not one of chunk 1/2"),
                       "%s", report.data);
    store_abort(play->store);
    buf_fini(&report);
}

/* ---- the newest chunks of a batch ---- */

/* The first chunks of a batch, of a draft each, are there and are themselves. */
static void
expect_first(struct play *play, uint64_t batch, const char *ids)
{
    struct chunk chunk;
    struct slice line;

    play_begin(play);
    for (uint32_t n = 1; n <= strlen(ids); n++) {
        cr_assert_eq(store_chunk_get(play->store, batch, n, &chunk), 0,
                     "chunk %u", n);
        cr_expect_eq(chunk.n, n);
        cr_expect_eq(chunk.index_first, n - 1);
        cr_assert_eq(store_chunk_line(play->store, batch, &chunk, 1, &line), 0);
        cr_expect_eq(line.data[strlen("{\"id\":\"")], ids[n - 1]);
    }
    cr_expect_eq(
        store_chunk_get(play->store, batch, (uint32_t)strlen(ids) + 1, &chunk),
        E_NOTFOUND);
    store_abort(play->store);
}

CLAIM(newest_chunks_share_a_row_until_there_is_no_room)
{
    static const char ids[] = "abcdefghi";
    uint64_t batch = play_open(play, "k"), other = play_open(play, "l");
    uint64_t rows = 0;

    for (uint32_t count = 1; count < sizeof(ids); count++) {
        char id[] = { ids[count - 1], '\0' }, known[sizeof(ids)];

        snprintf(known, sizeof(known), "%.*s", (int)count, ids);
        add_one(play, batch, id);
        play_reopen(play);
        if (count > NEWEST_MAX && count % NEWEST_MAX == 1)
            rows += NEWEST_MAX;
        cr_expect_eq(play_rows(play, TABLE_CHUNK), rows, "%u", count);
        cr_expect_eq(play_rows(play, TABLE_NEWEST), 1);
        expect_first(play, batch, known);
        play_check(play);
    }
    add_one(play, other, "x");
    cr_expect_eq(play_rows(play, TABLE_NEWEST), 2);
    expect_first(play, other, "x");
    expect_first(play, batch, ids);
}

/* What is damaged is not written over, and stands in nobody's way. */
Test(store_parts, chunks_go_on_behind_a_damaged_row, .timeout = 60)
{
    struct chunk chunk;
    struct play play;
    uint64_t batch;

    play_start(&play, PLAY_MEMORY);
    batch = play_open(&play, "k");
    add_one(&play, batch, "a");
    cr_assert(rot_row(play.store, TABLE_NEWEST, 0, ROT_FLIP, 99));
    add_one(&play, batch, "b");
    play_begin(&play);
    cr_expect_eq(store_chunk_get(play.store, batch, 1, &chunk), E_CORRUPT);
    cr_expect_eq(store_chunk_get(play.store, batch, 2, &chunk), 0);
    store_abort(play.store);
    expect_line(&play, batch, 0, "a");
    expect_line(&play, batch, 1, "b");
    play_abort(&play, batch, true);
    play_due(&play, 10);
    cr_expect_eq(play_rows(&play, TABLE_PART), 0);
    cr_expect_eq(play_rows(&play, TABLE_CHUNK), 0);
    play_end(&play);
}

/* A chunk that is there twice is told of. */
Test(store_parts, chunk_with_a_row_is_not_among_the_newest, .timeout = 60)
{
    struct buf report = { 0 };
    struct verify verify = { .report = &report };
    struct chunk chunk;
    struct play play;
    uint64_t batch;

    play_start(&play, PLAY_MEMORY);
    batch = play_open(&play, "k");
    add_one(&play, batch, "a");
    play_begin(&play);
    cr_assert_eq(store_chunk_get(play.store, batch, 1, &chunk), 0);
    store_chunk_put(play.store, batch, &chunk);
    cr_assert_eq(store_verify(play.store, &verify, NULL), 0);
    cr_expect_str_eq(report.data,
                     "newest 1: begins with chunk 1, and 1 has a row\n");
    store_abort(play.store);
    buf_fini(&report);
    play_end(&play);
}
