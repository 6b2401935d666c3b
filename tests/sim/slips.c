/* What a worker holds, and how it lets go of it. */
/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world.h"

/* The upstream has answered, or the connection is gone. */
void
slip_leave_upstream(struct world *world, struct slip *slip)
{
    if (slip->is_at_upstream)
        world->in_flight--;
    slip->is_at_upstream = false;
}

struct slip *
slip_find(struct worker *worker, int64_t request, int64_t fence)
{
    for (size_t i = 0; i < worker->slip_count; i++) {
        if (worker->slips[i].request == request &&
            worker->slips[i].fence == fence) {
            return &worker->slips[i];
        }
    }
    return NULL;
}

void
slip_forget(struct world *world, struct worker *worker, struct slip *slip)
{
    size_t at = (size_t)(slip - worker->slips);

    slip_leave_upstream(world, slip);
    free(slip->body);
    buf_fini(&slip->head);
    buf_fini(&slip->reply);
    memmove(slip, slip + 1, (--worker->slip_count - at) * sizeof(*slip));
}

/* A call that was started is given up: another one may be made. */
void
slip_give_up(struct world *world, struct worker *worker, struct slip *slip)
{
    if (slip->state != SLIP_WAITING) {
        judge_cause(world, slip->request);
        judge_loss(world, slip->request);
    }
    slip_forget(world, worker, slip);
}

void
worker_give_up_all(struct world *world, struct worker *worker)
{
    while (worker->slip_count)
        slip_give_up(world, worker, &worker->slips[0]);
    worker->parcel_count = 0;
}

void
worker_leave(struct world *world, struct worker *worker)
{
    wire_say(world, &worker->link, (struct slice){ 0 }, "{'verb':'bye'}");
    while (worker->slip_count) {
        struct slip *slip = &worker->slips[0];

        if (slip->state != SLIP_WAITING) {
            judge_cause(world, slip->request);
            if (worker->left_count == WORLD_LEFT)
                world_fail(world, "a worker had more than %d calls",
                           WORLD_LEFT);
            worker->left[worker->left_count++] = slip->request;
        }
        slip_forget(world, worker, slip);
    }
    worker->parcel_count = 0;
    worker->is_alive = false;
}

void
worker_be_unheard(struct world *world, const struct worker *worker)
{
    for (size_t i = 0; i < worker->slip_count; i++) {
        if (worker->slips[i].state != SLIP_WAITING)
            judge_loss(world, worker->slips[i].request);
    }
}

void
worker_lose_slip(struct world *world, struct worker *worker, size_t nth)
{
    struct slip *slip = &worker->slips[nth];

    if (slip->state == SLIP_REPORTED || worker->gone_request != 0)
        return;
    world->tally.slips_lost++;
    worker->gone_request = slip->request;
    worker->gone_fence = slip->fence;
    worker->gone_beats = 0;
    world_tell(world, "worker %d forgets request %lld",
               (int)(worker - world->workers), (long long)slip->request);
    slip_give_up(world, worker, slip);
}

int64_t
slips_running(const struct worker *worker)
{
    int64_t count = 0;

    for (size_t i = 0; i < worker->slip_count; i++)
        count += worker->slips[i].state == SLIP_RUNNING;
    return count;
}

int64_t
slips_kept(const struct worker *worker)
{
    int64_t count = slips_running(worker);

    return count > worker->slots ? count : worker->slots;
}
