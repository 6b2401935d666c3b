/* SPDX-License-Identifier: MIT */
#include "store/engine.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/engine_fixture.h"

#define VALUE_MAX        9000 /* some on pages of their own */
#define BIG_BYTES        (3u << 20)
#define FD_MAX           64
#define UNMAPPABLE_BYTES (UINT64_C(1) << 60)

static void
put(struct fixture *fixture, const char *key, const char *value)
{
    cr_assert_eq(fixture->ops->put(fixture->engine, TABLE_DRAFT, slice_of(key),
                                   slice_of(value)),
                 0);
}

static void
expect_row(int rc, struct slice got, const char *want)
{
    if (!want) {
        cr_expect_eq(rc, E_NOTFOUND, "got %d, %.*s", rc, (int)got.bytes,
                     got.data ? got.data : "");
        return;
    }
    cr_assert_eq(rc, 0, "no %s: %d", want, rc);
    cr_expect(slice_is(got, want), "got %.*s, want %s", (int)got.bytes,
              got.data, want);
}

static void
expect_get(struct fixture *fixture, const char *key, const char *want)
{
    struct slice value = { 0 };
    int rc =
        fixture->ops->get(fixture->engine, TABLE_DRAFT, slice_of(key), &value);

    expect_row(rc, value, want);
}

static void
expect_seek(struct fixture *fixture, const char *key, const char *want)
{
    struct slice found = { 0 }, value;
    int rc = fixture->ops->seek(fixture->engine, TABLE_DRAFT, slice_of(key),
                                &found, &value);

    expect_row(rc, found, want);
}

static void
expect_before(struct fixture *fixture, const char *key, const char *want)
{
    struct slice found = { 0 }, value;
    int rc = fixture->ops->before(fixture->engine, TABLE_DRAFT, slice_of(key),
                                  &found, &value);

    expect_row(rc, found, want);
}

CLAIM(get_gives_what_put_left)
{
    fixture_begin(fixture);
    expect_get(fixture, "a", NULL);
    put(fixture, "a", "1");
    put(fixture, "b", "");
    expect_get(fixture, "a", "1");
    expect_get(fixture, "b", "");
    put(fixture, "a", "22");
    expect_get(fixture, "a", "22");
    cr_expect_eq(fixture->ops->rows(fixture->engine, TABLE_DRAFT), 2);
    cr_expect_eq(fixture->ops->rows(fixture->engine, TABLE_REQUEST), 0);
    fixture_commit(fixture);
}

CLAIM(del_removes_once)
{
    fixture_begin(fixture);
    put(fixture, "a", "1");
    cr_expect_eq(fixture->ops->del(fixture->engine, TABLE_DRAFT, slice_of("a")),
                 0);
    cr_expect_eq(fixture->ops->del(fixture->engine, TABLE_DRAFT, slice_of("a")),
                 E_NOTFOUND);
    expect_get(fixture, "a", NULL);
    cr_expect_eq(fixture->ops->rows(fixture->engine, TABLE_DRAFT), 0);
    fixture_commit(fixture);
}

CLAIM(seek_and_before_go_by_byte_order)
{
    fixture_begin(fixture);
    expect_seek(fixture, "", NULL);
    expect_before(fixture, "x", NULL);
    put(fixture, "b", "");
    put(fixture, "d", "");
    put(fixture, "bb", "");
    put(fixture, "\xff", "");
    expect_seek(fixture, "", "b");
    expect_seek(fixture, "b", "b");
    expect_seek(fixture, "ba", "bb");
    expect_seek(fixture, "c", "d");
    expect_seek(fixture, "e", "\xff");
    expect_seek(fixture, "\xff\xff", NULL);
    expect_before(fixture, "", NULL);
    expect_before(fixture, "b", NULL);
    expect_before(fixture, "bb", "b");
    expect_before(fixture, "d", "bb");
    expect_before(fixture, "e", "d");
    expect_before(fixture, "\xff\xff", "\xff");
    fixture_commit(fixture);
}

