/* SPDX-License-Identifier: MIT */
#include "worker/outcome.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const class_names[] = {
#define OUTCOME_NAME(name, wire) wire,
    OUTCOME_CLASS_LIST(OUTCOME_NAME)
#undef OUTCOME_NAME
};

static const char *const end_texts[] = {
#define END_TEXT(name, text) text,
    REPLY_END_LIST(END_TEXT)
#undef END_TEXT
};

/* Statuses that are errors: the first row that holds the status. Nothing of
 * 2xx stands here: its body decides. */
static const struct status_row {
    int first, final;
    enum outcome_class class;
} status_rows[] = {
    { 202, 299, OUTCOME_PERMANENT }, /* no answer, and none will come */
    { 300, 399, OUTCOME_PERMANENT }, /* redirects are never followed */
    { 408, 409, OUTCOME_RETRYABLE }, /* timeout; a lock is held */
    { 425, 425, OUTCOME_RETRYABLE }, /* too early */
    { 429, 429, OUTCOME_RETRYABLE }, /* throttled, if it names a wait */
    { 498, 498, OUTCOME_RETRYABLE }, /* Groq: capacity exceeded */
    { 400, 499, OUTCOME_PERMANENT }, { 500, 599, OUTCOME_RETRYABLE },
    { 0, 999, OUTCOME_PERMANENT },
};

static const struct {
    enum reply_end end;
    enum outcome_class class;
    const char *code;
} end_rows[] = {
    { REPLY_TIMEOUT, OUTCOME_RETRYABLE, "timeout" },
    { REPLY_UNRESOLVED, OUTCOME_RETRYABLE, "name_not_resolved" },
    { REPLY_UNCONNECTED, OUTCOME_RETRYABLE, "connect_failed" },
    { REPLY_CUT, OUTCOME_RETRYABLE, "connection_lost" },
    { REPLY_GARBLED, OUTCOME_RETRYABLE, "malformed_reply" },
    { REPLY_TLS, OUTCOME_RETRYABLE, "tls_failed" },
    { REPLY_UNTRUSTED, OUTCOME_PERMANENT, "tls_untrusted" },
    { REPLY_TOO_LARGE, OUTCOME_PERMANENT, "reply_too_large" },
    { REPLY_BAD_URL, OUTCOME_PERMANENT, "bad_url" },
    { REPLY_BROKEN, OUTCOME_RETRYABLE, "call_failed" },
    { REPLY_ABORTED, OUTCOME_ABORTED, "aborted" },
};

static const struct {
    int status;
    const char *name;
} status_names[] = {
    { 300, "Multiple Choices" },
    { 301, "Moved Permanently" },
    { 302, "Found" },
    { 303, "See Other" },
    { 307, "Temporary Redirect" },
    { 308, "Permanent Redirect" },
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
    struct slice kept = text_cut(slice_of(source), bytes_max);

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

static enum outcome_class
class_of_status(int status)
{
    for (size_t i = 0; i < COUNT(status_rows); i++) {
        if (status >= status_rows[i].first && status <= status_rows[i].final)
            return status_rows[i].class;
    }
    return OUTCOME_PERMANENT;
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

static void
judge_error(const struct outcome_input *input, int64_t now_ms,
            struct outcome *out)
{
    const struct extract *extract = input->extract;
    enum outcome_class class = class_of_status(out->http_status);
    char code[OUTCOME_CODE_BYTES_MAX + 1], name[64];
    int should = hint_should_retry(&input->reply->headers);

    if (snprintf(code, sizeof(code), "http_%d", out->http_status) < 0)
        code[0] = '\0';
    name_status(out->http_status, name, sizeof(name));
    if (should >= 0)
        class = should ? OUTCOME_RETRYABLE : OUTCOME_PERMANENT;
    put(out, class, extract->error_code[0] ? extract->error_code : code,
        extract->error_message[0] ? extract->error_message : name);
    /* An empty account or a day's quota comes as 429 too, with a wait that
     * helps nobody. */
    if (extract->is_quota) {
        out->class = OUTCOME_PERMANENT;
    } else if (out->http_status == 429 && hint_is_daily(&extract->doc)) {
        out->class = OUTCOME_PERMANENT;
        put(out, OUTCOME_PERMANENT, "quota_exhausted", out->message);
    }
    if (out->class == OUTCOME_RETRYABLE)
        take_wait(input, now_ms, out);
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
                 input->read_reason) < 0)
        message[0] = '\0';
    put(out, OUTCOME_RETRYABLE, "malformed_reply", message);
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
        put(out, extract->is_quota ? OUTCOME_PERMANENT : OUTCOME_RETRYABLE,
            code[0] ? code : "error_reply",
            message[0] ? message : "the reply holds an error");
        return;
    }
    put(out, OUTCOME_OK, "", "");
    if (input->is_raw)
        return;
    if (extract->finish == EXTRACT_REFUSED) {
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
            put(out, end_rows[i].class, end_rows[i].code,
                reply->reason[0] ? reply->reason : end_texts[reply->end]);
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
