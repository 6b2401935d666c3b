/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* strcasestr */
#include "worker/outcome.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/utf8.h"
#include "queue/wire.h"

#define COUNT(a)          (sizeof(a) / sizeof((a)[0]))
#define HTTP_NOT_FOUND    404
#define STATUS_NAME_BYTES 128
#define DAY_MS            INT64_C(86400000)
#define DAY_END_MS        INT64_C(28800000) /* midnight at UTC-8, in UTC */

static const char *const class_names[] = {
#define OUTCOME_NAME(name, wire) wire,
    OUTCOME_CLASS_LIST(OUTCOME_NAME)
#undef OUTCOME_NAME
};

/* Errors: the first row that holds the status, with its words if it has some,
 * says what they mean. Words belong to one provider each, so no row asks which
 * it is. An error that came with a status of success counts as its own number,
 * or as a 500. */
/* clang-format off */
static const struct class_row {
    int first, final;
    const char *word; /* one of the error's codes; NULL: any */
    const char *text; /* somewhere in its message; NULL: any */
    enum outcome_class class;
    bool has_end; /* the stop is a throttle if the reply names its end */
} class_rows[] = {
    /* The account: nobody is answered until somebody has seen to it. */
    { 400, 599, "insufficient_quota", NULL, OUTCOME_STOP, false },
    { 400, 599, "billing_hard_limit_reached", NULL, OUTCOME_STOP, false },
    { 400, 599, "billing_not_active", NULL, OUTCOME_STOP, false },
    { 400, 599, "billing_error", NULL, OUTCOME_STOP, false }, /* Anthropic */
    { 400, 599, "insufficient_credits", NULL, OUTCOME_STOP, false },
    { 400, 599, "account_deactivated", NULL, OUTCOME_STOP, false },
    { 400, 599, "invalid_api_key", NULL, OUTCOME_STOP, false },
    { 400, 400, NULL, "credit balance is too low", OUTCOME_STOP,
      false }, /* Anthropic */
    { 400, 400, NULL, "API key not valid", OUTCOME_STOP, false }, /* Gemini */
    { 403, 403, NULL, "API key was reported as leaked", OUTCOME_STOP, false },
    { 401, 402, NULL, NULL, OUTCOME_STOP, false },
    /* The quota of a day. */
    { 429, 429, NULL, "per day", OUTCOME_STOP, true }, /* OpenAI, Groq */
    { 429, 429, NULL, "per-day", OUTCOME_STOP, true }, /* OpenRouter */
    { 429, 429, NULL, "daily", OUTCOME_STOP, true },
    /* More than fits, now and for ever. */
    { 429, 429, NULL, "request too large", OUTCOME_PERMANENT,
      false }, /* OpenAI: above what a whole minute allows */
    { 500, 599, "context_length_exceeded", NULL, OUTCOME_PERMANENT, false },
    { 500, 599, "exceed_context_size_error", NULL, OUTCOME_PERMANENT,
      false }, /* llama.cpp */
    { 500, 599, NULL, "exceeds the available context size", OUTCOME_PERMANENT,
      false }, /* llama.cpp, earlier */
    { 500, 599, NULL, "maximum context length", OUTCOME_PERMANENT, false },
    { 500, 599, "invalid_prompt", NULL, OUTCOME_PERMANENT,
      false }, /* OpenAI responses, in a 200 */
    /* Nothing of 2xx is an error by its status, but there is no answer in what
     * follows 201, and none will come. Redirects are never followed. */
    { 202, 399, NULL, NULL, OUTCOME_PERMANENT, false },
    { 408, 409, NULL, NULL, OUTCOME_RETRYABLE, false }, /* time-out; a lock */
    { 425, 425, NULL, NULL, OUTCOME_RETRYABLE, false }, /* too early */
    { 429, 429, NULL, NULL, OUTCOME_RETRYABLE, false }, /* see take_wait() */
    { 498, 498, NULL, NULL, OUTCOME_RETRYABLE, false }, /* Groq: no capacity */
    { 400, 499, NULL, NULL, OUTCOME_PERMANENT, false },
    /* Among them a model that is loading (llama.cpp) or too busy (Ollama), and
     * Anthropic's 529. */
    { 500, 599, NULL, NULL, OUTCOME_RETRYABLE, false },
    { 0, 999, NULL, NULL, OUTCOME_PERMANENT, false },
};
/* clang-format on */

