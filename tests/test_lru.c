/* SPDX-License-Identifier: MIT */
#include "base/lru.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    uint32_t key;
    uint32_t value;
};

static struct entry *
put(struct lru *lru, uint32_t key, uint32_t value)
{
    struct entry *entry = lru_add(lru, &key);

    cr_assert_not_null(entry);
    cr_assert_eq(entry->key, key);
    cr_assert_eq(entry->value, 0);
    entry->value = value;
    return entry;
}

Test(lru, a_full_map_forgets_the_oldest)
{
    struct lru *lru = lru_new(3, sizeof(uint32_t), sizeof(struct entry));
    uint32_t key = 1;

    cr_expect_null(lru_oldest(lru));
    for (uint32_t i = 1; i <= 3; i++)
        put(lru, i, i * 10);
    lru_touch(lru, lru_find(lru, &key));
    put(lru, 4, 40);
    cr_expect_eq(lru_count(lru), 3);
    cr_expect_not_null(lru_find(lru, &key));
    key = 2;
    cr_expect_null(lru_find(lru, &key));
    cr_expect_eq(((struct entry *)lru_oldest(lru))->key, 3);
    lru_remove(lru, lru_oldest(lru));
    cr_expect_eq(((struct entry *)lru_oldest(lru))->key, 1);
    lru_reset(lru);
    cr_expect_eq(lru_count(lru), 0);
    cr_expect_null(lru_oldest(lru));
    key = 1;
    cr_expect_null(lru_find(lru, &key));
    put(lru, 1, 1);
    lru_free(lru);
    lru_free(NULL);
}

Test(lru, of_no_entries_keeps_nothing)
{
    struct lru *lru = lru_new(0, sizeof(uint32_t), sizeof(struct entry));
    uint32_t key = 1;

    cr_expect_null(lru_add(lru, &key));
    cr_expect_null(lru_find(lru, &key));
    cr_expect_null(lru_oldest(lru));
    cr_expect_eq(lru_count(lru), 0);
    lru_reset(lru);
    lru_free(lru);
}

/* A plain array in the order of age, the oldest first. */
struct model {
    struct entry entries[64];
    size_t count;
};

static size_t
model_find(const struct model *model, uint32_t key)
{
    size_t at = 0;

    while (at < model->count && model->entries[at].key != key)
        at++;
    return at;
}

static void
model_remove(struct model *model, size_t at)
{
    memmove(&model->entries[at], &model->entries[at + 1],
            (--model->count - at) * sizeof(model->entries[0]));
}

static void
agree(struct lru *lru, const struct model *model)
{
    struct entry *oldest = lru_oldest(lru);

    cr_assert_eq(lru_count(lru), model->count);
    cr_assert_eq(oldest == NULL, model->count == 0);
    if (oldest)
        cr_assert_eq(oldest->key, model->entries[0].key);
    for (size_t i = 0; i < model->count; i++) {
        struct entry *entry = lru_find(lru, &model->entries[i].key);

        cr_assert_not_null(entry);
        cr_assert_eq(entry->value, model->entries[i].value);
    }
}

Test(lru, agrees_with_a_naive_model)
{
    static const size_t sizes[] = { 1, 2, 7, 64 };

    srand(1);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct lru *lru =
            lru_new(sizes[i], sizeof(uint32_t), sizeof(struct entry));
        struct model model = { .count = 0 };

        for (uint32_t step = 0; step < 20000; step++) {
            uint32_t key = (uint32_t)rand() % 100;
            struct entry *entry = lru_find(lru, &key);
            size_t at = model_find(&model, key);

            cr_assert_eq(entry == NULL, at == model.count);
            if (!entry) {
                put(lru, key, step);
                if (model.count == sizes[i])
                    model_remove(&model, 0);
                model.entries[model.count++] = (struct entry){ key, step };
            } else if (rand() % 3) {
                struct entry kept = model.entries[at];

                lru_touch(lru, entry);
                model_remove(&model, at);
                model.entries[model.count++] = kept;
            } else {
                lru_remove(lru, entry);
                model_remove(&model, at);
            }
            agree(lru, &model);
        }
        lru_free(lru);
    }
}
