/*
 * clock.h - the time, read here and nowhere else
 *
 * Everything below the programs' loops takes `now_ms` as a parameter. Only the
 * loops, log lines and main files call the functions that read a clock.
 *
 * A steady clock is what stored times are in. It begins at the wall time, never
 * goes back, and lets as much time pass as really does, as far as that can be
 * known:
 *
 *   while it runs, and over a restart        by the clock that counts from the
 *   within one boot of the host              boot, suspends included
 *   over a boot                              by the wall clock; not at all if
 *                                            that shows less than before
 *
 * For this, a mark is kept of what the clocks showed at the latest stored time.
 * A wall clock that jumps changes no length of anything; what it shows beyond
 * the steady time matters where a person's clock is meant.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* "2026-01-31T12:00:00.123Z" and its NUL, with room for odd years. */
#define CLOCK_TEXT_BYTES 40

#define CLOCK_BOOT_BYTES 16

/* What the clocks showed at one moment. */
struct clock_mark {
    unsigned char boot[CLOCK_BOOT_BYTES]; /* the id of the host's boot; 0: not
                                             known */
    int64_t boot_ms;                      /* since then, suspends included */
    int64_t wall_ms; /* since 1970; 0: nothing was marked */
};

struct clock {
    unsigned char boot[CLOCK_BOOT_BYTES];
    int64_t ahead_ms; /* of the time since the boot */
};

/* Milliseconds since 1970 by the wall clock; may jump. */
int64_t clock_wall_ms(void);

/* Milliseconds of the monotonic clock; its zero means nothing. */
int64_t clock_mono_ms(void);

/* Microseconds of the monotonic clock, for measuring latencies. */
int64_t clock_mono_us(void);

/* The steady time at which a clock goes on: `then` is the mark of the latest
 * time that is known, latest_ms. Pure. */
int64_t clock_resume_ms(const struct clock_mark *then, int64_t latest_ms,
                        const struct clock_mark *now);

/* Starts a steady clock; then may be NULL, and latest_ms 0: at the wall time. */
struct clock clock_start(const struct clock_mark *then, int64_t latest_ms);

/* What the clocks show now, and the steady time at such a moment. */
struct clock_mark clock_look(const struct clock *clock);
int64_t clock_at_ms(const struct clock *clock, const struct clock_mark *mark);

/* The steady time now: milliseconds since 1970 that never go back. */
int64_t clock_now_ms(const struct clock *clock);

/* Writes a time as RFC 3339 in UTC with milliseconds. */
void clock_text(int64_t wall_ms, char text[CLOCK_TEXT_BYTES]);

/* Reads an RFC 3339 time ("2026-01-31T12:00:00Z", a fraction and an offset are
 * allowed) or "+2h", "+90s", "+1d12h" from now. 0 and *wall_ms, or E_INVALID. */
int clock_parse(const char *text, int64_t now_ms, int64_t *wall_ms);

#endif
