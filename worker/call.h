/*
 * call.h - calls to upstreams over HTTP, several at a time
 *
 * With sockets.h all that knows libcurl. A call is one POST, on a connection that is
 * kept for the next one. libcurl is loaded when it is first needed: a worker whose
 * only upstream is `local` never does.
 *
 * No redirect is followed, no proxy taken from the environment, nothing but
 * http and https spoken. TLS is 1.2 or newer, and its certificates are checked.
 * A reply is dropped at its size limit; none is asked to be compressed, and
 * none is unpacked.
 *
 * Threads: none of ours. The calls belong to one loop.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_CALL_H
#define WORKER_CALL_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/dialect.h"
#include "base/err.h"
#include "worker/reply.h"

#define CALL_HEADER_BYTES_MAX  65536 /* of a reply */
#define CALL_ATTEMPT_BYTES_MAX 128

struct calls; /* the table of all calls */
struct call;  /* one of them, until it is taken or aborted */

/* What is to be sent. The body is borrowed until the call has ended, the rest
 * only while it is started. */
struct call_order {
    const char *base_url;
    const char *path;       /* begins with a slash; "": the base URL as it is */
    const char *attempt;    /* names it, the same if sent again; NULL: none */
    const char *key_header; /* its name and what stands before the key */
    struct slice key;       /* empty: none is sent */
    const char *const *headers; /* more of them, whole lines: so many, or up
                                   to a NULL */
    size_t header_count;
    const char *content_type;
    struct slice body;
    const char *ca_file; /* whose certificates to trust; NULL: the system's */
    int64_t connect_timeout_ms; /* for name, connection and TLS */
    int64_t timeout_ms;         /* for all of it */
    /* Once a reply has begun, so many bytes must come in each such time: a
     * model may think for minutes before the first, but not between them. 0 ms:
     * they need not. */
    int64_t low_speed_ms;
    int64_t low_speed_bytes;
    int64_t reply_bytes_max;
};

/* A table for at most `max` calls; nothing is connected. proxy is a URL or
 * NULL, borrowed while the calls live. Freed with calls_free(), which aborts
 * what runs; NULL is fine there. */
struct calls *calls_new(size_t max, const char *proxy);
void calls_free(struct calls *calls);

/* Loads libcurl, if it is not there yet, so that the first call need not wait a
 * millisecond or two for it. E_IO: it cannot be used. */
int calls_load(struct calls *calls, struct err *err);

/* Starts a call. E_INVALID: the URL is none that may be called; E_FULL: `max`
 * are running; E_IO: libcurl cannot be used. */
int calls_start(struct calls *calls, const struct call_order *order,
                struct call **call, struct err *err)
    __attribute__((warn_unused_result));

/* Does what can be done for all calls without waiting. Has to be called between
 * waits. */
void calls_perform(struct calls *calls);

/* True if calls_take() has one to give. */
bool calls_have_ended(const struct calls *calls);

/* Takes out one call that has ended. NULL: none has ended. The returned call only
 * names which one it was. Its reply is the caller's, to be freed with
 * reply_free(). */
struct call *calls_take(struct calls *calls, struct reply **reply);

/* Ends a call at once; it is never taken. */
void calls_abort(struct calls *calls, struct call *call);

/* Waits until something happens to a call, what is asked for happens at a
 * descriptor (as poll() says in them), or timeout_ms has passed: 0 only looks. A
 * call that has ended is not waited for. False: nothing has happened. */
bool calls_wait(struct calls *calls, struct pollfd *fds, size_t fd_count,
                int timeout_ms);

#endif
