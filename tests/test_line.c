/* SPDX-License-Identifier: MIT */
#include "queue/line.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/mem.h"
#include "queue/prompt.h"

static struct conf conf;
static struct line line;
static struct line_fault fault;

static void
set_up(void)
{
    struct conf_upstream upstream = {
        .name = mem_dup_str("one"),
        .base_url = mem_dup_str("https://api.example/v1"),
        .path = mem_dup_str("/chat/completions"),
    };

    conf_init(&conf);
    conf.upstreams[conf.upstream_count++] = upstream;
}

static void
tear_down(void)
{
    line_fini(&line);
    conf_fini(&conf);
}

/* ---- what is refused ---- */

struct bad {
    const char *text, *code, *field, *message;
};

static void
expect_refused(const struct bad *cases, size_t count, bool is_options)
{
    for (size_t i = 0; i < count; i++) {
        struct slice text = slice_of(cases[i].text);
        int rc;

        memset(&fault, 'x', sizeof(fault));
        rc = is_options ? line_read_options(&line, &conf, text, &fault)
                        : line_read(&line, &conf, text, &fault);
        cr_expect_eq(rc, E_INVALID, "%s", cases[i].text);
        if (rc == 0)
            continue;
        cr_expect_str_eq(fault.code, cases[i].code, "%s: %s", cases[i].text,
                         fault.code);
        cr_expect_str_eq(fault.field, cases[i].field, "%s: %s", cases[i].text,
                         fault.field);
        cr_expect_str_eq(fault.message, cases[i].message, "%s: %s",
                         cases[i].text, fault.message);
    }
}

#define EXPECT_REFUSED(cases, is_options) \
    expect_refused(cases, sizeof(cases) / sizeof((cases)[0]), is_options)

Test(line, no_json_is_refused, .init = set_up, .fini = tear_down)
{
    static const struct bad cases[] = {
        { "", "not_json", "", "empty" },
        { " ", "not_json", "", "empty" },
        { "nonsense", "not_json", "", "byte 1: expected null" },
        { "{\"id\":\"a\",\"text\":\"x\"", "not_json", "",
          "byte 21: expected ',' or '}', but the text ends" },
        { "{\"id\":\"a\",\"text\":\"x\"}}", "not_json", "",
          "byte 22: nothing may follow the value" },
        { "{\"id\":\"a\",\"text\":\"x\",}", "not_json", "",
          "byte 22: expected a key" },
        { "{'id':'a'}", "not_json", "", "byte 2: expected a key" },
        { "{\"id\":\"a\",\"text\":\"tab\there\"}", "not_json", "",
          "byte 22: control character in a string" },
        { "{\"id\":\"a\",\"text\":\"x\",\"temperature\":01}", "not_json", "",
          "byte 36: a number with a leading zero" },
        { "{\"id\":\"a\",\"text\":\"x\",\"temperature\":NaN}", "not_json", "",
          "byte 36: expected a value" },
        { "\"id\"", "not_object", "", "a draft is a JSON object" },
        { "[{\"id\":\"a\",\"text\":\"x\"}]", "not_object", "",
          "a draft is a JSON object" },
        { "null", "not_object", "", "a draft is a JSON object" },
        { "7", "not_object", "", "a draft is a JSON object" },
        { "{\"id\":\"a\",\"text\":\"\xff\"}", "invalid_utf8", "",
          "byte 19: invalid UTF-8" },
        { "{\"id\":\"a\",\"text\":\"\xed\xa0\x80\"}", "invalid_utf8", "",
          "byte 19: invalid UTF-8" },
        { "{\"id\":\"a\",\"text\":\"\xc0\xaf\"}", "invalid_utf8", "",
          "byte 19: invalid UTF-8" },
        { "{\"id\":\"a\",\"text\":\"\\u0000\"}", "nul_escape", "",
          "byte 19: NUL escape (\\u0000)" },
        { "{\"id\":\"a\\u0000b\",\"text\":\"x\"}", "nul_escape", "",
          "byte 9: NUL escape (\\u0000)" },
        { "{\"id\":\"a\",\"text\":\"\\ud800\"}", "lone_surrogate", "",
          "byte 19: lone surrogate escape" },
        { "{\"id\":\"a\",\"text\":\"\\udc00\\ud800\"}", "lone_surrogate", "",
          "byte 19: lone surrogate escape" },
        { "{\"id\":\"a\",\"text\":\"x\",\"text\":\"y\"}", "duplicate_key", "",
          "byte 22: the key \"text\" stands twice" },
        { "{\"id\":\"a\",\"text\":\"x\",\"\\u0074ext\":\"y\"}", "duplicate_key",
          "", "byte 22: the key \"\\u0074ext\" stands twice" },
        { "{\"id\":\"a\",\"text\":\"x\",\"metadata\":{\"k\":1,\"k\":1}}",
          "duplicate_key", "", "byte 40: the key \"k\" stands twice" },
    };

    EXPECT_REFUSED(cases, false);
}

