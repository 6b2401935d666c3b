/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world.h"

#define NEVER   INT64_MAX
#define IDLE_MS 600000
#define BYE_MS  2000 /* for the last reports of one that drains */

bool
worker_is_awake(const struct world *world, const struct worker *worker)
{
    return worker->is_alive && world->now_ms >= worker->frozen_ms;
}

/* From the last thing that the broker has certainly heard, however late the lease
 * itself was read. */
static bool
is_over(const struct world *world, const struct worker *worker,
        const struct slip *slip)
{
    int64_t from_ms =
        worker->trusted_ms != 0 ? worker->trusted_ms : slip->since_ms;

    return world->now_ms >= from_ms + slip->length_ms ||
           (world->now_ms >= slip->end_ms && !slip->is_hung);
}

/* True if an end of the same request was reported, and not confirmed: another
 * call may be needless. */
static bool
has_result(const struct worker *worker, int64_t request)
{
    for (size_t i = 0; i < worker->slip_count; i++) {
        if (worker->slips[i].request == request &&
            worker->slips[i].state == SLIP_REPORTED) {
            return true;
        }
    }
    return false;
}

bool
workers_have_told(const struct world *world, int64_t request)
{
    for (int i = 0; i < WORLD_WORKERS; i++) {
        const struct worker *worker = &world->workers[i];

        if (worker->is_alive && worker->link.to_broker.count > 0 &&
            has_result(worker, request)) {
            return true;
        }
    }
    return false;
}

/* Some texts are the end of whoever sends them. */
static void
be_poisoned(struct world *world, struct worker *worker, const struct slip *slip)
{
    char text[32];

    if (world->poison < 0 || world->is_calm || worker->doom_ms != 0)
        return;
    (void)snprintf(text, sizeof(text), "\"text %d\"", world->poison);
    if (!strstr(slip->body, text))
        return;
    world->tally.poisonings++;
    worker->doom_ms = world->now_ms + dice_between(&world->dice, 1, 1000);
}

static void
start_calls(struct world *world, struct worker *worker)
{
    for (size_t i = 0; i < worker->slip_count; i++) {
        struct slip *slip = &worker->slips[i];

        if (slip->state != SLIP_WAITING || has_result(worker, slip->request) ||
            is_over(world, worker, slip)) {
            continue;
        }
        if (slips_running(worker) >= worker->slots || !worker->is_welcome ||
            worker->is_draining || world->now_ms < worker->start_ms) {
            return;
        }
        if (world->now_ms + slip->timeout_ms > slip->end_ms) {
            worker_give_back(world, worker, slip);
            i--;
            continue;
        }
        slip->state = SLIP_RUNNING;
        slip->is_at_upstream = true;
        slip->fate = weather_answer(world, slip);
        wire_say(world, &worker->link, (struct slice){ 0 },
                 "{'verb':'started','held':[[%lld,%lld]]}",
                 (long long)slip->request, (long long)slip->fence);
        world->in_flight++;
        world->tally.calls++;
        world_tell(world, "worker %d: calls request %lld",
                   (int)(worker - world->workers), (long long)slip->request);
        judge_call(world, slip->request);
        be_poisoned(world, worker, slip);
        worker->is_unlucky |= !world->is_calm && dice_once_in(&world->dice, 25);
    }
}

void
worker_drain(struct world *world, struct worker *worker, bool is_told)
{
    if (worker->is_draining)
        return;
    world->tally.workers_drained++;
    world_tell(world, "worker %d drains", (int)(worker - world->workers));
    worker->is_draining = true;
    worker->drain_ms =
        is_told ? NEVER - BYE_MS : world->now_ms + world->conf.drain_ms;
    for (size_t i = worker->slip_count; i > 0; i--) {
        if (worker->slips[i - 1].state == SLIP_WAITING)
            worker_give_back(world, worker, &worker->slips[i - 1]);
    }
}

/* It goes when all has ended and was confirmed. What runs for too long it cuts
 * off, and does not wait for ever to be heard. */
static void
end_drain(struct world *world, struct worker *worker)
{
    int64_t now_ms = world->now_ms;

    if (!worker->is_draining)
        return;
    for (size_t i = 0; i < worker->slip_count; i++) {
        struct slip *slip = &worker->slips[i];

        if (slip->state == SLIP_RUNNING && now_ms >= worker->drain_ms) {
            slip->fate.class_name = "aborted";
            slip->fate.http_status = 0;
            slip->fate.wait_ms = 0;
            worker_say_end(world, worker, slip);
        }
    }
    if (worker->slip_count > 0 && now_ms < worker->drain_ms + BYE_MS)
        return;
    /* An event is posted again: it need not be waited for as long as a call. */
    if (hooks_next_ms(worker) != NEVER && now_ms < worker->drain_ms)
        return;
    worker_leave(world, worker);
}

/* In calm, one that holds nothing is not worth waking up for. */
static int64_t
beat_pause_ms(const struct world *world, const struct worker *worker)
{
    return world->is_calm && worker->slip_count == 0 ? IDLE_MS
                                                     : world->conf.heartbeat_ms;
}

