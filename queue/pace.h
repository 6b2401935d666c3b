/*
 * pace.h - how fast an upstream takes calls, learnt from what it refuses
 *
 * A server that answers 429 seldom says how many calls it permits, only when to
 * come back. Whoever comes back with all that waits is refused again, and spends
 * half of the time waiting. So calls are spread evenly, at a rate that is looked
 * for: as fast as wanted until the first refusal; then from what was accepted up
 * until the next one. The limit lies between the two, and what is between them is
 * halved, until they are near each other: then the floor is held, and a little
 * more is tried the seldomer, the more often it was in vain.
 *
 *            refused            refused             so many calls
 *     FREE ─────────► CLIMBING ─────────► HOLDING ───────────────► PROBING ─┐
 *      ▲               ▲  │                ▲  ▲ │                   │   ▲   │ so many
 *      │               └──┴ refused,       │  └─┘ refused           │   └───┘ calls
 *      │                    and next to    └────────────────────────┘
 *      │                    nothing taken            refused
 *      └──────── PACE_MEMORY_MS without a refusal, from any state
 *
 * The floor is a rate that was proved by calls enough, or else what was accepted
 * since the last refusal, divided by that time: a bucket that has just refused is
 * empty, so this is at most the limit. The ceiling is the rate that was refused
 * last.
 *
 * Pure: time is passed in; nothing is allocated.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_PACE_H
#define QUEUE_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_MEMORY_MS 1800000 /* a refusal that is older says nothing */

/* clang-format off */
#define PACE_TO(state) (1u << PACE_##state)
/*    name      text        the states it may move to */
#define PACE_STATES(X)                                                        \
    X(FREE,     "free",     PACE_TO(CLIMBING))                                \
    X(CLIMBING, "climbing", PACE_TO(CLIMBING) | PACE_TO(HOLDING) |            \
                            PACE_TO(FREE))                                    \
    X(HOLDING,  "holding",  PACE_TO(HOLDING) | PACE_TO(PROBING) |             \
                            PACE_TO(CLIMBING) | PACE_TO(FREE))                \
    X(PROBING,  "probing",  PACE_TO(HOLDING) | PACE_TO(PROBING) |             \
                            PACE_TO(CLIMBING) | PACE_TO(FREE))
/* clang-format on */

#define PACE_ENUM(name, text, to) PACE_##name,
enum pace_state { PACE_STATES(PACE_ENUM) PACE_STATE_COUNT };
#undef PACE_ENUM

/* Zero-initialised is free. Rates are calls per second. */
struct pace {
    enum pace_state state;
    double rate;        /* that is kept; 0: free */
    double floor;       /* that holds, for all that is known */
    double ceiling;     /* that does not */
    double step;        /* of the next probe above the ceiling: what it adds */
    double cut;         /* of the floor, if it is refused again */
    uint32_t level;     /* calls made as fast as this rate allows */
    uint32_t patience;  /* so many of them before a probe */
    uint64_t made;      /* calls since resumed_ms */
    uint64_t accepted;  /* of them */
    uint64_t total;     /* accepted since first_ms */
    int64_t first_ms;   /* the mean over a long time is taken from here */
    int64_t refused_ms; /* the newest refusal */
    int64_t resumed_ms; /* when its wait was over */
    int64_t last_ms;    /* the newest call */
    double next_ms;     /* when the next call may be made */
};

/* The name of a state. */
const char *pace_state_name(enum pace_state state);

/* True if the table has this move. */
bool pace_may_move(enum pace_state from, enum pace_state to);

/* When the next call may be made; now_ms or less: at once. */
int64_t pace_ready_ms(struct pace *pace, int64_t now_ms);

/* A call is made. */
void pace_take(struct pace *pace, int64_t now_ms);

/* A call that was taken was not made after all. */
void pace_give_back(struct pace *pace, int64_t now_ms);

/* The upstream has answered a call that was made at made_ms, and not with a
 * refusal. */
void pace_accepted(struct pace *pace, int64_t made_ms, int64_t now_ms);

/* It has refused one that was made at made_ms, and takes none before until_ms.
 * Those that were made before the wait of another was over are not counted. */
void pace_refused(struct pace *pace, int64_t made_ms, int64_t now_ms,
                  int64_t until_ms);

#endif
