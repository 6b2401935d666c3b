/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "store/rows.h"
#include "store/verify.h"
#include "tests/rot.h"
#include "tests/store_expect.h"

#define MANY 300 /* drafts: of groups of four, three rows */

static uint64_t
ready_of(struct play *play)
{
    struct store_usage usage;

    play_begin(play);
    usage = store_usage(play->store);
    store_abort(play->store);
    return usage.ready;
}

/* A batch of many drafts that are like no others. */
static uint64_t
add_many(struct play *play, const char *key)
{
    struct play_draft drafts[MANY] = { 0 };
    uint64_t batch = play_open(play, key);
    char ids[MANY][24];

    for (uint32_t i = 0; i < MANY; i++) {
        snprintf(ids[i], sizeof(ids[i]), "%s-%u", key, i);
        drafts[i].id = drafts[i].word = ids[i];
    }
    play_add(play, batch, drafts, MANY);
    return batch;
}

/* The requests of a batch are claimed in the order in which they came. */
static void
expect_order(struct play *play, uint64_t batch, uint32_t from, uint32_t end)
{
    uint64_t ids[MANY];
    size_t count = play_claim(play, batch, ids, end - from);

    cr_assert_eq(count, end - from);
    for (uint32_t i = from; i < end; i++)
        cr_assert_eq(ids[i - from], play_get_draft(play, batch, i).request);
}

/* ---- rows ---- */

CLAIM(requests_of_many_drafts_are_a_few_rows)
{
    uint64_t batch = add_many(play, "k");

    cr_expect_eq(play_rows(play, TABLE_READY),
                 (MANY / 4 + SERIES_MAX - 1) / SERIES_MAX);
    cr_expect_eq(ready_of(play), MANY);
    play_reopen(play);
    cr_expect_eq(ready_of(play), MANY);
    expect_order(play, batch, 0, MANY);
    cr_expect_eq(play_rows(play, TABLE_READY), 0);
    cr_expect_eq(ready_of(play), 0);
}

/* LMDB moves nothing between pages as long as no row is removed. */
CLAIM(row_of_which_is_leased_stays_where_it_is)
{
    uint64_t batch = add_many(play, "k"), rows = play_rows(play, TABLE_READY);
    struct slice found;

    expect_order(play, batch, 0, 50);
    cr_expect_eq(play_rows(play, TABLE_READY), rows);
    play_begin(play);
    cr_assert_eq(
        table_seek(play->store, TABLE_READY, key_id(batch), 8, &found, NULL),
        0);
    cr_expect_eq(ready_from(found).request, 1);
    store_abort(play->store);
    play_reopen(play);
    cr_expect_eq(ready_of(play), MANY - 50);
    expect_order(play, batch, 50, MANY);
}

/* What is given back, cancelled and put back has its old place. */
CLAIM(request_from_the_middle_goes_and_comes_back)
{
    uint64_t batch = add_many(play, "k"), ids[MANY];
    struct request request;
    struct spot spot;

    expect_order(play, batch, 0, 40);
    for (uint32_t i = 0; i < MANY; i++)
        ids[i] = play_get_draft(play, batch, i).request;
    play_begin(play);
    for (uint32_t i = 41; i < MANY; i += 2) {
        cr_assert_eq(store_request_get(play->store, ids[i], &request), 0);
        ready_del(play->store, &request, batch);
    }
    play_commit(play);
    cr_expect_eq(ready_of(play), (MANY - 40) / 2);
    play_begin(play);
    for (uint32_t i = MANY; i-- > 41;) {
        cr_assert_eq(store_request_get(play->store, ids[i], &request), 0);
        spot = (struct spot){ request.place, request.id };
        cr_assert_eq(ready_find(play->store, batch, &spot),
                     i % 2 ? E_NOTFOUND : 0);
        ready_put(play->store, &request, batch);
    }
    play_commit(play);
    for (uint32_t i = 0; i < 40; i += 3)
        play_release(play, ids[i]);
    play_check(play);
    for (uint32_t i = 0; i < 40; i += 3)
        expect_order(play, batch, i, i + 1);
    expect_order(play, batch, 40, MANY);
}