/* Both sides know the same of its slots when all that was said was heard. */
static void
check_slots(struct world *world, const struct worker *worker)
{
    /* The next turn asks it again. */
    if (worker->lost_word == worker->word &&
        world->tally.turns <= worker->lost_turn + 1) {
        return;
    }
    if (worker->is_welcome && worker->link.is_up && !worker->must_tell &&
        worker->link.to_broker.count == 0 &&
        worker->link.from_broker.count == 0 && world->outbox.count == 0 &&
        world->stray.count == 0) {
        judge_slots(world, worker->uuid, worker->slots_told);
    }
}

/* When it connects again, or repeats a hello that has no answer. */
static int64_t
next_hello_ms(const struct worker *worker)
{
    if (!worker->link.is_up)
        return worker->back_ms;
    return worker->is_welcome ? NEVER : worker->hello_ms;
}

static void
tick(struct world *world, struct worker *worker)
{
    for (size_t i = worker->slip_count; i > 0; i--) {
        struct slip *slip = &worker->slips[i - 1];

        if (slip->state == SLIP_RUNNING && world->now_ms >= slip->fate.end_ms)
            worker_say_end(world, worker, slip);
        else if (slip->state != SLIP_REPORTED && is_over(world, worker, slip))
            slip_give_up(world, worker, slip);
    }
    if (world->now_ms >= worker->beat_ms) {
        /* A loop that runs reads, too: else it would not list what it has. */
        while (worker->link.from_broker.count)
            worker_read_one(world, worker);
        worker->beat_ms = world->now_ms + beat_pause_ms(world, worker);
        worker_say_beat(world, worker);
    }
    if (world->now_ms >= next_hello_ms(worker)) {
        if (worker->link.is_up)
            worker_say_hello(world, worker);
        else
            worker_hello_again(world, worker);
    }
    hooks_tick(world, worker);
    start_calls(world, worker);
    worker_say_slots(world, worker);
    end_drain(world, worker);
}

void
workers_tick(struct world *world)
{
    for (int i = 0; i < WORLD_WORKERS; i++) {
        struct worker *worker = &world->workers[i];

        if (!worker->is_alive)
            continue;
        if (worker->doom_ms != 0 && world->now_ms >= worker->doom_ms) {
            worker_die(world, worker, !dice_once_in(&world->dice, 3));
            continue;
        }
        /* The upstream goes on, whether somebody reads its answer or not. */
        for (size_t at = 0; at < worker->slip_count; at++) {
            if (world->now_ms >= worker->slips[at].fate.end_ms)
                slip_leave_upstream(world, &worker->slips[at]);
        }
        if (!worker_is_awake(world, worker))
            continue;
        if (!worker->is_liar && world->events % 8 == 0)
            check_slots(world, worker);
        if (world->is_calm) {
            /* The beats that it is spared would have been answered. */
            if (worker->slip_count == 0)
                worker->trusted_ms = world->now_ms;
            while (worker->link.from_broker.count)
                worker_read_one(world, worker);
        }
        if (!worker->is_liar)
            tick(world, worker);
        if (worker->is_unlucky && worker->is_alive)
            worker_cut_off(world, worker);
    }
}

void
workers_reconnect(struct world *world)
{
    for (int i = 0; i < WORLD_WORKERS; i++) {
        struct worker *worker = &world->workers[i];

        if (!worker->is_alive || !worker->link.is_up)
            continue;
        worker_be_unheard(world, worker);
        wire_cut(world, &worker->link);
        worker->is_welcome = false;
        worker->back_ms = world->now_ms + dice_between(&world->dice, 0, 4000);
    }
}

static int64_t
next_ms_of(const struct world *world, const struct worker *worker)
{
    int64_t next_ms = worker->beat_ms;

    if (!worker->is_alive || worker->is_liar)
        return NEVER;
    if (!worker_is_awake(world, worker))
        return worker->frozen_ms;
    if (!worker->link.is_up)
        next_ms = worker->back_ms;
    else if (next_hello_ms(worker) < next_ms)
        next_ms = next_hello_ms(worker);
    if (hooks_next_ms(worker) < next_ms)
        next_ms = hooks_next_ms(worker);
    for (size_t at = 0; at < worker->slip_count; at++) {
        const struct slip *slip = &worker->slips[at];

        if (slip->state == SLIP_RUNNING && slip->fate.end_ms < next_ms)
            next_ms = slip->fate.end_ms;
    }
    return next_ms;
}

int64_t
workers_next_ms(const struct world *world)
{
    int64_t next_ms = NEVER;

    for (int i = 0; i < WORLD_WORKERS; i++) {
        int64_t one_ms = next_ms_of(world, &world->workers[i]);

        if (one_ms < next_ms)
            next_ms = one_ms;
    }
    return next_ms;
}

void
workers_read(struct world *world)
{
    for (int i = 0; i < WORLD_WORKERS; i++) {
        struct worker *worker = &world->workers[i];

        if (!worker_is_awake(world, worker))
            continue;
        for (uint64_t count = dice_roll(&world->dice, 8); count > 0; count--)
            worker_read_one(world, worker);
    }
}

void
workers_free(struct world *world)
{
    for (int i = 0; i < WORLD_WORKERS; i++) {
        while (world->workers[i].slip_count)
            slip_forget(world, &world->workers[i], &world->workers[i].slips[0]);
        free(world->workers[i].slips);
    }
}
