/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* le64toh */
#include "base/json.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_twin.h"
#include "base/mem.h"

#define TOKENS_FIRST 64 /* room for tokens at first */
#define EXCERPT_MAX  64 /* bytes of a key in a reason */

#define BLOCK_BYTES 16 /* looked at at once */
#define RUN_BYTES   32 /* two of them */

#define EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

/* An array or object that is not closed yet. */
struct level {
    uint32_t token;
    uint32_t key;     /* an object's latest key */
    uint32_t members; /* keys of an object so far */
    bool has_escapes; /* a key of it is written with escapes */
};

struct reader {
    struct json_doc *doc;
    const char *at; /* what is read next */
    const char *end;
    enum json_mode mode;
    struct err *err;
    size_t depth; /* levels in use */
    struct level levels[JSON_DEPTH_MAX];
};

static int
fail(const struct reader *reader, enum json_fault fault, const char *at,
     const char *reason)
{
    reader->doc->fault = fault;
    return err_set(reader->err, E_INVALID, "byte %zu: %s",
                   (size_t)(at - reader->doc->text) + 1, reason);
}

static int
fail_expected(const struct reader *reader, const char *at, const char *what)
{
    reader->doc->fault = JSON_FAULT_SYNTAX;
    return err_set(reader->err, E_INVALID, "byte %zu: expected %s%s",
                   (size_t)(at - reader->doc->text) + 1, what,
                   at == reader->end ? ", but the text ends" : "");
}

