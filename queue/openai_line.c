/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/json.h"
#include "base/redact.h"
#include "queue/filing.h"

#define HTTP_FAILURE 400 /* from here on a status is one */

/* ---- bodies ---- */

/* A text as it came, in one line: between tokens, line ends are blanks, and
 * within strings there are none. */
static void
add_in_line(struct buf *out, struct slice text)
{
    char *to = buf_reserve(out, text.bytes);

    for (size_t i = 0; i < text.bytes; i++) {
        to[i] = text.data[i];
        if (to[i] == '\n' || to[i] == '\r')
            to[i] = ' ';
    }
    buf_commit(out, text.bytes);
}

static void
add_string(struct buf *out, const char *name, struct slice text)
{
    buf_addf(out, "\"%s\":", name);
    if (text.data)
        json_write_string(out, text.data, text.bytes);
    else
        buf_add_str(out, "null");
}

static struct slice
reply_of(const struct result_row *row)
{
    return (struct slice){ row->reply.data, row->outcome.reply_bytes };
}

/* True if the upstream answers in OpenAI's form: what is not configured any more
 * is thought to. */
static bool
is_in_form(const struct outcome *outcome, const struct conf *conf)
{
    char name[CONF_NAME_BYTES_MAX + 1];
    const struct conf_upstream *upstream;

    if (outcome->upstream.bytes >= sizeof(name))
        return true;
    (void)snprintf(name, sizeof(name), "%.*s", (int)outcome->upstream.bytes,
                   outcome->upstream.data ? outcome->upstream.data : "");
    upstream = conf_upstream(conf, name);
    return upstream ? conf_dialect(upstream)->is_openai
                    : !slice_is(outcome->upstream, CONF_LOCAL);
}

static void
add_text(struct buf *out, const struct result_row *row)
{
    const struct outcome *outcome = &row->outcome;
    const char *text = row->reply.data + outcome->text_at;

    if (outcome->form == OUTCOME_JSON_TEXT) {
        buf_add_char(out, '"');
        buf_add(out, text, outcome->text_bytes);
        buf_add_char(out, '"');
    } else if (outcome->form == OUTCOME_PLAIN_TEXT) {
        json_write_string(out, text, outcome->text_bytes);
    } else {
        buf_add_str(out, "null");
    }
}

static void
add_count(struct buf *out, const char *name, int64_t count)
{
    if (count < 0)
        buf_addf(out, "\"%s\":null", name);
    else
        buf_addf(out, "\"%s\":%lld", name, (long long)count);
}

/* What the upstream told of it, as in a result line. */
static void
add_usage(struct buf *out, const struct outcome *outcome)
{
    if (outcome->prompt_tokens < 0 && outcome->completion_tokens < 0 &&
        outcome->total_tokens < 0) {
        buf_add_str(out, "\"usage\":null");
        return;
    }
    buf_add_str(out, "\"usage\":{");
    add_count(out, "prompt_tokens", outcome->prompt_tokens);
    buf_add_char(out, ',');
    add_count(out, "completion_tokens", outcome->completion_tokens);
    buf_add_char(out, ',');
    add_count(out, "total_tokens", outcome->total_tokens);
    buf_add_char(out, '}');
}

/* A chat completion around the text, of an upstream that has another form. */
static void
add_completion(struct buf *out, const struct result_row *row)
{
    const struct outcome *outcome = &row->outcome;

    buf_addf(out,
             "{\"id\":\"sheaf-%llu\",\"object\":\"chat.completion\","
             "\"created\":%lld,",
             (unsigned long long)row->draft.seq,
             (long long)(outcome->completed_ms / 1000));
    add_string(out, "model", outcome->model);
    buf_add_str(out, ",\"choices\":[{\"index\":0,\"message\":{\"role\":"
                     "\"assistant\",\"content\":");
    add_text(out, row);
    buf_add_str(out, "},");
    add_string(out, "finish_reason",
               outcome->finish.bytes ? outcome->finish : slice_of("stop"));
    buf_add_str(out, "}],");
    add_usage(out, outcome);
    buf_add_char(out, '}');
}

static void
add_answer(struct buf *out, const struct result_row *row,
           const struct conf *conf)
{
    struct slice reply = reply_of(row);
    struct json_doc doc = { 0 };

    if (!is_in_form(&row->outcome, conf)) {
        add_completion(out, row);
        return;
    }
    if (json_parse(&doc, reply.data, reply.bytes, JSON_REPLY, NULL) == 0)
        add_in_line(out, reply);
    else
        json_write_string(out, reply.data, reply.bytes);
    json_fini(&doc);
}

