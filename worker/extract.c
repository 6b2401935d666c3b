/* SPDX-License-Identifier: MIT */
#include "worker/extract.h"
#include "base/utf8.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#define PATHS_MAX       3
#define PARTS_DEPTH_MAX 2 /* Responses: messages, and the parts of each */
#define TOKENS_MAX      (INT64_C(1) << 53)

#define BIT(type) (1U << (type))
#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))

/* Where a reply says how many tokens it took; several members are added up. */
struct usage {
    const char *at; /* the object that the others are in */
    const char *prompt[PATHS_MAX];
    const char *completion[PATHS_MAX];
    const char *total; /* if it is not there, the sum of both others */
};

static const struct usage usage_openai = {
    .at = "usage",
    .prompt = { "prompt_tokens" },
    .completion = { "completion_tokens" },
    .total = "total_tokens",
};
static const struct usage usage_responses = {
    .at = "usage",
    .prompt = { "input_tokens" },
    .completion = { "output_tokens" },
    .total = "total_tokens",
};
/* Anthropic counts the cached part of a prompt apart. */
static const struct usage usage_anthropic = {
    .at = "usage",
    .prompt = { "input_tokens", "cache_creation_input_tokens",
                "cache_read_input_tokens" },
    .completion = { "output_tokens" },
};
static const struct usage usage_gemini = {
    .at = "usageMetadata",
    .prompt = { "promptTokenCount" },
    .completion = { "candidatesTokenCount", "thoughtsTokenCount" },
    .total = "totalTokenCount",
};
static const struct usage usage_ollama = {
    .at = "",
    .prompt = { "prompt_eval_count" },
    .completion = { "eval_count" },
};
static const struct usage usage_llama = {
    .at = "",
    .prompt = { "tokens_evaluated" },
    .completion = { "tokens_predicted" },
};
static const struct usage usage_salesforce = {
    .at = "parameters.usage",
    .prompt = { "prompt_tokens" },
    .completion = { "completion_tokens" },
    .total = "total_tokens",
};
static const struct usage usage_salesforce_chat = {
    .at = "generationDetails.parameters.usage",
    .prompt = { "prompt_tokens" },
    .completion = { "completion_tokens" },
    .total = "total_tokens",
};

/* All paths but `at`, `model` and those of the usage lead from `at`. */
struct shape {
    const char *at;           /* the object that the answer is in */
    const char *mark;         /* a reply that has this is of this shape */
    const char *text;         /* a string, or an array of parts; NULL: none */
    const char *finish;       /* a word */
    const char *finish_first; /* a word that beats it, if it is there */
    const char *refusal;      /* a string that is there if it refused */
    const char *cut_off;      /* true if it ran into a limit */
    const char *model;
    const struct usage *usage;
    unsigned types; /* that the mark must have, one of them */
    bool is_answer; /* whatever else the reply holds */
};