CLAIM(what_a_transaction_that_fails_has_put_is_forgotten)
{
    uint64_t batch = add_many(play, "k");
    struct request request = play_get_request(play, 7);
    unsigned char before[DIGEST_BYTES], after[DIGEST_BYTES];

    play_digest(play, before);
    play_begin(play);
    ready_del(play->store, &request, batch);
    request.id = 1000;
    ready_put(play->store, &request, batch);
    cr_expect_eq(store_usage(play->store).ready, MANY);
    ready_put(play->store, &request, batch + 1);
    cr_expect_eq(store_usage(play->store).ready, MANY + 1);
    store_abort(play->store);
    cr_expect_eq(ready_of(play), MANY);
    play_digest(play, after);
    cr_expect_eq(memcmp(before, after, DIGEST_BYTES), 0);
    play_check(play);
}

CLAIM(purged_batch_leaves_no_row_and_is_not_counted)
{
    uint64_t batch = add_many(play, "k"), other = add_many(play, "l");
    struct spot spot = { .request = 999999 };

    /* A row that nobody would remove. */
    play_begin(play);
    ready_add(play->store, batch, &spot);
    play_commit(play);
    cr_expect_eq(ready_of(play), 2 * MANY + 1);
    play_abort(play, batch, true);
    play_due(play, 100);
    cr_expect_eq(ready_of(play), MANY);
    expect_order(play, other, 0, MANY);
    cr_expect_eq(play_rows(play, TABLE_READY), 0);
}

