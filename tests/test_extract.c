/* SPDX-License-Identifier: MIT */
#include "worker/extract.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/dialect.h"
#include "queue/core.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct row {
    const char *reply;
    const char *shape;
    const char *text; /* decoded; NULL: none */
    bool is_span;
    enum extract_finish finish;
    const char *finish_word;
    const char *model;
    int64_t tokens[3];
};

/* clang-format off */
#define UNTOLD { EXTRACT_UNTOLD, EXTRACT_UNTOLD, EXTRACT_UNTOLD }
static const struct row rows[] = {
    { "{\"model\":\"m\",\"choices\":[{\"message\":{\"role\":\"assistant\","
      "\"content\":\"Hello\"},\"finish_reason\":\"stop\"}],\"usage\":{"
      "\"prompt_tokens\":22,\"completion_tokens\":2,\"total_tokens\":24}}",
      "chat", "Hello", true, EXTRACT_WHOLE, "stop", "m", { 22, 2, 24 } },
    { "{\"choices\":[{\"message\":{\"content\":[{\"type\":\"text\",\"text\":"
      "\"a\\n\"},{\"type\":\"image_url\",\"text\":\"no\"},{\"type\":\"text\","
      "\"text\":\"b\"}]},\"finish_reason\":\"length\"}]}",
      "chat", "a\nb", false, EXTRACT_CUT_OFF, "length", "", UNTOLD },
    { "{\"choices\":[{\"message\":{\"content\":[{\"type\":\"text\",\"text\":"
      "\"one\"}]},\"finish_reason\":\"stop\"}]}",
      "chat", "one", true, EXTRACT_WHOLE, "stop", "", UNTOLD },
    { "{\"choices\":[{\"message\":{\"content\":null,\"refusal\":\"I can't\"},"
      "\"finish_reason\":\"stop\"}]}",
      "chat", NULL, false, EXTRACT_REFUSED, "stop", "", UNTOLD },
    { "{\"choices\":[{\"message\":{\"content\":\"x\",\"refusal\":null},"
      "\"finish_reason\":\"stop\"}]}",
      "chat", "x", true, EXTRACT_WHOLE, "stop", "", UNTOLD },
    { "{\"choices\":[{\"message\":{\"content\":null,\"tool_calls\":[{}]},"
      "\"finish_reason\":\"tool_calls\"}]}",
      "chat", NULL, false, EXTRACT_WHOLE, "tool_calls", "", UNTOLD },
    { "{\"choices\":[{\"message\":{\"content\":\"\"},"
      "\"finish_reason\":\"content_filter\"}]}",
      "chat", NULL, false, EXTRACT_REFUSED, "content_filter", "", UNTOLD },
    { "{\"choices\":[{\"message\":{\"content\":\"a\\ud800b\\u00e9\"},"
      "\"finish_reason\":null}]}",
      "chat", "a\xef\xbf\xbd" "b\xc3\xa9", false, EXTRACT_WHOLE, "", "",
      UNTOLD },
    { "{\"choices\":[{\"message\":{\"content\":\"\\ud83d\\ude00\"}}],"
      "\"usage\":{\"prompt_tokens\":1.5,\"completion_tokens\":-3,"
      "\"total_tokens\":99999999999999999999}}",
      "chat", "\xf0\x9f\x98\x80", true, EXTRACT_WHOLE, "", "", UNTOLD },
    { "{\"choices\":[{\"text\":\"Hi\",\"finish_reason\":\"length\"}],"
      "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}",
      "completions", "Hi", true, EXTRACT_CUT_OFF, "length", "", { 3, 4, 7 } },
    { "{\"object\":\"response\",\"error\":null,\"status\":\"completed\","
      "\"output\":[{\"type\":\"reasoning\",\"content\":[]},{\"type\":"
      "\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"A\"},"
      "{\"type\":\"output_text\",\"text\":\"B\"}]},{\"type\":\"message\","
      "\"content\":[{\"type\":\"output_text\",\"text\":\"C\"}]}],\"usage\":{"
      "\"input_tokens\":5,\"output_tokens\":6,\"total_tokens\":11}}",
      "responses", "ABC", false, EXTRACT_WHOLE, "completed", "",
      { 5, 6, 11 } },
    { "{\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":"
      "\"max_output_tokens\"},\"output\":[]}",
      "responses", NULL, false, EXTRACT_CUT_OFF, "max_output_tokens", "",
      UNTOLD },
    { "{\"status\":\"incomplete\",\"output\":[{\"type\":\"message\",\"content\":"
      "[{\"type\":\"output_text\",\"text\":\"A\"}]}]}",
      "responses", "A", true, EXTRACT_CUT_OFF, "incomplete", "", UNTOLD },
    { "{\"status\":\"completed\",\"output\":[{\"type\":\"message\",\"content\":"
      "[{\"type\":\"refusal\",\"refusal\":\"no\"}]}]}",
      "responses", NULL, false, EXTRACT_REFUSED, "completed", "", UNTOLD },
    { "{\"type\":\"message\",\"model\":\"c\",\"content\":[{\"type\":"
      "\"thinking\",\"thinking\":\"hm\"},{\"type\":\"text\",\"text\":\"T\"},"
      "{\"type\":\"tool_use\"}],\"stop_reason\":\"max_tokens\",\"usage\":{"
      "\"input_tokens\":1,\"cache_creation_input_tokens\":2,"
      "\"cache_read_input_tokens\":3,\"output_tokens\":4}}",
      "anthropic", "T", true, EXTRACT_CUT_OFF, "max_tokens", "c",
      { 6, 4, 10 } },
    { "{\"candidates\":[{\"content\":{\"parts\":[{\"thought\":true,\"text\":"
      "\"no\"},{\"text\":\"G1\"},{\"text\":\"G2\"}]},\"finishReason\":"
      "\"MAX_TOKENS\"}],\"modelVersion\":\"g\",\"usageMetadata\":{"
      "\"promptTokenCount\":1,\"candidatesTokenCount\":2,"
      "\"thoughtsTokenCount\":3,\"totalTokenCount\":6}}",
      "gemini", "G1G2", false, EXTRACT_CUT_OFF, "MAX_TOKENS", "g",
      { 1, 5, 6 } },
    { "{\"candidates\":[{\"finishReason\":\"SAFETY\"}]}",
      "gemini", NULL, false, EXTRACT_REFUSED, "SAFETY", "", UNTOLD },
    { "{\"promptFeedback\":{\"blockReason\":\"OTHER\"}}",
      "gemini_blocked", NULL, false, EXTRACT_REFUSED, "OTHER", "", UNTOLD },
    { "{\"model\":\"o\",\"message\":{\"content\":\"O\",\"thinking\":\"t\"},"
      "\"done_reason\":\"stop\",\"prompt_eval_count\":7,\"eval_count\":8}",
      "ollama_chat", "O", true, EXTRACT_WHOLE, "stop", "o", { 7, 8, 15 } },
    { "{\"response\":\"R\",\"done_reason\":\"length\",\"eval_count\":8}",
      "ollama_generate", "R", true, EXTRACT_CUT_OFF, "length", "",
      { -1, 8, -1 } },
    { "{\"content\":\"L\",\"stop_type\":\"limit\",\"truncated\":false,"
      "\"tokens_evaluated\":3,\"tokens_predicted\":4}",
      "llama", "L", true, EXTRACT_CUT_OFF, "limit", "", { 3, 4, 7 } },
    { "{\"content\":\"L\",\"stop_type\":\"eos\",\"truncated\":true}",
      "llama", "L", true, EXTRACT_CUT_OFF, "eos", "", UNTOLD },
    { "{\"generation\":{\"generatedText\":\"S\",\"parameters\":{"
      "\"finish_reason\":\"stop\",\"refusal\":null}},\"parameters\":{\"model\":"
      "\"sf\",\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,"
      "\"total_tokens\":3}}}",
      "salesforce", "S", true, EXTRACT_WHOLE, "stop", "sf", { 1, 2, 3 } },
    { "{\"generationDetails\":{\"generations\":[{\"content\":\"S\","
      "\"parameters\":{\"finish_reason\":\"length\"}}],\"parameters\":{"
      "\"model\":\"sf\",\"usage\":{\"prompt_tokens\":1,"
      "\"completion_tokens\":2,\"total_tokens\":3}}}}",
      "salesforce_chat", "S", true, EXTRACT_CUT_OFF, "length", "sf",
      { 1, 2, 3 } },
    { "{\"generations\":[{\"text\":\"x\",\"finish_reason\":\"MAX_TOKENS\"}]}",
      "generations_text", "x", true, EXTRACT_CUT_OFF, "MAX_TOKENS", "",
      UNTOLD },
    { "{\"generations\":[{\"content\":\"y\"}]}",
      "generations_content", "y", true, EXTRACT_WHOLE, "", "", UNTOLD },
    { "{\"generations\":[{\"generatedText\":\"z\"}]}",
      "generations_generated", "z", true, EXTRACT_WHOLE, "", "", UNTOLD },
    { "{\"object\":\"list\",\"data\":[{\"embedding\":[0.1]}],\"model\":\"e\","
      "\"usage\":{\"prompt_tokens\":9,\"total_tokens\":9}}",
      "other", NULL, false, EXTRACT_WHOLE, "", "e", { 9, -1, 9 } },
    /* What is not told is not 0, and a total of 0 is one that was not counted. */
    { "{\"choices\":[{\"text\":\"u\"}],\"usage\":null}",
      "completions", "u", true, EXTRACT_WHOLE, "", "", UNTOLD },
    { "{\"choices\":[{\"text\":\"u\"}],\"usage\":{\"total_tokens\":5,"
      "\"prompt_tokens\":null}}",
      "completions", "u", true, EXTRACT_WHOLE, "", "", { -1, -1, 5 } },
    { "{\"choices\":[{\"text\":\"u\"}],\"usage\":{\"prompt_tokens\":0,"
      "\"completion_tokens\":0,\"total_tokens\":0}}",
      "completions", "u", true, EXTRACT_WHOLE, "", "", { 0, 0, 0 } },
    { "{\"choices\":[{\"text\":\"u\"}],\"usage\":{\"prompt_tokens\":2,"
      "\"completion_tokens\":3,\"total_tokens\":0}}",
      "completions", "u", true, EXTRACT_WHOLE, "", "", { 2, 3, 5 } },
    { "{\"type\":\"message\",\"content\":[{\"type\":\"text\",\"text\":"
      "\"T\"}],\"usage\":{\"input_tokens\":1,\"cache_read_input_tokens\":"
      "null,\"output_tokens\":4}}",
      "anthropic", "T", true, EXTRACT_WHOLE, "", "", { 1, 4, 5 } },
    /* Chat completions stand first, whatever else is there. */
    { "{\"response\":\"no\",\"content\":\"no\",\"choices\":[{\"message\":{"
      "\"content\":\"yes\"}}]}",
      "chat", "yes", true, EXTRACT_WHOLE, "", "", UNTOLD },
};
/* clang-format on */

