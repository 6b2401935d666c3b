/* SPDX-License-Identifier: MIT */
#include "store/keybook.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/rows.h"
#include "tests/rot.h"
#include "tests/store_expect.h"
#include "tests/store_play.h"

TestSuite(keybook, .timeout = 60);

#define KEY_COUNT  4000
#define STEP_COUNT 900
#define STEP_SETS  40
#define RECENT     100
#define CELL_KEYS  8
#define CROWD_KEYS 250

/* Keys, and the request that each should lead to. */
struct model {
    struct play play;
    bool is_crowded;
    uint64_t cell_rows_max; /* that cells had when it was looked at */
    unsigned char keys[KEY_COUNT][DIGEST_BYTES];
    uint64_t requests[KEY_COUNT], before[KEY_COUNT];
};

/* Where few cells are crowded, their rows are as long as in real stores: then they
 * have many of them, and lay some aside. */
static void
keep_recent(struct model *model)
{
    store_keep_recent(model->play.store, RECENT,
                      model->is_crowded ? CROWD_KEYS : CELL_KEYS);
}

static void
start(struct model *model, enum play_kind kind)
{
    char word[16];

    play_start(&model->play, kind);
    keep_recent(model);
    srand(1);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        snprintf(word, sizeof(word), "%zu", i);
        play_key(word, model->keys[i]);
        /* Half of them crowd into 128 cells, which are merged into the set. */
        if (i % 2)
            model->keys[i][0] &= 7;
        if (model->is_crowded) {
            model->keys[i][0] = 0;
            model->keys[i][1] %= 32; /* two cells */
        }
    }
}

static struct model *
model_new(enum play_kind kind, bool is_crowded)
{
    struct model *model = calloc(1, sizeof(*model));

    cr_assert_not_null(model);
    model->is_crowded = is_crowded;
    start(model, kind);
    return model;
}

static void
model_free(struct model *model)
{
    store_close(model->play.store);
    if (model->play.kind == PLAY_LMDB)
        scratch_remove(&model->play.scratch);
    free(model);
}

static uint64_t
rows(struct model *model, enum table table)
{
    struct engine *engine = model->play.store->engine;

    return engine->ops->rows(engine, table);
}

static void
expect_all(struct model *model, const char *when)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        uint64_t got = keybook_find(model->play.store, model->keys[i]);

        cr_assert_eq(
            got, model->requests[i], "%s: key %zu: got %llu, want %llu", when,
            i, (unsigned long long)got, (unsigned long long)model->requests[i]);
    }
}

/* Sets some keys anew, removes some, and looks at once. */
static void
change_some(struct model *model)
{
    for (int n = 0; n < STEP_SETS; n++) {
        size_t i = (size_t)rand() % KEY_COUNT;
        uint64_t request = rand() % 5 ? (uint64_t)rand() + 1 : 0;

        keybook_set(model->play.store, model->keys[i], request);
        model->requests[i] = request;
        cr_assert_eq(keybook_find(model->play.store, model->keys[i]), request);
    }
}

/* One transaction, which may be forgotten, also when all was written. */
static void
step(struct model *model)
{
    bool is_kept = rand() % 4;

    memcpy(model->before, model->requests, sizeof(model->before));
    play_begin(&model->play);
    change_some(model);
    if (is_kept) {
        play_commit(&model->play);
        return;
    }
    if (rand() % 2)
        keybook_write(model->play.store);
    store_abort(model->play.store);
    memcpy(model->requests, model->before, sizeof(model->requests));
}

static void
check(struct model *model, const char *when)
{
    play_begin(&model->play);
    expect_all(model, when);
    if (rows(model, TABLE_KEY_CELL) > model->cell_rows_max)
        model->cell_rows_max = rows(model, TABLE_KEY_CELL);
    store_abort(model->play.store);
}

static void
run(struct model *model)
{
    for (int i = 0; i < STEP_COUNT; i++) {
        step(model);
        if (i % 10 == 0)
            check(model, "as it goes");
        if (i % 3 == 2) {
            play_begin(&model->play);
            keybook_load(model->play.store);
            expect_all(model, "read again");
            store_abort(model->play.store);
        }
        if (i % 20 == 19 && model->play.kind == PLAY_LMDB) {
            play_reopen(&model->play);
            keep_recent(model);
            check(model, "opened again");
        }
    }
}

