/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* strtok_r */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/rows.h"
#include "store/verify.h"
#include "tests/rot.h"
#include "tests/store_expect.h"

#define ID_BYTES   48
#define DRAFTS_MAX 512

/* ---- looking ---- */

static uint64_t
rows_of_names(struct play *play)
{
    struct engine *engine = play->store->engine;
    uint64_t count;

    play_begin(play);
    count = engine->ops->rows(engine, TABLE_NAME);
    store_abort(play->store);
    return count;
}

/* The index of the draft with an id; -1: there is none, -2: it cannot be told. */
static int64_t
index_of(struct play *play, uint64_t batch, const char *id)
{
    struct draft draft;
    int rc;

    play_begin(play);
    rc = store_draft_find(play->store, batch, slice_of(id), &draft);
    store_abort(play->store);
    if (rc == 0)
        return draft.index;
    return rc == E_NOTFOUND ? -1 : -2;
}

/* Adds a chunk of ids, separated by blanks; "-" is refused. Returns a letter for
 * each: n new, d a duplicate, - refused. */
static const char *
add(struct play *play, uint64_t batch, const char *ids)
{
    static char told[DRAFTS_MAX + 1];
    struct play_draft drafts[DRAFTS_MAX] = { 0 };
    char *copy = mem_dup_str(ids), *rest = copy;
    size_t count = 0;

    for (char *id = strtok_r(copy, " ", &rest); id;
         id = strtok_r(NULL, " ", &rest)) {
        cr_assert_lt(count, DRAFTS_MAX);
        drafts[count++] =
            (struct play_draft){ .id = strcmp(id, "-") == 0 ? NULL : id,
                                 .word = id };
    }
    play_add(play, batch, drafts, count);
    for (size_t i = 0; i < count; i++) {
        bool is_dup = drafts[i].disposition == DRAFT_DUPLICATE_ID;

        told[i] = '-';
        if (drafts[i].id)
            told[i] = is_dup ? 'd' : 'n';
    }
    told[count] = '\0';
    free(copy);
    return told;
}

/* The stem of an id of the form BEFORE NUMBER, as FORMAT.md has it. */
static uint64_t
stem_of(const char *before, unsigned char digits)
{
    unsigned char digest[DIGEST_BYTES], bytes[ID_BYTES];
    size_t count = strlen(before);

    memcpy(bytes, before, count);
    bytes[count] = 0;
    bytes[count + 1] = (unsigned char)count;
    bytes[count + 2] = digits;
    digest_of(bytes, count + 3, digest);
    return key_get_u64((struct slice){ (const char *)digest, 8 }, 0);
}

/* What there is of a run of two drafts or more, which begins at a number. */
static struct run
row_at(struct play *play, uint64_t batch, uint64_t stem, uint64_t number)
{
    struct run run = { 0 };

    play_begin(play);
    cr_assert_eq(
        run_find(play->store, batch, (struct name){ stem, number }, &run), 0);
    store_abort(play->store);
    return run;
}

/* ---- runs ---- */

CLAIM(counted_ids_take_no_row)
{
    uint64_t batch = play_open(play, "k"), other = play_open(play, "l");
    struct batch record;

    cr_expect_str_eq(add(play, batch, "d-1 d-2 d-3"), "nnn");
    cr_expect_str_eq(add(play, other, "d-1 d-2"), "nn");
    play_reopen(play);
    cr_expect_str_eq(add(play, batch, "d-4"), "n");
    cr_expect_str_eq(add(play, batch, "d-2 d-4"), "dd");
    cr_expect_eq(rows_of_names(play), 0);
    record = play_get_batch(play, batch);
    cr_expect_eq(record.tail.count, 4);
    cr_expect_eq(record.tail.first.stem, stem_of("d-", 1));
    cr_expect_eq(record.tail.first.number, 1);
    cr_expect_eq(index_of(play, batch, "d-1"), 0);
    cr_expect_eq(index_of(play, batch, "d-4"), 3);
    cr_expect_eq(index_of(play, batch, "d-5"), -1);
    cr_expect_eq(index_of(play, batch, "d-0"), -1);
    cr_expect_eq(index_of(play, batch, "e-1"), -1);
    cr_expect_eq(index_of(play, other, "d-2"), 1);
    cr_expect_eq(index_of(play, other, "d-3"), -1);
}

