/* SPDX-License-Identifier: MIT */
#include "store/span.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/rows.h"
#include "store/verify.h"
#include "tests/rot.h"
#include "tests/store_expect.h"

TestSuite(span, .timeout = 120);
TestSuite(store_lmdb, .timeout = 60);
TestSuite(store_memory, .timeout = 60);

#define PAGE_BYTES 4096
#define WORD_BYTES 24
#define MANY       (2 * SPAN_SLOTS + 20) /* drafts: three spans */
#define FALLBACKS  (1u << STATUS_SERVER_ERROR)

/* ---- drafts of a batch ---- */

/* Adds a chunk of drafts that are like no others; of them each `gap`th is
 * refused. 0: none is. */
static void
add(struct play *play, uint64_t batch, size_t count, uint32_t gap)
{
    struct play_draft *drafts = mem_zalloc(count, sizeof(*drafts));
    char(*words)[WORD_BYTES] = mem_zalloc(count, WORD_BYTES);
    uint32_t from = play_get_batch(play, batch).draft_count;

    for (size_t i = 0; i < count; i++) {
        snprintf(words[i], WORD_BYTES, "%llu-%zu", (unsigned long long)batch,
                 from + i);
        drafts[i].word = words[i];
        drafts[i].id = gap && (from + i) % gap == 0 ? NULL : words[i];
    }
    play_add(play, batch, drafts, count);
    free(drafts);
    free(words);
}

static uint64_t
fill(struct play *play, const char *key, size_t count, uint32_t gap)
{
    uint64_t batch = play_open(play, key);

    add(play, batch, count, gap);
    play_seal(play, batch);
    return batch;
}

/* Ends all that is ready of a batch. */
static void
finish(struct play *play, uint64_t batch, enum status status)
{
    uint64_t requests[MANY];
    size_t count = play_claim(play, batch, requests, MANY);

    for (size_t i = 0; i < count; i++)
        play_finish(play, requests[i], status, "said");
}

static uint64_t
counted(struct play *play)
{
    uint64_t drafts;

    play_begin(play);
    drafts = store_usage(play->store).drafts;
    store_abort(play->store);
    return drafts;
}

/* How many drafts of a batch are found one after another, in order. */
static uint32_t
walk(struct play *play, uint64_t batch)
{
    struct draft draft;
    uint32_t index = 0, count = 0;
    int rc;

    play_begin(play);
    while ((rc = draft_next(play->store, batch, index, &draft)) == 0) {
        cr_assert_geq(draft.index, index);
        cr_assert_eq(draft.batch, batch);
        index = draft.index + 1;
        count++;
    }
    cr_expect_eq(rc, E_NOTFOUND);
    store_abort(play->store);
    return count;
}

CLAIM(drafts_of_fifty_indexes_are_one_row)
{
    uint64_t batch = fill(play, "k", MANY, 0);

    cr_expect_eq(play_rows(play, TABLE_SPAN), 3);
    cr_expect_eq(play_rows(play, TABLE_DRAFT), 0);
    cr_expect_eq(walk(play, batch), MANY);
    cr_expect_eq(counted(play), MANY);
    play_reopen(play);
    cr_expect_eq(counted(play), MANY);
    cr_expect_eq(play_get_draft(play, batch, SPAN_SLOTS).index, SPAN_SLOTS);
    finish(play, batch, STATUS_OK);
    cr_expect_eq(walk(play, batch), MANY);
    play_purge(play, batch);
    play_due(play, 100);
    cr_expect_eq(play_rows(play, TABLE_SPAN), 0);
    cr_expect_eq(counted(play), 0);
}

