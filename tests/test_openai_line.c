/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "queue/filing.h"

#define LINE "{\"custom_id\":\"a\\u00e4\",\"method\":\"POST\"}"

static struct conf conf;
static struct buf out;

/* A configuration with an upstream of each kind. */
static void
begin(void)
{
    static const char *const names[] = { "openai", "other" };
    static const char *const dialects[] = { "openai", "anthropic" };

    conf_init(&conf);
    for (int i = 0; i < 2; i++) {
        conf.upstreams[i] =
            (struct conf_upstream){ .name = mem_dup_str(names[i]),
                                    .dialect = mem_dup_str(dialects[i]) };
    }
    conf.upstream_count = 2;
}

static void
end(void)
{
    buf_fini(&out);
    conf_fini(&conf);
}

TestSuite(openai_line, .init = begin, .fini = end);

static struct result_row
row_of(enum status status, const char *upstream, const char *reply)
{
    struct result_row row = {
        .draft = { .seq = 17, .status = status, .id_at = 13, .id_bytes = 9 },
        .line = slice_of(LINE),
        .has_outcome = true,
        .outcome = { .status = status,
                     .http_status = 200,
                     .reply_bytes = (uint32_t)strlen(reply),
                     .upstream = slice_of(upstream),
                     .prompt_tokens = 3,
                     .completion_tokens = -1,
                     .total_tokens = 3 },
        .reply = slice_of(reply),
    };

    return row;
}

/* The line is what is wanted, and one line of JSON. */
static void
expect_line(const struct result_row *row, enum filing_side side,
            const char *want)
{
    struct json_doc doc = { 0 };

    openai_line(&out, row, &conf);
    cr_expect_eq(openai_side(row), side);
    cr_expect_str_eq(out.data, want, "got  %swant %s", out.data, want);
    cr_expect_eq(strchr(out.data, '\n'), out.data + out.bytes - 1);
    cr_expect_eq(json_parse(&doc, out.data, out.bytes, JSON_REPLY, NULL), 0);
    json_fini(&doc);
}

Test(openai_line, passes_a_reply_on_in_one_line_and_byte_for_byte)
{
    struct result_row row = row_of(
        STATUS_OK, "openai", "{\n  \"x\": [1.50,\r\n \"\\n\u00fc\"]\n}\n");

    expect_line(&row, FILING_OUTPUT,
                "{\"id\":\"batch_req_17\",\"custom_id\":\"a\\u00e4\","
                "\"response\":{\"status_code\":200,\"request_id\":"
                "\"sheaf-17\",\"body\":{   \"x\": [1.50,   \"\\n\u00fc\"] } },"
                "\"error\":null}\n");
}

Test(openai_line, puts_text_of_another_dialect_into_a_chat_completion)
{
    struct result_row row =
        row_of(STATUS_OK, "other", "{\"content\":[{\"text\":\"Hi \\\"you\"}]}");

    row.outcome.form = OUTCOME_JSON_TEXT;
    row.outcome.text_at = 21;
    row.outcome.text_bytes = 8;
    row.outcome.completed_ms = 5999;
    row.outcome.model = slice_of("m");
    expect_line(&row, FILING_OUTPUT,
                "{\"id\":\"batch_req_17\",\"custom_id\":\"a\\u00e4\","
                "\"response\":{\"status_code\":200,\"request_id\":"
                "\"sheaf-17\",\"body\":{\"id\":\"sheaf-17\",\"object\":"
                "\"chat.completion\",\"created\":5,\"model\":\"m\","
                "\"choices\":[{\"index\":0,\"message\":{\"role\":"
                "\"assistant\",\"content\":\"Hi \\\"you\"},"
                "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,"
                "\"completion_tokens\":null,\"total_tokens\":3}}},"
                "\"error\":null}\n");
}

Test(openai_line, says_that_no_usage_was_told)
{
    struct result_row row = row_of(STATUS_OK, "other", "{\"content\":\"Hi\"}");

    row.outcome.form = OUTCOME_JSON_TEXT;
    row.outcome.text_at = 12;
    row.outcome.text_bytes = 2;
    row.outcome.prompt_tokens = row.outcome.total_tokens = OUTCOME_UNKNOWN;
    row.outcome.model = slice_of("m");
    expect_line(&row, FILING_OUTPUT,
                "{\"id\":\"batch_req_17\",\"custom_id\":\"a\\u00e4\","
                "\"response\":{\"status_code\":200,\"request_id\":"
                "\"sheaf-17\",\"body\":{\"id\":\"sheaf-17\",\"object\":"
                "\"chat.completion\",\"created\":0,\"model\":\"m\","
                "\"choices\":[{\"index\":0,\"message\":{\"role\":"
                "\"assistant\",\"content\":\"Hi\"},\"finish_reason\":"
                "\"stop\"}],\"usage\":null}},\"error\":null}\n");
}

Test(openai_line, tells_what_the_upstream_said_was_wrong_without_its_secrets)
{
    struct result_row row = row_of(
        STATUS_AUTH_ERROR, "openai",
        "{\"error\":{\"message\":\"bad key sk-abcdefghijklmnop123456\","
        "\"type\":\"auth\",\"param\":null,\"inner\":{\"key\":\"sk-x\"}}}");

    row.outcome.http_status = 401;
    expect_line(&row, FILING_ERROR,
                "{\"id\":\"batch_req_17\",\"custom_id\":\"a\\u00e4\","
                "\"response\":{\"status_code\":401,\"request_id\":"
                "\"sheaf-17\",\"body\":{\"error\":{\"message\":\"bad key ***\","
                "\"type\":\"auth\",\"param\":null}}},\"error\":null}\n");
}

Test(openai_line, makes_an_error_where_the_upstream_sent_none)
{
    struct result_row row =
        row_of(STATUS_SERVER_ERROR, "openai", "<html>\n502</html>");

    row.outcome.http_status = 502;
    row.outcome.code = slice_of("http_502");
    row.outcome.message = slice_of("Bad Gateway");
    expect_line(&row, FILING_ERROR,
                "{\"id\":\"batch_req_17\",\"custom_id\":\"a\\u00e4\","
                "\"response\":{\"status_code\":502,\"request_id\":"
                "\"sheaf-17\",\"body\":{\"error\":{\"message\":\"Bad "
                "Gateway\",\"type\":\"upstream_error\",\"param\":null,"
                "\"code\":\"http_502\"}}},\"error\":null}\n");
}

Test(openai_line, has_no_response_where_there_was_none)
{
    struct result_row row = row_of(STATUS_ERROR, "openai", "");

    row.outcome.http_status = 0;
    row.outcome.code = slice_of("timeout");
    row.outcome.message = slice_of("no \"answer\"");
    expect_line(&row, FILING_ERROR,
                "{\"id\":\"batch_req_17\",\"custom_id\":\"a\\u00e4\","
                "\"response\":null,\"error\":{\"code\":\"batch_failed\","
                "\"message\":\"timeout: no \\\"answer\\\"\"}}\n");
}

Test(openai_line,
     of_a_damaged_answer_is_an_error_and_of_a_damaged_line_has_no_id)
{
    struct result_row row = { .draft = { .seq = 3, .status = STATUS_OK } };

    expect_line(&row, FILING_ERROR,
                "{\"id\":\"batch_req_3\",\"custom_id\":null,\"response\":null,"
                "\"error\":{\"code\":\"batch_failed\",\"message\":\"The stored "
                "outcome is damaged.\"}}\n");
}