static struct slice
of(const char *text)
{
    return slice_of(text);
}

static void
check_text(const struct row *row, const struct extract *out)
{
    struct buf text = { 0 };

    cr_assert_eq(out->has_text, row->text != NULL, "%s", row->reply);
    if (!row->text)
        return;
    cr_expect_eq(out->text_bytes > 0, row->is_span, "%s", row->reply);
    cr_expect_eq(out->text.bytes == 0, row->is_span, "%s", row->reply);
    if (row->is_span) {
        struct slice span = { row->reply + out->text_at, out->text_bytes };

        cr_expect_eq(span.data[-1], '"');
        cr_expect_eq(span.data[span.bytes], '"');
        cr_expect_eq(json_decode_inner(span, &text), 0);
    } else {
        buf_add_slice(&text, buf_slice(&out->text));
    }
    cr_expect_str_eq(text.data, row->text);
    buf_fini(&text);
}

Test(extract, reads_every_shape_of_the_table)
{
    struct extract out = { 0 }; /* one for all: nothing stays behind */

    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct row *row = &rows[i];
        struct err err = { 0 };

        cr_assert_eq(extract_read(&out, of(row->reply), EXTRACT_CHAT, &err), 0,
                     "%s: %s", row->reply, err.msg);
        cr_expect_str_eq(out.shape, row->shape, "got %s, want %s for %s",
                         out.shape, row->shape, row->reply);
        check_text(row, &out);
        cr_expect_eq(out.finish, row->finish, "got %d, want %d for %s",
                     out.finish, row->finish, row->reply);
        cr_expect_str_eq(out.finish_word, row->finish_word);
        cr_expect_str_eq(out.model, row->model);
        cr_expect_eq(out.prompt_tokens, row->tokens[0], "%s", row->reply);
        cr_expect_eq(out.completion_tokens, row->tokens[1], "%s", row->reply);
        cr_expect_eq(out.total_tokens, row->tokens[2], "%s", row->reply);
        cr_expect_not(out.is_error, "%s", row->reply);
        cr_expect_str_eq(out.error_code, "");
    }
    extract_fini(&out);
}

