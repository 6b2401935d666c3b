/* SPDX-License-Identifier: MIT */
#include "worker/hint.h"

#include <criterion/criterion.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NOW_MS   INT64_C(1792567620000)

#define RETRY_INFO(delay)                                         \
    "{\"error\":{\"details\":[{\"@type\":\"type.googleapis.com/"  \
    "google.rpc.Help\",\"retryDelay\":\"1s\"},{\"@type\":\"type." \
    "googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"" delay "\"}]}}"
#define QUOTA(id)                                                \
    "{\"error\":{\"details\":[{\"@type\":\"type.googleapis.com/" \
    "google.rpc.QuotaFailure\",\"violations\":[{\"quotaId\":\"" id "\"}]}]}}"

struct row {
    const char *headers[7][2];
    const char *body; /* NULL: none */
    const char *message;
    int64_t want_ms;
    const char *source;
    int64_t explicit_ms; /* with only_explicit */
};

/* clang-format off */
static const struct row rows[] = {
    { { { "Retry-After-Ms", "1500.5" }, { "Retry-After", "9" } },
      RETRY_INFO("7s"), "try again in 3s", 1501, "retry-after-ms", 1501 },
    { { { "x-ms-retry-after-ms", "20" }, { "retry-after", "9" } },
      NULL, "", 20, "x-ms-retry-after-ms", 20 },
    { { { "retry-after-ms", "0" }, { "retry-after", "9" } },
      NULL, "", 9000, "retry-after", 9000 },
    { { { "RETRY-AFTER", " Wed, 21 Oct 2026 07:28:00 GMT\r\n" } },
      NULL, "", 60000, "retry-after", 60000 },
    { { { "retry-after", "-1" } }, RETRY_INFO("45.837906927s"),
      "try again in 3s", 45838, "error.details.retryDelay", 45838 },
    { { { NULL } }, "[" RETRY_INFO("58s") "]", "", 58000,
      "error.details.retryDelay", 58000 },
    { { { "x-ratelimit-reset-requests", "5s" },
        { "x-ratelimit-remaining-requests", "0" },
        { "x-ratelimit-reset-tokens", "3s" },
        { "x-ratelimit-remaining-tokens", "0" } },
      RETRY_INFO("x"), "try again in 1s", 5000,
      "x-ratelimit-reset-requests", DELAY_NONE },
    /* Requests are left, so it was the tokens. */
    { { { "x-ratelimit-reset-requests", "5s" },
        { "x-ratelimit-remaining-requests", "7" },
        { "x-ratelimit-reset-tokens", "3s" },
        { "x-ratelimit-remaining-tokens", "99" } },
      NULL, "", 3000, "x-ratelimit-reset-tokens", DELAY_NONE },
    /* Enough tokens (100) are left. */
    { { { "x-ratelimit-reset-tokens", "3s" },
        { "x-ratelimit-remaining-tokens", "100" } },
      NULL, "Please try again in 2s.", 2000,
      "error.message", DELAY_NONE },
    { { { "anthropic-ratelimit-requests-reset", "2026-10-21T07:27:05Z" },
        { "anthropic-ratelimit-tokens-reset", "2026-10-21T07:27:30Z" },
        { "anthropic-ratelimit-input-tokens-reset", "2026-10-21T07:27:31Z" },
        { "anthropic-ratelimit-output-tokens-reset", "2026-10-21T07:27:10Z" } },
      NULL, "", 31000, "anthropic-ratelimit-input-tokens-reset", DELAY_NONE },
    /* Generic ones, with an end in Unix seconds or milliseconds. */
    { { { "x-ratelimit-reset", "1792567680000" },
        { "x-ratelimit-remaining", "0" } },
      NULL, "", 60000, "x-ratelimit-reset", DELAY_NONE },
    { { { "ratelimit-reset", "1792567650" }, { "ratelimit-remaining", "0" } },
      NULL, "", 30000, "ratelimit-reset", DELAY_NONE },
    { { { "ratelimit-reset", "30" }, { "ratelimit-remaining", "3" } },
      NULL, "", DELAY_NONE, "", DELAY_NONE },
    /* Azure: unknown, and now. */
    { { { "x-ratelimit-reset-requests", "-1" },
        { "x-ratelimit-reset-tokens", "0" } },
      NULL, "retry after 26 seconds", 26000, "error.message", DELAY_NONE },
    { { { "x-unknown", "7" } }, "{\"error\":{\"details\":7}}", "busy",
      DELAY_NONE, "", DELAY_NONE },
    { { { NULL } }, NULL, "", DELAY_NONE, "", DELAY_NONE },
};
/* clang-format on */

static void
keep(struct hint_headers *headers, const char *name, const char *value)
{
    hint_keep(headers, slice_of(name), slice_of(value));
}

static void
check(const struct row *row)
{
    struct hint_headers headers = { 0 };
    struct json_doc doc = { 0 };
    struct hint_reply reply = { &headers, &doc, row->message, 100 };
    const char *source = NULL;
    int64_t got_ms;

    for (size_t i = 0; i < COUNT(row->headers) && row->headers[i][0]; i++)
        keep(&headers, row->headers[i][0], row->headers[i][1]);
    if (row->body) {
        cr_assert_eq(
            json_parse(&doc, row->body, strlen(row->body), JSON_REPLY, NULL),
            0);
    }
    got_ms = hint_wait_ms(&reply, false, NOW_MS, &source);
    cr_expect_eq(got_ms, row->want_ms, "row %td: got %lld, want %lld",
                 row - rows, (long long)got_ms, (long long)row->want_ms);
    cr_expect_str_eq(source, row->source, "row %td: got %s, want %s",
                     row - rows, source, row->source);
    got_ms = hint_wait_ms(&reply, true, NOW_MS, &source);
    cr_expect_eq(got_ms, row->explicit_ms, "row %td, explicit: got %lld",
                 row - rows, (long long)got_ms);
    json_fini(&doc);
}

