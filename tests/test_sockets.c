/* SPDX-License-Identifier: MIT */
#include "worker/sockets.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define CALLS_MAX  40 /* more than the table has room for at first */
#define ENOUGH_MS  30000
#define URL_BYTES  64
#define TIMEOUT_MS 50L

static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/* An upstream that does nothing by itself, and calls of it. */
struct play {
    struct sockets sockets;
    int listener;
    char url[URL_BYTES];
    CURL *calls[CALLS_MAX];
    int count;
    int going;
    CURLcode ends[CALLS_MAX];
    int ended;
};

static struct play play;

static size_t
drop(char *data, size_t size, size_t count, void *user)
{
    (void)data;
    (void)user;
    return size * count;
}

static void
set_up(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t bytes = sizeof(address);

    play = (struct play){ 0 };
    cr_assert_eq(curl_global_init(CURL_GLOBAL_DEFAULT), 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    play.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(play.listener, (struct sockaddr *)&address, bytes), 0);
    cr_assert_eq(listen(play.listener, CALLS_MAX), 0);
    cr_assert_eq(
        getsockname(play.listener, (struct sockaddr *)&address, &bytes), 0);
    (void)snprintf(play.url, sizeof(play.url), "http://127.0.0.1:%d/",
                   ntohs(address.sin_port));
    sockets_open(&play.sockets, CALLS_MAX);
}

static void
tear_down(void)
{
    for (int i = 0; i < play.count; i++) {
        sockets_must(
            curl_multi_remove_handle(play.sockets.multi, play.calls[i]));
        curl_easy_cleanup(play.calls[i]);
    }
    sockets_close(&play.sockets);
    (void)close(play.listener);
    curl_global_cleanup();
}

TestSuite(sockets, .init = set_up, .fini = tear_down);

/* Begins a call, which is given up after so long; 0: never. */
static void
begin_call(long timeout_ms)
{
    CURL *call = curl_easy_init();

    cr_assert_lt(play.count, CALLS_MAX);
    curl_easy_setopt(call, CURLOPT_URL, play.url);
    curl_easy_setopt(call, CURLOPT_PROXY, "");
    curl_easy_setopt(call, CURLOPT_WRITEFUNCTION, drop);
    curl_easy_setopt(call, CURLOPT_TIMEOUT_MS, timeout_ms);
    sockets_must(curl_multi_add_handle(play.sockets.multi, call));
    play.calls[play.count++] = call;
}

/* Lets libcurl do what it can, and notes which calls have ended. */
static void
perform(void)
{
    struct CURLMsg *told;
    int left;

    while (sockets_perform(&play.sockets, &play.going))
        ;
    while ((told = curl_multi_info_read(play.sockets.multi, &left)))
        play.ends[play.ended++] = told->data.result;
}

/* Waits for a call to connect, and reads what it asks. */
static int
hear_call(void)
{
    struct pollfd listener = { .fd = play.listener, .events = POLLIN };
    char request[1024];
    int fd;

    while (!listener.revents) {
        perform();
        (void)sockets_wait(&play.sockets, &listener, 1, ENOUGH_MS);
    }
    fd = accept(play.listener, NULL, NULL);
    cr_assert_geq(fd, 0);
    perform(); /* it is connected, and asks */
    cr_assert_gt(recv(fd, request, sizeof(request), 0), 0);
    return fd;
}

static void
await_end(int ended)
{
    int64_t until_us = clock_mono_us() + ENOUGH_MS * 1000LL;

    for (perform(); play.ended < ended; perform()) {
        cr_assert_lt(clock_mono_us(), until_us);
        (void)sockets_wait(&play.sockets, NULL, 0, ENOUGH_MS);
    }
}

