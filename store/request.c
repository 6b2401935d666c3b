/* SPDX-License-Identifier: MIT */
#include "store/request.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"

/* In the record, among the flags; since format 5. */
#define FLAG_SOLE  8u
#define FLAG_KEYED 16u

#define ROUTE_AT 104 /* the fields before it are of one length each */

static const struct {
    const char *name;
    unsigned to;
} states[REQUEST_STATE_COUNT] = {
#define REQUEST_ROW(name, text, to) [REQUEST_##name] = { text, to },
    REQUEST_STATES(REQUEST_ROW)
#undef REQUEST_ROW
};

const char *
request_state_name(enum request_state state)
{
    assert(state < REQUEST_STATE_COUNT);
    return states[state].name;
}

bool
request_may_move(enum request_state from, enum request_state to)
{
    assert(from < REQUEST_STATE_COUNT);
    return (states[from].to & (1u << to)) != 0;
}

void
request_move(struct request *request, enum request_state to)
{
    assert(request_may_move(request->state, to));
    request->state = to;
}

bool
request_is_joinable(const struct request *request)
{
    return request->state == REQUEST_READY ||
           request->state == REQUEST_DELAYED ||
           request->state == REQUEST_LEASED;
}

bool
request_is_cached(const struct request *request, int64_t cached_after_ms)
{
    return request->state == REQUEST_DONE && request->status == STATUS_OK &&
           request->done_ms > cached_after_ms;
}

void
request_encode(const struct request *request, struct buf *out)
{
    record_u8(out, request->state);
    record_u8(out, request->kind);
    record_u8(out, request->flags | (request->is_sole ? FLAG_SOLE : 0) |
                       (request->is_keyed ? FLAG_KEYED : 0));
    record_u8(out, request->status);
    record_u32(out, request->fence);
    record_u64(out, request->place.lead);
    record_u64(out, request->place.group);
    record_bytes(out, request->key, sizeof(request->key));
    record_u64(out, request->batch);
    record_u32(out, request->index);
    record_u32(out, request->attempts);
    record_u32(out, request->failures);
    record_u32(out, request->lost);
    record_u32(out, request->throttled);
    record_u32(out, request->uncertain);
    record_i64(out, request->due_ms);
    record_i64(out, request->done_ms);
    record_str(out, slice_of(request->route));
    record_u32(out, request->tokens);
    record_str(out, slice_of(request->upstream));
    record_u32(out, request->model);
    /* Also while there is none: a row that grew when it ends would not fit into
     * its page, which is full, and split it. */
    record_u64(out, request->answer);
}

static int
get_name(struct record *record, char *out, size_t size)
{
    struct slice name = record_get_str(record);

    *out = '\0';
    if (name.bytes >= size ||
        (name.bytes && memchr(name.data, '\0', name.bytes))) {
        return E_CORRUPT;
    }
    if (name.bytes)
        memcpy(out, name.data, name.bytes);
    out[name.bytes] = '\0';
    return 0;
}

int
request_decode(struct record *record, struct request *request)
{
    unsigned state = record_get_u8(record), kind = record_get_u8(record);
    unsigned flags = record_get_u8(record), status;

    request->flags = flags & ~(FLAG_SOLE | FLAG_KEYED);
    request->is_sole = (flags & FLAG_SOLE) != 0;
    request->is_keyed = (flags & FLAG_KEYED) != 0;
    status = record_get_u8(record);
    if (state >= REQUEST_STATE_COUNT || kind > REQUEST_RAW ||
        status >= STATUS_COUNT) {
        return E_CORRUPT;
    }
    request->state = state;
    request->kind = kind;
    request->status = status;
    request->fence = record_get_u32(record);
    request->place.lead = record_get_u64(record);
    request->place.group = record_get_u64(record);
    record_get_bytes(record, request->key, sizeof(request->key));
    request->batch = record_get_u64(record);
    request->index = record_get_u32(record);
    request->attempts = record_get_u32(record);
    request->failures = record_get_u32(record);
    request->lost = record_get_u32(record);
    request->throttled = record_get_u32(record);
    request->uncertain = record_get_u32(record);
    request->due_ms = record_get_i64(record);
    request->done_ms = record_get_i64(record);
    if (get_name(record, request->route, sizeof(request->route)) < 0)
        return E_CORRUPT;
    /* Format 1 ended here, format 2 behind the tokens. */
    request->tokens = record->left ? record_get_u32(record) : 0;
    *request->upstream = '\0';
    request->model = 0;
    if (record->left) {
        if (get_name(record, request->upstream, sizeof(request->upstream)) < 0)
            return E_CORRUPT;
        request->model = record_get_u32(record);
    }
    request->answer = record->left ? record_get_u64(record) : 0; /* format 7 */
    return record_end(record);
}

int
request_decode_answer(struct record *record, uint64_t *answer)
{
    (void)record_step(record, ROUTE_AT);
    (void)record_get_str(record); /* route */
    if (record->left)
        (void)record_get_u32(record); /* tokens */
    if (record->left) {
        (void)record_get_str(record); /* upstream */
        (void)record_get_u32(record); /* model */
    }
    *answer = record->left ? record_get_u64(record) : 0;
    return record_end(record);
}
