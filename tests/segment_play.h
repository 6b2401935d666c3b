/*
 * segment_play.h - batches that complete in turn, and where their results lie
 *
 * In a play, results of a batch are in one segment if they are two numbers apart. A
 * failure is that of the test.
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SEGMENT_PLAY_H
#define TESTS_SEGMENT_PLAY_H

#include "store/rows.h"
#include "store/segment.h"
#include "tests/store_play.h"

#define TURN_BATCHES 4
#define TURN_DRAFTS  16
#define FALLBACKS    (1u << STATUS_SERVER_ERROR | 1u << STATUS_EXPIRED)

/* Batches, sealed, with as many drafts each, of which each makes a request of its
 * own. Those are in flight. */
struct turns {
    uint64_t batches[TURN_BATCHES];
    uint64_t requests[TURN_BATCHES][TURN_DRAFTS];
    size_t next[TURN_BATCHES]; /* of its requests to end */
};

void turns_begin(struct turns *turns, struct play *play, size_t batches,
                 size_t drafts);

/* Ends one request after the other: of the first batch for an `a`, of the second for
 * a `b`, and so on; those of capital letters with a fallback. */
void turns_take(struct turns *turns, struct play *play, const char *order);

/* The segments of a batch that are rows, as "1-2 5-5"; the one in its record. There
 * until the next call. */
const char *segment_play_rows(struct play *play, uint64_t batch);
const char *segment_play_newest(struct play *play, uint64_t batch);

/* From each number on, all results of a batch are read that its drafts have, in
 * their order, and nothing is named as damaged. */
void segment_play_expect_all(struct play *play, uint64_t batch);

#endif
