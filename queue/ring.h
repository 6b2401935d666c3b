/*
 * ring.h - deficit round robin: who takes the next turn of those that share
 *
 * Members take turns, a round after the other. A turn is worth a quantum of
 * tokens, times the member's weight; what a member takes beyond that, it owes:
 * it stays out of as many rounds as pay for it. What it did not take is not
 * saved up while it is away.
 *
 *   round 7        A ──► B ──► C        A takes its turn, and 2.5 turns more:
 *   round 8              B ──► C ──► D  it is back in round 10. D came in
 *   round 9              B ──► C ──► D  round 7, and is behind all that were
 *   round 10   B ──► C ──► D ──► A      there.
 *
 * Rounds are numbers, and rounds without members are skipped: a member is found
 * in O(log n), however much is owed.
 *
 * The bound. Let q be the quantum and, for a member, `paid` what it was charged
 * since it joined, divided by its weight. In these units its place is
 *
 *   V = round * q - credit / weight        which grows as `paid` does;
 *
 * and for every member in the ring, between any two calls, without refunds:
 *
 *   ring.round * q - q  <=  V  <=  ring.round * q + the largest charge
 *
 * so two members that were both in the ring all the time have got, by weight,
 * the same within q and the larger of their charges. A charge here is one turn's
 * last one: a group that went on is one charge.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_RING_H
#define QUEUE_RING_H

#include <stdint.h>

#include "base/heap.h"

struct ring {
    struct heap heap; /* by round, then by order */
    uint64_t round;   /* of the newest turn */
    uint64_t order;   /* of the member that was put last into a round */
};

/* Zero-initialised: one that has never taken a turn. */
struct member {
    struct heap_node node;
    uint64_t round; /* of its next turn */
    uint64_t order; /* within that round */
    int64_t credit; /* what it may still take in it */
};

/* An empty ring; frees what it allocated. */
void ring_init(struct ring *ring);
void ring_fini(struct ring *ring);

/* Lets a member in, behind those that are there: into the next round, unless it
 * has credit left in this one or owes for longer. `quantum` is always its own:
 * the ring's times its weight. */
void ring_join(struct ring *ring, struct member *member, int64_t quantum);

/* Lets a member go; it remembers what it owes. */
void ring_leave(struct ring *ring, struct member *member);

/* The member whose turn it is; NULL if there is none. */
struct member *ring_first(const struct ring *ring);

/* Charges a member, also one that is not in the ring; less than nothing gives
 * back. The round is that of the first member from then on. */
void ring_charge(struct ring *ring, struct member *member, int64_t tokens,
                 int64_t quantum);

/* Takes what a member of one ring owes along to another, which it may join. */
void ring_carry(const struct ring *from, const struct ring *to,
                struct member *member);

#endif
