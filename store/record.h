/*
 * record.h - fields into bytes and back, as FORMAT.md lays them out
 *
 * A writer appends fields to a buf and seals it with a checksum that covers the
 * table, the key and the fields. A reader checks the seal, then takes the
 * fields in order. Reading behind the end gives zeroes and is remembered, so
 * that a decoder asks once, at its end: record_end().
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_RECORD_H
#define STORE_RECORD_H

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "store/key.h"

#define RECORD_SEAL_BYTES 4

/* Append one field. Those of a fixed length are here, as a row of a batch has forty
 * of them, and a call takes longer than one. */
static inline void
record_number(struct buf *out, uint64_t value, size_t bytes)
{
    number_put((unsigned char *)buf_reserve(out, bytes), value, bytes);
    buf_commit(out, bytes);
}

static inline void
record_u8(struct buf *out, unsigned value)
{
    assert(value <= UINT8_MAX);
    record_number(out, value, 1);
}

static inline void
record_u16(struct buf *out, unsigned value)
{
    assert(value <= UINT16_MAX);
    record_number(out, value, 2);
}

static inline void
record_u32(struct buf *out, uint32_t value)
{
    record_number(out, value, 4);
}

static inline void
record_u64(struct buf *out, uint64_t value)
{
    record_number(out, value, 8);
}

static inline void
record_i64(struct buf *out, int64_t value)
{
    record_number(out, (uint64_t)value, 8);
}

void record_bytes(struct buf *out, const void *data, size_t bytes);
void record_str(struct buf *out, struct slice str);

/* Appends the checksum of what out holds. */
void record_seal(struct buf *out, unsigned table, struct slice key);

struct record {
    const unsigned char *at;
    size_t left;
    int is_short; /* a field was not there */
};

/* Checks a sealed value and begins to read it. E_CORRUPT. The slice must
 * outlive the reading. */
int record_open(struct record *record, unsigned table, struct slice key,
                struct slice value) __attribute__((warn_unused_result));

/* The next `bytes` bytes; NULL, and nothing more is there, if there are not so
 * many. */
static inline const unsigned char *
record_step(struct record *record, size_t bytes)
{
    const unsigned char *at = record->at;

    if (record->left < bytes) {
        record->is_short = 1;
        record->left = 0;
        return NULL;
    }
    record->at += bytes;
    record->left -= bytes;
    return at;
}

/* Take the next field. */
static inline unsigned
record_get_u8(struct record *record)
{
    const unsigned char *at = record_step(record, 1);

    return at ? *at : 0;
}

static inline unsigned
record_get_u16(struct record *record)
{
    const unsigned char *at = record_step(record, 2);

    return at ? number_get16(at) : 0;
}

static inline uint32_t
record_get_u32(struct record *record)
{
    const unsigned char *at = record_step(record, 4);

    return at ? number_get32(at) : 0;
}

static inline uint64_t
record_get_u64(struct record *record)
{
    const unsigned char *at = record_step(record, 8);

    return at ? number_get64(at) : 0;
}

static inline int64_t
record_get_i64(struct record *record)
{
    return (int64_t)record_get_u64(record);
}

static inline void
record_get_bytes(struct record *record, void *data, size_t bytes)
{
    const unsigned char *at = record_step(record, bytes);

    if (at)
        memcpy(data, at, bytes);
    else
        memset(data, 0, bytes);
}

/* A borrowed string. */
struct slice record_get_str(struct record *record);

/* A string as text with its NUL, of at most `size` bytes in all. E_CORRUPT: it
 * is longer, or holds a NUL. */
int record_get_text(struct record *record, char *out, size_t size)
    __attribute__((warn_unused_result));

/* 0 if all fields were there, else E_CORRUPT. Bytes that are left over belong
 * to a later version of the same format and are no error. */
int record_end(const struct record *record) __attribute__((warn_unused_result));

#endif
