/*
 * schedule.h - whose turn it is
 *
 * The live batches, and which of them is served next: of the highest class, the
 * clients by turns, and of a client its batches by turns (ring.h). A turn is
 * worth a number of tokens, for a client times its weight. A batch begins in the
 * class of its priority and rises by one for every age_ms of its life. The oldest
 * sealed batch has a share of all that is served, if its turns do not give it as
 * much. SCHEDULER.md has the reasons, the bounds and the figures.
 *
 *            add, wake                 time: age_ms
 *   asleep ─────────────► awake in ────────────────► awake in
 *      ▲     or in time    class n                   class n + 1
 *      └──────────────────────┴── sleep ─────────────────┘
 *
 * A batch that has nothing to give now sleeps until a time, or until a request
 * of it becomes ready; it saves nothing up. The schedule knows batches only;
 * which of a batch's requests comes next is the ready index's matter.
 *
 * Memory only: made anew from the store at the start, with nobody owing
 * anything. Bounded by batches_live_max, but for batches that are there already
 * when the limit has been lowered: none is ever left out. Every call takes
 * O(log n) steps.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_SCHEDULE_H
#define QUEUE_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCHEDULE_NEVER      INT64_MAX
#define SCHEDULE_CLASSES    4
#define SCHEDULE_TOKENS_MAX INT64_C(1000000000) /* of one request */
#define SCHEDULE_SURPLUS_TURNS \
    16 /* what the oldest got above its share counts
                                     up to so many turns */

struct schedule;

/* How it decides. */
struct schedule_rules {
    size_t max;            /* batches with which it is full */
    int64_t turn_tokens;   /* worth of a turn, for a weight of 1 */
    int64_t age_ms;        /* a batch rises by one class in this time */
    int64_t share_percent; /* of the oldest sealed batch */
};

/* What is to be known of a batch. */
struct schedule_terms {
    uint64_t client; /* a number that stands for its client */
    int64_t weight;  /* the client's */
    unsigned priority;
    bool is_sealed;
    int64_t since_ms; /* its age counts from here */
};

/* What was served to whom, until it is settled. */
struct charge {
    uint64_t batch; /* 0: nothing is to be settled */
    int64_t tokens;
    bool is_by_share; /* the oldest's share paid for it, not a turn */
};

/* An empty schedule. */
struct schedule *schedule_new(const struct schedule_rules *rules);

/* Frees it; NULL is fine. */
void schedule_free(struct schedule *schedule);

/* Removes all batches. */
void schedule_reset(struct schedule *schedule);

/* True if it has `max` batches or more: new ones are to be refused. */
bool schedule_is_full(const struct schedule *schedule);

/* Adds a batch, awake; one that is there already is woken, with these terms. */
void schedule_add(struct schedule *schedule, uint64_t batch,
                  const struct schedule_terms *terms);

/* Removes a batch; one that is not there is fine. */
void schedule_remove(struct schedule *schedule, uint64_t batch);

/* Lets a batch sleep until a time; SCHEDULE_NEVER: until it is woken. */
void schedule_sleep(struct schedule *schedule, uint64_t batch,
                    int64_t until_ms);

/* Wakes a batch: it may have something to give. */
void schedule_wake(struct schedule *schedule, uint64_t batch);

/* Wakes all batches. */
void schedule_wake_all(struct schedule *schedule);

/* The batch that is served next. 0 if none is awake. */
uint64_t schedule_next(struct schedule *schedule, int64_t now_ms);

/* Takes note that a batch is served a request, which is thought to take so many
 * tokens. */
struct charge schedule_charge(struct schedule *schedule, uint64_t batch,
                              int64_t tokens);

/* Settles a charge with what it really took: 0 if it was not served after all.
 * The charge is empty then; settling it again does nothing. */
void schedule_settle(struct schedule *schedule, struct charge *charge,
                     int64_t tokens);

/* True if the batch is there and awake. */
bool schedule_is_awake(const struct schedule *schedule, uint64_t batch,
                       int64_t now_ms);

/* When the next of those that sleep now wakes by itself. SCHEDULE_NEVER if none
 * does. */
int64_t schedule_next_ms(struct schedule *schedule, int64_t now_ms);

/* Calls back for each batch, in no order, until that returns false. In memory
 * only: it takes a step for each. */
void schedule_visit(const struct schedule *schedule,
                    bool (*visit)(void *context, uint64_t batch, bool is_sealed,
                                  int64_t since_ms),
                    void *context);

/* How many batches it has. */
size_t schedule_count(const struct schedule *schedule);

#endif
