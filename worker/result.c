/* SPDX-License-Identifier: MIT */
#include "worker/result.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "queue/wire.h"

void
result_fini(struct result *result)
{
    buf_fini(&result->body);
}

/* What was used: a call that failed has used nothing unless the reply says so, but
 * of an answer that does not say nobody knows. */
static void
fill_tokens(struct result *result, const struct extract *extract)
{
    enum outcome_class class = result->outcome.class;
    bool is_answer = class == OUTCOME_OK || class == OUTCOME_TRUNCATED ||
                     class == OUTCOME_REFUSED;
    int64_t *const out[] = { &result->prompt_tokens, &result->completion_tokens,
                             &result->total_tokens };
    const int64_t told[] = { extract->prompt_tokens, extract->completion_tokens,
                             extract->total_tokens };

    for (size_t i = 0; i < sizeof(out) / sizeof(out[0]); i++)
        *out[i] = told[i] == EXTRACT_UNTOLD && !is_answer ? 0 : told[i];
}

void
result_fill(struct result *result, const struct outcome *outcome,
            const struct extract *extract, struct reply *reply)
{
    result->outcome = *outcome;
    result->latency_ms = reply->latency_ms;
    result->is_sent = reply->is_sent;
    result->shape = extract->is_error ? NULL : extract->shape;
    memcpy(result->model, extract->model, sizeof(result->model));
    memcpy(result->finish, extract->finish_word, sizeof(result->finish));
    fill_tokens(result, extract);
    buf_fini(&result->body);
    result->body = reply->body;
    result->unpacked_bytes = 0;
    result->is_loose = true;
    reply->body = (struct buf){ 0 };
    result->text_at = extract->text_at;
    result->text_bytes = extract->text_bytes;
    result->text_follows = extract->text.bytes;
    if (extract->text.bytes > 0)
        buf_add_slice(&result->body, buf_slice(&extract->text));
}

void
result_pack(struct result *result, struct packer *packer, struct buf *room)
{
    struct buf *body = &result->body;

    result->is_loose = false;
    if (body->bytes < PACK_BYTES_MIN)
        return;
    buf_reset(room);
    pack_add(packer, buf_slice(body), room);
    if (room->bytes >= body->bytes)
        return;
    result->unpacked_bytes = body->bytes;
    /* No more memory than what is counted: the frame's buffer has room for a text
     * that does not get shorter. */
    buf_fini(body);
    buf_add_slice(body, buf_slice(room));
}

static void
put_limit(struct buf *out, const char *name, const struct hint_limit *limit)
{
    buf_addf(out, "\"%s\":[%lld,%lld,%lld]", name, (long long)limit->limit,
             (long long)limit->remaining, (long long)limit->reset_ms);
}

static void
put_limits(struct buf *out, const struct outcome *outcome)
{
    if (!outcome->has_limits)
        return;
    wire_put_name(out, "limits");
    buf_add_char(out, '{');
    put_limit(out, "requests", &outcome->limits.requests);
    buf_add_char(out, ',');
    put_limit(out, "tokens", &outcome->limits.tokens);
    buf_add_char(out, '}');
}

static void
put_text(struct buf *out, const char *name, const char *text)
{
    if (*text)
        wire_put_str(out, name, text);
}

static void
put_known(struct buf *out, const char *name, int64_t value, int64_t unsaid)
{
    if (value != unsaid)
        wire_put_int(out, name, value);
}

void
result_print(const struct result *result, int64_t request, int64_t fence,
             const char *upstream, struct buf *out)
{
    const struct outcome *outcome = &result->outcome;

    /* What the broker takes for granted is not said: most results are answers
     * that have no code, message and wait. */
    wire_begin_item(out, "request", request);
    wire_put_int(out, "fence", fence);
    wire_put_str(out, "upstream", upstream);
    wire_put_str(out, "class", outcome_class_name(outcome->class));
    wire_put_int(out, "http_status", outcome->http_status);
    put_text(out, "code", outcome->code);
    put_text(out, "message", outcome->message);
    put_known(out, "wait_ms", outcome->wait_ms, 0);
    put_text(out, "wait_from", outcome->wait_from);
    put_limits(out, outcome);
    if (result->shape)
        wire_put_str(out, "shape", result->shape);
    put_text(out, "model", result->model);
    put_text(out, "finish", result->finish);
    put_known(out, "prompt_tokens", result->prompt_tokens, EXTRACT_UNTOLD);
    put_known(out, "completion_tokens", result->completion_tokens,
              EXTRACT_UNTOLD);
    put_known(out, "total_tokens", result->total_tokens, EXTRACT_UNTOLD);
    wire_put_int(out, "latency_ms", result->latency_ms);
    put_known(out, "text_at", (int64_t)result->text_at, 0);
    put_known(out, "text_bytes", (int64_t)result->text_bytes, 0);
    put_known(out, "text_follows", (int64_t)result->text_follows, 0);
    wire_put_int(out, "sent", result->is_sent);
    put_known(out, "unpacked_bytes", (int64_t)result->unpacked_bytes, 0);
    put_known(out, "bytes", (int64_t)result->body.bytes, 0);
    wire_end(out);
}