static void
skip_blanks(struct reader *reader)
{
    const char *at = reader->at;

    while (at < reader->end &&
           (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
        at++;
    }
    reader->at = at;
}

/* The character at hand, or -1 at the end of the text. */
static int
peek(const struct reader *reader)
{
    return reader->at < reader->end ? (unsigned char)*reader->at : -1;
}

static int
grow(struct reader *reader)
{
    struct json_doc *doc = reader->doc;
    size_t capacity = doc->capacity ? doc->capacity * 2 : TOKENS_FIRST;

    if (capacity > JSON_TOKEN_MAX)
        capacity = JSON_TOKEN_MAX;
    if (doc->count == capacity) {
        doc->fault = JSON_FAULT_SIZE;
        return err_set(reader->err, E_TOOBIG, "byte %zu: more than %d tokens",
                       (size_t)(reader->at - doc->text) + 1, JSON_TOKEN_MAX);
    }
    doc->tokens = mem_grow(doc->tokens, capacity, sizeof(doc->tokens[0]));
    doc->capacity = capacity;
    return 0;
}

/* Adds a token of the text up to `end`, and reads on from there. */
static int
add_token(struct reader *reader, enum json_type type, const char *end)
{
    struct json_doc *doc = reader->doc;
    int rc = doc->count < doc->capacity ? 0 : grow(reader);

    if (rc < 0)
        return rc;
    doc->tokens[doc->count++] = (struct json_token){
        .type = type,
        .start = (uint32_t)(reader->at - doc->text),
        .bytes = (uint32_t)(end - reader->at),
        .next = (uint32_t)doc->count,
    };
    reader->at = end;
    return 0;
}

/* True if what stands for itself goes on for RUN_BYTES. */
static bool
is_run(const char *at)
{
    signed char __attribute__((vector_size(BLOCK_BYTES))) low, high, ends;
    uint64_t halves[2];

    memcpy(&low, at, BLOCK_BYTES);
    memcpy(&high, at + BLOCK_BYTES, BLOCK_BYTES);
    /* Bytes beyond ASCII are below zero. */
    ends = (low < 0x20) | (low == '"') | (low == '\\') | (high < 0x20) |
           (high == '"') | (high == '\\');
    memcpy(halves, &ends, sizeof(halves));
    return (halves[0] | halves[1]) == 0;
}

static bool
is_plain(char c)
{
    unsigned char byte = (unsigned char)c;

    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

/* Skips ASCII that stands for itself: by runs, and where one is broken by words.
 * The lowest bit that is set there is exact: a borrow can only reach bytes
 * above one that ends the run. */
static const char *
skip_plain(const char *at, const char *end)
{
    while (end - at >= RUN_BYTES && is_run(at))
        at += RUN_BYTES;
    while (end - at >= (ptrdiff_t)sizeof(uint64_t)) {
        uint64_t word, ends;

        memcpy(&word, at, sizeof(word));
        word = le64toh(word);
        ends = word | (word - EACH_BYTE(0x20)) |
               ((word ^ EACH_BYTE('"')) - EACH_BYTE(1)) |
               ((word ^ EACH_BYTE('\\')) - EACH_BYTE(1));
        ends &= EACH_BYTE(0x80);
        if (ends)
            return at + __builtin_ctzll(ends) / 8;
        at += sizeof(word);
    }
    while (at < end && is_plain(*at))
        at++;
    return at;
}

/* Skips characters of two and three bytes, such as most of those beyond ASCII
 * are, a word each. It may stop before one that is good, and does so before one
 * that is not: overlong, or a surrogate. */
static const char *
skip_characters(const char *at, const char *end)
{
    while (end - at >= (ptrdiff_t)sizeof(uint32_t)) {
        uint32_t word;

        memcpy(&word, at, sizeof(word));
        word = le32toh(word);
        if ((word & 0xc0c0f0) == 0x8080e0 && (word & 0x200f) != 0 &&
            (word & 0x200f) != 0x200d) {
            at += 3;
        } else if ((word & 0xc0e0) == 0x80c0 && (word & 0x1e) != 0) {
            at += 2;
        } else {
            break;
        }
    }
    return at;
}

/* Checks an escape whose backslash is at *at and moves behind it. */
static int
skip_escape(const struct reader *reader, const char **at)
{
    static const char letters[] = "\"\\/bfnrtu";
    const char *first = *at;
    size_t left = (size_t)(reader->end - first);
    int32_t unit, low;

    if (left < 2 || !memchr(letters, first[1], sizeof(letters) - 1))
        return fail(reader, JSON_FAULT_SYNTAX, first, "unknown escape");
    *at += 2;
    if (first[1] != 'u')
        return 0;
    unit = json_hex4(*at, left - 2);
    if (unit < 0)
        return fail(reader, JSON_FAULT_SYNTAX, first,
                    "\\u needs four hexadecimal digits");
    *at += 4;
    if (reader->mode != JSON_INPUT)
        return 0;
    if (unit == 0)
        return fail(reader, JSON_FAULT_NUL, first, "NUL escape (\\u0000)");
    if (unit < 0xd800 || unit > 0xdfff)
        return 0;
    if (unit > 0xdbff || left < 12 || memcmp(*at, "\\u", 2) != 0)
        return fail(reader, JSON_FAULT_SURROGATE, first,
                    "lone surrogate escape");
    low = json_hex4(*at + 2, 4);
    if (low < 0xdc00 || low > 0xdfff)
        return fail(reader, JSON_FAULT_SURROGATE, first,
                    "lone surrogate escape");
    *at += 6;
    return 0;
}

/* Adds the token of a string whose closing quote is at `at`. */
static int
add_string(struct reader *reader, const char *at, bool is_plain_all)
{
    int rc = add_token(reader, JSON_STRING, at + 1);

    if (rc == 0)
        reader->doc->tokens[reader->doc->count - 1].is_plain = is_plain_all;
    return rc;
}

static int
read_string(struct reader *reader, bool *has_escapes)
{
    const char *at = reader->at + 1;
    bool is_plain_all = true;
    size_t bytes;
    int rc;

    for (;;) {
        at = skip_plain(at, reader->end);
        if (at == reader->end)
            return fail(reader, JSON_FAULT_SYNTAX, at,
                        "the text ends in a string");
        if (*at == '"')
            return add_string(reader, at, is_plain_all);
        is_plain_all = false;
        if (*at == '\\') {
            *has_escapes = true;
            rc = skip_escape(reader, &at);
            if (rc < 0)
                return rc;
            continue;
        }
        if ((unsigned char)*at < 0x20)
            return fail(reader, JSON_FAULT_SYNTAX, at,
                        "control character in a string");
        at = skip_characters(at, reader->end);
        while (at < reader->end && (unsigned char)*at >= 0x80) {
            bytes = json_utf8(at, (size_t)(reader->end - at));
            if (bytes == 0)
                return fail(reader, JSON_FAULT_UTF8, at, "invalid UTF-8");
            at += bytes;
        }
    }
}

static bool
is_digit(const char *at, const char *end)
{
    return at < end && *at >= '0' && *at <= '9';
}

static const char *
skip_digits(const char *at, const char *end)
{
    while (is_digit(at, end))
        at++;
    return at;
}

static int
read_number(struct reader *reader)
{
    const char *at = reader->at, *end = reader->end;

    if (*at == '-')
        at++;
    if (!is_digit(at, end))
        return fail_expected(reader, at, "a digit");
    if (*at == '0' && is_digit(at + 1, end))
        return fail(reader, JSON_FAULT_SYNTAX, at,
                    "a number with a leading zero");
    at = skip_digits(at, end);
    if (at < end && *at == '.') {
        at++;
        if (!is_digit(at, end))
            return fail_expected(reader, at, "a digit");
        at = skip_digits(at, end);
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        if (!is_digit(at, end))
            return fail_expected(reader, at, "a digit");
        at = skip_digits(at, end);
    }
    return add_token(reader, JSON_NUMBER, at);
}

static int
read_word(struct reader *reader, enum json_type type, const char *word)
{
    size_t bytes = strlen(word);

    if ((size_t)(reader->end - reader->at) < bytes ||
        memcmp(reader->at, word, bytes) != 0) {
        return fail_expected(reader, reader->at, word);
    }
    return add_token(reader, type, reader->at + bytes);
}

/* Reads a key and its colon. */
static int
read_key(struct reader *reader)
{
    struct level *level = &reader->levels[reader->depth - 1];
    int rc;

    skip_blanks(reader);
    if (peek(reader) != '"')
        return fail_expected(reader, reader->at, "a key");
    level->key = (uint32_t)reader->doc->count;
    level->members++;
    rc = read_string(reader, &level->has_escapes);
    if (rc < 0)
        return rc;
    skip_blanks(reader);
    if (peek(reader) != ':')
        return fail_expected(reader, reader->at, "':'");
    reader->at++;
    return 0;
}

static int
fail_twice(const struct reader *reader, size_t key)
{
    struct slice inner = json_inner(reader->doc, key);
    size_t bytes = inner.bytes;

    if (bytes > EXCERPT_MAX) {
        bytes = EXCERPT_MAX;
        while (((unsigned char)inner.data[bytes] & 0xc0) == 0x80)
            bytes--;
    }
    reader->doc->fault = JSON_FAULT_TWICE;
    return err_set(reader->err, E_INVALID,
                   "byte %zu: the key \"%.*s%s\" stands twice",
                   (size_t)reader->doc->tokens[key].start + 1, (int)bytes,
                   inner.data, bytes < inner.bytes ? "..." : "");
}

/* Ends the innermost array or object; its closing bracket is at hand. */
static int
close_level(struct reader *reader)
{
    struct json_doc *doc = reader->doc;
    const struct level *level = &reader->levels[--reader->depth];
    struct json_token *token = &doc->tokens[level->token];
    size_t twin;

    reader->at++;
    token->next = (uint32_t)doc->count;
    token->bytes = (uint32_t)(reader->at - doc->text) - token->start;
    if (level->members == 0)
        return 0;
    doc->tokens[level->key].next = (uint32_t)doc->count;
    if (level->members == 1 || reader->mode != JSON_INPUT)
        return 0;
    twin =
        json_find_twin(doc, level->token, level->members, level->has_escapes);
    return twin == JSON_NONE ? 0 : fail_twice(reader, twin);
}

/* Begins an array or object. 1: it has a value, which comes next. */
static int
open_level(struct reader *reader, enum json_type type)
{
    int rc;

    if (reader->depth == JSON_DEPTH_MAX) {
        reader->doc->fault = JSON_FAULT_DEPTH;
        return err_set(reader->err, E_INVALID, "byte %zu: deeper than %d",
                       (size_t)(reader->at - reader->doc->text) + 1,
                       JSON_DEPTH_MAX);
    }
    reader->levels[reader->depth++] = (struct level){
        .token = (uint32_t)reader->doc->count,
    };
    rc = add_token(reader, type, reader->at + 1);
    if (rc < 0)
        return rc;
    skip_blanks(reader);
    if (peek(reader) == (type == JSON_ARRAY ? ']' : '}'))
        return close_level(reader);
    if (type == JSON_OBJECT)
        rc = read_key(reader);
    return rc < 0 ? rc : 1;
}

/* Reads a value, of an array or object only the beginning. 1: another value
 * comes next, the first one inside. */
static int
read_value(struct reader *reader)
{
    bool has_escapes = false;

    skip_blanks(reader);
    switch (peek(reader)) {
    case '{':
        return open_level(reader, JSON_OBJECT);
    case '[':
        return open_level(reader, JSON_ARRAY);
    case '"':
        return read_string(reader, &has_escapes);
    case 't':
        return read_word(reader, JSON_TRUE, "true");
    case 'f':
        return read_word(reader, JSON_FALSE, "false");
    case 'n':
        return read_word(reader, JSON_NULL, "null");
    default:
        if (peek(reader) == '-' || is_digit(reader->at, reader->end))
            return read_number(reader);
        return fail_expected(reader, reader->at, "a value");
    }
}

/* Reads what stands behind a value: the ends of arrays and objects, or a comma
 * (1: another value comes next). */
static int
read_behind(struct reader *reader)
{
    while (reader->depth > 0) {
        struct level *level = &reader->levels[reader->depth - 1];
        struct json_doc *doc = reader->doc;
        bool is_array = doc->tokens[level->token].type == JSON_ARRAY;
        int c, rc;

        skip_blanks(reader);
        c = peek(reader);
        if (c == ',') {
            reader->at++;
            if (is_array)
                return 1;
            doc->tokens[level->key].next = (uint32_t)doc->count;
            rc = read_key(reader);
            return rc < 0 ? rc : 1;
        }
        if (c != (is_array ? ']' : '}')) {
            return fail_expected(reader, reader->at,
                                 is_array ? "',' or ']'" : "',' or '}'");
        }
        rc = close_level(reader);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int
read_text(struct reader *reader)
{
    int rc;

    skip_blanks(reader);
    if (reader->at == reader->end) {
        reader->doc->fault = JSON_FAULT_SYNTAX;
        return err_set(reader->err, E_INVALID, "empty");
    }
    if (reader->end - reader->at >= 3 &&
        memcmp(reader->at, "\xef\xbb\xbf", 3) == 0) {
        return fail(reader, JSON_FAULT_SYNTAX, reader->at,
                    "a byte-order mark is no JSON");
    }
    do {
        rc = read_value(reader);
        if (rc == 0)
            rc = read_behind(reader);
    } while (rc > 0);
    if (rc < 0)
        return rc;
    skip_blanks(reader);
    if (reader->at < reader->end)
        return fail(reader, JSON_FAULT_SYNTAX, reader->at,
                    "nothing may follow the value");
    return 0;
}

void
json_fini(struct json_doc *doc)
{
    free(doc->tokens);
    *doc = (struct json_doc){ 0 };
}

int
json_parse(struct json_doc *doc, const char *text, size_t bytes,
           enum json_mode mode, struct err *err)
{
    /* Levels are set as they are opened, one or two of many in most texts: the
     * compiler need not set them to zero, as it does unless it is told. */
    struct reader __attribute__((uninitialized)) reader;
    int rc;

    doc->text = bytes ? text : "";
    doc->count = 0;
    doc->fault = JSON_FAULT_NONE;
    if (bytes > UINT32_MAX) {
        doc->fault = JSON_FAULT_SIZE;
        return err_set(err, E_TOOBIG, "%zu bytes: 4 GiB or more", bytes);
    }
    reader.doc = doc;
    reader.at = doc->text;
    reader.end = doc->text + bytes;
    reader.mode = mode;
    reader.err = err;
    reader.depth = 0;
    rc = read_text(&reader);
    if (rc < 0)
        doc->count = 0;
    return rc;
}
