/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define CHILDREN_FIRST 32 /* room for children at first */
#define INSERT_MAX     16 /* members put in order one by one; more: sorted */

/* An element, or a member by its key. */
struct child {
    struct slice key; /* without the quotes; not used for an element */
    size_t token;
};

/* The children of all arrays and objects around the current value, innermost
 * last: one block of memory for the whole depth. */
struct canon {
    const struct json_doc *doc;
    struct buf *out;
    struct child *children;
    size_t count;
    size_t capacity;
    struct child first[CHILDREN_FIRST]; /* where most find room */
};

int
json_key_order(struct slice left, struct slice right)
{
    size_t bytes = left.bytes < right.bytes ? left.bytes : right.bytes;
    int order = bytes > 0 ? memcmp(left.data, right.data, bytes) : 0;

    if (order == 0 && left.bytes != right.bytes)
        order = left.bytes < right.bytes ? -1 : 1;
    return order;
}

static int
compare_members(const void *a, const void *b)
{
    const struct child *left = a, *right = b;
    int order = json_key_order(left->key, right->key);

    if (order == 0 && left->token != right->token)
        order = left->token < right->token ? -1 : 1;
    return order;
}

/* Few are put in order one by one, as they mostly are in it. */
static void
sort_members(struct child *members, size_t count)
{
    if (count > INSERT_MAX) {
        qsort(members, count, sizeof(members[0]), compare_members);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        struct child member = members[i];
        size_t at = i;

        for (; at > 0 && compare_members(&members[at - 1], &member) > 0; at--)
            members[at] = members[at - 1];
        members[at] = member;
    }
}

static void
push_child(struct canon *canon, size_t token)
{
    if (canon->count == canon->capacity) {
        bool is_first = canon->children == canon->first;

        canon->capacity *= 2;
        canon->children = mem_grow(is_first ? NULL : canon->children,
                                   canon->capacity, sizeof(canon->children[0]));
        if (is_first)
            memcpy(canon->children, canon->first, sizeof(canon->first));
    }
    canon->children[canon->count++] = (struct child){
        .key = json_inner(canon->doc, token),
        .token = token,
    };
}

/* Calls itself JSON_DEPTH_MAX times at most: nothing deeper was read. */
static void
put_value(struct canon *canon, size_t at)
{
    const struct json_token *tokens = canon->doc->tokens;
    bool is_object = tokens[at].type == JSON_OBJECT;
    size_t first = canon->count, count;

    if (!is_object && tokens[at].type != JSON_ARRAY) {
        buf_add_slice(canon->out, json_raw(canon->doc, at));
        return;
    }
    for (size_t i = at + 1; i < tokens[at].next; i = tokens[i].next)
        push_child(canon, i);
    count = canon->count - first;
    if (is_object)
        sort_members(canon->children + first, count);
    buf_add_char(canon->out, is_object ? '{' : '[');
    for (size_t i = 0; i < count; i++) {
        /* By index: the block moves when it grows for those further in. */
        size_t token = canon->children[first + i].token;

        if (i > 0)
            buf_add_char(canon->out, ',');
        if (is_object) {
            buf_add_slice(canon->out, json_raw(canon->doc, token++));
            buf_add_char(canon->out, ':');
        }
        put_value(canon, token);
    }
    buf_add_char(canon->out, is_object ? '}' : ']');
    canon->count = first;
}

static void
put_escape(struct buf *out, unsigned char byte)
{
    static const char meanings[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    static const char digits[] = "0123456789abcdef";
    const char *found = memchr(meanings, byte, sizeof(meanings) - 1);
    char escape[] = {
        '\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]
    };

    if (found)
        escape[1] = letters[found - meanings];
    buf_add(out, escape, found ? 2 : sizeof(escape));
}

void
json_canonical(const struct json_doc *doc, size_t at, struct buf *out)
{
    struct canon canon;

    assert(at < doc->count);
    /* Not the room for children: they are set as they come. */
    canon.doc = doc;
    canon.out = out;
    canon.children = canon.first;
    canon.count = 0;
    canon.capacity = CHILDREN_FIRST;
    put_value(&canon, at);
    assert(canon.count == 0);
    if (canon.children != canon.first)
        free(canon.children);
}

void
json_write_string(struct buf *out, const char *text, size_t bytes)
{
    buf_add_char(out, '"');
    json_write_inner(out, text, bytes);
    buf_add_char(out, '"');
}

void
json_write_inner(struct buf *out, const char *text, size_t bytes)
{
    size_t at = 0, kept = 0; /* from kept to at: to be added as it is */

    if (bytes > 0)
        buf_reserve(out, bytes);
    while (at < bytes) {
        unsigned char byte = (unsigned char)text[at];
        size_t character = 1;
        bool is_plain = byte >= 0x20 && byte != '"' && byte != '\\';

        if (byte >= 0x80) {
            character = json_utf8(text + at, bytes - at);
            is_plain = character > 0;
        }
        if (is_plain) {
            at += character;
            continue;
        }
        if (at > kept)
            buf_add(out, text + kept, at - kept);
        if (byte < 0x80)
            put_escape(out, byte);
        else
            buf_add_str(out, "\xef\xbf\xbd"); /* U+FFFD */
        kept = ++at;
    }
    if (at > kept)
        buf_add(out, text + kept, at - kept);
}

size_t
json_utf8(const char *text, size_t bytes)
{
    const unsigned char *byte = (const unsigned char *)text;
    unsigned char min = 0x80, max = 0xbf; /* of the second byte */
    size_t length;

    if (bytes == 0)
        return 0;
    if (byte[0] < 0x80)
        return 1;
    if (byte[0] < 0xc2 || byte[0] > 0xf4)
        return 0;
    length = byte[0] < 0xe0 ? 2 : byte[0] < 0xf0 ? 3 : 4;
    if (byte[0] == 0xe0)
        min = 0xa0; /* below: overlong */
    else if (byte[0] == 0xed)
        max = 0x9f; /* above: surrogates */
    else if (byte[0] == 0xf0)
        min = 0x90; /* below: overlong */
    else if (byte[0] == 0xf4)
        max = 0x8f; /* above: beyond U+10FFFF */
    if (bytes < length || byte[1] < min || byte[1] > max)
        return 0;
    for (size_t i = 2; i < length; i++) {
        if ((byte[i] & 0xc0) != 0x80)
            return 0;
    }
    return length;
}
