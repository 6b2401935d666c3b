/* SPDX-License-Identifier: MIT */
#include "base/utf8.h"

#include <assert.h>

/* How many bytes follow a lead byte; 0 for ASCII and for what leads nothing. */
static size_t
trail_count(unsigned char lead)
{
    if (lead >= 0xC2 && lead <= 0xDF)
        return 1;
    if (lead >= 0xE0 && lead <= 0xEF)
        return 2;
    return lead >= 0xF0 && lead <= 0xF4 ? 3 : 0;
}

/* The second byte of some sequences has a narrower range: no overlong forms, no
 * surrogates, nothing above U+10FFFF. */
static bool
is_trail(unsigned char lead, size_t place, unsigned char byte)
{
    unsigned char least = 0x80, most = 0xBF;

    if (place == 1) {
        if (lead == 0xE0)
            least = 0xA0;
        else if (lead == 0xED)
            most = 0x9F;
        else if (lead == 0xF0)
            least = 0x90;
        else if (lead == 0xF4)
            most = 0x8F;
    }
    return byte >= least && byte <= most;
}

/* Decodes the code point at the beginning. -1 if it is ill-formed; *used is
 * then the longest part that could have become one, as Unicode advises and as
 * ICU counts. The text is not empty. */
static int32_t
decode(struct slice text, size_t *used)
{
    const unsigned char *bytes = (const unsigned char *)text.data;
    size_t trails = trail_count(bytes[0]);
    int32_t c = bytes[0];

    *used = 1;
    if (c < 0x80)
        return c;
    if (trails == 0)
        return -1;
    c &= 0x3F >> trails;
    for (size_t i = 1; i <= trails; i++) {
        if (i == text.bytes || !is_trail(bytes[0], i, bytes[i]))
            return -1;
        c = c << 6 | (bytes[i] & 0x3F);
        *used = i + 1;
    }
    return c;
}

/* Decodes the code point at the end; *used is its length. The text is not
 * empty. */
static int32_t
decode_last(struct slice text, size_t *used)
{
    for (size_t back = 1; back <= 4 && back <= text.bytes; back++) {
        struct slice tail = { text.data + text.bytes - back, back };
        int32_t c;

        if (((unsigned char)tail.data[0] & 0xC0) == 0x80)
            continue;
        c = decode(tail, used);
        if (*used == back)
            return c;
        break;
    }
    *used = 1;
    return -1;
}

size_t
utf8_count(struct slice text)
{
    size_t count = 0;

    while (utf8_next(&text) != UTF8_END)
        count++;
    return count;
}

bool
utf8_is_valid(struct slice text)
{
    size_t used;

    while (text.bytes) {
        if (decode(text, &used) < 0)
            return false;
        text.data += used;
        text.bytes -= used;
    }
    return true;
}

struct slice
utf8_cut(struct slice text, size_t bytes_max)
{
    size_t at = bytes_max;

    if (text.bytes <= bytes_max)
        return text;
    /* Go back to the lead of a sequence that the limit would split. */
    for (size_t back = 1; back <= 3 && back <= bytes_max; back++) {
        unsigned char byte = (unsigned char)text.data[bytes_max - back];

        if ((byte & 0xC0) != 0x80) {
            if (trail_count(byte) >= back)
                at = bytes_max - back;
            break;
        }
    }
    text.bytes = at;
    return text;
}

/* What was decoded, for those who only walk. */
static int32_t
shown(int32_t c)
{
    return c < 0 ? UTF8_REPLACEMENT : c;
}

int32_t
utf8_next(struct slice *rest)
{
    size_t used;
    int32_t c;

    if (rest->bytes == 0)
        return UTF8_END;
    c = decode(*rest, &used);
    rest->data += used;
    rest->bytes -= used;
    return shown(c);
}

int32_t
utf8_previous(struct slice *rest)
{
    size_t used;
    int32_t c;

    if (rest->bytes == 0)
        return UTF8_END;
    c = decode_last(*rest, &used);
    rest->bytes -= used;
    return shown(c);
}

int32_t
utf8_first(struct slice text)
{
    return utf8_next(&text);
}

int32_t
utf8_last(struct slice text)
{
    return utf8_previous(&text);
}

void
utf8_add(struct buf *buf, int32_t c)
{
    unsigned char bytes[4];
    size_t trails = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;

    assert(c >= 0);
    assert(c <= 0x10FFFF);
    for (size_t i = trails; i > 0; i--) {
        bytes[i] = (unsigned char)(0x80 | (c & 0x3F));
        c >>= 6;
    }
    /* The lead byte begins with one more set bit than it has trails. */
    bytes[0] = (unsigned char)(trails ? (0xFF00 >> (trails + 1)) | c : c);
    buf_add(buf, bytes, trails + 1);
}
