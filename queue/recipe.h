/*
 * recipe.h - how the drafts of a batch become requests
 *
 * The options of a batch never change after it was opened. They are read once
 * and kept beside a composer of their own, for as many batches as are at work
 * together: so drafts of batches that take turns find them as they were left.
 *
 * Pure: no clock, no store. Threads: none; each loop has recipes of its own.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_RECIPE_H
#define QUEUE_RECIPE_H

#include <stdint.h>

#include "queue/line.h"
#include "queue/prompt.h"
#include "store/parts.h"

#define RECIPES_MAX           16
#define RECIPE_KEEP_BYTES_MAX 65536 /* a larger composer is emptied at rest */

struct recipe {
    uint64_t batch;           /* whose it is; 0: nobody's */
    struct buf text;          /* its options, as they came */
    struct line options;      /* the same, read; borrows the text */
    struct prompt prompt;     /* composes drafts with them */
    struct parts_trial trial; /* whether its lines get shorter */
};

/* Reads options into a zeroed recipe. E_INVALID with *fault. recipe_fini() in
 * any case. conf as for line_read_options(), here and below. */
int recipe_read(struct recipe *recipe, const struct conf *conf,
                struct slice text, struct line_fault *fault)
    __attribute__((warn_unused_result));
void recipe_fini(struct recipe *recipe);

struct recipes;

/* Room for the recipes of RECIPES_MAX batches; those that were used last are
 * kept. */
struct recipes *recipes_new(void);
void recipes_free(struct recipes *recipes);

/* Forgets them all. */
void recipes_reset(struct recipes *recipes);

/* The recipe of a batch, or NULL. Borrowed until the next recipe is read. */
struct recipe *recipes_find(struct recipes *recipes, uint64_t batch);

/* The same with options that are at hand: they are read if the batch has no
 * recipe, or one of another text. NULL with *fault: they cannot be. */
struct recipe *recipes_read(struct recipes *recipes, const struct conf *conf,
                            uint64_t batch, struct slice text,
                            struct line_fault *fault);

#endif
