/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* newlocale, strtod_l */
#include "base/json.h"

#include <assert.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/log.h"

#define UTF8_MAX     4 /* bytes of one character */
#define QUOTES_BYTES 2
#define REPLACEMENT  0xfffd /* stands for a lone surrogate */
#define BLOCK_BYTES  16     /* looked at at once */
#define BLOCKS_MAX   255    /* counted in bytes before they are added up */

static bool
has_type(const struct json_doc *doc, size_t at, enum json_type type)
{
    return at < doc->count && doc->tokens[at].type == type;
}

/* Writes a code point, which is no surrogate, and returns its length. */
static size_t
encode(uint32_t point, char utf8[UTF8_MAX])
{
    static const unsigned char leads[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    size_t bytes = point < 0x80 ? 1 : point < 0x800 ? 2 : 3;

    if (point > 0xffff)
        bytes = 4;
    for (size_t i = bytes - 1; i > 0; i--) {
        utf8[i] = (char)(0x80 | (point & 0x3f));
        point >>= 6;
    }
    utf8[0] = (char)(leads[bytes] | point);
    return bytes;
}

static void
skip(struct slice *rest, size_t bytes)
{
    assert(bytes <= rest->bytes);
    rest->data += bytes;
    rest->bytes -= bytes;
}

/* Takes \uXXXX, or two of them that are a pair, off the rest. */
static uint32_t
take_unicode(struct slice *rest, size_t *lone_count)
{
    int32_t high, low = -1;

    assert(rest->bytes >= 6);
    high = json_hex4(rest->data + 2, 4);
    assert(high >= 0);
    skip(rest, 6);
    if (high < 0xd800 || high > 0xdfff)
        return (uint32_t)high;
    if (high < 0xdc00 && rest->bytes >= 6 && memcmp(rest->data, "\\u", 2) == 0)
        low = json_hex4(rest->data + 2, 4);
    if (low < 0xdc00 || low > 0xdfff) {
        ++*lone_count;
        return REPLACEMENT;
    }
    skip(rest, 6);
    return 0x10000 + ((uint32_t)(high - 0xd800) << 10) +
           (uint32_t)(low - 0xdc00);
}

/* Takes the next piece off the inside of a string: all up to an escape as it
 * stands, or one escape decoded into utf8. */
static struct slice
take_piece(struct slice *rest, char utf8[UTF8_MAX], size_t *lone_count)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    struct slice piece = { rest->data, rest->bytes };
    const char *letter, *slash = memchr(rest->data, '\\', rest->bytes);

    if (slash != rest->data) {
        if (slash)
            piece.bytes = (size_t)(slash - rest->data);
        skip(rest, piece.bytes);
        return piece;
    }
    assert(rest->bytes >= 2);
    piece.data = utf8;
    if (slash[1] == 'u') {
        piece.bytes = encode(take_unicode(rest, lone_count), utf8);
        return piece;
    }
    letter = memchr(letters, slash[1], sizeof(letters) - 1);
    assert(letter);
    utf8[0] = meanings[letter - letters];
    piece.bytes = 1;
    skip(rest, 2);
    return piece;
}

/* True if the inside of a string, decoded, is this name. */
static bool
spells(struct slice inner, struct slice name)
{
    char utf8[UTF8_MAX];
    size_t lone_count = 0;

    /* Decoding never lengthens. */
    if (inner.bytes < name.bytes)
        return false;
    while (inner.bytes > 0) {
        struct slice piece = take_piece(&inner, utf8, &lone_count);

        if (piece.bytes > name.bytes ||
            memcmp(piece.data, name.data, piece.bytes) != 0) {
            return false;
        }
        skip(&name, piece.bytes);
    }
    return name.bytes == 0;
}

/* True if the string at `at`, decoded, is this name. */
static bool
is_name(const struct json_doc *doc, size_t at, struct slice name)
{
    struct slice inner = json_inner(doc, at);

    return doc->tokens[at].is_plain ? slice_equal(inner, name)
                                    : spells(inner, name);
}

