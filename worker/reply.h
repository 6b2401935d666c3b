/*
 * reply.h - what came back of one call
 *
 * Either an HTTP reply, or the way in which there was none. Whoever makes the
 * call fills it in (call.h, local.h); outcome.h judges it.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_REPLY_H
#define WORKER_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "worker/hint.h"

#define REPLY_REASON_BYTES_MAX 255

/*    name          what happened */
/* clang-format off */
#define REPLY_END_LIST(X)                                                     \
    X(COMPLETE,    "an HTTP reply came whole")                                \
    X(TIMEOUT,     "the time for the call was over")                          \
    X(UNRESOLVED,  "the host's name has no address")                          \
    X(UNCONNECTED, "no connection was made")                                  \
    X(CUT,         "the connection was lost")                                 \
    X(GARBLED,     "what came is not HTTP")                                   \
    X(TLS,         "TLS failed")                                              \
    X(UNTRUSTED,   "the server's certificate is not trusted")                 \
    X(TOO_LARGE,   "the reply is above its size limit")                       \
    X(BAD_URL,     "the URL cannot be called")                                \
    X(BROKEN,      "the call failed in another way")                          \
    X(ABORTED,     "we gave the call up")
/* clang-format on */

#define REPLY_ENUM(name, text) REPLY_##name,
enum reply_end { REPLY_END_LIST(REPLY_ENUM) REPLY_END_COUNT };
#undef REPLY_ENUM

/* Zero-initialised is valid. */
struct reply {
    enum reply_end end;
    int http_status; /* 0 if no status line came */
    bool is_sent;    /* bytes of the request left this host */
    int64_t latency_ms;
    struct hint_headers headers;
    char reason[REPLY_REASON_BYTES_MAX + 1]; /* unless COMPLETE: why, or "" */
    struct buf body;                         /* as it came, perhaps in part */
};

/* A reply to be filled in, freed with reply_free() with its body. NULL is fine
 * there. */
struct reply *reply_new(void);
void reply_free(struct reply *reply);

/* What happened, for people. */
const char *reply_end_text(enum reply_end end);

#endif
