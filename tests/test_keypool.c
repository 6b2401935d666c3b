/* SPDX-License-Identifier: MIT */
#include "store/keypool.h"

#include <criterion/criterion.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

TestSuite(keypool, .timeout = 60);

#define KEYS   1000
#define STEPS  200000
#define CELLS  8
#define CHECKS 1000

/* Prefixes of few cells; the request that each has, 0 for none. */
struct model {
    struct keypool *pool;
    uint64_t prefixes[KEYS], requests[KEYS];
};

static void
start(struct model *model)
{
    *model = (struct model){ .pool = keypool_new() };
    srand(1);
    /* Different ones: the number is in them. */
    for (uint64_t i = 0; i < KEYS; i++) {
        model->prefixes[i] = key_entry_first((unsigned)rand() % CELLS) +
                             ((uint64_t)rand() << 16) + i;
    }
}

static void
empty(struct model *model, unsigned cell)
{
    keypool_empty(model->pool, cell);
    for (size_t i = 0; i < KEYS; i++) {
        if (key_entry_cell(model->prefixes[i]) == cell)
            model->requests[i] = 0;
    }
}

/* Adds, changes or removes one. */
static void
change(struct model *model, size_t i)
{
    struct key_entry entry = { model->prefixes[i], (uint64_t)rand() + 1 };

    if (model->requests[i] == 0) {
        keypool_add(model->pool, entry);
    } else if (rand() % 2) {
        keypool_drop(model->pool, entry.prefix);
        entry.request = 0;
    } else {
        keypool_find(model->pool, entry.prefix)->request = entry.request;
    }
    model->requests[i] = entry.request;
}

static void
expect_same(struct model *model)
{
    size_t count = 0, listed = 0;

    for (size_t i = 0; i < KEYS; i++) {
        const struct key_entry *entry =
            keypool_find(model->pool, model->prefixes[i]);

        cr_assert_eq(entry ? entry->request : 0, model->requests[i]);
        count += model->requests[i] != 0;
    }
    cr_assert_eq(keypool_count(model->pool), count);
    for (unsigned cell = 0; cell < CELLS; cell++) {
        const struct key_entry *entries;
        size_t here = keypool_list(model->pool, cell, &entries);

        for (size_t i = 0; i < here; i++) {
            cr_assert_eq(key_entry_cell(entries[i].prefix), cell);
            cr_assert(i == 0 || entries[i - 1].prefix < entries[i].prefix);
        }
        listed += here;
    }
    cr_assert_eq(listed, count);
}

Test(keypool, agrees_with_a_plain_array)
{
    struct model model;

    start(&model);
    for (int i = 0; i < STEPS; i++) {
        change(&model, (size_t)rand() % KEYS);
        if (i % 500 == 0)
            empty(&model, (unsigned)rand() % CELLS);
        if (i % CHECKS == 0)
            expect_same(&model);
    }
    keypool_reset(model.pool);
    cr_expect_eq(keypool_count(model.pool), 0);
    cr_expect_null(keypool_find(model.pool, model.prefixes[0]));
    keypool_free(model.pool);
}

/* Whether its few chains are ended one by one, or all of them at once. */
Test(keypool, is_empty_after_a_reset_of_few_and_of_many)
{
    static const int changes[] = { 0, 1, 2, 30, 500, 2 * KEYS, 30, 1 };
    struct model model;

    start(&model);
    for (size_t n = 0; n < sizeof(changes) / sizeof(changes[0]); n++) {
        for (int i = 0; i < changes[n]; i++)
            change(&model, (size_t)rand() % KEYS);
        expect_same(&model);
        keypool_reset(model.pool);
        memset(model.requests, 0, sizeof(model.requests));
        expect_same(&model);
    }
    keypool_free(model.pool);
}

/* What goes on for long, with as many at a time as was said, allocates nothing. */
Test(keypool, takes_no_more_memory_than_was_reserved)
{
    struct model model;
    struct mallinfo2 before, after;

    start(&model);
    keypool_reserve(model.pool, KEYS);
    before = mallinfo2();
    for (int i = 0; i < STEPS; i++)
        change(&model, (size_t)rand() % KEYS);
    after = mallinfo2();
    cr_expect_eq(after.uordblks + after.hblkhd,
                 before.uordblks + before.hblkhd);
    keypool_free(model.pool);
}
