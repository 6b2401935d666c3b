/*
 * deliveries.h - events, from what has happened to the webhooks that want them
 *
 * An event is stored in the transaction in which it happens, once for each
 * webhook that wants it (delivery.h has the states). It is given to a worker that
 * can post to the webhook, outside of the slots of calls; the worker posts it
 * and says what came of it. Tries go on after 5 s, 5 min, 30 min, 2 h, 8 h and
 * 24 h, or later if the receiver says so; then the event is given up.
 *
 * At least once: whatever dies between a post and its report, the event is
 * posted again, under the same id.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_DELIVERIES_H
#define QUEUE_DELIVERIES_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/event.h"
#include "queue/posts.h"
#include "queue/wire.h"
#include "store/batch.h"
#include "store/delivery.h"

/* A worker's report may be so much later than the receiver's time is over. */
#define DELIVERIES_MARGIN_MS    INT64_C(15000)
#define DELIVERIES_IDLE_MS      INT64_C(259200000) /* nobody can make the try */
#define DELIVERIES_WAIT_MS_MAX  INT64_C(86400000)  /* that a receiver names */
#define DELIVERIES_AGAIN_MS     1000 /* a try that a worker could not make */
#define DELIVERIES_LOSSES_MAX   20   /* tries whose worker was gone */
#define DELIVERIES_EVENT_PREFIX "evt_"
#define DELIVERIES_EVENT_BYTES  41 /* evt_, a UUID and the NUL */

struct broker;
struct session;

/* ---- what happens ---- */

/* Stores an event for all webhooks that want it. client: whose batch it is of;
 * batch: its UUID; both NULL if it is of none. data: what it tells (an object),
 * borrowed. */
void deliveries_add(struct broker *broker, enum event event, const char *client,
                    const unsigned char *batch, const cJSON *data);

/* A batch has finished, was cancelled or has expired. */
void deliveries_batch_ended(struct broker *broker, const struct batch *batch);

/* Stores a test event for one webhook, whatever it wants. */
void deliveries_add_test(struct broker *broker, size_t webhook,
                         struct delivery *delivery);

/* ---- on their way ---- */

/* The wait after so many failures; negative: there are no more tries. chance: a
 * number from 0 up to but not 1. */
int64_t deliveries_wait_ms(uint32_t failures, double chance);

/* Gives workers what is to be tried. */
void deliveries_run(struct broker *broker, int64_t now_ms);

/* When that has something to do, if no message comes; INT64_MAX: never. */
int64_t deliveries_next_ms(const struct broker *broker);

/* What the store says is given; at the start of a broker, and after a failed
 * transaction. E_FULL or E_IO. */
int deliveries_recover(struct broker *broker, int64_t now_ms);

/* A worker is gone: what it was given is given to another. */
void deliveries_worker_gone(struct broker *broker,
                            const struct session *session, int64_t now_ms);

/* A worker says which tries it has, as pairs of delivery and attempt: what else
 * it was given has never arrived, and is given again. */
void deliveries_match(struct broker *broker, const struct session *session,
                      const struct wire_list *list, int64_t now_ms);

enum post_end {
    POST_OK,
    POST_FAILED,
    POST_UNMADE, /* the worker could not make it */
};

/* What a worker says of a try. Strings are borrowed. */
struct post_report {
    uint64_t delivery;
    uint32_t attempt;
    enum post_end end;
    uint32_t http_status; /* 0: there was no answer */
    const char *code, *message;
    int64_t wait_ms; /* that the receiver named; 0: none */
};

/* Takes note of what came of a try; one that is not the newest counts only if it
 * went well. */
void deliveries_report(struct broker *broker, const struct session *session,
                       const struct post_report *report, int64_t now_ms);

/* A delivery's timer is due. */
void deliveries_due(struct broker *broker, uint64_t id, int64_t due_ms,
                    int64_t now_ms);

/* Tries one again from the start, at once; one that is with a worker stays
 * there. */
void deliveries_resend(struct broker *broker, struct delivery *delivery,
                       int64_t now_ms);

/* The id of an event as people and receivers see it. */
void deliveries_event_text(const struct delivery *delivery,
                           char text[DELIVERIES_EVENT_BYTES]);

#endif
