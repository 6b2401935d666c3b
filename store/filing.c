/* SPDX-License-Identifier: MIT */
#include "store/filing.h"

#include <assert.h>
#include <string.h>

#include "store/table.h"

static const char *const endpoints[ENDPOINT_COUNT] = {
#define ENDPOINT_ROW(name, text) [ENDPOINT_##name] = text,
    FILING_ENDPOINTS(ENDPOINT_ROW)
#undef ENDPOINT_ROW
};

static const unsigned phases[FILING_PHASE_COUNT] = {
#define PHASE_ROW(name, to) [FILING_##name] = to,
    FILING_PHASES(PHASE_ROW)
#undef PHASE_ROW
};

const char *
filing_endpoint_name(enum filing_endpoint endpoint)
{
    assert(endpoint < ENDPOINT_COUNT);
    return endpoints[endpoint];
}

int
filing_endpoint_parse(const char *name)
{
    for (int i = 0; i < ENDPOINT_COUNT; i++) {
        if (strcmp(endpoints[i], name) == 0)
            return i;
    }
    return -1;
}

void
filing_move(struct filing *filing, enum filing_phase to)
{
    assert(phases[filing->phase] & (1u << to));
    filing->phase = to;
}

void
filing_encode(const struct filing *filing, struct buf *out)
{
    record_u8(out, filing->phase);
    record_u8(out, filing->endpoint);
    record_u8(out, filing->is_skipping);
    record_u64(out, filing->input);
    record_bytes(out, filing->input_uuid, sizeof(filing->input_uuid));
    record_u64(out, filing->read_at);
    record_u32(out, filing->lines);
    record_i64(out, filing->ttl_ms);
    record_i64(out, filing->made_ms);
    record_i64(out, filing->filed_ms);
    record_u32(out, filing->phase == FILING_READING ? filing->inputs
                                                    : filing->make_at);
    for (int side = 0; side < FILING_SIDES; side++) {
        record_u64(out, filing->making[side]);
        record_bytes(out, filing->made[side], sizeof(filing->made[side]));
    }
}

int
filing_decode(struct record *record, struct filing *filing)
{
    unsigned phase = record_get_u8(record), endpoint = record_get_u8(record);
    unsigned is_skipping = record_get_u8(record);

    if (phase >= FILING_PHASE_COUNT || endpoint >= ENDPOINT_COUNT ||
        is_skipping > 1) {
        return E_CORRUPT;
    }
    filing->phase = phase;
    filing->endpoint = endpoint;
    filing->is_skipping = is_skipping;
    filing->input = record_get_u64(record);
    record_get_bytes(record, filing->input_uuid, sizeof(filing->input_uuid));
    filing->read_at = record_get_u64(record);
    filing->lines = record_get_u32(record);
    filing->ttl_ms = record_get_i64(record);
    filing->made_ms = record_get_i64(record);
    filing->filed_ms = record_get_i64(record);
    if (phase == FILING_READING)
        filing->inputs = record_get_u32(record);
    else
        filing->make_at = record_get_u32(record);
    for (int side = 0; side < FILING_SIDES; side++) {
        filing->making[side] = record_get_u64(record);
        record_get_bytes(record, filing->made[side],
                         sizeof(filing->made[side]));
    }
    return record_end(record);
}

int
store_filing_get(struct store *store, uint64_t batch, struct filing *filing)
{
    struct record record;
    int rc = table_get(store, TABLE_FILING, key_id(batch), &record);

    if (rc < 0)
        return rc;
    *filing = (struct filing){ .batch = batch };
    return filing_decode(&record, filing);
}

void
store_filing_put(struct store *store, const struct filing *filing)
{
    assert(filing->batch > 0);
    filing_encode(filing, table_fields(store));
    table_put(store, TABLE_FILING, key_id(filing->batch));
}
