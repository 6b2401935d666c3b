/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* signalfd */
#include "submit/http_gateway.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "submit/http_events.h"
#include "submit/http_server.h"

#define GO_ON       (-1) /* no exit code yet */
#define WAIT_MS_MAX 1000 /* libzmq's descriptor may miss an edge */
#define EVENTS_MAX  8

static void
look_at_clocks(struct gateway *gateway)
{
    gateway->now_ms = clock_mono_ms();
    gateway->wall_ms = clock_wall_ms();
}

/* New tokens, if all of the file can be read; else the old ones stay. */
static void
reload(struct gateway *gateway)
{
    struct http_tokens *tokens;
    struct err err = { 0 };

    if (!gateway->tokens_path)
        return;
    tokens = http_tokens_load(gateway->tokens_path, &err);
    if (!tokens) {
        log_error("event=reload_failed reason=\"%s\"", err.msg);
        return;
    }
    http_tokens_free(gateway->tokens);
    gateway->tokens = tokens;
    log_info("event=reload tokens=%zu", http_tokens_count(tokens));
}

static void
drain(struct gateway *gateway, const char *reason)
{
    log_info("event=draining reason=%s", reason);
    gateway->is_draining = true;
    for (size_t i = 0; i < gateway->server_count; i++)
        http_server_drain(gateway->servers[i]);
}

/* The first signal asks for an end, the second demands it. */
static int
take_signals(struct gateway *gateway, int signal_fd, int64_t *end_ms)
{
    struct signalfd_siginfo info;

    while (read(signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGHUP) {
            reload(gateway);
            continue;
        }
        if (gateway->is_draining)
            return HTTP_EXIT_SIGNAL + (int)info.ssi_signo;
        drain(gateway, "signal");
        *end_ms = gateway->now_ms + HTTP_DRAIN_MS;
    }
    return GO_ON;
}

static bool
is_drained(const struct gateway *gateway, int64_t end_ms)
{
    if (!gateway->is_draining)
        return false;
    for (size_t i = 0; i < gateway->server_count; i++) {
        if (!http_server_is_idle(gateway->servers[i]))
            return gateway->now_ms >= end_ms;
    }
    return true;
}

static int
open_epoll(const struct gateway *gateway, int signal_fd)
{
    int fds[HTTP_SERVERS_MAX + 2] = { signal_fd,
                                      http_broker_fd(gateway->broker) };
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

    for (size_t i = 0; i < gateway->server_count; i++)
        fds[i + 2] = http_server_fd(gateway->servers[i]);
    for (size_t i = 0; i < gateway->server_count + 2; i++) {
        struct epoll_event event = { .events = EPOLLIN, .data.fd = fds[i] };

        if (epoll_fd < 0 ||
            epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fds[i], &event) < 0) {
            log_fatal("event=epoll_failed reason=\"%s\"", strerror(errno));
        }
    }
    return epoll_fd;
}

static int
wait_ms(const struct gateway *gateway)
{
    int64_t next_ms = gateway->now_ms + WAIT_MS_MAX;
    int64_t broker_ms = http_broker_next_ms(gateway->broker);
    int64_t events_ms = http_events_next_ms(gateway->events);

    if (broker_ms < next_ms)
        next_ms = broker_ms;
    if (events_ms < next_ms)
        next_ms = events_ms;
    for (size_t i = 0; i < gateway->server_count; i++) {
        int64_t server_ms = http_server_next_ms(gateway->servers[i]);

        if (server_ms < next_ms)
            next_ms = server_ms;
    }
    return next_ms > gateway->now_ms ? (int)(next_ms - gateway->now_ms) : 0;
}

/* The broker's answers make replies, which the servers send; and requests make
 * questions, whose sending may have eaten an edge. */
static void
turn(struct gateway *gateway)
{
    http_broker_turn(gateway->broker, gateway->now_ms);
    http_events_turn(gateway->events);
    for (size_t i = 0; i < gateway->server_count; i++)
        http_server_turn(gateway->servers[i]);
    http_broker_turn(gateway->broker, gateway->now_ms);
}

int
http_gateway_run(struct gateway *gateway, int signal_fd)
{
    int epoll_fd = open_epoll(gateway, signal_fd), code = GO_ON;
    struct epoll_event events[EVENTS_MAX];
    int64_t end_ms = 0;

    look_at_clocks(gateway);
    gateway->started_ms = gateway->now_ms;
    for (;;) {
        turn(gateway);
        code = take_signals(gateway, signal_fd, &end_ms);
        if (code == GO_ON && is_drained(gateway, end_ms))
            code = 0;
        if (code != GO_ON)
            break;
        if (epoll_wait(epoll_fd, events, EVENTS_MAX, wait_ms(gateway)) < 0 &&
            errno != EINTR) {
            log_fatal("event=epoll_failed reason=\"%s\"", strerror(errno));
        }
        look_at_clocks(gateway);
    }
    (void)close(epoll_fd);
    return code;
}