CLAIM(run_is_one_row_when_another_begins)
{
    uint64_t batch = play_open(play, "k");
    struct run run;

    add(play, batch, "d-1 d-2 d-3 x");
    cr_expect_eq(rows_of_names(play), 1);
    run = row_at(play, batch, stem_of("d-", 1), 1);
    cr_expect_eq(run.index, 0);
    cr_expect_eq(run.count, 3);
    cr_expect_str_eq(add(play, batch, "d-4 d-5 d-3 x"), "nndd");
    cr_expect_eq(rows_of_names(play), 2);
    cr_expect_eq(index_of(play, batch, "d-3"), 2);
    cr_expect_eq(index_of(play, batch, "d-5"), 5);
    cr_expect_eq(index_of(play, batch, "x"), 3);
}

/* Numbers that go on where indexes do not, and the other way about. */
CLAIM(run_has_neither_gaps_nor_jumps)
{
    uint64_t batch = play_open(play, "k");

    cr_expect_str_eq(add(play, batch, "d-1 - d-2 d-3 d-5 d-4"), "n-nnnn");
    cr_expect_eq(rows_of_names(play), 3);
    for (int i = 1; i <= 5; i++) {
        static const int64_t want[] = { 0, 2, 3, 5, 4 };
        char id[ID_BYTES];

        snprintf(id, sizeof(id), "d-%d", i);
        cr_expect_eq(index_of(play, batch, id), want[i - 1], "%s", id);
    }
}

CLAIM(run_ends_before_the_next_one_of_its_stem)
{
    uint64_t batch = play_open(play, "k");

    add(play, batch, "d-5 d-6 x");
    cr_expect_str_eq(add(play, batch, "d-2 d-3 d-4"), "nnn");
    play_reopen(play);
    cr_expect_str_eq(add(play, batch, "d-5 d-6 d-7"), "ddn");
    cr_expect_eq(index_of(play, batch, "d-4"), 5);
    cr_expect_eq(index_of(play, batch, "d-5"), 0);
    cr_expect_eq(index_of(play, batch, "d-6"), 1);
    cr_expect_eq(index_of(play, batch, "d-7"), 8);
}

/* Ids whose stems are equal are as good as never there: a row that leads to
 * another draft stands where one of them would be. */
Test(store_names, a_run_leaves_out_what_is_anothers)
{
    uint64_t stem = stem_of("d-", 1), batch;
    struct play play;

    play_start(&play, PLAY_MEMORY);
    batch = play_open(&play, "k");
    add(&play, batch, "q r");
    play_begin(&play);
    run_put(play.store, batch,
            &(struct run){ .first = { stem, 3 }, .index = 0, .count = 2 });
    play_commit(&play);
    cr_expect_str_eq(add(&play, batch, "d-1 d-2 d-3 d-4 d-5"), "nnnnn");
    cr_expect_str_eq(add(&play, batch, "d-5 d-4 d-3 d-2 d-1"), "ddddd");
    for (int i = 1; i <= 5; i++) {
        char id[ID_BYTES];

        snprintf(id, sizeof(id), "d-%d", i);
        cr_expect_eq(index_of(&play, batch, id), i + 1, "%s", id);
    }
    cr_expect_eq(row_at(&play, batch, stem, 2).count, 2);
    cr_expect_eq(row_at(&play, batch, stem + 1, 3).index, 4);
    store_close(play.store);
}

/* ---- any ids in any order ---- */

struct model {
    struct play *play;
    uint64_t batch, random;
    char ids[DRAFTS_MAX][ID_BYTES]; /* by index; "": refused */
    uint32_t count;
    uint64_t next; /* of ids that are counted */
    bool is_down;
};

