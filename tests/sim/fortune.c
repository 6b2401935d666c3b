/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <uuid/uuid.h>

#include "tests/sim/world.h"
#include "tests/turns.h"

static void
be_born(struct world *world, struct worker *worker)
{
    struct wire_link link = worker->link;

    /* The last words of the one before it may be lost now. */
    for (size_t i = 0; link.to_broker.count > 0 && i < worker->left_count; i++)
        judge_loss(world, worker->left[i]);
    free(worker->slips);
    *worker = (struct worker){ .link = link };
    worker->is_alive = true;
    worker->capacity = (uint32_t)dice_between(&world->dice, 1, 6);
    worker->is_liar = !world->is_calm && dice_once_in(&world->dice, 8);
    worker->is_own = !worker->is_liar && dice_once_in(&world->dice, 2);
    (void)snprintf(worker->uuid, sizeof(worker->uuid),
                   "%08x-0000-4000-8000-000000000000", ++world->peers);
    world->tally.workers_new++;
    world_tell(world, "worker %d starts%s", (int)(worker - world->workers),
               worker->is_liar ? ", and lies" : "");
    worker_hello_again(world, worker);
}

/* What it has reported, and is not confirmed, is in its last words as well, whether
 * it has arrived or not. */
static void
say_last(struct world *world, const struct worker *worker, const uuid_t id)
{
    struct fold words = { 0 };
    struct buf head = { 0 };

    for (size_t i = 0; worker->is_welcome && i < worker->slip_count; i++) {
        const struct slip *slip = &worker->slips[i];
        struct mail mail = { .peer = worker->link.peer, .side = SIDE_WORKERS };

        if (slip->state != SLIP_REPORTED || worker->is_liar || world->is_busy)
            continue;
        buf_add_slice(&mail.head, buf_slice(&slip->head));
        for (char *at = mail.head.data; *at; at++) {
            if (*at == '\'')
                *at = '"';
        }
        judge_expect(world, &mail);
        fold_add(&words, buf_slice(&mail.head), buf_slice(&slip->reply));
        buf_fini(&mail.head);
        world->tally.last_words++;
    }
    if (words.count > 0) {
        fold_print(&words, &head);
        broker_last_words(world->broker, id, buf_slice(&head),
                          buf_slice(&words.body), world->now_ms);
    }
    buf_fini(&head);
    fold_fini(&words);
}

static void
die_unseen(struct world *world, struct worker *worker)
{
    worker_give_up_all(world, worker);
    worker->is_alive = false;
    world->tally.workers_unseen++;
}

void
worker_die(struct world *world, struct worker *worker, bool is_seen)
{
    struct err err = { 0 };
    uuid_t id;

    world_tell(world, "worker %d dies%s", (int)(worker - world->workers),
               is_seen ? "" : ", unseen");
    wire_cut(world, &worker->link);
    if (!is_seen) {
        die_unseen(world, worker);
        return;
    }
    world->tally.workers_killed++;
    if (uuid_parse(worker->uuid, id) != 0 ||
        store_begin(world->store, world->now_ms, &err) < 0) {
        world_fail(world, "a death cannot be told: %s", err.msg);
    }
    clocks_read(world);
    say_last(world, worker, id);
    worker_give_up_all(world, worker);
    worker->is_alive = false;
    broker_worker_died(world->broker, id, world->now_ms);
    if (store_commit(world->store, &err) < 0)
        world_fail(world, "commit: %s", err.msg);
    clocks_note_commit(world);
    judge_commit(world);
    shell_settle(world);
}

