/*
 * wave.h - results that wait a moment for others
 *
 * Calls that start together end together, or nearly: at an upstream that takes
 * its time a worker's calls come back in a wave, once a round. Each message to the
 * broker wakes four threads, and ends in a flush; what one result costs them is
 * mostly that. So the first results of a wave wait for those that were called
 * beside them, until the last of these has ended, or for WAVE_MS.
 *
 * Where a round takes less than the broker's window, they wait for the next wave as
 * well, and for as long as the window at most. What such a call costs is little:
 * an answer that is paid for takes a hundred milliseconds and more, and waits for
 * nothing but its own wave.
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

/* What one look at the calls has found. */
struct wave_look {
    size_t ended;    /* calls: none, at times */
    size_t left;     /* those that still run */
    size_t next;     /* in the next round, if there are leases for one more */
    int64_t took_ms; /* the longest of those that ended */
};

struct wave {
    int64_t window_ms; /* the broker's; nothing waits for longer */
    bool is_open;      /* something waits */
    size_t rest;       /* calls that may end before it is over */
    int64_t end_ms;    /* it waits no longer */
};

/* Counts the calls that have ended; opens the wave if it is not open. */
void wave_add(struct wave *wave, const struct wave_look *look, int64_t now_ms);

/* True if something waits, and there is somebody to wait for. */
bool wave_waits(const struct wave *wave, int64_t now_ms);

/* What waited was sent. */
void wave_end(struct wave *wave);

#endif
