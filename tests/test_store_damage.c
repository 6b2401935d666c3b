/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/table.h"
#include "tests/rot.h"
#include "tests/store_expect.h"

#define PAGE_BYTES 4096
#define META_BYTES 152 /* of a page that says how the file is laid out */
#define FLIPS      3   /* of each row */
#define ROWS_MAX   100

static const unsigned char store_id[STORE_UUID_BYTES] = "a store of tests";

/* ---- files that are no store ---- */

static struct slice
read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct buf buf = { 0 };
    size_t bytes;

    cr_assert_not_null(file);
    while ((bytes = fread(buf_reserve(&buf, PAGE_BYTES), 1, PAGE_BYTES, file)))
        buf_commit(&buf, bytes);
    fclose(file);
    bytes = buf.bytes;
    return (struct slice){ buf_take(&buf), bytes };
}

static void
write_file(const char *path, struct slice text)
{
    FILE *file = fopen(path, "wb");

    cr_assert_not_null(file);
    cr_assert_eq(fwrite(text.data, 1, text.bytes, file), text.bytes);
    cr_assert_eq(fclose(file), 0);
}

/* Opens a store over a file with this text; it must be refused with `code` and
 * the words, and the file left as it is. */
static void
expect_refused(struct slice text, int code, const char *words)
{
    struct scratch scratch = scratch_make();
    char *path = scratch_path(&scratch, "data.mdb");
    struct err err = { 0 };
    struct store *store;
    struct slice left;

    write_file(path, text);
    store = store_open(scratch.path, PLAY_MAP_BYTES, store_id, &err);
    cr_assert_null(store, "%zu bytes were taken for a store", text.bytes);
    cr_expect_eq(err.code, code, "%zu bytes: %s: %s", text.bytes,
                 err_name(err.code), err.msg);
    cr_expect(strstr(err.msg, words), "%zu bytes: %s", text.bytes, err.msg);
    left = read_file(path);
    cr_expect(slice_equal(text, left), "%zu bytes were changed", text.bytes);
    free((char *)left.data);
    free(path);
    scratch_remove(&scratch);
}

/* The bytes of a store with something in it. */
static struct slice
make_store(void)
{
    struct play play;
    char *path;
    uint64_t batch;
    struct slice text;

    play_start(&play, PLAY_LMDB);
    batch = play_batch(&play, "k1", "a b c d e f");
    play_finish(&play, claim_one(&play, batch), STATUS_OK, "answer");
    play_batch(&play, "k2", "a g h");
    play_check(&play);
    store_close(play.store);
    path = scratch_path(&play.scratch, "data.mdb");
    text = read_file(path);
    free(path);
    scratch_remove(&play.scratch);
    return text;
}

Test(store_damage, truncated_file_is_refused_at_every_page, .timeout = 60)
{
    struct slice text = make_store();
    size_t pages = text.bytes / PAGE_BYTES;

    cr_assert_gt(pages, 20);
    for (size_t page = 0; page < pages; page++) {
        size_t at = page * PAGE_BYTES;

        for (size_t bytes = at ? at - 1 : 1; bytes <= at + 1; bytes++)
            expect_refused((struct slice){ text.data, bytes }, E_CORRUPT,
                           bytes < PAGE_BYTES + META_BYTES ? "damaged"
                                                           : "cut short");
        expect_refused((struct slice){ text.data, at + PAGE_BYTES / 2 },
                       E_CORRUPT, "");
    }
    expect_refused((struct slice){ text.data, 0 }, E_CORRUPT, "empty");
    free((char *)text.data);
}

Test(store_damage, foreign_files_are_refused)
{
    static const size_t sizes[] = {
        1, 43, 100, PAGE_BYTES, 8192, 12288, 100000
    };
    unsigned seed = 1;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *text = mem_zalloc(sizes[i], 1);

        expect_refused((struct slice){ text, sizes[i] }, E_CORRUPT, "damaged");
        for (size_t k = 0; k < sizes[i]; k++) {
            seed = seed * 1103515245 + 12345;
            text[k] = (char)(seed >> 16);
        }
        expect_refused((struct slice){ text, sizes[i] }, E_CORRUPT, "damaged");
        free(text);
    }
    expect_refused(slice_of("SQLite format 3"), E_CORRUPT, "damaged");
}

