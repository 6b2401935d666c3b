/*
 * world.h - a simulated world around the real core of the broker
 *
 * One history: a broker over a store (in memory, or LMDB), clients, workers and
 * an upstream, links between them, and a time that only the history moves. The
 * broker's shell is played as sheafd has it: what arrived is applied in one
 * transaction, committed, and only then answered; the process may end before,
 * in and after each commit.
 *
 *   clients.c ──┐                      ┌── workers.c ── weather.c: upstreams, and
 *   filer.c     │                      │    slips.c,      hooks.c: receivers
 *               ├── links ── shell.c ──┤    words.c ── fortune.c: what befalls them
 *   answers.c   ┘        (crashes)     └── judge*.c: what must hold, always
 *
 * All chance comes from the dice: a seed is a history.
 *
 * One history in four is of a busy day (crowd.c): several clients of different
 * weights ask for more than there are slots, most of the time, so that it
 * matters who is served next. In the others, brokers are started with another
 * default model now and then (models.c).
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/text.h"
#include "queue/broker.h"
#include "tests/room.h"
#include "tests/sim/ahead.h"
#include "tests/sim/clients.h"
#include "tests/sim/clocks.h"
#include "tests/sim/dice.h"
#include "tests/sim/filer.h"
#include "tests/sim/judge.h"
#include "tests/sim/models.h"
#include "tests/sim/tally.h"
#include "tests/sim/workers.h"

#define WORLD_START_MS   INT64_C(1800000000000)
#define WORLD_EVENTS_MIN 300
#define WORLD_PATH_BYTES 128
#define WORLD_LATE_MS    500 /* less is no standstill, as workers.c has it */

struct world {
    uint64_t seed;
    bool is_verbose, is_lmdb, is_calm;
    bool is_bad_day;       /* the upstream mostly fails */
    bool is_busy, is_kind; /* see crowd.c */
    int client_count, plan_count;
    int poison; /* workers die of the text of this number; -1: of none */
    struct dice dice;
    struct dice hook_dice; /* apart: those without webhooks stay as they are */
    struct dice room_dice; /* so do those that always find room */
    struct ahead *ahead;
    struct models models;
    struct tally tally;
    struct conf conf;
    struct text_rules *rules; /* borrowed */
    struct store *store;
    char dir[WORLD_PATH_BYTES]; /* of LMDB */
    struct outbox outbox;
    struct broker *broker;
    uint64_t broker_seed;
    int64_t now_ms;   /* the broker's time, and everybody's length */
    int64_t wake_ms;  /* when its loop is to turn again */
    int64_t stood_ms; /* how much it was late, in all */
    int64_t read_ms, read_stood_ms; /* when it last read its leases anew */
    bool is_deaf; /* its loop turns before it is handed what has arrived */
    bool is_draining;
    int64_t drain_until_ms;
    /* The host's clocks. */
    uint32_t boot;                 /* the number of boots */
    int64_t booted_ms;             /* in the broker's time */
    int64_t wall_ahead_ms;         /* of the wall clock */
    int64_t settled_ms;            /* as the broker may take it */
    int64_t kept_ms, kept_wall_ms; /* at the latest commit; 0: there is none */
    uint32_t kept_boot;
    int crashes;
    int events;
    bool is_turning; /* the commit at hand is of a turn of its loop */
    bool fails;      /* there is little space, until a transaction finds none */
    struct room room;
    int crash;         /* the next commit ends the broker: CRASH_… */
    struct pipe stray; /* of links that broke: may still arrive */
    uint32_t peers;
    struct client clients[WORLD_CLIENTS];
    struct plan plans[WORLD_PLANS + 1]; /* the last one is the filer's */
    struct filer filer;
    struct worker workers[WORLD_WORKERS];
    struct weather weather[WORLD_UPSTREAMS];
    uint32_t in_flight; /* calls, as the upstream sees them */
    struct judge judge;
};

enum { CRASH_NONE, CRASH_BEFORE, CRASH_IN, CRASH_AFTER };

/* ---- world.c ---- */

/* A world of this seed; a directory for LMDB, or NULL for memory. rules are
 * borrowed. */
struct world *world_new(uint64_t seed, const char *dir,
                        struct text_rules *rules, bool is_verbose);
void world_free(struct world *world);

/* Plays the history: at least `events` events (WORLD_EVENTS_MIN if 0), then
 * calm, until all has ended. What must not happen ends the process. */
void world_play(struct world *world, int events);

/* Says that something must not be: prints seed and reason, ends the process. */
_Noreturn void world_fail(struct world *world, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Tells of an event, if somebody listens. */
void world_tell(struct world *world, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The batch of a UUID, or of a plan, as the store has it; false: there is none. */
bool world_find(struct world *world, const char *uuid, struct batch *batch);
bool world_find_of(struct world *world, const struct plan *plan,
                   struct batch *batch);

/* ---- shell.c: the broker's process ---- */

/* It starts over its store. */
void shell_start(struct world *world);

/* A turn of its loop. */
void shell_turn(struct world *world);

/* Does what follows a commit, and sends what was said until then. */
void shell_settle(struct world *world);

/* It ends, and another one comes. */
void shell_restart(struct world *world);

/* It is told to end, or crashes soon, or its disk is full. */
void shell_trouble(struct world *world);

/* The next one comes as soon as its own workers have gone. */
void shell_end_drain(struct world *world);

#endif
