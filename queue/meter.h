/*
 * meter.h - what calls came to: how long, how they ended, what they cost
 *
 * Counted since the broker's start, by upstream and by the words of the tables
 * of statuses and classes, so that what it takes is bounded by the
 * configuration. It tells of calls, not of drafts: a request that was tried
 * three times stands here three times. What drafts got is counted beside it, and
 * what those got for nothing that another's call had paid for.
 *
 * It is part of what a transaction that fails takes back: a copy is kept, and both
 * ways only what was touched is copied, as all of it takes longer than to store a
 * result. Pure; zero-initialised is empty.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_METER_H
#define QUEUE_METER_H

#include <stdbool.h>

#include "base/conf.h"
#include "base/status.h"
#include "queue/histogram.h"
#include "store/attempt.h"
#include "store/draft.h"

#define METER_LOCAL CONF_UPSTREAMS_MAX /* the row of the built-in sampler */
#define METER_ROWS  (CONF_UPSTREAMS_MAX + 1)

/* Of durations in milliseconds. The default t1 to t4 are among the bounds, so
 * that what is above one of them is known exactly. */
extern const struct histogram_scale meter_durations;

/* The calls to one upstream. */
struct meter_row {
    struct histogram durations[STATUS_COUNT]; /* by what the call alone says */
    uint64_t classes[CLASS_COUNT];
    uint64_t timed, above_t2, above_t3; /* calls whose duration is known */
    uint64_t prompt_tokens, completion_tokens;
    uint64_t cost_nano; /* billionths of a dollar; what is known of it */
};

/* Answers that drafts got without a call of their own. */
struct meter_reuse {
    uint64_t answers;
    uint64_t cost_nano; /* that their calls would have cost, as far as known */
};

struct meter {
    struct meter_row rows[METER_ROWS]; /* as in the configuration */
    bool is_touched[METER_ROWS];       /* since the last meter_copy() */
    uint64_t results[STATUS_COUNT];    /* of drafts, corrections included */
    struct meter_reuse reuse[CACHE_TIER_COUNT]; /* the first is not used */
};

/* How a call ended. Less than 0 is unknown. */
struct meter_call {
    enum call_class class;
    enum status status;
    int64_t latency_ms;
    int64_t prompt_tokens, completion_tokens;
    int64_t cost_nano;
};

/* The row of an upstream, to be counted in, by its index; BOUND_LOCAL is the last
 * one. */
struct meter_row *meter_row(struct meter *meter, int where);

/* Counts a call. One that was aborted has a class only. */
void meter_add(struct meter_row *row, const struct conf *conf,
               const struct meter_call *call);

/* Counts a draft's result; cost_nano is what its answer has cost, less than 0 if
 * that is unknown. */
void meter_result(struct meter *meter, enum status status, enum cache_tier tier,
                  int64_t cost_nano);

/* Copies one of a pair over the other: what was touched in one of them since that
 * was last done. */
void meter_copy(struct meter *target, struct meter *source);

#endif
