/*
 * reader.h - reads chunks in a thread of its own, while the loop stores others
 *
 * An order is a chunk to be read: its body, and the options of its batch. The
 * loop fills one in and gives it; the thread reads its lines (gather.h), with
 * recipes of its own; the loop takes it back. Whoever has an order, alone
 * touches it and what it borrows, so nothing is shared but the two queues.
 *
 *              reader_open     reader_give        reader_take
 *   free ──────────────► the loop's ─► the thread's ─► the loop's, is_read
 *     ▲                                                     │
 *     └──────────────────── reader_close ───────────────────┘
 *
 * Orders are read in the order in which they are given. The thread knows
 * neither the store nor a socket, logs nothing, and the configuration does not
 * change while it lives.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_READER_H
#define QUEUE_READER_H

#include "queue/gather.h"

#define READER_ORDERS_MAX        64
#define READER_OPTIONS_BYTES_MAX 65536 /* of a batch whose chunks are read */

/* How much the thread gives way to the loop, and to all else: with both
 * processors taken, by clients, one and eight of them hand in 2 to 9 % more. */
#define READER_NICE 5

struct order {
    uint64_t batch;
    struct buf options;
    struct slice body; /* borrowed until it comes back */
    struct gathering gathered;
    bool is_read;       /* it has come back */
    struct order *next; /* private */
};

struct reader;

/* Starts the thread; conf is borrowed for its life. NULL with E_IO. */
struct reader *reader_new(const struct conf *conf, struct err *err);

/* Ends the thread, when it has read what it is at, and frees all orders. What
 * they borrow must still be there. NULL is fine. */
void reader_free(struct reader *reader);

/* An order to be filled in; NULL: there are READER_ORDERS_MAX already. */
struct order *reader_open(struct reader *reader);
void reader_give(struct reader *reader, struct order *order);

/* Takes back all that have been read meanwhile: is_read is set in each. False:
 * there was none. */
bool reader_take(struct reader *reader);

/* The order is of no use any more. It must have come back. */
void reader_close(struct reader *reader, struct order *order);

/* The descriptor to poll: readable while reader_take() would find something. */
int reader_fd(const struct reader *reader);

#endif
