/* SPDX-License-Identifier: MIT */
#include "base/base64.h"

#include <stdint.h>
#include <string.h>

#include "base/err.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop"
                             "qrstuvwxyz0123456789+/";

/* The digit for the lowest six bits. */
static char
digit(uint32_t bits)
{
    return digits[bits & 63];
}

void
base64_add(struct buf *out, struct slice bytes)
{
    for (size_t i = 0; i < bytes.bytes; i += 3) {
        size_t left = bytes.bytes - i;
        uint32_t three = (uint32_t)(unsigned char)bytes.data[i] << 16;

        if (left > 1)
            three |= (uint32_t)(unsigned char)bytes.data[i + 1] << 8;
        if (left > 2)
            three |= (unsigned char)bytes.data[i + 2];
        buf_add_char(out, digit(three >> 18));
        buf_add_char(out, digit(three >> 12));
        if (left > 1)
            buf_add_char(out, digit(three >> 6));
        if (left > 2)
            buf_add_char(out, digit(three));
        for (size_t j = left; j < 3; j++)
            buf_add_char(out, '=');
    }
}

/* The bytes of four characters, of which the last `padding` are none. */
static int
decode_four(const char *four, size_t padding, struct buf *out)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < 4; i++) {
        const char *at = NULL;

        if (i < 4 - padding) {
            at = four[i] ? strchr(digits, four[i]) : NULL;
            if (!at)
                return E_INVALID;
        }
        bits = bits << 6 | (at ? (uint32_t)(at - digits) : 0);
    }
    if (bits & ((UINT32_C(1) << 8 * padding) - 1))
        return E_INVALID;
    for (size_t i = 0; i < 3 - padding; i++)
        buf_add_char(out, (char)(bits >> (16 - 8 * i) & 0xff));
    return 0;
}

int
base64_decode(struct slice text, struct buf *out)
{
    if (text.bytes % 4 != 0)
        return E_INVALID;
    for (size_t i = 0; i < text.bytes; i += 4) {
        const char *four = text.data + i;
        size_t padding = 0;

        if (i + 4 == text.bytes && four[3] == '=')
            padding = four[2] == '=' ? 2 : 1;
        if (decode_four(four, padding, out) < 0)
            return E_INVALID;
    }
    return 0;
}
