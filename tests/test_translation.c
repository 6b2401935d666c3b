/* SPDX-License-Identifier: MIT */
#include "worker/translation.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/json.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A chat completion of model `m`, with more members behind its messages. */
#define CHAT(more)                                                            \
    "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"S\"}," \
    "{\"role\":\"user\",\"content\":\"U\"}]" more "}"
#define TALK(messages) "{\"model\":\"m\",\"messages\":[" messages "]}"

struct row {
    const char *dialect, *body;
    const char *want; /* NULL: `reason` is in the error */
    const char *reason;
};

#define RESPONSES_IN                                          \
    "\"input\":[{\"role\":\"system\",\"content\":[{\"type\":" \
    "\"input_text\",\"text\":\"S\"}]},{\"role\":\"user\","    \
    "\"content\":[{\"type\":\"input_text\",\"text\":\"U\"}]}]"
#define ANTHROPIC_IN                                                   \
    "\"system\":\"S\",\"messages\":[{\"role\":\"user\",\"content\":[{" \
    "\"type\":"                                                        \
    "\"text\",\"text\":\"U\"}]}]"
#define GEMINI_IN                                           \
    "\"systemInstruction\":{\"parts\":[{\"text\":\"S\"}]}," \
    "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"U\"}]}]"
#define PLAIN_IN                                              \
    "\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{" \
    "\"role\":\"user\",\"content\":\"U\"}]"

