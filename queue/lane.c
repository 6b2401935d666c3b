/* SPDX-License-Identifier: MIT */
#include "queue/lane.h"

#define ROUND_MIN     16 /* answers that are compared with the usual */
#define KNOWN_MIN     64 /* answers that make a latency usual */
#define REFUSED_LEFT  0.75
#define OVERLOAD_LEFT 0.5
#define SLOW_LEFT     0.75
#define SLOW_TIMES    2

void
lane_init(struct lane *lane, unsigned where, uint32_t tag, int64_t max)
{
    *lane = (struct lane){ .where = where, .tag = tag };
    lane->turning = (double)max;
    lane->window = (double)(max < LANE_WINDOW_FIRST ? max : LANE_WINDOW_FIRST);
}

uint32_t
lane_window(const struct lane *lane)
{
    return lane->window < 1 ? 1 : (uint32_t)lane->window;
}

/* Once for all that was under way: what was made before a cut was made with the
 * window that was cut. */
static void
cut(struct lane *lane, double left, int64_t made_ms, int64_t now_ms)
{
    double under_way =
        lane->held < lane->window ? (double)lane->held : lane->window;

    if (made_ms < lane->cut_ms)
        return;
    lane->turning = under_way < 1 ? 1 : under_way;
    lane->window = lane->turning * left;
    if (lane->window < 1)
        lane->window = 1;
    lane->cut_ms = now_ms;
}

/* A round of answers: are they slower than usual? */
static void
compare(struct lane *lane, int64_t slow_ms, int64_t now_ms)
{
    int64_t recent_ms, usual_ms;

    if (lane->recent.total < ROUND_MIN ||
        lane->recent.total < (uint32_t)lane->window) {
        return;
    }
    recent_ms = latency_percentile(&lane->recent, 50);
    usual_ms = latency_percentile(&lane->usual, 50);
    lane->recent = (struct latency){ 0 };
    if (lane->usual.total >= KNOWN_MIN && recent_ms > slow_ms &&
        recent_ms > SLOW_TIMES * usual_ms) {
        cut(lane, SLOW_LEFT, now_ms, now_ms);
    }
}

void
lane_answered(struct lane *lane, int64_t latency_ms, int64_t slow_ms,
              int64_t max, int64_t now_ms)
{
    latency_add(&lane->usual, latency_ms);
    latency_add(&lane->recent, latency_ms);
    /* A window that is not used up says nothing about a larger one. */
    if (lane->held + 1 >= lane_window(lane)) {
        lane->window += lane->window < lane->turning ? 1 : 1 / lane->window;
    }
    if (lane->window > (double)max)
        lane->window = (double)max;
    compare(lane, slow_ms, now_ms);
}

void
lane_refused(struct lane *lane, int64_t made_ms, int64_t now_ms)
{
    cut(lane, REFUSED_LEFT, made_ms, now_ms);
}

void
lane_overloaded(struct lane *lane, int64_t made_ms, int64_t now_ms)
{
    cut(lane, OVERLOAD_LEFT, made_ms, now_ms);
    lane->turning = lane->window;
}

void
lane_restart(struct lane *lane, int64_t now_ms)
{
    lane->window = 1;
    lane->cut_ms = now_ms;
}
