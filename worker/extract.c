/* SPDX-License-Identifier: MIT */
#include "worker/extract.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

#define PATHS_MAX       3
#define PARTS_DEPTH_MAX 2 /* Responses: messages, and the parts of each */
#define TOKENS_MAX      (INT64_C(1) << 53)

#define BIT(type) (1U << (type))
#define ANY       (~0U)
#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))

/* Where a reply says how many tokens it took; several paths are added up. */
struct usage_paths {
    const char *prompt[PATHS_MAX];
    const char *completion[PATHS_MAX];
    const char *total; /* if it is not there, the sum of the others */
};

static const struct usage_paths usage_openai = {
    .prompt = { "usage.prompt_tokens" },
    .completion = { "usage.completion_tokens" },
    .total = "usage.total_tokens",
};
static const struct usage_paths usage_responses = {
    .prompt = { "usage.input_tokens" },
    .completion = { "usage.output_tokens" },
    .total = "usage.total_tokens",
};
/* Anthropic counts the cached part of a prompt apart. */
static const struct usage_paths usage_anthropic = {
    .prompt = { "usage.input_tokens", "usage.cache_creation_input_tokens",
                "usage.cache_read_input_tokens" },
    .completion = { "usage.output_tokens" },
};
static const struct usage_paths usage_gemini = {
    .prompt = { "usageMetadata.promptTokenCount" },
    .completion = { "usageMetadata.candidatesTokenCount",
                    "usageMetadata.thoughtsTokenCount" },
    .total = "usageMetadata.totalTokenCount",
};
static const struct usage_paths usage_ollama = {
    .prompt = { "prompt_eval_count" },
    .completion = { "eval_count" },
};
static const struct usage_paths usage_llama = {
    .prompt = { "tokens_evaluated" },
    .completion = { "tokens_predicted" },
};
static const struct usage_paths usage_salesforce = {
    .prompt = { "parameters.usage.prompt_tokens" },
    .completion = { "parameters.usage.completion_tokens" },
    .total = "parameters.usage.total_tokens",
};
static const struct usage_paths usage_salesforce_chat = {
    .prompt = { "generationDetails.parameters.usage.prompt_tokens" },
    .completion = { "generationDetails.parameters.usage.completion_tokens" },
    .total = "generationDetails.parameters.usage.total_tokens",
};

struct shape {
    const char *name;
    const char *mark;         /* a reply that has this is of this shape */
    unsigned types;           /* if it is one of these types */
    const char *text;         /* a string, or an array of parts; NULL: none */
    const char *finish;       /* a word */
    const char *finish_first; /* a word that beats it, if it is there */
    const char *refusal;      /* a string that is there if it refused */
    const char *cut_off;      /* true if it ran into a limit */
    const char *model;
    const struct usage_paths *usage;
};

/* clang-format off */
static const struct shape shapes[] = {
    { .name = "chat",
      .mark = "choices.0.message", .types = BIT(JSON_OBJECT),
      .text = "choices.0.message.content",
      .finish = "choices.0.finish_reason",
      .refusal = "choices.0.message.refusal",
      .model = "model", .usage = &usage_openai },
    { .name = "completions",
      .mark = "choices.0.text", .types = BIT(JSON_STRING),
      .text = "choices.0.text",
      .finish = "choices.0.finish_reason",
      .model = "model", .usage = &usage_openai },
    { .name = "responses",
      .mark = "output", .types = BIT(JSON_ARRAY),
      .text = "output",
      .finish = "status", .finish_first = "incomplete_details.reason",
      .model = "model", .usage = &usage_responses },
    { .name = "anthropic",
      .mark = "content", .types = BIT(JSON_ARRAY),
      .text = "content",
      .finish = "stop_reason",
      .model = "model", .usage = &usage_anthropic },
    { .name = "gemini",
      .mark = "candidates.0", .types = BIT(JSON_OBJECT),
      .text = "candidates.0.content.parts",
      .finish = "candidates.0.finishReason",
      .model = "modelVersion", .usage = &usage_gemini },
    { .name = "gemini_blocked",
      .mark = "promptFeedback.blockReason", .types = BIT(JSON_STRING),
      .finish = "promptFeedback.blockReason",
      .refusal = "promptFeedback.blockReason",
      .model = "modelVersion", .usage = &usage_gemini },
    { .name = "ollama_chat",
      .mark = "message.content", .types = BIT(JSON_STRING),
      .text = "message.content",
      .finish = "done_reason",
      .model = "model", .usage = &usage_ollama },
    { .name = "ollama_generate",
      .mark = "response", .types = BIT(JSON_STRING),
      .text = "response",
      .finish = "done_reason",
      .model = "model", .usage = &usage_ollama },
    { .name = "llama",
      .mark = "content", .types = BIT(JSON_STRING),
      .text = "content",
      .finish = "stop_type", .cut_off = "truncated",
      .model = "model", .usage = &usage_llama },
    { .name = "salesforce",
      .mark = "generation.generatedText", .types = BIT(JSON_STRING),
      .text = "generation.generatedText",
      .finish = "generation.parameters.finish_reason",
      .refusal = "generation.parameters.refusal",
      .model = "parameters.model", .usage = &usage_salesforce },
    { .name = "salesforce_chat",
      .mark = "generationDetails.generations.0.content",
      .types = BIT(JSON_STRING),
      .text = "generationDetails.generations.0.content",
      .finish = "generationDetails.generations.0.parameters.finish_reason",
      .refusal = "generationDetails.generations.0.parameters.refusal",
      .model = "generationDetails.parameters.model",
      .usage = &usage_salesforce_chat },
    { .name = "generations_text",
      .mark = "generations.0.text", .types = BIT(JSON_STRING),
      .text = "generations.0.text",
      .finish = "generations.0.finish_reason",
      .finish_first = "generations.0.parameters.finish_reason",
      .model = "parameters.model", .usage = &usage_salesforce },
    { .name = "generations_content",
      .mark = "generations.0.content", .types = BIT(JSON_STRING),
      .text = "generations.0.content",
      .finish = "generations.0.finish_reason",
      .finish_first = "generations.0.parameters.finish_reason",
      .model = "parameters.model", .usage = &usage_salesforce },
    { .name = "generations_generated",
      .mark = "generations.0.generatedText", .types = BIT(JSON_STRING),
      .text = "generations.0.generatedText",
      .finish = "generations.0.finish_reason",
      .finish_first = "generations.0.parameters.finish_reason",
      .model = "parameters.model", .usage = &usage_salesforce },
};

