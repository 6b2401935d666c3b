/* Files that are no store, or none of ours, or none of our time. */
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
#include "tests/put_body.h"
#include "tests/store_expect.h"

#define PAGE_BYTES 4096
#define TXN_AT     144 /* in a page that says how the file is laid out */
#define META_BYTES 152 /* of a page that says how the file is laid out */

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
        put_body(play.store, batch, &chunk,
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

/* The page that is older would count, and the last commit be gone. */
Test(store_damage, first_pages_of_other_times_are_refused)
{
    struct slice text = make_store();
    uint64_t txns[2];

    for (int i = 0; i < 2; i++)
        memcpy(&txns[i], text.data + i * PAGE_BYTES + TXN_AT, sizeof(txns[i]));
    for (int i = 0; i < 2; i++) {
        for (int bit = 0; bit < 64; bit++) {
            char *copy = mem_dup(text.data, text.bytes);
            uint64_t txn = txns[i] ^ (uint64_t)1 << bit;

            memcpy(copy + i * PAGE_BYTES + TXN_AT, &txn, sizeof(txn));
            /* Of two commits before: so looks a page that was being written. */
            if (txns[i] < txns[!i] || txn + 1 != txns[!i])
                expect_refused((struct slice){ copy, text.bytes }, E_CORRUPT,
                               "do not belong together");
            free(copy);
        }
    }
    free((char *)text.data);
}

/* LMDB would make it anew, empty. */
Test(store_damage, table_that_lost_its_name_is_missed)
{
    static const char *const names[] = { "batch", "draft", "attempt", "span",
                                         "newest" };
    struct slice text = make_store();

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t bytes = strlen(names[i]), count = 0;
        char *copy = mem_dup(text.data, text.bytes);

        for (char *at = copy + bytes; at + bytes < copy + text.bytes; at++) {
            uint16_t key_bytes;

            memcpy(&key_bytes, at - 2, sizeof(key_bytes));
            if (key_bytes != bytes || memcmp(at, names[i], bytes) != 0)
                continue;
            at[bytes - 1]++;
            count++;
        }
        cr_assert_gt(count, 0);
        expect_refused((struct slice){ copy, text.bytes }, E_CORRUPT, names[i]);
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
