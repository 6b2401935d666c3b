/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "store/headroom.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/engine_fixture.h"

#define PAGE   4096u
#define PLENTY (UINT64_C(1) << 40)
#define USED   (UINT64_C(100) * PAGE)
#define ROWS   200

static uint64_t
bytes_of(int fd)
{
    struct stat file;

    cr_assert_eq(fstat(fd, &file), 0);
    return (uint64_t)file.st_size;
}

/* A file that a store has written up to `used`. */
static int
open_file(struct scratch *scratch, uint64_t used)
{
    char *path;
    int fd;

    *scratch = scratch_make();
    path = scratch_path(scratch, "file");
    fd = open(path, O_RDWR | O_CREAT, 0600);
    free(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(ftruncate(fd, (off_t)used), 0);
    return fd;
}

static void
close_file(const struct scratch *scratch, int fd)
{
    (void)close(fd);
    scratch_remove(scratch);
}

Test(headroom, file_that_grows_by_little_has_room_for_many_commits)
{
    struct headroom headroom = { .bytes_max = PLENTY };
    struct scratch scratch;
    int fd = open_file(&scratch, USED), made = 0;
    uint64_t used = USED, before = USED;

    headroom_make(&headroom, fd, used, PLENTY);
    for (int i = 0; i < 64; i++) {
        used += 4 * PAGE;
        headroom_make(&headroom, fd, used, PLENTY);
        made += bytes_of(fd) != before;
        before = bytes_of(fd);
        cr_expect_geq(before, used + HEADROOM_GROWTH);
        cr_expect_leq(before, used + HEADROOM_GROWTH + HEADROOM_BYTES);
    }
    cr_expect_leq(made, 6, "made %d times", made);
    close_file(&scratch, fd);
}

Test(headroom, nothing_is_made_for_what_does_not_grow_or_grows_by_much)
{
    struct headroom headroom = { .bytes_max = PLENTY };
    struct scratch scratch;
    uint64_t used = USED;
    int fd = open_file(&scratch, USED);

    headroom_make(&headroom, fd, used, PLENTY);
    headroom_make(&headroom, fd, used, PLENTY);
    cr_expect_eq(bytes_of(fd), USED, "it did not grow");
    used += HEADROOM_GROWTH + PAGE;
    headroom_make(&headroom, fd, used, PLENTY);
    cr_expect_eq(bytes_of(fd), USED, "it grew by much");
    close_file(&scratch, fd);
}

Test(headroom, last_of_the_disk_is_left_to_others)
{
    struct headroom headroom = { .bytes_max = PLENTY };
    struct scratch scratch;
    int fd = open_file(&scratch, USED);

    headroom_make(&headroom, fd, USED, PLENTY);
    headroom_make(&headroom, fd, USED + PAGE, HEADROOM_FREE_MIN - 1);
    cr_expect_eq(bytes_of(fd), USED);
    headroom_make(&headroom, fd, USED + 2 * PAGE, HEADROOM_FREE_MIN);
    cr_expect_eq(bytes_of(fd), USED + HEADROOM_BYTES);
    close_file(&scratch, fd);
}

Test(headroom, file_gets_no_longer_than_it_may_be)
{
    struct headroom headroom = { .bytes_max = USED + HEADROOM_BYTES - 1 };
    struct scratch scratch;
    int fd = open_file(&scratch, USED);

    headroom_make(&headroom, fd, USED - PAGE, PLENTY);
    headroom_make(&headroom, fd, USED, PLENTY);
    cr_expect_eq(bytes_of(fd), USED);
    headroom.bytes_max++;
    headroom_make(&headroom, fd, USED + PAGE, PLENTY);
    cr_expect_eq(bytes_of(fd), USED + HEADROOM_BYTES);
    close_file(&scratch, fd);
}

/* A commit that failed has written behind the last page, or another process's. */
Test(headroom, what_is_behind_the_last_page_stays)
{
    struct headroom headroom = { .bytes_max = PLENTY };
    struct scratch scratch;
    int fd = open_file(&scratch, USED);
    char page[PAGE], found[PAGE];

    memset(page, 7, sizeof(page));
    cr_assert_eq(pwrite(fd, page, sizeof(page), USED + PAGE), PAGE);
    headroom_make(&headroom, fd, USED - PAGE, PLENTY);
    headroom_make(&headroom, fd, USED, PLENTY);
    cr_assert_eq(pread(fd, found, sizeof(found), USED + PAGE), PAGE);
    cr_expect_arr_eq(found, page, sizeof(page));
    cr_expect_eq(bytes_of(fd), USED + 2 * PAGE + HEADROOM_BYTES);
    close_file(&scratch, fd);
}

Test(headroom, file_that_may_not_grow_is_as_it_was)
{
    struct headroom headroom = { .bytes_max = PLENTY };
    struct scratch scratch;
    int fd = open_file(&scratch, USED);
    struct rlimit limit;

    (void)signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = USED;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    headroom_make(&headroom, fd, USED - PAGE, PLENTY);
    headroom_make(&headroom, fd, USED, PLENTY);
    cr_expect_eq(bytes_of(fd), USED);
    close_file(&scratch, fd);
}

/* One row after another, each in a commit of its own that asks for the disk. */
Test(engine_lmdb, small_commits_find_room_in_the_file)
{
    struct fixture fixture = fixture_open(LMDB);
    struct engine_usage usage = { 0 };
    char *path = scratch_path(&fixture.scratch, "data.mdb");
    char key[8], value[1500] = { 1 };
    uint64_t before, made = 0;
    int fd = open(path, O_RDONLY);

    free(path);
    cr_assert_geq(fd, 0);
    before = bytes_of(fd);
    for (unsigned row = 0; row < ROWS; row++) {
        fixture_begin(&fixture);
        fixture.ops->usage(fixture.engine, false, &usage);
        (void)snprintf(key, sizeof(key), "%06u", row);
        cr_assert_eq(
            fixture.ops->append(fixture.engine, TABLE_DRAFT, slice_of(key),
                                (struct slice){ value, sizeof(value) }),
            0);
        fixture_commit(&fixture);
        made += bytes_of(fd) != before;
        before = bytes_of(fd);
    }
    cr_expect_leq(made, 10, "the file grew %d times", (int)made);
    fixture_begin(&fixture);
    cr_expect_eq(fixture.ops->rows(fixture.engine, TABLE_DRAFT), ROWS);
    (void)close(fd);
    fixture_close(&fixture);
}