/* Where one was refused, none is found, and none is counted. */
CLAIM(indexes_without_a_draft_are_passed_over)
{
    uint64_t batch = fill(play, "k", MANY, 7);
    uint32_t refused = (MANY + 6) / 7;
    struct draft draft;

    cr_expect_eq(walk(play, batch), MANY - refused);
    cr_expect_eq(counted(play), MANY - refused);
    play_begin(play);
    cr_expect_eq(store_draft_get(play->store, batch, 7, &draft), E_NOTFOUND);
    cr_expect_eq(draft_next(play->store, batch, 7, &draft), 0);
    cr_expect_eq(draft.index, 8);
    cr_expect_eq(store_draft_get(play->store, batch, MANY, &draft), E_NOTFOUND);
    cr_expect_eq(draft_next(play->store, batch, MANY, &draft), E_NOTFOUND);
    store_abort(play->store);
}

/* ---- what is held ---- */

/* An engine whose writes are counted. */
struct count {
    const struct engine_ops *ops;
    size_t puts[TABLE_COUNT];
};

static struct count count;

static int
count_put(struct engine *engine, enum table table, struct slice key,
          struct slice value)
{
    count.puts[table]++;
    return count.ops->put(engine, table, key, value);
}

/* Counts from now on; ends it. */
static void
count_begin(struct play *play, struct engine_ops *ops)
{
    count = (struct count){ .ops = play->store->engine->ops };
    *ops = *count.ops;
    ops->put = count_put;
    play->store->engine->ops = ops;
}

static void
count_end(struct play *play)
{
    play->store->engine->ops = count.ops;
}

/* A chunk begins in the span in which the last one ended. */
CLAIM(each_row_of_a_chunk_is_written_once)
{
    uint64_t batch = play_open(play, "k");
    struct engine_ops ops;

    add(play, batch, 20, 0);
    count_begin(play, &ops);
    add(play, batch, 60, 0);
    cr_expect_eq(count.puts[TABLE_SPAN], 2);
    add(play, batch, 20, 0);
    cr_expect_eq(count.puts[TABLE_SPAN], 3);
    count_end(play);
    cr_expect_eq(walk(play, batch), 100);
}

/* What is borrowed from the store stays while it is read on. */
CLAIM(reading_writes_nothing)
{
    uint64_t batch = fill(play, "k", MANY, 0), other = fill(play, "l", 3, 0);
    struct draft draft;
    struct engine_ops ops;
    uint32_t index = 0;

    count_begin(play, &ops);
    play_begin(play);
    cr_assert_eq(store_draft_get(play->store, batch, 1, &draft), 0);
    draft.revision = 0;
    draft.completed_ms = 77;
    draft_put(play->store, &draft);
    for (; draft_next(play->store, batch, index, &draft) == 0; index++) {
        cr_expect_eq(draft.completed_ms, index == 1 ? 77 : 0);
        cr_assert_eq(store_draft_get(play->store, other, index % 3, &draft), 0);
        cr_assert_eq(store_draft_get(play->store, batch, index, &draft), 0);
        cr_expect_eq(draft.completed_ms, index == 1 ? 77 : 0);
    }
    cr_expect_eq(index, MANY);
    cr_expect_eq(count.puts[TABLE_SPAN], 0);
    play_commit(play);
    cr_expect_eq(count.puts[TABLE_SPAN], 1);
    count_end(play);
    cr_expect_eq(play_get_draft(play, batch, 1).completed_ms, 77);
}

CLAIM(what_is_held_is_forgotten_with_its_transaction)
{
    uint64_t batch = fill(play, "k", 60, 0);
    unsigned char before[DIGEST_BYTES], after[DIGEST_BYTES];
    struct draft draft;

    play_digest(play, before);
    play_begin(play);
    cr_assert_eq(store_draft_get(play->store, batch, 3, &draft), 0);
    draft_del(play->store, &draft);
    draft.index = 60;
    draft_put(play->store, &draft);
    draft.index = 200;
    draft_put(play->store, &draft);
    cr_expect_eq(store_usage(play->store).drafts, 61);
    store_abort(play->store);
    cr_expect_eq(counted(play), 60);
    cr_expect_eq(walk(play, batch), 60);
    play_digest(play, after);
    cr_expect_eq(memcmp(before, after, DIGEST_BYTES), 0);
    cr_expect_eq(play_get_draft(play, batch, 3).index, 3);
}

