/*
 * why.h - why a draft has no result yet
 *
 * Looks at a draft, its request, the batches that wait for it and the workers,
 * and tells all that it waits for, in the order in which the dispatcher would
 * find it. A pure function of the store, the broker's state in memory and the
 * time; it decides nothing, and asks those who do (dispatch.c).
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_WHY_H
#define QUEUE_WHY_H

#include "queue/core.h"

#define WHY_WAITS_MAX   8
#define WHY_BATCHES_MAX 64 /* that wait for a request: so many are looked at */
#define WHY_BEFORE_MAX  1000 /* requests before one are counted so far */

struct why {
    bool has_request;
    struct request request; /* it waits for, or has its result from */
    struct attempt attempt; /* the newest of it; number 0: none is known */
    struct wait waits[WHY_WAITS_MAX];
    size_t wait_count;
    uint64_t through; /* the batch in whose row the request stands: of those
                         that wait for it, the one that may start first */
    size_t before;    /* requests in that row before it */
    const struct upstream *stopped; /* see choice_stopped() */
    bool has_lease;
    struct lease lease;
    const struct session *holder; /* of the lease; NULL: not known any more */
    const struct held *held;
};

/* Explains a draft. E_CORRUPT: its request is damaged. Strings in why->attempt
 * are borrowed from the store. */
int why_find(struct broker *broker, const struct batch *batch,
             const struct draft *draft, int64_t now_ms, struct why *why)
    __attribute__((warn_unused_result));

/* Appends what more there is to say of a wait, for people; often nothing. */
void why_detail(struct broker *broker, const struct batch *batch,
                const struct draft *draft, const struct why *why,
                const struct wait *wait, struct buf *out);

#endif
