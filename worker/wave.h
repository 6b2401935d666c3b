/*
 * wave.h - results that wait a moment for others
 *
 * Calls that start together end together, or nearly: at an upstream that takes
 * its time a worker's calls come back in a wave, once a round. Each message to the
 * broker wakes four threads, and what one result costs them is mostly that. So the
 * first results of a wave wait for those that were called beside them, until the
 * last of these has ended, or for WAVE_MS.
 *
 * A pure value; zero-initialised, nothing waits. Time is passed in.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_WAVE_H
#define WORKER_WAVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAVE_MS 2 /* a wave of five is mostly over by then */

struct wave {
    bool is_open;   /* something waits */
    size_t rest;    /* calls that ran when it was opened, and may still end */
    int64_t end_ms; /* it waits no longer */
};

/* So many calls have ended, which is none at times, and so many were left when
 * they had. Opens the wave if it is not open. */
void wave_add(struct wave *wave, size_t ended, size_t left, int64_t now_ms);

/* True if something waits, and there is somebody to wait for. */
bool wave_waits(const struct wave *wave, int64_t now_ms);

/* What waited was sent. */
void wave_end(struct wave *wave);

#endif
