/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* ftruncate, pwrite */
#include "queue/last_words.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HEAD "{\"verb\":\"turn\"}"
#define BODY "the bodies of its results"

static FILE *file;
static int fd;
static struct buf head, body, room;

static void
set_up(void)
{
    file = tmpfile();
    cr_assert_not_null(file);
    fd = fileno(file);
}

static void
tear_down(void)
{
    buf_fini(&head);
    buf_fini(&body);
    buf_fini(&room);
    cr_assert_eq(fclose(file), 0);
}

static void
write_words(const char *of_head, const char *of_body)
{
    cr_assert_eq(
        last_words_write(fd, slice_of(of_head), slice_of(of_body), &room, NULL),
        0);
}

static int
read_words(void)
{
    struct err err = { 0 };
    int rc = last_words_read(fd, &head, &body, &err);

    cr_assert_geq(rc, 0, "%s", err.msg);
    return rc;
}

TestSuite(last_words, .init = set_up, .fini = tear_down);

Test(last_words, are_read_as_they_were_written)
{
    cr_expect_eq(read_words(), 1, "there are none at first");
    write_words(HEAD, BODY);
    cr_assert_eq(read_words(), 0);
    cr_expect_str_eq(head.data, HEAD);
    cr_expect_str_eq(body.data, BODY);
}

Test(last_words, stand_for_the_newest_only)
{
    write_words(HEAD, BODY BODY BODY);
    write_words("{}", "b");
    cr_assert_eq(read_words(), 0);
    cr_expect_str_eq(head.data, "{}");
    cr_expect_str_eq(body.data, "b");
    cr_assert_eq(last_words_clear(fd, NULL), 0);
    cr_expect_eq(read_words(), 1);
    cr_expect_eq(head.bytes, 0);
}

Test(last_words, that_end_anywhere_are_none)
{
    write_words(HEAD, BODY);
    for (off_t bytes = (off_t)room.bytes - 1; bytes >= 0; bytes--) {
        cr_assert_eq(ftruncate(fd, bytes), 0);
        cr_expect_eq(read_words(), 1, "of %ld bytes", (long)bytes);
    }
}

Test(last_words, with_any_bit_changed_are_none)
{
    write_words(HEAD, BODY);
    for (size_t bit = 0; bit < room.bytes * 8; bit++) {
        char byte = (char)(room.data[bit / 8] ^ (1 << bit % 8));

        cr_assert_eq(pwrite(fd, &byte, 1, (off_t)(bit / 8)), 1);
        cr_expect_eq(read_words(), 1, "bit %zu", bit);
        cr_assert_eq(pwrite(fd, &room.data[bit / 8], 1, (off_t)(bit / 8)), 1);
    }
    cr_expect_eq(read_words(), 0);
}

Test(last_words, have_a_limit)
{
    char *text = malloc(LAST_WORDS_BYTES_MAX);
    struct slice most = { text, LAST_WORDS_BYTES_MAX };

    cr_assert_not_null(text);
    memset(text, 'x', LAST_WORDS_BYTES_MAX);
    cr_expect_eq(last_words_write(fd, slice_of("x"), most, &room, NULL),
                 E_FULL);
    cr_expect_eq(read_words(), 1);
    cr_assert_eq(last_words_write(fd, slice_of(""), most, &room, NULL), 0);
    cr_assert_eq(read_words(), 0);
    cr_expect_eq(body.bytes, LAST_WORDS_BYTES_MAX);
    free(text);
}

Test(last_words, that_find_no_room_are_none)
{
    struct err err = { 0 };
    FILE *full = fopen("/dev/full", "r+");

    cr_assert_not_null(full);
    cr_expect_eq(last_words_write(fileno(full), slice_of(HEAD), slice_of(BODY),
                                  &room, &err),
                 E_IO);
    cr_expect_not_null(strstr(err.msg, "No space left"), "%s", err.msg);
    cr_assert_eq(fclose(full), 0);
}