Test(line, too_deep_and_too_long_are_refused, .init = set_up, .fini = tear_down)
{
    struct buf text = { 0 };

    for (int depth = JSON_DEPTH_MAX - 3; depth <= JSON_DEPTH_MAX + 3; depth++) {
        buf_reset(&text);
        buf_add_str(&text, "{\"id\":\"a\",\"text\":\"x\",\"metadata\":{\"k\":");
        for (int i = 2; i < depth; i++)
            buf_add_char(&text, '[');
        for (int i = 2; i < depth; i++)
            buf_add_char(&text, ']');
        buf_add_str(&text, "}}");
        cr_expect_eq(line_read(&line, &conf, buf_slice(&text), &fault),
                     depth <= JSON_DEPTH_MAX ? 0 : E_INVALID, "%d", depth);
        if (depth > JSON_DEPTH_MAX)
            cr_expect_str_eq(fault.code, "too_deep");
    }
    buf_reset(&text);
    buf_add_str(&text, "{\"id\":\"a\",\"text\":\"");
    while (text.bytes < (size_t)conf.line_bytes_max - 2)
        buf_add_char(&text, 'x');
    buf_add_str(&text, "\"}");
    cr_expect_eq(line_read(&line, &conf, buf_slice(&text), &fault), 0);
    buf_add_char(&text, ' ');
    cr_expect_eq(line_read(&line, &conf, buf_slice(&text), &fault), E_INVALID);
    cr_expect_str_eq(fault.code, "too_long");
    cr_expect_str_eq(fault.message, "1048577 bytes, at most 1048576");
    buf_fini(&text);
}

#define A "{\"id\":\"a\","
#define T "{\"id\":\"a\",\"text\":\"x\","
#define BOTH_ENDS                                                           \
    "must be one of /v1/chat/completions, /v1/responses, /v1/completions, " \
    "/v1/embeddings"

