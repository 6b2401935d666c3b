/*
 * turn.h - what the broker has for a worker, in one message
 *
 * Each message costs a wake-up of four threads on its way. So what one
 * transaction confirms to a worker and leases to it goes into one `turn`, as long
 * as nothing else is said to that worker in between: it reads all in the order in
 * which it was decided. The message is whole after each call.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_TURN_H
#define QUEUE_TURN_H

#include "queue/outbox.h"
#include "queue/session.h"

/* Confirms a result. */
void turn_confirm(struct outbox *outbox, const struct session *session,
                  int64_t request, int64_t fence);

/* Begins a lease whose body has so many bytes: the caller writes its members, but
 * for `request` and `bytes`, into the header of the letter that is returned, and
 * ends it with its body. */
struct letter *turn_begin_lease(struct outbox *outbox,
                                const struct session *session, int64_t request,
                                size_t body_bytes);
void turn_end_lease(struct letter *letter, struct slice body);

#endif
