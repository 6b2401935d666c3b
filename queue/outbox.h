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

/* Letters that were sent keep their memory for the next ones, up to so many bytes
 * of header and body, of one and of all. One is what a body of 64 KiB comes to that
 * is written piece by piece: a larger one is the link's. */
#define LETTER_KEEP_BYTES_MAX 102400
#define OUTBOX_KEEP_BYTES_MAX 131072

/* Zero-initialised is empty. */
struct outbox {
    struct letter *letters;
    size_t count;
    size_t capacity;   /* private */
    size_t kept_bytes; /* private; of letters that are not in use */
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
