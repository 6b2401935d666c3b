/*
 * latency.h - how long calls take: a profile of bounded size
 *
 * Durations are counted in classes, four to each doubling, so that any quantile
 * is known within a fifth. Older calls fade: when there are LATENCY_CALLS_MAX,
 * all counts are halved. Pure; zero-initialised is empty.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_LATENCY_H
#define QUEUE_LATENCY_H

#include <stdint.h>

#define LATENCY_CLASSES   112 /* up to three days */
#define LATENCY_CALLS_MAX 1024

struct latency {
    uint16_t counts[LATENCY_CLASSES];
    uint32_t total;
};

/* Counts a call. */
void latency_add(struct latency *latency, int64_t ms);

/* Adds what another has counted. */
void latency_merge(struct latency *latency, const struct latency *other);

/* The duration that `percent` of the calls do not exceed; -1 if there were
 * none. */
int64_t latency_percentile(const struct latency *latency, unsigned percent);

#endif