static void
agree(enum play_kind kind)
{
    struct model *model = model_new(kind, false);

    run(model);
    play_begin(&model->play);
    cr_expect_gt(rows(model, TABLE_KEY_CELL), 100, "nothing was swept");
    cr_expect_gt(rows(model, TABLE_KEY_SET), 100, "nothing was merged");
    store_abort(model->play.store);
    model_free(model);
}

static void
agree_crowded(enum play_kind kind)
{
    struct model *model = model_new(kind, true);

    run(model);
    cr_expect_gt(model->cell_rows_max, 2, "nothing was laid aside");
    play_begin(&model->play);
    cr_expect_gt(rows(model, TABLE_KEY_SET), 8, "nothing was merged");
    store_abort(model->play.store);
    model_free(model);
}

Test(keybook,
     agrees_with_a_plain_array_through_sweeps_and_forgotten_transactions)
{
    agree(PLAY_MEMORY);
}

Test(keybook, is_the_same_when_the_store_is_opened_again)
{
    agree(PLAY_LMDB);
}

Test(keybook, agrees_where_cells_lay_rows_aside)
{
    agree_crowded(PLAY_MEMORY);
}

Test(keybook, is_the_same_with_rows_laid_aside_when_the_store_is_opened_again)
{
    agree_crowded(PLAY_LMDB);
}

/* How many entries the log and the set hold. */
static uint64_t
count_entries(struct model *model, enum table table, size_t head)
{
    struct key at = key_start();
    struct slice found;
    struct record record;
    uint64_t count = 0;

    while (table_seek(model->play.store, table, at, 0, &found, &record) == 0) {
        count += (record.left - head) / KEY_ENTRY_BYTES;
        at = key_u8(key_bytes(key_start(), found.data, found.bytes), 0);
    }
    return count;
}

/* Sets all keys, ten to a transaction. */
static void
set_all(struct model *model)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (i % 10 == 0)
            play_begin(&model->play);
        keybook_set(model->play.store, model->keys[i], i + 1);
        model->requests[i] = i + 1;
        if (i % 10 == 9)
            play_commit(&model->play);
    }
}

Test(keybook, takes_out_of_the_log_what_is_in_the_set)
{
    struct model *model = model_new(PLAY_MEMORY, false);
    uint64_t logged, kept, all = 0;

    set_all(model);
    play_begin(&model->play);
    logged = count_entries(model, TABLE_KEY_LOG, 16);
    kept = count_entries(model, TABLE_KEY_CELL, 0) +
           count_entries(model, TABLE_KEY_SET, 0);
    for (size_t i = 0; i < KEY_COUNT; i++)
        all += keybook_recent(model->play.store->keybook,
                              key_entry_prefix(model->keys[i])) != NULL;
    cr_expect_leq(all, RECENT, "too many are recent");
    cr_expect_eq(kept + all, KEY_COUNT);
    /* A round of the sweep takes in twice what is recent on an average. */
    cr_expect_lt(logged, 4 * RECENT, "the log keeps what was swept");
    store_abort(model->play.store);
    model_free(model);
}

Test(keybook, takes_damaged_rows_out_of_the_log_with_the_next_one)
{
    struct model *model = model_new(PLAY_MEMORY, false);

    play_begin(&model->play);
    keybook_set(model->play.store, model->keys[0], 1);
    play_commit(&model->play);
    play_begin(&model->play);
    keybook_set(model->play.store, model->keys[1], 2);
    play_commit(&model->play);
    for (uint64_t nth = 0; nth < 2; nth++)
        cr_assert(rot_row(model->play.store, TABLE_KEY_LOG, nth, ROT_FLIP, 7));
    set_all(model);
    check(model, "behind the damage");
    play_begin(&model->play);
    cr_expect_lt(rows(model, TABLE_KEY_LOG), 4 * RECENT / 10,
                 "damaged rows keep what was swept");
    store_abort(model->play.store);
    model_free(model);
}

/* Sets keys that are all of one cell, twenty to a transaction. */
static void
crowd(struct model *model, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        if (i % 20 == 0)
            play_begin(&model->play);
        memset(model->keys[i], 0, 2);
        keybook_set(model->play.store, model->keys[i], i + 1);
        model->requests[i] = i + 1;
        if (i % 20 == 19)
            play_commit(&model->play);
    }
}

