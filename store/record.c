/* SPDX-License-Identifier: MIT */
#include "store/record.h"

#include <assert.h>
#include <string.h>

#include "base/digest.h"
#include "base/err.h"

void
record_bytes(struct buf *out, const void *data, size_t bytes)
{
    buf_add(out, data, bytes);
}

void
record_str(struct buf *out, struct slice str)
{
    assert(str.bytes <= UINT32_MAX);
    record_u32(out, (uint32_t)str.bytes);
    buf_add_slice(out, str);
}

/* The key's hash is the seed for the fields': one seal for all three. */
static uint32_t
seal_of(unsigned table, struct slice key, const void *data, size_t bytes)
{
    uint64_t seed = digest_xxh(key.data, key.bytes, table);

    return (uint32_t)digest_xxh(data, bytes, seed);
}

void
record_seal(struct buf *out, unsigned table, struct slice key)
{
    record_u32(out, seal_of(table, key, out->data, out->bytes));
}

int
record_open(struct record *record, unsigned table, struct slice key,
            struct slice value)
{
    const unsigned char *data = (const unsigned char *)value.data;
    size_t bytes;

    if (value.bytes < RECORD_SEAL_BYTES)
        return E_CORRUPT;
    bytes = value.bytes - RECORD_SEAL_BYTES;
    if (number_get32(data + bytes) != seal_of(table, key, data, bytes))
        return E_CORRUPT;
    *record = (struct record){ .at = data, .left = bytes };
    return 0;
}

struct slice
record_get_str(struct record *record)
{
    size_t bytes = record_get_u32(record);
    const unsigned char *at = record_step(record, bytes);

    return (struct slice){ (const char *)at, at ? bytes : 0 };
}

int
record_get_text(struct record *record, char *out, size_t size)
{
    struct slice text = record_get_str(record);

    memset(out, 0, size);
    if (text.bytes >= size)
        return E_CORRUPT;
    if (text.bytes && memchr(text.data, '\0', text.bytes))
        return E_CORRUPT;
    if (text.bytes)
        memcpy(out, text.data, text.bytes);
    return 0;
}

int
record_end(const struct record *record)
{
    return record->is_short ? E_CORRUPT : 0;
}