/* In this order they are looked for. */
/* clang-format off */
static const struct shape shapes[EXTRACT_OTHER] = {
    [EXTRACT_CHAT] = {
        .at = "choices.0", .mark = "message", .types = BIT(JSON_OBJECT),
        .text = "message.content", .finish = "finish_reason",
        .refusal = "message.refusal", .model = "model",
        .usage = &usage_openai, .is_answer = true },
    [EXTRACT_COMPLETIONS] = {
        .at = "choices.0", .mark = "text", .types = BIT(JSON_STRING),
        .text = "text", .finish = "finish_reason", .model = "model",
        .usage = &usage_openai, .is_answer = true },
    [EXTRACT_RESPONSES] = {
        .at = "", .mark = "output", .types = BIT(JSON_ARRAY),
        .text = "output", .finish = "status",
        .finish_first = "incomplete_details.reason", .model = "model",
        .usage = &usage_responses },
    [EXTRACT_ANTHROPIC] = {
        .at = "", .mark = "content", .types = BIT(JSON_ARRAY),
        .text = "content", .finish = "stop_reason", .model = "model",
        .usage = &usage_anthropic },
    [EXTRACT_GEMINI] = {
        .at = "candidates.0", .mark = "", .types = BIT(JSON_OBJECT),
        .text = "content.parts", .finish = "finishReason",
        .model = "modelVersion", .usage = &usage_gemini },
    [EXTRACT_GEMINI_BLOCKED] = {
        .at = "promptFeedback", .mark = "blockReason",
        .types = BIT(JSON_STRING), .finish = "blockReason",
        .refusal = "blockReason", .model = "modelVersion",
        .usage = &usage_gemini },
    [EXTRACT_OLLAMA_CHAT] = {
        .at = "", .mark = "message.content", .types = BIT(JSON_STRING),
        .text = "message.content", .finish = "done_reason", .model = "model",
        .usage = &usage_ollama },
    [EXTRACT_OLLAMA_GENERATE] = {
        .at = "", .mark = "response", .types = BIT(JSON_STRING),
        .text = "response", .finish = "done_reason", .model = "model",
        .usage = &usage_ollama },
    [EXTRACT_LLAMA] = {
        .at = "", .mark = "content", .types = BIT(JSON_STRING),
        .text = "content", .finish = "stop_type", .cut_off = "truncated",
        .model = "model", .usage = &usage_llama },
    [EXTRACT_SALESFORCE] = {
        .at = "generation", .mark = "generatedText",
        .types = BIT(JSON_STRING), .text = "generatedText",
        .finish = "parameters.finish_reason", .refusal = "parameters.refusal",
        .model = "parameters.model", .usage = &usage_salesforce },
    [EXTRACT_SALESFORCE_CHAT] = {
        .at = "generationDetails.generations.0", .mark = "content",
        .types = BIT(JSON_STRING), .text = "content",
        .finish = "parameters.finish_reason", .refusal = "parameters.refusal",
        .model = "generationDetails.parameters.model",
        .usage = &usage_salesforce_chat },
    [EXTRACT_GENERATIONS_TEXT] = {
        .at = "generations.0", .mark = "text", .types = BIT(JSON_STRING),
        .text = "text", .finish = "finish_reason",
        .finish_first = "parameters.finish_reason",
        .model = "parameters.model", .usage = &usage_salesforce },
    [EXTRACT_GENERATIONS_CONTENT] = {
        .at = "generations.0", .mark = "content", .types = BIT(JSON_STRING),
        .text = "content", .finish = "finish_reason",
        .finish_first = "parameters.finish_reason",
        .model = "parameters.model", .usage = &usage_salesforce },
    [EXTRACT_GENERATIONS_GENERATED] = {
        .at = "generations.0", .mark = "generatedText",
        .types = BIT(JSON_STRING), .text = "generatedText",
        .finish = "finish_reason",
        .finish_first = "parameters.finish_reason",
        .model = "parameters.model", .usage = &usage_salesforce },
};

static const struct shape shape_other = {
    .at = "", .model = "model", .usage = &usage_openai
};

/* How errors are written. The code is the first of `codes` that is a string
 * with something in it, else the first that is a number. */
struct error_shape {
    const char *mark;
    const char *message;
    const char *codes[EXTRACT_CODES_MAX];
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
    { "incomplete", EXTRACT_CUT_OFF }, /* Responses, without a reason */
    { "max_output_tokens", EXTRACT_CUT_OFF },
    { "model_context_window_exceeded", EXTRACT_CUT_OFF },
    { "content_filter", EXTRACT_REFUSED },
    { "safety", EXTRACT_REFUSED },
    { "recitation", EXTRACT_REFUSED },
    { "prohibited_content", EXTRACT_REFUSED },
    { "blocklist", EXTRACT_REFUSED },
    { "spii", EXTRACT_REFUSED },
    { "refusal", EXTRACT_REFUSED },
    { "error", EXTRACT_FAILED }, /* OpenRouter, with an error beside it */
};

static const char *const shape_names[] = {
#define SHAPE_NAME(name, text) text,
    EXTRACT_SHAPE_LIST(SHAPE_NAME)
#undef SHAPE_NAME
};

enum extract_shape
extract_shape_of(const char *name)
{
    for (size_t i = 0; i < EXTRACT_OTHER; i++) {
        if (strcmp(shape_names[i], name) == 0)
            return (enum extract_shape)i;
    }
    return EXTRACT_OTHER;
}

enum extract_finish
extract_finish_of(const char *word)
{
    for (size_t i = 0; i < COUNT(finish_words); i++) {
        if (strcasecmp(finish_words[i].word, word) == 0)
            return finish_words[i].finish;
    }
    return EXTRACT_WHOLE;
}

/* The token at a path from another, if it is of one of these types, or
 * JSON_NONE. */
static size_t
find(const struct extract *out, size_t from, const char *path, unsigned types)
{
    size_t at = path ? json_path(&out->doc, from, path) : JSON_NONE;

    if (at == JSON_NONE || !(BIT(out->doc.tokens[at].type) & types))
        return JSON_NONE;
    return at;
}

