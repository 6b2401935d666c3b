/*
 * heap.h - what comes first, of many that come and go
 *
 * A binary heap of nodes that are members of the caller's structs. A node knows
 * its place, so that one in the middle can be moved or taken out: all is O(log
 * n), looking at the first one O(1). Among equals the order is not defined:
 * compare something unique in the end.
 *
 * Ownership: the heap borrows its nodes; a node is in one heap at most.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>

struct heap_node {
    size_t at; /* private: its place, from 1; 0 while it is in no heap */
};

/* True if a comes before b. */
typedef bool heap_before_fn(const struct heap_node *a,
                            const struct heap_node *b);

struct heap {
    heap_before_fn *before; /* set by the caller; all zero but this is empty */
    struct heap_node **nodes;
    size_t count, capacity;
};

/* The struct of which a node is a member. */
#define HEAP_OF(node, type, member) \
    ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* Frees what the heap allocated. Nodes that are in it are not touched. */
void heap_fini(struct heap *heap);

/* Adds a node that is in no heap. */
void heap_add(struct heap *heap, struct heap_node *node);

/* Takes a node out; one that is in no heap is fine. */
void heap_remove(struct heap *heap, struct heap_node *node);

/* Finds the new place of a node whose order has changed; one that is in no heap
 * is fine. */
void heap_moved(struct heap *heap, struct heap_node *node);

/* The one that comes before all others. NULL if there is none. */
struct heap_node *heap_first(const struct heap *heap);

#endif
