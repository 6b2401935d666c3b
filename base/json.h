/*
 * json.h - a strict JSON reader that keeps the bytes, and a small writer
 *
 * Drafts and replies are somebody else's bytes: they are checked here, cut into
 * tokens that point into the text, and passed on as they came. Nothing is ever
 * parsed and printed again (numbers and escapes would change; see the traps of
 * cJSON, which serves for our own control messages only).
 *
 * A document is one array of tokens in the order of the text. An object's
 * members are its key tokens, each followed by its value; token 0 is the whole.
 * `next` is the index behind a token's last descendant, so that siblings are
 * walked without recursion:
 *
 *   for (size_t i = at + 1; i < doc->tokens[at].next; i = doc->tokens[i].next)
 *
 * In an array, i goes from element to element. A value counts as a descendant
 * of its key: in an object, i goes from key to key, and i + 1 is the value.
 *
 * Strict: RFC 8259 grammar, UTF-8 checked (no overlong forms, no surrogates),
 * nothing but blanks behind the value. JSON_INPUT also refuses what no draft
 * may hold: an escaped NUL, a lone surrogate escape, the same key twice in one
 * object. Numbers are checked for form, not for range.
 *
 * JSON_NONE may be handed to every look-up: it is of no type and has no
 * members, so that look-ups can be chained and tested once, at the end.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define JSON_DEPTH_MAX  64     /* arrays and objects inside one another */
#define JSON_TOKEN_MAX  262144 /* tokens of one document */
#define JSON_DOUBLE_MAX 1024   /* bytes of a number read as a double */
#define JSON_NONE       ((size_t)-1)

enum json_type {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

enum json_mode {
    JSON_REPLY, /* the grammar */
    JSON_INPUT, /* the grammar, and what is said above */
};

/* Why a text was refused, for those who name it in their own words. */
enum json_fault {
    JSON_FAULT_NONE,
    JSON_FAULT_SYNTAX,
    JSON_FAULT_DEPTH,
    JSON_FAULT_UTF8,
    JSON_FAULT_NUL,       /* an escaped NUL */
    JSON_FAULT_SURROGATE, /* a lone one */
    JSON_FAULT_TWICE,     /* a key twice in one object */
    JSON_FAULT_SIZE,
    JSON_FAULT_COUNT
};

struct json_token {
    enum json_type type : 8;
    bool is_plain : 1; /* a string that stands for itself: ASCII, no escapes */
    uint32_t start;    /* offset in the text; a string's includes its quote */
    uint32_t bytes;    /* length in the text, quotes included */
    uint32_t next; /* index of the token behind this one's last descendant */
};

/* Zero-initialised is valid. Reused for many texts: json_parse() keeps the
 * memory of the tokens. */
struct json_doc {
    const char *text; /* borrowed from the caller of json_parse() */
    struct json_token *tokens;
    size_t count;
    enum json_fault fault; /* of the last json_parse() */
    size_t capacity;       /* private */
};

/* Frees the tokens, not the text. */
void json_fini(struct json_doc *doc);

/* Reads one JSON value. E_INVALID with a reason such as "byte 17: expected
 * ',' or '}'" (bytes from 1), E_TOOBIG for JSON_TOKEN_MAX or 4 GiB; the
 * document has no tokens then. The tokens point into text, which must stay
 * while the document is used; it needs no NUL behind it. */
int json_parse(struct json_doc *doc, const char *text, size_t bytes,
               enum json_mode mode, struct err *err)
    __attribute__((warn_unused_result));

/* The value of a member of the object at token `at`, or JSON_NONE: no such
 * member, or not an object. Names are compared after decoding escapes; the
 * first of two equal names is found. */
size_t json_member(const struct json_doc *doc, size_t at, const char *name);

/* The `nth` element (from 0) of the array at `at`, or JSON_NONE. */
size_t json_element(const struct json_doc *doc, size_t at, size_t nth);

/* Follows a path of names and numbers separated by dots from token `at`, such
 * as "choices.0.message.content". JSON_NONE if it leads nowhere; an empty path
 * is the token itself. A name with a dot in it cannot be reached. */
size_t json_path(const struct json_doc *doc, size_t at, const char *path);

/* The bytes of a token as they stand in the text, a string's with quotes.
 * JSON_NONE has none. */
struct slice json_raw(const struct json_doc *doc, size_t at);

/* The bytes between the quotes of a string token, escapes not decoded. Other
 * types have none: data is NULL. */
struct slice json_inner(const struct json_doc *doc, size_t at);

/* A bit for a name: where two have different ones, they are not the same. So a
 * set of them tells of most names that they are not in it. */
uint64_t json_name_bit(struct slice name);

/* True if the string at `at`, decoded, is `str`. False for other types. */
bool json_is(const struct json_doc *doc, size_t at, const char *str);

/* Appends the decoded text of a string token: always valid UTF-8, NULs of
 * escapes included. Lone surrogate escapes become U+FFFD; returns how many
 * did. Appends nothing for other types. */
size_t json_decode(const struct json_doc *doc, size_t at, struct buf *out);

/* The same for the inside of a string (json_inner()) that was checked before,
 * when its document is not at hand. */
size_t json_decode_inner(struct slice inner, struct buf *out);

/* An integer token, without fraction or exponent, from min to max. 0 and
 * *value, or E_INVALID. */
int json_int(const struct json_doc *doc, size_t at, int64_t min, int64_t max,
             int64_t *value);

/* A number token as a double, independent of the locale. 0, or E_INVALID: no
 * number, beyond the range of a double, or longer than JSON_DOUBLE_MAX. */
int json_double(const struct json_doc *doc, size_t at, double *value);

/* Appends the canonical form of the value at `at`, which must exist: members
 * sorted by their raw key bytes (without the quotes; equal ones stay in order),
 * blanks dropped, string and number tokens verbatim. */
void json_canonical(const struct json_doc *doc, size_t at, struct buf *out);

/* The order of members in that form, by their raw keys: below 0, 0, above 0. */
int json_key_order(struct slice left, struct slice right);

/* Counts code points of a decoded string token (escapes count as what they
 * stand for; a surrogate pair is one). 0 for other types. */
size_t json_code_points(const struct json_doc *doc, size_t at);

/* Appends text (UTF-8; each invalid byte becomes U+FFFD) as a JSON string with
 * its quotes: only what must be escaped is. */
void json_write_string(struct buf *out, const char *text, size_t bytes);

/* The same without quotes, to compose one string from several parts, each of
 * them whole characters. */
void json_write_inner(struct buf *out, const char *text, size_t bytes);

/* The length, 1 to 4, of the UTF-8 character that begins the text. 0 if there
 * is none: invalid (overlong, a surrogate, above U+10FFFF), cut off, empty. */
size_t json_utf8(const char *text, size_t bytes);

/* The number that four hexadecimal digits spell, as behind \u, or -1. */
int32_t json_hex4(const char *text, size_t bytes);

#endif
