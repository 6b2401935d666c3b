/*
 * instant.c - an upstream that takes no time of its own
 *
 *   instant --port-file FILE [--latency-ms N] [--bytes N]
 *
 * Answers every POST on 127.0.0.1 with the same chat completion of --bytes
 * (1024), at once or --latency-ms after the request was whole. One loop, so
 * that it takes little of the processors that it shares with what is measured.
 * It knows just enough HTTP/1.1 for clients that behave: requests with a
 * Content-Length, one at a time on a connection that stays. What goes wrong on
 * a connection closes it. Ends on SIGTERM.
 *
 * All wait alike, so who waits stands in a row, the next one first.
 */
/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* epoll, accept4(), strcasestr() */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "tests/bench/payload.h"

#define PEERS_MAX      4096
#define EVENTS_MAX     64
#define REQUEST_MAX    ((size_t)1 << 20)
#define LATENCY_MS_MAX 60000
#define BYTES_MAX      1000000
#define PATH_BYTES_MAX 4096

struct peer {
    int fd; /* -1: free */
    struct buf in;
    bool is_waiting; /* for its answer */
};

struct waiting {
    struct peer *peer;
    int fd; /* the peer's then: another one may have its place by now */
    int64_t due_us;
};

struct instant {
    int epoll, listener, timer;
    int64_t latency_us;
    struct buf reply;
    struct peer peers[PEERS_MAX];
    struct waiting row[PEERS_MAX]; /* a ring */
    size_t first, count;
};

static void
watch(struct instant *instant, int fd, void *what)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = what };

    if (epoll_ctl(instant->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        log_fatal("event=no_epoll error=\"%s\"", strerror(errno));
}

static void
hang_up(struct peer *peer)
{
    close(peer->fd);
    peer->fd = -1;
    peer->is_waiting = false;
    buf_reset(&peer->in);
}

static void
answer(struct instant *instant, struct peer *peer)
{
    size_t bytes = instant->reply.bytes;

    peer->is_waiting = false;
    /* A reply is smaller than the socket's buffer, which is empty. */
    if (send(peer->fd, instant->reply.data, bytes, MSG_NOSIGNAL) !=
        (ssize_t)bytes) {
        hang_up(peer);
    }
}

static void
set_timer(struct instant *instant, int64_t due_us)
{
    struct itimerspec spec = { .it_value = { due_us / 1000000,
                                             due_us % 1000000 * 1000 } };

    if (timerfd_settime(instant->timer, TFD_TIMER_ABSTIME, &spec, NULL) < 0)
        log_fatal("event=no_timer error=\"%s\"", strerror(errno));
}

static void
answer_due(struct instant *instant)
{
    int64_t now_us = clock_mono_us();

    while (instant->count > 0) {
        struct waiting *next = &instant->row[instant->first];

        if (next->due_us > now_us) {
            set_timer(instant, next->due_us);
            return;
        }
        if (next->peer->fd == next->fd && next->peer->is_waiting)
            answer(instant, next->peer);
        instant->first = (instant->first + 1) % PEERS_MAX;
        instant->count--;
    }
}

static void
promise(struct instant *instant, struct peer *peer)
{
    struct waiting *next;

    peer->is_waiting = true;
    if (instant->latency_us == 0) {
        answer(instant, peer);
        return;
    }
    if (instant->count == PEERS_MAX)
        log_fatal("event=too_many_waiting max=%d", PEERS_MAX);
    next = &instant->row[(instant->first + instant->count) % PEERS_MAX];
    *next = (struct waiting){ peer, peer->fd,
                              clock_mono_us() + instant->latency_us };
    if (instant->count++ == 0)
        set_timer(instant, next->due_us);
}

/* The bytes of the request that `in` begins with; 0 if it is not whole. */
static size_t
request_bytes(struct buf *in)
{
    const char *end, *length;
    size_t head;

    buf_reserve(in, 1)[0] = '\0';
    end = in->bytes ? strstr(in->data, "\r\n\r\n") : NULL;
    if (!end)
        return 0;
    head = (size_t)(end - in->data) + 4;
    length = strcasestr(in->data, "\r\nContent-Length:");
    if (length && length < end)
        head += strtoul(length + 17, NULL, 10);
    return head <= in->bytes ? head : 0;
}

static void
take(struct instant *instant, struct peer *peer)
{
    char *room = buf_reserve(&peer->in, 65536);
    ssize_t got = recv(peer->fd, room, 65536, MSG_DONTWAIT);
    size_t whole;

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0 || peer->in.bytes > REQUEST_MAX) {
        hang_up(peer);
        return;
    }
    buf_commit(&peer->in, (size_t)got);
    whole = peer->is_waiting ? 0 : request_bytes(&peer->in);
    if (whole > 0) {
        buf_drop(&peer->in, whole);
        promise(instant, peer);
    }
}