static uint64_t
pick(struct model *model, uint64_t below)
{
    model->random = model->random * 6364136223846793005u + 1442695040888963407u;
    return (model->random >> 33) % below;
}

static void
make_id(struct model *model, char id[ID_BYTES])
{
    static const struct {
        const char *before, *after;
        int digits;
    } forms[] = {
        { "d-", "", 3 }, { "", "", 1 },
        { "e", "z", 1 }, { "x", "-000", 1 },
        { "1", "", 18 }, { "99999999999999999", "", 1 },
        { "", "", 19 },  { "18446744073709551", "", 3 },
    };
    const size_t count = sizeof(forms) / sizeof(forms[0]);
    size_t form = pick(model, 3) ? 0 : pick(model, count);

    if (pick(model, 8) == 0) {
        model->next = pick(model, 40);
        model->is_down = pick(model, 3) == 0;
    } else {
        model->next += model->is_down && model->next > 0 ? UINT64_MAX : 1;
    }
    if (pick(model, 30) == 0) {
        snprintf(id, ID_BYTES, "%c", (char)('a' + pick(model, 4)));
        return;
    }
    snprintf(id, ID_BYTES, "%s%0*llu%s", forms[form].before, forms[form].digits,
             (unsigned long long)model->next, forms[form].after);
}

static int64_t
index_in(const struct model *model, const char *id)
{
    for (uint32_t i = 0; i < model->count; i++) {
        if (strcmp(model->ids[i], id) == 0)
            return i;
    }
    return -1;
}

/* A chunk, which is taken in, or of which its transaction leaves nothing. */
static void
add_some(struct model *model, bool is_kept)
{
    struct play *play = model->play;
    struct batch batch = play_get_batch(play, model->batch);
    struct play_draft drafts[16] = { 0 };
    size_t count = 1 + pick(model, 16);
    uint32_t first = model->count;

    for (size_t i = 0; i < count; i++) {
        char *id = model->ids[first + i];

        make_id(model, id);
        if (pick(model, 20) == 0)
            *id = '\0';
        drafts[i] = (struct play_draft){ .id = *id ? id : NULL, .word = id };
    }
    if (!is_kept) {
        play_begin(play);
        for (size_t i = 0; i < count; i++) {
            if (drafts[i].id)
                (void)name_claim(play->store, &batch, first + (uint32_t)i,
                                 slice_of(drafts[i].id));
        }
        name_keep(play->store, &batch);
        store_abort(play->store);
        return;
    }
    play_add(play, model->batch, drafts, count);
    for (size_t i = 0; i < count; i++, model->count++) {
        bool is_there = drafts[i].id && index_in(model, drafts[i].id) >= 0;

        cr_assert_eq(drafts[i].id &&
                         drafts[i].disposition == DRAFT_DUPLICATE_ID,
                     is_there, "%s, draft %u", drafts[i].id, model->count);
        if (is_there)
            model->ids[model->count][0] = '\0';
    }
}

static void
try_ids(struct play *play, uint64_t seed)
{
    struct model model = { .play = play, .random = seed };
    char key[ID_BYTES], id[ID_BYTES];

    snprintf(key, sizeof(key), "k%llu", (unsigned long long)seed);
    model.batch = play_open(play, key);
    while (model.count + 16 < DRAFTS_MAX / 2) {
        add_some(&model, pick(&model, 6) != 0);
        if (pick(&model, 10) == 0)
            play_reopen(play);
        make_id(&model, id);
        cr_assert_eq(index_of(play, model.batch, id), index_in(&model, id),
                     "seed %llu: %s", (unsigned long long)seed, id);
    }
    for (uint32_t i = 0; i < model.count; i++) {
        if (model.ids[i][0])
            cr_assert_eq(index_of(play, model.batch, model.ids[i]), i);
    }
}

Test(store_names, any_ids_in_any_order_are_told_apart, .timeout = 120)
{
    struct play play;

    for (uint64_t seed = 1; seed <= 40; seed++) {
        play_start(&play, PLAY_MEMORY);
        try_ids(&play, seed);
        play_end(&play);
    }
    for (uint64_t seed = 41; seed <= 43; seed++) {
        play_start(&play, PLAY_LMDB);
        try_ids(&play, seed);
        play_end(&play);
    }
}