/* A store that is soon full. */
CLAIM(what_finds_no_room_changes_nothing)
{
    static const unsigned char id[STORE_UUID_BYTES] = "a store of tests";
    unsigned char before[DIGEST_BYTES], after[DIGEST_BYTES];
    struct draft draft = { .batch = 7, .request = 1 };
    struct err err = { 0 };

    store_close(play->store);
    play->store = play->kind == PLAY_LMDB
                      ? store_open(play->scratch.path, 1u << 20, id, &err)
                      : store_open_memory(1u << 20, id);
    cr_assert_not_null(play->store, "%s", err.msg);
    play_digest(play, before);
    play_begin(play);
    for (; play->store->rc == 0; draft.index++) {
        cr_assert_lt(draft.index, 100000);
        draft_put(play->store, &draft);
    }
    cr_expect_eq(store_commit(play->store, &err), E_FULL, "%s", err.msg);
    play_digest(play, after);
    cr_expect_eq(memcmp(before, after, DIGEST_BYTES), 0);
    cr_expect_eq(counted(play), 0);
    fill(play, "k", 60, 0);
}

/* ---- rot ---- */

static struct verify
look(struct play *play, struct buf *report, bool is_mending)
{
    struct verify verify = { .report = report };

    buf_reset(report);
    if (is_mending) {
        cr_assert_eq(store_repair(play->store, &verify, NULL), 0);
        return verify;
    }
    return play_verify(play, report);
}

/* Flips a bit of the slot of a draft. */
static void
spoil(struct play *play, uint32_t index)
{
    size_t byte = (size_t)(index % SPAN_SLOTS) * SPAN_SLOT_BYTES + 30;

    cr_assert(rot_row(play->store, TABLE_SPAN, index / SPAN_SLOTS, ROT_FLIP,
                      byte * 8));
}

CLAIM(rot_in_one_draft_leaves_its_neighbours)
{
    uint64_t batch = fill(play, "k", MANY, 0);
    struct buf report = { 0 };
    struct draft draft;
    struct verify verify;

    spoil(play, 7);
    verify = look(play, &report, false);
    cr_expect_eq(verify.findings, 1, "%s", report.data);
    cr_expect_str_eq(report.data, "draft 1/7: its checksum fails\n");
    play_begin(play);
    cr_expect_eq(store_draft_get(play->store, batch, 7, &draft), E_CORRUPT);
    cr_expect_eq(draft_next(play->store, batch, 7, &draft), E_CORRUPT);
    cr_expect_eq(draft.index, 7);
    store_abort(play->store);
    /* Its neighbours change beside it. */
    finish(play, batch, STATUS_SERVER_ERROR);
    play_retry(play, batch, FALLBACKS);
    play_due(play, 100);
    finish(play, batch, STATUS_OK);
    for (uint32_t index = 0; index < MANY; index++) {
        if (index != 7)
            expect_status(play, batch, index, STATUS_OK);
    }
    cr_expect_eq(counted(play), MANY);
    spoil(play, 7);
    expect_status(play, batch, 7, STATUS_NONE);
    spoil(play, 7);
    play_cancel(play, batch);
    play_due(play, 100);
    play_purge(play, batch);
    play_due(play, 100);
    cr_expect_eq(play_rows(play, TABLE_SPAN), 0);
    cr_expect_eq(counted(play), 0);
    (void)look(play, &report, true);
    buf_fini(&report);
}