Test(extract, finds_the_expected_shape_first)
{
    static const char both[] = "{\"message\":{\"content\":\"O\"},\"choices\":"
                               "[{\"message\":{\"content\":\"C\"}}]}";
    struct extract out = { 0 };

    /* Whatever is expected, what is there is found. */
    for (size_t i = 0; i + 1 < COUNT(rows); i++) {
        for (int first = 0; first < EXTRACT_SHAPE_COUNT; first++) {
            cr_assert_eq(extract_read(&out, of(rows[i].reply),
                                      (enum extract_shape)first, NULL),
                         0);
            cr_expect_str_eq(out.shape, rows[i].shape, "%d: %s", first,
                             rows[i].reply);
        }
        cr_assert_eq(extract_read(&out, of(rows[i].reply),
                                  extract_shape_of(rows[i].shape), NULL),
                     0);
        cr_expect_str_eq(out.shape, rows[i].shape);
    }
    cr_assert_eq(extract_read(&out, of(both), EXTRACT_OLLAMA_CHAT, NULL), 0);
    cr_expect_str_eq(out.shape, "ollama_chat");
    cr_assert_eq(extract_read(&out, of(both), EXTRACT_GEMINI, NULL), 0);
    cr_expect_str_eq(out.shape, "chat");
    cr_expect_eq(extract_shape_of("ollama_chat"), EXTRACT_OLLAMA_CHAT);
    cr_expect_eq(extract_shape_of("unheard of"), EXTRACT_OTHER);
    extract_fini(&out);
}