/* What a 404 says if the model is not there: its address is right, then. */
static const struct {
    const char *word, *text; /* as above */
} model_rows[] = {
    { "model_not_found", NULL },     /* OpenAI, Groq, LM Studio */
    { "model_not_available", NULL }, /* Together */
    { "DeploymentNotFound", NULL },  /* Azure */
    { "not_found_error", "model:" }, /* Anthropic */
    { "NOT_FOUND", "models/" },      /* Gemini */
    { NULL, "the model `" },         /* vLLM */
    { NULL, "model \"" },            /* Ollama */
    { NULL, "model '" },
    { NULL, "model not found" }, /* Fireworks */
};

static const struct {
    enum reply_end end;
    enum outcome_class class;
    enum outcome_class sent_class; /* once the request was on its way */
    const char *code;
} end_rows[] = {
    { REPLY_TIMEOUT, OUTCOME_RETRYABLE, OUTCOME_UNCERTAIN, "timeout" },
    { REPLY_UNRESOLVED, OUTCOME_RETRYABLE, OUTCOME_RETRYABLE,
      "name_not_resolved" },
    { REPLY_UNCONNECTED, OUTCOME_RETRYABLE, OUTCOME_RETRYABLE,
      "connect_failed" },
    { REPLY_CUT, OUTCOME_RETRYABLE, OUTCOME_UNCERTAIN, "connection_lost" },
    { REPLY_GARBLED, OUTCOME_RETRYABLE, OUTCOME_UNCERTAIN, "malformed_reply" },
    { REPLY_TLS, OUTCOME_RETRYABLE, OUTCOME_UNCERTAIN, "tls_failed" },
    { REPLY_UNTRUSTED, OUTCOME_PERMANENT, OUTCOME_PERMANENT, "tls_untrusted" },
    { REPLY_TOO_LARGE, OUTCOME_PERMANENT, OUTCOME_PERMANENT,
      "reply_too_large" },
    { REPLY_BAD_URL, OUTCOME_PERMANENT, OUTCOME_PERMANENT, "bad_url" },
    { REPLY_BROKEN, OUTCOME_RETRYABLE, OUTCOME_UNCERTAIN, "call_failed" },
    { REPLY_ABORTED, OUTCOME_ABORTED, OUTCOME_ABORTED, "aborted" },
};

#define NOT_FOLLOWED \
    "; redirects are not followed: base_url has to be the address itself"

static const struct {
    int status;
    const char *name;
} status_names[] = {
    { 300, "Multiple Choices" NOT_FOLLOWED },
    { 301, "Moved Permanently" NOT_FOLLOWED },
    { 302, "Found" NOT_FOLLOWED },
    { 303, "See Other" NOT_FOLLOWED },
    { 307, "Temporary Redirect" NOT_FOLLOWED },
    { 308, "Permanent Redirect" NOT_FOLLOWED },
    { 400, "Bad Request" },
    { 401, "Unauthorized" },
    { 402, "Payment Required" },
    { 403, "Forbidden" },
    { 404, "Not Found" },
    { 405, "Method Not Allowed" },
    { 408, "Request Timeout" },
    { 409, "Conflict" },
    { 410, "Gone" },
    { 413, "Content Too Large" },
    { 415, "Unsupported Media Type" },
    { 422, "Unprocessable Content" },
    { 425, "Too Early" },
    { 429, "Too Many Requests" },
    { 498, "Capacity Exceeded" },
    { 500, "Internal Server Error" },
    { 501, "Not Implemented" },
    { 502, "Bad Gateway" },
    { 503, "Service Unavailable" },
    { 504, "Gateway Timeout" },
    { 529, "Overloaded" },
};

const char *outcome_class_name(enum outcome_class class)
{
    assert(class < OUTCOME_CLASS_COUNT);
    return class_names[class];
}

static void
copy(char *target, const char *source, size_t bytes_max)
{
    struct slice kept = utf8_cut(slice_of(source), bytes_max);

    if (kept.bytes)
        memcpy(target, kept.data, kept.bytes);
    target[kept.bytes] = '\0';
}

static void
put(struct outcome *out, enum outcome_class class, const char *code,
    const char *message)
{
    out->class = class;
    copy(out->code, code, OUTCOME_CODE_BYTES_MAX);
    copy(out->message, message, OUTCOME_MESSAGE_BYTES_MAX);
}

void
outcome_set(struct outcome *out, enum outcome_class class, const char *code,
            const char *message)
{
    *out = (struct outcome){ .wait_from = "" };
    put(out, class, code, message);
}

static bool
has_word(const struct extract *extract, const char *word)
{
    for (size_t i = 0; i < EXTRACT_CODES_MAX; i++) {
        if (strcasecmp(extract->error_words[i], word) == 0)
            return true;
    }
    return false;
}

