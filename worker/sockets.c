/* SPDX-License-Identifier: MIT */
#include "worker/sockets.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define CAPACITY_MIN 16
#define US_A_MS      1000
#define TIMER_NEVER  INT64_MAX

void
sockets_must(CURLMcode code)
{
    if (code != CURLM_OK) {
        log_fatal("event=curl_failed reason=\"%s\"", curl_multi_strerror(code));
    }
}

#define SET(sockets, option, value) \
    sockets_must(curl_multi_setopt((sockets)->multi, (option), (value)))

static void
grow(struct sockets *sockets)
{
    size_t capacity = sockets->capacity * 2 + CAPACITY_MIN;

    sockets->polls = mem_grow(sockets->polls, capacity + SOCKETS_OTHERS_MAX,
                              sizeof(*sockets->polls));
    sockets->ready =
        mem_grow(sockets->ready, capacity, sizeof(*sockets->ready));
    sockets->capacity = capacity;
}

/* Called by libcurl when it waits for something else at a descriptor. There are
 * hardly more of them than calls. */
static int
watch(CURL *easy, curl_socket_t fd, int what, void *user, void *own)
{
    struct sockets *sockets = user;
    struct pollfd *polls = sockets->polls + SOCKETS_OTHERS_MAX;
    size_t at = 0;

    (void)easy;
    (void)own;
    while (at < sockets->count && polls[at].fd != fd)
        at++;
    if (what == CURL_POLL_REMOVE) {
        if (at < sockets->count)
            polls[at] = polls[--sockets->count];
        return 0;
    }
    if (at == sockets->count) {
        if (sockets->count == sockets->capacity)
            grow(sockets);
        polls = sockets->polls + SOCKETS_OTHERS_MAX;
        sockets->count++;
    }
    polls[at] = (struct pollfd){ .fd = fd };
    if (what & CURL_POLL_IN)
        polls[at].events |= POLLIN;
    if (what & CURL_POLL_OUT)
        polls[at].events |= POLLOUT;
    return 0;
}

/* Called by libcurl when its next time is another one. It counts in milliseconds,
 * and does not say the same again to one that gave it its turn too early. */
static int
set_timer(CURLM *multi, long timeout_ms, void *user)
{
    struct sockets *sockets = user;

    (void)multi;
    if (timeout_ms < 0)
        sockets->timer_us = TIMER_NEVER;
    else if (timeout_ms == 0)
        sockets->timer_us = 0;
    else
        sockets->timer_us = clock_mono_us() + (timeout_ms + 1) * US_A_MS;
    return 0;
}

void
sockets_open(struct sockets *sockets, size_t connections_max)
{
    sockets->multi = curl_multi_init();
    if (!sockets->multi)
        log_fatal("event=curl_failed reason=\"no multi handle\"");
    sockets->timer_us = TIMER_NEVER;
    grow(sockets);
    SET(sockets, CURLMOPT_MAXCONNECTS, (long)connections_max);
    SET(sockets, CURLMOPT_SOCKETFUNCTION, watch);
    SET(sockets, CURLMOPT_SOCKETDATA, sockets);
    SET(sockets, CURLMOPT_TIMERFUNCTION, set_timer);
    SET(sockets, CURLMOPT_TIMERDATA, sockets);
}

void
sockets_close(struct sockets *sockets)
{
    if (sockets->multi)
        (void)curl_multi_cleanup(sockets->multi);
    free(sockets->polls);
    free(sockets->ready);
    *sockets = (struct sockets){ 0 };
}

/* Polls the connections, and with them so many others. */
static int
poll_all(struct sockets *sockets, size_t others, int timeout_ms)
{
    int rc = poll(sockets->polls + SOCKETS_OTHERS_MAX - others,
                  others + sockets->count, timeout_ms);

    if (rc < 0 && errno != EINTR)
        log_fatal("event=poll_failed reason=\"%s\"", strerror(errno));
    sockets->is_polled = rc >= 0;
    return rc;
}

/* What is ready, taken out of the table: libcurl changes that in its turn. */
static size_t
take_ready(struct sockets *sockets)
{
    struct pollfd *polls = sockets->polls + SOCKETS_OTHERS_MAX;
    size_t count = 0;

    if (!sockets->is_polled && poll_all(sockets, 0, 0) <= 0)
        return 0;
    for (size_t i = 0; i < sockets->count; i++) {
        if (polls[i].revents)
            sockets->ready[count++] = polls[i];
    }
    return count;
}

static void
act(struct sockets *sockets, curl_socket_t fd, short ready, int *going)
{
    int events = 0;

    if (ready & POLLIN)
        events |= CURL_CSELECT_IN;
    if (ready & POLLOUT)
        events |= CURL_CSELECT_OUT;
    if (ready & (POLLERR | POLLHUP | POLLNVAL))
        events |= CURL_CSELECT_ERR;
    sockets_must(curl_multi_socket_action(sockets->multi, fd, events, going));
}

bool
sockets_perform(struct sockets *sockets, int *going)
{
    size_t count = take_ready(sockets);
    bool is_time;

    for (size_t i = 0; i < count; i++)
        act(sockets, sockets->ready[i].fd, sockets->ready[i].revents, going);
    is_time = sockets->timer_us <= clock_mono_us();
    if (is_time) {
        sockets->timer_us = TIMER_NEVER;
        act(sockets, CURL_SOCKET_TIMEOUT, 0, going);
    }
    if (count == 0 && !is_time)
        return false; /* and the poll that has shown so need not be made again */
    sockets->is_polled = false;
    return true;
}

/* No longer than until libcurl is to have its turn. */
static int
bound_wait(const struct sockets *sockets, int timeout_ms)
{
    int64_t left_us;

    if (!sockets->multi || sockets->timer_us == TIMER_NEVER)
        return timeout_ms;
    left_us = sockets->timer_us - clock_mono_us();
    if (left_us <= 0)
        return 0;
    return left_us < (int64_t)timeout_ms * US_A_MS
               ? (int)((left_us + US_A_MS - 1) / US_A_MS)
               : timeout_ms;
}

bool
sockets_wait(struct sockets *sockets, struct pollfd *others, size_t count,
             int timeout_ms)
{
    struct pollfd *first;
    int rc;

    assert(count <= SOCKETS_OTHERS_MAX);
    if (sockets->capacity == 0)
        grow(sockets);
    first = sockets->polls + SOCKETS_OTHERS_MAX - count;
    for (size_t i = 0; i < count; i++)
        first[i] =
            (struct pollfd){ .fd = others[i].fd, .events = others[i].events };
    rc = poll_all(sockets, count, bound_wait(sockets, timeout_ms));
    for (size_t i = 0; i < count; i++)
        others[i].revents = first[i].revents;
    return rc > 0;
}