/* One of the two first pages is newer, in turns. */
Test(store_damage, newer_header_says_where_the_file_ends)
{
    struct play play;
    struct chunk chunk = { .n = 1 };
    char *path, *big = mem_zalloc(20, PAGE_BYTES);
    uint64_t batch;

    play_start(&play, PLAY_LMDB);
    batch = play_open(&play, "k");
    path = scratch_path(&play.scratch, "data.mdb");
    for (uint32_t n = 0; n < 2; n++) {
        struct slice text;

        play_begin(&play);
        store_body_put(play.store, batch, &chunk,
                       (struct slice){ big, 20 * PAGE_BYTES }, NULL, 0);
        play_commit(&play);
        text = read_file(path);
        text.bytes -= PAGE_BYTES;
        expect_refused(text, E_CORRUPT, "cut short");
        free((char *)text.data);
    }
    store_close(play.store);
    scratch_remove(&play.scratch);
    free(path);
    free(big);
}

/* Bytes of the two first pages, by which LMDB finds all the others. */
Test(store_damage, header_that_lies_is_refused)
{
    static const struct {
        size_t at;
        unsigned char value;
    } lies[] = {
        { 16, 0 },    /* the magic number */
        { 40, 1 },    /* a page of 1 + 4096 bytes */
        { 41, 0 },    /* of 0 bytes */
        { 43, 0x80 }, /* of 2 GB */
        { 142, 1 },   /* a last page far behind the end */
    };
    struct slice text = make_store();

    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        char *copy = mem_dup(text.data, text.bytes);

        copy[lies[i].at] = (char)lies[i].value;
        copy[PAGE_BYTES + lies[i].at] = (char)lies[i].value;
        expect_refused((struct slice){ copy, text.bytes }, E_CORRUPT, "");
        free(copy);
    }
    free((char *)text.data);
}

Test(store_damage, data_that_is_gone_is_not_made_anew)
{
    struct play play;
    struct err err = { 0 };
    char *path;

    play_start(&play, PLAY_LMDB);
    play_batch(&play, "k", "a");
    path = scratch_path(&play.scratch, "data.mdb");
    store_close(play.store);
    cr_assert_eq(unlink(path), 0);
    cr_expect_null(
        store_open(play.scratch.path, PLAY_MAP_BYTES, store_id, &err));
    cr_expect_eq(err.code, E_CORRUPT, "%s", err.msg);
    cr_expect(strstr(err.msg, "data.mdb is gone"), "%s", err.msg);
    cr_expect_neq(access(path, F_OK), 0);
    free(path);
    scratch_remove(&play.scratch);
}

/* ---- stores that are not ours, or not of our time ---- */

/* Writes a row past the store, with a seal; no fields remove it. */
static void
set_row(struct store *store, const char *name, const char *fields, size_t bytes)
{
    struct key key = key_bytes(key_start(), name, strlen(name));

    if (!fields) {
        table_del(store, TABLE_META, key);
        return;
    }
    record_bytes(table_fields(store), fields, bytes);
    table_put(store, TABLE_META, key);
}

