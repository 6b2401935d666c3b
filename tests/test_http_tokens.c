/* SPDX-License-Identifier: MIT */
#include "submit/http_tokens.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "submit/http_guard.h"
#include "tests/scratch.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

Test(http_tokens, reads_rows_and_names_the_line_of_a_bad_one)
{
    static const struct {
        const char *text;
        const char *want; /* the reason's beginning; NULL: it is read */
    } rows[] = {
        { "", NULL },
        { "# nothing\n\n   \n", NULL },
        { HEX " alice submit never\n", NULL },
        { HEX "\talice\tread\tnever\r\n", NULL },
        { HEX " alice admin 2027-01-01T00:00:00Z", NULL },
        { HEX " alice submit\n", "line 1: a row is" },
        { "\n" HEX " alice submit never more\n", "line 2: a row is" },
        { "abc alice submit never\n", "line 1: the first word" },
        { HEX "0 alice submit never\n", "line 1: the first word" },
        { HEX " alice write never\n", "line 1: a scope" },
        { HEX " alice submit +2h\n", "line 1: the end" },
        { HEX " alice submit tomorrow\n", "line 1: the end" },
        { HEX " caf\xc3\xa9 submit never\n", "line 1: a client" },
        { HEX
          " aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
          " submit never\n",
          "line 1: a client" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err err = { 0 };
        struct http_tokens *tokens =
            http_tokens_parse(slice_of(rows[i].text), &err);

        cr_expect_eq(tokens != NULL, rows[i].want == NULL, "%s: %s",
                     rows[i].text, err.msg);
        if (rows[i].want)
            cr_expect_eq(strncmp(err.msg, rows[i].want, strlen(rows[i].want)),
                         0, "got %s, want %s", err.msg, rows[i].want);
        http_tokens_free(tokens);
    }
}

Test(http_tokens, finds_what_was_made_until_its_end)
{
    char token[HTTP_TOKEN_TEXT_BYTES], other[HTTP_TOKEN_TEXT_BYTES], hex[65];
    unsigned char digest[DIGEST_BYTES];
    struct buf text = { 0 };
    struct http_tokens *tokens;
    struct http_grant grant;
    int64_t end_ms;

    cr_assert_eq(http_tokens_make("alice", token, &text, NULL), 0);
    cr_assert_eq(http_tokens_make("bob", other, &text, NULL), 0);
    cr_expect_str_neq(token, other);
    digest_of("a token of mine", 15, digest);
    digest_hex(digest, hex);
    buf_addf(&text, "%s carol admin 2027-01-01T00:00:00Z\n", hex);
    tokens = http_tokens_parse(buf_slice(&text), NULL);
    cr_assert_not_null(tokens);
    cr_expect_eq(http_tokens_count(tokens), 3);

    cr_assert_eq(http_tokens_find(tokens, slice_of(token), 1, &grant), 0);
    cr_expect_str_eq(grant.client, "alice");
    cr_expect_eq(grant.scope, HTTP_SCOPE_SUBMIT);
    cr_assert_eq(http_tokens_find(tokens, slice_of(other), 1, &grant), 0);
    cr_expect_str_eq(grant.client, "bob");
    token[12] = token[12] == '0' ? '1' : '0';
    cr_expect_eq(http_tokens_find(tokens, slice_of(token), 1, &grant),
                 E_NOTFOUND);

    cr_assert_eq(clock_parse("2027-01-01T00:00:00Z", 0, &end_ms), 0);
    cr_assert_eq(http_tokens_find(tokens, slice_of("a token of mine"),
                                  end_ms - 1, &grant),
                 0);
    cr_expect_eq(grant.scope, HTTP_SCOPE_ADMIN);
    cr_expect_eq(
        http_tokens_find(tokens, slice_of("a token of mine"), end_ms, &grant),
        E_NOTFOUND);
    http_tokens_free(tokens);
    buf_fini(&text);
}

Test(http_tokens, makes_none_for_a_name_that_is_none)
{
    static const char *const names[] = { "", "a b", "a\"b", "#a", "a\n" };
    char token[HTTP_TOKEN_TEXT_BYTES];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct buf row = { 0 };

        cr_expect_eq(http_tokens_make(names[i], token, &row, NULL), E_INVALID,
                     "%s", names[i]);
        buf_fini(&row);
    }
}

