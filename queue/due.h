/*
 * due.h - what time brings
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_DUE_H
#define QUEUE_DUE_H

#include <stdint.h>

struct broker;

/* Does what is due, at most a bounded number of steps. */
void due_run(struct broker *broker, int64_t now_ms);

/* Does what removes, and is due, wherever it stands in the row. */
void due_relieve(struct broker *broker, int64_t now_ms);

#endif