Test(extract, knows_the_shape_of_every_dialect)
{
    const struct dialect *dialect;

    for (size_t i = 0; (dialect = dialect_at(i)); i++)
        cr_expect_neq(extract_shape_of(dialect->shape), EXTRACT_OTHER, "%s",
                      dialect->name);
}

Test(extract, finds_shapes_that_the_broker_counts)
{
    static const char *const counters[] = {
#define COUNTER_NAME(name) #name,
        COUNTER_LIST(COUNTER_NAME)
#undef COUNTER_NAME
    };
    static const char *const names[] = {
#define COUNTED(name, text) "replies_" text,
        EXTRACT_SHAPE_LIST(COUNTED)
#undef COUNTED
    };

    for (size_t i = 0; i < COUNT(names); i++) {
        bool is_there = false;

        for (size_t j = 0; j < COUNT(counters); j++)
            is_there |= strcmp(names[i], counters[j]) == 0;
        cr_expect(is_there, "%s is no counter", names[i]);
    }
}

/* clang-format off */
static const struct {
    const char *reply;
    const char *code;
    const char *message;
    bool is_error;
    int64_t number;
} errors[] = {
    { "{\"error\":{\"message\":\"Too long\",\"type\":\"invalid_request_error\","
      "\"param\":null,\"code\":\"context_length_exceeded\"}}",
      "context_length_exceeded", "Too long", true, 0 },
    { "{\"error\":{\"message\":\"No\",\"type\":\"invalid_request_error\","
      "\"param\":\"id\",\"code\":null}}",
      "invalid_request_error", "No", true, 0 },
    { "{\"error\":{\"message\":\"You exceeded\",\"type\":"
      "\"insufficient_quota\",\"code\":\"insufficient_quota\"}}",
      "insufficient_quota", "You exceeded", true, 0 },
    { "{\"error\":{\"message\":\"m\",\"code\":\"x\",\"type\":"
      "\"billing_error\"}}",
      "x", "m", true, 0 },
    { "{\"object\":\"error\",\"message\":\"flat\",\"type\":"
      "\"BadRequestError\",\"param\":null,\"code\":400}",
      "BadRequestError", "flat", true, 400 },
    { "{\"object\":\"error\",\"message\":\"flat\",\"code\":400}",
      "400", "flat", true, 400 },
    { "{\"error\":{\"code\":503,\"message\":\"Loading model\",\"type\":"
      "\"unavailable_error\"}}",
      "unavailable_error", "Loading model", true, 503 },
    { "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
      "\"message\":\"Overloaded\"},\"request_id\":\"r\"}",
      "overloaded_error", "Overloaded", true, 0 },
    { "{\"error\":{\"code\":429,\"message\":\"Quota\",\"status\":"
      "\"RESOURCE_EXHAUSTED\",\"details\":[]}}",
      "RESOURCE_EXHAUSTED", "Quota", true, 429 },
    { "[{\"error\":{\"code\":400,\"message\":\"Bad\",\"status\":"
      "\"INVALID_ARGUMENT\"}}]",
      "INVALID_ARGUMENT", "Bad", true, 400 },
    { "[{\"message\":\"expired\",\"errorCode\":\"INVALID_SESSION_ID\"}]",
      "INVALID_SESSION_ID", "expired", false, 0 },
    { "{\"error\":\"model not found\"}", "", "model not found", true, 0 },
    { "{\"detail\":\"Not Found\"}", "", "Not Found", false, 0 },
    { "{\"detail\":[{\"msg\":\"field required\",\"type\":\"missing\"}]}",
      "missing", "field required", false, 0 },
    { "{\"message\":\"no route\"}", "", "no route", false, 0 },
    { "{\"error\":{}}", "", "", false, 0 },
    { "{\"error\":{\"message\":\"late\"},\"choices\":[{\"message\":{"
      "\"content\":\"x\"}}]}", "", "", false, 0 },
};
/* clang-format on */