/* ---- a store of format 5 ---- */

#define RUNS_MAX   16
#define TAIL_BYTES 32 /* of a batch's record */

/* All runs of a batch. */
static size_t
runs_of(struct play *play, const struct batch *batch, struct run runs[RUNS_MAX])
{
    struct key key = key_id(batch->id);
    struct slice found;
    struct record record;
    size_t count = 0;

    if (batch->tail.count > 0)
        runs[count++] = batch->tail;
    while (table_seek(play->store, TABLE_NAME, key, 8, &found, &record) == 0) {
        struct run *run = &runs[count++];

        cr_assert_leq(count, RUNS_MAX);
        run->first =
            (struct name){ key_get_u64(found, 8), key_get_u64(found, 16) };
        cr_assert_eq(run_decode(&record, run), 0);
        key = key_u64(key_u64(key_id(batch->id), run->first.stem),
                      run->first.number + 1);
    }
    return count;
}

/* Writes a batch as it was before there were runs. */
static void
make_old(struct play *play, uint64_t id)
{
    struct batch batch = play_get_batch(play, id);
    struct run runs[RUNS_MAX];
    struct buf *out;
    size_t count;

    play_begin(play);
    count = runs_of(play, &batch, runs);
    for (size_t i = 0; i < count; i++) {
        for (uint32_t n = 0; n < runs[i].count; n++) {
            record_u32(table_fields(play->store), runs[i].index + n);
            table_put(play->store, TABLE_NAME,
                      key_u64(key_u64(key_id(id), runs[i].first.stem),
                              runs[i].first.number + n));
        }
    }
    out = table_fields(play->store);
    batch_encode(&batch, out);
    out->bytes -= TAIL_BYTES;
    table_put(play->store, TABLE_BATCH, key_id(id));
    play_commit(play);
}

CLAIM(names_of_an_older_store_are_runs_of_one)
{
    uint64_t batch = play_open(play, "k");

    add(play, batch, "d-4 d-5 d-6 x");
    make_old(play, batch);
    cr_expect_eq(rows_of_names(play), 4);
    cr_expect_eq(play_get_batch(play, batch).tail.count, 0);
    play_check(play);
    play_reopen(play);
    cr_expect_eq(row_at(play, batch, stem_of("d-", 1), 5).count, 1);
    cr_expect_str_eq(add(play, batch, "d-5 d-2 d-3 d-4 d-6 x d-7"), "dnndddn");
    cr_expect_eq(index_of(play, batch, "d-5"), 1);
    cr_expect_eq(index_of(play, batch, "d-3"), 6);
    cr_expect_eq(index_of(play, batch, "d-7"), 10);
    cr_expect_eq(rows_of_names(play), 5);
    play_check(play);
    play_abort(play, batch, true);
    play_due(play, 10);
    cr_expect_eq(rows_of_names(play), 0);
}

/* ---- drafts that go ---- */

CLAIM(dropped_batch_has_no_names)
{
    for (int is_whole = 0; is_whole <= 1; is_whole++) {
        uint64_t batch = play_open(play, is_whole ? "k" : "l");

        add(play, batch, "d-1 d-2 x d-7 d-8");
        play_abort(play, batch, is_whole);
        play_due(play, 10);
        cr_expect_eq(rows_of_names(play), 0);
        if (!is_whole)
            cr_expect_eq(play_get_batch(play, batch).tail.count, 0);
    }
}

