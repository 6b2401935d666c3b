/* SPDX-License-Identifier: MIT */
#include "store/draft.h"

#include <assert.h>

#include "base/digest.h"
#include "base/err.h"
#include "store/part.h"

static const char *const tier_names[CACHE_TIER_COUNT] = {
    [CACHE_NONE] = "none",
    [CACHE_MEMORY] = "memory",
    [CACHE_STORE] = "store",
    [CACHE_JOINED] = "joined",
};

const char *
cache_tier_name(enum cache_tier tier)
{
    assert(tier < CACHE_TIER_COUNT);
    return tier_names[tier];
}

uint32_t
draft_line_check(struct slice line)
{
    return (uint32_t)digest_xxh(line.data, line.bytes, 0);
}

bool
draft_improves(const struct draft *draft, enum status status)
{
    assert(status != STATUS_NONE);
    if (draft->status == STATUS_NONE)
        return true;
    if (draft->status == STATUS_OK || draft->status == STATUS_CANCELLED)
        return false;
    return status == STATUS_OK;
}

void
draft_encode(const struct draft *draft, struct buf *out)
{
    record_u64(out, draft->request);
    record_u64(out, draft->answered_by);
    part_encode(draft->part, draft->at, out);
    record_u32(out, draft->bytes);
    record_u32(out, draft->line_check);
    record_u32(out, draft->id_at);
    record_u16(out, draft->id_bytes);
    record_u32(out, draft->meta_at);
    record_u32(out, draft->meta_bytes);
    record_u64(out, draft->seq);
    record_u32(out, draft->revision);
    record_u8(out, draft->is_retrying);
    record_u8(out, draft->status);
    record_u8(out, draft->tier);
    record_i64(out, draft->completed_ms);
    record_i64(out, draft->cost_nano);
}

int
draft_decode(struct record *record, struct draft *draft)
{
    unsigned is_retrying, status, tier;

    draft->request = record_get_u64(record);
    draft->answered_by = record_get_u64(record);
    draft->part = part_decode(record, &draft->at);
    draft->bytes = record_get_u32(record);
    draft->line_check = record_get_u32(record);
    draft->id_at = record_get_u32(record);
    draft->id_bytes = record_get_u16(record);
    draft->meta_at = record_get_u32(record);
    draft->meta_bytes = record_get_u32(record);
    draft->seq = record_get_u64(record);
    draft->revision = record_get_u32(record);
    is_retrying = record_get_u8(record);
    status = record_get_u8(record);
    tier = record_get_u8(record);
    if (is_retrying > 1 || status >= STATUS_COUNT || tier >= CACHE_TIER_COUNT)
        return E_CORRUPT;
    draft->is_retrying = is_retrying;
    draft->status = status;
    draft->tier = tier;
    draft->completed_ms = record_get_i64(record);
    draft->cost_nano = record_get_i64(record);
    return record_end(record);
}