Test(line, wrong_fields_are_named, .init = set_up, .fini = tear_down)
{
    static const struct bad cases[] = {
        { "{}", "missing_field", "id", "is missing" },
        { "{\"text\":\"x\"}", "missing_field", "id", "is missing" },
        { A "\"goal\":\"g\"}", "missing_field", "text",
          "neither text nor messages is there" },
        { T "\"messages\":[{\"role\":\"user\"}]}", "both_text_and_messages",
          "messages", "a draft has text or messages, not both" },
        { T "\"custom_id\":\"a\"}", "duplicate_key", "custom_id",
          "stands beside id, and means the same" },
        { "{\"id\":7,\"text\":\"x\"}", "wrong_type", "id", "must be a string" },
        { "{\"custom_id\":null,\"text\":\"x\"}", "wrong_type", "custom_id",
          "must be a string" },
        { "{\"id\":\"\",\"text\":\"x\"}", "out_of_range", "id",
          "must have 1 to 512 bytes" },
        { "{\"custom_id\":\"\",\"text\":\"x\"}", "out_of_range", "custom_id",
          "must have 1 to 512 bytes" },
        { A "\"text\":null}", "wrong_type", "text", "must be a string" },
        { A "\"text\":[\"x\"]}", "wrong_type", "text", "must be a string" },
        { A "\"messages\":\"x\"}", "wrong_type", "messages",
          "must be an array with at least one message" },
        { A "\"messages\":[]}", "wrong_type", "messages",
          "must be an array with at least one message" },
        { A "\"messages\":[7]}", "wrong_type", "messages",
          "must be an array of objects" },
        { A "\"messages\":[{\"content\":\"x\"}]}", "missing_field",
          "messages.role", "each message needs a role" },
        { A "\"messages\":[{\"role\":\"user\"},{\"role\":7}]}", "missing_field",
          "messages.role", "each message needs a role" },
        { T "\"goal\":7}", "wrong_type", "goal", "must be a string" },
        { T "\"constraints\":\"x\"}", "wrong_type", "constraints",
          "must be an array of strings" },
        { T "\"constraints\":[\"x\",7]}", "wrong_type", "constraints",
          "must be an array of strings" },
        { T "\"system\":{}}", "wrong_type", "system", "must be a string" },
        { T "\"model\":7}", "wrong_type", "model", "must be a string" },
        { T "\"temperature\":\"1\"}", "wrong_type", "temperature",
          "must be a number" },
        { T "\"temperature\":-0.1}", "out_of_range", "temperature",
          "must be from 0 to 2" },
        { T "\"temperature\":2.001}", "out_of_range", "temperature",
          "must be from 0 to 2" },
        { T "\"temperature\":1e999}", "out_of_range", "temperature",
          "must be from 0 to 2" },
        { T "\"top_p\":1.01}", "out_of_range", "top_p", "must be from 0 to 1" },
        { T "\"top_p\":true}", "wrong_type", "top_p", "must be a number" },
        { T "\"max_tokens\":0}", "out_of_range", "max_tokens",
          "must be an integer from 1 to 1000000000" },
        { T "\"max_tokens\":1000000001}", "out_of_range", "max_tokens",
          "must be an integer from 1 to 1000000000" },
        { T "\"max_tokens\":1.5}", "out_of_range", "max_tokens",
          "must be an integer from 1 to 1000000000" },
        { T "\"max_tokens\":1e3}", "out_of_range", "max_tokens",
          "must be an integer from 1 to 1000000000" },
        { T "\"max_tokens\":99999999999999999999}", "out_of_range",
          "max_tokens", "must be an integer from 1 to 1000000000" },
        { T "\"max_tokens\":\"10\"}", "wrong_type", "max_tokens",
          "must be an integer" },
        { T "\"stop\":7}", "wrong_type", "stop",
          "must be a string or an array of strings" },
        { T "\"stop\":[null]}", "wrong_type", "stop",
          "must be an array of strings" },
        { T "\"stop\":[\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\","
            "\"\",\"\",\"\",\"\",\"\",\"\"]}",
          "out_of_range", "stop", "has 17 elements, at most 16" },
        { T "\"seed\":0.5}", "out_of_range", "seed",
          "must be an integer from -9007199254740992 to 9007199254740992" },
        { T "\"seed\":9007199254740993}", "out_of_range", "seed",
          "must be an integer from -9007199254740992 to 9007199254740992" },
        { T "\"seed\":[]}", "wrong_type", "seed", "must be an integer" },
        { T "\"response_format\":\"json\"}", "wrong_type", "response_format",
          "must be an object" },
        { T "\"sample_index\":-1}", "out_of_range", "sample_index",
          "must be an integer from 0 to 9007199254740992" },
        { T "\"sample_index\":{}}", "wrong_type", "sample_index",
          "must be an integer" },
        { T "\"upstream\":7}", "wrong_type", "upstream", "must be a string" },
        { T "\"upstream\":\"\"}", "unknown_upstream", "upstream",
          "no upstream \"\" is configured" },
        { T "\"upstream\":\"three\"}", "unknown_upstream", "upstream",
          "no upstream \"three\" is configured" },
        { T "\"metadata\":[]}", "wrong_type", "metadata", "must be an object" },
        { T "\"extra\":\"x\"}", "wrong_type", "extra", "must be an object" },
        { T "\"extra\":{\"n\":1,\"model\":\"x\"}}", "unknown_field", "extra",
          "may not hold model, which has a field of its own" },
        { T "\"extra\":{\"\\u006dessages\":[]}}", "unknown_field", "extra",
          "may not hold messages, which has a field of its own" },
        { T "\"extra\":{\"stream\":false}}", "unknown_field", "extra",
          "may not hold stream, which has a field of its own" },
        { T "\"prompt\":\"x\"}", "unknown_field", "prompt",
          "is no field of a draft" },
        { T "\"Text\":\"x\"}", "unknown_field", "Text",
          "is no field of a draft" },
        { T "\"\":\"x\"}", "unknown_field", "", "is no field of a draft" },
        { T "\"an unreasonably long name, of which a part is enough\":1}",
          "unknown_field", "an unreasonably long name, of which a part is en",
          "is no field of a draft" },
    };

    EXPECT_REFUSED(cases, false);
}

