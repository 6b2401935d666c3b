/* SPDX-License-Identifier: MIT */
#include "queue/recipe.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/lru.h"
#include "base/mem.h"

struct recipes {
    struct lru *lru;       /* of struct recipe, by their batch */
    struct recipe *latest; /* that was asked for; NULL: none */
};

int
recipe_read(struct recipe *recipe, const struct conf *conf, struct slice text,
            struct line_fault *fault)
{
    buf_add_slice(&recipe->text, text);
    return line_read_options(&recipe->options, conf, buf_slice(&recipe->text),
                             fault);
}

void
recipe_fini(struct recipe *recipe)
{
    buf_fini(&recipe->text);
    line_fini(&recipe->options);
    prompt_fini(&recipe->prompt);
}

struct recipes *
recipes_new(void)
{
    struct recipes *recipes = mem_zalloc(1, sizeof(*recipes));

    static_assert(offsetof(struct recipe, batch) == 0, "the key comes first");
    recipes->lru =
        lru_new(RECIPES_MAX, sizeof(uint64_t), sizeof(struct recipe));
    return recipes;
}

static void
forget(struct recipes *recipes, struct recipe *recipe)
{
    if (recipes->latest == recipe)
        recipes->latest = NULL;
    recipe_fini(recipe);
    lru_remove(recipes->lru, recipe);
}

void
recipes_reset(struct recipes *recipes)
{
    struct recipe *recipe;

    while ((recipe = lru_oldest(recipes->lru)))
        forget(recipes, recipe);
}

void
recipes_free(struct recipes *recipes)
{
    if (!recipes)
        return;
    recipes_reset(recipes);
    lru_free(recipes->lru);
    free(recipes);
}

/* One at a time may be as large as its drafts make it. */
static void
set_latest(struct recipes *recipes, struct recipe *recipe)
{
    struct recipe *before = recipes->latest;

    if (before && before != recipe &&
        before->prompt.body.capacity > RECIPE_KEEP_BYTES_MAX) {
        prompt_fini(&before->prompt);
    }
    recipes->latest = recipe;
}

struct recipe *
recipes_find(struct recipes *recipes, uint64_t batch)
{
    struct recipe *recipe = recipes->latest;

    if (recipe && recipe->batch == batch)
        return recipe;
    recipe = lru_find(recipes->lru, &batch);
    if (!recipe)
        return NULL;
    lru_touch(recipes->lru, recipe);
    set_latest(recipes, recipe);
    return recipe;
}

struct recipe *
recipes_read(struct recipes *recipes, const struct conf *conf, uint64_t batch,
             struct slice text, struct line_fault *fault)
{
    struct recipe *recipe = recipes_find(recipes, batch);

    if (recipe && slice_equal(buf_slice(&recipe->text), text))
        return recipe;
    if (recipe)
        forget(recipes, recipe);
    else if (lru_count(recipes->lru) == RECIPES_MAX)
        forget(recipes, lru_oldest(recipes->lru));
    recipe = lru_add(recipes->lru, &batch);
    if (recipe_read(recipe, conf, text, fault) < 0) {
        forget(recipes, recipe);
        return NULL;
    }
    set_latest(recipes, recipe);
    return recipe;
}
