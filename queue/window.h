/*
 * window.h - the hours of the week in which a batch may start calls
 *
 * A window is written in the wall time of a zone:
 *
 *   09:00-18:00                          every day
 *   mon-fri 08:00-12:00,14:00-18:00      two spans on each working day
 *   sat,sun 23:00-06:00; wed 12:00-24:00 several rules
 *   1-5 08:00-12:00                      days by their ISO numbers, 1 is Monday
 *
 * The end of a span is outside of it. A span over midnight belongs to the day
 * on which it opens: `mon-fri 23:00-06:00` covers Saturday until 06:00, and not
 * Monday before 06:00. Days may go round the week: `fri-mon`.
 *
 * The window is open when a clock on the wall of that zone shows a time inside
 * it. So where the clock is put forward over a span, the span does not happen
 * that day; and where it is put back, an hour that happens twice counts twice.
 *
 * Time is passed in, as milliseconds since 1970. Threads: none; a window
 * belongs to one event loop.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_WINDOW_H
#define QUEUE_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define WINDOW_SPEC_BYTES_MAX 512
#define WINDOW_ZONE_BYTES_MAX 64
#define WINDOW_TIME_MS_MAX    (INT64_C(1) << 53)
#define WINDOW_NEVER          INT64_MAX

struct window;

/* Reads a window. `zone` is an IANA name such as Europe/Berlin; "" is UTC.
 * E_INVALID with the reason and the column of `spec`, from 1, where it does not
 * hold; *window is NULL then. The caller frees it with window_free(). */
int window_parse(const char *spec, const char *zone, struct window **window,
                 struct err *err);

/* NULL is fine. */
void window_free(struct window *window);

/* True if the window is open at that time, 0 to WINDOW_TIME_MS_MAX. */
bool window_is_open(const struct window *window, int64_t now_ms);

/* The first moment from now_ms on at which it is open: now_ms itself if it is.
 * It opens at least once in two weeks. */
int64_t window_next_open(const struct window *window, int64_t now_ms);

/* The first moment from now_ms on at which it is not open: now_ms itself if it
 * is not. WINDOW_NEVER if it covers the whole week. */
int64_t window_next_close(const struct window *window, int64_t now_ms);

#endif
