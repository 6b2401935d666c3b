/* SPDX-License-Identifier: MIT */
#include "base/json_twin.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Names compared each with each; more are sorted. A worker's result has 17 or so,
 * for which that is a fourth of the work. */
#define PAIRS_MAX 32

/* A member's name, decoded. */
struct name {
    struct slice text;
    uint32_t token;
};

/* Any order will do that brings equal names together. */
static int
compare_names(const void *a, const void *b)
{
    const struct name *left = a, *right = b;
    int order;

    if (left->text.bytes != right->text.bytes)
        return left->text.bytes < right->text.bytes ? -1 : 1;
    order = memcmp(left->text.data, right->text.data, left->text.bytes);
    if (order == 0)
        order = left->token < right->token ? -1 : 1;
    return order;
}

/* For few names without escapes: each with each, unless it can be none of them.
 * Returns the first key that was there before, or JSON_NONE. */
static size_t
find_pair(const struct json_doc *doc, size_t object)
{
    struct slice names[PAIRS_MAX];
    uint64_t bits = 0;
    size_t count = 0;

    for (size_t i = object + 1; i < doc->count; i = doc->tokens[i].next) {
        uint64_t bit;

        names[count] = json_inner(doc, i);
        bit = json_name_bit(names[count]);
        for (size_t j = 0; (bits & bit) && j < count; j++) {
            if (slice_equal(names[j], names[count]))
                return i;
        }
        bits |= bit;
        count++;
    }
    return JSON_NONE;
}

/* The same for many names, or names with escapes: decodes and sorts them, for
 * the square of what a hostile file may hold is too much. */
static size_t
find_sorted(const struct json_doc *doc, size_t object, size_t members,
            bool has_escapes)
{
    struct name *names = mem_zalloc(members, sizeof(names[0]));
    struct buf decoded = { 0 };
    size_t count = 0, twin = JSON_NONE;

    /* Decoding never lengthens: reserved at once, nothing moves later. */
    buf_reserve(&decoded, doc->tokens[object].bytes);
    for (size_t i = object + 1; i < doc->count; i = doc->tokens[i].next) {
        struct name *name = &names[count++];
        size_t start = decoded.bytes;

        name->token = (uint32_t)i;
        name->text = json_inner(doc, i);
        if (has_escapes) {
            json_decode_inner(name->text, &decoded);
            name->text.data = decoded.data + start;
            name->text.bytes = decoded.bytes - start;
        }
    }
    qsort(names, count, sizeof(names[0]), compare_names);
    for (size_t i = 1; i < count; i++) {
        if (slice_equal(names[i - 1].text, names[i].text) &&
            names[i].token < twin) {
            twin = names[i].token;
        }
    }
    buf_fini(&decoded);
    free(names);
    return twin;
}

size_t
json_find_twin(const struct json_doc *doc, size_t object, size_t members,
               bool has_escapes)
{
    return members > PAIRS_MAX || has_escapes
               ? find_sorted(doc, object, members, has_escapes)
               : find_pair(doc, object);
}
