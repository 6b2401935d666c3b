/*
 * errand.h - one lease carried out: from the call to the result
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_ERRAND_H
#define WORKER_ERRAND_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/worker.h"

/* False as long as a waiting lease has to wait for an access token. */
bool errand_may_start(struct worker *worker, const struct desk_lease *lease,
                      int64_t now_ms);

/* Starts a waiting lease that may start: its call runs then, or it is finished
 * already (a `local` answer, an upstream that is not known, a token that has
 * not come in time). */
void errand_start(struct worker *worker, struct desk_lease *lease,
                  int64_t now_ms);

/* A call has ended with this reply, which is taken over. An answer is left for
 * errand_judge(); otherwise its lease is finished, or waits again. */
void errand_end(struct worker *worker, const struct call *call,
                struct reply *reply, int64_t now_ms);

/* Judges the answers that came, and finishes their leases: to be called when the
 * next calls were started, and before anything is reported. */
void errand_judge(struct worker *worker, int64_t now_ms);

/* Gives a running lease up: it is finished, as aborted for this reason. */
void errand_abort(struct worker *worker, struct desk_lease *lease,
                  const char *code, const char *message, int64_t now_ms);

/* Forgets a lease that is not finished, and aborts its call if it has one. */
void errand_forget(struct worker *worker, struct desk_lease *lease);

#endif