#define B    "{\"custom_id\":\"a\","
#define URL  "\"url\":\"/v1/chat/completions\","
#define POST "\"method\":\"POST\","

Test(line, wrong_batch_lines_are_refused, .init = set_up, .fini = tear_down)
{
    static const char missing[] =
        "is missing; a batch line has custom_id, method, url and body";
    static const struct bad cases[] = {
        { B URL "\"body\":{}}", "missing_field", "method", missing },
        { B POST "\"body\":{}}", "missing_field", "url", missing },
        { B POST "\"url\":\"/v1/chat/completions\"}", "missing_field", "body",
          missing },
        { "{" POST URL "\"body\":{}}", "missing_field", "id", "is missing" },
        { B "\"method\":\"GET\"," URL "\"body\":{}}", "bad_url", "method",
          "must be \"POST\"" },
        { B "\"method\":null," URL "\"body\":{}}", "bad_url", "method",
          "must be \"POST\"" },
        { B POST "\"url\":\"/v1/models\",\"body\":{}}", "bad_url", "url",
          BOTH_ENDS },
        { B POST "\"url\":\"https://api.openai.com/v1/chat/completions\","
                 "\"body\":{}}",
          "bad_url", "url", BOTH_ENDS },
        { B POST "\"url\":7,\"body\":{}}", "bad_url", "url", BOTH_ENDS },
        { B POST URL "\"body\":[]}", "wrong_type", "body",
          "must be an object" },
        { B POST URL "\"body\":{\"stream\":true}}", "stream", "body.stream",
          "streaming makes no sense in a batch; leave it out" },
        { B POST URL "\"text\":\"x\",\"body\":{}}", "unknown_field", "text",
          "does not go beside body; put it into body" },
        { B POST URL "\"body\":{},\"model\":\"x\"}", "unknown_field", "model",
          "does not go beside body; put it into body" },
        { B POST URL "\"body\":{},\"extra\":{}}", "unknown_field", "extra",
          "does not go beside body; put it into body" },
    };

    EXPECT_REFUSED(cases, false);
}

