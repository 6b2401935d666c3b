/* SPDX-License-Identifier: MIT */
#include "queue/ring.h"

static bool
is_before(const struct heap_node *a, const struct heap_node *b)
{
    const struct member *first = HEAP_OF(a, const struct member, node);
    const struct member *second = HEAP_OF(b, const struct member, node);

    if (first->round != second->round)
        return first->round < second->round;
    return first->order < second->order;
}

void
ring_init(struct ring *ring)
{
    *ring = (struct ring){ .heap = { .before = is_before }, .round = 1 };
}

void
ring_fini(struct ring *ring)
{
    heap_fini(&ring->heap);
}

void
ring_join(struct ring *ring, struct member *member, int64_t quantum)
{
    if (member->round < ring->round) {
        /* Into the next round: were it this one, members that keep coming would
         * keep the next one from ever beginning. */
        member->round = ring->round + 1;
        member->credit = quantum;
    } else if (member->credit > quantum) {
        member->credit = quantum;
    }
    member->order = ++ring->order;
    heap_add(&ring->heap, &member->node);
}

void
ring_leave(struct ring *ring, struct member *member)
{
    heap_remove(&ring->heap, &member->node);
}

struct member *
ring_first(const struct ring *ring)
{
    struct heap_node *node = heap_first(&ring->heap);

    return node ? HEAP_OF(node, struct member, node) : NULL;
}

void
ring_charge(struct ring *ring, struct member *member, int64_t tokens,
            int64_t quantum)
{
    const struct member *first = ring_first(ring);
    uint64_t rounds;

    /* It begins when somebody takes a turn in it, not when it is looked at. */
    if (first && first->round > ring->round)
        ring->round = first->round;
    member->credit -= tokens;
    if (member->credit <= 0) {
        rounds = (uint64_t)(-member->credit / quantum) + 1;
        member->round += rounds;
        member->credit += (int64_t)rounds * quantum;
        member->order = ++ring->order;
    } else if (member->credit > quantum && member->round > ring->round) {
        rounds = (uint64_t)((member->credit - 1) / quantum);
        if (rounds > member->round - ring->round)
            rounds = member->round - ring->round;
        member->round -= rounds;
        member->credit -= (int64_t)rounds * quantum;
    } else {
        return;
    }
    heap_moved(&ring->heap, &member->node);
}

void
ring_carry(const struct ring *from, const struct ring *to,
           struct member *member)
{
    if (member->round > from->round)
        member->round = to->round + (member->round - from->round);
    else
        member->round = 0;
}
