/* SPDX-License-Identifier: MIT */
#include "tests/sim/models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "tests/sim/world.h"

#define CHANGE_EVERY 3 /* starts: one of them has another default */
#define NAMED_EVERY  4 /* lines: one of them names a model */

static const char *const names[] = { "m", "n", "o" };
#define NAMES (sizeof(names) / sizeof(names[0]))

void
models_begin(struct world *world)
{
    world->models.dice.state = digest_xxh(&world->seed, sizeof(world->seed), 3);
}

void
models_free(struct world *world)
{
    free(world->models.starts);
}

/* The first one is the one that load_conf() has set. */
void
models_change(struct world *world)
{
    struct models *models = &world->models;
    size_t count = models->start_count;
    int model = count ? models->starts[count - 1].model : 0;

    if (count > 0 && !world->is_busy &&
        dice_once_in(&models->dice, CHANGE_EVERY)) {
        model = (int)dice_roll(&models->dice, NAMES);
        for (size_t i = 0; i < world->conf.upstream_count; i++) {
            free(world->conf.upstreams[i].model);
            world->conf.upstreams[i].model = mem_dup_str(names[model]);
        }
        ahead_forget(world->ahead);
        world->tally.models_changed++;
        world_tell(world, "the default model is %s", names[model]);
    }
    models->starts =
        mem_grow(models->starts, count + 1, sizeof(models->starts[0]));
    models->starts[models->start_count++] =
        (struct model_start){ world->judge.opened, model };
}

void
models_add(struct world *world, struct buf *line)
{
    struct dice *dice = &world->models.dice;

    if (dice_once_in(dice, NAMED_EVERY))
        buf_addf(line, ",\"model\":\"%s\"", names[dice_roll(dice, NAMES)]);
}

void
models_of(const char *body, char name[MODEL_BYTES])
{
    const char *at = strstr(body, "\"model\":\"");

    *name = '\0';
    if (at)
        (void)sscanf(at, "\"model\":\"%15[^\"]", name);
}

/* True if it was a default at some time since a batch was opened. */
static bool
was_default(const struct models *models, uint64_t batch, const char *name)
{
    for (size_t i = models->start_count; i-- > 0;) {
        if (strcmp(names[models->starts[i].model], name) == 0)
            return true;
        if (models->starts[i].opened < batch)
            break;
    }
    return false;
}

/* Lines of files ask for no model: they are sent as they came. */
static bool
may_be(const struct models *models, const struct draft *draft, const char *line,
       const char *model)
{
    char named[MODEL_BYTES];

    if (strstr(line, "\"custom_id\""))
        return *model == '\0';
    models_of(line, named);
    return *named ? strcmp(named, model) == 0
                  : was_default(models, draft->batch, model);
}

void
models_check(struct world *world, const struct result_row *row)
{
    const struct draft *draft = &row->draft;
    struct buf line = { 0 }, model = { 0 };

    if (world->is_busy || draft->status != STATUS_OK || !row->has_outcome)
        return;
    buf_add_slice(&line, row->line);
    buf_add_slice(&model, row->outcome.model);
    buf_add_char(&model, '\0');
    if (!may_be(&world->models, draft, line.data, model.data)) {
        world_fail(world, "draft %llu/%u is answered by the model \"%s\": %s",
                   (unsigned long long)draft->batch, draft->index, model.data,
                   line.data);
    }
    buf_fini(&line);
    buf_fini(&model);
}
