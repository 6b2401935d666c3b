/*
 * keeper.h - the workers that sheafd starts itself
 *
 * One command is a working system: sheafd starts its workers, starts them again
 * when they die, and adopts those that a broker of the same store left behind.
 * It knows that a worker of this host is dead when it can take the worker's
 * lock, whoever started it, and takes from it what it had once its link has
 * ended, too: what it said last is heard first. The lock is removed once the
 * store has forgotten the worker.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_KEEPER_H
#define QUEUE_KEEPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "queue/broker.h"

#define KEEPER_WORKERS_MAX 64

/* How the workers are started. Strings are borrowed for the keeper's life. */
struct keeper_terms {
    int count;             /* how many there should be */
    int capacity;          /* calls each can make */
    const char *own;       /* token by which they are known again */
    const char *endpoint;  /* where they connect to */
    const char *config;    /* file, or NULL */
    const char *log_level; /* or NULL */
    const char *log_format;
    int parent_fd; /* they end when it comes to its end; -1: none */
};

struct keeper;

struct keeper *keeper_new(const struct keeper_terms *terms);

/* Leaves the workers alone and frees the keeper. */
void keeper_free(struct keeper *keeper);

/* Looks which workers are dead, tells the broker, and starts those that are
 * missing unless the broker drains. Within a transaction. */
void keeper_look(struct keeper *keeper, struct broker *broker, bool is_draining,
                 int64_t now_ms);

/* Removes the locks, with the last words in them, of the workers that were found
 * dead. After the transaction, whether the store has taken it or not, as the broker
 * knows by then. */
void keeper_remove_locks(struct keeper *keeper, const struct broker *broker);

/* True while a worker of ours lives, or has not been heard to the end. */
bool keeper_has_workers(const struct keeper *keeper);

/* True if a worker has ended as what it was started with is wrong, and none of ours
 * has worked yet: starting it again would be of no use. It has said why. */
bool keeper_is_hopeless(const struct keeper *keeper);

#endif
