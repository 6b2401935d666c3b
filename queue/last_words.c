/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* ftruncate, pread, pwrite */
#include "queue/last_words.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"

#define MAGIC "sheafLW1"

struct start {
    char magic[sizeof(MAGIC) - 1];
    uint64_t check;
    uint32_t head_bytes, body_bytes;
};

/* The check covers the sizes and what is behind them. */
static uint64_t
check_of(const char *text, size_t bytes)
{
    size_t from = offsetof(struct start, head_bytes);

    return digest_xxh(text + from, bytes - from, 0);
}

int
last_words_write(int fd, struct slice head, struct slice body, struct buf *room,
                 struct err *err)
{
    struct start start = { .head_bytes = (uint32_t)head.bytes,
                           .body_bytes = (uint32_t)body.bytes };
    ssize_t done;

    if (head.bytes > LAST_WORDS_BYTES_MAX ||
        body.bytes > LAST_WORDS_BYTES_MAX - head.bytes) {
        return err_set(err, E_FULL, "last words of %zu bytes: more than %zu",
                       head.bytes + body.bytes, LAST_WORDS_BYTES_MAX);
    }
    memcpy(start.magic, MAGIC, sizeof(start.magic));
    buf_reset(room);
    buf_add(room, &start, sizeof(start));
    buf_add_slice(room, head);
    buf_add_slice(room, body);
    start.check = check_of(room->data, room->bytes);
    memcpy(room->data, &start, sizeof(start));
    do
        done = pwrite(fd, room->data, room->bytes, 0);
    while (done < 0 && errno == EINTR);
    if (done == (ssize_t)room->bytes)
        return 0;
    err_set(err, E_IO, "write last words: %s",
            done < 0 ? strerror(errno) : "no room for all of them");
    /* Half of them say nothing, either; should that stay, its check tells. */
    if (ftruncate(fd, 0) < 0)
        return err_wrap(err, "and they cannot be removed");
    return E_IO;
}

int
last_words_clear(int fd, struct err *err)
{
    const struct start none = { 0 };

    if (pwrite(fd, &none, sizeof(none), 0) != (ssize_t)sizeof(none))
        return err_set(err, E_IO, "clear last words: %s", strerror(errno));
    return 0;
}

/* Appends the file, up to its limit. */
static int
read_all(int fd, struct buf *text, struct err *err)
{
    size_t most = sizeof(struct start) + LAST_WORDS_BYTES_MAX;
    char *room = buf_reserve(text, most);
    size_t bytes = 0;

    while (bytes < most) {
        ssize_t done = pread(fd, room + bytes, most - bytes, (off_t)bytes);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return err_set(err, E_IO, "read last words: %s", strerror(errno));
        if (done == 0)
            break;
        bytes += (size_t)done;
    }
    buf_commit(text, bytes);
    return 0;
}

/* The part of the text that they are; empty if they are none. */
static struct slice
find_words(const struct buf *text, struct start *start)
{
    const struct slice nothing = { 0 };
    size_t bytes;

    if (text->bytes < sizeof(*start))
        return nothing;
    memcpy(start, text->data, sizeof(*start));
    if (memcmp(start->magic, MAGIC, sizeof(start->magic)) != 0)
        return nothing;
    /* Longer words may have stood there before. */
    bytes = sizeof(*start) + (size_t)start->head_bytes + start->body_bytes;
    if (text->bytes < bytes || check_of(text->data, bytes) != start->check)
        return nothing;
    return (struct slice){ text->data + sizeof(*start),
                           bytes - sizeof(*start) };
}

int
last_words_read(int fd, struct buf *head, struct buf *body, struct err *err)
{
    struct buf text = { 0 };
    struct start start;
    struct slice words;
    int rc = read_all(fd, &text, err);

    buf_reset(head);
    buf_reset(body);
    if (rc == 0) {
        words = find_words(&text, &start);
        if (words.bytes == 0) {
            rc = 1;
        } else {
            buf_add(head, words.data, start.head_bytes);
            buf_add(body, words.data + start.head_bytes, start.body_bytes);
        }
    }
    buf_fini(&text);
    return rc;
}
