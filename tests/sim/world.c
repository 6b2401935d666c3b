/* SPDX-License-Identifier: MIT */
#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "base/digest.h"
#include "base/mem.h"

#define CALM_STEPS_MAX 20000
#define CALM_MS_MAX    (INT64_C(9) * 86400000) /* a week's window, and a day */
#define CRASHES_MIN    3
#define CLIENTS        3 /* on most days; and what they want */
#define PLANS          5
#define PASS_TURNS_MAX 40
#define DAY_MS         INT64_C(86400000)
#define BLIND_MS_MAX   30000

_Noreturn void
world_fail(struct world *world, const char *fmt, ...)
{
    va_list args;

    fflush(stdout);
    fprintf(stderr,
            "seed %llu, event %d, time %lld: ", (unsigned long long)world->seed,
            world->events, (long long)(world->now_ms - WORLD_START_MS));
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "\nreplay it with: make sim SEED=%llu\n",
            (unsigned long long)world->seed);
    _exit(1);
}

void
world_tell(struct world *world, const char *fmt, ...)
{
    va_list args;

    if (!world->is_verbose)
        return;
    printf("%10.3f  ", (double)(world->now_ms - WORLD_START_MS) / 1000);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
}

static bool
find(struct world *world, const uuid_t uuid, struct batch *batch)
{
    struct err err = { 0 };
    bool is_found;

    if (store_begin(world->store, world->now_ms, &err) < 0)
        world_fail(world, "begin: %s", err.msg);
    is_found = store_batch_find(world->store, uuid, batch) == 0;
    store_abort(world->store);
    return is_found;
}

bool
world_find(struct world *world, const char *uuid, struct batch *batch)
{
    uuid_t bytes;

    return uuid_parse(uuid, bytes) == 0 && find(world, bytes, batch);
}

bool
world_find_of(struct world *world, const struct plan *plan, struct batch *batch)
{
    return *plan->uuid && find(world, plan->uuid_bytes, batch);
}

/* The broker's loop turns when it is to, and workers do what they have to. */
static void
pass_in_time(struct world *world, int64_t until_ms)
{
    for (int i = 0; i < PASS_TURNS_MAX && world->now_ms < until_ms; i++) {
        int64_t next_ms = broker_next_ms(world->broker);

        if (workers_next_ms(world) < next_ms)
            next_ms = workers_next_ms(world);
        if (next_ms <= world->now_ms)
            next_ms = world->now_ms + 1;
        world->now_ms = next_ms < until_ms ? next_ms : until_ms;
        workers_tick(world);
        shell_turn(world);
        clients_read(world);
    }
}

/* The broker's process stands still, as on a disk that is slow. Or it does until
 * it was to turn, and so little longer that it cannot know of it. */
static void
stand_still(struct world *world, int64_t until_ms)
{
    int64_t wake_ms = broker_next_ms(world->broker);

    if (dice_once_in(&world->dice, 2) &&
        wake_ms <= world->now_ms + BLIND_MS_MAX) {
        world->tally.blind++;
        world->is_deaf = true;
        until_ms = wake_ms + dice_between(&world->dice, 0, WORLD_LATE_MS - 1);
    }
    if (until_ms > world->now_ms)
        world->now_ms = until_ms;
}

static void
pass_time(struct world *world)
{
    static const int64_t most_ms[] = { 100, 1000, 1000, 3000, 3000, 12000 };
    int64_t until_ms =
        world->now_ms +
        dice_between(&world->dice, 0, most_ms[dice_roll(&world->dice, 6)]);

    if (dice_once_in(&world->dice, 150)) {
        world->tally.jumps++;
        until_ms = world->now_ms + dice_between(&world->dice, 0, 40 * 60000);
        if (dice_once_in(&world->dice, 6))
            until_ms += DAY_MS;
        world_tell(world, "time jumps");
        world->now_ms = until_ms;
    }
    if (dice_once_in(&world->dice, 80))
        clocks_jump(world);
    if (dice_once_in(&world->dice, 4))
        stand_still(world, until_ms);
    pass_in_time(world, until_ms);
    workers_tick(world);
}

static void
act(struct world *world)
{
    uint64_t what = dice_roll(&world->dice, 100);

    world->events++;
    world->tally.events++;
    if (what < 28)
        client_act(world);
    else if (what < 42)
        worker_act(world);
    else if (what < 60)
        pass_time(world);
    else if (what < 61) /* more would leave no time for leases to be lost */
        shell_trouble(world);
    else if (what == 62)
        weather_change(world);
    else
        shell_turn(world);
    filer_act(world);
    clients_read(world);
    filer_read(world);
    workers_read(world);
    workers_tick(world);
    shell_end_drain(world);
}

/* Faults are over; clients finish what they began. */
static void
calm(struct world *world)
{
    int64_t end_ms;
    int steps = 0;

    world_tell(world, "calm");
    world->is_calm = true;
    world->fails = false;
    world->crash = CRASH_NONE;
    if (world->is_draining)
        shell_restart(world);
    workers_calm(world);
    end_ms = world->now_ms + CALM_MS_MAX;
    for (;;) {
        int64_t next_ms;

        clients_finish(world);
        filer_finish(world);
        shell_turn(world);
        clients_read(world);
        filer_read(world);
        workers_tick(world);
        if (clients_are_done(world) && filer_is_done(world) &&
            hooks_are_done(world))
            return;
        if (steps++ > CALM_STEPS_MAX || world->now_ms > end_ms)
            world_fail(world, "it does not come to an end");
        if (wire_is_busy(world))
            continue; /* messages take no time now */
        next_ms = broker_next_ms(world->broker);
        if (workers_next_ms(world) < next_ms)
            next_ms = workers_next_ms(world);
        if (next_ms > world->now_ms + 3600000)
            next_ms = world->now_ms + 3600000;
        if (next_ms > world->now_ms)
            world->now_ms = next_ms;
    }
}

