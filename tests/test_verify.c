/* SPDX-License-Identifier: MIT */
#include "store/verify.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/rot.h"
#include "tests/store_expect.h"

TestSuite(verify, .timeout = 60);

#define OPEN_TTL_MS 86400000

/* What repair makes of a table's rows. */
enum makes {
    MAKES_THE_SAME, /* they are what they were */
    MAKES_OTHERS,   /* the store is whole, but not as it was */
    MAKES_NOTHING,  /* they are left as they are, and named */
};

static const enum makes makes[TABLE_COUNT] = {
    [TABLE_META] = MAKES_NOTHING,        [TABLE_BATCH] = MAKES_NOTHING,
    [TABLE_SPEC] = MAKES_NOTHING,        [TABLE_UUID] = MAKES_THE_SAME,
    [TABLE_CLIENT_KEY] = MAKES_THE_SAME, [TABLE_CHUNK] = MAKES_NOTHING,
    [TABLE_BODY] = MAKES_NOTHING,        [TABLE_DRAFT] = MAKES_NOTHING,
    [TABLE_NAME] = MAKES_THE_SAME,       [TABLE_REFUSAL] = MAKES_NOTHING,
    [TABLE_REQUEST] = MAKES_NOTHING,     [TABLE_KEY] = MAKES_OTHERS,
    [TABLE_REF] = MAKES_THE_SAME,        [TABLE_READY] = MAKES_THE_SAME,
    [TABLE_TIMER] = MAKES_THE_SAME,      [TABLE_LEASE] = MAKES_OTHERS,
    [TABLE_WORKER] = MAKES_OTHERS,       [TABLE_OUTCOME] = MAKES_NOTHING,
    [TABLE_REPLY] = MAKES_NOTHING,       [TABLE_RESULT] = MAKES_THE_SAME,
    [TABLE_DONE] = MAKES_THE_SAME,       [TABLE_ESSENCE] = MAKES_NOTHING,
    [TABLE_ATTEMPT] = MAKES_OTHERS,      [TABLE_UPSTREAM] = MAKES_NOTHING,
    [TABLE_FILE] = MAKES_NOTHING,        [TABLE_FILE_UUID] = MAKES_THE_SAME,
    [TABLE_FILE_KEY] = MAKES_THE_SAME,   [TABLE_OWNED] = MAKES_THE_SAME,
    [TABLE_PIECE] = MAKES_NOTHING,       [TABLE_FILING] = MAKES_NOTHING,
    [TABLE_DELIVERY] = MAKES_OTHERS,     [TABLE_PENDING] = MAKES_THE_SAME,
    [TABLE_KEY_LOG] = MAKES_OTHERS,      [TABLE_KEY_SET] = MAKES_OTHERS,
    [TABLE_ANSWER] = MAKES_NOTHING,      [TABLE_KEY_CELL] = MAKES_OTHERS,
    [TABLE_PART] = MAKES_NOTHING,        [TABLE_NEWEST] = MAKES_NOTHING,
    [TABLE_SPAN] = MAKES_NOTHING,
};

/* Looks at the store as it is. */
static struct verify
look(struct store *store, struct buf *report)
{
    struct verify verify = { .report = report };
    struct err err = { 0 };

    cr_assert_eq(store_begin(store, store_latest_ms(store), NULL), 0);
    cr_assert_eq(store_verify(store, &verify, &err), 0, "%s", err.msg);
    store_abort(store);
    return verify;
}

static struct verify
repair(struct store *store, struct buf *report)
{
    struct verify verify = { .report = report, .open_ttl_ms = OPEN_TTL_MS };
    struct err err = { 0 };

    cr_assert_eq(store_repair(store, &verify, &err), 0, "%s", err.msg);
    return verify;
}

/* Nothing tells that these rows were there, or that they are too many: that a
 * worker had slots is in no other row, and none says that an essence was kept,
 * a call was made, what an upstream said or that a batch came from a file.
 * Only a request that may be joined must be found by its key, and a batch may be
 * abandoned at any time. What is told twice of recent keys does no harm. */