/* What other endpoints answer, embeddings for one: no text, but usage. */
static const struct shape shape_other = {
    .name = "other", .model = "model", .usage = &usage_openai
};

/* How errors are written. The code is the first of `codes` that is a string
 * with something in it, else the first that is a number. */
struct error_shape {
    const char *mark;
    const char *message;
    const char *codes[PATHS_MAX];
    unsigned types; /* of the mark */
    bool is_sure; /* an error at any status, 200 included */
};

static const struct error_shape error_shapes[] = {
    /* OpenAI, vLLM from 0.10.1, llama.cpp, Anthropic, Gemini */
    { "error", "error.message", { "error.code", "error.status", "error.type" },
      BIT(JSON_OBJECT), true },
    /* Ollama */
    { "error", "error", { "code", "type" }, BIT(JSON_STRING), true },
    /* FastAPI, in front of many servers */
    { "detail", "detail", { "code", "type" }, BIT(JSON_STRING), false },
    { "detail.0.msg", "detail.0.msg", { "detail.0.type" }, BIT(JSON_STRING),
      false },
    /* vLLM before 0.10.1, and gateways */
    { "message", "message", { "code", "errorCode", "type" }, BIT(JSON_STRING),
      false },
};
/* clang-format on */

static const struct {
    const char *word;
    enum extract_finish finish;
} finish_words[] = {
    { "length", EXTRACT_CUT_OFF },
    { "max_tokens", EXTRACT_CUT_OFF }, /* Gemini writes it in capitals */
    { "limit", EXTRACT_CUT_OFF },
    { "max_output_tokens", EXTRACT_CUT_OFF },
    { "model_context_window_exceeded", EXTRACT_CUT_OFF },
    { "content_filter", EXTRACT_REFUSED },
    { "safety", EXTRACT_REFUSED },
    { "recitation", EXTRACT_REFUSED },
    { "prohibited_content", EXTRACT_REFUSED },
    { "blocklist", EXTRACT_REFUSED },
    { "spii", EXTRACT_REFUSED },
    { "refusal", EXTRACT_REFUSED },
};

/* Codes and types of errors that no wait will cure: the account is empty. */
static const char *const quota_words[] = { "insufficient_quota",
                                           "billing_hard_limit_reached",
                                           "billing_error",
                                           "insufficient_credits" };

enum extract_finish
extract_finish_of(const char *word)
{
    for (size_t i = 0; i < COUNT(finish_words); i++) {
        if (strcasecmp(finish_words[i].word, word) == 0)
            return finish_words[i].finish;
    }
    return EXTRACT_WHOLE;
}

/* The token at a path, if it is of one of these types, or JSON_NONE. */
static size_t
find(const struct extract *out, const char *path, unsigned types)
{
    size_t at = path ? json_path(&out->doc, out->root, path) : JSON_NONE;

    if (at == JSON_NONE || !(BIT(out->doc.tokens[at].type) & types))
        return JSON_NONE;
    return at;
}

