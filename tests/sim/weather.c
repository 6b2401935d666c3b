/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "queue/breaker.h"
#include "queue/wire.h"
#include "tests/sim/fair.h"
#include "tests/sim/world.h"

const char *const weather_names[WORLD_UPSTREAMS] = { "one", "two" };

/* What an upstream does while it is not well. */
static const struct {
    enum weather_kind kind;
    const char *class_name;
    int http_status;
    int64_t wait_ms;
} storms[] = {
    { WEATHER_BUSY, "throttled", 429, 3000 },
    { WEATHER_BUSY, "throttled", 429, 20000 },
    { WEATHER_BUSY, "retryable", 429, 0 },
    { WEATHER_BUSY, "retryable", 503, 15000 },
    { WEATHER_DOWN, "retryable", 500, 0 },
    { WEATHER_DOWN, "retryable", 0, 0 },
    { WEATHER_DOWN, "uncertain", 0, 0 },
    { WEATHER_STOP, "stop", 401, 0 },
    { WEATHER_STOP, "stop", 429, 0 },
    { WEATHER_STOP, "stop", 429, 600000 },
    { WEATHER_STOP, "permanent", 404, 0 },
};

int
weather_find(const char *name)
{
    for (int i = 0; i < WORLD_UPSTREAMS; i++) {
        if (strcmp(weather_names[i], name) == 0)
            return i;
    }
    return -1;
}

void
weather_change(struct world *world)
{
    struct weather *weather =
        &world->weather[dice_roll(&world->dice, WORLD_UPSTREAMS)];

    weather->kind = (enum weather_kind)dice_between(&world->dice, WEATHER_BUSY,
                                                    WEATHER_STOP);
    weather->until_ms = world->now_ms + dice_between(&world->dice, 1000, 90000);
    world->tally.storms++;
    world_tell(world, "upstream %s is unwell, kind %d",
               weather_names[weather - world->weather], (int)weather->kind);
}

bool
weather_strikes(struct world *world, int where, struct call_fate *fate)
{
    const struct weather *weather = &world->weather[where];
    size_t at;

    if (world->is_calm || world->now_ms >= weather->until_ms)
        return false;
    do
        at =
            (size_t)dice_roll(&world->dice, sizeof(storms) / sizeof(storms[0]));
    while (storms[at].kind != weather->kind);
    fate->class_name = storms[at].class_name;
    fate->http_status = storms[at].http_status;
    fate->wait_ms = storms[at].wait_ms;
    return true;
}

/* ---- what is known of upstreams from outside ---- */

void
weather_lease(struct world *world, const char *name, int64_t request)
{
    int where = weather_find(name);
    const struct known_upstream *of;

    if (where < 0)
        return;
    of = &world->judge.upstreams[where];
    if (of->is_stopped || world->now_ms < of->closed_ms) {
        world_fail(world, "request %lld is leased to %s, which is suspended",
                   (long long)request, name);
    }
    if (of->is_open) {
        world_fail(world, "request %lld is leased to %s, which is broken",
                   (long long)request, name);
    }
}

void
weather_report(struct world *world, int where, const char *class_name,
               int http_status, int64_t wait_ms)
{
    struct known_upstream *of = &world->judge.upstreams[where];
    bool names_a_wait =
        wait_ms > 0 && (http_status == 429 || http_status == 503);

    if (strcmp(class_name, "stop") == 0 && wait_ms == 0)
        of->is_stopped = true;
    if ((names_a_wait || strcmp(class_name, "stop") == 0) &&
        world->now_ms + wait_ms > of->closed_ms) {
        of->closed_ms = world->now_ms + wait_ms;
    }
}

void
weather_resume(struct world *world, int where)
{
    world->judge.upstreams[where].is_stopped = false;
    world->judge.upstreams[where].closed_ms = 0;
}

/* How many leases an upstream has, by the store. */
static int
leases_of(struct world *world, const char *name)
{
    struct lease lease = { 0 };
    int count = 0;

    while (store_lease_after(world->store, lease.request, &lease) == 0) {
        struct request request;

        if (store_request_get(world->store, lease.request, &request) == 0)
            count += strcmp(request.upstream, name) == 0;
    }
    return count;
}

void
weather_check(struct world *world)
{
    for (int i = 0; i < WORLD_UPSTREAMS; i++) {
        struct known_upstream *of = &world->judge.upstreams[i];
        struct upstream_row row;
        int count;

        of->is_open = false;
        if (store_upstream_get(world->store, weather_names[i], &row) < 0)
            continue;
        of->is_open = row.breaker == BREAKER_OPEN;
        if (row.until_ms != 0 || row.breaker != BREAKER_CLOSED)
            judge_fair_trouble(world, i);
        if (row.breaker != BREAKER_PROBING)
            continue;
        world->tally.probes += !of->is_probing;
        count = leases_of(world, weather_names[i]);
        if (count > 1) {
            world_fail(world, "%s is probed with %d calls", weather_names[i],
                       count);
        }
        of->is_probing = row.breaker == BREAKER_PROBING;
    }
}
