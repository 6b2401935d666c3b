/* SPDX-License-Identifier: MIT */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define CAPACITY_FIRST 64
#define DIGITS_MAX     20 /* of a number of 64 bits */
#define MALLOC_STEP    16 /* malloc's blocks are so many bytes apart, */
#define MALLOC_HEAD    8  /* of which it takes some for itself */

void
buf_fini(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){ 0 };
}

void
buf_reset(struct buf *buf)
{
    buf->bytes = 0;
    if (buf->data)
        buf->data[0] = '\0';
}

/* All that malloc has to give to one who asks for so much. */
static size_t
fill_block(size_t bytes)
{
    size_t block = bytes + MALLOC_HEAD + MALLOC_STEP - 1;

    return block - block % MALLOC_STEP - MALLOC_HEAD;
}

/* What is added piece by piece is moved each time that there is half as much
 * again, and so three times at most. What comes at once, and needs more than
 * that, is a whole: it is given what it needs, and no half beside. */
void
buf_grow(struct buf *buf, size_t need)
{
    size_t capacity = buf->capacity + buf->capacity / 2;

    if (capacity < CAPACITY_FIRST)
        capacity = CAPACITY_FIRST;
    if (capacity < need)
        capacity = need;
    capacity = fill_block(capacity);
    buf->data = mem_grow(buf->data, capacity, 1);
    buf->data[buf->bytes] = '\0';
    buf->capacity = capacity;
}

void
buf_addf(struct buf *buf, const char *fmt, ...)
{
    va_list args;
    char *end = buf_reserve(buf, CAPACITY_FIRST);
    int bytes;

    va_start(args, fmt);
    bytes = vsnprintf(end, CAPACITY_FIRST, fmt, args);
    va_end(args);
    assert(bytes >= 0);
    if (bytes >= CAPACITY_FIRST) { /* it did not fit: now the size is known */
        end = buf_reserve(buf, (size_t)bytes);
        va_start(args, fmt);
        bytes = vsnprintf(end, (size_t)bytes + 1, fmt, args);
        va_end(args);
    }
    buf_commit(buf, (size_t)bytes);
}

void
buf_add_u64(struct buf *buf, uint64_t number)
{
    char digits[DIGITS_MAX];
    size_t at = sizeof(digits);

    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    buf_add(buf, digits + at, sizeof(digits) - at);
}

void
buf_drop(struct buf *buf, size_t bytes)
{
    assert(bytes <= buf->bytes);
    if (bytes == 0)
        return;
    buf->bytes -= bytes;
    memmove(buf->data, buf->data + bytes, buf->bytes + 1);
}

void
buf_cut(struct buf *buf, size_t bytes)
{
    assert(bytes <= buf->bytes);
    if (bytes == 0)
        return;
    buf->bytes -= bytes;
    buf->data[buf->bytes] = '\0';
}

void
buf_swap(struct buf *left, struct buf *right)
{
    struct buf kept = *left;

    *left = *right;
    *right = kept;
}

struct slice
buf_slice(const struct buf *buf)
{
    return (struct slice){ buf->data, buf->bytes };
}

char *
buf_take(struct buf *buf)
{
    char *data;

    buf_reserve(buf, 0);
    data = buf->data;
    *buf = (struct buf){ 0 };
    return data;
}

struct slice
slice_of(const char *str)
{
    return (struct slice){ str, str ? strlen(str) : 0 };
}

bool
slice_equal(struct slice a, struct slice b)
{
    return a.bytes == b.bytes &&
           (a.bytes == 0 || memcmp(a.data, b.data, a.bytes) == 0);
}

bool
slice_is(struct slice slice, const char *str)
{
    return slice_equal(slice, slice_of(str));
}

struct slice
slice_take_line(struct slice *rest)
{
    const char *end = memchr(rest->data, '\n', rest->bytes);
    struct slice line = { rest->data,
                          end ? (size_t)(end - rest->data) : rest->bytes };
    size_t taken = line.bytes + (end ? 1 : 0);

    rest->data += taken;
    rest->bytes -= taken;
    return line;
}

struct slice
slice_find_line(struct slice text, const char *name)
{
    size_t name_bytes = strlen(name);

    while (text.bytes > 0 && text.data[text.bytes - 1] != '\n')
        text.bytes--;
    while (text.bytes > 0) {
        struct slice line = slice_take_line(&text);

        if (line.bytes >= name_bytes &&
            memcmp(line.data, name, name_bytes) == 0) {
            return (struct slice){ line.data + name_bytes,
                                   line.bytes - name_bytes };
        }
    }
    return (struct slice){ NULL, 0 };
}