/* Nobody writes the batch then, and drafts before that one were added. */
CLAIM(names_that_were_claimed_before_a_damaged_one_stay)
{
    uint64_t batch = play_open(play, "k");
    struct new_draft fresh[3] = { 0 };
    struct intake intake = play_intake(play);
    struct chunk chunk = { 0 };
    struct batch record;

    add(play, batch, "a");
    cr_assert(rot_row(play->store, TABLE_DRAFT, 0, ROT_FLIP, 9));
    record = play_get_batch(play, batch);
    for (uint32_t i = 0; i < 3; i++) {
        fresh[i].draft.index = i + 1;
        fresh[i].route = "local";
        fresh[i].id = slice_of(i == 2 ? "a" : i == 1 ? "c" : "b");
        play_key(i ? "y" : "x", fresh[i].key);
    }
    play_begin(play);
    cr_expect_eq(
        store_drafts_add(play->store, &record, &chunk, fresh, 3, &intake),
        E_CORRUPT);
    cr_expect_eq(store_batch_get(play->store, batch, &record), 0);
    cr_expect_eq(record.tail.index, 2);
    cr_expect_eq(record.draft_count, 1);
    cr_expect_eq(
        store_draft_find(play->store, batch, slice_of("a"), &fresh[0].draft),
        E_CORRUPT);
    store_abort(play->store);
    cr_assert(rot_row(play->store, TABLE_DRAFT, 0, ROT_FLIP, 9));
}

/* ---- verify and repair ---- */

/* A batch with rows for d-1 to d-6 and x, and y in its tail. */
static uint64_t
furnish(struct play *play)
{
    uint64_t batch;

    play_start(play, PLAY_MEMORY);
    batch = play_open(play, "k");
    add(play, batch, "d-1 d-2 d-3 d-4 d-5 d-6 x y");
    play_check(play);
    return batch;
}

/* What is wrong is found, and right after repair. Ends the play. */
static void
expect_mended(struct play *play, uint64_t batch, const char *finding)
{
    struct buf report = { 0 };
    struct verify verify = { .report = &report };
    struct err err = { 0 };

    play_begin(play);
    cr_assert_eq(store_verify(play->store, &verify, &err), 0, "%s", err.msg);
    store_abort(play->store);
    cr_expect_gt(verify.findings, 0);
    cr_expect_eq(verify.mendable, verify.findings, "%s", report.data);
    cr_expect(report.data && strstr(report.data, finding), "got %s, want %s",
              report.data, finding);
    verify = (struct verify){ 0 };
    cr_assert_eq(store_repair(play->store, &verify, &err), 0, "%s", err.msg);
    cr_expect_eq(verify.findings, 0);
    for (int i = 0; i < 8; i++) {
        static const char *const ids[] = { "d-1", "d-2", "d-3", "d-4",
                                           "d-5", "d-6", "x",   "y" };

        cr_expect_eq(index_of(play, batch, ids[i]), i, "%s", ids[i]);
    }
    cr_expect_str_eq(add(play, batch, "d-1 d-3 d-6 x y d-7 d-8 d-9"),
                     "dddddnnn");
    buf_fini(&report);
    play_end(play);
}