void
world_play(struct world *world, int events)
{
    int least = events > 0 ? events : WORLD_EVENTS_MIN;

    while (world->events < least) {
        /* A history has its crashes, whatever the dice say. */
        if (events == 0 && world->crashes < CRASHES_MIN &&
            least - world->events < (CRASHES_MIN - world->crashes) * 40 &&
            world->crash == CRASH_NONE) {
            world->crash =
                (int)dice_between(&world->dice, CRASH_BEFORE, CRASH_AFTER);
        }
        act(world);
    }
    while (events == 0 && world->crash != CRASH_NONE)
        shell_turn(world);
    if (events == 0 && world->crashes < CRASHES_MIN)
        world_fail(world, "only %d crashes", world->crashes);
    calm(world);
    judge_all(world);
    world->tally.histories++;
    world->tally.histories_lmdb += world->is_lmdb;
}

static void
load_conf(struct world *world)
{
    static const char *const names[] = { "one", "two" };
    struct conf *conf = &world->conf;

    conf_init(conf);
    for (size_t i = 0; i < 2; i++) {
        conf->upstreams[i] = (struct conf_upstream){
            .name = mem_dup_str(names[i]),
            .base_url = mem_dup_str("https://api.example/v1"),
            .path = mem_dup_str("/chat/completions"),
            .model = mem_dup_str("m"),
            .request_timeout_ms = 5000,
            .connect_timeout_ms = 1000,
        };
    }
    conf->upstream_count = 2;
    conf->slots_max = dice_between(&world->dice, 1, 6);
    conf->lease_ms = 10000;
    conf->lease_run_max_ms = 60000;
    conf->lost_max = dice_between(&world->dice, 1, 3);
    conf->drain_ms = 8000;
    conf->start_grace_ms = dice_once_in(&world->dice, 2) ? 300000 : 30000;
    conf->heartbeat_ms = 2000;
    conf->lease_ahead_max = dice_between(&world->dice, 0, 3);
    conf->cache_ttl_ms = dice_once_in(&world->dice, 2) ? 7200000 : 5000;
    conf->throttle_max = 4;
    conf->breaker_failures = 4;
    conf->attempts_max = 3;
    if (dice_once_in(&world->dice, 3)) /* so late answers find it delayed */
        conf->backoff_base_ms = 15000;
    conf->open_ttl_ms = 3600000;
    conf->group_window_ms = dice_once_in(&world->dice, 3) ? 0 : 2000;
    conf->group_chars_max = 40;
    conf->groups_open_max = 512; /* no history has so many */
    if (dice_once_in(&world->dice, 3))
        conf->results_ttl_ms = 3 * 3600000;
    hooks_configure(world);
}

struct world *
world_new(uint64_t seed, const char *dir, struct text_rules *rules,
          bool is_verbose)
{
    struct world *world = mem_zalloc(1, sizeof(*world));

    world->seed = seed;
    /* Mixed: neighbours would go through the same rolls, one behind the other. */
    world->dice.state = digest_xxh(&seed, sizeof(seed), 0);
    world->room_dice.state = digest_xxh(&seed, sizeof(seed), 2);
    world->ahead = ahead_new(seed);
    world->client_count = CLIENTS;
    world->plan_count = PLANS;
    world->rules = rules;
    world->is_verbose = is_verbose;
    world->now_ms = WORLD_START_MS;
    world->booted_ms = WORLD_START_MS - 1000000;
    world->broker_seed = seed;
    if (dir) {
        world->is_lmdb = true;
        (void)snprintf(world->dir, sizeof(world->dir), "%s", dir);
    }
    load_conf(world);
    models_begin(world);
    world->is_bad_day = dice_once_in(&world->dice, 4);
    world->poison = (int)dice_roll(&world->dice, 24) - 16;
    if (crowd_is_due(seed))
        crowd_set(world);
    for (int i = 0; i < world->client_count; i++) {
        world->clients[i].link.side = SIDE_CLIENTS;
        wire_connect(world, &world->clients[i].link);
    }
    for (int i = 0; i < WORLD_WORKERS; i++)
        world->workers[i].link.side = SIDE_WORKERS;
    for (int i = 0; i < world->plan_count; i++) {
        world->plans[i] = (struct plan){
            .number = i,
            .client = i % world->client_count,
            .is_early = dice_once_in(&world->dice, 3),
            .has_terms = true,
            .priority = -1,
        };
        if (world->is_busy)
            crowd_plan(world, &world->plans[i]);
    }
    filer_begin(world);
    shell_start(world);
    workers_begin(world);
    return world;
}

void
world_free(struct world *world)
{
    struct wire_link *link;

    clients_free(world);
    filer_free(world);
    workers_free(world);
    judge_free(world);
    models_free(world);
    for (size_t i = 0; (link = wire_link_at(world, i)); i++) {
        pipe_free(&link->to_broker);
        pipe_free(&link->from_broker);
    }
    pipe_free(&world->stray);
    broker_free(world->broker);
    ahead_free(world->ahead);
    outbox_fini(&world->outbox);
    store_close(world->store);
    conf_fini(&world->conf);
    free(world);
}
