/*
 * parcel.h - messages on their way into transactions
 *
 * Messages are taken from both links and wait, until there is room for them in
 * a transaction, which has a limit for what it writes. As many messages and bytes
 * wait beside it: of these, large chunks are given to the reader, so that they
 * have been read when their turn comes. Only the messages of one peer are kept in
 * order: others go past a chunk that is being read.
 *
 * Small messages come first. Of chunks that were read, all that the first sender
 * has waiting, then all of the next: whose come in one by one write each
 * transaction to the last pages of every batch, and who had a turn comes behind
 * the others with what is sent then.
 *
 *   links ─ parcels_receive ─► waiting ─ parcels_take ─► taken ─ parcels_reset
 *                                 │    ▲
 *                 parcels_offer   ▼    │
 *                                 reader
 *
 * Ownership: parcels own what was received. Small messages lie in buffers, which
 * are kept for the next ones up to a limit; a large body is libzmq's own memory,
 * and goes back when its parcel is done with.
 * Threads: none. The reader has borrowed the body of a chunk while its order is
 * out, and so is freed first; so are parcels, before their links.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_PARCEL_H
#define QUEUE_PARCEL_H

#include "queue/broker.h"
#include "queue/reader.h"

#define PARCEL_AHEAD_BYTES_MIN 8192 /* a shorter chunk is not worth a thread */

/* Buffers that nothing is in are kept up to so many bytes, of one parcel and of
 * all: those of messages as they mostly are, and not of the most that there ever
 * were. */
#define PARCEL_KEEP_BYTES_MAX  16384
#define PARCELS_KEEP_BYTES_MAX 131072

/* A message that was received. */
struct parcel {
    enum side side;
    struct link_peer peer;
    struct buf head;
    struct slice body;       /* lent by one of these two */
    struct buf small;        /* private */
    struct link_body *large; /* private; NULL: it is small */
    size_t items;            /* drafts and reports in it, or more */
    bool was_offered;        /* to the reader */
    struct order *order;     /* that it was given; NULL: it was not */
};

struct parcel_row {
    struct parcel **list;
    size_t count;
    size_t items, bytes; /* that are in them */
};

struct parcels {
    struct parcel_row waiting, taken;
    /* What is taken has room for so much, and one message beyond; what waits for
     * so many messages, and as many bytes. */
    size_t items_max, bytes_max;
    struct parcel *all;    /* private, as is the rest */
    struct parcel **spare; /* first those without buffers */
    size_t used_count, spare_count, bare_count;
    size_t kept_bytes;    /* of buffers that nothing is in */
    bool is_workers_turn; /* to be asked first */
};

/* A parcel as the core takes it. */
struct message parcel_message(const struct parcel *parcel);

/* Empty, with room for so many drafts and reports, of so many bytes in all, in
 * a transaction: at least one. */
void parcels_init(struct parcels *parcels, size_t items_max, size_t bytes_max);
void parcels_fini(struct parcels *parcels);

/* Forgets what was taken, and gives its memory back. */
void parcels_reset(struct parcels *parcels);

/* True if a transaction has no room for more: what waits is for the next one,
 * however long one looks. */
bool parcels_are_full(const struct parcels *parcels);

/* True if more can be received. */
bool parcels_have_room(const struct parcels *parcels);

/* Lets what has arrived at the links (by side) wait, behind what waits already.
 * Each side is asked first every other time, so that neither keeps the other
 * one out as long as it never rests. Returns how many messages were none. */
size_t parcels_receive(struct parcels *parcels, struct link *const links[2]);

/* Gives the reader the chunks among those that wait that are worth it, within a
 * transaction. */
void parcels_offer(struct parcels *parcels, struct reader *reader,
                   struct broker *broker);

/* Takes what waits into the transaction, in the order told above, as far as there
 * is room: but for what is being read, and what its sender has sent after that. */
void parcels_take(struct parcels *parcels);

/* What was read of a parcel was used, or is of no use. */
void parcel_close_order(struct parcel *parcel, struct reader *reader);

#endif