/* Puts a run of d-… in the place of the one that there is, or beside it. */
static void
put_run(struct play *play, uint64_t batch, uint64_t number, uint32_t index,
        uint32_t count)
{
    play_begin(play);
    run_put(play->store, batch,
            &(struct run){ { stem_of("d-", 1), number }, index, count });
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

Test(store_names, a_run_that_is_lost_is_made_again)
{
    struct play play;
    uint64_t batch = furnish(&play);
    struct verify verify = { 0 };

    play_begin(&play);
    run_del(play.store, batch, &(struct run){ { stem_of("d-", 1), 1 }, 0, 6 });
    play_commit(&play);
    cr_assert_eq(store_repair(play.store, &verify, NULL), 0);
    cr_expect_eq(verify.mended, 6);
    cr_expect_eq(row_at(&play, batch, stem_of("d-", 1), 1).count, 6);
    put_run(&play, batch, 1, 0, 2);
    expect_mended(&play, batch, "draft 1/2: not found by its id");
}

Test(store_names, a_run_that_is_too_long_is_cut)
{
    struct play play;
    uint64_t batch = furnish(&play);

    put_run(&play, batch, 1, 0, 8);
    expect_mended(&play, batch, "draft 6 has another, or is not there");
    batch = furnish(&play);
    put_run(&play, batch, 1, 0, UINT32_MAX);
    expect_mended(&play, batch, "draft 6 has another, or is not there");
}

Test(store_names, a_run_of_other_drafts_is_removed)
{
    struct play play;
    uint64_t batch = furnish(&play);

    put_run(&play, batch, 1, 3, 2);
    expect_mended(&play, batch, "draft 3 has another, or is not there");
}

Test(store_names, of_two_runs_with_the_same_names_one_is_left)
{
    struct play play;
    uint64_t batch = furnish(&play);

    put_run(&play, batch, 3, 2, 2);
    expect_mended(&play, batch, "draft 2 has another, or is not there");
    batch = furnish(&play);
    play_begin(&play);
    run_put(play.store, batch, &(struct run){ { stem_of("y", 0), 0 }, 7, 1 });
    play_commit(&play);
    expect_mended(&play, batch, "draft 7 has another, or is not there");
}

Test(store_names, a_tail_that_is_wrong_is_mended)
{
    struct play play;
    struct run tail = { { stem_of("y", 0), 0 }, 7, 3 };
    uint64_t batch = furnish(&play);

    put_tail(&play, batch, &tail, 0);
    expect_mended(&play, batch, "newest names: draft 8 has another");
    batch = furnish(&play);
    tail = (struct run){ { stem_of("d-", 1), 7 }, 6, 1 };
    put_tail(&play, batch, &tail, 0);
    expect_mended(&play, batch, "newest names: draft 6 has another");
    batch = furnish(&play);
    put_tail(&play, batch, &(struct run){ 0 }, 0);
    expect_mended(&play, batch, "draft 1/7: not found by its id");
}

/* Up to the number of the next row, and no further. */
Test(store_names, a_tail_that_may_grow_into_a_row_is_found)
{
    struct play play;
    uint64_t batch = furnish(&play);
    struct verify verify = { 0 };
    struct batch record;

    add(&play, batch, "d-0");
    record = play_get_batch(&play, batch);
    cr_expect_eq(record.tail_limit, 0);
    put_tail(&play, batch, &record.tail, 1);
    play_check(&play);
    put_tail(&play, batch, &record.tail, 2);
    cr_assert_eq(store_repair(play.store, &verify, NULL), 0);
    cr_expect_eq(verify.mended, 1);
    cr_expect_eq(play_get_batch(&play, batch).tail_limit, 0);
    cr_expect_str_eq(add(&play, batch, "d-1"), "d");
    play_end(&play);
}

/* A row that is made again may stand where the tail would have grown to. */
Test(store_names, repair_lets_no_tail_grow_over_what_it_makes)
{
    uint64_t stem = stem_of("d-", 1), batch;
    struct draft draft;
    struct play play;

    play_start(&play, PLAY_MEMORY);
    batch = play_open(&play, "k");
    add(&play, batch, "d-5 d-6 x");
    play_begin(&play);
    run_del(play.store, batch, &(struct run){ { stem, 5 }, 0, 2 });
    play_commit(&play);
    add(&play, batch, "d-2 d-3");
    cr_expect_eq(play_get_batch(&play, batch).tail_limit, RUN_NO_LIMIT);
    for (uint32_t index = 0; index < 2; index++) {
        draft = play_get_draft(&play, batch, index);
        play_begin(&play);
        name_restore(play.store, &draft);
        play_commit(&play);
        cr_expect_eq(play_get_batch(&play, batch).tail_limit, 0);
    }
    cr_expect_eq(row_at(&play, batch, stem, 5).count, 2);
    cr_expect_str_eq(add(&play, batch, "d-4 d-5 d-6 d-7"), "nddn");
    play_end(&play);
}

/* Between two rows it is to go on, while it looks at one of them it is not. */
static bool
goes_on(void *context, const struct verify *verify)
{
    (void)context;
    return verify->rows % VERIFY_STEP_ROWS == 0;
}

Test(store_names, verify_ends_within_a_run_when_it_is_told_so)
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
