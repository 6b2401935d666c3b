/* SPDX-License-Identifier: MIT */
#include "store/upstream.h"

#include "base/err.h"

void
upstream_encode(const struct upstream_row *row, struct buf *out)
{
    record_str(out, slice_of(row->name));
    record_i64(out, row->until_ms);
    record_i64(out, row->since_ms);
    record_u32(out, row->http_status);
    record_str(out, slice_of(row->code));
    record_str(out, slice_of(row->message));
    record_str(out, slice_of(row->source));
    record_u8(out, row->breaker);
    record_i64(out, row->breaker_until_ms);
    record_i64(out, row->breaker_pause_ms);
    record_u32(out, row->failures);
    record_u32(out, row->request_count);
    for (size_t i = 0; i < UPSTREAM_REQUESTS; i++)
        record_u64(out, row->requests[i]);
    record_i64(out, row->answered_ms);
}

int
upstream_decode(struct record *record, struct upstream_row *row)
{
    if (record_get_text(record, row->name, sizeof(row->name)) < 0)
        return E_CORRUPT;
    row->until_ms = record_get_i64(record);
    row->since_ms = record_get_i64(record);
    row->http_status = record_get_u32(record);
    if (record_get_text(record, row->code, sizeof(row->code)) < 0 ||
        record_get_text(record, row->message, sizeof(row->message)) < 0 ||
        record_get_text(record, row->source, sizeof(row->source)) < 0) {
        return E_CORRUPT;
    }
    row->breaker = record_get_u8(record);
    row->breaker_until_ms = record_get_i64(record);
    row->breaker_pause_ms = record_get_i64(record);
    row->failures = record_get_u32(record);
    row->request_count = record_get_u32(record);
    for (size_t i = 0; i < UPSTREAM_REQUESTS; i++)
        row->requests[i] = record_get_u64(record);
    row->answered_ms = record_get_i64(record);
    if (row->breaker >= UPSTREAM_BREAKERS ||
        row->request_count > UPSTREAM_REQUESTS || row->until_ms < 0 ||
        row->breaker_until_ms < 0 || row->breaker_pause_ms < 0) {
        return E_CORRUPT;
    }
    return record_end(record);
}