/* Copies the decoded string at a path, cut to what fits, between characters.
 * A NUL, which no header can hold, ends it too. */
static void
copy_string(const struct extract *out, const char *path, char *text,
            size_t bytes_max)
{
    size_t at = find(out, path, BIT(JSON_STRING));
    struct buf decoded = { 0 };
    struct slice kept;

    text[0] = '\0';
    if (at == JSON_NONE)
        return;
    json_decode(&out->doc, at, &decoded);
    kept = text_cut(buf_slice(&decoded), bytes_max);
    if (kept.bytes)
        memcpy(text, kept.data, kept.bytes);
    text[kept.bytes] = '\0';
    buf_fini(&decoded);
}

/* Adds one piece of the text. While there is only one, and it stands for itself
 * in the reply, it stays where it is. */
static void
add_piece(struct extract *out, size_t at)
{
    struct slice inner = json_inner(&out->doc, at);
    size_t before = out->text.bytes, lone;

    if (inner.bytes == 0)
        return;
    if (!out->has_text) {
        lone = json_decode(&out->doc, at, &out->text);
        out->has_text = true;
        if (lone > 0)
            return;
        buf_reset(&out->text);
        out->text_at = (size_t)(inner.data - out->doc.text);
        out->text_bytes = inner.bytes;
        return;
    }
    if (out->text_bytes > 0) {
        struct slice span = { out->doc.text + out->text_at, out->text_bytes };

        assert(before == 0);
        json_decode_inner(span, &out->text);
        out->text_at = out->text_bytes = 0;
    }
    json_decode(&out->doc, at, &out->text);
}

/* Adds the text of an array of parts: strings, or objects with a `text`, unless
 * they are thoughts or of a type that is no text; or messages with parts. */
static void
add_parts(struct extract *out, size_t array, int depth)
{
    const struct json_doc *doc = &out->doc;
    const struct json_token *tokens = doc->tokens;

    for (size_t at = array + 1; at < tokens[array].next; at = tokens[at].next) {
        size_t type = json_member(doc, at, "type");
        size_t thought = json_member(doc, at, "thought");
        size_t text = json_member(doc, at, "text");
        size_t parts = json_member(doc, at, "content");

        if (type != JSON_NONE && json_is(doc, type, "refusal"))
            out->finish = EXTRACT_REFUSED;
        if (thought != JSON_NONE && tokens[thought].type == JSON_TRUE)
            continue;
        if (type != JSON_NONE && json_is(doc, type, "message")) {
            if (parts != JSON_NONE && tokens[parts].type == JSON_ARRAY &&
                depth < PARTS_DEPTH_MAX) {
                add_parts(out, parts, depth + 1);
            }
            continue;
        }
        if (type != JSON_NONE && !json_is(doc, type, "text") &&
            !json_is(doc, type, "output_text")) {
            continue;
        }
        if (text != JSON_NONE && tokens[text].type == JSON_STRING)
            add_piece(out, text);
    }
}

static void
read_text(struct extract *out, const struct shape *shape)
{
    size_t at = find(out, shape->text, BIT(JSON_STRING) | BIT(JSON_ARRAY));

    if (at == JSON_NONE)
        return;
    if (out->doc.tokens[at].type == JSON_STRING)
        add_piece(out, at);
    else
        add_parts(out, at, 1);
}

static void
read_finish(struct extract *out, const struct shape *shape)
{
    size_t refusal = find(out, shape->refusal, BIT(JSON_STRING));
    enum extract_finish finish;

    copy_string(out, shape->finish_first, out->finish_word,
                EXTRACT_FINISH_BYTES_MAX);
    if (!out->finish_word[0]) {
        copy_string(out, shape->finish, out->finish_word,
                    EXTRACT_FINISH_BYTES_MAX);
    }
    finish = extract_finish_of(out->finish_word);
    if (finish == EXTRACT_WHOLE &&
        find(out, shape->cut_off, BIT(JSON_TRUE)) != JSON_NONE) {
        finish = EXTRACT_CUT_OFF;
    }
    if (refusal != JSON_NONE && json_inner(&out->doc, refusal).bytes > 0)
        finish = EXTRACT_REFUSED;
    if (out->finish != EXTRACT_REFUSED) /* a part may have said so already */
        out->finish = finish;
}

static int64_t
read_tokens(const struct extract *out, const char *path)
{
    size_t at = find(out, path, BIT(JSON_NUMBER));
    int64_t count;

    if (at == JSON_NONE || json_int(&out->doc, at, 0, TOKENS_MAX, &count) < 0)
        return 0;
    return count;
}

