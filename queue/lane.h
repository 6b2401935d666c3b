/*
 * lane.h - the calls to one upstream and model: how many at a time
 *
 * A lane's window limits what is leased to it. It begins small and doubles with
 * what is answered, up to the window that was last too much; from there it grows
 * by one for each window of answers, and never beyond the operator's limit. What
 * says that the upstream has too much to do makes it smaller at once:
 *
 *   refused (429)                to three quarters of what is under way
 *   overloaded (503, 529), or no answer in time            to half of it
 *   the median of the last answers is twice the usual      to three quarters
 *
 * once for all calls that were made before that was known. After the upstream was
 * broken it begins with one.
 *
 * Lanes keep a profile of latencies of their own: models differ. Pure: time is
 * passed in.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_LANE_H
#define QUEUE_LANE_H

#include <stdint.h>

#include "queue/latency.h"

#define LANE_WINDOW_FIRST 16 /* or less, where the operator allows less */
#define LANE_MODEL_BYTES  65 /* of a model's name, with its NUL; cut there */

struct lane {
    uint32_t tag;   /* stands for the model that requests name */
    unsigned where; /* the upstream's index */
    char model[LANE_MODEL_BYTES];
    double window;
    double turning;        /* below it the window doubles */
    int64_t cut_ms;        /* calls made before it do not cut it again */
    int64_t used_ms;       /* when it was last leased to */
    uint32_t held;         /* leases now; counted by the dispatcher */
    struct latency usual;  /* of its answers */
    struct latency recent; /* of the newest, until they are compared */
};

/* An unused lane of at most `max` calls at a time. */
void lane_init(struct lane *lane, unsigned where, uint32_t tag, int64_t max);

/* How many leases it may have at a time: at least 1. */
uint32_t lane_window(const struct lane *lane);

/* A call was answered, after so long; latencies up to slow_ms are never too
 * long. */
void lane_answered(struct lane *lane, int64_t latency_ms, int64_t slow_ms,
                   int64_t max, int64_t now_ms);

/* A call that was made then was refused, or found the upstream overloaded. */
void lane_refused(struct lane *lane, int64_t made_ms, int64_t now_ms);
void lane_overloaded(struct lane *lane, int64_t made_ms, int64_t now_ms);

/* Its upstream was broken: begin with one. */
void lane_restart(struct lane *lane, int64_t now_ms);

#endif
