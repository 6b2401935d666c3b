/*
 * buf.h - a byte buffer that grows, and slices that borrow
 *
 * A buf owns its bytes and keeps a NUL behind them, so that its data is also a
 * C string when it holds none. A slice points into memory that belongs to
 * somebody else. Every buffer whose size a peer can influence is checked
 * against a named limit by its user before it grows.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrowed bytes. data may be NULL when bytes is 0. */
struct slice {
    const char *data;
    size_t bytes;
};

/* Zero-initialised is empty and valid. */
struct buf {
    char *data; /* NULL until something was added */
    size_t bytes;
    size_t capacity; /* private */
};

/* Frees the memory; the buffer is empty and valid again. */
void buf_fini(struct buf *buf);

/* Empties the buffer and keeps its memory. */
void buf_reset(struct buf *buf);

/* Makes room for `need` bytes in all, NUL included: buf_reserve() where there is
 * too little. It grows by half at least, and by no more than is needed where that
 * is more than half. */
void buf_grow(struct buf *buf, size_t need);

/* Makes room for `bytes` more and returns where they go. The length does not
 * change until buf_commit(). Here, as is what follows: what is written is mostly
 * a number or a name, and a call takes longer than that. */
static inline char *
buf_reserve(struct buf *buf, size_t bytes)
{
    size_t need = buf->bytes + bytes + 1; /* and the NUL */

    assert(need > bytes);
    if (need > buf->capacity)
        buf_grow(buf, need);
    return buf->data + buf->bytes;
}

/* Takes `bytes` bytes written behind the end, after buf_reserve(). */
static inline void
buf_commit(struct buf *buf, size_t bytes)
{
    assert(buf->bytes + bytes < buf->capacity);
    buf->bytes += bytes;
    buf->data[buf->bytes] = '\0';
}

/* Append bytes, a string, a character, formatted text. */
static inline void
buf_add(struct buf *buf, const void *data, size_t bytes)
{
    char *end = buf_reserve(buf, bytes);

    if (bytes)
        memcpy(end, data, bytes);
    buf_commit(buf, bytes);
}

static inline void
buf_add_str(struct buf *buf, const char *str)
{
    buf_add(buf, str, strlen(str));
}

static inline void
buf_add_slice(struct buf *buf, struct slice slice)
{
    buf_add(buf, slice.data, slice.bytes);
}

static inline void
buf_add_char(struct buf *buf, char c)
{
    buf_add(buf, &c, 1);
}

void buf_addf(struct buf *buf, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Appends a whole number in decimal: where there are many, printf is slow. */
void buf_add_u64(struct buf *buf, uint64_t number);

/* Removes the first `bytes` bytes. */
void buf_drop(struct buf *buf, size_t bytes);

/* Removes the last `bytes` bytes. */
void buf_cut(struct buf *buf, size_t bytes);

/* Lets two buffers change places: what one held, the other has. */
void buf_swap(struct buf *left, struct buf *right);

/* The content, borrowed until the buffer changes. */
struct slice buf_slice(const struct buf *buf);

/* Gives the content, NUL-terminated, to the caller, who frees it. The buffer
 * is empty afterwards. Never NULL. */
char *buf_take(struct buf *buf);

/* A slice of a string; NULL gives an empty slice. */
struct slice slice_of(const char *str);

/* True if both hold the same bytes. */
bool slice_equal(struct slice a, struct slice b);

/* True if the slice holds just this string. */
bool slice_is(struct slice slice, const char *str);

/* Takes the first line off the rest, with its end; returns it without. */
struct slice slice_take_line(struct slice *rest);

/* What follows `name`, with which a line begins, in its line; empty if no line
 * that has its end does: the last one may be half written. */
struct slice slice_find_line(struct slice text, const char *name);

#endif
