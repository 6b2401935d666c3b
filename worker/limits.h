/*
 * limits.h - how long an instruction wants its answer to be
 *
 * Goals and constraints are prose: "at most 3 sentences", "in one sentence",
 * "under 50 words", "max 280 characters", "two sentences or fewer, no more than
 * 40 words". This finds the upper limits in English prose; of several on the
 * same thing the least holds. Lower limits ("at least 2 sentences") are none of
 * its business.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_LIMITS_H
#define WORKER_LIMITS_H

#include <stddef.h>

#include "base/buf.h"

#define LIMITS_NONE       0
#define LIMITS_BYTES_MAX  262144     /* of a longer instruction, its end */
#define LIMITS_NUMBER_MAX 1000000000 /* a larger number is taken for this */

/* Inclusive, at least 1; LIMITS_NONE where the instruction sets none. */
struct limits {
    size_t sentences_max;
    size_t words_max;
    size_t characters_max;
    size_t sentence_words_max; /* "at most 12 words per sentence" */
};

/* Finds the limits in an instruction, in any letter case. */
void limits_find(struct slice instruction, struct limits *limits);

#endif