/* clang-format off */
static const struct row rows[] = {
    /* what each dialect makes of the common members */
    { "responses",
      CHAT(",\"temperature\":0.70,\"top_p\":1e0,\"max_tokens\":5,"
           "\"reasoning_effort\":\"low\",\"verbosity\":\"high\","
           "\"service_tier\":\"flex\""),
      "{\"model\":\"m\"," RESPONSES_IN ",\"temperature\":0.70,\"top_p\":1e0,"
      "\"max_output_tokens\":5,\"service_tier\":\"flex\",\"reasoning\":{"
      "\"effort\":\"low\"},\"text\":{\"verbosity\":\"high\"},"
      "\"store\":false}", NULL },
    { "responses", CHAT(",\"store\":true"),
      "{\"model\":\"m\"," RESPONSES_IN ",\"store\":true}", NULL },
    { "anthropic",
      CHAT(",\"temperature\":0.70,\"top_p\":1.0,\"max_tokens\":5,"
           "\"stop\":\"\\u003c\",\"user\":\"u\",\"top_k\":40"),
      "{\"model\":\"m\"," ANTHROPIC_IN ",\"temperature\":0.70,\"top_p\":1.0,"
      "\"max_tokens\":5,\"stop_sequences\":[\"\\u003c\"],\"top_k\":40}",
      NULL },
    { "anthropic", CHAT(",\"stop\":[\"a\",\"b\"],\"max_tokens\":null"),
      "{\"model\":\"m\"," ANTHROPIC_IN ",\"stop_sequences\":[\"a\",\"b\"],"
      "\"max_tokens\":4096}", NULL },
    { "anthropic", CHAT(",\"max_completion_tokens\":9"),
      "{\"model\":\"m\"," ANTHROPIC_IN ",\"max_tokens\":9}", NULL },
    { "gemini",
      CHAT(",\"temperature\":0.70,\"top_p\":0.5,\"max_tokens\":5,"
           "\"stop\":\"x\",\"seed\":-0,\"frequency_penalty\":1,"
           "\"presence_penalty\":2"),
      "{" GEMINI_IN ",\"generationConfig\":{\"temperature\":0.70,"
      "\"topP\":0.5,\"maxOutputTokens\":5,\"stopSequences\":[\"x\"],"
      "\"seed\":-0,\"frequencyPenalty\":1,\"presencePenalty\":2}}", NULL },
    { "gemini", CHAT(""), "{" GEMINI_IN "}", NULL },
    { "ollama",
      CHAT(",\"temperature\":0.70,\"top_p\":0.5,\"max_tokens\":5,"
           "\"stop\":\"x\",\"seed\":7"),
      "{\"model\":\"m\"," PLAIN_IN ",\"options\":{\"temperature\":0.70,"
      "\"top_p\":0.5,\"num_predict\":5,\"stop\":[\"x\"],\"seed\":7},"
      "\"stream\":false}", NULL },
    { "ollama", CHAT(",\"stream\":false"),
      "{\"model\":\"m\"," PLAIN_IN ",\"stream\":false}", NULL },
    { "salesforce", CHAT(",\"user\":\"u\",\"n\":1"), "{" PLAIN_IN "}", NULL },
    /* messages */
    { "anthropic",
      TALK("{\"role\":\"system\",\"content\":\"a\"},{\"role\":\"developer\","
           "\"content\":[{\"type\":\"text\",\"text\":\"b\"}]},{\"role\":"
           "\"user\",\"content\":\"c\"},{\"role\":\"assistant\",\"content\":"
           "\"d\",\"tool_calls\":null}"),
      "{\"model\":\"m\",\"system\":\"a\\n\\nb\",\"messages\":[{\"role\":\"user\","
      "\"content\":[{\"type\":\"text\",\"text\":\"c\"}]},{\"role\":"
      "\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"d\"}]}],"
      "\"max_tokens\":4096}", NULL },
    { "gemini",
      TALK("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":"
           "\"a\\n\"},{\"text\":\"\xc3\xa9\",\"type\":\"text\"}]},{\"role\":"
           "\"assistant\",\"content\":\"b\"}"),
      "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a\\n\"},{"
      "\"text\":\"\xc3\xa9\"}]},{\"role\":\"model\",\"parts\":[{\"text\":"
      "\"b\"}]}]}", NULL },
    { "ollama",
      TALK("{\"role\":\"developer\",\"content\":\"s\"},{\"role\":\"user\","
           "\"content\":[{\"type\":\"text\",\"text\":\"a\\n\"},{\"type\":"
           "\"text\",\"text\":\"b\"}]}"),
      "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},"
      "{\"role\":\"user\",\"content\":\"a\\nb\"}],\"stream\":false}", NULL },
    { "responses", TALK("{\"role\":\"assistant\",\"content\":\"b\"}"),
      "{\"model\":\"m\",\"input\":[{\"role\":\"assistant\",\"content\":[{"
      "\"type\":\"output_text\",\"text\":\"b\"}]}],\"store\":false}", NULL },
    { "gemini",
      TALK("{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"system\","
           "\"content\":\"b\"}"), NULL, "a system message behind others" },
    { "ollama",
      TALK("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\","
           "\"image_url\":{\"url\":\"u\"}}]}"),
      NULL, "a part of type image_url" },
    { "gemini",
      TALK("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":"
           "\"a\",\"cache_control\":{}}]}"),
      NULL, "a part's member cache_control" },
    { "anthropic", TALK("{\"role\":\"tool\",\"content\":\"a\"}"), NULL,
      "a message of role tool" },
    { "anthropic",
      TALK("{\"role\":\"user\",\"content\":\"a\",\"name\":\"b\"}"), NULL,
      "a message's member name" },
    { "anthropic", TALK("{\"role\":\"assistant\",\"content\":null}"), NULL,
      "a message without content" },
    { "anthropic", TALK("7"), NULL, "a message that is no object" },
    { "ollama", "{\"model\":\"m\"}", NULL, "no array of messages" },
    { "ollama", "[]", NULL, "not an object" },
    { "ollama", "{", NULL, "byte 2" },
    /* response_format */
    { "responses", CHAT(",\"response_format\":{\"type\":\"json_schema\","
                        "\"json_schema\":{\"name\":\"n\",\"strict\":true,"
                        "\"schema\":{\"a\":1}}}"),
      "{\"model\":\"m\"," RESPONSES_IN ",\"text\":{\"format\":{\"type\":"
      "\"json_schema\",\"name\":\"n\",\"strict\":true,\"schema\":{\"a\":1}}},"
      "\"store\":false}", NULL },
    { "anthropic", CHAT(",\"response_format\":{\"type\":\"json_schema\","
                        "\"json_schema\":{\"name\":\"n\",\"schema\":{}}}"),
      "{\"model\":\"m\"," ANTHROPIC_IN ",\"output_config\":{\"format\":{"
      "\"type\":\"json_schema\",\"schema\":{}}},\"max_tokens\":4096}", NULL },
    { "anthropic", CHAT(",\"response_format\":{\"type\":\"json_object\"}"),
      NULL, "response_format" },
    { "gemini", CHAT(",\"response_format\":{\"type\":\"json_object\"}"),
      "{" GEMINI_IN ",\"generationConfig\":{\"responseMimeType\":"
      "\"application/json\"}}", NULL },
    { "gemini", CHAT(",\"response_format\":{\"type\":\"json_schema\","
                     "\"json_schema\":{\"schema\":{\"b\":2}}}"),
      "{" GEMINI_IN ",\"generationConfig\":{\"responseMimeType\":"
      "\"application/json\",\"responseJsonSchema\":{\"b\":2}}}", NULL },
    { "ollama", CHAT(",\"response_format\":{\"type\":\"json_object\"}"),
      "{\"model\":\"m\"," PLAIN_IN ",\"format\":\"json\",\"stream\":false}",
      NULL },
    { "ollama", CHAT(",\"response_format\":{\"type\":\"json_schema\","
                     "\"json_schema\":{\"schema\":{\"b\":2}}}"),
      "{\"model\":\"m\"," PLAIN_IN ",\"format\":{\"b\":2},\"stream\":false}",
      NULL },
    { "ollama", CHAT(",\"response_format\":{\"type\":\"json_schema\"}"), NULL,
      "response_format" },
    { "salesforce", CHAT(",\"response_format\":{\"type\":\"text\"}"),
      "{" PLAIN_IN "}", NULL },
    { "salesforce", CHAT(",\"response_format\":{\"type\":\"json_object\"}"),
      NULL, "response_format" },
    /* the dialect's own members, from `extra` */
    { "gemini", CHAT(",\"temperature\":1,\"safetySettings\":[],"
                     "\"generationConfig\":{\"topK\":5}"),
      "{" GEMINI_IN ",\"safetySettings\":[],\"generationConfig\":{"
      "\"temperature\":1,\"topK\":5}}", NULL },
    { "ollama", CHAT(",\"options\":{\"num_ctx\":8192},\"keep_alive\":-1"),
      "{\"model\":\"m\"," PLAIN_IN ",\"keep_alive\":-1,\"options\":{"
      "\"num_ctx\":8192},\"stream\":false}", NULL },
    { "ollama", CHAT(",\"temperature\":1,\"options\":{\"temperature\":2}"),
      NULL, "the body would be wrong" },
    { "anthropic", CHAT(",\"max_tokens\":1,\"max_completion_tokens\":2"),
      NULL, "the body would be wrong" },
    { "anthropic", CHAT(",\"system\":\"x\""), NULL, "the body would be wrong" },
    /* what asks for nothing is no reason to refuse */
    { "salesforce",
      CHAT(",\"n\":1,\"stream\":false,\"tools\":[],\"logprobs\":false,"
           "\"seed\":null,\"frequency_penalty\":0.0,\"presence_penalty\":0,"
           "\"logit_bias\":{},\"tool_choice\":\"none\",\"top_p\":1.0,"
           "\"modalities\":[\"text\"],\"metadata\":{\"a\":\"b\"}"),
      "{" PLAIN_IN "}", NULL },
    { "anthropic", CHAT(",\"n\":2"), NULL, "n: has no place in the dialect "
      "anthropic" },
    { "gemini", CHAT(",\"tools\":[{}]"), NULL, "tools: has no place" },
    { "anthropic", CHAT(",\"seed\":0"), NULL, "seed: has no place" },
    { "responses", CHAT(",\"stop\":\"x\""), NULL, "stop: has no place" },
    { "salesforce", CHAT(",\"temperature\":0"), NULL,
      "temperature: has no place" },
    { "ollama", CHAT(",\"\\u006e\":3"), NULL, "has no place" },
};
/* clang-format on */

