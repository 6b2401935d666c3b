/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "tests/sim/fair.h"

/* True if a request certainly finds where to go. */
static bool
is_free(const struct fair *fair, const struct request *request)
{
    if (request->flags & REQUEST_SUSPECT)
        return false;
    if (strcmp(request->route, "local") == 0)
        return true;
    for (int i = 0; i < WORLD_UPSTREAMS; i++) {
        if (strstr(request->route, weather_names[i]) && !fair->is_troubled[i])
            return true;
    }
    return false;
}

/* Looks for something ready, and for something that certainly may be leased. */
static void
look_for_work(struct world *world, struct fair *fair, struct stand *stand)
{
    bool is_held =
        world->now_ms < fair->placed_ms + world->conf.group_window_ms;
    struct place place = { 0 };
    struct request request;

    while (!stand->is_ready &&
           store_ready_next(world->store, stand->batch, &place) == 0 &&
           store_ready_peek(world->store, stand->batch, place, &request) == 0) {
        stand->may_give = true;
        fair->has_suspect |= (request.flags & REQUEST_SUSPECT) != 0;
        stand->is_ready =
            !is_held && stand->is_sealed && is_free(fair, &request);
        place.group++;
    }
}

/* As SCHEDULER.md has it. */
static unsigned
class_of(const struct world *world, const struct stand *stand,
         unsigned priority)
{
    int64_t class = priority;

    if (world->now_ms > stand->since_ms)
        class += (world->now_ms - stand->since_ms) / world->conf.age_ms;
    return class < SCHEDULE_CLASSES ? (unsigned)class : SCHEDULE_CLASSES - 1;
}

static void
look_at(struct world *world, struct fair *fair, struct stand *stand)
{
    bool was_ready = stand->is_ready, was_sealed = stand->is_sealed;
    bool was_live = stand->is_live;
    unsigned class = stand->class;
    struct batch batch;

    stand->may_give = stand->is_ready = stand->was_ready = false;
    stand->is_live = stand->batch != 0 &&
                     store_batch_get(world->store, stand->batch, &batch) == 0 &&
                     batch_is_live(&batch);
    if (!stand->is_live)
        return;
    stand->is_sealed = batch.sealed_ms > 0;
    stand->since_ms = batch.sealed_ms > 0 ? batch.sealed_ms : batch.created_ms;
    if (batch.not_before_ms > stand->since_ms)
        stand->since_ms = batch.not_before_ms;
    stand->class = class_of(world, stand, batch.priority);
    if (judge_may_start(world, &batch))
        look_for_work(world, fair, stand);
    stand->was_ready = was_ready && was_sealed && stand->class == class;
    stand->member.is_rising |= was_live && stand->class > class;
}

void
stands_look(struct world *world, struct fair *fair)
{
    fair->has_suspect = fair->has_chosen = false;
    for (int i = 0; i < world->plan_count; i++) {
        const struct plan *plan = &world->plans[i];
        struct stand *stand = &fair->stands[i];

        look_at(world, fair, stand);
        stand->client = plan->client;
        stand->member.weight = 1;
        stand->member.is_waiting = stand->is_ready;
        stand->member.is_steady = stand->was_ready && stand->is_ready;
        stand->member.is_shaken = stand->member.has_risen = false;
    }
    for (int c = 0; c < SCHEDULE_CLASSES; c++) {
        for (int k = 0; k < world->client_count; k++) {
            struct member *seat = &fair->seats[c][k];

            seat->weight = world->is_busy ? world->conf.clients[k].weight : 1;
            seat->is_waiting = seat->is_steady = seat->is_shaken = false;
            seat->is_rising = true; /* unless one of its batches is there */
            seat->has_risen = false;
        }
    }
    for (int i = 0; i < world->plan_count; i++) {
        const struct stand *stand = &fair->stands[i];
        struct member *seat = ledger_seat(fair, stand);

        if (stand->is_ready) {
            seat->is_waiting = true;
            seat->is_steady |= stand->was_ready;
            seat->is_rising &= stand->member.is_rising;
        }
    }
}
