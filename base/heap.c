/* SPDX-License-Identifier: MIT */
#include "base/heap.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

#define NODES_FIRST 4 /* most heaps are small */

void
heap_fini(struct heap *heap)
{
    free(heap->nodes);
    heap->nodes = NULL;
    heap->count = heap->capacity = 0;
}

/* Place i, from 1, is nodes[i - 1]; the children of i are 2i and 2i + 1. */
static void
put(struct heap *heap, size_t at, struct heap_node *node)
{
    heap->nodes[at - 1] = node;
    node->at = at;
}

/* Moves a node from place `at`, which is free, to where it belongs. */
static void
settle(struct heap *heap, struct heap_node *node, size_t at)
{
    for (; at > 1; at /= 2) {
        if (!heap->before(node, heap->nodes[at / 2 - 1]))
            break;
        put(heap, at, heap->nodes[at / 2 - 1]);
    }
    for (;;) {
        size_t child = at * 2;

        if (child < heap->count &&
            heap->before(heap->nodes[child], heap->nodes[child - 1])) {
            child++;
        }
        if (child > heap->count || !heap->before(heap->nodes[child - 1], node))
            break;
        put(heap, at, heap->nodes[child - 1]);
        at = child;
    }
    put(heap, at, node);
}

void
heap_add(struct heap *heap, struct heap_node *node)
{
    assert(node->at == 0);
    if (heap->count == heap->capacity) {
        heap->capacity = heap->capacity ? heap->capacity * 2 : NODES_FIRST;
        heap->nodes =
            mem_grow(heap->nodes, heap->capacity, sizeof(heap->nodes[0]));
    }
    heap->count++;
    settle(heap, node, heap->count);
}

void
heap_remove(struct heap *heap, struct heap_node *node)
{
    size_t at = node->at;
    struct heap_node *last;

    if (at == 0)
        return;
    last = heap->nodes[--heap->count];
    if (last != node)
        settle(heap, last, at);
    node->at = 0;
}

void
heap_moved(struct heap *heap, struct heap_node *node)
{
    if (node->at != 0)
        settle(heap, node, node->at);
}

struct heap_node *
heap_first(const struct heap *heap)
{
    return heap->count ? heap->nodes[0] : NULL;
}