/* True if a string stands there as it is: nothing in it is escaped. */
static bool
is_plain(struct slice inner)
{
    return inner.bytes == 0 || !memchr(inner.data, '\\', inner.bytes);
}

/* Copies the decoded string at a path, cut to what fits, between characters.
 * A NUL, which no header can hold, ends it too. */
static void
copy_string(const struct extract *out, size_t from, const char *path,
            char *text, size_t bytes_max)
{
    size_t at = find(out, from, path, BIT(JSON_STRING));
    struct slice inner = json_inner(&out->doc, at), kept;
    struct buf decoded = { 0 };

    text[0] = '\0';
    if (at == JSON_NONE)
        return;
    if (!is_plain(inner)) {
        json_decode(&out->doc, at, &decoded);
        inner = buf_slice(&decoded);
    }
    kept = utf8_cut(inner, bytes_max);
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
        lone = is_plain(inner) ? 0 : json_decode(&out->doc, at, &out->text);
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
read_text(struct extract *out, const struct shape *shape, size_t from)
{
    size_t at =
        find(out, from, shape->text, BIT(JSON_STRING) | BIT(JSON_ARRAY));

    if (at == JSON_NONE)
        return;
    if (out->doc.tokens[at].type == JSON_STRING)
        add_piece(out, at);
    else
        add_parts(out, at, 1);
}

static void
read_finish(struct extract *out, const struct shape *shape, size_t from)
{
    size_t refusal = find(out, from, shape->refusal, BIT(JSON_STRING));
    enum extract_finish finish;

    copy_string(out, from, shape->finish_first, out->finish_word,
                EXTRACT_FINISH_BYTES_MAX);
    if (!out->finish_word[0]) {
        copy_string(out, from, shape->finish, out->finish_word,
                    EXTRACT_FINISH_BYTES_MAX);
    }
    finish = extract_finish_of(out->finish_word);
    if (finish == EXTRACT_WHOLE &&
        find(out, from, shape->cut_off, BIT(JSON_TRUE)) != JSON_NONE) {
        finish = EXTRACT_CUT_OFF;
    }
    if (refusal != JSON_NONE && json_inner(&out->doc, refusal).bytes > 0)
        finish = EXTRACT_REFUSED;
    if (out->finish != EXTRACT_REFUSED) /* a part may have said so already */
        out->finish = finish;
}

/* A number that can be one of tokens, or EXTRACT_UNTOLD. */
static int64_t
read_tokens(const struct extract *out, size_t from, const char *path)
{
    size_t at = find(out, from, path, BIT(JSON_NUMBER));
    int64_t count;

    if (at == JSON_NONE || json_int(&out->doc, at, 0, TOKENS_MAX, &count) < 0)
        return EXTRACT_UNTOLD;
    return count;
}

static int64_t
add_tokens(int64_t a, int64_t b)
{
    return a + b > TOKENS_MAX ? TOKENS_MAX : a + b;
}

/* The sum of those members that are there. */
static int64_t
sum_tokens(const struct extract *out, size_t from,
           const char *const paths[PATHS_MAX])
{
    int64_t sum = EXTRACT_UNTOLD;

    for (size_t i = 0; i < PATHS_MAX && paths[i]; i++) {
        int64_t count = read_tokens(out, from, paths[i]);

        if (count != EXTRACT_UNTOLD)
            sum = sum == EXTRACT_UNTOLD ? count : add_tokens(sum, count);
    }
    return sum;
}

static void
read_usage(struct extract *out, const struct usage *usage)
{
    size_t from = find(out, out->root, usage->at, BIT(JSON_OBJECT));

    if (from == JSON_NONE)
        return;
    out->prompt_tokens = sum_tokens(out, from, usage->prompt);
    out->completion_tokens = sum_tokens(out, from, usage->completion);
    out->total_tokens = read_tokens(out, from, usage->total);
    if (out->total_tokens <= 0 && out->prompt_tokens != EXTRACT_UNTOLD &&
        out->completion_tokens != EXTRACT_UNTOLD) {
        out->total_tokens =
            add_tokens(out->prompt_tokens, out->completion_tokens);
    }
}

/* 0 if there is none, or one that can be no code. */
static int64_t
read_number(const struct extract *out, size_t from, const char *path)
{
    int64_t number = read_tokens(out, from, path);

    return number == EXTRACT_UNTOLD ? 0 : number;
}

/* Takes the error's number for its code, as it is written. */
static void
copy_number(struct extract *out, size_t at)
{
    struct slice raw = json_raw(&out->doc, at);

    if (raw.bytes > EXTRACT_CODE_BYTES_MAX)
        raw.bytes = EXTRACT_CODE_BYTES_MAX;
    memcpy(out->error_code, raw.data, raw.bytes);
    out->error_code[raw.bytes] = '\0';
}

static void
read_error_code(struct extract *out, const struct error_shape *shape)
{
    for (size_t i = 0; i < EXTRACT_CODES_MAX; i++) {
        copy_string(out, out->root, shape->codes[i], out->error_words[i],
                    EXTRACT_CODE_BYTES_MAX);
        if (!out->error_code[0]) {
            memcpy(out->error_code, out->error_words[i],
                   sizeof(out->error_code));
        }
    }
    for (size_t i = 0; i < EXTRACT_CODES_MAX && out->error_number == 0; i++) {
        size_t at = find(out, out->root, shape->codes[i], BIT(JSON_NUMBER));

        out->error_number = read_number(out, out->root, shape->codes[i]);
        if (at != JSON_NONE && !out->error_code[0])
            copy_number(out, at);
    }
}

static void
read_error(struct extract *out)
{
    size_t object = json_member(&out->doc, out->root, "object");

    for (size_t i = 0; i < COUNT(error_shapes); i++) {
        const struct error_shape *shape = &error_shapes[i];

        if (find(out, out->root, shape->mark, shape->types) == JSON_NONE)
            continue;
        copy_string(out, out->root, shape->message, out->error_message,
                    EXTRACT_MESSAGE_BYTES_MAX);
        read_error_code(out, shape);
        out->is_error =
            (shape->is_sure ||
             (object != JSON_NONE && json_is(&out->doc, object, "error"))) &&
            (out->error_message[0] || out->error_code[0]);
        return;
    }
}

/* True if the reply is of this shape; *from is the object with the answer. */
static bool
is_shape(const struct extract *out, const struct shape *shape, size_t *from)
{
    *from = find(out, out->root, shape->at, BIT(JSON_OBJECT));
    return *from != JSON_NONE &&
           find(out, *from, shape->mark, shape->types) != JSON_NONE;
}

static enum extract_shape
find_shape(const struct extract *out, enum extract_shape first, size_t *from)
{
    if (first < EXTRACT_OTHER && is_shape(out, &shapes[first], from))
        return first;
    for (size_t i = 0; i < EXTRACT_OTHER; i++) {
        if (i != first && is_shape(out, &shapes[i], from))
            return (enum extract_shape)i;
    }
    *from = out->root;
    return EXTRACT_OTHER;
}

/* What is said of an answer that failed. */
static void
read_failure(struct extract *out, size_t from)
{
    copy_string(out, from, "error.message", out->error_message,
                EXTRACT_MESSAGE_BYTES_MAX);
    out->error_number = read_number(out, from, "error.code");
}

static void
read_answer(struct extract *out, enum extract_shape first)
{
    size_t from;
    enum extract_shape found = find_shape(out, first, &from);
    const struct shape *shape =
        found == EXTRACT_OTHER ? &shape_other : &shapes[found];

    out->shape = shape_names[found];
    read_text(out, shape, from);
    read_finish(out, shape, from);
    if (out->finish == EXTRACT_FAILED)
        read_failure(out, from);
    copy_string(out, out->root, shape->model, out->model,
                EXTRACT_MODEL_BYTES_MAX);
    read_usage(out, shape->usage);
    /* An answer that also mentions an error is an answer. */
    if (!shape->is_answer)
        read_error(out);
}

/* Keeps the memory of the last reply. */
static void
forget(struct extract *out)
{
    struct json_doc doc = out->doc;
    struct buf text = out->text;

    doc.count = 0;
    buf_reset(&text);
    *out = (struct extract){ .doc = doc,
                             .text = text,
                             .root = JSON_NONE,
                             .prompt_tokens = EXTRACT_UNTOLD,
                             .completion_tokens = EXTRACT_UNTOLD,
                             .total_tokens = EXTRACT_UNTOLD };
}

int
extract_read(struct extract *out, struct slice reply, enum extract_shape first,
             struct err *err)
{
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
    if (root == 0) {
        read_answer(out, first);
        return 0;
    }
    read_error(out);
    if (out->error_message[0] || out->error_code[0])
        return 0;
    out->root = JSON_NONE;
    return err_set(err, E_INVALID, "an array, not an object");
}

void
extract_fini(struct extract *out)
{
    json_fini(&out->doc);
    buf_fini(&out->text);
    *out = (struct extract){ .root = JSON_NONE };
}
