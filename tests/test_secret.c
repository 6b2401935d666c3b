/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* mkfifo, setenv */
#include "worker/secret.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/scratch.h"

#define LONG_SECRET "sk-abcdefghijklmnop"

static struct scratch scratch;
static struct secret secret;
static struct err err;

static void
set_up(void)
{
    scratch = scratch_make();
}

static void
tear_down(void)
{
    secret_fini(&secret);
    scratch_remove(&scratch);
}

TestSuite(secret, .init = set_up, .fini = tear_down);

static void
put_file(const char *leaf, const char *text, mode_t mode)
{
    char *path = scratch_path(&scratch, leaf);
    FILE *file;

    (void)unlink(path);
    file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert(fputs(text, file) >= 0);
    cr_assert_eq(fclose(file), 0);
    cr_assert_eq(chmod(path, mode), 0);
    free(path);
}

static int
read_file(const char *leaf)
{
    char *path = scratch_path(&scratch, leaf);
    int rc =
        secret_read(&secret, &(struct secret_source){ .file = path }, &err);

    free(path);
    return rc;
}

static int
read_credential(const char *leaf)
{
    return secret_read(&secret, &(struct secret_source){ .credential = leaf },
                       &err);
}

static void
expect_value(const char *want)
{
    struct slice got = secret_peek(&secret);

    cr_expect(slice_is(got, want), "got %.*s, want %s", (int)got.bytes,
              got.data, want);
}

Test(secret, a_file_belongs_to_its_owner_alone)
{
    static const struct {
        mode_t mode;
        int rc;
    } cases[] = { { 0600, 0 },         { 0400, 0 },         { 0640, E_INVALID },
                  { 0604, E_INVALID }, { 0610, E_INVALID }, { 0620, E_INVALID },
                  { 0601, E_INVALID } };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put_file("key", "abc\r\n", cases[i].mode);
        cr_expect_eq(read_file("key"), cases[i].rc, "mode %o: %s",
                     (unsigned)cases[i].mode, err.msg);
    }
    expect_value("abc");
}

Test(secret, a_credential_may_show_the_mask_of_an_access_list)
{
    static const struct {
        mode_t directory, file;
        int rc;
    } cases[] = { { 0500, 0400, 0 },         { 0550, 0440, 0 },
                  { 0700, 0600, 0 },         { 0555, 0400, E_INVALID },
                  { 0770, 0400, E_INVALID }, { 0500, 0444, E_INVALID },
                  { 0500, 0460, E_INVALID } };

    cr_assert_eq(setenv("CREDENTIALS_DIRECTORY", scratch.path, 1), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_assert_eq(chmod(scratch.path, 0700), 0);
        put_file("key", "abc", cases[i].file);
        cr_assert_eq(chmod(scratch.path, cases[i].directory), 0);
        cr_expect_eq(read_credential("key"), cases[i].rc,
                     "directory %o, file %o: %s", (unsigned)cases[i].directory,
                     (unsigned)cases[i].file, err.msg);
    }
    cr_assert_eq(chmod(scratch.path, 0700), 0);
    expect_value("abc");
}

