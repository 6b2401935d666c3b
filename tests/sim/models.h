/*
 * models.h - models that drafts name, and the default of those that name none
 *
 * Brokers are started with another default, now and then, while drafts wait that
 * name none, and have joined such as name the one before. A draft that names a
 * model is answered by that; any other by a default that was in force since its
 * batch was opened.
 *
 * Chance comes from dice of its own: all else of a history stays as it is. Busy
 * days keep their default, as a change of it says nothing of fairness.
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SIM_MODELS_H
#define TESTS_SIM_MODELS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "store/result.h"
#include "tests/sim/dice.h"

#define MODEL_BYTES 16 /* of a name and its NUL */

struct world;

/* A broker that was started. */
struct model_start {
    uint64_t opened; /* the newest batch before it */
    int model;       /* its default */
};

struct models {
    struct dice dice;
    struct model_start *starts;
    size_t start_count;
};

void models_begin(struct world *world);
void models_free(struct world *world);

/* The next broker is about to start: with another default, perhaps. */
void models_change(struct world *world);

/* A line of a chunk names one, perhaps. */
void models_add(struct world *world, struct buf *line);

/* The model that a body is for; "" if it has none. */
void models_of(const char *body, char name[MODEL_BYTES]);

/* A result is stored: it is of the model that its draft asked for. */
void models_check(struct world *world, const struct result_row *row);

#endif