static int64_t
add_tokens(int64_t a, int64_t b)
{
    return a + b > TOKENS_MAX ? TOKENS_MAX : a + b;
}

static void
read_usage(struct extract *out, const struct usage_paths *usage)
{
    for (size_t i = 0; i < PATHS_MAX; i++) {
        out->prompt_tokens =
            add_tokens(out->prompt_tokens, read_tokens(out, usage->prompt[i]));
        out->completion_tokens = add_tokens(
            out->completion_tokens, read_tokens(out, usage->completion[i]));
    }
    out->total_tokens = read_tokens(out, usage->total);
    if (out->total_tokens == 0) {
        out->total_tokens =
            add_tokens(out->prompt_tokens, out->completion_tokens);
    }
}

static void
note_quota(struct extract *out, const char *path)
{
    size_t at = find(out, path, BIT(JSON_STRING));

    for (size_t i = 0; at != JSON_NONE && i < COUNT(quota_words); i++) {
        if (json_is(&out->doc, at, quota_words[i]))
            out->is_quota = true;
    }
}

static void
read_error_code(struct extract *out, const struct error_shape *shape)
{
    for (size_t i = 0; i < PATHS_MAX; i++) {
        note_quota(out, shape->codes[i]);
        if (!out->error_code[0]) {
            copy_string(out, shape->codes[i], out->error_code,
                        EXTRACT_CODE_BYTES_MAX);
        }
    }
    for (size_t i = 0; i < PATHS_MAX && !out->error_code[0]; i++) {
        size_t at = find(out, shape->codes[i], BIT(JSON_NUMBER));

        if (at != JSON_NONE) {
            struct slice raw = json_raw(&out->doc, at);

            if (raw.bytes > EXTRACT_CODE_BYTES_MAX)
                raw.bytes = EXTRACT_CODE_BYTES_MAX;
            memcpy(out->error_code, raw.data, raw.bytes);
            out->error_code[raw.bytes] = '\0';
        }
    }
}

static void
read_error(struct extract *out)
{
    size_t object = json_member(&out->doc, out->root, "object");

    for (size_t i = 0; i < COUNT(error_shapes); i++) {
        const struct error_shape *shape = &error_shapes[i];

        if (find(out, shape->mark, shape->types) == JSON_NONE)
            continue;
        copy_string(out, shape->message, out->error_message,
                    EXTRACT_MESSAGE_BYTES_MAX);
        read_error_code(out, shape);
        out->is_error =
            (shape->is_sure ||
             (object != JSON_NONE && json_is(&out->doc, object, "error"))) &&
            (out->error_message[0] || out->error_code[0]);
        return;
    }
}

static const struct shape *
find_shape(const struct extract *out)
{
    for (size_t i = 0; i < COUNT(shapes); i++) {
        if (find(out, shapes[i].mark, shapes[i].types) != JSON_NONE)
            return &shapes[i];
    }
    return &shape_other;
}

/* Keeps the memory of the last reply. */
static void
forget(struct extract *out)
{
    struct json_doc doc = out->doc;
    struct buf text = out->text;

    doc.count = 0;
    buf_reset(&text);
    *out = (struct extract){ .doc = doc, .text = text, .root = JSON_NONE };
}

int
extract_read(struct extract *out, struct slice reply, struct err *err)
{
    const struct shape *shape;
    size_t root = 0;
    int rc;

    forget(out);
    rc = json_parse(&out->doc, reply.data ? reply.data : "", reply.bytes,
                    JSON_REPLY, err);
    if (rc < 0) {
        out->doc.count = 0;
        return rc;
    }
    /* Gemini wraps an error in an array now and then; Salesforce always. */
    if (out->doc.tokens[0].type == JSON_ARRAY && out->doc.tokens[0].next > 1)
        root = 1;
    if (out->doc.tokens[root].type != JSON_OBJECT)
        return err_set(err, E_INVALID, "not an object");
    out->root = root;
    read_error(out);
    if (root != 0) {
        if (out->error_message[0] || out->error_code[0])
            return 0;
        out->root = JSON_NONE;
        return err_set(err, E_INVALID, "an array, not an object");
    }
    shape = find_shape(out);
    out->shape = shape->name;
    read_text(out, shape);
    read_finish(out, shape);
    copy_string(out, shape->model, out->model, EXTRACT_MODEL_BYTES_MAX);
    read_usage(out, shape->usage);
    /* An answer that also mentions an error is an answer. */
    if (find(out, "choices.0", ANY) != JSON_NONE)
        out->is_error = false;
    return 0;
}

void
extract_fini(struct extract *out)
{
    json_fini(&out->doc);
    buf_fini(&out->text);
    *out = (struct extract){ .root = JSON_NONE };
}
