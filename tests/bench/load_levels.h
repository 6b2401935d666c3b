/*
 * load_levels.h - the service levels of the configuration, and whether they held
 *
 * Of what the broker counts (`stats`), the differences between looks are added
 * up, so that a broker which is started anew meanwhile is no gap. They are of all
 * that it did, whoever asked for it. The levels are those of its alerts, over the
 * time of the test and all upstreams together, and said by the same options:
 *
 *   hit_rate       drafts that needed no call of their own     alert_hit_percent
 *   error_rate     calls of which nothing came                 alert_error_percent
 *   latency_p50    calls above t2_ms: at most half
 *   latency_p95    calls above t3_ms: at most 5 %
 *   fallbacks      the test's results that are none            alert_error_percent
 *   answered       the test's drafts that had a result in time: all
 *
 * Fewer than alert_samples_min samples are not judged, but for the last one.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BENCH_LOAD_LEVELS_H
#define BENCH_LOAD_LEVELS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "tests/bench/load_tally.h"

#define STAGE_COUNT 4 /* t1 to t4 */

struct broker_counts {
    int64_t uptime_ms;
    int64_t calls, errors;      /* as the alerts count them */
    int64_t timed;              /* calls whose duration is known */
    int64_t above[STAGE_COUNT]; /* of them */
};

struct levels {
    const struct conf *conf;   /* borrowed */
    struct broker_counts seen; /* at the latest look */
    struct broker_counts sum;  /* since the first one */
    bool has_seen;
};

/* Takes the object `stats` of the broker's answer. */
void levels_note(struct levels *levels, const cJSON *stats);

/* Prints the stages and the verdict, and says whether it is a good one; the same
 * appended to an object. */
bool levels_print(const struct levels *levels, const struct tally *tally);
bool levels_add_json(const struct levels *levels, const struct tally *tally,
                     cJSON *object);

#endif