/* The members of an error object that are no objects themselves, without what
 * looks like a secret: upstreams quote what they were sent. */
static void
add_error_members(struct buf *out, const struct json_doc *doc, size_t error)
{
    struct buf text = { 0 }, clean = { 0 };
    const char *comma = "";

    for (size_t key = error + 1; key < doc->tokens[error].next;
         key = doc->tokens[key].next) {
        enum json_type type = doc->tokens[key + 1].type;

        if (type == JSON_OBJECT || type == JSON_ARRAY)
            continue;
        buf_add_str(out, comma);
        buf_add_slice(out, json_raw(doc, key));
        buf_add_char(out, ':');
        comma = ",";
        if (type != JSON_STRING) {
            buf_add_slice(out, json_raw(doc, key + 1));
            continue;
        }
        buf_reset(&text);
        buf_reset(&clean);
        json_decode(doc, key + 1, &text);
        redact(buf_slice(&text), &clean);
        json_write_string(out, clean.data ? clean.data : "", clean.bytes);
    }
    buf_fini(&text);
    buf_fini(&clean);
}

/* What the upstream said was wrong, else what is made of that. */
static void
add_failure(struct buf *out, const struct result_row *row)
{
    struct slice reply = reply_of(row);
    struct json_doc doc = { 0 };
    size_t error = JSON_NONE;

    if (json_parse(&doc, reply.data, reply.bytes, JSON_REPLY, NULL) == 0)
        error = json_member(&doc, 0, "error");
    buf_add_str(out, "{\"error\":{");
    if (error != JSON_NONE && doc.tokens[error].type == JSON_OBJECT) {
        add_error_members(out, &doc, error);
    } else {
        add_string(out, "message", row->outcome.message);
        buf_add_str(out, ",\"type\":\"upstream_error\",\"param\":null,");
        add_string(out, "code", row->outcome.code);
    }
    buf_add_str(out, "}}");
    json_fini(&doc);
}

/* ---- lines ---- */

enum filing_side
openai_side(const struct result_row *row)
{
    return row->draft.status == STATUS_OK && row->has_outcome ? FILING_OUTPUT
                                                              : FILING_ERROR;
}

static void
add_no_answer(struct buf *out, const struct result_row *row)
{
    const char *code = "batch_failed";
    struct buf message = { 0 };

    if (row->draft.status == STATUS_EXPIRED) {
        code = "batch_expired";
        buf_add_str(&message, "This request could not be executed before the "
                              "completion window expired.");
    } else if (row->draft.status == STATUS_CANCELLED) {
        code = "batch_cancelled";
        buf_add_str(&message, "This request was not executed before the batch "
                              "was cancelled.");
    } else if (!row->has_outcome) {
        buf_add_str(&message, "The stored outcome is damaged.");
    } else {
        buf_add_slice(&message, row->outcome.code);
        buf_add_str(&message, ": ");
        buf_add_slice(&message, row->outcome.message);
    }
    buf_addf(out, "\"response\":null,\"error\":{\"code\":\"%s\",", code);
    add_string(out, "message", buf_slice(&message));
    buf_add_char(out, '}');
    buf_fini(&message);
}

static void
begin_response(struct buf *out, const struct result_row *row, unsigned status)
{
    buf_addf(out,
             "\"response\":{\"status_code\":%u,\"request_id\":\"sheaf-%llu\","
             "\"body\":",
             status, (unsigned long long)row->draft.seq);
}

void
openai_line(struct buf *out, const struct result_row *row,
            const struct conf *conf)
{
    const struct draft *draft = &row->draft;

    buf_addf(out, "{\"id\":\"batch_req_%llu\",\"custom_id\":",
             (unsigned long long)draft->seq);
    if (row->line.bytes)
        buf_add(out, row->line.data + draft->id_at, draft->id_bytes);
    else
        buf_add_str(out, "null");
    buf_add_char(out, ',');
    if (openai_side(row) == FILING_OUTPUT) {
        begin_response(out, row, 200);
        add_answer(out, row, conf);
        buf_add_str(out, "},\"error\":null");
    } else if (row->has_outcome && row->outcome.http_status >= HTTP_FAILURE &&
               draft->status != STATUS_EXPIRED &&
               draft->status != STATUS_CANCELLED) {
        begin_response(out, row, row->outcome.http_status);
        add_failure(out, row);
        buf_add_str(out, "},\"error\":null");
    } else {
        add_no_answer(out, row);
    }
    buf_add_str(out, "}\n");
}
