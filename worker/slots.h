/*
 * slots.h - how many calls this worker may have in flight
 *
 * The broker owns all slots and lends some: an absolute number. It lends a slot
 * again only when the worker has said that it gave it back, so the worker keeps
 * what its calls in flight still need, and says so each time that changes.
 *
 * A pure value; zero-initialised, nothing is lent.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_SLOTS_H
#define WORKER_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

struct slots {
    int64_t capacity; /* never use more, whatever is lent */
    int64_t lent;     /* the broker's latest word, at most capacity */
    int64_t told;     /* what we said last */
    int64_t word;     /* which of its words that was; told with ours */
    bool must_tell;   /* the broker waits for a word */
};

/* The broker lends `count` slots from now on, says its nth word. */
void slots_lend(struct slots *slots, int64_t count, int64_t word);

/* How many calls may start while in_flight are running. */
int64_t slots_free(const struct slots *slots, int64_t in_flight);

/* How many slots the worker keeps. */
int64_t slots_kept(const struct slots *slots, int64_t in_flight);

/* True if the broker is to be told what is kept: it lent anew, or the number is
 * another one than it was told. */
bool slots_is_news(const struct slots *slots, int64_t in_flight);

/* The broker was told that `count` are kept. */
void slots_tell(struct slots *slots, int64_t count);

#endif
