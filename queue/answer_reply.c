/* SPDX-License-Identifier: MIT */
#include "queue/core.h"

/* The result that a message asks for: the draft's at exactly that index. */
static int
find_row(struct call *call, const struct batch *batch, int64_t index,
         struct result_row *row)
{
    int rc = store_result_at(call->broker->env.store, batch->id,
                             (uint32_t)index, row);

    if (rc == 0 && row->draft.index != (uint32_t)index)
        rc = E_NOTFOUND;
    if (rc == 0 && row->draft.status == STATUS_OK && !row->has_outcome)
        rc = E_CORRUPT;
    if (rc < 0)
        return err_set(call->err, rc, "draft %lld has no result",
                       (long long)index);
    return 0;
}

static void
add_outcome(cJSON *head, const struct result_row *row)
{
    static const struct outcome none = { 0 };
    const struct outcome *outcome = row->has_outcome ? &row->outcome : &none;

    wire_add_str(head, "status", status_name(row->draft.status));
    wire_add_int(head, "seq", (int64_t)row->draft.seq);
    wire_add_int(head, "http_status", outcome->http_status);
    wire_add_slice(head, "code", outcome->code);
    wire_add_slice(head, "message", outcome->message);
    wire_add_slice(head, "upstream", outcome->upstream);
    wire_add_str(head, "cache", cache_tier_name(row->draft.tier));
    wire_add_int(head, "attempts", outcome->attempts);
}

int
answer_reply(struct call *call)
{
    size_t bytes_max = (size_t)call->broker->env.conf->results_page_bytes_max;
    struct slice reply = { 0 };
    struct result_row row;
    struct batch batch;
    int64_t index, at;
    cJSON *head;
    int rc = core_batch(call, &batch);

    if (rc < 0)
        return rc;
    if (wire_int(call->wire, "index", wire_range(0, UINT32_MAX), &index,
                 call->err) < 0 ||
        wire_int(call->wire, "at", wire_range_or(0, WIRE_INT_MAX, 0), &at,
                 call->err) < 0) {
        return E_INVALID;
    }
    rc = find_row(call, &batch, index, &row);
    if (rc < 0)
        return rc;
    /* Behind the reply stands what was put together from it. */
    if (row.has_outcome && row.outcome.reply_bytes <= row.reply.bytes)
        reply = (struct slice){ row.reply.data, row.outcome.reply_bytes };
    if ((uint64_t)at > reply.bytes)
        at = (int64_t)reply.bytes;
    head = core_answer(call, "reply");
    add_outcome(head, &row);
    wire_add_int(head, "bytes", (int64_t)reply.bytes);
    wire_add_int(head, "at", at);
    reply.data += at;
    reply.bytes -= (size_t)at;
    wire_add_bool(head, "more", reply.bytes > bytes_max);
    if (reply.bytes > bytes_max)
        reply.bytes = bytes_max;
    buf_add_slice(core_send(call, head), reply);
    return 0;
}
