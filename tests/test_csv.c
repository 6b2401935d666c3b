/* SPDX-License-Identifier: MIT */
#include "submit/csv.h"

#include <criterion/criterion.h>
#include <string.h>

#include "submit/format.h"

#define RESULT                                                             \
    "{\"seq\":7,\"batch\":\"b\",\"custom_id\":\"a,1\",\"index\":0,"        \
    "\"revision\":2,\"status\":\"error\",\"text\":null,\"essence\":"       \
    "\"say \\\"hi\\\" [error]\",\"error\":{\"code\":\"x\",\"message\":"    \
    "\"two\\nlines\",\"http_status\":500},\"model\":\"m\",\"upstream\":"   \
    "\"u\",\"cache\":\"none\",\"attempts\":3,\"latency_ms\":12,\"usage\":" \
    "{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3},"    \
    "\"cost_usd\":0.0001,\"finish_reason\":null,\"metadata\":"             \
    "{\"k\":\"v\"},\"completed_at\":\"2026-01-01T00:00:00.000Z\"}\n"

#define RESULT_NULLS                                                     \
    "{\"seq\":8,\"batch\":\"b\",\"custom_id\":\"\",\"index\":1,"         \
    "\"revision\":1,\"status\":\"ok\",\"text\":\"\\u00e9\",\"essence\":" \
    "null,\"error\":null,\"model\":null,\"upstream\":null,\"cache\":"    \
    "\"none\",\"attempts\":0,\"latency_ms\":null,\"usage\":null,"        \
    "\"cost_usd\":null,\"finish_reason\":null,\"metadata\":null,"        \
    "\"completed_at\":null}\n"

static void
convert(enum options_format kind, const char *lines, struct buf *out)
{
    struct err err = { 0 };
    struct format format;

    format_init(&format, kind);
    format_begin(&format, out);
    cr_assert_eq(format_lines(&format, slice_of(lines), out, &err), 0, "%s",
                 err.msg);
    buf_add_str(out, "");
    format_fini(&format);
}

Test(csv, fields_are_quoted_where_they_must_be)
{
    static const struct {
        const char *text, *want;
    } cases[] = { { "", "" },
                  { "plain", "plain" },
                  { " blank ", " blank " },
                  { "a,b", "\"a,b\"" },
                  { "a\"b", "\"a\"\"b\"" },
                  { "\"", "\"\"\"\"" },
                  { "a\nb", "\"a\nb\"" },
                  { "a\rb", "\"a\rb\"" },
                  { "\xc3\xa9", "\xc3\xa9" } };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf got = { 0 };

        csv_field(slice_of(cases[i].text), &got);
        buf_add_str(&got, "");
        cr_assert_str_eq(got.data, cases[i].want);
        buf_fini(&got);
    }
}

Test(csv, a_result_is_a_row_below_the_header)
{
    struct buf got = { 0 };

    convert(FORMAT_CSV, RESULT RESULT_NULLS, &got);
    cr_assert_str_eq(
        got.data,
        "seq,batch,custom_id,index,revision,status,text,essence,error_code,"
        "error_message,error_http_status,model,upstream,cache,attempts,"
        "latency_ms,usage_prompt_tokens,usage_completion_tokens,"
        "usage_total_tokens,cost_usd,finish_reason,metadata,completed_at\r\n"
        "7,b,\"a,1\",0,2,error,,\"say \"\"hi\"\" [error]\",x,\"two\nlines\","
        "500,m,u,none,3,12,1,2,3,0.0001,,\"{\"\"k\"\":\"\"v\"\"}\","
        "2026-01-01T00:00:00.000Z\r\n"
        "8,b,,1,1,ok,\xc3\xa9,,,,,,,none,0,,,,,,,,\r\n");
    buf_fini(&got);
}

Test(csv, an_empty_page_still_has_its_header)
{
    struct buf got = { 0 };

    convert(FORMAT_CSV, "", &got);
    cr_assert_eq(strncmp(got.data, "seq,batch,", 10), 0);
    cr_assert_str_eq(got.data + got.bytes - 2, "\r\n");
    buf_fini(&got);
}

Test(csv, what_is_no_result_is_an_error)
{
    struct format format;
    struct buf out = { 0 };

    format_init(&format, FORMAT_CSV);
    cr_assert_lt(format_lines(&format, slice_of("[1]\n"), &out, NULL), 0);
    cr_assert_lt(format_lines(&format, slice_of("{\n"), &out, NULL), 0);
    format_fini(&format);
    buf_fini(&out);
}

Test(format, jsonl_is_what_came)
{
    struct buf got = { 0 };

    convert(FORMAT_JSONL, RESULT, &got);
    cr_assert_str_eq(got.data, RESULT);
    buf_fini(&got);
}

Test(format, text_shows_the_answer_or_the_essence)
{
    struct buf got = { 0 };

    convert(FORMAT_TEXT, RESULT RESULT_NULLS, &got);
    cr_assert_str_eq(got.data, "# a,1 [error]\nsay \"hi\" [error]\n\n"
                               "#  [ok]\n\xc3\xa9\n\n");
    buf_fini(&got);
}

Test(format, an_id_stays_on_its_line)
{
    struct buf got = { 0 };

    convert(FORMAT_TEXT,
            "{\"custom_id\":\"a\\u001b[1m\\nb\\u009b\",\"status\":\"ok\","
            "\"text\":\"t\"}\n",
            &got);
    cr_assert_str_eq(got.data, "# a\\u001b[1m\\u000ab\\u009b [ok]\nt\n\n");
    buf_fini(&got);
}

Test(format, openai_lines_are_what_came)
{
    struct buf got = { 0 };

    convert(FORMAT_OPENAI, "{\"id\":\"batch_req_7\"}\n", &got);
    cr_assert_str_eq(got.data, "{\"id\":\"batch_req_7\"}\n");
    buf_fini(&got);
}
