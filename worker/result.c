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
    *result = (struct result){ 0 };
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
    result->prompt_tokens = extract->prompt_tokens;
    result->completion_tokens = extract->completion_tokens;
    result->total_tokens = extract->total_tokens;
    buf_fini(&result->body);
    result->body = reply->body;
    reply->body = (struct buf){ 0 };
    result->text_at = extract->text_at;
    result->text_bytes = extract->text_bytes;
    result->text_follows = extract->text.bytes;
    if (extract->text.bytes > 0)
        buf_add_slice(&result->body, buf_slice(&extract->text));
}

static void
add_limit(cJSON *limits, const char *name, const struct hint_limit *limit)
{
    cJSON *array = wire_add_array(limits, name);

    cJSON_AddItemToArray(array, cJSON_CreateNumber((double)limit->limit));
    cJSON_AddItemToArray(array, cJSON_CreateNumber((double)limit->remaining));
    cJSON_AddItemToArray(array, cJSON_CreateNumber((double)limit->reset_ms));
}

static void
add_limits(cJSON *head, const struct outcome *outcome)
{
    cJSON *limits;

    if (!outcome->has_limits)
        return;
    limits = wire_add_object(head, "limits");
    add_limit(limits, "requests", &outcome->limits.requests);
    add_limit(limits, "tokens", &outcome->limits.tokens);
}

void
result_print(const struct result *result, int64_t request, int64_t fence,
             const char *upstream, struct buf *out)
{
    const struct outcome *outcome = &result->outcome;
    cJSON *head = wire_new("result");

    wire_add_int(head, "request", request);
    wire_add_int(head, "fence", fence);
    wire_add_str(head, "upstream", upstream);
    wire_add_str(head, "class", outcome_class_name(outcome->class));
    wire_add_int(head, "http_status", outcome->http_status);
    wire_add_str(head, "code", outcome->code);
    wire_add_str(head, "message", outcome->message);
    wire_add_int(head, "wait_ms", outcome->wait_ms);
    wire_add_str(head, "wait_from", outcome->wait_from);
    add_limits(head, outcome);
    if (result->shape)
        wire_add_str(head, "shape", result->shape);
    wire_add_str(head, "model", result->model);
    wire_add_str(head, "finish", result->finish);
    wire_add_int(head, "prompt_tokens", result->prompt_tokens);
    wire_add_int(head, "completion_tokens", result->completion_tokens);
    wire_add_int(head, "total_tokens", result->total_tokens);
    wire_add_int(head, "latency_ms", result->latency_ms);
    wire_add_int(head, "text_at", (int64_t)result->text_at);
    wire_add_int(head, "text_bytes", (int64_t)result->text_bytes);
    wire_add_int(head, "text_follows", (int64_t)result->text_follows);
    wire_add_int(head, "sent", result->is_sent);
    wire_print(head, out);
}
