/* SPDX-License-Identifier: MIT */
#include "base/utf8.h"
#include "worker/oauth.h"

#include <criterion/criterion.h>
#include <string.h>

static struct oauth_grant grant;
static struct err err;

static void
expect_request(const struct oauth_client *client, const char *body,
               const char *basic)
{
    struct buf got = { 0 };

    oauth_body(client, &got);
    cr_expect(slice_is(buf_slice(&got), body), "got %s, want %s", got.data,
              body);
    buf_reset(&got);
    oauth_basic(client, &got);
    cr_expect(slice_is(buf_slice(&got), basic), "got %s, want %s",
              got.bytes ? got.data : "", basic);
    buf_fini(&got);
}

/* The pairs were encoded by hand: see `base64`. */
Test(oauth, asks_with_client_and_secret_in_the_header)
{
    expect_request(
        &(struct oauth_client){ .id = "a", .secret = slice_of("bc") },
        "grant_type=client_credentials", "YTpiYw==");
    expect_request(
        &(struct oauth_client){ .id = "ab", .secret = slice_of("cd") },
        "grant_type=client_credentials", "YWI6Y2Q=");
    expect_request(&(struct oauth_client){ .id = "me",
                                           .secret = slice_of("a:b/c d"),
                                           .scope = "read write",
                                           .audience = "https://api/" },
                   "grant_type=client_credentials&scope=read%20write&audience="
                   "https%3A%2F%2Fapi%2F",
                   "bWU6YSUzQWIlMkZjJTIwZA==");
}

Test(oauth, asks_with_both_in_the_body_if_told_to)
{
    expect_request(&(struct oauth_client){ .id = "me&you",
                                           .secret = slice_of("s=\xc3\xa4+"),
                                           .is_in_body = true },
                   "grant_type=client_credentials&client_id=me%26you&"
                   "client_secret=s%3D%C3%A4%2B",
                   "");
}

static int
read_reply(int status, const char *body)
{
    struct reply reply = { .end = REPLY_COMPLETE, .http_status = status };
    int rc;

    buf_add_str(&reply.body, body);
    memset(&err, 0, sizeof(err));
    rc = oauth_read(&reply, 0, &grant, &err);
    buf_fini(&reply.body);
    return rc;
}

Test(oauth, reads_a_token_and_how_long_it_lasts)
{
    static const struct {
        const char *body;
        int64_t expires_ms;
    } cases[] = {
        { "{\"access_token\":\"t\\u0041\",\"token_type\":\"Bearer\","
          "\"expires_in\":3600}",
          3600000 },
        { "{\"access_token\":\"tA\",\"token_type\":\"bearer\","
          "\"expires_in\":\"3599\",\"scope\":\"x\"}",
          3599000 },
        { "{\"access_token\":\"tA\"}", TOKEN_NO_EXPIRY },
        { "{\"access_token\":\"tA\",\"expires_in\":null}", TOKEN_NO_EXPIRY },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_expect_eq(read_reply(200, cases[i].body), 0, "%s", err.msg);
        cr_expect(slice_is(secret_peek(&grant.token), "tA"));
        cr_expect_eq(grant.expires_ms, cases[i].expires_ms);
        secret_fini(&grant.token);
    }
}

Test(oauth, says_what_is_wrong_with_a_reply)
{
    static const struct {
        int status;
        const char *body, *want;
    } cases[] = {
        { 200, "", "its reply is no JSON object: " },
        { 200, "[]", "its reply is no JSON object" },
        { 200, "<html>", "its reply is no JSON object: " },
        { 200, "{}", "its reply holds no access_token" },
        { 200, "{\"access_token\":7}", "its reply holds no access_token" },
        { 200, "{\"access_token\":\"\"}", "the token that it gave: is empty" },
        { 200, "{\"access_token\":\"a\\r\\nX: y\"}",
          "the token that it gave: holds a control character" },
        { 200, "{\"access_token\":\"t\",\"token_type\":\"mac\"}",
          "its token is of the type \"mac\", not \"Bearer\"" },
        { 200, "{\"access_token\":\"t\",\"expires_in\":0}",
          "its expires_in is no number of seconds" },
        { 200, "{\"access_token\":\"t\",\"expires_in\":\"soon\"}",
          "its expires_in is no number of seconds" },
        { 200, "{\"access_token\":\"t\",\"expires_in\":1e30}",
          "its expires_in is no number of seconds" },
        { 302, "", "it answered with status 302" },
        { 401, "{\"error\":\"invalid_client\"}",
          "it answered with status 401, invalid_client" },
        { 400,
          "{\"error\":\"invalid_scope\",\"error_description\":\"no such\"}",
          "it answered with status 400, invalid_scope: no such" },
        { 500, "{\"access_token\":\"t\"}", "it answered with status 500" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_expect_eq(read_reply(cases[i].status, cases[i].body), E_INVALID,
                     "case %zu", i);
        cr_expect_eq(strncmp(err.msg, cases[i].want, strlen(cases[i].want)), 0,
                     "case %zu: got %s, want %s", i, err.msg, cases[i].want);
        cr_expect_eq(grant.token.bytes, 0);
    }
}

Test(oauth, says_why_no_reply_came)
{
    struct reply reply = { .end = REPLY_UNTRUSTED };

    cr_expect_eq(oauth_read(&reply, 0, &grant, &err), E_UNREACHABLE);
    cr_expect_str_eq(err.msg, "no reply came: the server's certificate is not "
                              "trusted");
    memcpy(reply.reason, "self-signed", sizeof("self-signed"));
    cr_expect_eq(oauth_read(&reply, 0, &grant, &err), E_UNREACHABLE);
    cr_expect_str_eq(err.msg, "no reply came: self-signed");
}

Test(oauth, hands_on_the_wait_that_a_server_names)
{
    struct reply reply = { .end = REPLY_COMPLETE, .http_status = 503 };

    hint_keep(&reply.headers, slice_of("Retry-After"), slice_of(" 7"));
    cr_expect_eq(oauth_read(&reply, 0, &grant, &err), E_INVALID);
    cr_expect_eq(grant.wait_ms, 7000);
}

Test(oauth, cuts_no_character_of_an_explanation_in_two)
{
    struct buf body = { 0 };

    buf_add_str(&body, "{\"error\":\"e\",\"error_description\":\"x");
    for (int i = 0; i < 200; i++)
        buf_add_str(&body, "\xc3\xa4");
    buf_add_str(&body, "\"}");
    cr_expect_eq(read_reply(400, body.data), E_INVALID);
    cr_expect(utf8_is_valid(slice_of(err.msg)), "%s", err.msg);
    buf_fini(&body);
}