/* None disappears unseen: a slot in which there is none is sealed as well. */
CLAIM(rot_where_no_draft_is_is_found)
{
    uint64_t batch = fill(play, "k", 20, 7);
    struct buf report = { 0 };
    struct draft draft;

    spoil(play, 14);
    cr_expect_gt(look(play, &report, false).findings, 0);
    cr_expect(strstr(report.data, "draft 1/14: its checksum fails\n"), "%s",
              report.data);
    play_begin(play);
    cr_expect_eq(store_draft_get(play->store, batch, 14, &draft), E_CORRUPT);
    store_abort(play->store);
    spoil(play, 14);
    buf_fini(&report);
}

/* Puts a row as it is. */
static void
put(struct play *play, uint32_t first, const char *data, size_t bytes)
{
    play_begin(play);
    table_put_raw(play->store, TABLE_SPAN, key_draft(1, first),
                  (struct slice){ data, bytes });
    play_commit(play);
}

/* Rows that no store writes: cut short, too long, and where no span begins. */
CLAIM(rows_of_a_wrong_size_or_place_are_found)
{
    uint64_t batch = fill(play, "k", SPAN_SLOTS, 0);
    size_t whole = SPAN_SLOTS * SPAN_SLOT_BYTES;
    char bytes[SPAN_SLOTS * SPAN_SLOT_BYTES + 1] = { 0 };
    struct buf report = { 0 };
    struct draft draft;
    struct slice row;

    play_begin(play);
    cr_assert_eq(
        table_get_raw(play->store, TABLE_SPAN, key_draft(batch, 0), &row), 0);
    cr_assert_eq(row.bytes, whole);
    memcpy(bytes, row.data, whole);
    store_abort(play->store);
    put(play, 0, bytes, whole - 1);
    cr_expect_eq(look(play, &report, false).findings, 2, "%s", report.data);
    cr_expect(strstr(report.data, "span 1/0: damaged\n"), "%s", report.data);
    cr_expect(strstr(report.data, "draft 1/49: its checksum fails\n"), "%s",
              report.data);
    finish(play, batch, STATUS_OK);
    expect_status(play, batch, 48, STATUS_OK);
    play_begin(play);
    cr_expect_eq(store_draft_get(play->store, batch, 49, &draft), E_CORRUPT);
    store_abort(play->store);
    put(play, 0, bytes, whole + 1);
    (void)look(play, &report, false);
    cr_expect(strstr(report.data, "span 1/0: damaged\n"), "%s", report.data);
    put(play, 51, bytes, SPAN_SLOT_BYTES);
    (void)look(play, &report, false);
    cr_expect(strstr(report.data, "span 1/51: no span begins there\n"), "%s",
              report.data);
    play_cancel(play, batch);
    play_due(play, 100);
    play_purge(play, batch);
    play_due(play, 100);
    cr_expect_eq(play_rows(play, TABLE_SPAN), 0);
    (void)look(play, &report, true);
    buf_fini(&report);
}

CLAIM(drafts_are_counted_again)
{
    struct buf report = { 0 };
    struct verify verify;

    fill(play, "k", 60, 7);
    play->store->ids.drafts += 5;
    verify = look(play, &report, false);
    cr_expect_str_eq(report.data, "meta ids: 56 drafts in spans, counted 51\n");
    cr_expect_eq(verify.mendable, 1);
    play->store->ids.drafts += 5;
    verify = look(play, &report, true);
    cr_expect_eq(verify.mended, 1, "%s", report.data);
    cr_expect_eq(verify.findings, 0, "%s", report.data);
    play_reopen(play);
    cr_expect_eq(counted(play), 51);
    buf_fini(&report);
}

/* ---- stores of before ---- */

