/*
 * breaker.h - whether an upstream that fails is worth a call
 *
 *              failures in a row,
 *              of several requests             pause is over: one call
 *     CLOSED ─────────────────────► OPEN ───────────────────────────► PROBING
 *       ▲                             ▲            it failed: pause       │
 *       │                             │            twice as long          │
 *       │                             └───────────────────────────────────┤
 *       └─────────────────────────────────────────────────────────────────┘
 *                                  it was answered
 *
 * While it is open nothing is sent. A run counts only if it is of several
 * requests: one that no server can digest says nothing about the server. An
 * answer is anything but a failure: a 400 or a 429 comes from an upstream that
 * works.
 *
 * The numbers are kept in the store: after a restart an upstream that was broken
 * is not tried by everybody at once. Pure: time is passed in.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_BREAKER_H
#define QUEUE_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#define BREAKER_REQUESTS 3 /* a run of failures is of so many, at least */

/* clang-format off */
#define BREAKER_TO(state) (1u << BREAKER_##state)
/*    name     text       the states it may move to */
#define BREAKER_STATES(X)                                                     \
    X(CLOSED,  "closed",  BREAKER_TO(OPEN))                                   \
    X(OPEN,    "open",    BREAKER_TO(PROBING) | BREAKER_TO(CLOSED))           \
    X(PROBING, "probing", BREAKER_TO(OPEN) | BREAKER_TO(CLOSED))
/* clang-format on */

#define BREAKER_ENUM(name, text, to) BREAKER_##name,
enum breaker_state { BREAKER_STATES(BREAKER_ENUM) BREAKER_STATE_COUNT };
#undef BREAKER_ENUM

/* Zero-initialised is closed. */
struct breaker {
    enum breaker_state state;
    int64_t until_ms;  /* while open: when it may be probed */
    int64_t pause_ms;  /* that was made last; 0: none since it was closed */
    uint32_t failures; /* in a row */
    uint32_t request_count;
    uint64_t requests[BREAKER_REQUESTS]; /* that they were of */
};

/* When it opens, and for how long. */
struct breaker_rules {
    uint32_t failures; /* in a row */
    int64_t pause_ms;  /* the first one; each doubles */
    int64_t pause_max_ms;
};

/* The name of a state. */
const char *breaker_state_name(enum breaker_state state);

/* True if the table has this move. */
bool breaker_may_move(enum breaker_state from, enum breaker_state to);

/* When a call may be made: 0 if it is closed; while it is probing the caller
 * sees to it that there is one call only. */
int64_t breaker_ready_ms(const struct breaker *breaker);

/* A call is made: if it is open, whose pause must be over, this is the probe. */
void breaker_call(struct breaker *breaker, int64_t now_ms);

/* A call of a request has failed. True if that opened it. */
bool breaker_failed(struct breaker *breaker, const struct breaker_rules *rules,
                    uint64_t request, int64_t now_ms);

/* A call was answered. One that was made before it opened says nothing new.
 * True if that closed it. */
bool breaker_answered(struct breaker *breaker);

/* Closes it, whatever was seen: somebody says that it works. */
void breaker_reset(struct breaker *breaker);

#endif
