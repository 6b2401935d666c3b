/* SPDX-License-Identifier: MIT */
#include "store/answer.h"

#include "base/err.h"

/* How much is told of a call. */
enum telling {
    TELLS_ALL,
    TELLS_REST, /* what the outcome does not tell already */
    TELLING_COUNT
};

/* True if a call is what its outcome tells of it, but for who made it. */
static bool
agrees(const struct attempt *call, const struct outcome *outcome)
{
    return call->ended_ms == outcome->completed_ms &&
           call->status == outcome->status &&
           call->http_status == outcome->http_status &&
           call->latency_ms == outcome->latency_ms && call->wait_ms == 0 &&
           call->wait_from.bytes == 0 &&
           slice_equal(call->code, outcome->code) &&
           slice_equal(call->upstream, outcome->upstream);
}

static void
call_encode(const struct attempt *call, const struct outcome *outcome,
            struct buf *out)
{
    record_u32(out, call->number);
    if (call->number == 0)
        return;
    if (!agrees(call, outcome)) {
        record_u8(out, TELLS_ALL);
        attempt_encode(call, out);
        return;
    }
    record_u8(out, TELLS_REST);
    record_u8(out, call->class);
    record_u32(out, call->fence);
    record_u8(out, call->was_sent);
    record_str(out, call->worker);
}

static int
rest_decode(struct record *record, const struct outcome *outcome,
            struct attempt *call)
{
    unsigned class = record_get_u8(record), was_sent;

    call->fence = record_get_u32(record);
    was_sent = record_get_u8(record);
    if (class >= CLASS_COUNT || was_sent > 1)
        return E_CORRUPT;
    call->class = (enum call_class) class;
    call->was_sent = was_sent == 1;
    call->worker = record_get_str(record);
    call->ended_ms = outcome->completed_ms;
    call->status = outcome->status;
    call->http_status = outcome->http_status;
    call->latency_ms = outcome->latency_ms;
    call->code = outcome->code;
    call->upstream = outcome->upstream;
    return record_end(record);
}

static int
call_decode(struct record *record, const struct outcome *outcome,
            struct attempt *call)
{
    unsigned telling;

    *call = (struct attempt){ .number = record_get_u32(record) };
    if (call->number == 0)
        return record_end(record);
    telling = record_get_u8(record);
    if (telling >= TELLING_COUNT)
        return E_CORRUPT;
    return telling == TELLS_ALL ? attempt_decode(record, call)
                                : rest_decode(record, outcome, call);
}

void
answer_encode(const struct outcome *outcome, const struct attempt *call,
              struct buf *out)
{
    outcome_encode(outcome, out);
    call_encode(call, outcome, out);
}

int
answer_decode(struct record *record, struct outcome *outcome,
              struct attempt *call)
{
    int rc = outcome_decode(record, outcome);

    return rc < 0 ? rc : call_decode(record, outcome, call);
}
