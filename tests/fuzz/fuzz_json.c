/*
 * fuzz_json.c - any bytes at all are refused or read rightly, never worse
 *
 * What is read must hold together: tokens lie within the text and within their
 * parents, strings decode to valid UTF-8 that survives writing and reading, and
 * the canonical form reads again, in the same mode, and is its own.
 */
/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#define INPUT_MAX (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Not assert(): must also hold where that is compiled away. */
static void
must(bool is_true)
{
    if (!is_true)
        abort();
}

static void
read_again(struct json_doc *doc, const struct buf *text, enum json_mode mode)
{
    must(json_parse(doc, text->data, text->bytes, mode, NULL) == 0);
}

static void
check_string(const struct json_doc *doc, size_t at, enum json_mode mode)
{
    struct json_doc again = { 0 };
    struct buf decoded = { 0 }, written = { 0 }, twice = { 0 };
    size_t lone_count = json_decode(doc, at, &decoded), characters = 0;

    must(mode == JSON_REPLY || lone_count == 0);
    for (size_t i = 0; i < decoded.bytes; characters++) {
        size_t bytes = json_utf8(decoded.data + i, decoded.bytes - i);

        must(bytes > 0);
        i += bytes;
    }
    must(json_code_points(doc, at) == characters);
    must(!doc->tokens[at].is_plain ||
         slice_equal(json_inner(doc, at), buf_slice(&decoded)));
    json_write_string(&written, decoded.data, decoded.bytes);
    read_again(&again, &written, JSON_REPLY);
    json_decode(&again, 0, &twice);
    must(slice_equal(buf_slice(&decoded), buf_slice(&twice)));
    if (!decoded.data || !memchr(decoded.data, '\0', decoded.bytes))
        must(json_is(doc, at, decoded.data ? decoded.data : ""));
    json_fini(&again);
    buf_fini(&decoded);
    buf_fini(&written);
    buf_fini(&twice);
}

static void
check_number(const struct json_doc *doc, size_t at)
{
    int64_t integer = 0;
    double real = 0;

    if (json_int(doc, at, INT64_MIN, INT64_MAX, &integer) == 0 &&
        json_double(doc, at, &real) == 0) {
        must(real == (double)integer);
    }
}

/* The children of a token fill it: the last ends where the parent ends. */
static void
check_children(const struct json_doc *doc, size_t at)
{
    const struct json_token *parent = &doc->tokens[at];
    size_t i = at + 1, nth = 0;
    bool is_array = parent->type == JSON_ARRAY;

    if (!is_array && parent->type != JSON_OBJECT)
        return;
    for (; i < parent->next; i = doc->tokens[i].next) {
        const struct json_token *child = &doc->tokens[i];

        must(child->next > i && child->next <= parent->next);
        must(child->start > parent->start);
        must(child->start + child->bytes < parent->start + parent->bytes);
        if (!is_array)
            must(child->type == JSON_STRING && child->next > i + 1);
        if (is_array && nth++ < 4)
            must(json_element(doc, at, nth - 1) == i);
    }
    must(i == parent->next);
}

static void
check_document(const struct json_doc *doc, enum json_mode mode)
{
    struct json_doc again = { 0 };
    struct buf canonical = { 0 }, twice = { 0 };

    must(doc->count > 0 && doc->tokens[0].next == doc->count);
    for (size_t i = 0; i < doc->count; i++) {
        check_children(doc, i);
        if (doc->tokens[i].type == JSON_STRING)
            check_string(doc, i, mode);
        else
            check_number(doc, i);
    }
    json_canonical(doc, 0, &canonical);
    read_again(&again, &canonical, mode);
    must(again.count == doc->count);
    json_canonical(&again, 0, &twice);
    must(slice_equal(buf_slice(&canonical), buf_slice(&twice)));
    json_fini(&again);
    buf_fini(&canonical);
    buf_fini(&twice);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct json_doc doc = { 0 };
    struct buf written = { 0 };
    int as_reply, as_input;
    char *text;

    if (bytes > INPUT_MAX)
        return 0;
    /* A copy of just these bytes: a read beyond them is seen. */
    text = malloc(bytes ? bytes : 1);
    must(text != NULL);
    if (bytes)
        memcpy(text, data, bytes);
    as_reply = json_parse(&doc, text, bytes, JSON_REPLY, NULL);
    if (as_reply == 0)
        check_document(&doc, JSON_REPLY);
    as_input = json_parse(&doc, text, bytes, JSON_INPUT, NULL);
    if (as_input == 0)
        check_document(&doc, JSON_INPUT);
    must(as_reply == 0 || as_input != 0); /* an input might be a reply */
    json_write_string(&written, text, bytes);
    read_again(&doc, &written, JSON_REPLY);
    json_fini(&doc);
    buf_fini(&written);
    free(text);
    return 0;
}
