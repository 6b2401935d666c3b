/*
 * parcel.h - the messages that one transaction is to apply
 *
 * Messages are taken from both links until nothing is there, or until there is
 * no room for more: a transaction has a limit for what it writes.
 *
 * Ownership: parcels own their buffers and keep them for the next ones.
 * Threads: none.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_PARCEL_H
#define QUEUE_PARCEL_H

#include "queue/broker.h"

/* A message that was received. */
struct parcel {
    enum side side;
    struct link_peer peer;
    struct buf head, body;
    size_t items; /* drafts and reports in it, or more */
};

struct parcels {
    struct parcel *list;
    size_t count;
    size_t items, bytes;         /* that are in them */
    size_t items_max, bytes_max; /* one message goes beyond at most */
};

/* A parcel as the core takes it. */
struct message parcel_message(const struct parcel *parcel);

/* Empty, with room for so many drafts and reports, of so many bytes in all. */
void parcels_init(struct parcels *parcels, size_t items_max, size_t bytes_max);
void parcels_fini(struct parcels *parcels);

/* Forgets what was received. */
void parcels_reset(struct parcels *parcels);

/* True if there is no room for more: what has arrived since waits for the next
 * transaction, however long one looks. */
bool parcels_are_full(const struct parcels *parcels);

/* Takes what has arrived at the links (by side), behind what is there. Returns
 * how many messages were none. */
size_t parcels_receive(struct parcels *parcels, struct link *const links[2]);

#endif
