/*
 * clock.h - the time, read here and nowhere else
 *
 * Everything below the programs' loops takes `now_ms` as a parameter. Only the
 * loops, log lines and main files call the functions that read a clock.
 *
 * A steady clock joins the two system clocks: it starts at the wall time and
 * then advances with the monotonic clock. It is comparable with stored times,
 * and no jump of the wall clock during a run can expire or delay anything.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* "2026-01-31T12:00:00.123Z" and its NUL, with room for odd years. */
#define CLOCK_TEXT_BYTES 40

struct clock {
    int64_t offset_ms; /* wall minus monotonic time, when it was started */
};

/* Milliseconds since 1970 by the wall clock; may jump. */
int64_t clock_wall_ms(void);

/* Milliseconds of the monotonic clock; its zero means nothing. */
int64_t clock_mono_ms(void);

/* Microseconds of the monotonic clock, for measuring latencies. */
int64_t clock_mono_us(void);

/* Starts a steady clock at the wall time, but never before `floor_ms` (the
 * latest time known from the store; 0 if there is none). */
struct clock clock_start(int64_t floor_ms);

/* The steady time: milliseconds since 1970 that never go back. */
int64_t clock_now_ms(const struct clock *clock);

/* Writes a time as RFC 3339 in UTC with milliseconds. */
void clock_text(int64_t wall_ms, char text[CLOCK_TEXT_BYTES]);

/* Reads an RFC 3339 time ("2026-01-31T12:00:00Z", a fraction and an offset are
 * allowed) or "+2h", "+90s", "+1d12h" from now. 0 and *wall_ms, or E_INVALID. */
int clock_parse(const char *text, int64_t now_ms, int64_t *wall_ms);

#endif