Test(line, options_hold_only_options, .init = set_up, .fini = tear_down)
{
    static const struct bad cases[] = {
        { "[]", "not_object", "", "a draft is a JSON object" },
        { "{\"id\":\"a\"}", "unknown_field", "id", "is no option of a batch" },
        { "{\"text\":\"a\"}", "unknown_field", "text",
          "is no option of a batch" },
        { "{\"messages\":[]}", "unknown_field", "messages",
          "is no option of a batch" },
        { "{\"metadata\":{}}", "unknown_field", "metadata",
          "is no option of a batch" },
        { "{\"sample_index\":0}", "unknown_field", "sample_index",
          "is no option of a batch" },
        { "{\"body\":{}}", "unknown_field", "body", "is no option of a batch" },
        { "{\"verbosity\":1}", "unknown_field", "verbosity",
          "is no field of a draft" },
        { "{\"temperature\":3}", "out_of_range", "temperature",
          "must be from 0 to 2" },
        { "{\"goal\":\"a\",\"goal\":\"b\"}", "duplicate_key", "",
          "byte 13: the key \"goal\" stands twice" },
    };

    EXPECT_REFUSED(cases, true);
    cr_expect_eq(line_read_options(&line, &conf, slice_of(""), &fault), 0);
    cr_expect_eq(line_read_options(&line, &conf, slice_of(" { } "), &fault), 0);
    cr_expect_eq(
        line_read_options(
            &line, &conf,
            slice_of("{\"goal\":\"\",\"constraints\":[],\"system\":\"s\","
                     "\"model\":\"m\",\"temperature\":0,\"top_p\":1,"
                     "\"max_tokens\":1,\"stop\":\"x\",\"seed\":-1,"
                     "\"response_format\":{},\"upstream\":\"one\","
                     "\"extra\":{\"n\":2}}"),
            &fault),
        0);
}

/* ---- what is read ---- */

Test(line, good_lines_of_every_form_are_read, .init = set_up, .fini = tear_down)
{
    static const struct {
        const char *text, *id;
        bool is_batch_line;
    } cases[] = {
        { "{\"id\":\"a\",\"text\":\"x\"}", "a", false },
        { "{\"custom_id\":\"a\",\"text\":\"\"}", "a", false },
        { "\t { \"text\" : \"x\" , \"id\" : \"\\u00fc\\n\" } \r", "\u00fc\n",
          false },
        { "{\"\\u0069d\":\"a\",\"te\\u0078t\":\"\\ud83d\\ude00\"}", "a",
          false },
        { "{\"id\":\"a\",\"messages\":[{\"role\":\"user\",\"content\":null}]}",
          "a", false },
        { "{\"id\":\"a\",\"text\":\"x\",\"goal\":\"g\",\"constraints\":[\"c\"],"
          "\"system\":\"s\",\"model\":\"m\",\"temperature\":2.0,\"top_p\":0,"
          "\"max_tokens\":1000000000,\"stop\":[],\"seed\":-9007199254740992,"
          "\"response_format\":{\"type\":\"json_object\"},"
          "\"sample_index\":9007199254740992,\"upstream\":\"local\","
          "\"metadata\":{\"a\":[1,{}]},\"extra\":{\"logit_bias\":{\"1\":2}}}",
          "a", false },
        { "{\"custom_id\":\"r-1\",\"method\":\"POST\",\"url\":"
          "\"/v1/chat/completions\",\"body\":{\"model\":\"m\"}}",
          "r-1", true },
        { "{\"id\":\"r\",\"body\":{\"stream\":false},\"url\":"
          "\"/v1/embeddings\",\"method\":\"\\u0050OST\",\"metadata\":{},"
          "\"sample_index\":0,\"upstream\":\"one\"}",
          "r", true },
        { "{\"id\":\"r\",\"body\":{},\"url\":\"/v1/responses\",\"method\":"
          "\"POST\"}",
          "r", true },
        { "{\"id\":\"r\",\"body\":{},\"url\":\"/v1/completions\",\"method\":"
          "\"POST\"}",
          "r", true },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int rc = line_read(&line, &conf, slice_of(cases[i].text), &fault);

        cr_assert_eq(rc, 0, "%s: %s %s", cases[i].text, fault.field,
                     fault.message);
        cr_expect_str_eq(line.id.data, cases[i].id);
        cr_expect_eq(line.is_batch_line, cases[i].is_batch_line);
    }
}