static size_t
find_member(const struct json_doc *doc, size_t at, struct slice name)
{
    const struct json_token *tokens = doc->tokens;

    if (!has_type(doc, at, JSON_OBJECT))
        return JSON_NONE;
    for (size_t i = at + 1; i < tokens[at].next; i = tokens[i].next) {
        const char *inner = doc->text + tokens[i].start + 1;

        /* Decoding never lengthens, and most names differ in their first
         * byte. */
        if (tokens[i].bytes < name.bytes + QUOTES_BYTES ||
            (name.bytes > 0 && *inner != *name.data && *inner != '\\')) {
            continue;
        }
        if (is_name(doc, i, name))
            return i + 1;
    }
    return JSON_NONE;
}

/* An element whose number is written in decimal, without a leading zero. */
static size_t
find_element(const struct json_doc *doc, size_t at, struct slice number)
{
    size_t nth = 0;

    if (number.bytes == 0 || (number.data[0] == '0' && number.bytes > 1))
        return JSON_NONE;
    for (size_t i = 0; i < number.bytes; i++) {
        char c = number.data[i];

        if (c < '0' || c > '9' || nth > JSON_TOKEN_MAX)
            return JSON_NONE;
        nth = nth * 10 + (size_t)(c - '0');
    }
    return json_element(doc, at, nth);
}

size_t
json_member(const struct json_doc *doc, size_t at, const char *name)
{
    return find_member(doc, at, slice_of(name));
}

size_t
json_element(const struct json_doc *doc, size_t at, size_t nth)
{
    if (!has_type(doc, at, JSON_ARRAY))
        return JSON_NONE;
    for (size_t i = at + 1; i < doc->tokens[at].next; i = doc->tokens[i].next) {
        if (nth-- == 0)
            return i;
    }
    return JSON_NONE;
}

size_t
json_path(const struct json_doc *doc, size_t at, const char *path)
{
    const char *step = path;

    if (at >= doc->count)
        return JSON_NONE;
    if (*path == '\0')
        return at;
    for (;;) {
        struct slice name = { step, strcspn(step, ".") };

        at = has_type(doc, at, JSON_ARRAY) ? find_element(doc, at, name)
                                           : find_member(doc, at, name);
        step += name.bytes;
        if (at == JSON_NONE || *step == '\0')
            return at;
        step++;
    }
}

struct slice
json_raw(const struct json_doc *doc, size_t at)
{
    const struct json_token *token;

    if (at >= doc->count)
        return (struct slice){ 0 };
    token = &doc->tokens[at];
    return (struct slice){ doc->text + token->start, token->bytes };
}

struct slice
json_inner(const struct json_doc *doc, size_t at)
{
    struct slice raw = json_raw(doc, at);

    if (!has_type(doc, at, JSON_STRING))
        return (struct slice){ 0 };
    return (struct slice){ raw.data + 1, raw.bytes - 2 };
}

uint64_t
json_name_bit(struct slice name)
{
    size_t mix = name.bytes;

    if (name.bytes > 0) {
        mix += 5 * (size_t)(unsigned char)name.data[0];
        mix += 11 * (size_t)(unsigned char)name.data[name.bytes - 1];
    }
    return UINT64_C(1) << mix % 64;
}

bool
json_is(const struct json_doc *doc, size_t at, const char *str)
{
    return has_type(doc, at, JSON_STRING) && is_name(doc, at, slice_of(str));
}

size_t
json_decode(const struct json_doc *doc, size_t at, struct buf *out)
{
    struct slice inner = json_inner(doc, at);

    if (inner.bytes > 0 && doc->tokens[at].is_plain) {
        buf_add_slice(out, inner);
        return 0;
    }
    return json_decode_inner(inner, out);
}

size_t
json_decode_inner(struct slice inner, struct buf *out)
{
    char utf8[UTF8_MAX];
    size_t lone_count = 0;

    if (inner.bytes > 0)
        buf_reserve(out, inner.bytes);
    while (inner.bytes > 0)
        buf_add_slice(out, take_piece(&inner, utf8, &lone_count));
    return lone_count;
}