static int
translate(const char *dialect, const char *body, const char *model,
          struct buf *path, struct buf *out, struct err *err)
{
    const struct translation_order order = {
        .dialect = dialect_find(dialect),
        .path = dialect_find(dialect)->path,
        .model = model,
        .body = slice_of(body),
    };

    return translation_make(&order, path, out, err);
}

static void
check(const struct row *row)
{
    struct buf path = { 0 }, out = { 0 };
    struct json_doc doc = { 0 };
    struct err err = { 0 };
    int rc = translate(row->dialect, row->body, "", &path, &out, &err);

    if (!row->want) {
        cr_expect_eq(rc, E_INVALID, "%s %s", row->dialect, row->body);
        cr_expect_not_null(strstr(err.msg, row->reason), "%s %s: got %s",
                           row->dialect, row->body, err.msg);
    } else {
        cr_assert_eq(rc, 0, "%s %s: %s", row->dialect, row->body, err.msg);
        cr_expect_str_eq(out.data, row->want, "%s %s:\n got  %s\n want %s",
                         row->dialect, row->body, out.data, row->want);
        cr_expect_eq(json_parse(&doc, out.data, out.bytes, JSON_INPUT, NULL),
                     0);
    }
    json_fini(&doc);
    buf_fini(&path);
    buf_fini(&out);
}