/* Cells with more entries than a row has room for. */
Test(keybook, cuts_a_crowded_cell_into_rows)
{
    enum { CROWD = 2000 };
    struct model *model = model_new(PLAY_MEMORY, false);

    crowd(model, 0, CROWD);
    play_begin(&model->play);
    expect_all(model, "crowded");
    keybook_load(model->play.store);
    expect_all(model, "crowded, and read again");
    cr_expect_gt(rows(model, TABLE_KEY_SET), CROWD / 300);
    cr_expect_lt(rows(model, TABLE_KEY_SET), CROWD / 100);
    store_abort(model->play.store);
    play_begin(&model->play);
    for (size_t i = 0; i < CROWD; i++) {
        keybook_set(model->play.store, model->keys[i], 0);
        model->requests[i] = 0;
    }
    play_commit(&model->play);
    check(model, "removed");
    play_begin(&model->play);
    cr_expect_eq(rows(model, TABLE_KEY_SET), 0, "rows without an entry");
    store_abort(model->play.store);
    model_free(model);
}

/* An engine that counts how often cells' rows are looked for. */
static const struct engine_ops *plain_ops;
static int cell_reads;

static int
count_seek(struct engine *engine, enum table table, struct slice key,
           struct slice *found, struct slice *value)
{
    cell_reads += table == TABLE_KEY_CELL;
    return plain_ops->seek(engine, table, key, found, value);
}

/* How often rows are read for so many keys of a crowded cell that are not there. */
static int
reads_for_strangers(struct model *model, int strangers)
{
    struct engine *engine = model->play.store->engine;
    struct engine_ops counting = *engine->ops;

    plain_ops = engine->ops;
    counting.seek = count_seek;
    cell_reads = 0;
    play_begin(&model->play);
    engine->ops = &counting;
    for (int i = 0; i < strangers; i++) {
        unsigned char key[DIGEST_BYTES];
        char word[16];

        snprintf(word, sizeof(word), "stranger %d", i);
        play_key(word, key);
        memset(key, 0, 2);
        cr_assert_eq(keybook_find(model->play.store, key), 0);
    }
    engine->ops = plain_ops;
    store_abort(model->play.store);
    return cell_reads;
}

/* The sieve of a cell is started anew as the cell grows, and not for each merge:
 * so it must be so when it is full, and once when the rows are not known. */
Test(keybook, reads_no_row_for_most_keys_that_are_not_there)
{
    enum { CROWD = 2000, STRANGERS = 2000 };
    struct model *model = model_new(PLAY_MEMORY, false);

    crowd(model, 0, CROWD);
    cr_expect_lt(reads_for_strangers(model, STRANGERS), STRANGERS / 50);
    play_begin(&model->play);
    keybook_load(model->play.store);
    store_abort(model->play.store);
    cr_expect_geq(reads_for_strangers(model, STRANGERS), STRANGERS,
                  "what was read again is not known");
    crowd(model, CROWD, CROWD + 4 * RECENT);
    cr_expect_lt(reads_for_strangers(model, STRANGERS), STRANGERS / 50);
    check(model, "with a sieve that was started anew");
    model_free(model);
}

Test(keybook, takes_no_key_for_one_that_begins_alike)
{
    unsigned char first[DIGEST_BYTES], second[DIGEST_BYTES];
    struct request request;
    struct play play;
    uint64_t id;

    play_start(&play, PLAY_MEMORY);
    play_batch(&play, "k", "ant");
    id = play_find(&play, "ant");
    play_key("ant", first);
    memcpy(second, first, sizeof(second));
    second[DIGEST_BYTES - 1] ^= 1;
    play_begin(&play);
    cr_expect_eq(keybook_find(play.store, second), id,
                 "the index sees no more");
    cr_expect_eq(key_lookup(play.store, second, &request), E_NOTFOUND);
    cr_expect_eq(store_key_peek(play.store, second, 0), DRAFT_NEW);
    cr_expect_eq(store_key_peek(play.store, first, 0), DRAFT_JOINED);
    store_abort(play.store);
    play_check(&play);
    play_end(&play);
}

