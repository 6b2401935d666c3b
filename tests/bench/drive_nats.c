/*
 * drive_nats.c - publishes to a stream of NATS JetStream
 *
 * put: --window messages are written before their acknowledgements are read.
 * take: a pull consumer asks for so many, and acknowledges each with an answer.
 * schema: makes stream and consumer. TARGET is a port of 127.0.0.1.
 */
/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* strsep() */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "tests/bench/drive.h"

#define LINE_BYTES_MAX 4096
#define NAME_BYTES     256
#define STREAM                                                                \
    "{\"name\":\"JOBS\",\"subjects\":[\"jobs\"],\"retention\":\"workqueue\"," \
    "\"storage\":\"file\"}"
#define CONSUMER                                                    \
    "{\"stream_name\":\"JOBS\",\"config\":{\"durable_name\":\"w\"," \
    "\"ack_policy\":\"explicit\",\"max_ack_pending\":100000}}"

struct peer {
    FILE *in; /* both of one socket */
    int fd;
    struct buf out;
    struct buf body;        /* of the message that came last */
    char reply[NAME_BYTES]; /* where its answer is to go */
    int number;
};

static void
peer_open(struct peer *peer, const struct drive_client *client)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)strtol(client->drive->target, NULL, 10)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int on = 1;

    peer->number = client->number;
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer->fd < 0 ||
        connect(peer->fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        log_fatal("event=not_connected port=%s error=\"%s\"",
                  client->drive->target, strerror(errno));
    }
    (void)setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    peer->in = fdopen(peer->fd, "r");
    if (!peer->in)
        log_fatal("event=not_connected error=\"%s\"", strerror(errno));
    buf_addf(&peer->out,
             "CONNECT {\"verbose\":false,\"headers\":true,"
             "\"no_responders\":true}\r\nSUB inbox.%d.* 1\r\n",
             peer->number);
}

static void
peer_close(struct peer *peer)
{
    (void)fclose(peer->in);
    buf_fini(&peer->out);
    buf_fini(&peer->body);
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

/* Asks to be answered in our inbox. */
static void
publish(struct peer *peer, const char *subject, struct slice data)
{
    buf_addf(&peer->out, "PUB %s inbox.%d.a %zu\r\n", subject, peer->number,
             data.bytes);
    buf_add_slice(&peer->out, data);
    buf_add_str(&peer->out, "\r\n");
}

/* Reads on to the next message: MSG or HMSG SUBJECT SID [REPLY] [HEAD] ALL. */
static void
next_message(struct peer *peer)
{
    char line[LINE_BYTES_MAX], *words[6] = { NULL }, *rest = line;
    size_t count = 0, bytes;

    do {
        if (!fgets(line, sizeof(line), peer->in))
            log_fatal("event=no_answer");
        if (strncmp(line, "-ERR", 4) == 0)
            log_fatal("event=refused error=\"%s\"", line);
        if (strncmp(line, "PING", 4) == 0) {
            buf_add_str(&peer->out, "PONG\r\n");
            flush(peer);
        }
    } while (strncmp(line, "MSG ", 4) != 0 && strncmp(line, "HMSG ", 5) != 0);
    while (count < 6 && (words[count] = strsep(&rest, " \r\n")))
        count += words[count][0] != '\0';
    if (count < 4)
        log_fatal("event=bad_answer");
    bytes = strtoul(words[count - 1], NULL, 10);
    peer->reply[0] = '\0';
    if (words[0][0] == 'M' && count == 5)
        (void)snprintf(peer->reply, sizeof(peer->reply), "%s", words[3]);
    buf_reset(&peer->body);
    if (fread(buf_reserve(&peer->body, bytes + 3), 1, bytes + 2, peer->in) !=
        bytes + 2) {
        log_fatal("event=no_answer");
    }
    peer->body.data[bytes] = '\0';
    /* An acknowledgement of JetStream that is none says why. */
    if (strstr(peer->body.data, "\"error\"") || words[0][0] == 'H')
        log_fatal("event=refused answer=\"%s\"", peer->body.data);
}

static void
run_schema(struct drive_client *client)
{
    struct peer peer = { .fd = -1 };

    peer_open(&peer, client);
    drive_ready(client);
    publish(&peer, "$JS.API.STREAM.CREATE.JOBS", slice_of(STREAM));
    flush(&peer);
    next_message(&peer);
    publish(&peer, "$JS.API.CONSUMER.DURABLE.CREATE.JOBS.w",
            slice_of(CONSUMER));
    flush(&peer);
    next_message(&peer);
    peer_close(&peer);
}

static void
run_put(struct drive_client *client)
{
    struct peer peer = { .fd = -1 };
    struct buf item = { 0 };

    peer_open(&peer, client);
    drive_ready(client);
    for (int64_t done = 0, count; done < client->count; done += count) {
        count = drive_next(client, done);
        for (int64_t i = 0; i < count; i++) {
            drive_item(client, done + i, &item);
            publish(&peer, "jobs", buf_slice(&item));
        }
        flush(&peer);
        for (int64_t i = 0; i < count; i++)
            next_message(&peer);
    }
    peer_close(&peer);
    buf_fini(&item);
}

static void
run_take(struct drive_client *client)
{
    const struct drive *drive = client->drive;
    char(*replies)[NAME_BYTES] = mem_zalloc((size_t)drive->window, NAME_BYTES);
    struct peer peer = { .fd = -1 };
    struct buf want = { 0 };

    peer_open(&peer, client);
    drive_ready(client);
    for (int64_t done = 0, count; done < client->count; done += count) {
        count = drive_next(client, done);
        buf_reset(&want);
        buf_addf(&want, "{\"batch\":%lld}", (long long)count);
        publish(&peer, "$JS.API.CONSUMER.MSG.NEXT.JOBS.w", buf_slice(&want));
        flush(&peer);
        for (int64_t i = 0; i < count; i++) {
            next_message(&peer);
            memcpy(replies[i], peer.reply, NAME_BYTES);
        }
        for (int64_t i = 0; i < count; i++)
            publish(&peer, replies[i], slice_of("+ACK"));
        flush(&peer);
        for (int64_t i = 0; i < count; i++)
            next_message(&peer);
    }
    peer_close(&peer);
    buf_fini(&want);
    free(replies);
}

int
main(int argc, char **argv)
{
    static const struct drive_verb verbs[] = { { "schema", run_schema },
                                               { "put", run_put },
                                               { "take", run_take },
                                               { NULL, NULL } };

    return drive_main(argc, argv, verbs);
}