/* True if the error has this word and holds that text; NULL: any. */
static bool
is_error_of(const struct extract *extract, const char *word, const char *text)
{
    return (!word || has_word(extract, word)) &&
           (!text || strcasestr(extract->error_message, text));
}

static const struct class_row *
find_row(const struct extract *extract, int status)
{
    const struct class_row *row = class_rows;

    for (size_t i = 0; i < COUNT(class_rows); i++, row++) {
        if (status >= row->first && status <= row->final &&
            is_error_of(extract, row->word, row->text)) {
            return row;
        }
    }
    return &class_rows[COUNT(class_rows) - 1];
}

static bool
misses_model(const struct extract *extract, int status)
{
    for (size_t i = 0; i < COUNT(model_rows) && status == HTTP_NOT_FOUND; i++) {
        if (is_error_of(extract, model_rows[i].word, model_rows[i].text))
            return true;
    }
    return false;
}

static void
name_status(int status, char *text, size_t bytes)
{
    const char *name = NULL;
    int rc;

    for (size_t i = 0; i < COUNT(status_names) && !name; i++) {
        if (status_names[i].status == status)
            name = status_names[i].name;
    }
    if (name)
        rc = snprintf(text, bytes, "%s", name);
    else
        rc = snprintf(text, bytes, "HTTP status %d", status);
    if (rc < 0)
        text[0] = '\0';
}

/* Asks how long to wait. Only a 429 may speak through headers that every reply
 * carries. */
static void
take_wait(const struct outcome_input *input, int64_t now_ms,
          struct outcome *out)
{
    struct hint_reply reply = {
        .headers = &input->reply->headers,
        .doc = &input->extract->doc,
        .message = input->extract->error_message,
        .tokens_wanted = input->tokens_wanted,
    };
    int64_t wait_ms =
        hint_wait_ms(&reply, out->http_status != 429, now_ms, &out->wait_from);

    if (wait_ms == DELAY_NONE)
        return;
    out->wait_ms = wait_ms;
    if (out->http_status == 429)
        out->class = OUTCOME_THROTTLED;
}

/* Gemini's quota of a day: a wait of seconds stands beside it and helps nobody.
 * It ends at midnight in California, an hour earlier in summer than is said
 * here: an hour late is better than a call too early. */
static void
take_daily(int64_t now_ms, struct outcome *out)
{
    int64_t end_ms = (now_ms / DAY_MS) * DAY_MS + DAY_END_MS;

    if (end_ms <= now_ms)
        end_ms += DAY_MS;
    out->class = OUTCOME_STOP;
    copy(out->code, "quota_exhausted", OUTCOME_CODE_BYTES_MAX);
    out->wait_ms = end_ms - now_ms;
    out->wait_from = "error.details.quotaId";
}

static void
judge_error(const struct outcome_input *input, int64_t now_ms,
            struct outcome *out)
{
    const struct extract *extract = input->extract;
    const struct class_row *row = find_row(extract, out->http_status);
    char code[OUTCOME_CODE_BYTES_MAX + 1], name[STATUS_NAME_BYTES];
    int should = hint_should_retry(&input->reply->headers);

    if (snprintf(code, sizeof(code), "http_%d", out->http_status) < 0)
        code[0] = '\0';
    name_status(out->http_status, name, sizeof(name));
    put(out, row->class, extract->error_code[0] ? extract->error_code : code,
        extract->error_message[0] ? extract->error_message : name);
    if (misses_model(extract, out->http_status))
        copy(out->code, WIRE_NO_MODEL, OUTCOME_CODE_BYTES_MAX);
    if (out->http_status == 429 && hint_is_daily(&extract->doc)) {
        take_daily(now_ms, out);
        return;
    }
    if (row->has_end)
        take_wait(input, now_ms, out);
    if (out->class == OUTCOME_STOP || out->class == OUTCOME_THROTTLED)
        return;
    if (should == 0)
        out->class = OUTCOME_PERMANENT;
    else if (should > 0 && out->class == OUTCOME_PERMANENT)
        out->class = OUTCOME_RETRYABLE;
    if (out->class == OUTCOME_RETRYABLE)
        take_wait(input, now_ms, out);
}

/* What is sent in the place of an answer, by its beginning. */
static const struct {
    const char *start, *what;
} stranger_rows[] = {
    { "<",
      "it is a page for people, of somebody who stands before the upstream, "
      "or base_url is not that of an API" },
    { "\x1f\x8b", "it is compressed, which nobody has asked for" },
    { "data:", "it is a stream of events, which nobody has asked for" },
    { "event:", "it is a stream of events, which nobody has asked for" },
};

