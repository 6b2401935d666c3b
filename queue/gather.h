/*
 * gather.h - the lines of one chunk on their way into the store
 *
 * A chunk comes from a client, or is a slice of a file that a batch is made
 * from. Each line is read, and becomes a draft or a refusal; then all that were
 * gathered are stored at once, with the chunk that they are of.
 *
 *   gather_begin
 *     gather_line, or gather_refuse …     one for each index, in order
 *   gather_store
 *   gather_end
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_GATHER_H
#define QUEUE_GATHER_H

#include "queue/core.h"

/* From `drafts` on it is private. */
struct gathering {
    struct broker *broker;
    struct batch *batch; /* its counters grow; the caller writes it */
    struct chunk *chunk;
    /* Looks at the line that was read: false if it is to be refused, for *fault.
     * Puts a fault in other words. Both may be NULL. */
    bool (*fits)(void *context, struct line_fault *fault);
    void (*reword)(struct line_fault *fault);
    void *context;              /* of fits */
    const uint32_t *file_lines; /* where each index stands in a file; NULL */
    uint32_t kept_max;          /* refusals of the batch that are stored */
    struct new_draft *drafts;
    char (*routes)[REQUEST_ROUTE_BYTES]; /* of each */
    struct buf ids;                      /* all of them, one after the other */
    size_t count, max;
    uint32_t next; /* line of the chunk, from 0 */
};

/* Begins a chunk of at most `max` lines, for a batch whose options are loaded. The
 * caller has zeroed it and set what is not private; gather_end() in any case. */
void gather_begin(struct gathering *gathering, size_t max);
void gather_end(struct gathering *gathering);

/* Takes the next line, which lies within the body so far. False: it was refused,
 * as *fault says. */
bool gather_line(struct gathering *gathering, struct slice body,
                 struct slice text, struct line_fault *fault);

/* Takes the next line as refused. */
void gather_refuse(struct gathering *gathering, struct line_fault fault);

/* Stores the chunk with its lines and drafts, and counts it in the batch, which
 * the caller writes. Those with an id that the batch has are refused. */
int gather_store(struct gathering *gathering, struct slice body,
                 int64_t now_ms);

/* Takes the next line off the rest of a body. */
struct slice gather_next_line(struct slice *rest);

#endif