CLAIM(seek_stays_in_its_table)
{
    fixture_begin(fixture);
    cr_assert_eq(fixture->ops->put(fixture->engine, TABLE_DRAFT + 1,
                                   slice_of("z"), slice_of("")),
                 0);
    cr_assert_eq(fixture->ops->put(fixture->engine, TABLE_DRAFT - 1,
                                   slice_of("a"), slice_of("")),
                 0);
    expect_seek(fixture, "", NULL);
    expect_before(fixture, "zz", NULL);
    fixture_commit(fixture);
}

CLAIM(abort_forgets_all_of_it)
{
    fixture_begin(fixture);
    put(fixture, "kept", "old");
    put(fixture, "lost", "old");
    fixture_commit(fixture);
    fixture_begin(fixture);
    put(fixture, "kept", "new");
    put(fixture, "kept", "newer");
    put(fixture, "more", "new");
    cr_assert_eq(
        fixture->ops->del(fixture->engine, TABLE_DRAFT, slice_of("lost")), 0);
    fixture->ops->abort(fixture->engine);
    fixture_begin(fixture);
    expect_get(fixture, "kept", "old");
    expect_get(fixture, "lost", "old");
    expect_get(fixture, "more", NULL);
    cr_expect_eq(fixture->ops->rows(fixture->engine, TABLE_DRAFT), 2);
    fixture_commit(fixture);
}

CLAIM(big_values_come_back_whole)
{
    char *big = malloc(BIG_BYTES);
    struct slice value;

    cr_assert_not_null(big);
    for (size_t i = 0; i < BIG_BYTES; i++)
        big[i] = (char)(i * 31 >> 3);
    fixture_begin(fixture);
    cr_assert_eq(fixture->ops->put(fixture->engine, TABLE_BODY, slice_of("k"),
                                   (struct slice){ big, BIG_BYTES }),
                 0);
    fixture_commit(fixture);
    fixture_begin(fixture);
    cr_assert_eq(
        fixture->ops->get(fixture->engine, TABLE_BODY, slice_of("k"), &value),
        0);
    cr_assert_eq(value.bytes, BIG_BYTES);
    cr_expect(memcmp(value.data, big, BIG_BYTES) == 0);
    fixture->ops->abort(fixture->engine);
    free(big);
}

static void
append(struct fixture *fixture, unsigned number, struct slice value)
{
    char key[16];

    snprintf(key, sizeof(key), "%06u", number);
    cr_assert_eq(fixture->ops->append(fixture->engine, TABLE_DRAFT,
                                      slice_of(key), value),
                 0, "row %u", number);
}

CLAIM(append_puts_each_row_where_it_belongs)
{
    fixture_begin(fixture);
    append(fixture, 2, slice_of("two"));
    append(fixture, 4, slice_of("four"));
    append(fixture, 1, slice_of("one"));
    append(fixture, 3, slice_of("three"));
    append(fixture, 4, slice_of("four again"));
    append(fixture, 5, slice_of("five"));
    fixture_commit(fixture);
    fixture_begin(fixture);
    expect_seek(fixture, "", "000001");
    expect_seek(fixture, "0000011", "000002");
    expect_seek(fixture, "0000021", "000003");
    expect_before(fixture, "000004", "000003");
    expect_get(fixture, "000004", "four again");
    expect_before(fixture, "9", "000005");
    fixture->ops->abort(fixture->engine);
}

CLAIM(appended_rows_fill_their_pages)
{
    enum { ROWS = 400 };
    static char value[1000];
    struct engine_usage usage;

    fixture_begin(fixture);
    for (unsigned row = 0; row < ROWS; row++)
        append(fixture, row, (struct slice){ value, sizeof(value) });
    fixture->ops->usage(fixture->engine, true, &usage);
    cr_expect_lt(usage.bytes, ROWS * sizeof(value) * 11 / 10);
    fixture->ops->abort(fixture->engine);
}