static bool
is_unseen(enum table table, enum rot how)
{
    return (how == ROT_DROP &&
            (table == TABLE_WORKER || table == TABLE_KEY ||
             table == TABLE_KEY_LOG || table == TABLE_KEY_SET ||
             table == TABLE_KEY_CELL || table == TABLE_ESSENCE ||
             table == TABLE_ATTEMPT || table == TABLE_UPSTREAM ||
             table == TABLE_FILING)) ||
           (how == ROT_DANGLE &&
            (table == TABLE_WORKER || table == TABLE_TIMER ||
             table == TABLE_KEY_LOG));
}

/* Where repair changes the truth: a request that no draft refers to is
 * forgotten, as is a reply that its request has not; another draft pays for the
 * call of one that is gone. */
static bool
is_moved(enum table table, enum rot how)
{
    return (how == ROT_DANGLE &&
            (table == TABLE_REQUEST || table == TABLE_ANSWER)) ||
           (how == ROT_DROP && (table == TABLE_DRAFT || table == TABLE_SPAN));
}

static void
expect_repair(struct store *store, enum table table, enum rot how,
              const unsigned char before[DIGEST_BYTES], const char *what)
{
    unsigned char rotten[DIGEST_BYTES], after[DIGEST_BYTES];
    struct buf report = { 0 };
    struct verify verify;

    rot_digest(store, table, rotten);
    verify = repair(store, &report);
    rot_digest(store, table, after);
    switch (makes[table]) {
    case MAKES_THE_SAME:
        cr_expect(memcmp(before, after, DIGEST_BYTES) == 0, "%s: %s is another",
                  what, table_name(table));
        /* fallthrough */
    case MAKES_OTHERS:
        cr_expect_eq(verify.findings, 0, "%s: left:\n%s", what, report.data);
        cr_expect_gt(verify.mended, 0, "%s", what);
        break;
    case MAKES_NOTHING:
        if (is_moved(table, how))
            break;
        cr_expect_gt(verify.findings, 0, "%s: nothing is left", what);
        cr_expect(memcmp(rotten, after, DIGEST_BYTES) == 0,
                  "%s: the truth was changed", what);
    }
    verify = repair(store, NULL);
    cr_expect_eq(verify.mended, 0, "%s: repaired twice", what);
    buf_fini(&report);
}

/* One row of one table, damaged in one way. False: there is no such row. */
static bool
try_row(enum table table, uint64_t nth, enum rot how, size_t *seen)
{
    static const char *const names[] = { "drop", "flip", "dangle" };
    unsigned char before[DIGEST_BYTES];
    struct buf report = { 0 };
    struct verify verify;
    struct play play;
    char what[64];
    bool is_done;

    snprintf(what, sizeof(what), "%s of %s %llu", names[how], table_name(table),
             (unsigned long long)nth);
    rot_furnish(&play);
    rot_digest(play.store, table, before);
    is_done = rot_row(play.store, table, nth, how, nth * 31 + 7);
    verify = look(play.store, &report);
    if (is_done && (!is_unseen(table, how) || verify.findings > 0)) {
        ++*seen;
        cr_expect_gt(verify.findings, 0, "%s was not found", what);
        cr_expect(verify.findings == 0 || makes[table] == MAKES_NOTHING ||
                      verify.mendable > 0,
                  "%s cannot be repaired:\n%s", what, report.data);
        expect_repair(play.store, table, how, before, what);
    }
    buf_fini(&report);
    store_close(play.store);
    return is_done;
}

static void
try_table(enum table table, enum rot how)
{
    size_t seen = 0;
    uint64_t nth = 0;

    while (try_row(table, nth, how, &seen))
        nth++;
    cr_expect(seen > 0 || is_unseen(table, how), "nothing was tried in %s",
              table_name(table));
}

