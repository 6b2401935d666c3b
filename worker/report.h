/*
 * report.h - what a worker reports to its broker
 *
 * Each function sends one message of PROTOCOL.md ("Verbs of workers"). None of
 * them waits: 0 if the message is on its way, E_UNREACHABLE if there is nobody
 * to send it to. That it arrived is never known from here.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_REPORT_H
#define WORKER_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include "worker/worker.h"

/* Introduces the worker and lists its leases; counts as a heartbeat. */
int report_hello(struct worker *worker, int64_t now_ms);

/* The heartbeat: lists the leases and the slots kept. */
int report_beat(struct worker *worker, int64_t now_ms);

/* Says how many slots are kept. */
int report_slots(struct worker *worker);

/* Takes note that the call of a lease is started, to be told. */
void report_start(struct worker *worker, const struct desk_lease *lease);

/* Says which calls were started, if there are any to tell of: after they are sent
 * off and before the answer to one is looked at. Should that be the end of this
 * worker, the broker knows of the call. */
int report_started(struct worker *worker);

/* Says the same, and with it go the results that are due, of which it is noted that
 * they were sent; those that could not be, or while the broker does not know us,
 * are put off. */
int report_turn(struct worker *worker, int64_t now_ms);

/* Keeps the results that are due where the broker finds them if this worker is
 * killed, so that they may wait. E_FULL: they are too many, or too long. E_IO: they
 * cannot be kept, and nothing will be any more. */
int report_keep(struct worker *worker, int64_t now_ms);

/* What was kept is removed, if all of it was confirmed. */
void report_forget(struct worker *worker);

/* Reports what came of an event, and notes that it was, or that it could not
 * be. */
int report_posted(struct worker *worker, struct parcel *parcel, int64_t now_ms);

/* Gives back one lease that is not on the desk. */
int report_refuse(struct worker *worker, int64_t request, int64_t fence);

/* Gives back all waiting leases and forgets them: if this is lost, the next
 * heartbeats don't list them, which says the same. */
int report_release(struct worker *worker);

/* Says good-bye: everything is given back. */
int report_bye(struct worker *worker);

#endif
