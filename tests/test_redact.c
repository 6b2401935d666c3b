/* SPDX-License-Identifier: MIT */
#include "base/redact.h"

#include <criterion/criterion.h>

static void
check(const char *text, const char *want)
{
    struct buf out = { 0 };

    buf_reserve(&out, 0);
    redact(slice_of(text), &out);
    cr_expect(slice_is(buf_slice(&out), want), "%s: got %s, want %s", text,
              out.data, want);
    buf_fini(&out);
}

Test(redact, takes_secrets_out)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "Bearer xxx", "Bearer ***" },
        { "bearer  abc.DEF-1 end", "bearer  *** end" },
        { "Authorization: Bearer abc", "Authorization: Bearer ***" },
        { "authorization=Basic dXNlcjpwYXNz", "authorization=Basic ***" },
        { "Authorization: 0123abcd", "Authorization: ***" },
        { "key sk-abcde is bad", "key *** is bad" },
        { "Incorrect API key provided: sk-proj-a1B2_c3. You can find "
          "your API key at https://example.org/keys.",
          "Incorrect API key provided: ***. You can find "
          "your API key at https://example.org/keys." },
        { "api_key=abc", "api_key=***" },
        { "api-key: abc, next", "api-key: ***, next" },
        { "apikey = 'a b c' x", "apikey = '***' x" },
        { "{\"api_key\": \"a b\", \"n\": 1}",
          "{\"api_key\": \"***\", \"n\": 1}" },
        { "OPENAI_API_KEY=abc123", "OPENAI_API_KEY=***" },
        { "x-api-key: k", "x-api-key: ***" },
        { "GET /v1?key=AIzaX&alt=1", "GET /v1?key=***&alt=1" },
        { "access_token=t&password=p", "access_token=***&password=***" },
        { "https://user:pw@host/", "https://***@host/" },
        { "AIzaSyA0123456789abcdef", "***" },
        { "eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.x_y", "***" },
        { "sk-aaaaaaaa sk-bbbbbbbb", "*** ***" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check(cases[i].text, cases[i].want);
}

Test(redact, leaves_the_rest)
{
    static const char *const cases[] = {
        "",
        "Rate limit reached for gpt-4o-mini in organization org-1",
        "Missing bearer or basic authentication in header",
        "task-management, disk-performance-test and risk-12345678",
        "max_tokens: 5 is above the limit",
        "This basic request failed",
        "sk-1",
        "see https://example.org/a@b",
        "api key",
        "API key not valid. Please pass a valid API key.",
        "密钥无效: Bearer",
        "password:",
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check(cases[i], cases[i]);
}

Test(redact, twice_is_the_same_as_once)
{
    struct buf once = { 0 }, twice = { 0 };

    redact(slice_of("Bearer abc api_key=x sk-12345678 https://u:p@h"), &once);
    redact(buf_slice(&once), &twice);
    cr_assert(slice_equal(buf_slice(&once), buf_slice(&twice)), "%s, then %s",
              once.data, twice.data);
    buf_fini(&once);
    buf_fini(&twice);
}
