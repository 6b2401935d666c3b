/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* mkostemp */
#include "submit/http_spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define NAME "/sheaf-http-XXXXXX"

struct http_spool {
    struct http_spool_room *room; /* borrowed */
    int fd;
    int64_t bytes;
};

/* A file that has no name any more; only its owner could have opened it. */
static int
open_file(const char *dir, struct err *err)
{
    struct buf path = { 0 };
    int fd;

    buf_add_str(&path, dir);
    buf_add_str(&path, NAME);
    fd = mkostemp(path.data, O_CLOEXEC);
    if (fd < 0)
        err_set(err, E_IO, "make a file in the spool %s: %s", dir,
                strerror(errno));
    else
        (void)unlink(path.data);
    buf_fini(&path);
    return fd;
}

struct http_spool *
http_spool_new(struct http_spool_room *room, struct err *err)
{
    int fd = open_file(room->dir, err);
    struct http_spool *spool;

    if (fd < 0)
        return NULL;
    spool = mem_zalloc(1, sizeof(*spool));
    spool->room = room;
    spool->fd = fd;
    return spool;
}

void
http_spool_free(struct http_spool *spool)
{
    if (!spool)
        return;
    spool->room->bytes -= spool->bytes;
    (void)close(spool->fd);
    free(spool);
}

int
http_spool_add(struct http_spool *spool, struct slice piece, struct err *err)
{
    struct http_spool_room *room = spool->room;

    if ((int64_t)piece.bytes > room->bytes_max - room->bytes)
        return err_set(err, E_FULL,
                       "uploads under way take %lld bytes of the spool; its "
                       "limit is %lld",
                       (long long)room->bytes, (long long)room->bytes_max);
    while (piece.bytes > 0) {
        ssize_t wrote = write(spool->fd, piece.data, piece.bytes);

        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return err_set(err, err_of_errno(errno),
                           "write to the spool %s: %s", room->dir,
                           strerror(errno));
        piece.data += wrote;
        piece.bytes -= (size_t)wrote;
        spool->bytes += wrote;
        room->bytes += wrote;
    }
    return 0;
}

int
http_spool_read(const struct http_spool *spool, int64_t at, size_t count,
                struct buf *out, struct err *err)
{
    while (count > 0) {
        ssize_t got =
            pread(spool->fd, buf_reserve(out, count), count, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return err_set(err, E_IO, "read from the spool %s: %s",
                           spool->room->dir,
                           got < 0 ? strerror(errno) : "it is too short");
        buf_commit(out, (size_t)got);
        at += got;
        count -= (size_t)got;
    }
    return 0;
}

int64_t
http_spool_bytes(const struct http_spool *spool)
{
    return spool->bytes;
}
