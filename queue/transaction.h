/*
 * transaction.h - what a turn of the loop takes, and the answers to that
 *
 *   transaction_receive  what has arrived since
 *   transaction_run      begin; apply, and wait for more; commit; send
 *
 * A transaction takes what waits, as far as it has room. It is held open for
 * chunks that are being read, for clients who are about to write again
 * (muster.h), and for results while the broker is patient. If it fails, what
 * was applied in it is tried message by message. An error whose outcome is
 * unknown ends the process without a word to any client.
 *
 * Threads: none; the loop's.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_TRANSACTION_H
#define QUEUE_TRANSACTION_H

#include "base/clock.h"
#include "queue/muster.h"
#include "queue/parcel.h"

struct transaction {
    /* What it stands on: set by its owner, and borrowed for its life. */
    const struct conf *conf;
    struct store *store;
    struct broker *broker;
    struct reader *reader;
    struct outbox *outbox;
    struct link *const *links; /* by side */
    struct clock *clock;
    int signal_fd; /* a signal ends all waiting */
    void *context; /* of the two below */
    /* What else is to be done in a transaction, before it ends. */
    void (*look)(void *context, int64_t now_ms);
    /* A commit found no room: whoever keeps pages from reuse is to let go. */
    void (*make_way)(void *context);

    struct parcels parcels; /* private, as is the rest */
    struct muster muster;
    size_t items;  /* applied in this transaction */
    bool is_short; /* there is no room for what is due */
};

/* Makes room for messages. What it stands on has been set. */
void transaction_init(struct transaction *transaction);
void transaction_fini(struct transaction *transaction);

/* Reads the clocks, once a turn: the store keeps what they show, and the core
 * is told how far the wall clock is from its time. Returns that. */
int64_t transaction_clock(struct transaction *transaction);

/* Forgets what the last turn took, and lets what has arrived wait. Returns the
 * time. */
int64_t transaction_receive(struct transaction *transaction);

/* True if messages wait. */
bool transaction_has_mail(const struct transaction *transaction);

/* Takes a turn. True if it took messages: then more may have come meanwhile. */
bool transaction_run(struct transaction *transaction, int64_t now_ms);

/* Begin a transaction in which the core says something and nothing is written;
 * end it, and send that. */
void transaction_begin(struct transaction *transaction, int64_t now_ms);
void transaction_send(struct transaction *transaction);

/* The outcome of what was not committed is unknown: says nothing, and ends. */
_Noreturn void transaction_fail(const struct err *err);

#endif