Test(verify, a_row_that_is_gone_is_found_and_made_again)
{
    /* Without its first rows it is no store: they are not lost here. */
    for (enum table table = TABLE_BATCH; table < TABLE_COUNT; table++)
        try_table(table, ROT_DROP);
}

Test(verify, a_bit_that_flipped_is_found_and_the_row_made_again)
{
    for (enum table table = TABLE_BATCH; table < TABLE_COUNT; table++)
        try_table(table, ROT_FLIP);
}

Test(verify, a_row_that_leads_nowhere_is_found_and_removed)
{
    for (enum table table = TABLE_BATCH; table < TABLE_COUNT; table++)
        try_table(table, ROT_DANGLE);
}

Test(verify, a_finding_says_where_it_stands)
{
    struct buf report = { 0 };
    struct verify verify;
    struct play play;

    rot_furnish(&play);
    cr_assert(rot_row(play.store, TABLE_DONE, 1, ROT_DROP, 0));
    verify = look(play.store, &report);
    cr_expect_eq(verify.findings, 1);
    cr_expect_eq(verify.mendable, 1);
    cr_expect_str_eq(report.data, "draft 2/0: not in done\n");
    cr_expect_eq(verify.rows, verify.rows_all);
    buf_reset(&report);
    verify = repair(play.store, &report);
    cr_expect_eq(verify.mended, 1);
    cr_expect_eq(verify.findings, 0);
    cr_expect_str_eq(report.data, "draft 2/0: not in done (repaired)\n");
    buf_fini(&report);
    play_end(&play);
}

/* A batch of so many drafts, of which nothing is left in an index. Counted
 * downwards, each id has a row of its own. */
static void
lose_index(struct play *play, uint32_t count, enum table table)
{
    struct play_draft *drafts = calloc(count, sizeof(*drafts));
    char(*ids)[16] = calloc(count, sizeof(*ids));
    uint64_t batch;

    play_start(play, PLAY_LMDB);
    batch = play_open(play, "many");
    for (uint32_t i = 0; i < count; i++) {
        snprintf(ids[i], sizeof(ids[i]), "%u", count - i);
        drafts[i] = (struct play_draft){ .id = ids[i], .word = ids[i] };
    }
    play_add(play, batch, drafts, count);
    play_seal(play, batch);
    while (rot_row(play->store, table, 0, ROT_DROP, 0))
        continue;
    free(drafts);
    free(ids);
}

static size_t
lines_of(const struct buf *report)
{
    size_t count = 0;

    for (size_t i = 0; i < report->bytes; i++)
        count += report->data[i] == '\n';
    return count;
}

Test(verify, a_report_has_an_end_and_the_count_goes_on)
{
    enum { DRAFTS = VERIFY_FINDINGS_MAX + 200 };
    struct buf report = { 0 };
    struct verify verify;
    struct play play;

    lose_index(&play, DRAFTS, TABLE_READY);
    verify = look(play.store, &report);
    cr_expect_eq(verify.findings, DRAFTS);
    cr_expect_eq(lines_of(&report), VERIFY_FINDINGS_MAX);
    buf_reset(&report);
    verify = repair(play.store, &report);
    cr_expect_eq(verify.mended, DRAFTS);
    cr_expect_eq(lines_of(&report), VERIFY_FINDINGS_MAX);
    buf_fini(&report);
    play_end(&play);
}

static bool
no_further(void *context, const struct verify *verify)
{
    uint64_t *most = context;

    return verify->rows < *most;
}

