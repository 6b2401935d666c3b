/*
 * inbox.h - what the broker says to its worker
 *
 * Reads messages of PROTOCOL.md ("Verbs of workers") and does what they ask. A
 * message that is not well-formed is logged and left.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_INBOX_H
#define WORKER_INBOX_H

#include <stdint.h>

#include "worker/worker.h"

#define INBOX_BATCH_MAX 256 /* messages taken before calls get their turn */

/* Takes what has arrived, at most INBOX_BATCH_MAX messages; returns how many it
 * was. */
int inbox_take(struct worker *worker, int64_t now_ms);

#endif
