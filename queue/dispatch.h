/*
 * dispatch.h - who is leased what next, and why nobody is
 *
 * SCHEDULER.md says whose turn it is, choice.h where a request goes. What is found
 * is granted to a worker with room.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_DISPATCH_H
#define QUEUE_DISPATCH_H

#include <stddef.h>
#include <stdint.h>

#include "queue/choice.h"
#include "queue/session.h"
#include "queue/wait.h"
#include "store/request.h"

struct broker;

/* What is leased next, and where it goes. */
struct grant {
    uint64_t batch;
    struct place place;
    struct choice choice;
};

/* How far a batch was looked through for what may go, behind its first places,
 * while upstreams have no room. */
struct look {
    uint64_t batch; /* 0: none */
    struct place place;
};

/* A request that runs alone, on a worker that gets nothing else. */
struct alone {
    uint64_t session; /* 0: there is none */
    uint64_t request;
    uint32_t fence; /* 0: the worker is not free for it yet */
    uint64_t batch; /* that gives it */
    struct place place;
};

/* ---- dispatch.c ---- */

/* Leases ready requests to workers with room. */
void dispatch_run(struct broker *broker, int64_t now_ms);

/* Why nothing of a batch may start now, by its state and its terms: WAIT_SWEEP
 * (it has ended), WAIT_SEAL, WAIT_PAUSE, WAIT_SCHEDULE or WAIT_WINDOW. Here and
 * below, WAIT_NOTHING: it may. */
struct wait dispatch_batch_wait(struct broker *broker, uint64_t batch,
                                int64_t now_ms);

/* The first moment from now_ms on at which a batch may start, by its not_before
 * and its window. */
int64_t dispatch_start_ms(struct broker *broker, const struct batch *batch,
                          int64_t now_ms);

/* Why nothing of a group, or to an upstream, is leased now: WAIT_GROUP,
 * WAIT_COOLDOWN; and why a ready request is not given in turn: WAIT_ALONE. */
struct wait dispatch_group_wait(const struct broker *broker, uint64_t group,
                                int64_t now_ms);
struct wait dispatch_upstream_wait(struct broker *broker,
                                   const struct request *request,
                                   int64_t now_ms);
struct wait dispatch_alone_wait(const struct request *request);

/* Why nobody is leased anything now: WAIT_DRAIN, WAIT_WORKER or WAIT_SLOT. The
 * store may have no room besides, see store_may_lease(). */
struct wait dispatch_worker_wait(const struct broker *broker);

/* How long a lease on a request lasts. */
int64_t dispatch_lease_ms(const struct broker *broker,
                          const struct request *request);

/* ---- grant.c ---- */

/* Leases up to `max` requests of a grant to a session: renders and counts
 * them. Each draft that leaves its request is a step of *budget. */
void grant_leases(struct broker *broker, struct session *session,
                  const struct grant *grant, size_t max, size_t *budget,
                  int64_t now_ms);

/* True if a leased request would not be sent as it was: another configuration
 * makes another one of its draft, or none. */
bool grant_is_old(struct broker *broker, const struct request *request);

#endif
