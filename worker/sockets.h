/*
 * sockets.h - the connections of calls, and when libcurl has its turn
 *
 * libcurl says which descriptors it waits for, and until when; it is given its
 * turn for those that are ready, instead of asking the kernel about each call.
 * With call.h and curl_end.h all that knows libcurl.
 *
 * Threads: none of ours.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_SOCKETS_H
#define WORKER_SOCKETS_H

#include <curl/curl.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOCKETS_OTHERS_MAX 8 /* descriptors that are waited for beside them */

struct sockets {
    CURLM *multi;         /* NULL before sockets_open(). Calls are put in and
                             taken out by the owner */
    struct pollfd *polls; /* room for those beside them, then theirs */
    struct pollfd *ready; /* what libcurl is given its turn for */
    size_t count;         /* of theirs */
    size_t capacity;
    bool is_polled;   /* what is ready stands in the table, as far as is known:
                         nothing was done since */
    int64_t timer_us; /* when libcurl is to have its turn at the latest */
};

/* Zeroed, it has no connections and can be waited for. libcurl has been
 * initialised; at most so many connections are kept. It stays in its place until
 * sockets_close(). */
void sockets_open(struct sockets *sockets, size_t connections_max);
void sockets_close(struct sockets *sockets);

/* Does what can be done now without waiting. True if it was anything: then so
 * many of the calls are going on, and what is to be told of the others waits in
 * `multi`. Where nothing was ready it does not look again before the next wait, but
 * for calls that were put in. */
bool sockets_perform(struct sockets *sockets, int *going);

/* Waits until a connection is ready or libcurl is to have its turn, until what is
 * asked for happens at another descriptor (as poll() says in them), or
 * timeout_ms has passed. False: nothing was ready. */
bool sockets_wait(struct sockets *sockets, struct pollfd *others, size_t count,
                  int timeout_ms);

/* What is asked for can be done: a refusal is the end of the process. */
void sockets_must(CURLMcode code);

#endif
