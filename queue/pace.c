/* SPDX-License-Identifier: MIT */
#include "queue/pace.h"

#include <assert.h>
#include <math.h>

#define RATE_MAX       1000.0 /* faster than that is free */
#define RATE_MIN       (1.0 / 60)
#define RATE_FIRST     0.5    /* where nothing was accepted yet */
#define MEAN_MS        600000 /* the long-run mean reaches back half of it */
#define RUSH_MS        10000  /* while free, what is older does not count */
#define CLIMB          0.3    /* of the rate, with each call */
#define BRACKET        0.02   /* floor and ceiling are no nearer than this */
#define STEP_FIRST     0.01   /* above the ceiling, and twice that next time */
#define STEP_MAX       0.5
#define SETTLE_CALLS   5  /* at the floor before the next probe */
#define PROOF_MIN      12 /* calls that prove a rate */
#define PROOF_MAX      80
#define PROOF          1.5 /* calls that are too many, in which it shows */
#define PATIENCE_FIRST 200 /* calls at the floor before a step above it all */
#define PATIENCE_MAX   1600
#define CUT_FIRST      0.01 /* of a floor that was refused, doubling */
#define CUT_MAX        0.5
#define SAME           1.002 /* rates that differ by less are the same */

static const struct {
    const char *name;
    unsigned to;
} states[PACE_STATE_COUNT] = {
#define PACE_ROW(name, text, to) [PACE_##name] = { text, to },
    PACE_STATES(PACE_ROW)
#undef PACE_ROW
};

const char *
pace_state_name(enum pace_state state)
{
    assert(state < PACE_STATE_COUNT);
    return states[state].name;
}

bool
pace_may_move(enum pace_state from, enum pace_state to)
{
    assert(from < PACE_STATE_COUNT);
    assert(to < PACE_STATE_COUNT);
    return (states[from].to >> to & 1u) != 0;
}

static void
move(struct pace *pace, enum pace_state to)
{
    assert(pace_may_move(pace->state, to));
    pace->state = to;
}

static double
within(double value, double min, double max)
{
    return value < min ? min : value > max ? max : value;
}

static double
gap_ms(const struct pace *pace)
{
    return 1000 / pace->rate;
}

static void
set_rate(struct pace *pace, double rate)
{
    pace->rate = within(rate, RATE_MIN, RATE_MAX);
    pace->level = 0;
}

/* What was learnt is too old, or the limit is too high to matter. */
static void
set_free(struct pace *pace, int64_t now_ms)
{
    move(pace, PACE_FREE);
    *pace = (struct pace){ .first_ms = now_ms, .last_ms = pace->last_ms };
}

int64_t
pace_ready_ms(struct pace *pace, int64_t now_ms)
{
    if (pace->state != PACE_FREE &&
        now_ms - pace->refused_ms >= PACE_MEMORY_MS) {
        set_free(pace, now_ms);
    }
    return pace->state == PACE_FREE ? 0 : (int64_t)ceil(pace->next_ms);
}

/* Goes at a rate that was known before. */
static void
hold(struct pace *pace, double rate)
{
    move(pace, PACE_HOLDING);
    set_rate(pace, rate);
}

/* So many calls at this rate, and more may be tried: the floor has long been
 * proved, a rate above it is proved by as many as would show that it is too high
 * by that much. */
static uint32_t
calls_needed(const struct pace *pace)
{
    if (pace->state == PACE_PROBING) {
        return (uint32_t)within(PROOF / (pace->rate / pace->floor - 1),
                                PROOF_MIN, PROOF_MAX);
    }
    return pace->ceiling > pace->rate * (1 + BRACKET) ? SETTLE_CALLS
                                                      : pace->patience;
}

/* The rate holds: try half of what is left to the ceiling, or one step above. */
static void
probe(struct pace *pace)
{
    double rate;

    pace->floor = pace->rate;
    if (pace->ceiling > pace->rate * (1 + BRACKET)) {
        rate = sqrt(pace->rate * pace->ceiling);
    } else {
        rate = pace->rate * (1 + pace->step);
        pace->ceiling = rate;
        pace->step = within(pace->step * 2, 0, STEP_MAX);
    }
    move(pace, PACE_PROBING);
    set_rate(pace, rate);
}

void
pace_take(struct pace *pace, int64_t now_ms)
{
    double due_ms = pace->next_ms;

    pace->last_ms = now_ms;
    pace->made++;
    if (pace->state == PACE_FREE) {
        if (now_ms - pace->first_ms > RUSH_MS) {
            pace->first_ms = now_ms;
            pace->total = 0;
        }
        return;
    }
    /* Only calls that had to wait for the rate say something about it. */
    if ((double)now_ms - due_ms < gap_ms(pace)) {
        pace->level++;
        if (pace->state == PACE_CLIMBING)
            pace->rate = within(pace->rate * (1 + CLIMB), 0, RATE_MAX);
        else if (pace->level >= calls_needed(pace))
            probe(pace);
    } else {
        due_ms = (double)now_ms;
    }
    pace->next_ms = due_ms + gap_ms(pace);
}