/* Of goals that take turns, each has its requests together. */
CLAIM(goals_that_take_turns_are_in_order)
{
    enum { GOALS = 40, COUNT = 400 };
    struct spot spots[COUNT], at = { 0 };
    size_t count = 0;

    play_begin(play);
    for (uint64_t i = 0; i < COUNT; i++) {
        spots[i] = (struct spot){ { i % GOALS + 1, i % GOALS + 1 }, i + 1 };
        ready_add(play->store, 1, &spots[i]);
    }
    for (; ready_seek(play->store, 1, &at, &at) == 0; at.request++) {
        cr_assert_eq(at.place.lead, count / (COUNT / GOALS) + 1);
        cr_assert_eq(at.request,
                     count % (COUNT / GOALS) * GOALS + at.place.lead);
        count++;
    }
    cr_expect_eq(count, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        ready_cut(play->store, 1, &spots[i], 1);
    cr_expect_eq(store_usage(play->store).ready, 0);
    play_commit(play);
    cr_expect_eq(play_rows(play, TABLE_READY), 0);
}

#define TURNS 10 /* drafts of each goal */

static void
take_turns(void *context, struct new_draft *draft)
{
    uint32_t goal = draft->draft.index % (2 * SERIES_MAX) + 1;

    (void)context;
    draft->place = (struct place){ goal, goal };
}

/* The same as a chunk comes in: its rows are full, as each is written once. */
CLAIM(chunk_of_goals_that_take_turns_leaves_full_rows)
{
    enum { COUNT = 2 * SERIES_MAX * TURNS };
    static struct new_draft drafts[COUNT];
    uint64_t batch = play_open(play, "k");
    struct intake intake = play_intake(play);
    struct batch record = play_get_batch(play, batch);
    struct chunk chunk = { .n = 1 };
    char ids[COUNT][16];

    intake.place = take_turns;
    for (uint32_t i = 0; i < COUNT; i++) {
        snprintf(ids[i], sizeof(ids[i]), "%u", i);
        drafts[i] = (struct new_draft){ .draft.index = i, .route = "local" };
        drafts[i].id = slice_of(ids[i]);
        play_key(ids[i], drafts[i].key);
    }
    play_begin(play);
    cr_assert_eq(
        store_drafts_add(play->store, &record, &chunk, drafts, COUNT, &intake),
        0);
    ready_catch_up(play->store);
    cr_expect_eq(store_usage(play->store).ready, COUNT);
    cr_expect_eq(
        play->store->engine->ops->rows(play->store->engine, TABLE_READY),
        COUNT / SERIES_MAX);
    store_abort(play->store);
}

/* ---- a store of format 6 ---- */

/* Gives each request of the index a row of its own, as it was. */
static void
make_older(struct play *play, uint64_t batch)
{
    struct spot spots[2 * MANY], at = { 0 };
    size_t count = 0;

    play_begin(play);
    for (; ready_seek(play->store, batch, &at, &at) == 0; at.request++) {
        cr_assert_lt(count, 2 * MANY);
        spots[count++] = at;
    }
    cr_expect_not(ready_drop(play->store, batch));
    for (size_t i = 0; i < count; i++) {
        table_fields(play->store);
        table_put(play->store, TABLE_READY, ready_key(batch, &spots[i]));
    }
    play_commit(play);
    cr_assert_eq(play_rows(play, TABLE_READY), count);
    play->store->ready_count = play->store->ready_committed = count;
}

CLAIM(rows_of_format_6_go_on)
{
    struct play_draft more[] = { { .id = "more-1", .word = "more-1" },
                                 { .id = "more-2", .word = "more-2" } };
    uint64_t batch = add_many(play, "k"), ids[MANY];

    make_older(play, batch);
    play_reopen(play);
    cr_expect_eq(ready_of(play), MANY);
    play_check(play);
    cr_assert_eq(play_claim(play, batch, ids, 30), 30);
    cr_expect_eq(play_rows(play, TABLE_READY), MANY - 30);
    play_release(play, ids[3]);
    play_delay(play, ids[4], play->now_ms + 10);
    play->now_ms += 10;
    cr_expect_eq(play_due(play, 1), 1);
    play_add(play, batch, more, 2);
    play_reopen(play);
    cr_expect_eq(ready_of(play), MANY - 30 + 4);
    play_check(play);
    cr_assert_eq(play_claim(play, batch, ids, 3), 3);
    cr_expect_eq(ids[0], 4);
    cr_expect_eq(ids[1], 5);
    cr_expect_eq(ids[2], 31);
    play_cancel(play, batch);
    play_due(play, 100);
    cr_expect_eq(play_rows(play, TABLE_READY), 0);
    cr_expect_eq(ready_of(play), 0);
}

/* ---- damage ---- */

static void
repair(struct play *play)
{
    struct buf report = { 0 };
    struct verify verify = { .report = &report };

    cr_assert_eq(store_repair(play->store, &verify, NULL), 0);
    cr_assert_eq(verify.findings, 0, "%s", report.data);
    buf_fini(&report);
}

/* The requests of a row that is damaged wait until it is made again; the others
 * go on. */
Test(store_ready, a_damaged_row_holds_up_its_own_requests_only)
{
    struct verify verify;
    struct play play;
    uint64_t batch, ids[MANY];
    size_t count;

    play_start(&play, PLAY_MEMORY);
    batch = add_many(&play, "k");
    cr_assert(rot_row(play.store, TABLE_READY, 0, ROT_FLIP, 77));
    verify = play_verify(&play, NULL);
    cr_expect_eq(verify.findings, 1, "one row, and not each of its requests");
    cr_expect_eq(verify.mendable, 1);
    count = play_claim(&play, batch, ids, MANY);
    cr_expect_eq(count, MANY - 4 * SERIES_MAX);
    cr_expect_eq(ids[0], 4 * SERIES_MAX + 1);
    play_release(&play, ids[0]);
    repair(&play);
    cr_expect_eq(ready_of(&play), 4 * SERIES_MAX + 1);
    expect_order(&play, batch, 0, 4 * SERIES_MAX + 1);
    play_check(&play);
    play_end(&play);
}

/* Damage where a request is put back does not keep it out. */
Test(store_ready, a_damaged_row_keeps_nothing_out)
{
    struct play play;
    uint64_t batch, id;

    play_start(&play, PLAY_MEMORY);
    batch = play_batch(&play, "k", "a b c");
    id = claim_one(&play, batch);
    cr_assert(rot_row(play.store, TABLE_READY, 0, ROT_FLIP, 3));
    play_release(&play, id);
    cr_expect_eq(claim_one(&play, batch), id);
    repair(&play);
    expect_order(&play, batch, 1, 3);
    play_end(&play);
}

/* Wherever it is, a row that is not damaged keeps what belongs to it. */
Test(store_ready, a_damaged_last_row_takes_nothing_of_those_before_it)
{
    struct spot spot = { { MANY, MANY }, MANY }, found;
    struct play play;
    uint64_t batch, ids[4];

    play_start(&play, PLAY_MEMORY);
    batch = add_many(&play, "k");
    cr_assert(rot_row(play.store, TABLE_READY, 2, ROT_FLIP, 5));
    cr_assert_eq(play_claim(&play, batch, ids, 4), 4);
    play_release(&play, ids[1]);
    cr_expect_eq(play_rows(&play, TABLE_READY), 3);
    cr_expect_eq(claim_one(&play, batch), ids[1]);
    /* What comes behind it is not in front of it. */
    play_begin(&play);
    for (struct spot at = { 0 };
         ready_seek(play.store, batch, &at, &found) == 0; at = found) {
        found.request++;
    }
    ready_add(play.store, batch, &spot);
    ready_catch_up(play.store);
    cr_expect_eq(play.store->engine->ops->rows(play.store->engine, TABLE_READY),
                 4);
    store_abort(play.store);
    repair(&play);
    play_end(&play);
}

static void
put_fields(struct play *play, uint64_t batch, const struct spot *from,
           const void *fields, size_t bytes)
{
    play_begin(play);
    record_bytes(table_fields(play->store), fields, bytes);
    table_put(play->store, TABLE_READY, ready_key(batch, from));
    play_commit(play);
}

Test(store_ready, what_no_row_may_say_is_found_and_mended)
{
    static const struct {
        const char *what;
        uint64_t lead, group, request;
        unsigned char fields[8];
        size_t bytes;
        const char *want;
    } rows[] = {
        { "goes on into the next",
          1,
          1,
          1,
          { 0, 0, 0, 9 },
          4,
          "ready 1/1/1/1: it goes on into the next one\n" },
        { "no requests",
          9,
          9,
          50,
          { 0, 0, 0, 0xff, 0xff, 0xff, 7 },
          7,
          "ready 1/9/9/50: request 50 is not there\n" },
        { "another place",
          1,
          1,
          5,
          { 0, 0, 0, 0 },
          4,
          "ready 1/1/1/5: request 5 is elsewhere, or ready\n" },
        { "too short", 9, 9, 50, { 0, 0 }, 2, "ready 1/9/9/50: damaged\n" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct spot from = { { rows[i].lead, rows[i].group }, rows[i].request };
        struct buf report = { 0 };
        struct play play;
        uint64_t batch;

        play_start(&play, PLAY_MEMORY);
        batch = play_batch(&play, "k", "a b c d e f g h");
        make_older(&play, batch);
        put_fields(&play, batch, &from, rows[i].fields, rows[i].bytes);
        (void)play_verify(&play, &report);
        cr_expect_str_eq(report.data, rows[i].want, "%s: %s", rows[i].what,
                         report.data);
        repair(&play);
        cr_expect_eq(ready_of(&play), 8, "%s", rows[i].what);
        expect_order(&play, batch, 0, 8);
        buf_fini(&report);
        play_end(&play);
    }
}

/* Rows that say the same give out each request once, and end. */
Test(store_ready, rows_that_overlap_are_come_through)
{
    static const unsigned char fields[] = { 0, 0, 0, 9 };
    struct lease terms = { .granted_ms = 1, .deadline_ms = 2 };
    struct spot from = { { 1, 1 }, 1 };
    struct request requests[20];
    struct place at = { 0 };
    struct play play;
    uint64_t batch;
    size_t claimed = 0;

    play_start(&play, PLAY_MEMORY);
    batch = play_batch(&play, "k", "a b c d e f g h");
    make_older(&play, batch);
    put_fields(&play, batch, &from, fields, sizeof(fields));
    play_begin(&play);
    for (int turn = 0; store_ready_next(play.store, batch, &at) == 0; turn++) {
        cr_assert_lt(turn, 20, "it never ends");
        claimed += store_claim(play.store, batch, at, &terms, requests, 20);
    }
    play_commit(&play);
    cr_expect_eq(claimed, 8);
    cr_expect_eq(play_rows(&play, TABLE_READY), 0);
    repair(&play);
    play_end(&play);
}