Test(http_tokens, takes_only_the_form_of_a_token)
{
    static const struct {
        const char *field, *want; /* NULL: none */
    } rows[] = {
        { "Bearer sk-0123456789abcdef", "sk-0123456789abcdef" },
        { "bearer   sk-0123456789abcdef  ", "sk-0123456789abcdef" },
        { "Bearer short", NULL },
        { "Bearer ", NULL },
        { "Bearer", NULL },
        { "", NULL },
        { "Basic c2stMDEyMzQ1Njc4OWFiY2RlZg==", NULL },
        { "Bearer sk-0123456789 abcdef", NULL },
        { "Bearer sk-0123456789abcd\xc3\xa9", NULL },
        { "Bearersk-0123456789abcdef", NULL },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct slice got = http_tokens_bearer(slice_of(rows[i].field));

        cr_expect_eq(got.data != NULL, rows[i].want != NULL, "%s",
                     rows[i].field);
        if (got.data && rows[i].want)
            cr_expect(slice_is(got, rows[i].want));
    }
}

Test(http_tokens, refuses_a_file_that_others_can_read)
{
    struct scratch scratch = scratch_make();
    char *path = scratch_path(&scratch, "tokens");
    struct err err = { 0 };
    struct http_tokens *tokens;
    FILE *file;

    file = fopen(path, "we");
    cr_assert_not_null(file);
    cr_assert(fputs(HEX " alice submit never\n", file) >= 0);
    cr_assert_eq(fclose(file), 0);
    cr_assert_eq(chmod(path, 0640), 0);
    cr_expect_null(http_tokens_load(path, &err));
    cr_expect(strstr(err.msg, "mode 0640") != NULL, "%s", err.msg);
    cr_assert_eq(chmod(path, 0600), 0);
    tokens = http_tokens_load(path, &err);
    cr_assert_not_null(tokens, "%s", err.msg);
    cr_expect_eq(http_tokens_count(tokens), 1);
    http_tokens_free(tokens);
    cr_expect_null(http_tokens_load(scratch.path, &err));
    free(path);
    scratch_remove(&scratch);
}

Test(http_guard, closes_after_so_many_failures_and_opens_again)
{
    struct http_guard *guard = http_guard_new();
    struct http_address bad = { { 1 } }, other = { { 2 } };
    int64_t now_ms = 1000;

    for (int i = 0; i < HTTP_GUARD_FAILURES_MAX; i++) {
        cr_expect_eq(http_guard_wait_ms(guard, &bad, now_ms), 0, "%d", i);
        http_guard_failed(guard, &bad, now_ms);
    }
    cr_expect_eq(http_guard_wait_ms(guard, &bad, now_ms),
                 HTTP_GUARD_FAILURE_MS);
    cr_expect_eq(http_guard_wait_ms(guard, &other, now_ms), 0);
    now_ms += HTTP_GUARD_FAILURE_MS;
    cr_expect_eq(http_guard_wait_ms(guard, &bad, now_ms), 0);
    http_guard_failed(guard, &bad, now_ms);
    cr_expect_gt(http_guard_wait_ms(guard, &bad, now_ms), 0);
    now_ms += (int64_t)HTTP_GUARD_FAILURES_MAX * HTTP_GUARD_FAILURE_MS;
    for (int i = 0; i < HTTP_GUARD_FAILURES_MAX; i++) {
        cr_expect_eq(http_guard_wait_ms(guard, &bad, now_ms), 0, "%d", i);
        http_guard_failed(guard, &bad, now_ms);
    }
    cr_expect_gt(http_guard_wait_ms(guard, &bad, now_ms), 0);
    http_guard_free(guard);
}

/* Whoever has many addresses does not fill the memory. */
Test(http_guard, forgets_the_oldest_address_for_a_new_one)
{
    struct http_guard *guard = http_guard_new();
    struct http_address address = { { 0 } };

    for (int i = 0; i < HTTP_GUARD_FAILURES_MAX; i++)
        http_guard_failed(guard, &address, 1);
    cr_expect_gt(http_guard_wait_ms(guard, &address, 1), 0);
    for (uint32_t i = 1; i <= HTTP_GUARD_ADDRESSES_MAX; i++) {
        struct http_address next = { { 0 } };

        memcpy(next.bytes, &i, sizeof(i));
        http_guard_failed(guard, &next, 1);
    }
    cr_expect_eq(http_guard_wait_ms(guard, &address, 1), 0);
    http_guard_free(guard);
}