/* What came before has rows of its own, and what comes now stands in spans. */
CLAIM(open_batch_of_an_older_store_goes_on)
{
    uint64_t batch = play_open(play, "k");
    struct draft draft;

    add(play, batch, 30, 7);
    play_part_drafts(play, batch);
    cr_expect_eq(play_rows(play, TABLE_SPAN), 0);
    cr_expect_eq(play_rows(play, TABLE_DRAFT), 25);
    play_check(play);
    play_reopen(play);
    add(play, batch, 40, 7);
    cr_expect_eq(play_rows(play, TABLE_DRAFT), 25);
    cr_expect_eq(play_rows(play, TABLE_SPAN), 2);
    cr_expect_eq(walk(play, batch), 60);
    cr_expect_eq(counted(play), 60);
    play_seal(play, batch);
    finish(play, batch, STATUS_SERVER_ERROR);
    play_retry(play, batch, FALLBACKS);
    play_due(play, 100);
    finish(play, batch, STATUS_OK);
    for (uint32_t index = 0; index < 70; index++) {
        if (index % 7 != 0)
            expect_status(play, batch, index, STATUS_OK);
    }
    cr_expect_eq(play_rows(play, TABLE_DRAFT), 25);
    cr_expect(play_get_draft(play, batch, 29).is_apart);
    cr_expect_not(play_get_draft(play, batch, 30).is_apart);
    play_check(play);
    /* The slot of one that has a row of its own. */
    spoil(play, 3);
    play_begin(play);
    cr_expect_eq(store_draft_get(play->store, batch, 3, &draft), 0);
    store_abort(play->store);
    spoil(play, 3);
    play_purge(play, batch);
    play_due(play, 100);
    cr_expect_eq(play_rows(play, TABLE_DRAFT), 0);
    cr_expect_eq(counted(play), 0);
}

CLAIM(drafts_of_an_older_store_are_cancelled)
{
    uint64_t batch = fill(play, "k", 20, 0);

    fill(play, "l", 20, 0);
    play_part_drafts(play, batch);
    play_cancel(play, batch);
    play_due(play, 100);
    for (uint32_t index = 0; index < 20; index++)
        expect_status(play, batch, index, STATUS_CANCELLED);
    cr_expect_eq(play_rows(play, TABLE_DRAFT), 20);
    cr_expect_eq(play_rows(play, TABLE_SPAN), 1);
    cr_expect_eq(counted(play), 40);
}

/* ---- pages ---- */

static uint64_t
pages(struct play *play)
{
    uint64_t bytes;

    play_begin(play);
    bytes = store_bytes(play->store);
    store_abort(play->store);
    return bytes / PAGE_BYTES;
}

/* The pages that drafts take which come in chunks, to batches by turns. */
static uint64_t
grow(uint32_t batches, uint32_t chunks, uint32_t chunk)
{
    struct play play;
    uint32_t counts[64] = { 0 };
    uint64_t before;

    play_start(&play, PLAY_LMDB);
    before = pages(&play);
    for (uint32_t n = 0; n < chunks; n++) {
        uint32_t which = n % batches;
        struct draft draft = { .batch = which + 1, .request = 1 };

        if (n % 16 == 0)
            play_begin(&play);
        for (uint32_t i = 0; i < chunk; i++) {
            draft.index = counts[which]++;
            draft_put(play.store, &draft);
        }
        if (n % 16 == 15 || n == chunks - 1)
            play_commit(&play);
    }
    before = pages(&play) - before;
    store_close(play.store);
    scratch_remove(&play.scratch);
    return before;
}

Test(span, eight_batches_take_as_many_pages_as_one)
{
    uint64_t one = grow(1, 400, 32), eight = grow(8, 400, 32);

    cr_expect_leq(one, 400 * 32 / SPAN_SLOTS + 8, "%lu pages", one);
    cr_expect_leq(eight * 20, one * 21, "%lu pages, one has %lu", eight, one);
}

/* A page has 39 rows of one draft. */
Test(span, batches_of_few_drafts_share_pages)
{
    cr_expect_leq(grow(60, 60, 1), 3, "%lu pages", grow(60, 60, 1));
    cr_expect_leq(grow(60, 60, 10), 60 / 3 + 1, "%lu pages", grow(60, 60, 10));
}
