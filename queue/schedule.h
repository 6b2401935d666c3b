/*
 * schedule.h - whose turn it is
 *
 * The live batches, in the order in which they are served: the more urgent
 * first, then the older. A batch that has nothing to give now sleeps until a
 * time, or until something about it changes. The schedule knows batches only;
 * which of a batch's requests comes next is the ready index's matter.
 *
 * Memory only: made anew from the store at the start. Bounded by
 * batches_live_max, but for batches that are there already when the limit has
 * been lowered: none is ever left out.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_SCHEDULE_H
#define QUEUE_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCHEDULE_NEVER INT64_MAX

struct schedule;

/* An empty schedule, which is full with `max` batches. */
struct schedule *schedule_new(size_t max);

/* Frees it; NULL is fine. */
void schedule_free(struct schedule *schedule);

/* Removes all batches. */
void schedule_reset(struct schedule *schedule);

/* True if it has `max` batches or more: new ones are to be refused. */
bool schedule_is_full(const struct schedule *schedule);

/* Adds a batch, awake; one that is there already is woken. */
void schedule_add(struct schedule *schedule, uint64_t batch, unsigned priority);

/* Removes a batch; one that is not there is fine. */
void schedule_remove(struct schedule *schedule, uint64_t batch);

/* Lets a batch sleep until a time; SCHEDULE_NEVER: until it is woken. */
void schedule_sleep(struct schedule *schedule, uint64_t batch,
                    int64_t until_ms);

/* Wakes one batch, or all. */
void schedule_wake(struct schedule *schedule, uint64_t batch);
void schedule_wake_all(struct schedule *schedule);

/* The first batch in order that is awake. 0 if there is none. */
uint64_t schedule_next(const struct schedule *schedule, int64_t now_ms);

/* True if the batch is there and awake. */
bool schedule_is_awake(const struct schedule *schedule, uint64_t batch,
                       int64_t now_ms);

/* When the next of those that sleep now wakes by itself. SCHEDULE_NEVER if none
 * does. */
int64_t schedule_next_ms(const struct schedule *schedule, int64_t now_ms);

/* How many batches it has. */
size_t schedule_count(const struct schedule *schedule);

#endif
