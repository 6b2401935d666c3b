/* SPDX-License-Identifier: MIT */
#include "worker/call.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <malloc.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define CALLS          16
#define CALL_BYTES_MAX 32768 /* of memory, while it runs */
#define ENOUGH_MS      30000
#define URL_BYTES      64
#define REQUEST_BYTES  1024

/* An upstream that hears what is asked, and does not answer. */
struct play {
    int listener;
    char url[URL_BYTES];
    struct calls *calls;
    int fds[CALLS];
};

static struct play play;

static void
set_up(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t bytes = sizeof(address);
    struct err err = { 0 };

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    play.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(play.listener, (struct sockaddr *)&address, bytes), 0);
    cr_assert_eq(listen(play.listener, CALLS), 0);
    cr_assert_eq(
        getsockname(play.listener, (struct sockaddr *)&address, &bytes), 0);
    (void)snprintf(play.url, sizeof(play.url), "http://127.0.0.1:%d",
                   ntohs(address.sin_port));
    play.calls = calls_new(CALLS, NULL);
    cr_assert_eq(calls_load(play.calls, &err), 0, "%s", err.msg);
}

static void
tear_down(void)
{
    calls_free(play.calls);
    for (int i = 0; i < CALLS; i++)
        (void)close(play.fds[i]);
    (void)close(play.listener);
}

static void
begin_call(void)
{
    struct call_order order = { .base_url = play.url,
                                .path = "/v1",
                                .content_type = "application/json",
                                .body = { "{}", 2 },
                                .connect_timeout_ms = ENOUGH_MS,
                                .timeout_ms = ENOUGH_MS,
                                .reply_bytes_max = 1 << 20 };
    struct call *call;
    struct err err = { 0 };

    cr_assert_eq(calls_start(play.calls, &order, &call, &err), 0, "%s",
                 err.msg);
}

/* Lets the calls go on until there is something to be read. */
static void
await(int fd)
{
    int64_t until_ms = clock_mono_ms() + ENOUGH_MS;
    struct pollfd wanted = { .fd = fd, .events = POLLIN };

    while (!wanted.revents) {
        cr_assert_lt(clock_mono_ms(), until_ms, "nothing was asked");
        calls_perform(play.calls);
        (void)calls_wait(play.calls, &wanted, 1, 10);
    }
}

static void
hear(int fd)
{
    char request[REQUEST_BYTES];

    await(fd);
    cr_assert_gt(recv(fd, request, sizeof(request), 0), 0);
}

/* Waits for a call to connect, and hears it. */
static int
hear_call(void)
{
    int fd;

    await(play.listener);
    fd = accept(play.listener, NULL, NULL);
    cr_assert_geq(fd, 0);
    hear(fd);
    return fd;
}

static size_t
memory_in_use(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

/* A worker may have a thousand of them. */
Test(call, takes_little_memory_while_it_waits, .init = set_up,
     .fini = tear_down)
{
    size_t before = memory_in_use(), each;

    for (int i = 0; i < CALLS; i++)
        begin_call();
    for (int i = 0; i < CALLS; i++)
        play.fds[i] = hear_call();
    each = (memory_in_use() - before) / CALLS;
    cr_expect_leq(each, CALL_BYTES_MAX, "got %zu bytes", each);
}
