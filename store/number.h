/*
 * number.h - numbers as they stand in keys and records: the first byte counts most
 *
 * Written so that compilers make one word of each, and here, as a call takes longer
 * than that: a draft has some hundred of them.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_NUMBER_H
#define STORE_NUMBER_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Writes a number of up to eight bytes. */
static inline void
number_put(unsigned char *out, uint64_t value, size_t bytes)
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

/* The number in eight bytes, in four, in two. */
static inline uint64_t
number_get64(const unsigned char *in)
{
    return (uint64_t)in[0] << 56 | (uint64_t)in[1] << 48 |
           (uint64_t)in[2] << 40 | (uint64_t)in[3] << 32 |
           (uint64_t)in[4] << 24 | (uint64_t)in[5] << 16 |
           (uint64_t)in[6] << 8 | (uint64_t)in[7];
}

static inline uint32_t
number_get32(const unsigned char *in)
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 |
           (uint32_t)in[2] << 8 | (uint32_t)in[3];
}

static inline uint16_t
number_get16(const unsigned char *in)
{
    return (uint16_t)(in[0] << 8 | in[1]);
}

#endif