Test(secret, a_credential_needs_its_directory)
{
    char *link = scratch_path(&scratch, "link");

    cr_assert_eq(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    cr_expect_eq(read_credential("key"), E_INVALID);
    cr_expect(strstr(err.msg, "LoadCredential=key:FILE"), "%s", err.msg);
    cr_assert_eq(setenv("CREDENTIALS_DIRECTORY", "run", 1), 0);
    cr_expect_eq(read_credential("key"), E_INVALID);
    cr_assert_eq(setenv("CREDENTIALS_DIRECTORY", "/nonexistent/d", 1), 0);
    cr_expect_eq(read_credential("key"), E_IO);
    cr_assert_eq(setenv("CREDENTIALS_DIRECTORY", scratch.path, 1), 0);
    cr_expect_eq(read_credential("key"), E_IO);
    put_file("key", "abc", 0400);
    cr_assert_eq(symlink("key", link), 0);
    cr_expect_eq(read_credential("link"), E_IO);
    free(link);
}

Test(secret, what_is_no_secret_leaves_it_as_it_was)
{
    static const char *const bad[] = { "", "\n", "two\nlines", "a\tb",
                                       "a\x7f" };
    char *fifo = scratch_path(&scratch, "fifo");
    char *large = malloc(SECRET_BYTES_MAX + 2);

    cr_assert_eq(secret_set(&secret, slice_of("first"), &err), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        put_file("key", bad[i], 0600);
        cr_expect_eq(read_file("key"), E_INVALID, "case %zu", i);
    }
    memset(large, 'a', SECRET_BYTES_MAX + 1);
    large[SECRET_BYTES_MAX + 1] = '\0';
    put_file("key", large, 0600);
    cr_expect_eq(read_file("key"), E_INVALID);
    cr_assert_eq(mkfifo(fifo, 0600), 0);
    cr_expect_eq(read_file("fifo"), E_INVALID);
    cr_expect_eq(read_file("missing"), E_IO);
    expect_value("first");
    put_file("key", large + 1, 0600);
    cr_expect_eq(read_file("key"), 0);
    free(fifo);
    free(large);
}

Test(secret, a_variable_is_read_and_taken_out)
{
    struct secret_source source = { .variable = "TEST_SECRET" };

    cr_assert_eq(unsetenv("TEST_SECRET"), 0);
    cr_expect_eq(secret_read(&secret, &source, &err), 0);
    cr_expect_eq(secret.bytes, 0);
    cr_assert_eq(setenv("TEST_SECRET", "abc", 1), 0);
    cr_expect_eq(secret_read(&secret, &source, &err), 0);
    expect_value("abc");
    secret_forget_variable("TEST_SECRET");
    cr_expect_null(getenv("TEST_SECRET"));
}

static void
expect_hidden(const char *text, const char *want)
{
    struct buf buf = { 0 };

    buf_add_str(&buf, text);
    secret_hide(&secret, &buf);
    cr_expect(slice_is(buf_slice(&buf), want), "got %s, want %s", buf.data,
              want);
    buf_fini(&buf);
}

Test(secret, it_and_what_it_was_are_hidden)
{
    expect_hidden("abc", "abc");
    cr_assert_eq(secret_set(&secret, slice_of("one"), &err), 0);
    expect_hidden("one, one", "***, ***");
    cr_assert_eq(secret_set(&secret, slice_of("one"), &err), 0);
    cr_expect_null(secret.before);
    cr_assert_eq(secret_set(&secret, slice_of("two"), &err), 0);
    expect_hidden("one two", "*** ***");
    secret_drop(&secret);
    expect_value("");
    expect_hidden("one two", "one ***");
    secret_drop(&secret);
    expect_hidden("one two", "one ***");
}

static void
expect_masked(const char *text, const char *want)
{
    struct buf buf = { 0 };

    buf_add_str(&buf, text);
    secret_mask(&secret, &buf);
    cr_expect(slice_is(buf_slice(&buf), want), "got %s, want %s", buf.data,
              want);
    buf_fini(&buf);
}

Test(secret, a_mask_keeps_every_byte_in_its_place)
{
    struct buf empty = { 0 };

    cr_assert_eq(secret_set(&secret, slice_of(LONG_SECRET), &err), 0);
    expect_masked("a" LONG_SECRET "b" LONG_SECRET,
                  "a*******************b*******************");
    expect_masked("sk-abcdefghijklmno", "sk-abcdefghijklmno");
    secret_drop(&secret);
    expect_masked("{\"k\":\"" LONG_SECRET "\"}",
                  "{\"k\":\"*******************\"}");
    secret_mask(&secret, &empty);
    cr_expect_eq(empty.bytes, 0);
}

Test(secret, a_short_one_masks_no_word)
{
    cr_assert_eq(secret_set(&secret, slice_of("none"), &err), 0);
    expect_masked("none of it", "none of it");
}
