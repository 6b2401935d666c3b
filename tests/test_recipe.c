/* SPDX-License-Identifier: MIT */
#include "queue/recipe.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(recipe, .timeout = 30);

#define GOAL "{\"goal\":\"Summarize\"}"

static struct conf conf;
static struct recipes *recipes;
static struct line_fault fault;

static void
set_up(void)
{
    conf_init(&conf);
    recipes = recipes_new();
}

static void
tear_down(void)
{
    recipes_free(recipes);
    conf_fini(&conf);
}

static struct recipe *
read_recipe(uint64_t batch, const char *text)
{
    return recipes_read(recipes, &conf, batch, slice_of(text), &fault);
}

/* Composes a draft whose text has so many bytes. */
static void
compose(struct recipe *recipe, size_t bytes)
{
    struct line line = { 0 };
    struct buf draft = { 0 };

    buf_add_str(&draft, "{\"id\":\"a\",\"text\":\"");
    for (size_t i = 0; i < bytes; i++)
        buf_add_char(&draft, 'x');
    buf_add_str(&draft, "\"}");
    cr_assert_eq(line_read(&line, &conf, buf_slice(&draft), &fault), 0);
    cr_assert_eq(
        prompt_make(&recipe->prompt, &line, &recipe->options, &conf, &fault),
        0);
    line_fini(&line);
    buf_fini(&draft);
}

Test(recipe, keeps_those_of_batches_that_take_turns, .init = set_up,
     .fini = tear_down)
{
    struct recipe *found[RECIPES_MAX];

    for (uint64_t i = 0; i < RECIPES_MAX; i++) {
        found[i] = read_recipe(i + 1, GOAL);
        cr_assert_not_null(found[i]);
        compose(found[i], 10);
    }
    for (uint64_t i = 0; i < RECIPES_MAX; i++) {
        cr_assert_eq(recipes_find(recipes, i + 1), found[i]);
        cr_expect_gt(found[i]->prompt.body.bytes, 0, "it is as it was left");
    }
}

Test(recipe, of_the_batch_that_was_used_least_lately_goes, .init = set_up,
     .fini = tear_down)
{
    for (uint64_t i = 0; i < RECIPES_MAX; i++)
        cr_assert_not_null(read_recipe(i + 1, GOAL));
    cr_assert_not_null(recipes_find(recipes, 1));
    cr_assert_not_null(read_recipe(100, GOAL));
    cr_expect_not_null(recipes_find(recipes, 1));
    cr_expect_null(recipes_find(recipes, 2));
    cr_expect_not_null(recipes_find(recipes, 3));
    cr_expect_not_null(recipes_find(recipes, 100));
}

/* A transaction that was rolled back may have given its number to another. */
Test(recipe, is_read_anew_when_the_text_is_another, .init = set_up,
     .fini = tear_down)
{
    struct recipe *recipe = read_recipe(1, GOAL);
    struct slice goal;

    cr_assert_eq(read_recipe(1, GOAL), recipe);
    recipe = read_recipe(1, "{\"goal\":\"Translate\"}");
    cr_assert_not_null(recipe);
    goal = line_field(&recipe->options, &recipe->options, LINE_GOAL);
    cr_expect(slice_is(goal, "\"Translate\""), "got %.*s", (int)goal.bytes,
              goal.data);
}

Test(recipe, that_cannot_be_read_is_none, .init = set_up, .fini = tear_down)
{
    cr_expect_null(read_recipe(1, "{\"id\":\"a\"}"));
    cr_expect_str_eq(fault.code, "unknown_field");
    cr_expect_null(recipes_find(recipes, 1));
    cr_expect_not_null(read_recipe(1, ""));
}

Test(recipe, of_large_drafts_is_emptied_when_another_is_used, .init = set_up,
     .fini = tear_down)
{
    struct recipe *small = read_recipe(1, GOAL), *large = read_recipe(2, GOAL);

    compose(small, 10);
    compose(large, RECIPE_KEEP_BYTES_MAX);
    cr_assert_eq(recipes_find(recipes, 2), large);
    cr_expect_gt(large->prompt.body.bytes, RECIPE_KEEP_BYTES_MAX);
    cr_assert_eq(recipes_find(recipes, 1), small);
    cr_expect_eq(large->prompt.body.capacity, 0);
    cr_expect_gt(small->prompt.body.bytes, 0);
    compose(large, 10);
    cr_expect_gt(large->prompt.body.bytes, 0, "it is of use again");
}

Test(recipe, are_all_forgotten_at_once, .init = set_up, .fini = tear_down)
{
    cr_assert_not_null(read_recipe(1, GOAL));
    cr_assert_not_null(read_recipe(2, GOAL));
    recipes_reset(recipes);
    cr_expect_null(recipes_find(recipes, 1));
    cr_expect_null(recipes_find(recipes, 2));
}
