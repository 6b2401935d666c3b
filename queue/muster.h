/*
 * muster.h - clients that are about to write again, for whom a commit waits
 *
 * A flush costs much the same for one message as for eight. A client that waits
 * for its answer writes again soon after it has come: whoever has written in one
 * of the last two commits, and not in this one yet, is missing. In the last two,
 * as clients that were once answered in two halves would stay so otherwise: each
 * half comes while the other one is flushed.
 *
 * Nobody waits for a client that is alone. Where a wait has brought no one, the
 * next commits do not wait: one, then two, then four, up to MUSTER_SKIP_MAX.
 *
 * Time: none is read here; the loop says how long it waits. Threads: none.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_MUSTER_H
#define QUEUE_MUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue/link.h"

#define MUSTER_WRITERS_MAX 64 /* a commit of so many has company enough */
#define MUSTER_SKIP_MAX    64 /* commits that do not wait */

struct muster_writer {
    struct link_peer peer;
    uint64_t commit; /* the last one that it has written in */
};

/* Zeroed, it is empty. */
struct muster {
    struct muster_writer writers[MUSTER_WRITERS_MAX];
    size_t count;
    size_t present;  /* of them, in the commit that is gathered now */
    uint64_t commit; /* its number, of those that somebody has written in */
    unsigned skip;   /* commits that do not wait: to come, and after the next */
    unsigned skip_next; /* wait that brings no one */
};

/* A client has written in this commit. */
void muster_note(struct muster *muster, const struct link_peer *peer);

/* How many are worth waiting for; 0 also while waits are left out. */
size_t muster_missing(const struct muster *muster);

/* The commit takes no more. waited: it did wait, when so many were present. */
void muster_close(struct muster *muster, bool waited, size_t present);

#endif
