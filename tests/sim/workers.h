/*
 * workers.h - workers, what they do, and what befalls them
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SIM_WORKERS_H
#define TESTS_SIM_WORKERS_H

#include "tests/sim/clients.h"
#include "tests/sim/hooks.h"
#include "tests/sim/weather.h"

#define WORLD_WORKERS 5
#define WORLD_LEFT    64 /* calls of one worker */

struct world;

enum slip_state { SLIP_WAITING, SLIP_RUNNING, SLIP_REPORTED };

/* A lease that a worker holds. */
struct slip {
    int64_t request, fence;
    int64_t timeout_ms, length_ms;
    int64_t since_ms; /* when it came */
    int64_t end_ms;   /* it cannot last longer, unless it hangs */
    bool is_hung;     /* and nobody looks at the time */
    enum slip_state state;
    bool is_at_upstream; /* the upstream works on it */
    struct call_fate fate;
    int where; /* its upstream; -1: the sampler */
    char *body;
    struct buf head, reply; /* of the report */
};

struct worker {
    struct wire_link link;
    bool is_alive, is_liar, is_welcome, is_draining;
    bool is_own;     /* the broker's: it goes with it */
    bool is_unlucky; /* it is cut off during a call */
    char uuid[WORLD_UUID_BYTES];
    uint32_t capacity;
    int hellos;       /* that it has said */
    int64_t hello_ms; /* when it says one again that has no answer */
    int64_t slots, slots_told, word;
    int64_t lost_word;  /* what it said to this found no space; 0: none */
    uint64_t lost_turn; /* the last that could not ask it again */
    bool must_tell;
    int64_t beat_ms, sent_ms, trusted_ms; /* see broker_hand.h */
    int64_t beat_number;                  /* of the newest one */
    int64_t frozen_ms;                    /* it does nothing before */
    int64_t back_ms;                      /* cut off: it connects again then */
    int64_t start_ms;                     /* slow: starts no call before */
    int64_t drain_ms;                     /* what runs is aborted then */
    int64_t doom_ms;                      /* it dies then; 0: it need not */
    /* A lease that it knows nothing of any more, and beats since. */
    int64_t gone_request, gone_fence;
    int gone_beats;
    /* What it had started when it left, as it said. */
    int64_t left[WORLD_LEFT];
    size_t left_count;
    struct slip *slips;
    size_t slip_count, slip_capacity;
    struct parcel parcels[WORLD_PARCELS];
    size_t parcel_count;
};

/* ---- slips.c: what it holds ---- */

/* The slip of a lease, NULL if it has none; how many run; how many slots it needs
 * for that, or has. */
struct slip *slip_find(struct worker *worker, int64_t request, int64_t fence);
int64_t slips_running(const struct worker *worker);
int64_t slips_kept(const struct worker *worker);

/* The upstream has answered, or the connection is gone. */
void slip_leave_upstream(struct world *world, struct slip *slip);

/* Lets go of one; gives up its call, so that another one may be made. */
void slip_forget(struct world *world, struct worker *worker, struct slip *slip);
void slip_give_up(struct world *world, struct worker *worker,
                  struct slip *slip);

/* Gives all up at once; the same with a word of farewell, and it is gone. */
void worker_give_up_all(struct world *world, struct worker *worker);
void worker_leave(struct world *world, struct worker *worker);

/* Nothing is heard of it for a while: its leases may be lost before it knows. */
void worker_be_unheard(struct world *world, const struct worker *worker);

/* It knows nothing of a lease any more, and says nothing. */
void worker_lose_slip(struct world *world, struct worker *worker, size_t nth);

/* ---- words.c: what it says and is told ---- */

/* Beats; tells its slots, if there is something to tell; gives back what it has
 * not started; tells how a call has ended. */
void worker_say_beat(struct world *world, struct worker *worker);
void worker_say_slots(struct world *world, struct worker *worker);
void worker_give_back(struct world *world, struct worker *worker,
                      struct slip *slip);
void worker_say_end(struct world *world, struct worker *worker,
                    struct slip *slip);

/* Something that it said found no space: it may wait in vain for an answer. */
void worker_note_refused(struct worker *worker);

/* Takes what it was told next. */
void worker_read_one(struct world *world, struct worker *worker);

/* Says hello over a new link. */
void worker_hello_again(struct world *world, struct worker *worker);

/* Says it over the one that there is: what was said before found no room. */
void worker_say_hello(struct world *world, struct worker *worker);

/* ---- workers.c: what a worker does ---- */

void workers_read(struct world *world);      /* some of what they were told */
void workers_tick(struct world *world);      /* what time brings */
void workers_reconnect(struct world *world); /* and say hello, some late */
int64_t workers_next_ms(const struct world *world);
void workers_free(struct world *world);

/* True if a worker has reported of a request what has not arrived yet. */
bool workers_have_told(const struct world *world, int64_t request);

/* True if it lives and is not frozen. */
bool worker_is_awake(const struct world *world, const struct worker *worker);

/* It is to go: gives back what it has not started, finishes its calls. Told so by
 * the broker, however long they take. */
void worker_drain(struct world *world, struct worker *worker, bool is_told);

/* ---- fortune.c: what befalls workers ---- */

void workers_begin(struct world *world); /* two are there at first */
void worker_act(struct world *world);
void workers_calm(struct world *world); /* one good one is left */
void workers_die(struct world *world);  /* with their host */

/* Its link breaks; it connects again, perhaps when its leases are lost. */
void worker_cut_off(struct world *world, struct worker *worker);

/* Its process ends; the broker may come to know, through its lock. */
void worker_die(struct world *world, struct worker *worker, bool is_seen);

#endif