Test(verify, a_repair_that_is_ended_anywhere_is_gone_on_with)
{
    enum { DRAFTS = 2500 };
    struct buf report = { 0 };
    struct play play;
    uint64_t most = 0;
    int rc, ended = 0;

    lose_index(&play, DRAFTS, TABLE_NAME);
    do {
        struct verify verify = { .go_on = no_further, .context = &most };

        most += VERIFY_STEP_ROWS;
        rc = store_repair(play.store, &verify, NULL);
        cr_assert_geq(rc, 0);
        ended += rc == 1;
        play_reopen(&play);
    } while (rc == 1);
    cr_expect_gt(ended, 2);
    cr_expect_eq(look(play.store, &report).findings, 0, "%s", report.data);
    buf_fini(&report);
    play_end(&play);
}

Test(verify, it_is_ended_when_it_is_told_so)
{
    struct verify verify = { .go_on = no_further };
    uint64_t most = 0;
    struct play play;

    lose_index(&play, 500, TABLE_UUID);
    verify.context = &most;
    play_begin(&play);
    cr_expect_eq(store_verify(play.store, &verify, NULL), 1);
    cr_expect_eq(verify.rows, VERIFY_STEP_ROWS);
    store_abort(play.store);
    repair(play.store, NULL);
    play_end(&play);
}

/* Of a draft that is damaged, what leads to it is not wrong. */
Test(verify, repair_leaves_what_leads_to_a_damaged_draft)
{
    static const enum table tables[] = { TABLE_NAME, TABLE_REF, TABLE_RESULT,
                                         TABLE_DONE, TABLE_READY };
    unsigned char before[5][DIGEST_BYTES], after[DIGEST_BYTES];
    struct verify verify;
    struct play play;

    rot_furnish(&play);
    for (size_t i = 0; i < 5; i++)
        rot_digest(play.store, tables[i], before[i]);
    cr_expect_gt(rot_drafts(play.store), 10);
    verify = repair(play.store, NULL);
    cr_expect_eq(verify.mended, 0);
    cr_expect_gt(verify.findings, 10);
    for (size_t i = 0; i < 5; i++) {
        rot_digest(play.store, tables[i], after);
        cr_expect(memcmp(before[i], after, DIGEST_BYTES) == 0, "%s was changed",
                  table_name(tables[i]));
    }
    store_close(play.store);
}

/* Counters that say something else than the drafts. */
Test(verify, counters_are_counted_again)
{
    struct batch before, batch;
    struct verify verify;
    struct play play;
    uint64_t id;

    play_start(&play, PLAY_MEMORY);
    id = play_batch(&play, "k", "a b c");
    play_finish(&play, claim_one(&play, id), STATUS_OK, "x");
    batch = before = play_get_batch(&play, id);
    batch.status_count[STATUS_OK]++;
    batch.refused_count += 7;
    batch.joined_count = 9;
    batch.retry_count = 2;
    batch.last_seq = 0;
    batch.draft_count = 1000;
    play_begin(&play);
    store_batch_put(play.store, &batch, play.now_ms);
    play_commit(&play);
    verify = repair(play.store, NULL);
    cr_expect_eq(verify.mended, 6);
    cr_expect_eq(verify.findings, 0);
    batch = play_get_batch(&play, id);
    cr_expect_eq(memcmp(&batch, &before, sizeof(batch)), 0);
    play_end(&play);
}

/* The last draft was counted and the batch left as it was: what goes on with it,
 * in a broker, ends it. */
Test(verify, a_batch_that_is_complete_is_finished)
{
    struct batch batch;
    struct play play;
    uint64_t id;

    play_start(&play, PLAY_MEMORY);
    id = play_batch(&play, "k", "a");
    play_finish(&play, claim_one(&play, id), STATUS_OK, "x");
    batch = play_get_batch(&play, id);
    batch.state = BATCH_SEALED;
    batch.status_count[STATUS_OK] = 0;
    play_begin(&play);
    store_batch_put(play.store, &batch, play.now_ms);
    play_commit(&play);
    cr_expect_eq(repair(play.store, NULL).findings, 0);
    cr_expect_eq(play_due(&play, 10), 1);
    cr_expect_eq(play_get_batch(&play, id).state, BATCH_FINISHED);
    play_check(&play);
    play_end(&play);
}
