/* SPDX-License-Identifier: MIT */
#include "store/outcome.h"

#include "base/err.h"

void
outcome_encode(const struct outcome *outcome, struct buf *out)
{
    record_u8(out, outcome->status);
    record_u32(out, outcome->http_status);
    record_u32(out, outcome->attempts);
    record_i64(out, outcome->latency_ms);
    record_i64(out, outcome->prompt_tokens);
    record_i64(out, outcome->completion_tokens);
    record_i64(out, outcome->total_tokens);
    record_i64(out, outcome->completed_ms);
    record_i64(out, outcome->cost_nano);
    record_u32(out, outcome->reply_bytes);
    record_u8(out, outcome->form);
    record_u32(out, outcome->text_at);
    record_u32(out, outcome->text_bytes);
    record_str(out, outcome->code);
    record_str(out, outcome->message);
    record_str(out, outcome->model);
    record_str(out, outcome->upstream);
    record_str(out, outcome->finish);
    record_str(out, outcome->essence);
}

int
outcome_decode(struct record *record, struct outcome *outcome)
{
    unsigned status = record_get_u8(record), form;

    outcome->http_status = record_get_u32(record);
    outcome->attempts = record_get_u32(record);
    outcome->latency_ms = record_get_i64(record);
    outcome->prompt_tokens = record_get_i64(record);
    outcome->completion_tokens = record_get_i64(record);
    outcome->total_tokens = record_get_i64(record);
    outcome->completed_ms = record_get_i64(record);
    outcome->cost_nano = record_get_i64(record);
    outcome->reply_bytes = record_get_u32(record);
    form = record_get_u8(record);
    if (status >= STATUS_COUNT || form > OUTCOME_PLAIN_TEXT)
        return E_CORRUPT;
    outcome->status = status;
    outcome->form = form;
    outcome->text_at = record_get_u32(record);
    outcome->text_bytes = record_get_u32(record);
    outcome->code = record_get_str(record);
    outcome->message = record_get_str(record);
    outcome->model = record_get_str(record);
    outcome->upstream = record_get_str(record);
    outcome->finish = record_get_str(record);
    outcome->essence = record_get_str(record);
    return record_end(record);
}