Test(extract, reads_every_form_of_error)
{
    struct extract out = { 0 };

    for (size_t i = 0; i < COUNT(errors); i++) {
        const char *reply = errors[i].reply;

        cr_assert_eq(extract_read(&out, of(reply), EXTRACT_CHAT, NULL), 0, "%s",
                     reply);
        cr_expect_str_eq(out.error_code, errors[i].code, "got %s for %s",
                         out.error_code, reply);
        cr_expect_str_eq(out.error_message, errors[i].message, "got %s for %s",
                         out.error_message, reply);
        cr_expect_eq(out.is_error, errors[i].is_error, "%s", reply);
        cr_expect_eq(out.error_number, errors[i].number, "%s", reply);
    }
    extract_fini(&out);
}

Test(extract, finds_nothing_in_what_is_no_object)
{
    static const char *const texts[] = {
        "",
        "<html>502</html>",
        "{\"choices\":[{\"mess",
        "[]",
        "\"x\"",
        "7",
        "[7]",
        "[{\"a\":1}]",
        "{} {}",
    };
    struct extract out = { 0 };

    for (size_t i = 0; i < COUNT(texts); i++) {
        struct err err = { 0 };

        cr_expect_eq(extract_read(&out, of(texts[i]), EXTRACT_CHAT, &err),
                     E_INVALID, "%s", texts[i]);
        cr_expect_eq(out.root, JSON_NONE, "%s", texts[i]);
        cr_expect_not(out.has_text);
        cr_expect_neq(err.msg[0], '\0');
    }
    cr_expect_eq(
        extract_read(&out, (struct slice){ NULL, 0 }, EXTRACT_CHAT, NULL),
        E_INVALID);
    extract_fini(&out);
}

Test(extract, knows_every_finish_word)
{
    static const char *const cut_off[] = {
        "length", "max_tokens",        "MAX_TOKENS",
        "limit",  "max_output_tokens", "model_context_window_exceeded"
    };
    static const char *const refused[] = {
        "content_filter", "SAFETY", "RECITATION", "PROHIBITED_CONTENT",
        "BLOCKLIST",      "SPII",   "refusal"
    };
    static const char *const whole[] = { "stop", "end_turn",   "eos",
                                         "word", "tool_calls", "",
                                         "STOP" };

    for (size_t i = 0; i < COUNT(cut_off); i++)
        cr_expect_eq(extract_finish_of(cut_off[i]), EXTRACT_CUT_OFF);
    for (size_t i = 0; i < COUNT(refused); i++)
        cr_expect_eq(extract_finish_of(refused[i]), EXTRACT_REFUSED);
    for (size_t i = 0; i < COUNT(whole); i++)
        cr_expect_eq(extract_finish_of(whole[i]), EXTRACT_WHOLE);
}

Test(extract, cuts_a_long_message_between_characters)
{
    struct buf reply = { 0 };
    struct extract out = { 0 };

    buf_add_str(&reply, "{\"error\":{\"message\":\"x");
    for (int i = 0; i < 400; i++)
        buf_add_str(&reply, "\xc3\xa9");
    buf_add_str(&reply, "\",\"code\":\"\\u0000hidden\"}}");
    cr_assert_eq(extract_read(&out, buf_slice(&reply), EXTRACT_CHAT, NULL), 0);
    cr_expect_eq(strlen(out.error_message), 511); /* 1 + 255 times 2 */
    cr_expect_str_eq(out.error_message + 509, "\xc3\xa9");
    cr_expect_str_eq(out.error_code, "");
    buf_fini(&reply);
    extract_fini(&out);
}
