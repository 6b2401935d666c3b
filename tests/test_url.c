/* SPDX-License-Identifier: MIT */
#include "base/url.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct {
    const char *url;
    bool is_exposed;
} accepted[] = {
    { "https://api.openai.com/v1", false },
    { "https://api.openai.com", false },
    { "https://api.openai.com/", false },
    { "https://host_1.example:8443/a/b%20c", false },
    { "https://[2001:db8::1]:443/v1", false },
    { "https://10.0.0.1/v1", false },
    { "https://example.org/a@b", false },
    { "http://localhost", false },
    { "http://LocalHost:8000/v1", false },
    { "http://127.0.0.1:11434/v1", false },
    { "http://127.8.9.10/v1", false },
    { "http://[::1]:8080/v1", false },
    { "http://[0:0:0:0:0:0:0:1]/v1", false },
    { "http://api.openai.com/v1", true },
    { "http://10.0.0.1/v1", true },
    { "http://128.0.0.1/v1", true },
    { "http://127.1/v1", true },
    { "http://localhost./v1", true },
    { "http://localhost.example.org/v1", true },
    { "http://127.0.0.1.example.org/v1", true },
    { "http://[::ffff:127.0.0.1]/v1", true },
    { "http://[::2]/v1", true },
    { "http://0.0.0.0/v1", true },
};

Test(url, accepts_what_an_upstream_is_reached_by)
{
    for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
        struct err err = { 0 };

        cr_expect_eq(url_check(accepted[i].url, &err), 0, "%s: %s",
                     accepted[i].url, err.msg);
        cr_expect_eq(url_is_exposed(accepted[i].url), accepted[i].is_exposed,
                     "%s", accepted[i].url);
    }
}

Test(url, refuses_what_could_be_read_in_another_way)
{
    static const struct {
        const char *url;
        const char *want;
    } cases[] = {
        { "", "does not begin with" },
        { "ftp://example.org", "does not begin with" },
        { "HTTPS://example.org", "does not begin with" },
        { "example.org/v1", "does not begin with" },
        { "https:/example.org", "does not begin with" },
        { " https://example.org", "does not begin with" },
        { "https://", "no well-formed host" },
        { "https:///v1", "no well-formed host" },
        { "https://:80/v1", "no well-formed host" },
        { "https://a b/v1", "a blank" },
        { "https://example.org/\n", "a blank, a control character" },
        { "https://ex\xc3\xa4mple.org/", "a byte beyond ASCII" },
        { "https://example.org/\x7f", "a control character" },
        { "https://example.org\\@evil.org", "the character \\" },
        { "https://example.org/<x>", "the character <" },
        { "https://example.org/v1?key=1", "a query" },
        { "https://example.org/v1#x", "a fragment" },
        { "https://user:secret@example.org/v1", "a user or a password" },
        { "https://user@example.org", "a user or a password" },
        { "https://127.0.0.1@evil.org/v1", "a user or a password" },
        { "https://example.org:/v1", "no well-formed port" },
        { "https://example.org:0/v1", "no well-formed port" },
        { "https://example.org:65536/v1", "no well-formed port" },
        { "https://example.org:100000/v1", "no well-formed port" },
        { "https://example.org:8x/v1", "no well-formed port" },
        { "https://example.org:80:80/v1", "no well-formed port" },
        { "https://[::1/v1", "no well-formed host" },
        { "https://[::1]x/v1", "no well-formed host" },
        { "https://[]/v1", "no well-formed host" },
        { "https://[12345::]/v1", "no well-formed host" },
        { "https://::1/v1", "no well-formed host" },
        { "https://exa%6dple.org/v1", "no well-formed host" },
        { "https://a,b/v1", "no well-formed host" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = { 0 };

        cr_expect_eq(url_check(cases[i].url, &err), E_INVALID, "%s",
                     cases[i].url);
        cr_expect(strstr(err.msg, cases[i].want), "%s: got \"%s\", want \"%s\"",
                  cases[i].url, err.msg, cases[i].want);
        cr_expect_null(strstr(err.msg, "secret"));
    }
}

Test(url, stops_at_the_limits)
{
    char url[URL_BYTES_MAX + 2] = "https://";
    size_t bytes = strlen(url);

    memset(url + bytes, 'a', 254);
    url[bytes + 253] = '\0';
    cr_expect_eq(url_check(url, NULL), 0);
    url[bytes + 253] = 'a';
    cr_expect_eq(url_check(url, NULL), E_INVALID);

    memset(url + bytes, 'a', sizeof(url) - bytes);
    url[bytes + 1] = '/';
    url[URL_BYTES_MAX] = '\0';
    cr_expect_eq(url_check(url, NULL), 0);
    url[URL_BYTES_MAX] = 'a';
    url[URL_BYTES_MAX + 1] = '\0';
    cr_expect_eq(url_check(url, NULL), E_INVALID);
}