/* What a body is that cannot be read; the reader's own words if it is none of
 * these. */
static const char *
name_stranger(struct slice body, const char *read_reason)
{
    while (body.bytes > 0 && strchr(" \t\r\n", body.data[0])) {
        body.data++;
        body.bytes--;
    }
    for (size_t i = 0; i < COUNT(stranger_rows); i++) {
        size_t bytes = strlen(stranger_rows[i].start);

        if (body.bytes >= bytes &&
            memcmp(body.data, stranger_rows[i].start, bytes) == 0)
            return stranger_rows[i].what;
    }
    return read_reason;
}

static void
judge_unreadable(const struct outcome_input *input, struct outcome *out)
{
    char message[OUTCOME_MESSAGE_BYTES_MAX + 1];

    if (input->reply->body.bytes == 0) {
        put(out, OUTCOME_RETRYABLE, "empty_reply", "the reply has no body");
        return;
    }
    /* Another try would cost the same and end the same. */
    if (input->read_rc == E_TOOBIG) {
        put(out, OUTCOME_PERMANENT, "reply_too_large", input->read_reason);
        return;
    }
    if (snprintf(message, sizeof(message), "the reply is not a JSON object: %s",
                 name_stranger(buf_slice(&input->reply->body),
                               input->read_reason)) < 0)
        message[0] = '\0';
    put(out, OUTCOME_RETRYABLE, "malformed_reply", message);
}

/* The status that an error in a reply of success would have had. */
static int
number_of(const struct extract *extract)
{
    if (extract->error_number < 400 || extract->error_number > 599)
        return 500;
    return (int)extract->error_number;
}

/* A status of success says little: a proxy's page, half an answer and an error
 * object come with it too. */
static void
judge_success(const struct outcome_input *input, struct outcome *out)
{
    const struct extract *extract = input->extract;
    const char *code = extract->error_code, *message = extract->error_message;
    char why[128];

    if (input->read_rc < 0) {
        judge_unreadable(input, out);
        return;
    }
    if (extract->is_error || !extract->shape) {
        put(out, find_row(extract, number_of(extract))->class,
            code[0] ? code : "error_reply",
            message[0] ? message : "the reply holds an error");
        return;
    }
    put(out, OUTCOME_OK, "", "");
    if (input->is_raw)
        return;
    if (extract->finish == EXTRACT_FAILED) {
        put(out, find_row(extract, number_of(extract))->class, "answer_failed",
            message[0] ? message : "the upstream failed within the answer");
    } else if (extract->finish == EXTRACT_REFUSED) {
        if (snprintf(why, sizeof(why), "the model refused to answer (%s)",
                     extract->finish_word) < 0)
            why[0] = '\0';
        put(out, OUTCOME_REFUSED, "refused", why);
    } else if (extract->finish == EXTRACT_CUT_OFF) {
        if (snprintf(why, sizeof(why), "the answer was cut off (%s)",
                     extract->finish_word) < 0)
            why[0] = '\0';
        put(out, OUTCOME_TRUNCATED, "truncated", why);
    } else if (!extract->has_text) {
        put(out, OUTCOME_RETRYABLE, "no_text", "the reply holds no text");
    }
}

static void
judge_no_reply(const struct reply *reply, struct outcome *out)
{
    for (size_t i = 0; i < COUNT(end_rows); i++) {
        if (end_rows[i].end == reply->end) {
            put(out,
                reply->is_sent ? end_rows[i].sent_class : end_rows[i].class,
                end_rows[i].code,
                reply->reason[0] ? reply->reason : reply_end_text(reply->end));
            return;
        }
    }
    assert(!"a way to end that is not in the table");
}

void
outcome_judge(const struct outcome_input *input, int64_t now_ms,
              struct outcome *out)
{
    const struct reply *reply = input->reply;

    outcome_set(out, OUTCOME_OK, "", "");
    out->has_limits = hint_limits(&reply->headers, now_ms, &out->limits);
    /* An error is what its status says, even if its body is cut short. */
    if (reply->end == REPLY_COMPLETE ||
        (reply->http_status >= 400 && reply->end != REPLY_ABORTED)) {
        out->http_status = reply->http_status;
        if (reply->http_status == 200 || reply->http_status == 201)
            judge_success(input, out);
        else
            judge_error(input, now_ms, out);
        return;
    }
    judge_no_reply(reply, out);
}

const char *
outcome_end_code(enum reply_end end)
{
    size_t at = 0;

    while (at < COUNT(end_rows) && end_rows[at].end != end)
        at++;
    assert(at < COUNT(end_rows));
    return end_rows[at].code;
}
