/*
 * stage.h - how long calls have been under way
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_STAGE_H
#define QUEUE_STAGE_H

#include <stdint.h>

#include "queue/session.h"

struct broker;

/* Takes note of calls that have come to their next stage of latency. */
void stage_run(struct broker *broker, int64_t now_ms);

/* When the next call comes to its next stage; INT64_MAX if none will. */
int64_t stage_next_ms(const struct broker *broker);

/* Counts the calls that are in flight for a batch, by their stage. Returns the
 * highest stage of them. */
unsigned stage_count(struct broker *broker, uint64_t batch,
                     uint32_t counts[STAGE_COUNT]);

#endif