Test(hint, asks_its_sources_in_order)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        check(&rows[i]);
}

Test(hint, keeps_only_headers_of_interest_that_fit)
{
    struct hint_headers headers = { 0 };
    char longest[HINT_VALUE_BYTES_MAX + 2];

    keep(&headers, "Set-Cookie", "secret");
    keep(&headers, "Retry-After", "1");
    keep(&headers, "retry-after", "2");
    memset(longest, '1', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    keep(&headers, "retry-after-ms", longest);
    cr_expect_eq(headers.count, 1);
    cr_expect_str_eq(hint_get(&headers, "retry-after"), "1");
    keep(&headers, "retry-after-ms", longest + 1);
    cr_expect_eq(headers.count, 2);
    for (int i = 0; i < 100; i++)
        keep(&headers, "x-should-retry", "");
    cr_expect_eq(headers.count, 3);
}

Test(hint, reads_the_limits_that_a_reply_tells_of)
{
    static const struct {
        const char *headers[7][2];
        struct hint_limits want;
    } cases[] = {
        { { { "x-ratelimit-limit-requests", "5000" },
            { "x-ratelimit-remaining-requests", "4999" },
            { "x-ratelimit-reset-requests", "12ms" },
            { "x-ratelimit-limit-tokens", "160000" },
            { "x-ratelimit-remaining-tokens", "159976" },
            { "x-ratelimit-reset-tokens", "9s" } },
          { { 5000, 4999, 12 }, { 160000, 159976, 9000 } } },
        { { { "anthropic-ratelimit-requests-limit", "50" },
            { "anthropic-ratelimit-requests-remaining", "0" },
            { "anthropic-ratelimit-requests-reset", "2026-10-21T07:27:05Z" },
            { "anthropic-ratelimit-input-tokens-remaining", "7" } },
          { { 50, 0, 5000 }, { -1, 7, -1 } } },
        { { { "x-ratelimit-remaining", "19" } },
          { { -1, 19, -1 }, { -1, -1, -1 } } },
        { { { "x-ratelimit-remaining-requests", "-1" },
            { "x-ratelimit-limit-tokens", "99999999999999999999" },
            { "x-ratelimit-reset-tokens", "0" },
            { "ratelimit-limit", "100, 100;w=60" } },
          { { 100, -1, -1 }, { -1, -1, -1 } } },
        { { { "retry-after", "7" } }, { { -1, -1, -1 }, { -1, -1, -1 } } },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct hint_limits *want = &cases[i].want;
        struct hint_headers headers = { 0 };
        struct hint_limits got;

        for (size_t j = 0; j < 7 && cases[i].headers[j][0]; j++)
            keep(&headers, cases[i].headers[j][0], cases[i].headers[j][1]);
        cr_expect_eq(hint_limits(&headers, NOW_MS, &got), i < 4, "case %zu", i);
        cr_expect_eq(
            memcmp(&got, want, sizeof(got)), 0,
            "case %zu: got %lld %lld %lld, %lld %lld %lld", i,
            (long long)got.requests.limit, (long long)got.requests.remaining,
            (long long)got.requests.reset_ms, (long long)got.tokens.limit,
            (long long)got.tokens.remaining, (long long)got.tokens.reset_ms);
    }
}

Test(hint, reads_what_should_be_retried)
{
    static const struct {
        const char *value;
        int want;
    } values[] = { { "true", 1 }, { "False", 0 }, { "maybe", -1 }, { "", -1 } };

    for (size_t i = 0; i < COUNT(values); i++) {
        struct hint_headers headers = { 0 };

        cr_expect_eq(hint_should_retry(&headers), -1);
        keep(&headers, "X-Should-Retry", values[i].value);
        cr_expect_eq(hint_should_retry(&headers), values[i].want, "%s",
                     values[i].value);
    }
}

Test(hint, tells_a_daily_quota_from_one_of_a_minute)
{
    static const struct {
        const char *body;
        bool want;
    } bodies[] = {
        { QUOTA("GenerateRequestsPerDayPerProjectPerModel-FreeTier"), true },
        { "[" QUOTA("RequestsPerDay") "]", true },
        { QUOTA("GenerateRequestsPerMinutePerProject"), false },
        { RETRY_INFO("5s"), false },
        { "{\"error\":\"PerDay\"}", false },
        { "[]", false },
    };

    for (size_t i = 0; i < COUNT(bodies); i++) {
        struct json_doc doc = { 0 };

        cr_assert_eq(json_parse(&doc, bodies[i].body, strlen(bodies[i].body),
                                JSON_REPLY, NULL),
                     0);
        cr_expect_eq(hint_is_daily(&doc), bodies[i].want, "%s", bodies[i].body);
        json_fini(&doc);
    }
    cr_expect_not(hint_is_daily(&(struct json_doc){ 0 }));
}
