/*
 * watch.h - the broker's look at itself
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_WATCH_H
#define QUEUE_WATCH_H

#include <stddef.h>
#include <stdint.h>

#include "queue/alerts.h"

struct broker;

/* The broker's look at itself. */
struct watch {
    struct alerts *alerts;
    uint64_t moves; /* leases, calls and ends as of the last look */
    uint64_t
        stuck;   /* a batch that could go on and does not; 0: none is known */
    size_t skip; /* batches that were looked at in this round */
    uint64_t posted; /* the number of the news that webhooks are told next */
    uint64_t posted_sent; /* as of the last commit */
};

/* Looks for what somebody should know of, if it is time, by what is committed.
 * It takes no wake-up of its own: whoever runs the core comes by more often
 * than alerts are looked for. */
void watch_run(struct broker *broker, int64_t now_ms);

/* Stores events of what is new, for webhooks. */
void watch_post(struct broker *broker);

#endif