/* A row of a word's cell that leads to a request, by hand. */
static void
put_aside(struct play *play, const char *word, unsigned place, uint64_t request)
{
    unsigned char key[DIGEST_BYTES];
    uint64_t prefix;

    play_key(word, key);
    prefix = key_entry_prefix(key);
    play_begin(play);
    key_entry_put(table_fields(play->store),
                  (struct key_entry){ prefix, request });
    table_put(play->store, TABLE_KEY_CELL,
              key_id(key_entry_first(key_entry_cell(prefix)) + place));
    play_commit(play);
}

Test(keybook, beats_what_was_laid_aside_before)
{
    enum { NOBODY = 1000 };
    struct play play;
    uint64_t id;

    play_start(&play, PLAY_MEMORY);
    store_keep_recent(play.store, 0, CELL_KEYS);
    play_batch(&play, "k", "ant");
    id = play_find(&play, "ant");
    put_aside(&play, "ant", KEYSET_ASIDE_MAX, NOBODY);
    cr_expect_eq(play_find(&play, "ant"), id, "it was put behind");
    play_check(&play);
    put_aside(&play, "ant", 0, NOBODY);
    put_aside(&play, "ant", 1, id);
    cr_expect_eq(play_find(&play, "ant"), 0, "the first row leads nowhere");
    expect_mend(&play, "request 1000 has another key, or is not there");
    cr_expect_eq(play_find(&play, "ant"), id);
    play_end(&play);
}

Test(keybook, takes_no_more_rows_aside_than_there_may_be)
{
    struct play play;
    uint64_t id;

    play_start(&play, PLAY_MEMORY);
    play_batch(&play, "k", "ant");
    id = play_find(&play, "ant");
    put_aside(&play, "ant", KEYSET_ASIDE_MAX + 1, id);
    expect_mend(&play, "its entries are out of order, or in another's place");
    cr_expect_eq(play_rows(&play, TABLE_KEY_CELL), 0);
    cr_expect_eq(play_find(&play, "ant"), id);
    play_end(&play);
}

/* A row of the set by hand, with so many bytes behind its one entry. */
static void
put_in_set(struct play *play, uint64_t prefix, uint64_t request, size_t bytes)
{
    struct buf *out = table_fields(play->store);

    key_entry_put(out, (struct key_entry){ prefix, request });
    record_bytes(out, "behind the entry", bytes);
    table_put(play->store, TABLE_KEY_SET, key_id(prefix));
}

Test(keybook, finds_what_stands_behind_a_row_that_is_too_long)
{
    unsigned char keys[3][DIGEST_BYTES] = { { 0, 0, 1 },
                                            { 0, 0, 2 },
                                            { 0, 0, 3 } };
    struct play play;

    play_start(&play, PLAY_MEMORY);
    store_keep_recent(play.store, 0, CELL_KEYS);
    play_begin(&play);
    put_in_set(&play, key_entry_prefix(keys[0]), 7, 1);
    put_in_set(&play, key_entry_prefix(keys[1]), 8, 0);
    keybook_load(play.store);
    play_commit(&play);
    play_begin(&play);
    keybook_set(play.store, keys[2], 9); /* the cell is read for it */
    play_commit(&play);
    play_begin(&play);
    for (uint64_t i = 0; i < 3; i++)
        cr_expect_eq(keybook_find(play.store, keys[i]), 7 + i);
    store_abort(play.store);
    store_close(play.store); /* its requests are not there */
}

Test(keybook, finds_keys_of_an_older_store_and_moves_what_is_set)
{
    unsigned char key[DIGEST_BYTES];
    struct key row;
    struct play play;
    uint64_t id, batch;

    play_start(&play, PLAY_MEMORY);
    batch = play_batch(&play, "k", "ant bee");
    id = play_find(&play, "ant");
    play_key("ant", key);
    row = key_bytes(key_start(), key, DIGEST_BYTES);
    play_begin(&play);
    keybook_set(play.store, key, 0);
    record_u64(table_fields(play.store), id);
    table_put(play.store, TABLE_KEY, row);
    play_commit(&play);
    play_check(&play);
    cr_expect_eq(play_find(&play, "ant"), id);
    play_begin(&play);
    keybook_set(play.store, key, id);
    cr_expect_eq(play.store->engine->ops->rows(play.store->engine, TABLE_KEY),
                 0);
    play_commit(&play);
    cr_expect_eq(play_find(&play, "ant"), id);
    (void)batch;
    play_end(&play);
}