Test(line, an_id_has_as_many_bytes_as_are_allowed, .init = set_up,
     .fini = tear_down)
{
    struct buf text = { 0 };

    for (int escaped = 0; escaped < 2; escaped++) {
        buf_reset(&text);
        buf_add_str(&text, "{\"text\":\"x\",\"id\":\"");
        /* What counts is the id, not its spelling. */
        for (int64_t i = 0; i < conf.id_bytes_max / 2; i++)
            buf_add_str(&text, escaped ? "\\u00fc" : "\u00fc");
        buf_add_str(&text, "\"}");
        cr_expect_eq(line_read(&line, &conf, buf_slice(&text), &fault), 0);
        cr_expect_eq(line.id.bytes, (size_t)conf.id_bytes_max);
        text.bytes -= 2;
        buf_add_str(&text, "x\"}");
        cr_expect_eq(line_read(&line, &conf, buf_slice(&text), &fault),
                     E_INVALID);
        cr_expect_str_eq(fault.code, "out_of_range");
    }
    buf_fini(&text);
}

Test(line, a_draft_beats_the_options, .init = set_up, .fini = tear_down)
{
    struct line options = { 0 };
    struct slice token;

    cr_assert_eq(line_read_options(
                     &options, &conf,
                     slice_of("{\"goal\":\"of all\",\"model\":\"m\"}"), &fault),
                 0);
    cr_assert_eq(line_read(&line, &conf,
                           slice_of("{\"id\":\"a\",\"text\":\"x\",\"goal\":"
                                    "\"\\u006fwn\"}"),
                           &fault),
                 0);
    cr_expect(
        slice_is(line_field(&line, &options, LINE_GOAL), "\"\\u006fwn\""));
    cr_expect(slice_is(line_field(&line, &options, LINE_MODEL), "\"m\""));
    token = line_field(&line, &options, LINE_SYSTEM);
    cr_expect_eq(token.bytes, 0);
    line_fini(&options);
}

/* As many values as there may be: read or refused, and never a crash later. */
Test(line, a_line_may_hold_very_many_values, .init = set_up, .fini = tear_down)
{
    static const size_t counts[] = { 1000,   262000, 262130, 262138, 262139,
                                     262140, 262144, 262145, 300000 };
    struct prompt prompt = { 0 };
    struct line options = { 0 };
    struct buf text = { 0 };
    int read = 0, made = 0;

    conf.line_bytes_max = 4194304;
    cr_assert_eq(line_read_options(&options, &conf,
                                   slice_of("{\"system\":\"s\",\"stop\":\"x\","
                                            "\"seed\":1,\"top_p\":1}"),
                                   &fault),
                 0);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        int rc;

        buf_reset(&text);
        buf_add_str(&text, "{\"id\":\"a\",\"text\":\"x\",\"extra\":{\"k\":[0");
        for (size_t j = 1; j < counts[i]; j++)
            buf_add_str(&text, ",0");
        buf_add_str(&text, "]}}");
        rc = line_read(&line, &conf, buf_slice(&text), &fault);
        if (rc < 0) {
            cr_expect_str_eq(fault.code, "too_long");
            continue;
        }
        read++;
        rc = prompt_make(&prompt, &line, &options, &conf, &fault);
        if (rc < 0)
            cr_expect_str_eq(fault.code, "too_long");
        made += rc == 0;
    }
    cr_expect_geq(read, 3);
    cr_expect_geq(made, 2);
    cr_expect_lt(made, read, "composing adds values");
    cr_expect_lt(read, 9);
    prompt_fini(&prompt);
    line_fini(&options);
    buf_fini(&text);
}
