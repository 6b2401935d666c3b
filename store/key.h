/*
 * key.h - keys of rows: numbers of a fixed width, and digests
 *
 * Byte order is the order of the numbers. A key is put together part by part, and
 * read at the places where its parts are. All of it is here: a call that hands a key
 * in and out copies it twice.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_KEY_H
#define STORE_KEY_H

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "store/number.h"

struct key {
    unsigned char bytes[64];
    size_t count;
};

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
    number_put(key.bytes + key.count, value, bytes);
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
static inline uint32_t
key_get_u32(struct slice key, size_t at)
{
    assert(at + 4 <= key.bytes);
    return number_get32((const unsigned char *)key.data + at);
}

static inline uint64_t
key_get_u64(struct slice key, size_t at)
{
    assert(at + 8 <= key.bytes);
    return number_get64((const unsigned char *)key.data + at);
}

#endif
