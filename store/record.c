/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* endian.h */
#include "store/record.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#include "base/digest.h"
#include "base/err.h"

static uint64_t
get_be(const unsigned char *in, size_t bytes)
{
    uint64_t word = 0;

    assert(bytes > 0 && bytes <= sizeof(word));
    memcpy(&word, in, bytes);
    return be64toh(word) >> (64 - 8 * bytes);
}

/* The lengths are constants: with a body for each, a field is a few instructions. */
#define FOR_EACH_LENGTH static inline __attribute__((always_inline))

FOR_EACH_LENGTH void
add_be(struct buf *out, uint64_t value, size_t bytes)
{
    record_put_be((unsigned char *)buf_reserve(out, bytes), value, bytes);
    buf_commit(out, bytes);
}

void
record_u8(struct buf *out, unsigned value)
{
    assert(value <= UINT8_MAX);
    add_be(out, value, 1);
}

void
record_u16(struct buf *out, unsigned value)
{
    assert(value <= UINT16_MAX);
    add_be(out, value, 2);
}

void
record_u32(struct buf *out, uint32_t value)
{
    add_be(out, value, 4);
}

void
record_u64(struct buf *out, uint64_t value)
{
    add_be(out, value, 8);
}

void
record_i64(struct buf *out, int64_t value)
{
    add_be(out, (uint64_t)value, 8);
}

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
    if (get_be(data + bytes, RECORD_SEAL_BYTES) !=
        seal_of(table, key, data, bytes)) {
        return E_CORRUPT;
    }
    *record = (struct record){ .at = data, .left = bytes };
    return 0;
}

FOR_EACH_LENGTH uint64_t
take_be(struct record *record, size_t bytes)
{
    uint64_t value;

    if (record->left < bytes) {
        record->is_short = 1;
        record->left = 0;
        return 0;
    }
    value = get_be(record->at, bytes);
    record->at += bytes;
    record->left -= bytes;
    return value;
}

unsigned
record_get_u8(struct record *record)
{
    return (unsigned)take_be(record, 1);
}

unsigned
record_get_u16(struct record *record)
{
    return (unsigned)take_be(record, 2);
}

uint32_t
record_get_u32(struct record *record)
{
    return (uint32_t)take_be(record, 4);
}

uint64_t
record_get_u64(struct record *record)
{
    return take_be(record, 8);
}

int64_t
record_get_i64(struct record *record)
{
    return (int64_t)take_be(record, 8);
}

void
record_get_bytes(struct record *record, void *data, size_t bytes)
{
    if (record->left < bytes) {
        record->is_short = 1;
        record->left = 0;
        memset(data, 0, bytes);
        return;
    }
    memcpy(data, record->at, bytes);
    record->at += bytes;
    record->left -= bytes;
}

struct slice
record_get_str(struct record *record)
{
    size_t bytes = record_get_u32(record);
    struct slice str = { (const char *)record->at, bytes };

    if (record->left < bytes) {
        record->is_short = 1;
        record->left = 0;
        return (struct slice){ 0 };
    }
    record->at += bytes;
    record->left -= bytes;
    return str;
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

uint32_t
key_get_u32(struct slice key, size_t at)
{
    assert(at + 4 <= key.bytes);
    return (uint32_t)get_be((const unsigned char *)key.data + at, 4);
}

uint64_t
key_get_u64(struct slice key, size_t at)
{
    assert(at + 8 <= key.bytes);
    return get_be((const unsigned char *)key.data + at, 8);
}