Test(sockets, call_goes_on_when_its_connection_is_ready)
{
    int fd;

    begin_call(0);
    fd = hear_call();
    cr_expect_eq(play.going, 1);
    cr_expect_eq(play.ended, 0);
    cr_assert_eq(send(fd, reply, strlen(reply), 0), (ssize_t)strlen(reply));
    await_end(1);
    cr_expect_eq(play.ends[0], CURLE_OK);
    cr_expect_eq(play.going, 0);
    (void)close(fd);
}

/* To look costs the more the more calls there are. */
Test(sockets, nothing_ready_is_not_looked_for_again_before_the_next_wait)
{
    int64_t soon_us = clock_mono_us() + ENOUGH_MS * 1000LL;
    int fd;

    begin_call(0);
    fd = hear_call();
    do {
        (void)sockets_wait(&play.sockets, NULL, 0, 0);
        perform();
    } while (play.sockets.timer_us < soon_us);
    cr_assert_eq(send(fd, reply, strlen(reply), 0), (ssize_t)strlen(reply));
    perform();
    cr_expect_eq(play.ended, 0, "it was looked for");
    await_end(1);
    cr_expect_eq(play.ends[0], CURLE_OK);
    (void)close(fd);
}

Test(sockets, many_calls_go_on_at_once)
{
    int fds[CALLS_MAX];

    for (int i = 0; i < CALLS_MAX; i++)
        begin_call(0);
    for (int i = 0; i < CALLS_MAX; i++)
        fds[i] = hear_call();
    cr_expect_eq(play.going, CALLS_MAX);
    for (int i = 0; i < CALLS_MAX; i++) {
        cr_assert_eq(send(fds[i], reply, strlen(reply), 0),
                     (ssize_t)strlen(reply));
        await_end(i + 1);
    }
    for (int i = 0; i < CALLS_MAX; i++) {
        cr_expect_eq(play.ends[i], CURLE_OK);
        (void)close(fds[i]);
    }
}

Test(sockets, end_of_a_connection_ends_its_call)
{
    begin_call(0);
    (void)close(hear_call());
    await_end(1);
    cr_expect_eq(play.ends[0], CURLE_GOT_NOTHING);
}

Test(sockets, wait_is_no_longer_than_until_libcurls_next_time)
{
    int64_t from_us = clock_mono_us();
    int fd;

    begin_call(TIMEOUT_MS);
    fd = hear_call();
    await_end(1);
    cr_expect_eq(play.ends[0], CURLE_OPERATION_TIMEDOUT);
    cr_expect_geq(clock_mono_us() - from_us, TIMEOUT_MS * 1000);
    cr_expect_lt(clock_mono_us() - from_us, ENOUGH_MS * 1000LL);
    (void)close(fd);
}

Test(sockets, wait_ends_with_what_happens_at_another_descriptor)
{
    struct pollfd others[2] = { { .events = POLLIN }, { .events = POLLIN } };
    int first[2], second[2];

    cr_assert_eq(pipe(first), 0);
    cr_assert_eq(pipe(second), 0);
    others[0].fd = first[0];
    others[1].fd = second[0];
    cr_expect_not(sockets_wait(&play.sockets, others, 2, 0));
    cr_expect_eq(others[0].revents | others[1].revents, 0);
    cr_assert_eq(write(second[1], "x", 1), 1);
    cr_expect(sockets_wait(&play.sockets, others, 2, ENOUGH_MS));
    cr_expect_eq(others[0].revents, 0);
    cr_expect_eq(others[1].revents, POLLIN);
    for (int i = 0; i < 2; i++) {
        (void)close(first[i]);
        (void)close(second[i]);
    }
}

/* A worker that has nothing to call yet has not loaded libcurl. */
Test(sockets, can_be_waited_for_before_they_are_opened)
{
    struct sockets none = { 0 };
    struct pollfd listener = { .fd = play.listener, .events = POLLIN };

    cr_expect_not(sockets_wait(&none, &listener, 1, 0));
    begin_call(0);
    while (!listener.revents) {
        perform();
        (void)sockets_wait(&none, &listener, 1, 1);
    }
    sockets_close(&none);
}
