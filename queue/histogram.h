/*
 * histogram.h - how often a figure fell between fixed bounds
 *
 * For whoever watches: Prometheus wants counts that only grow, by bounds that
 * never change. A scale holds the bounds, in whole units (milliseconds,
 * microseconds, items); a histogram counts what is at most the first, at most
 * the second, and so on, and last what is above all of them. The sum of the
 * figures makes their mean.
 *
 * Pure; zero-initialised is empty. What was counted is lost with the process,
 * and whoever reads it takes that for a counter that began anew.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_HISTOGRAM_H
#define QUEUE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BOUNDS_MAX 13

/* Bounds, each above the one before it; at least one. */
struct histogram_scale {
    size_t count;
    int64_t bounds[HISTOGRAM_BOUNDS_MAX];
};

struct histogram {
    uint64_t counts[HISTOGRAM_BOUNDS_MAX + 1]; /* not cumulative */
    uint64_t sum;
};

/* Counts a figure; one below 0 is taken for 0. */
void histogram_add(struct histogram *histogram,
                   const struct histogram_scale *scale, int64_t value);

/* How many figures were counted. */
uint64_t histogram_total(const struct histogram *histogram);

#endif
