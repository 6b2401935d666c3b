/*
 * choice.h - where a request goes now
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_CHOICE_H
#define QUEUE_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

#include "queue/bound.h"
#include "queue/wait.h"
#include "store/batch.h"
#include "store/request.h"

struct broker;
struct upstream;

/* Where a request goes now. */
struct choice {
    struct bound bound;
    enum resort resort; /* not RESORT_WAIT: no upstream can be asked */
    bool is_single;     /* for one request, not for others of its place */
};

/* Chooses where a request of a batch goes now: an upstream of its route; or, if
 * none can be asked in time, its last resort. Else why not. */
struct wait choice_make(struct broker *broker, const struct request *request,
                        struct choice *choice, int64_t now_ms);

/* The first upstream of a request's route if all of them are suspended until
 * somebody resumes one, and it waits for that; else NULL. */
const struct upstream *choice_stopped(struct broker *broker,
                                      const struct request *request,
                                      int64_t now_ms);

/* The wait of a batch that can go nowhere: all that is ready is for upstreams
 * that are suspended until somebody resumes one, and nothing is in flight. */
bool choice_is_stalled(struct broker *broker, const struct batch *batch,
                       const struct upstream **upstream, int64_t now_ms);

#endif
