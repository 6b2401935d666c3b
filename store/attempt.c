/* SPDX-License-Identifier: MIT */
#include "store/attempt.h"

#include <assert.h>

#include "base/err.h"

static const char *const class_names[CLASS_COUNT] = {
#define CALL_ROW(name, text) [CLASS_##name] = text,
    CALL_CLASSES(CALL_ROW)
#undef CALL_ROW
};

const char *call_class_name(enum call_class class)
{
    assert(class < CLASS_COUNT);
    return class_names[class];
}

bool
attempt_fits(const struct attempt *attempt)
{
    return attempt->wait_from.bytes <= ATTEMPT_TEXT_BYTES_MAX &&
           attempt->code.bytes <= ATTEMPT_TEXT_BYTES_MAX &&
           attempt->worker.bytes <= ATTEMPT_TEXT_BYTES_MAX &&
           attempt->upstream.bytes <= ATTEMPT_TEXT_BYTES_MAX;
}

void
attempt_encode(const struct attempt *attempt, struct buf *out)
{
    record_i64(out, attempt->ended_ms);
    record_u8(out, attempt->class);
    record_u8(out, attempt->status);
    record_u32(out, attempt->http_status);
    record_u32(out, attempt->fence);
    record_u8(out, attempt->was_sent);
    record_i64(out, attempt->latency_ms);
    record_i64(out, attempt->wait_ms);
    record_str(out, attempt->wait_from);
    record_str(out, attempt->code);
    record_str(out, attempt->worker);
    record_str(out, attempt->upstream);
}

int
attempt_decode(struct record *record, struct attempt *attempt)
{
    unsigned class, status, was_sent;

    attempt->ended_ms = record_get_i64(record);
    class = record_get_u8(record);
    status = record_get_u8(record);
    attempt->http_status = record_get_u32(record);
    attempt->fence = record_get_u32(record);
    was_sent = record_get_u8(record);
    if (class >= CLASS_COUNT || status >= STATUS_COUNT || was_sent > 1)
        return E_CORRUPT;
    attempt->class = (enum call_class) class;
    attempt->status = (enum status)status;
    attempt->was_sent = was_sent == 1;
    attempt->latency_ms = record_get_i64(record);
    attempt->wait_ms = record_get_i64(record);
    attempt->wait_from = record_get_str(record);
    attempt->code = record_get_str(record);
    attempt->worker = record_get_str(record);
    attempt->upstream = record_get_str(record);
    return record_end(record);
}
