/*
 * stow.h - what was gathered of a chunk goes into the store
 *
 * The chunk's body, a record of each draft, a refusal of each line that is
 * none, and the chunk itself, within the transaction at hand.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_STOW_H
#define QUEUE_STOW_H

#include "queue/core.h"
#include "queue/gather.h"

/* Where it goes, and how its refusals are told. */
struct stowing {
    struct broker *broker;
    struct batch *batch; /* its counters grow; the caller writes it */
    struct chunk *chunk; /* with its number, its digest, its first index */
    /* Puts a fault in other words; NULL: it stays as it is. */
    void (*reword)(struct line_fault *fault);
    const uint32_t *file_lines; /* where each line stands in a file; NULL */
    uint32_t kept_max;          /* refusals of the batch that are stored */
};

/* Stores a chunk with its lines and drafts, and counts it in the batch, which
 * the caller writes. Drafts with an id that the batch has are refused. What was
 * gathered is used up, whatever comes of it. */
int stow_gathering(const struct stowing *stowing, struct gathering *gathering,
                   int64_t now_ms);

#endif