int
json_int(const struct json_doc *doc, size_t at, int64_t min, int64_t max,
         int64_t *value)
{
    struct slice raw = json_raw(doc, at);
    bool is_negative;
    int64_t sum = 0;

    if (!has_type(doc, at, JSON_NUMBER))
        return E_INVALID;
    is_negative = raw.data[0] == '-';
    /* Summed up below zero, where there is room for INT64_MIN. */
    for (size_t i = is_negative ? 1 : 0; i < raw.bytes; i++) {
        char c = raw.data[i];

        if (c < '0' || c > '9' || __builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_sub_overflow(sum, c - '0', &sum)) {
            return E_INVALID;
        }
    }
    if (!is_negative && __builtin_sub_overflow(0, sum, &sum))
        return E_INVALID;
    if (sum < min || sum > max)
        return E_INVALID;
    *value = sum;
    return 0;
}

int
json_double(const struct json_doc *doc, size_t at, double *value)
{
    struct slice raw = json_raw(doc, at);
    char text[JSON_DOUBLE_MAX + 1];
    locale_t plain;
    double result;

    if (!has_type(doc, at, JSON_NUMBER) || raw.bytes > JSON_DOUBLE_MAX)
        return E_INVALID;
    memcpy(text, raw.data, raw.bytes);
    text[raw.bytes] = '\0';
    /* The C library has this one at hand: nothing is allocated. */
    plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!plain)
        log_fatal("event=locale_failed reason=\"no C locale\"");
    result = strtod_l(text, NULL, plain);
    freelocale(plain);
    if (!isfinite(result))
        return E_INVALID;
    *value = result;
    return 0;
}

/* The bytes that go on with a character, 10xxxxxx, a block at a time: each of
 * its bytes has a count of its own. */
static size_t
count_followers(struct slice text)
{
    size_t count = 0, at = 0;

    typedef signed char block_t __attribute__((vector_size(BLOCK_BYTES)));
    typedef unsigned char counts_t __attribute__((vector_size(BLOCK_BYTES)));

    while (text.bytes - at >= BLOCK_BYTES) {
        block_t block;
        counts_t counts = { 0 };
        unsigned char sums[BLOCK_BYTES];
        size_t left = (text.bytes - at) / BLOCK_BYTES;

        for (size_t i = 0; i < left && i < BLOCKS_MAX; i++, at += BLOCK_BYTES) {
            memcpy(&block, text.data + at, BLOCK_BYTES);
            /* Less than that is -1, of all ones. */
            counts -= (counts_t)(block < -0x40);
        }
        memcpy(sums, &counts, BLOCK_BYTES);
        for (size_t i = 0; i < BLOCK_BYTES; i++)
            count += sums[i];
    }
    for (; at < text.bytes; at++)
        count += ((unsigned char)text.data[at] & 0xc0) == 0x80;
    return count;
}

size_t
json_code_points(const struct json_doc *doc, size_t at)
{
    struct slice rest = json_inner(doc, at);
    char utf8[UTF8_MAX];
    size_t count, lone_count = 0;
    const char *slash;

    if (rest.bytes == 0 || doc->tokens[at].is_plain)
        return rest.bytes;
    count = rest.bytes - count_followers(rest);
    /* Each escape is one, whatever it is spelt with. */
    while (rest.bytes > 0 && (slash = memchr(rest.data, '\\', rest.bytes))) {
        size_t bytes;

        skip(&rest, (size_t)(slash - rest.data));
        bytes = rest.bytes;
        (void)take_piece(&rest, utf8, &lone_count);
        count -= bytes - rest.bytes - 1;
    }
    return count;
}

int32_t
json_hex4(const char *text, size_t bytes)
{
    int32_t unit = 0;

    if (bytes < 4)
        return -1;
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_digit(text[i]);

        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}
