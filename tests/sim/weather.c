/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "queue/breaker.h"
#include "queue/wire.h"
#include "tests/sim/fair.h"
#include "tests/sim/world.h"

#define HANG_MS 900000 /* of a call that nobody gives up */

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

/* ---- answers ---- */

/* What an upstream may answer, and how often. */
static const struct {
    const char *class_name;
    int http_status;
    int64_t wait_ms;
    uint64_t weight;
} fates[] = {
    { "ok", 200, 0, 55 },           { "retryable", 500, 0, 8 },
    { "uncertain", 0, 0, 5 },       { "throttled", 429, 3000, 8 },
    { "retryable", 429, 0, 3 },     { "permanent", 400, 0, 4 },
    { "stop", 401, 0, 2 },          { "truncated", 200, 0, 4 },
    { "refused", 200, 0, 3 },       { "aborted", 0, 0, 3 },
    { "retryable", 503, 40000, 3 }, { "throttled", 429, 90000, 2 },
};

struct call_fate
weather_answer(struct world *world, struct slip *slip)
{
    struct call_fate fate = {
        .class_name = "ok",
        .http_status = 200,
        .end_ms = world->now_ms + dice_between(&world->dice, 5, 2000),
    };
    uint64_t sum = 0, roll;

    if (world->is_calm || world->is_kind)
        return fate;
    if (slip->where >= 0 && weather_strikes(world, slip->where, &fate))
        return fate;
    if (world->is_bad_day && !dice_once_in(&world->dice, 5)) {
        fate.class_name = "retryable";
        fate.http_status = 500;
        return fate;
    }
    /* What is called once more fails more often: so answers to the first call
     * come late, and are better. */
    if (judge_request(world, slip->request)->calls > 0 &&
        dice_once_in(&world->dice, 3)) {
        bool is_end = dice_once_in(&world->dice, 2);

        fate.class_name = is_end ? "permanent" : "retryable";
        fate.http_status = is_end ? 400 : 500;
        return fate;
    }
    for (size_t i = 0; i < sizeof(fates) / sizeof(fates[0]); i++)
        sum += fates[i].weight;
    roll = dice_roll(&world->dice, sum);
    for (size_t i = 0; i < sizeof(fates) / sizeof(fates[0]); i++) {
        if (roll < fates[i].weight) {
            fate.class_name = fates[i].class_name;
            fate.http_status = fates[i].http_status;
            fate.wait_ms = fates[i].wait_ms;
            break;
        }
        roll -= fates[i].weight;
    }
    /* The sampler names no wait, and needs no key. */
    if (slip->where < 0 &&
        (fate.wait_ms > 0 || strcmp(fate.class_name, "stop") == 0)) {
        fate.class_name = "retryable";
        fate.http_status = 0;
        fate.wait_ms = 0;
    }
    if (dice_once_in(&world->dice, 8))
        fate.end_ms = world->now_ms + slip->timeout_ms;
    if (dice_once_in(&world->dice, 60)) {
        world->tally.hangs++;
        slip->is_hung = true;
        judge_cause(world, slip->request); /* it is taken from it in the end */
        judge_loss(world, slip->request);
        fate.end_ms = world->now_ms + HANG_MS;
    }
    return fate;
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
