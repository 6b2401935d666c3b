/*
 * workers.h - workers, and what they hold
 *
 * What is said to them, the slots that they are lent, and what becomes of leases
 * that end without a result. session.h is what is known of one.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_WORKERS_H
#define QUEUE_WORKERS_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "queue/outbox.h"
#include "queue/session.h"
#include "store/request.h"

struct broker;
struct call;

/* A message to a worker, to be written by the caller; and one without a body,
 * whose header is taken. */
struct letter *worker_open(struct broker *broker,
                           const struct session *session);
void worker_send(struct broker *broker, const struct session *session,
                 cJSON *head);

/* Lends what slots are free and asks for what is too much. */
void worker_balance(struct broker *broker);

/* What the worker there has said of its slots found no room: it is told of them
 * again, when time goes on. */
void worker_slots_unheard(struct broker *broker, const struct link_peer *peer);

/* Ends a session: its leases are given back, its slots are free. */
void worker_end(struct broker *broker, struct session *session, int64_t now_ms);

/* The session that speaks; NULL: a worker that is not known, which was told to say
 * hello. */
struct session *worker_speaker(struct call *call);

/* Counts and logs a message of a worker, or a part of it, that is no good: call->err
 * says why. */
void worker_note_bad(const struct call *call);

/* Takes note of the calls that have started, as a list of the message says. */
int worker_note_started(struct call *call, struct session *session,
                        const char *name);

/* What one turn of a worker's loop brought together. The calls that started come
 * first: one of them may be the end of the worker, and one may have ended. A bad
 * part of the message is nobody else's loss. */
int worker_take_turn(struct call *call, struct session *session);

/* Notes that a session holds a lease on a request since granted_ms. */
struct held *worker_hold(struct broker *broker, struct session *session,
                         const struct request *request, int64_t granted_ms,
                         int64_t now_ms);

/* Takes a lease back. If its call had started, that counts against its request,
 * which has to run alone when it happens too often, and ends when it happens
 * then. */
void worker_lose_lease(struct broker *broker, struct session *session,
                       const struct held *held);

/* When the loop is to turn for leases and sessions: as the first of them ends, and
 * twice a heartbeat while a lease is held, to know when it has stood still.
 * INT64_MAX: there are none. */
int64_t worker_next_ms(const struct broker *broker);

/* The loop comes later than it was to: the time in which it stood still is not
 * charged to leases and sessions, which could not make themselves heard. */
void worker_forgive(struct broker *broker, int64_t now_ms);

/* Ends leases and sessions whose time is over. */
void worker_expire(struct broker *broker, int64_t now_ms);

/* Tells a worker that a lease is not needed any more. */
void worker_cancel(struct broker *broker, uint64_t request, uint32_t fence);

/* Asks workers to give back what they have not started and no batch that may run
 * wants any more. */
void worker_recall(struct broker *broker);

/* Asks one worker to give back all that it has not started. */
void worker_recall_all(struct broker *broker, const struct session *session);

/* Remembers a session in the store. */
void worker_save(struct broker *broker, const struct session *session);

#endif