static void
lie(struct world *world, struct worker *liar)
{
    struct dice *dice = &world->dice;
    int request = (int)dice_between(dice, 1, 20);
    int fence = (int)dice_between(dice, 0, 3);
    bool is_beat = dice_once_in(dice, 2);

    world->tally.lies++;
    switch (dice_roll(dice, 5)) {
    case 0:
        wire_say(world, &liar->link, (struct slice){ 0 },
                 "{'verb':'%s','held':[[%d,%d%s]]}",
                 is_beat ? "beat" : "started", request, fence,
                 is_beat ? ",1" : "");
        judge_loss(world, request);
        break;
    case 1:
        wire_say(world, &liar->link, (struct slice){ 0 },
                 "{'verb':'slots','count':%d}", (int)dice_roll(dice, 9));
        break;
    case 2:
        wire_say(world, &liar->link, (struct slice){ 0 },
                 "{'verb':'release','held':[[%d,%d]]}", request, fence);
        break;
    case 3:
        wire_say(world, &liar->link, (struct slice){ 0 },
                 "{'verb':'result','request':%d,'fence':%d,'class':'%s',"
                 "'http_status':%d,'sent':1,'wait_ms':%d}",
                 request, fence,
                 dice_once_in(dice, 2) ? "retryable" : "throttled",
                 (int)dice_roll(dice, 600), (int)dice_roll(dice, 5000));
        judge_lied(world, request);
        judge_cause(world, request);
        judge_report(world, request);
        break;
    default:
        worker_hello_again(world, liar);
    }
}

/* For so long that what it calls may be called again. What hangs ends: of calls
 * that outlast their time-out, a broker cannot know once their worker is gone. */
static void
fall_silent(struct world *world, struct worker *worker)
{
    for (size_t i = 0; i < worker->slip_count; i++) {
        struct slip *slip = &worker->slips[i];
        int64_t end_ms = world->now_ms + slip->timeout_ms;

        judge_cause(world, slip->request);
        if (slip->is_hung && slip->fate.end_ms > end_ms)
            slip->fate.end_ms = end_ms;
        slip->is_hung = false;
    }
    worker_be_unheard(world, worker);
}

void
worker_cut_off(struct world *world, struct worker *worker)
{
    world->tally.workers_cut++;
    world_tell(world, "worker %d is cut off", (int)(worker - world->workers));
    fall_silent(world, worker);
    wire_cut(world, &worker->link);
    worker->is_welcome = worker->is_unlucky = false;
    worker->back_ms = world->now_ms + dice_between(&world->dice, 0, 60000);
    if (dice_once_in(&world->dice, 2)) /* when others have had its leases */
        worker->back_ms =
            world->now_ms + dice_between(&world->dice, 20500, 32000);
}

void
worker_act(struct world *world)
{
    struct worker *worker =
        &world->workers[dice_roll(&world->dice, WORLD_WORKERS)];
    uint64_t what = dice_roll(&world->dice, 100);

    if (!worker->is_alive) {
        if (what < 40)
            be_born(world, worker);
        return;
    }
    if (!worker_is_awake(world, worker))
        return;
    if (what < 2) {
        worker_die(world, worker, !dice_once_in(&world->dice, 3));
    } else if (worker->is_liar) {
        lie(world, worker);
    } else if (what < 6) {
        world->tally.workers_frozen++;
        worker->frozen_ms =
            world->now_ms + dice_between(&world->dice, 1000, 60000);
        fall_silent(world, worker);
        world_tell(world, "worker %d freezes", (int)(worker - world->workers));
    } else if (what < 8) {
        worker_cut_off(world, worker);
    } else if (what < 10) {
        worker->start_ms = world->now_ms + dice_between(&world->dice, 0, 6000);
    } else if (what == 10) {
        world->tally.workers_left++;
        worker_leave(world, worker);
    } else if (what == 11) {
        worker_drain(world, worker, false);
    } else if (what < 14 && worker->slip_count > 0) {
        worker_lose_slip(world, worker,
                         dice_roll(&world->dice, worker->slip_count));
    }
}

void
workers_begin(struct world *world)
{
    be_born(world, &world->workers[0]);
    be_born(world, &world->workers[1]);
    world->workers[0].is_liar = false;
}

void
workers_calm(struct world *world)
{
    for (int i = 0; i < WORLD_WORKERS; i++) {
        if (world->workers[i].is_alive)
            worker_die(world, &world->workers[i], true);
    }
    be_born(world, &world->workers[0]);
}

void
workers_die(struct world *world)
{
    for (int i = 0; i < WORLD_WORKERS; i++) {
        if (world->workers[i].is_alive)
            worker_die(world, &world->workers[i], false);
    }
}
