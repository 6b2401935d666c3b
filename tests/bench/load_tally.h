/*
 * load_tally.h - what the users of a load test have seen
 *
 * Counts, and two spreads of times: from when a request was due until its batch
 * was on the broker's disk, and until its answer was fetched. "Due" is when it
 * should have begun, so that a user who is held up by slow answers does not hide
 * how long the others would have waited.
 *
 * A spread has a fixed size: times below SPREAD_EXACT ms are kept exactly, longer
 * ones to a hundredth. Zero-initialised is empty.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BENCH_LOAD_TALLY_H
#define BENCH_LOAD_TALLY_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "base/status.h"

#define SPREAD_EXACT   128 /* a power of two */
#define SPREAD_OCTAVES 24  /* above that: to 24 days */
#define SPREAD_COUNT   (SPREAD_EXACT + SPREAD_OCTAVES * SPREAD_EXACT)

#define TIER_LIST(X)    X(none) X(memory) X(store) X(joined)
#define TIER_ENUM(name) TIER_##name,
enum tier { TIER_LIST(TIER_ENUM) TIER_COUNT };
#undef TIER_ENUM

struct spread {
    uint64_t counts[SPREAD_COUNT];
    uint64_t count;
    int64_t max_ms;
};

struct tally {
    struct spread submit, answer;
    int64_t submitted;  /* drafts that were sent */
    int64_t accepted;   /* of them */
    int64_t reused;     /* of these: joined, or answered by the cache */
    int64_t answered;   /* results that were fetched */
    int64_t unanswered; /* drafts that had none in time */
    int64_t tiers[TIER_COUNT];
    int64_t statuses[STATUS_COUNT];
    int64_t elapsed_ms;
    char refusal[512]; /* the latest reason why drafts were refused */
};

/* Adds a time; less than 0 is 0. */
void spread_add(struct spread *spread, int64_t ms);

/* The time that so many percent are not above; 0 of an empty one. */
int64_t spread_percentile(const struct spread *spread, double percent);

/* Takes a result line. */
void tally_result(struct tally *tally, const cJSON *line);

/* Drafts that ended otherwise than well, of those that ended. */
int64_t tally_fallbacks(const struct tally *tally);

/* A line on how it stands; the whole, for people, and as JSON. */
void tally_print_progress(const struct tally *tally, int64_t waiting);
void tally_print(const struct tally *tally);
cJSON *tally_json(const struct tally *tally);

#endif
