/*
 * job.h - verify or backup of a store that is in use, in a thread of its own
 *
 * The thread reads a snapshot; nothing is shared with it but the store's handle,
 * which it only takes the snapshot from, and numbers. It is the one helper that
 * the broker's loop has, and there is one at a time: the loop starts it when the
 * core wants it, looks at it now and then, and hands the outcome to the core.
 *
 * Until its rows are read, the snapshot keeps pages from reuse. It is given up
 * after snapshot_ms_max, and when the loop says so.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_JOB_H
#define QUEUE_JOB_H

#include "queue/broker.h"

struct job;

/* To be called in each turn of the loop: starts what the core wants, looks how
 * far it is, and hands over how it ended. *running is the one that is running,
 * NULL for none. The store outlives it. */
void job_tend(struct job **running, struct broker *broker, struct store *store,
              const struct conf *conf);

/* Lets it end soon, with this code and reason (a text that stays), unless it is
 * over. The first reason counts. NULL is fine. */
void job_stop(struct job *job, int code, const char *why);

/* Ends it, however far it is, and waits for that. NULL is fine. */
void job_free(struct job *job);

#endif
