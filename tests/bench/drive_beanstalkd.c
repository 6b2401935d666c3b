/*
 * drive_beanstalkd.c - puts jobs into beanstalkd, and takes them
 *
 * put: --window commands are written before their answers are read. take:
 * so many are reserved, and then deleted. TARGET is the path of its socket.
 * beanstalkd reads no further while its answers are not read, hence the limit.
 */
/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* sockets */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "tests/bench/drive.h"

#define LINE_BYTES_MAX 256
#define WINDOW_MAX     100

struct peer {
    int fd;
    FILE *in; /* reads from fd */
    struct buf out;
};

static void
peer_open(struct peer *peer, const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    peer->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer->fd < 0 ||
        connect(peer->fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        log_fatal("event=not_connected path=%s error=\"%s\"", path,
                  strerror(errno));
    }
    peer->in = fdopen(peer->fd, "r");
    if (!peer->in)
        log_fatal("event=not_connected error=\"%s\"", strerror(errno));
}

static void
peer_close(struct peer *peer)
{
    (void)fclose(peer->in);
    buf_fini(&peer->out);
}

static void
flush(struct peer *peer)
{
    size_t at = 0;

    while (at < peer->out.bytes) {
        ssize_t sent =
            write(peer->fd, peer->out.data + at, peer->out.bytes - at);

        if (sent < 0 && errno != EINTR)
            log_fatal("event=not_sent error=\"%s\"", strerror(errno));
        at += sent > 0 ? (size_t)sent : 0;
    }
    buf_reset(&peer->out);
}

/* Reads an answer, which must begin so. What follows is a number, or two. */
static void
expect(struct peer *peer, const char *word, long long *id, size_t *bytes)
{
    char line[LINE_BYTES_MAX], *end;
    size_t length = strlen(word);

    if (!fgets(line, sizeof(line), peer->in))
        log_fatal("event=no_answer expected=%s", word);
    if (strncmp(line, word, length) != 0)
        log_fatal("event=refused expected=%s answer=\"%s\"", word, line);
    if (!id)
        return;
    *id = strtoll(line + length, &end, 10);
    if (bytes)
        *bytes = strtoul(end, NULL, 10);
}

static void
skip(struct peer *peer, size_t bytes)
{
    char data[4096];

    while (bytes > 0) {
        size_t part = bytes < sizeof(data) ? bytes : sizeof(data);

        if (fread(data, 1, part, peer->in) != part)
            log_fatal("event=no_answer expected=data");
        bytes -= part;
    }
}

static void
run_put(struct drive_client *client)
{
    const struct drive *drive = client->drive;
    struct peer peer = { .fd = -1 };
    struct buf item = { 0 };
    long long id;

    if (drive->window > WINDOW_MAX)
        log_fatal("event=usage window_max=%d", WINDOW_MAX);
    peer_open(&peer, drive->target);
    drive_ready(client);
    for (int64_t done = 0, count; done < client->count; done += count) {
        count = drive_next(client, done);
        for (int64_t i = 0; i < count; i++) {
            drive_item(client, done + i, &item);
            buf_addf(&peer.out, "put 1024 0 600 %zu\r\n", item.bytes);
            buf_add_slice(&peer.out, buf_slice(&item));
            buf_add_str(&peer.out, "\r\n");
        }
        flush(&peer);
        for (int64_t i = 0; i < count; i++)
            expect(&peer, "INSERTED ", &id, NULL);
    }
    peer_close(&peer);
    buf_fini(&item);
}

static void
run_take(struct drive_client *client)
{
    const struct drive *drive = client->drive;
    long long *ids = mem_zalloc((size_t)drive->window, sizeof(*ids));
    struct peer peer = { .fd = -1 };

    peer_open(&peer, drive->target);
    drive_ready(client);
    for (int64_t done = 0, count; done < client->count; done += count) {
        count = drive_next(client, done);
        for (int64_t i = 0; i < count; i++)
            buf_add_str(&peer.out, "reserve\r\n");
        flush(&peer);
        for (int64_t i = 0; i < count; i++) {
            size_t bytes = 0;

            expect(&peer, "RESERVED ", &ids[i], &bytes);
            skip(&peer, bytes + 2);
            buf_addf(&peer.out, "delete %lld\r\n", ids[i]);
        }
        flush(&peer);
        for (int64_t i = 0; i < count; i++)
            expect(&peer, "DELETED", NULL, NULL);
    }
    peer_close(&peer);
    free(ids);
}

int
main(int argc, char **argv)
{
    static const struct drive_verb verbs[] = { { "put", run_put },
                                               { "take", run_take },
                                               { NULL, NULL } };

    return drive_main(argc, argv, verbs);
}