Test(store_damage, first_records_decide_whether_it_is_a_store)
{
    static const struct {
        const char *name, *fields;
        size_t bytes;
        int code;
        const char *words;
    } cases[] = {
        { "format", "\0\0\0\x63", 4, E_VERSION, "format 99" },
        { "format", "\xff\xff\xff\xff", 4, E_VERSION, "newer" },
        { "format", "\0\0\0\0", 4, E_CORRUPT, "damaged" },
        { "format", "\0\0\0", 3, E_CORRUPT, "damaged" },
        { "format", NULL, 0, E_CORRUPT, "not a Sheaf store" },
        { "uuid", NULL, 0, E_CORRUPT, "not a Sheaf store" },
        { "uuid", "short", 5, E_CORRUPT, "damaged" },
        { "ids", NULL, 0, E_CORRUPT, "not a Sheaf store" },
        { "ids", "short", 5, E_CORRUPT, "damaged" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = { 0 };
        struct play play;

        play_start(&play, PLAY_LMDB);
        play_begin(&play);
        set_row(play.store, cases[i].name, cases[i].fields, cases[i].bytes);
        /* Not by store_commit(): it would write the ids again. */
        cr_assert_eq(play.store->engine->ops->commit(play.store->engine, &err),
                     0);
        play.store->is_open = false;
        store_close(play.store);
        play.store =
            store_open(play.scratch.path, PLAY_MAP_BYTES, store_id, &err);
        cr_expect_null(play.store);
        cr_expect_eq(err.code, cases[i].code, "case %zu: %s", i, err.msg);
        cr_expect(strstr(err.msg, cases[i].words), "case %zu: %s", i, err.msg);
        scratch_remove(&play.scratch);
    }
}

static uint32_t
format_of(struct play *play)
{
    struct record record;

    cr_assert_eq(table_get(play->store, TABLE_META,
                           key_bytes(key_start(), "format", 6), &record),
                 0);
    return record_get_u32(&record);
}

Test(store_damage, an_older_store_is_opened_and_raised_by_its_first_commit)
{
    static const uint32_t formats[] = { 1, STORE_FORMAT };
    static const struct clock_mark mark = { .boot = "a boot",
                                            .boot_ms = 7,
                                            .wall_ms = 8 };
    /* Five numbers of eight bytes: the last one is the latest time. */
    static const char ids[40] = { [7] = 1, [15] = 2, [39] = 9 };
    struct err err = { 0 };
    struct play play;

    play_start(&play, PLAY_LMDB);
    play_begin(&play);
    set_row(play.store, "format", "\0\0\0\1", 4);
    set_row(play.store, "ids", ids, sizeof(ids));
    cr_assert_eq(play.store->engine->ops->commit(play.store->engine, &err), 0);
    play.store->is_open = false;
    for (size_t i = 0; i < 2; i++) {
        store_close(play.store);
        play.store =
            store_open(play.scratch.path, PLAY_MAP_BYTES, store_id, &err);
        cr_assert_not_null(play.store, "%s", err.msg);
        cr_expect_eq(store_latest_ms(play.store), i ? play.now_ms : 9);
        cr_expect_eq(store_latest_mark(play.store)->wall_ms, i ? 8 : 0);
        store_mark(play.store, &mark);
        play_begin(&play);
        cr_expect_eq(format_of(&play), formats[i]);
        store_timer_set(
            play.store,
            &(struct timer){ .due_ms = 1, .kind = TIMER_FORGET, .id = 1 });
        play_commit(&play);
    }
    play_end(&play);
}

Test(store_damage, another_programs_lmdb_is_refused)
{
    struct scratch scratch = scratch_make();
    struct err err = { 0 };
    char *path = scratch_path(&scratch, "data.mdb");
    struct engine *engine =
        engine_open_lmdb(scratch.path, true, PLAY_MAP_BYTES, &err);

    /* Our tables, and nothing that says that it is a store. */
    cr_assert_not_null(engine);
    engine->ops->close(engine);
    cr_expect_null(store_open(scratch.path, PLAY_MAP_BYTES, store_id, &err));
    cr_expect_eq(err.code, E_CORRUPT);
    cr_expect(strstr(err.msg, "not a Sheaf store"), "%s", err.msg);
    free(path);
    scratch_remove(&scratch);
}

Test(store_damage, what_stands_in_the_way_is_named)
{
    struct scratch scratch = scratch_make();
    char *path = scratch_path(&scratch, "data.mdb");
    struct err err = { 0 };

    cr_assert_eq(mkdir(path, 0700), 0);
    cr_expect_null(store_open(scratch.path, PLAY_MAP_BYTES, store_id, &err));
    cr_expect_eq(err.code, E_CORRUPT, "%s", err.msg);
    cr_assert_eq(rmdir(path), 0);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_expect_null(store_open(scratch.path, PLAY_MAP_BYTES, store_id, &err));
    cr_expect_eq(err.code, E_CORRUPT, "%s", err.msg);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(symlink("/dev/zero", path), 0);
    cr_expect_null(store_open(scratch.path, PLAY_MAP_BYTES, store_id, &err));
    cr_expect_eq(err.code, E_IO, "%s", err.msg);
    free(path);
    scratch_remove(&scratch);
}

/* ---- bits that rot within a store ---- */

/* What a result showed before anything rotted. */
struct shown {
    uint64_t seq;
    char line[64], shown[64]; /* its reply, or essence */
};

/* All results, and how many rows were named as damaged. */
struct reading {
    struct shown shown[ROWS_MAX];
    size_t count, damaged;
};

static void
copy_text(char out[64], struct slice text)
{
    cr_assert_lt(text.bytes, 64);
    snprintf(out, 64, "%.*s", (int)text.bytes, text.data ? text.data : "");
}

static void
read_results(struct play *play, struct reading *reading, uint64_t batch)
{
    struct result_row row = { 0 };
    uint64_t seq = 0;
    int rc;

    while ((rc = store_result_after(play->store, batch, seq, &row)) !=
           E_NOTFOUND) {
        struct shown *shown = &reading->shown[reading->count];

        cr_assert_gt(row.draft.seq, seq, "no way to go on");
        seq = row.draft.seq;
        reading->damaged += rc == E_CORRUPT;
        if (rc < 0)
            continue;
        cr_assert_lt(reading->count++, ROWS_MAX);
        shown->seq = seq;
        copy_text(shown->line, row.line);
        copy_text(shown->shown, row.has_outcome ? row.reply : row.essence);
    }
}

/* All that is given out of the store, by whatever way. */
static struct reading
read_all(struct play *play)
{
    struct reading reading = { 0 };
    struct batch batch = { 0 };
    int rc;

    while ((rc = store_batch_after(play->store, batch.id, &batch)) !=
           E_NOTFOUND) {
        struct refusal refusal = { 0 };
        struct spec spec;

        reading.damaged += rc == E_CORRUPT;
        reading.damaged +=
            store_spec_get(play->store, batch.id, &spec) == E_CORRUPT;
        for (; (rc = store_refusal_next(play->store, batch.id, refusal.index,
                                        &refusal)) != E_NOTFOUND;
             refusal.index++) {
            reading.damaged += rc == E_CORRUPT;
        }
        read_results(play, &reading, batch.id);
    }
    read_results(play, &reading, 0);
    return reading;
}

/* What is given out is what was there before, or is left out. */
static void
compare(const struct reading *now, const struct reading *before)
{
    for (size_t i = 0; i < now->count; i++) {
        const struct shown *got = &now->shown[i], *want = before->shown;

        while (want->seq != got->seq)
            cr_assert_lt(++want - before->shown, (int)before->count,
                         "a result %llu out of nothing",
                         (unsigned long long)got->seq);
        cr_expect(!*got->line || strcmp(got->line, want->line) == 0,
                  "got %s, want %s", got->line, want->line);
        cr_expect(!*got->shown || strcmp(got->shown, want->shown) == 0,
                  "got %s, want %s", got->shown, want->shown);
    }
}

/* The broker's work on a store that may be damaged: it must not end here. */
static void
exercise(struct play *play)
{
    struct lease terms = { .granted_ms = play->now_ms }, lease = { 0 };
    struct outcome outcome = { .status = STATUS_SERVER_ERROR,
                               .cost_nano = OUTCOME_UNKNOWN };
    struct request requests[8];
    struct batch batch = { 0 };
    struct timer timer;
    struct worker_row worker;

    while (store_batch_after(play->store, batch.id, &batch) != E_NOTFOUND) {
        struct place at = { 0 };
        size_t count = 0;

        if (store_ready_next(play->store, batch.id, &at) == 0)
            count = store_claim(play->store, batch.id, at, &terms, requests, 8);
        for (size_t i = 0; i < count; i++) {
            if (i % 3 == 0)
                store_release(play->store, &requests[i]);
            else if (i % 3 == 1)
                store_delay(play->store, &requests[i], play->now_ms + 1);
        }
    }
    for (int i = 0; i < 100; i++) {
        int rc = store_lease_after(play->store, lease.request, &lease);

        if (rc == E_NOTFOUND)
            break;
        if (store_request_get(play->store, lease.request, &requests[0]) == 0 &&
            requests[0].state == REQUEST_LEASED) {
            store_finish(play->store, &requests[0], &outcome,
                         (struct slice){ 0 }, play->now_ms);
        }
    }
    (void)store_timer_first(play->store, &timer);
    (void)store_worker_after(play->store, NULL, &worker);
}

static void
essence(void *context, const struct draft *draft, struct slice line,
        struct buf *out)
{
    (void)context;
    (void)draft;
    buf_add_slice(out, line);
}

static void
cancelled(void *context, const struct request *request)
{
    (void)context;
    (void)request;
}

static uint64_t
recall(void *context, const unsigned char *key)
{
    (void)context;
    (void)key;
    return 0;
}

/* Retries, ends and drops each batch. */
static void
sweep_all(struct play *play)
{
    struct intake intake = { .now_ms = play->now_ms, .recall = recall };
    struct ending ending = { .status = STATUS_EXPIRED,
                             .now_ms = play->now_ms,
                             .essence = essence,
                             .cancelled = cancelled };
    struct batch batch = { 0 };

    for (int rc; (rc = store_batch_after(play->store, batch.id, &batch)) !=
                 E_NOTFOUND;) {
        uint32_t index = 0;

        if (rc < 0)
            continue;
        (void)store_retry_drafts(play->store, &batch, &index, UINT32_MAX,
                                 &intake);
        batch.state = BATCH_EXPIRED;
        index = 0;
        (void)store_end_drafts(play->store, &batch, &index, &ending);
        store_batch_put(play->store, &batch, play->now_ms);
        batch.state = BATCH_ABANDONED;
        index = 0;
        (void)store_drop_drafts(play->store, &batch, &index, true, NULL);
    }
}

/* The next row of a table behind a key; its value is copied. */
static bool
next_row(struct play *play, enum table table, struct key *key,
         struct buf *value)
{
    struct slice found, raw;

    if (play->store->engine->ops->seek(play->store->engine, table,
                                       key_slice(key), &found, &raw) < 0) {
        return false;
    }
    *key = key_bytes(key_start(), found.data, found.bytes);
    buf_reset(value);
    buf_add_slice(value, raw);
    return true;
}

/* Flips a bit of a row; true if reading the row as a record finds it. */
static bool
flip(struct play *play, enum table table, struct key key, struct buf *value,
     size_t bit)
{
    struct record record;

    value->data[bit / 8] ^= (char)(1 << bit % 8);
    cr_assert_eq(play->store->engine->ops->put(play->store->engine, table,
                                               key_slice(&key),
                                               buf_slice(value)),
                 0);
    return table_get(play->store, table, key, &record) == E_CORRUPT;
}

/* Flips bits of one row after the other, each in a transaction that is
 * forgotten. How many rows, and how often something was named or missing. */
static size_t
flip_table(struct play *play, enum table table, const struct reading *before,
           size_t *noticed)
{
    struct key key = key_start();
    struct buf value = { 0 };
    size_t count = 0;

    for (;; count++) {
        struct reading now;

        play_begin(play);
        if (count % FLIPS == 0 && key.count)
            key = key_u8(key, 0); /* the next key there can be */
        if (!next_row(play, table, &key, &value))
            break;
        cr_expect(flip(play, table, key, &value,
                       (count * 7919 + key.bytes[key.count - 1] * 31) %
                           (value.bytes * 8)),
                  "a flip in %s was not found", table_name(table));
        now = read_all(play);
        compare(&now, before);
        *noticed += now.damaged > 0 || now.count < before->count;
        exercise(play);
        sweep_all(play);
        store_abort(play->store);
    }
    store_abort(play->store);
    buf_fini(&value);
    return count / FLIPS;
}

Test(store_damage, flipped_bits_are_found_and_survived, .timeout = 120)
{
    struct reading before;
    struct play play;
    size_t noticed = 0;

    rot_furnish(&play);
    play_begin(&play);
    before = read_all(&play);
    store_abort(play.store);
    cr_assert_eq(before.damaged, 0);
    cr_assert_geq(before.count, 8);
    for (enum table table = TABLE_BATCH; table < TABLE_COUNT; table++) {
        cr_expect_gt(flip_table(&play, table, &before, &noticed), 0,
                     "no rows in %s", table_name(table));
    }
    cr_expect_gt(noticed, 50);
    play_end(&play);
}
