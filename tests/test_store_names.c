/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "tests/name_play.h"
#include "tests/rot.h"
#include "tests/store_expect.h"

/* ---- runs ---- */

CLAIM(counted_ids_take_no_row)
{
    uint64_t batch = play_open(play, "k"), other = play_open(play, "l");
    struct batch record;

    cr_expect_str_eq(name_play_add(play, batch, "d-1 d-2 d-3"), "nnn");
    cr_expect_str_eq(name_play_add(play, other, "d-1 d-2"), "nn");
    play_reopen(play);
    cr_expect_str_eq(name_play_add(play, batch, "d-4"), "n");
    cr_expect_str_eq(name_play_add(play, batch, "d-2 d-4"), "dd");
    cr_expect_eq(play_rows(play, TABLE_NAME), 0);
    record = play_get_batch(play, batch);
    cr_expect_eq(record.tail.count, 4);
    cr_expect_eq(record.tail.first.stem, name_play_stem("d-", 1));
    cr_expect_eq(record.tail.first.number, 1);
    cr_expect_eq(name_play_index(play, batch, "d-1"), 0);
    cr_expect_eq(name_play_index(play, batch, "d-4"), 3);
    cr_expect_eq(name_play_index(play, batch, "d-5"), -1);
    cr_expect_eq(name_play_index(play, batch, "d-0"), -1);
    cr_expect_eq(name_play_index(play, batch, "e-1"), -1);
    cr_expect_eq(name_play_index(play, other, "d-2"), 1);
    cr_expect_eq(name_play_index(play, other, "d-3"), -1);
}

CLAIM(run_is_one_row_when_another_begins)
{
    uint64_t batch = play_open(play, "k");
    struct run run;

    name_play_add(play, batch, "d-1 d-2 d-3 x");
    cr_expect_eq(play_rows(play, TABLE_NAME), 1);
    run = name_play_row(play, batch, name_play_stem("d-", 1), 1);
    cr_expect_eq(run.index, 0);
    cr_expect_eq(run.count, 3);
    cr_expect_str_eq(name_play_add(play, batch, "d-4 d-5 d-3 x"), "nndd");
    cr_expect_eq(play_rows(play, TABLE_NAME), 2);
    cr_expect_eq(name_play_index(play, batch, "d-3"), 2);
    cr_expect_eq(name_play_index(play, batch, "d-5"), 5);
    cr_expect_eq(name_play_index(play, batch, "x"), 3);
}

/* Numbers that go on where indexes do not, and the other way about. */
CLAIM(run_has_neither_gaps_nor_jumps)
{
    uint64_t batch = play_open(play, "k");

    cr_expect_str_eq(name_play_add(play, batch, "d-1 - d-2 d-3 d-5 d-4"),
                     "n-nnnn");
    cr_expect_eq(play_rows(play, TABLE_NAME), 3);
    for (int i = 1; i <= 5; i++) {
        static const int64_t want[] = { 0, 2, 3, 5, 4 };
        char id[ID_BYTES];

        snprintf(id, sizeof(id), "d-%d", i);
        cr_expect_eq(name_play_index(play, batch, id), want[i - 1], "%s", id);
    }
}

CLAIM(run_ends_before_the_next_one_of_its_stem)
{
    uint64_t batch = play_open(play, "k");

    name_play_add(play, batch, "d-5 d-6 x");
    cr_expect_str_eq(name_play_add(play, batch, "d-2 d-3 d-4"), "nnn");
    play_reopen(play);
    cr_expect_str_eq(name_play_add(play, batch, "d-5 d-6 d-7"), "ddn");
    cr_expect_eq(name_play_index(play, batch, "d-4"), 5);
    cr_expect_eq(name_play_index(play, batch, "d-5"), 0);
    cr_expect_eq(name_play_index(play, batch, "d-6"), 1);
    cr_expect_eq(name_play_index(play, batch, "d-7"), 8);
}

/* Ids whose stems are equal are as good as never there: a row that leads to
 * another draft stands where one of them would be. */
Test(store_names, a_run_leaves_out_what_is_anothers)
{
    uint64_t stem = name_play_stem("d-", 1), batch;
    struct play play;

    play_start(&play, PLAY_MEMORY);
    batch = play_open(&play, "k");
    name_play_add(&play, batch, "q r");
    play_begin(&play);
    run_put(play.store, batch,
            &(struct run){ .first = { stem, 3 }, .index = 0, .count = 2 });
    play_commit(&play);
    cr_expect_str_eq(name_play_add(&play, batch, "d-1 d-2 d-3 d-4 d-5"),
                     "nnnnn");
    cr_expect_str_eq(name_play_add(&play, batch, "d-5 d-4 d-3 d-2 d-1"),
                     "ddddd");
    for (int i = 1; i <= 5; i++) {
        char id[ID_BYTES];

        snprintf(id, sizeof(id), "d-%d", i);
        cr_expect_eq(name_play_index(&play, batch, id), i + 1, "%s", id);
    }
    cr_expect_eq(name_play_row(&play, batch, stem, 2).count, 2);
    cr_expect_eq(name_play_row(&play, batch, stem + 1, 3).index, 4);
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
        batch_put(play->store, &batch);
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
        cr_assert_eq(name_play_index(play, model.batch, id),
                     index_in(&model, id), "seed %llu: %s",
                     (unsigned long long)seed, id);
    }
    for (uint32_t i = 0; i < model.count; i++) {
        if (model.ids[i][0])
            cr_assert_eq(name_play_index(play, model.batch, model.ids[i]), i);
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
#define TAIL_BYTES 40 /* of a batch's record, and what came later */

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

    name_play_add(play, batch, "d-4 d-5 d-6 x");
    make_old(play, batch);
    cr_expect_eq(play_rows(play, TABLE_NAME), 4);
    cr_expect_eq(play_get_batch(play, batch).tail.count, 0);
    play_check(play);
    play_reopen(play);
    cr_expect_eq(name_play_row(play, batch, name_play_stem("d-", 1), 5).count,
                 1);
    cr_expect_str_eq(name_play_add(play, batch, "d-5 d-2 d-3 d-4 d-6 x d-7"),
                     "dnndddn");
    cr_expect_eq(name_play_index(play, batch, "d-5"), 1);
    cr_expect_eq(name_play_index(play, batch, "d-3"), 6);
    cr_expect_eq(name_play_index(play, batch, "d-7"), 10);
    cr_expect_eq(play_rows(play, TABLE_NAME), 5);
    play_check(play);
    play_abort(play, batch, true);
    play_due(play, 10);
    cr_expect_eq(play_rows(play, TABLE_NAME), 0);
}

/* ---- drafts that go ---- */

CLAIM(dropped_batch_has_no_names)
{
    for (int is_whole = 0; is_whole <= 1; is_whole++) {
        uint64_t batch = play_open(play, is_whole ? "k" : "l");

        name_play_add(play, batch, "d-1 d-2 x d-7 d-8");
        play_abort(play, batch, is_whole);
        play_due(play, 10);
        cr_expect_eq(play_rows(play, TABLE_NAME), 0);
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

    name_play_add(play, batch, "a");
    cr_assert(rot_row(play->store, TABLE_SPAN, 0, ROT_FLIP, 9));
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
    cr_assert(rot_row(play->store, TABLE_SPAN, 0, ROT_FLIP, 9));
}