void
pace_give_back(struct pace *pace, int64_t now_ms)
{
    if (pace->made > 0)
        pace->made--;
    if (pace->state == PACE_FREE)
        return;
    pace->next_ms -= gap_ms(pace);
    if (pace->next_ms < (double)now_ms)
        pace->next_ms = (double)now_ms;
    if (pace->level > 0)
        pace->level--;
}

/* What was accepted over a long time, in calls per second. */
static double
mean_rate(const struct pace *pace, int64_t until_ms)
{
    double time_s = (double)(until_ms - pace->first_ms) / 1000;

    return (double)(pace->total ? pace->total : 1) /
           within(time_s, 0.001, 86400);
}

/* What was accepted since a time, in calls per second. */
static double
mean_since(const struct pace *pace, int64_t from_ms, int64_t now_ms)
{
    return (double)pace->accepted * 1000 / (double)(now_ms - from_ms + 1);
}

void
pace_accepted(struct pace *pace, int64_t made_ms, int64_t now_ms)
{
    int64_t since_ms = now_ms - pace->first_ms;
    double mean;

    if (pace->state != PACE_FREE && since_ms > MEAN_MS) {
        pace->first_ms += since_ms / 2;
        pace->total /= 2;
    }
    pace->total++;
    /* What was under way at the first refusal belongs to the rush. */
    if (pace->state == PACE_CLIMBING && pace->made == 0)
        set_rate(pace, mean_rate(pace, pace->resumed_ms));
    if (pace->state == PACE_FREE || made_ms < pace->resumed_ms)
        return;
    pace->accepted++;
    mean = mean_since(pace, pace->refused_ms, now_ms);
    if (mean > pace->floor)
        pace->floor = within(mean, 0, pace->rate);
}

/* The first refusal, after a rush: what it took in that time is a start. */
static void
begin(struct pace *pace, int64_t until_ms)
{
    move(pace, PACE_CLIMBING);
    pace->patience = PATIENCE_FIRST;
    pace->step = STEP_FIRST;
    pace->cut = CUT_FIRST;
    pace->ceiling = RATE_MAX;
    set_rate(pace, pace->total > 0 ? mean_rate(pace, until_ms) : RATE_FIRST);
    pace->floor = pace->rate;
}

/* The wait was not enough: its windows are long, or others call there, too.
 * What it took over a long time tells more than what it took at last; while that
 * is nearly nothing, there is a call after each wait, and then more and more. */
static void
fall_back(struct pace *pace, int64_t now_ms, int64_t until_ms)
{
    double wait_s = (double)(until_ms - now_ms) / 1000;
    double rate = within(mean_rate(pace, until_ms), 0, pace->rate);

    pace->ceiling = pace->rate;
    pace->floor = within(pace->floor, 0, rate);
    if (pace->total >= PROOF_MIN) {
        hold(pace, rate);
        return;
    }
    move(pace, PACE_CLIMBING);
    pace->ceiling = RATE_MAX;
    set_rate(pace, within(1 / within(wait_s, 0.001, 60), rate, RATE_FIRST));
}

/* A floor that was refused: between what it took with the last wait, which is
 * below the limit, and without it, which is above by the burst. */
static double
lower_floor(const struct pace *pace, int64_t now_ms)
{
    double between = (mean_since(pace, pace->refused_ms, now_ms) +
                      mean_since(pace, pace->resumed_ms, now_ms)) /
                     2;

    return within(between, pace->rate * (1 - CUT_MAX),
                  pace->rate * (1 - pace->cut));
}

/* The rate that was held, or tried, is above the limit. */
static void
come_down(struct pace *pace, int64_t now_ms)
{
    if (pace->ceiling <= pace->floor * (1 + BRACKET) &&
        pace->patience < PATIENCE_MAX) {
        pace->patience *= 2;
    }
    if (pace->level >= PROOF_MIN)
        pace->cut = CUT_FIRST;
    pace->step = STEP_FIRST;
    pace->ceiling = pace->rate;
    if (pace->rate <= pace->floor * SAME) {
        pace->floor = lower_floor(pace, now_ms);
        pace->cut = within(pace->cut * 2, 0, CUT_MAX);
    }
    hold(pace, pace->floor);
}

void
pace_refused(struct pace *pace, int64_t made_ms, int64_t now_ms,
             int64_t until_ms)
{
    bool is_first = pace->state == PACE_FREE;

    if (!is_first && made_ms < pace->resumed_ms) {
        if (until_ms > pace->resumed_ms)
            pace->resumed_ms = until_ms;
        if (pace->next_ms < (double)pace->resumed_ms)
            pace->next_ms = (double)pace->resumed_ms;
        return;
    }
    if (is_first)
        begin(pace, until_ms);
    else if (pace->accepted <= 1 && pace->made < 4)
        fall_back(pace, now_ms, until_ms);
    else
        come_down(pace, now_ms);
    pace->accepted = 0;
    pace->made = 0;
    pace->refused_ms = now_ms;
    pace->resumed_ms = until_ms;
    pace->next_ms = (double)until_ms;
}