Test(translation, puts_chat_completions_into_the_words_of_each_dialect)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        check(&rows[i]);
}

Test(translation, knows_every_dialect_that_is_not_openais)
{
    const struct dialect *dialect;

    for (size_t i = 0; (dialect = dialect_at(i)); i++) {
        struct buf path = { 0 }, out = { 0 };

        cr_expect_eq(translate(dialect->name, CHAT(""), "", &path, &out, NULL),
                     0, "%s", dialect->name);
        cr_expect_eq(out.bytes == 0, dialect->is_openai, "%s", dialect->name);
        cr_expect_eq(path.data[0], '/', "%s", dialect->name);
        cr_expect_null(strstr(path.data, DIALECT_MODEL), "%s", path.data);
        buf_fini(&path);
        buf_fini(&out);
    }
}

Test(translation, puts_the_model_where_the_dialect_has_it)
{
    static const struct {
        const char *dialect, *body, *model, *path, *part;
    } cases[] = {
        { "openai", "{\"a\":1}", "", "/chat/completions", NULL },
        { "openai", "{\"a\":01}", "", "/chat/completions", NULL },
        { "openai", "{\"model\":\"m\",\"a\": 1.0}", "big \"one\"",
          "/chat/completions", "{\"model\":\"big \\\"one\\\"\",\"a\":1.0}" },
        { "openai", "{}", "x", "/chat/completions", "{\"model\":\"x\"}" },
        { "azure", "{\"model\":\"a/b c\"}", "",
          "/deployments/a%2Fb%20c/chat/completions?api-version={api_version}",
          NULL },
        { "azure", "{\"model\":\"a\"}", "d-1",
          "/deployments/d-1/chat/completions?api-version={api_version}",
          "{\"model\":\"d-1\"}" },
        { "anthropic", CHAT(""), "c", "/messages", "{\"model\":\"c\"," },
        { "gemini", CHAT(""), "", "/models/m:generateContent",
          "{\"systemInstruction\"" },
        { "gemini", CHAT(""), "../\xc3\xa9?",
          "/models/..%2F%C3%A9%3F:"
          "generateContent",
          "{\"system" },
        { "salesforce", CHAT(""), "", "/models/m/chat-generations",
          "{\"messages\":" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf path = { 0 }, out = { 0 };
        struct err err = { 0 };

        cr_assert_eq(translate(cases[i].dialect, cases[i].body, cases[i].model,
                               &path, &out, &err),
                     0, "%s: %s", cases[i].body, err.msg);
        cr_expect_str_eq(path.data, cases[i].path, "got %s", path.data);
        if (cases[i].part)
            cr_expect_eq(
                strncmp(out.data, cases[i].part, strlen(cases[i].part)), 0,
                "got %s, want %s", out.data, cases[i].part);
        else
            cr_expect_eq(out.bytes, 0, "%s", cases[i].body);
        buf_fini(&path);
        buf_fini(&out);
    }
}

Test(translation, asks_for_a_model_if_the_path_has_one)
{
    static const char *const bodies[] = { "{}", "{\"model\":\"\"}",
                                          "{\"model\":7}" };

    for (size_t i = 0; i < COUNT(bodies); i++) {
        struct buf path = { 0 }, out = { 0 };
        struct err err = { 0 };

        cr_expect_eq(translate("azure", bodies[i], "", &path, &out, &err),
                     E_INVALID);
        cr_expect_not_null(strstr(err.msg, "names no model"), "%s", err.msg);
        buf_fini(&path);
        buf_fini(&out);
    }
}

Test(translation, gives_the_upstreams_limit_where_one_must_be_given)
{
    const struct translation_order order = {
        .dialect = dialect_find("anthropic"),
        .path = "/messages",
        .model = "",
        .body = slice_of(CHAT("")),
        .max_tokens = 77,
    };
    struct buf path = { 0 }, out = { 0 };

    cr_assert_eq(translation_make(&order, &path, &out, NULL), 0);
    cr_expect_not_null(strstr(out.data, ",\"max_tokens\":77}"));
    buf_fini(&path);
    buf_fini(&out);
}
