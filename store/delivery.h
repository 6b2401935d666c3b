/*
 * delivery.h - an event on its way to a webhook
 *
 *              given to a worker          it was taken
 *   waiting ───────────────────► given ───────────────► delivered
 *     ▲ │                        │ │                        │
 *     │ │  not made, lost, to be │ │ for the last time,     │
 *     │ │  tried again           │ │ or not wanted          │
 *     ├─┼────────────────────────┘ ▼                        │
 *     │ └──────────────────────► failed                     │
 *     │     nobody can make it     │                        │
 *     └──────────── resend ────────┴────────────────────────┘
 *
 * Each webhook that wants an event has a delivery of its own, with an id of its
 * own, by which the receiver knows that it has had it. What is posted is stored
 * with it: it is the same each time, and outlives the batch.
 *
 * A delivery has one timer, always: when it is to be given up (waiting), taken
 * for lost (given), or removed (ended). When it is to be tried stands in an index
 * by webhook, so that one that does not answer holds up no other.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_DELIVERY_H
#define STORE_DELIVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "store/record.h"

#define DELIVERY_UUID_BYTES     16
#define DELIVERY_WEBHOOK_BYTES  65 /* with its NUL, as below */
#define DELIVERY_TYPE_BYTES     33
#define DELIVERY_CODE_BYTES     33
#define DELIVERY_MESSAGE_BYTES  129
#define DELIVERY_BODY_BYTES_MAX 16384

/* clang-format off */
#define DELIVERY_TO(state) (1u << DELIVERY_##state)
/*    name       text         the states it may move to */
#define DELIVERY_STATES(X)                                                    \
    X(WAITING,   "waiting",   DELIVERY_TO(GIVEN) | DELIVERY_TO(DELIVERED) |   \
                              DELIVERY_TO(FAILED))                            \
    X(GIVEN,     "given",     DELIVERY_TO(WAITING) | DELIVERY_TO(DELIVERED) | \
                              DELIVERY_TO(FAILED))                            \
    X(DELIVERED, "delivered", DELIVERY_TO(WAITING))                           \
    X(FAILED,    "failed",    DELIVERY_TO(WAITING) | DELIVERY_TO(DELIVERED))
/* clang-format on */

#define DELIVERY_ENUM(name, text, to) DELIVERY_##name,
enum delivery_state { DELIVERY_STATES(DELIVERY_ENUM) DELIVERY_STATE_COUNT };
#undef DELIVERY_ENUM

struct delivery {
    uint64_t id;
    enum delivery_state state;
    unsigned char event[DELIVERY_UUID_BYTES];
    unsigned char batch[DELIVERY_UUID_BYTES]; /* zeroes: of none */
    char webhook[DELIVERY_WEBHOOK_BYTES];
    char type[DELIVERY_TYPE_BYTES];
    int64_t created_ms;
    int64_t next_ms;      /* waiting: when it is to be tried */
    int64_t due_ms;       /* of its timer */
    int64_t given_ms;     /* for the last time; 0: never */
    int64_t ended_ms;     /* 0: it has not */
    uint32_t attempts;    /* times it was given; the number of the newest one */
    uint32_t failures;    /* since it was stored, or sent again; the same: */
    uint32_t losses;      /* tries whose worker was gone */
    uint32_t http_status; /* of the last answer; 0: there was none */
    unsigned char worker[DELIVERY_UUID_BYTES]; /* given: to whom */
    char code[DELIVERY_CODE_BYTES]; /* what became of the last try; "": well */
    char message[DELIVERY_MESSAGE_BYTES];
    struct slice body; /* borrowed: from the store, or whoever adds it */
};

/* The name of a state, as in PROTOCOL.md. */
const char *delivery_state_name(enum delivery_state state);

/* True if the table has this move. */
bool delivery_may_move(enum delivery_state from, enum delivery_state to);

/* Changes the state. A move that the table does not have is a bug. */
void delivery_move(struct delivery *delivery, enum delivery_state to);

/* True if nothing more is to be done for it. */
bool delivery_has_ended(const struct delivery *delivery);

/* Fields to bytes and back; decoding reports E_CORRUPT. */
void delivery_encode(const struct delivery *delivery, struct buf *out);
int delivery_decode(struct record *record, struct delivery *delivery);

/* ---- in the store (deliveries.c) ---- */

struct store;

/* Adds a delivery, giving it its id. It is waiting. */
void store_delivery_add(struct store *store, struct delivery *delivery);

/* Writes one that was read, with its timer and its place among those that wait.
 * Its body may be borrowed from the store. */
void store_delivery_put(struct store *store, const struct delivery *delivery);

/* Removes one. */
void store_delivery_drop(struct store *store, uint64_t id);

/* Find one; the last before a number, the first after one. */
int store_delivery_get(struct store *store, uint64_t id,
                       struct delivery *delivery);
int store_delivery_before(struct store *store, uint64_t id,
                          struct delivery *delivery);
int store_delivery_after(struct store *store, uint64_t id,
                         struct delivery *delivery);

/* The one that waits for a webhook and is to be tried first. E_CORRUPT: its row
 * is damaged or gone; its id is set. */
int store_delivery_first(struct store *store, const char *webhook,
                         struct delivery *delivery);

/* That one waits no more; its row and timer stay. */
void store_delivery_skip(struct store *store, const char *webhook);

/* How many there are. */
uint64_t store_delivery_count(struct store *store);

#endif
