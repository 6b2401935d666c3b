/* SPDX-License-Identifier: MIT */
#include "store/delivery.h"

#include <assert.h>

#include "base/err.h"

static const struct {
    const char *name;
    unsigned to;
} states[DELIVERY_STATE_COUNT] = {
#define DELIVERY_ROW(name, text, to) [DELIVERY_##name] = { text, to },
    DELIVERY_STATES(DELIVERY_ROW)
#undef DELIVERY_ROW
};

const char *
delivery_state_name(enum delivery_state state)
{
    assert(state < DELIVERY_STATE_COUNT);
    return states[state].name;
}

bool
delivery_may_move(enum delivery_state from, enum delivery_state to)
{
    assert(from < DELIVERY_STATE_COUNT);
    return (states[from].to & (1u << to)) != 0;
}

void
delivery_move(struct delivery *delivery, enum delivery_state to)
{
    assert(delivery_may_move(delivery->state, to));
    delivery->state = to;
}

bool
delivery_has_ended(const struct delivery *delivery)
{
    return delivery->state == DELIVERY_DELIVERED ||
           delivery->state == DELIVERY_FAILED;
}

void
delivery_encode(const struct delivery *delivery, struct buf *out)
{
    record_u8(out, delivery->state);
    record_bytes(out, delivery->event, sizeof(delivery->event));
    record_bytes(out, delivery->batch, sizeof(delivery->batch));
    record_str(out, slice_of(delivery->webhook));
    record_str(out, slice_of(delivery->type));
    record_i64(out, delivery->created_ms);
    record_i64(out, delivery->next_ms);
    record_i64(out, delivery->due_ms);
    record_i64(out, delivery->given_ms);
    record_i64(out, delivery->ended_ms);
    record_u32(out, delivery->attempts);
    record_u32(out, delivery->failures);
    record_u32(out, delivery->losses);
    record_u32(out, delivery->http_status);
    record_bytes(out, delivery->worker, sizeof(delivery->worker));
    record_str(out, slice_of(delivery->code));
    record_str(out, slice_of(delivery->message));
    record_str(out, delivery->body);
}

int
delivery_decode(struct record *record, struct delivery *delivery)
{
    unsigned state = record_get_u8(record);

    if (state >= DELIVERY_STATE_COUNT)
        return E_CORRUPT;
    delivery->state = state;
    record_get_bytes(record, delivery->event, sizeof(delivery->event));
    record_get_bytes(record, delivery->batch, sizeof(delivery->batch));
    if (record_get_text(record, delivery->webhook, sizeof(delivery->webhook)) <
            0 ||
        record_get_text(record, delivery->type, sizeof(delivery->type)) < 0) {
        return E_CORRUPT;
    }
    delivery->created_ms = record_get_i64(record);
    delivery->next_ms = record_get_i64(record);
    delivery->due_ms = record_get_i64(record);
    delivery->given_ms = record_get_i64(record);
    delivery->ended_ms = record_get_i64(record);
    delivery->attempts = record_get_u32(record);
    delivery->failures = record_get_u32(record);
    delivery->losses = record_get_u32(record);
    delivery->http_status = record_get_u32(record);
    record_get_bytes(record, delivery->worker, sizeof(delivery->worker));
    if (record_get_text(record, delivery->code, sizeof(delivery->code)) < 0 ||
        record_get_text(record, delivery->message, sizeof(delivery->message)) <
            0) {
        return E_CORRUPT;
    }
    delivery->body = record_get_str(record);
    if (delivery->next_ms < 0 || delivery->due_ms < 0 ||
        delivery->body.bytes > DELIVERY_BODY_BYTES_MAX) {
        return E_CORRUPT;
    }
    return record_end(record);
}
