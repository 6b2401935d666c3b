/*
 * call.h - calls to upstreams over HTTP, several at a time
 *
 * The one place that knows libcurl. A call is one POST, on a connection that is
 * kept for the next one. libcurl is loaded with the first call: a worker whose
 * only upstream is `local` never needs it.
 *
 * No redirect is followed, no proxy taken from the environment, nothing but
 * http and https spoken, and a reply is dropped at its size limit.
 *
 * Threads: none of ours. The calls belong to one loop.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_CALL_H
#define WORKER_CALL_H

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
    const char *path;    /* begins with a slash */
    const char *attempt; /* names this attempt; the same if it is sent again */
    const char *key_header;     /* the key stands behind it */
    struct slice key;           /* empty: none is sent */
    const char *const *headers; /* more of them, DIALECT_HEADERS_MAX or up to
                                   NULL */
    struct slice body;
    int64_t connect_timeout_ms;
    int64_t timeout_ms;
    int64_t reply_bytes_max;
};

/* A table for at most `max` calls; nothing is connected. proxy is a URL or
 * NULL, borrowed while the calls live. Freed with calls_free(), which aborts
 * what runs; NULL is fine there. */
struct calls *calls_new(size_t max, const char *proxy);
void calls_free(struct calls *calls);

/* Starts a call. E_INVALID: the URL is none that may be called; E_FULL: `max`
 * are running; E_IO: libcurl cannot be used. */
int calls_start(struct calls *calls, const struct call_order *order,
                struct call **call, struct err *err)
    __attribute__((warn_unused_result));

/* Does what can be done for all calls without waiting. */
void calls_perform(struct calls *calls);

/* Takes out one call that has ended, with its reply (which owns its body then).
 * NULL: none has ended. The returned call only names which one it was. */
struct call *calls_take(struct calls *calls, struct reply *reply);

/* Ends a call at once; it is never taken. */
void calls_abort(struct calls *calls, struct call *call);

/* Waits until something happens to a call, a descriptor is readable, or
 * timeout_ms has passed. */
void calls_wait(struct calls *calls, const int *fds, size_t fd_count,
                int timeout_ms);

/* Removes from the environment what would change how calls are made, or write
 * down their secrets: proxies, SSLKEYLOGFILE, settings of curl. To be called
 * before anything else, in main. */
void calls_scrub_environment(void);

#endif
