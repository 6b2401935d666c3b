/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* F_DUPFD_CLOEXEC */
#include "submit/http_linger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

#define TURN_BYTES 4194304 /* of one socket, at a time */
#define READ_BYTES 16384

struct lingering {
    int fd;
    int64_t until_ms, bytes;
};

struct http_linger {
    struct lingering all[HTTP_LINGERS_MAX];
    int count;
    int64_t next_ms;
};

struct http_linger *
http_linger_new(void)
{
    struct http_linger *linger = mem_zalloc(1, sizeof(*linger));

    linger->next_ms = INT64_MAX;
    return linger;
}

void
http_linger_free(struct http_linger *linger)
{
    if (!linger)
        return;
    for (int i = 0; i < linger->count; i++)
        (void)close(linger->all[i].fd);
    free(linger);
}

void
http_linger_add(struct http_linger *linger, int fd, int64_t now_ms)
{
    struct lingering *one = &linger->all[linger->count];
    int copy;

    if (linger->count == HTTP_LINGERS_MAX)
        return;
    copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return; /* as if it was not tried: the client may miss a reply */
    (void)shutdown(copy, SHUT_WR);
    *one =
        (struct lingering){ .fd = copy, .until_ms = now_ms + HTTP_LINGER_MS };
    linger->count++;
    linger->next_ms = now_ms;
}

/* True if nothing more is to be expected of it. */
static bool
is_over(struct lingering *one, int64_t now_ms)
{
    char ignored[READ_BYTES];
    int64_t bytes = 0;
    ssize_t got = 1;

    while (got > 0 && bytes < TURN_BYTES) {
        got = recv(one->fd, ignored, sizeof(ignored), MSG_DONTWAIT);
        if (got > 0)
            bytes += got;
    }
    one->bytes += bytes;
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR) ||
           now_ms >= one->until_ms || one->bytes > HTTP_LINGER_BYTES_MAX;
}

void
http_linger_turn(struct http_linger *linger, int64_t now_ms)
{
    if (now_ms < linger->next_ms)
        return;
    for (int i = linger->count - 1; i >= 0; i--) {
        if (!is_over(&linger->all[i], now_ms))
            continue;
        (void)close(linger->all[i].fd);
        linger->all[i] = linger->all[--linger->count];
    }
    linger->next_ms = linger->count ? now_ms + HTTP_LINGER_TURN_MS : INT64_MAX;
}

int64_t
http_linger_next_ms(const struct http_linger *linger)
{
    return linger->next_ms;
}
