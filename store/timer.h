/*
 * timer.h - what is due, and when
 *
 * All that happens at a time of its own has a timer in the store, and so outlives
 * the broker. The next slice of longer work is one that is due at once.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_TIMER_H
#define STORE_TIMER_H

#include <stdint.h>

struct store;

/* Where a slice goes on: a draft. Where a batch is removed, which the timer names, it
 * is a draft's index, and a part in place of the batch. */
struct cursor {
    uint64_t batch;
    uint32_t index;
};

/* The order is the format. */
enum timer_kind {
    TIMER_REQUEST = 1,  /* a delayed request */
    TIMER_DEADLINE = 2, /* of a batch */
    TIMER_ABANDON = 3,  /* an open batch */
    TIMER_FAN_OUT = 4,
    TIMER_CANCEL = 5,
    TIMER_EXPIRE = 6,
    TIMER_RETRY = 7,
    TIMER_DROP = 8,
    TIMER_FORGET = 9,     /* an answer that no draft refers to */
    TIMER_FILE_END = 10,  /* a file expires, or was left open */
    TIMER_FILE_READ = 11, /* of a batch: its file is read and checked */
    TIMER_FILE_MAKE = 12, /* of a batch: the files that it ends in */
    TIMER_FILE_DROP = 13, /* the removal of a file */
    TIMER_DELIVERY = 14,
    TIMER_LAST = TIMER_DELIVERY,
};

/* What the timer of a drop says, in its argument. */
#define DROP_WHOLE   1u /* the batch goes, too */
#define DROP_CANCELS 2u /* it was cancelled: calls that are in flight end */

struct timer {
    int64_t due_ms;
    enum timer_kind kind;
    uint64_t id;          /* a request, a batch, a file or a delivery */
    struct cursor cursor; /* where a slice goes on */
    uint32_t argument;
};

void store_timer_set(struct store *store, const struct timer *timer);
void store_timer_drop(struct store *store, const struct timer *timer);

/* The one that is due first. E_NOTFOUND if there is none. */
int store_timer_first(struct store *store, struct timer *timer);

/* The one after it. */
int store_timer_after(struct store *store, struct timer *timer);

/* Counts the requests that are delayed, by their timers; from then on
 * store_usage() knows how many there are. At the start of a broker, before
 * anything is changed. */
int store_count_delayed(struct store *store);

#endif
