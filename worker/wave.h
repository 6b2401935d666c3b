/*
 * wave.h - results that wait a moment for others
 *
 * Calls that start together end together, or nearly: at an upstream that takes
 * its time a worker's calls come back in a wave, once a round. Each message to the
 * broker wakes four threads, and ends in a flush; what one result costs them is
 * mostly that. So the first results of a wave wait for those that were called
 * beside them, until the last of these has ended, or for WAVE_MS.
 *
 * Where a round takes less than the broker's window, they may wait for the next one
 * as well, once they are kept where the broker finds them if the worker is killed.
 *
 *              add                       keep                      end
 *   CLOSED ──► OWN, until all have ended ──► NEXT, until they have ──► CLOSED
 *                        ╰──────────────────── end ───────────────────▲
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

enum wave_state { WAVE_CLOSED, WAVE_OWN, WAVE_NEXT };

struct wave {
    enum wave_state state;
    size_t rest;     /* calls that may end before it is over */
    int64_t end_ms;  /* it waits no longer */
    int64_t took_ms; /* the longest of its own calls */
};

/* So many calls have ended, which is none at times, of which the longest took
 * took_ms, and so many were left when they had. Opens the wave if it is closed. */
void wave_add(struct wave *wave, size_t ended, size_t left, int64_t took_ms,
              int64_t now_ms);

/* True if something waits, and there is somebody to wait for. */
bool wave_waits(const struct wave *wave, int64_t now_ms);

/* True if what has waited for its own round may wait for the next one: its calls
 * took less than the window, and so long that time can be told. */
bool wave_may_go_on(const struct wave *wave, int64_t window_ms);

/* It does, for so many calls, while its window lasts. */
void wave_go_on(struct wave *wave, size_t next, int64_t window_ms,
                int64_t now_ms);

/* What waited was sent. */
void wave_end(struct wave *wave);

#endif
