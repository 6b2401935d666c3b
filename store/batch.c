/* SPDX-License-Identifier: MIT */
#include "store/batch.h"

#include <assert.h>

#include "base/err.h"

static const struct {
    const char *name;
    unsigned to;
} states[BATCH_STATE_COUNT] = {
#define BATCH_ROW(name, text, to) [BATCH_##name] = { text, to },
    BATCH_STATES(BATCH_ROW)
#undef BATCH_ROW
};

const char *
batch_state_name(enum batch_state state)
{
    assert(state < BATCH_STATE_COUNT);
    return states[state].name;
}

bool
batch_may_move(enum batch_state from, enum batch_state to)
{
    assert(from < BATCH_STATE_COUNT);
    return (states[from].to & (1u << to)) != 0;
}

void
batch_move(struct batch *batch, enum batch_state to)
{
    assert(batch_may_move(batch->state, to));
    batch->state = to;
}

bool
batch_is_live(const struct batch *batch)
{
    return batch->state == BATCH_OPEN || batch_is_under_way(batch);
}

bool
batch_may_run(const struct batch *batch)
{
    return batch->state == BATCH_SEALED ||
           (batch->state == BATCH_OPEN && batch->is_early);
}

bool
batch_is_under_way(const struct batch *batch)
{
    return batch->state == BATCH_SEALED || batch->state == BATCH_PAUSED;
}

bool
batch_has_ended(const struct batch *batch)
{
    return batch->state == BATCH_FINISHED || batch->state == BATCH_CANCELLED ||
           batch->state == BATCH_EXPIRED || batch->state == BATCH_FAILED;
}

uint32_t
batch_done_count(const struct batch *batch)
{
    uint32_t sum = 0;

    for (enum status status = STATUS_OK; status < STATUS_COUNT; status++)
        sum += batch->status_count[status];
    return sum;
}

bool
batch_is_complete(const struct batch *batch)
{
    return batch->retry_count == 0 && batch->retry_mask == 0 &&
           batch_done_count(batch) + batch->refused_count == batch->draft_count;
}

void
batch_encode(const struct batch *batch, struct buf *out)
{
    record_bytes(out, batch->uuid, sizeof(batch->uuid));
    record_u8(out, batch->state);
    record_u8(out, batch->priority);
    record_u8(out, batch->is_early);
    record_i64(out, batch->created_ms);
    record_i64(out, batch->sealed_ms);
    record_i64(out, batch->finished_ms);
    record_i64(out, batch->deadline_ms);
    record_i64(out, batch->lifetime_ms);
    record_i64(out, batch->not_before_ms);
    record_u32(out, batch->chunk_next);
    record_u32(out, batch->draft_count);
    record_u32(out, batch->refused_count);
    record_u32(out, batch->joined_count);
    record_u32(out, batch->cached_count);
    record_u32(out, batch->retry_count);
    record_u32(out, batch->retry_mask);
    record_u32(out, batch->retry_index);
    record_u64(out, batch->last_seq);
    record_u64(out, batch->prompt_tokens);
    record_u64(out, batch->completion_tokens);
    record_u64(out, batch->total_tokens);
    record_i64(out, batch->cost_nano);
    for (enum status status = STATUS_OK; status < STATUS_COUNT; status++)
        record_u32(out, batch->status_count[status]);
    record_u64(out, batch->tail.first.stem);
    record_u64(out, batch->tail.first.number);
    record_u32(out, batch->tail.index);
    record_u32(out, batch->tail.count);
    record_u64(out, batch->tail_limit);
    record_u64(out, batch->segment_first);
}

/* Before format 6 there was none: each name was a row. */
static int
get_tail(struct record *record, struct batch *batch)
{
    batch->tail = (struct run){ 0 };
    batch->tail_limit = 0;
    if (record->left == 0)
        return 0;
    batch->tail.first.stem = record_get_u64(record);
    batch->tail.first.number = record_get_u64(record);
    batch->tail.index = record_get_u32(record);
    batch->tail.count = record_get_u32(record);
    batch->tail_limit = record_get_u64(record);
    return run_fits(&batch->tail) ? 0 : E_CORRUPT;
}

int
batch_decode(struct record *record, struct batch *batch)
{
    unsigned state, is_early;

    record_get_bytes(record, batch->uuid, sizeof(batch->uuid));
    state = record_get_u8(record);
    batch->priority = record_get_u8(record);
    is_early = record_get_u8(record);
    if (state >= BATCH_STATE_COUNT || batch->priority > BATCH_PRIORITY_MAX ||
        is_early > 1) {
        return E_CORRUPT;
    }
    batch->state = state;
    batch->is_early = is_early;
    batch->created_ms = record_get_i64(record);
    batch->sealed_ms = record_get_i64(record);
    batch->finished_ms = record_get_i64(record);
    batch->deadline_ms = record_get_i64(record);
    batch->lifetime_ms = record_get_i64(record);
    batch->not_before_ms = record_get_i64(record);
    batch->chunk_next = record_get_u32(record);
    batch->draft_count = record_get_u32(record);
    batch->refused_count = record_get_u32(record);
    batch->joined_count = record_get_u32(record);
    batch->cached_count = record_get_u32(record);
    batch->retry_count = record_get_u32(record);
    batch->retry_mask = record_get_u32(record);
    batch->retry_index = record_get_u32(record);
    batch->last_seq = record_get_u64(record);
    batch->prompt_tokens = record_get_u64(record);
    batch->completion_tokens = record_get_u64(record);
    batch->total_tokens = record_get_u64(record);
    batch->cost_nano = record_get_i64(record);
    batch->status_count[STATUS_NONE] = 0;
    for (enum status status = STATUS_OK; status < STATUS_COUNT; status++)
        batch->status_count[status] = record_get_u32(record);
    if (get_tail(record, batch) < 0)
        return E_CORRUPT;
    /* Before format 7 there was none: each result was a row of `done`. */
    batch->segment_first = record->left ? record_get_u64(record) : 0;
    return record_end(record);
}

void
spec_encode(const struct spec *spec, struct buf *out)
{
    record_str(out, spec->client);
    record_str(out, spec->key);
    record_str(out, spec->name);
    record_str(out, spec->metadata);
    record_str(out, spec->window);
    record_str(out, spec->tz);
    record_str(out, spec->options);
}

int
spec_decode(struct record *record, struct spec *spec)
{
    spec->client = record_get_str(record);
    spec->key = record_get_str(record);
    spec->name = record_get_str(record);
    spec->metadata = record_get_str(record);
    spec->window = record_get_str(record);
    spec->tz = record_get_str(record);
    spec->options = record_get_str(record);
    return record_end(record);
}