CLAIM(usage_falls_when_rows_go)
{
    struct engine_usage before, filled, after;
    char *big = calloc(1, BIG_BYTES);

    fixture_begin(fixture);
    fixture->ops->usage(fixture->engine, true, &before);
    cr_expect_eq(before.bytes_max, FIXTURE_MAP_BYTES);
    fixture->ops->put(fixture->engine, TABLE_BODY, slice_of("k"),
                      (struct slice){ big, BIG_BYTES });
    fixture_commit(fixture);
    fixture_begin(fixture);
    fixture->ops->usage(fixture->engine, true, &filled);
    cr_expect_geq(filled.bytes, before.bytes + BIG_BYTES);
    cr_assert_eq(fixture->ops->del(fixture->engine, TABLE_BODY, slice_of("k")),
                 0);
    fixture_commit(fixture);
    /* What a transaction frees is free for the next one. */
    fixture_begin(fixture);
    fixture->ops->usage(fixture->engine, true, &after);
    cr_expect_lt(after.bytes, before.bytes + BIG_BYTES / 10);
    if (fixture->kind == LMDB)
        cr_expect_geq(after.disk_free, BIG_BYTES, "free within the file");
    fixture->ops->abort(fixture->engine);
    free(big);
}

/* Asked as it is cheap to answer, and then exactly, which is returned. */
static uint64_t
compare_usage(struct fixture *fixture, const char *when)
{
    struct engine_usage most, exact, again;

    fixture->ops->usage(fixture->engine, false, &most);
    fixture->ops->usage(fixture->engine, true, &exact);
    fixture->ops->usage(fixture->engine, false, &again);
    cr_assert_geq(most.bytes, exact.bytes, "%s", when);
    cr_assert_eq(again.bytes, exact.bytes, "%s", when);
    cr_assert_eq(most.bytes + most.disk_free, exact.bytes + exact.disk_free,
                 "%s", when);
    return exact.bytes;
}

static void
put_many(struct fixture *fixture, unsigned from, unsigned to)
{
    static char value[VALUE_MAX];

    for (unsigned row = from; row < to; row++)
        append(fixture, row, (struct slice){ value, row * 37 % VALUE_MAX });
}

CLAIM(usage_that_is_not_exact_is_never_too_low)
{
    enum { ROWS = 600, STEP = 150 };
    uint64_t committed;
    char key[16];

    fixture_begin(fixture);
    (void)compare_usage(fixture, "empty");
    for (unsigned row = 0; row < ROWS; row += STEP) {
        put_many(fixture, row, row + STEP);
        (void)compare_usage(fixture, "filled");
    }
    put_many(fixture, ROWS, ROWS + 1);
    fixture_commit(fixture);
    fixture_begin(fixture);
    committed = compare_usage(fixture, "committed");
    for (unsigned row = 0; row < ROWS; row++) {
        (void)snprintf(key, sizeof(key), "%06u", row);
        cr_assert_eq(
            fixture->ops->del(fixture->engine, TABLE_DRAFT, slice_of(key)), 0);
    }
    cr_assert_lt(compare_usage(fixture, "emptied"), committed / 2);
    fixture->ops->abort(fixture->engine);
    fixture_begin(fixture);
    cr_assert_eq(compare_usage(fixture, "forgotten"), committed);
    fixture->ops->abort(fixture->engine);
}

