/*
 * retain.h - what is removed after its time, or for room
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_RETAIN_H
#define QUEUE_RETAIN_H

#include <stdint.h>

#include "store/batch.h"

struct broker;

/* Removes a batch that has ended: one write now, its drafts in slices. */
void retain_purge(struct broker *broker, struct batch *batch, int64_t now_ms);

/* Something was refused, or waits, as the store is full: answers that no draft
 * refers to go soon, until new batches find room. */
void retain_want_room(struct broker *broker, int64_t now_ms);

/* Looks for what was kept long enough, or is too much, if it is time; a bounded
 * number of batches. What is too much loses answers that no draft refers to
 * first. */
void retain_run(struct broker *broker, int64_t now_ms);

#endif
