/* SPDX-License-Identifier: MIT */
#include "submit/http_complete.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(http_complete, makes_one_line_of_a_body_and_changes_nothing_else)
{
    static const struct {
        const char *body;
        const char *want; /* the line behind "body": */
    } rows[] = {
        { "{}", "{}}\n" },
        { "{\n  \"a\": 1.50,\r\n  \"b\": \"x\\ny\"\n}\n",
          "{   \"a\": 1.50,    \"b\": \"x\\ny\" } }\n" },
        { "{\"stream\":false}", "{\"stream\":false}}\n" },
        { "{\"stream\":null}", "{\"stream\":null}}\n" },
        { " {\"a\":{\"stream\":true}} ", " {\"a\":{\"stream\":true}} }\n" },
    };
    static const char head[] = "{\"custom_id\":\"req_1\",\"method\":\"POST\","
                               "\"url\":\"/v1/responses\",\"body\":";

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_error error = { 0 };
        struct buf line = { 0 };

        cr_assert_eq(http_complete_line("req_1", "/v1/responses",
                                        slice_of(rows[i].body), &line, &error),
                     0, "%s", error.message);
        cr_assert_eq(strncmp(line.data, head, strlen(head)), 0, "%s",
                     line.data);
        cr_expect_str_eq(line.data + strlen(head), rows[i].want);
        buf_fini(&line);
    }
}

Test(http_complete, refuses_what_is_no_draft)
{
    static const struct {
        const char *body, *code, *param;
    } rows[] = {
        { "", "invalid_json", "" },
        { "{", "invalid_json", "" },
        { "[]", "invalid_json", "" },
        { "{} {}", "invalid_json", "" },
        { "{\"a\":\"x\ny\"}", "invalid_json", "" },
        { "{\"a\":1,\"a\":2}", "invalid_json", "" },
        { "{\"a\":\"\\u0000\"}", "invalid_json", "" },
        { "{\"stream\":true}", "unsupported_value", "stream" },
        { "{\"stream\":1}", "unsupported_value", "stream" },
        { "{\"stre\\u0061m\":true}", "unsupported_value", "stream" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_error error = { 0 };
        struct buf line = { 0 };

        cr_expect_eq(http_complete_line("req_1", "/v1/responses",
                                        slice_of(rows[i].body), &line, &error),
                     400, "%s", rows[i].body);
        cr_expect_str_eq(error.code, rows[i].code, "%s", rows[i].body);
        cr_expect_str_eq(error.param, rows[i].param);
        cr_expect_eq(line.bytes, 0);
    }
}

Test(http_complete, answers_a_failure_with_a_status_of_failure)
{
    static const struct {
        const char *status;
        int64_t http_status;
        const char *code;
        int want;
    } rows[] = {
        { "bad_request", 400, "", 400 },
        { "rate_limited", 429, "", 429 },
        { "server_error", 529, "", 529 },
        { "error", 402, "insufficient_quota", 402 },
        { "error", 200, "malformed_reply", 502 },
        { "error", 302, "", 502 },
        { "error", 0, "connection_refused", 502 },
        { "error", 0, "timeout", 504 },
        { "error", 0, "connect_timeout", 504 },
        { "rate_limited", 0, "", 429 },
        { "expired", 0, "", 504 },
        { "cancelled", 0, "", 409 },
        { "server_error", 0, "", 502 },
        { "what is this", 0, "", 502 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_expect_eq(http_complete_status(rows[i].status, rows[i].http_status,
                                          rows[i].code),
                     rows[i].want, "%s %s", rows[i].status, rows[i].code);
}
