/*
 * patience.h - how long answers wait for others, and how far leases run ahead
 *
 * Both rest on how often answers come.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_PATIENCE_H
#define QUEUE_PATIENCE_H

#include <stddef.h>
#include <stdint.h>

#include "queue/session.h"

struct broker;

/* At first nothing is known of how often answers come. */
void patience_init(struct broker *broker);

/* A worker has brought an answer: how often they come is what patience rests
 * on. */
void patience_note_answer(struct broker *broker, struct session *session,
                          int64_t now_ms);

/* The transaction has ended, one way or another. */
void patience_reset(struct broker *broker);

/* How many leases a worker is given beyond its slots: as many calls as may end
 * while it waits for more. */
size_t patience_ahead(const struct broker *broker);

#endif
