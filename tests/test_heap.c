/* SPDX-License-Identifier: MIT */
#include "base/heap.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <stdlib.h>

struct thing {
    int key;
    struct heap_node node;
};

static bool
is_less(const struct heap_node *a, const struct heap_node *b)
{
    return HEAP_OF(a, const struct thing, node)->key <
           HEAP_OF(b, const struct thing, node)->key;
}

/* Random operations, each checked against looking at all. */
Test(heap, knows_the_first_of_those_that_come_and_go)
{
    enum { THINGS = 50, STEPS = 20000 };
    static struct thing things[THINGS];
    struct heap heap = { .before = is_less };

    cr_expect_null(heap_first(&heap));
    srand(1);
    for (int step = 0; step < STEPS; step++) {
        struct thing *thing = &things[rand() % THINGS];
        int least = INT_MAX;
        size_t count = 0;

        if (thing->node.at == 0) {
            thing->key = rand() % 1000;
            heap_add(&heap, &thing->node);
        } else if (rand() % 2) {
            thing->key = rand() % 1000;
            heap_moved(&heap, &thing->node);
        } else {
            heap_remove(&heap, &thing->node);
            heap_remove(&heap, &thing->node);
        }
        for (int i = 0; i < THINGS; i++) {
            if (things[i].node.at == 0)
                continue;
            count++;
            if (things[i].key < least)
                least = things[i].key;
        }
        cr_assert_eq(heap.count, count);
        if (count > 0) {
            cr_assert_eq(HEAP_OF(heap_first(&heap), struct thing, node)->key,
                         least);
        }
    }
    heap_fini(&heap);
}
