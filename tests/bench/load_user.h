/*
 * load_user.h - one of the users of a load test
 *
 * A user hands in a batch, as a client does, polls for its results until they
 * are all there or it has waited too long, and begins anew. Its calls to the
 * broker go over the connection that all users share, one after the other: none
 * of them waits for an upstream.
 *
 *   IDLE ──submit──► WAITING ──answered, or too late──► IDLE
 *     ▲                 │ poll
 *     │                 └──┘
 *     └── refused as a whole
 */
/* SPDX-License-Identifier: MIT */
#ifndef BENCH_LOAD_USER_H
#define BENCH_LOAD_USER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "submit/sheaf.h"
#include "tests/bench/load_tally.h"
#include "tests/bench/payload.h"

#define LOAD_USERS_MAX  10000
#define LOAD_DRAFTS_MAX 1000 /* of a request */

/* What users are told to do. */
struct load_plan {
    const char *client; /* each adds its number */
    const char *options;
    uint64_t seed;
    int64_t run;       /* names it among others of the same seed */
    bool is_generated; /* texts begin with the seed: not those of before */
    int64_t bytes;     /* of a text */
    int64_t drafts;    /* of a request */
    int64_t duplicates_percent;
    int64_t priority;
    int64_t timeout_ms, poll_ms;
};

/* What they share; all borrowed. */
struct load_env {
    const struct load_plan *plan;
    struct sheaf *sheaf;
    struct payload *payload;
    struct tally *tally;
    uint64_t chance;
    int64_t texts;    /* different ones so far */
    int64_t requests; /* so far */
    struct buf line, text;
};

enum user_state { USER_IDLE, USER_WAITING };

struct user {
    int number;
    enum user_state state;
    int64_t done; /* requests */
    char batch[SHEAF_UUID_BYTES];
    int64_t cursor;
    int64_t open;    /* drafts whose result is to come */
    int64_t due_ms;  /* when its request should have begun */
    int64_t poll_ms; /* when it looks again */
};

/* Hands in a request that was due then. 0, or what makes it useless to go on:
 * what the broker refuses is counted. */
int user_submit(struct user *user, struct load_env *env, int64_t due_ms,
                struct sheaf_error *error);

/* Looks for results. The same. */
int user_poll(struct user *user, struct load_env *env, int64_t now_ms,
              struct sheaf_error *error);

/* Gives up what it waits for, and cancels it. */
int user_leave(struct user *user, struct load_env *env,
               struct sheaf_error *error);

#endif
