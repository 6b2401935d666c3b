/*
 * wait.h - what keeps a request from being called, and until when
 *
 * The dispatcher decides by it, and `why` tells it, under the names of
 * PROTOCOL.md: so what is told is what is done.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_WAIT_H
#define QUEUE_WAIT_H

#include <stdint.h>

#include "queue/schedule.h"

/* In the order in which they are told. */
/* clang-format off */
#define WAIT_LIST(X)                                                     \
    X(NOTHING,  "")                                                      \
    X(SWEEP,    "sweep")    /* it is being ended, or put back */         \
    X(SEAL,     "seal")     /* its batch is open */                      \
    X(PAUSE,    "pause")    /* its batch is paused */                    \
    X(SCHEDULE, "schedule") /* its batch may not start earlier */        \
    X(WINDOW,   "window")   /* its batch is out of its hours */          \
    X(BACKOFF,  "backoff")  /* it failed */                              \
    X(SERVER,   "server")   /* its upstream said how long */             \
    X(GROUP,    "group")    /* others of its kind may come */            \
    X(COOLDOWN, "cooldown") /* its upstream is left alone */             \
    X(BREAKER,  "breaker")  /* its upstream failed too often */          \
    X(PACE,     "pace")     /* its upstream takes so many in a time */   \
    X(LANE,     "lane")     /* its upstream takes so many at a time */   \
    X(ALONE,    "alone")    /* until a worker is free of all else */     \
    X(ROOM,     "room")     /* the store has none for its answer */      \
    X(DRAIN,    "drain")    /* the broker is shutting down */            \
    X(WORKER,   "worker")   /* there is no worker */                     \
    X(SLOT,     "slot")     /* others have them, or come first */        \
    X(LEASE,    "lease")    /* a worker has it, with others before it */ \
    X(ANSWER,   "answer")   /* its call is in flight */
/* clang-format on */

#define WAIT_ENUM(name, text) WAIT_##name,
enum wait_cause { WAIT_LIST(WAIT_ENUM) WAIT_COUNT };
#undef WAIT_ENUM

struct wait {
    enum wait_cause cause;
    int64_t until_ms; /* SCHEDULE_NEVER: no time ends it */
};

/* The name of a cause. */
const char *wait_name(enum wait_cause cause);

#endif
