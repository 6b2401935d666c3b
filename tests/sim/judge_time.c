/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "queue/window.h"
#include "tests/sim/fair.h"
#include "tests/sim/world.h"

/* As clients.c opens them. */
#define PLAN_LATER_MS    INT64_C(1800000020000)
#define PLAN_DEADLINE_MS INT64_C(1800000060000)
#define PLAN_WINDOW      "sat,sun 00:00-24:00"
enum { PLAN_IN_WINDOW = 2, PLAN_LATER, PLAN_WITH_DEADLINE };

const struct plan *
judge_plan(struct world *world, uint64_t batch)
{
    struct spec spec;

    if (store_spec_get(world->store, batch, &spec) < 0)
        world_fail(world, "batch %llu has no spec", (unsigned long long)batch);
    return &world->plans[spec.key.data[0] - '0'];
}

/* The terms that a batch was opened with. */
static int
terms_of(struct world *world, uint64_t batch)
{
    const struct plan *plan = judge_plan(world, batch);

    return plan->has_terms ? plan->number : 0;
}

void
judge_opened(struct world *world)
{
    struct batch batch = { .id = world->judge.opened };

    while (store_batch_after(world->store, batch.id, &batch) == 0) {
        judge_batch(world, batch.id)->times =
            (struct seen_times){ .ahead_ms = world->settled_ms,
                                 .created_ms = world->now_ms };
        world->judge.opened = batch.id;
        judge_fair_opened(world, batch.id);
    }
}

void
judge_started(struct world *world)
{
    struct judge *judge = &world->judge;

    /* Over a boot, what no commit has seen of the time is forgotten. */
    for (size_t i = 0; i < judge->start_count; i++) {
        if (judge->starts[i] > world->now_ms)
            judge->starts[i] = world->now_ms;
    }
    judge->starts = mem_grow(judge->starts, judge->start_count + 1,
                             sizeof(judge->starts[0]));
    judge->starts[judge->start_count++] = world->now_ms;
    judge_fair_started(world);
}

/* Until when it lasts at least. What has run out at a start gets a grace, which is
 * written down when the loop turns for the first time; perhaps it never did. */
static int64_t
end_of(const struct world *world, int64_t from_ms, int64_t length_ms)
{
    const struct judge *judge = &world->judge;
    int64_t end_ms = from_ms + length_ms, best_ms;
    int64_t grace_ms = world->conf.start_grace_ms;
    int64_t start_ms = judge->starts[judge->start_count - 1];

    if (end_ms > start_ms || from_ms > start_ms)
        return end_ms;
    if (grace_ms > length_ms)
        grace_ms = length_ms;
    best_ms = start_ms + grace_ms;
    for (size_t i = 0; i < judge->start_count; i++) {
        int64_t granted_ms = judge->starts[i] + grace_ms;

        if (judge->starts[i] >= end_ms && granted_ms > start_ms &&
            granted_ms < best_ms) {
            best_ms = granted_ms;
        }
    }
    return best_ms;
}

static void
check_end(struct world *world, uint64_t batch, const char *what,
          int64_t from_ms, int64_t length_ms)
{
    int64_t end_ms = end_of(world, from_ms, length_ms);

    if (world->now_ms < end_ms) {
        world_fail(world, "batch %llu is %s %lld ms too early",
                   (unsigned long long)batch, what,
                   (long long)(end_ms - world->now_ms));
    }
}

static void
note_sealed(struct world *world, uint64_t batch, struct seen_times *times,
            bool is_first)
{
    times->sealed_ms = world->now_ms;
    if (!is_first) /* with a deadline as long as the first */
        return;
    times->life_ms = world->conf.deadline_ms;
    if (filer_round_of(world, batch)) /* it counts from when it was opened */
        times->life_ms -= world->now_ms - times->created_ms;
    else if (terms_of(world, batch) == PLAN_LATER &&
             PLAN_LATER_MS - times->ahead_ms > world->now_ms)
        times->life_ms += PLAN_LATER_MS - times->ahead_ms - world->now_ms;
    if (terms_of(world, batch) == PLAN_WITH_DEADLINE) {
        times->life_ms = PLAN_DEADLINE_MS - times->ahead_ms - world->now_ms;
        if (times->life_ms < 0) /* it had passed when it was sealed */
            times->life_ms = 0;
    }
}

/* True if a client has asked for what happens to a batch. */
static bool
was_asked(const struct world *world, const struct plan *plan, bool is_purge)
{
    return is_purge ? plan->was_purged || world->conf.results_ttl_ms == 0
                    : plan->may_vanish;
}

void
judge_moved(struct world *world, uint64_t batch, enum batch_state from,
            enum batch_state to)
{
    struct seen_times *times = &judge_batch(world, batch)->times;
    const struct plan *plan = judge_plan(world, batch);

    if (to == BATCH_SEALED && from != BATCH_PAUSED)
        note_sealed(world, batch, times, from == BATCH_OPEN);
    judge_filed(world, batch, to);
    if (to == BATCH_FINISHED || to == BATCH_CANCELLED || to == BATCH_EXPIRED ||
        to == BATCH_FAILED)
        times->ended_ms = world->now_ms;
    if (to == BATCH_EXPIRED) {
        check_end(world, batch, "expired", times->sealed_ms, times->life_ms);
    } else if (to == BATCH_ABANDONED && !was_asked(world, plan, false)) {
        check_end(world, batch, "abandoned", times->created_ms,
                  world->conf.open_ttl_ms);
    } else if (to == BATCH_PURGED && from != BATCH_ABANDONED &&
               !was_asked(world, plan, true)) {
        check_end(world, batch, "purged", times->ended_ms,
                  world->conf.results_ttl_ms);
    }
}

static bool
is_open_now(struct world *world)
{
    struct judge *judge = &world->judge;
    int64_t wall_ms = world->now_ms + world->settled_ms;

    if (!judge->window &&
        window_parse(PLAN_WINDOW, "UTC", &judge->window, NULL) < 0) {
        world_fail(world, "the window cannot be read");
    }
    return window_is_open(judge->window, wall_ms > 0 ? wall_ms : 1);
}

bool
judge_may_start(struct world *world, const struct batch *batch)
{
    int terms = terms_of(world, batch->id);

    if (!batch_may_run(batch))
        return false;
    if (terms == PLAN_LATER &&
        world->now_ms <
            PLAN_LATER_MS - judge_batch(world, batch->id)->times.ahead_ms) {
        return false;
    }
    return terms != PLAN_IN_WINDOW || is_open_now(world);
}

static bool
wants(struct world *world, const struct batch *batch, uint64_t request)
{
    struct draft draft;

    for (uint32_t i = 0; i < batch->draft_count; i++) {
        if (store_draft_get(world->store, batch->id, i, &draft) == 0 &&
            draft.request == request &&
            (draft.status == STATUS_NONE || draft.is_retrying)) {
            return true;
        }
    }
    return false;
}

void
judge_start(struct world *world, uint64_t request)
{
    struct batch batch = { 0 };

    while (store_batch_after(world->store, batch.id, &batch) == 0) {
        if (batch_is_live(&batch) && judge_may_start(world, &batch) &&
            wants(world, &batch, request)) {
            return;
        }
    }
    world_fail(world, "request %llu is leased, and no batch may start it",
               (unsigned long long)request);
}
