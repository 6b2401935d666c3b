/*
 * group.h - which requests travel together
 *
 * Requests with the same goal and constraints (and model and parameters: the
 * same tag) form a group, below a limit of characters in total, from all
 * batches. The broker dispatches a group's requests one after the other.
 *
 *   first draft of a tag        the window is over        the next one is too
 *        │                            │                   much, or too late
 *        ▼                            ▼                        ▼
 *      held ───────────────────────► may go ────────────────► closed
 *        └──── drafts of all batches ────┘── of the batch ────┘
 *              join                          that opened it
 *
 * While a batch is uploaded, its drafts go on joining after the window: they
 * all wait for the seal anyway. Groups of one tag that follow one another share
 * a `lead`, the number of the first, by which the ready index is ordered, and
 * are not held, so that they also stay together: A B A B … becomes A … A, B … B.
 *
 * Only memory: after a restart all groups are closed, and what was in them may
 * go at once. The table is bounded; the oldest group is closed for a new one.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_GROUP_H
#define QUEUE_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "store/request.h"

struct groups;

/* An empty table with the limits of conf (borrowed). */
struct groups *groups_new(const struct conf *conf);

/* Frees the table; NULL is fine. */
void groups_free(struct groups *groups);

/* Closes all groups. */
void groups_reset(struct groups *groups);

/* A request that is to be placed. */
struct group_member {
    uint64_t tag;   /* of its goal, constraints, model and parameters */
    uint64_t batch; /* of the draft that brings it */
    size_t chars;   /* code points of its text */
    bool is_alone;  /* it waits for no others, and goes with none */
};

/* True if the member fits into an open group: *place is that. False: it needs a
 * new group, which groups_open() makes. */
bool groups_join(struct groups *groups, const struct group_member *member,
                 int64_t now_ms, struct place *place);

/* Opens a group with that number for a member; returns its place. A member that
 * is to go alone, or is too long for any group, gets one that is not held and
 * takes no other. */
struct place groups_open(struct groups *groups,
                         const struct group_member *member, uint64_t number,
                         int64_t now_ms);

/* Until when a group is held: its requests are not leased before. 0: it may go
 * now. */
int64_t groups_held_until(const struct groups *groups, uint64_t number,
                          int64_t now_ms);

/* The other batches whose requests joined a group, for the dispatcher: the
 * first one that is not `batch` and follows `after` (0 at the start). 0: none. */
uint64_t groups_next_batch(const struct groups *groups, uint64_t number,
                           uint64_t batch, uint64_t after);

#endif
