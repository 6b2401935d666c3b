/*
 * outbox.h - messages that wait for the commit which makes them true
 *
 * The core puts its answers here; the shell sends them when the transaction
 * that they speak of is on disk, or throws them away with it.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_OUTBOX_H
#define QUEUE_OUTBOX_H

#include <stddef.h>

#include "base/buf.h"
#include "queue/link.h"
#include "queue/wire.h"

/* Which of the broker's two links a peer belongs to. */
enum side { SIDE_CLIENTS, SIDE_WORKERS };

/* The lists of a `turn`, in their order. */
enum letter_list { LETTER_NO_LIST, LETTER_CONFIRMED, LETTER_LEASES };

struct letter {
    enum side side;
    struct link_peer peer;
    struct buf head;
    struct buf body;
    enum letter_list list; /* that ends its header: see turn.h */
    size_t items;          /* of all its lists */
};

/* Zero-initialised is empty. Letters keep their memory for the next ones. */
struct outbox {
    struct letter *letters;
    size_t count;
    size_t capacity; /* private */
};

/* Frees everything. */
void outbox_fini(struct outbox *outbox);

/* Throws away what was not sent. */
void outbox_reset(struct outbox *outbox);

/* Adds a message, for the caller to write its header and its body (borrowed until
 * the next call). */
struct letter *outbox_open(struct outbox *outbox, enum side side,
                           const struct link_peer *peer);

/* The newest letter to a peer; NULL: it has none among the last few, and the next
 * one is to be a new one. */
struct letter *outbox_last(struct outbox *outbox, enum side side,
                           const struct link_peer *peer);

/* Adds a message; takes the header. The body is empty, for the caller to fill
 * through what is returned (borrowed until the next call). */
struct buf *outbox_add(struct outbox *outbox, enum side side,
                       const struct link_peer *peer, cJSON *head);

#endif
