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

#define RECORD_SEAL_BYTES 4

/* Append one field. */
void record_u8(struct buf *out, unsigned value);
void record_u16(struct buf *out, unsigned value);
void record_u32(struct buf *out, uint32_t value);
void record_u64(struct buf *out, uint64_t value);
void record_i64(struct buf *out, int64_t value);
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

/* Take the next field. */
unsigned record_get_u8(struct record *record);
unsigned record_get_u16(struct record *record);
uint32_t record_get_u32(struct record *record);
uint64_t record_get_u64(struct record *record);
int64_t record_get_i64(struct record *record);
void record_get_bytes(struct record *record, void *data, size_t bytes);

/* A borrowed string. */
struct slice record_get_str(struct record *record);

/* A string as text with its NUL, of at most `size` bytes in all. E_CORRUPT: it
 * is longer, or holds a NUL. */
int record_get_text(struct record *record, char *out, size_t size)
    __attribute__((warn_unused_result));

/* 0 if all fields were there, else E_CORRUPT. Bytes that are left over belong
 * to a later version of the same format and are no error. */
int record_end(const struct record *record) __attribute__((warn_unused_result));

/* Fixed-width keys. */
struct key {
    unsigned char bytes[64];
    size_t count;
};

/* A number of up to eight bytes as it stands in records and keys. Written so that
 * compilers make one word of it: a draft has some hundred of these. Here, as are
 * keys: a call that hands a key in and out copies it twice. */
static inline void
record_put_be(unsigned char *out, uint64_t value, size_t bytes)
{
    const unsigned char word[8] = {
        (unsigned char)(value >> 56), (unsigned char)(value >> 48),
        (unsigned char)(value >> 40), (unsigned char)(value >> 32),
        (unsigned char)(value >> 24), (unsigned char)(value >> 16),
        (unsigned char)(value >> 8),  (unsigned char)value,
    };

    assert(bytes > 0 && bytes <= sizeof(word));
    memcpy(out, word + sizeof(word) - bytes, bytes);
}

/* An empty key; append to it in order. */
static inline struct key
key_start(void)
{
    return (struct key){ .count = 0 };
}

static inline struct key
key_bytes(struct key key, const void *data, size_t bytes)
{
    assert(key.count + bytes <= sizeof(key.bytes));
    memcpy(key.bytes + key.count, data, bytes);
    key.count += bytes;
    return key;
}

static inline struct key
key_number(struct key key, uint64_t value, size_t bytes)
{
    assert(key.count + bytes <= sizeof(key.bytes));
    record_put_be(key.bytes + key.count, value, bytes);
    key.count += bytes;
    return key;
}

static inline struct key
key_u8(struct key key, unsigned value)
{
    return key_number(key, value, 1);
}

static inline struct key
key_u32(struct key key, uint32_t value)
{
    return key_number(key, value, 4);
}

static inline struct key
key_u64(struct key key, uint64_t value)
{
    return key_number(key, value, 8);
}

static inline struct slice
key_slice(const struct key *key)
{
    return (struct slice){ (const char *)key->bytes, key->count };
}

/* Reads integers out of a stored key at byte offset `at`. */
uint32_t key_get_u32(struct slice key, size_t at);
uint64_t key_get_u64(struct slice key, size_t at);

#endif