static void
take_peers(struct instant *instant)
{
    int fd, on = 1;

    while ((fd = accept4(instant->listener, NULL, NULL,
                         SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        size_t at = 0;

        while (at < PEERS_MAX && instant->peers[at].fd >= 0)
            at++;
        if (at == PEERS_MAX) {
            close(fd);
            continue;
        }
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        instant->peers[at].fd = fd;
        watch(instant, fd, &instant->peers[at]);
    }
}

static void
listen_there(struct instant *instant, const char *port_file)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t bytes = sizeof(address);
    char path[PATH_BYTES_MAX];
    FILE *file;

    instant->listener =
        socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (instant->listener < 0 ||
        bind(instant->listener, (struct sockaddr *)&address, bytes) < 0 ||
        listen(instant->listener, 1024) < 0 ||
        getsockname(instant->listener, (struct sockaddr *)&address, &bytes) <
            0) {
        log_fatal("event=not_listening error=\"%s\"", strerror(errno));
    }
    (void)snprintf(path, sizeof(path), "%s.new", port_file);
    file = fopen(path, "we");
    if (!file || fprintf(file, "%d\n", ntohs(address.sin_port)) < 0 ||
        fclose(file) == EOF || rename(path, port_file) < 0) {
        log_fatal("event=no_port_file file=%s error=\"%s\"", port_file,
                  strerror(errno));
    }
}

static void
make_reply(struct instant *instant, size_t bytes)
{
    struct payload *payload = payload_new(NULL);
    struct buf body = { 0 };
    struct slice text;

    payload_reply(payload, 1, bytes, &body, &text);
    buf_addf(&instant->reply,
             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
             "Content-Length: %zu\r\n\r\n",
             body.bytes);
    buf_add_slice(&instant->reply, buf_slice(&body));
    buf_fini(&body);
    payload_free(payload);
}

static void
serve(struct instant *instant)
{
    struct epoll_event events[EVENTS_MAX];

    for (;;) {
        int count = epoll_wait(instant->epoll, events, EVENTS_MAX, -1);

        for (int i = 0; i < count; i++) {
            void *what = events[i].data.ptr;
            uint64_t times;

            if (what == &instant->listener) {
                take_peers(instant);
            } else if (what == &instant->timer) {
                if (read(instant->timer, &times, sizeof(times)) > 0)
                    answer_due(instant);
            } else if (((struct peer *)what)->fd >= 0) {
                take(instant, what);
            }
        }
    }
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        { "port-file", required_argument, NULL, 'p' },
        { "latency-ms", required_argument, NULL, 'l' },
        { "bytes", required_argument, NULL, 'b' },
        { NULL, 0, NULL, 0 },
    };
    struct instant *instant = mem_zalloc(1, sizeof(*instant));
    const char *port_file = NULL;
    long latency_ms = 0, bytes = 1024;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'p')
            port_file = optarg;
        else if (option == 'l')
            latency_ms = strtol(optarg, NULL, 10);
        else if (option == 'b')
            bytes = strtol(optarg, NULL, 10);
        else
            return 2;
    }
    if (!port_file || latency_ms < 0 || latency_ms > LATENCY_MS_MAX ||
        bytes < 1 || bytes > BYTES_MAX) {
        (void)fprintf(stderr, "usage: instant --port-file FILE "
                              "[--latency-ms N] [--bytes N]\n");
        return 2;
    }
    for (size_t i = 0; i < PEERS_MAX; i++)
        instant->peers[i].fd = -1;
    instant->latency_us = latency_ms * 1000;
    make_reply(instant, (size_t)bytes);
    instant->epoll = epoll_create1(EPOLL_CLOEXEC);
    instant->timer =
        timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    listen_there(instant, port_file);
    watch(instant, instant->listener, &instant->listener);
    watch(instant, instant->timer, &instant->timer);
    serve(instant);
}