Test(engine_memory, put_beyond_its_size_is_full_and_abort_makes_room)
{
    struct engine *engine = engine_open_memory(10);

    cr_assert_eq(engine->ops->begin(engine, NULL), 0);
    cr_assert_eq(engine->ops->put(engine, TABLE_DRAFT, slice_of("a"),
                                  slice_of("12345678")),
                 0);
    cr_expect_eq(
        engine->ops->put(engine, TABLE_DRAFT, slice_of("b"), slice_of("1")),
        E_FULL);
    engine->ops->abort(engine);
    cr_assert_eq(engine->ops->begin(engine, NULL), 0);
    cr_expect_eq(engine->ops->put(engine, TABLE_DRAFT, slice_of("b"),
                                  slice_of("123456789")),
                 0);
    engine->ops->close(engine);
}

Test(engine_lmdb, what_was_committed_is_there_when_it_is_opened_again)
{
    struct fixture fixture = fixture_open(LMDB);
    struct err err = { 0 };

    fixture_begin(&fixture);
    put(&fixture, "a", "1");
    fixture_commit(&fixture);
    fixture_begin(&fixture);
    put(&fixture, "b", "1");
    fixture.ops->close(fixture.engine); /* in the middle of it */
    fixture.engine =
        engine_open_lmdb(fixture.scratch.path, false, FIXTURE_MAP_BYTES, &err);
    cr_assert_not_null(fixture.engine, "%s", err.msg);
    fixture_begin(&fixture);
    expect_get(&fixture, "a", "1");
    expect_get(&fixture, "b", NULL);
    fixture_close(&fixture);
}

static int
put_big(struct fixture *fixture, struct err *err)
{
    char *big = calloc(1, BIG_BYTES);

    cr_assert_not_null(big);
    fixture_begin(fixture);
    cr_assert_eq(fixture->ops->put(fixture->engine, TABLE_DRAFT, slice_of("b"),
                                   (struct slice){ big, BIG_BYTES }),
                 0);
    free(big);
    return fixture->ops->commit(fixture->engine, err);
}

/* The file may grow into the pages of a row, and no further. */
Test(engine_lmdb, write_that_is_cut_short_is_full_and_changes_nothing)
{
    struct fixture fixture = fixture_open(LMDB);
    struct rlimit limit, former;
    struct err err = { 0 };

    (void)signal(SIGXFSZ, SIG_IGN);
    fixture_begin(&fixture);
    put(&fixture, "a", "1");
    fixture_commit(&fixture);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &former), 0);
    limit = former;
    limit.rlim_cur = BIG_BYTES / 2;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_expect_eq(put_big(&fixture, &err), E_FULL, "%s", err.msg);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &former), 0);
    fixture_begin(&fixture);
    expect_get(&fixture, "a", "1");
    expect_get(&fixture, "b", NULL);
    fixture.ops->abort(fixture.engine);
    cr_expect_eq(put_big(&fixture, &err), 0, "%s", err.msg);
    fixture_close(&fixture);
}

Test(engine_lmdb, size_above_what_can_be_mapped_is_named)
{
    struct scratch scratch = scratch_make();
    struct err err = { 0 };

    cr_assert_null(
        engine_open_lmdb(scratch.path, true, UNMAPPABLE_BYTES, &err));
    cr_expect_eq(err.code, E_IO);
    cr_expect(strstr(err.msg, "ulimit -v"), "%s", err.msg);
    cr_expect(strstr(err.msg, "store_bytes_max"), "%s", err.msg);
    scratch_remove(&scratch);
}

Test(engine_lmdb, no_file_is_left_open_for_children)
{
    bool was_open[FD_MAX];
    struct fixture fixture;
    int count = 0;

    for (int fd = 0; fd < FD_MAX; fd++)
        was_open[fd] = fcntl(fd, F_GETFD) >= 0;
    fixture = fixture_open(LMDB);
    for (int fd = 0; fd < FD_MAX; fd++) {
        int flags = fcntl(fd, F_GETFD);

        if (flags < 0 || was_open[fd])
            continue;
        count++;
        cr_expect(flags & FD_CLOEXEC, "descriptor %d", fd);
    }
    cr_expect_geq(count, 3, "data.mdb twice, and lock.mdb");
    fixture_close(&fixture);
}
