/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#include "base/mem.h"
#include "tests/sim/world.h"

#define NEVER      INT64_MAX
#define TTL_MS     INT64_C(10800000)
#define TIMEOUT_MS 4000
#define HOUR_MS    INT64_C(3600000)

/* Which events each webhook wants. */
static const struct {
    const char *name, *events;
} hooks[WORLD_HOOKS] = { { "all", "batch.completed, batch.failed, "
                                  "batch.expired, batch.cancelled" },
                         { "some", "batch.completed, batch.expired" } };

/* Before the next try, by the failures so far. */
static const int64_t waits_ms[] = { 0,       5000,     300000,  1800000,
                                    7200000, 28800000, 86400000 };
#define TRIES_MAX (sizeof(waits_ms) / sizeof(waits_ms[0]))

/* What a receiver may answer, and how often. */
static const struct {
    const char *class_name;
    int http_status;
    int64_t wait_ms;
    uint64_t weight;
} fates[] = {
    { "ok", 200, 0, 50 },        { "ok", 204, 0, 10 },
    { "failed", 500, 0, 20 },    { "failed", 0, 0, 8 },
    { "failed", 429, 60000, 6 }, { "failed", 410, 0, 2 },
    { "unmade", 0, 0, 4 },
};

void
hooks_configure(struct world *world)
{
    struct conf *conf = &world->conf;

    world->hook_dice.state = world->seed * 2 + 1;
    (void)dice_roll(&world->hook_dice, 2);
    if (!dice_once_in(&world->hook_dice, 3))
        return;
    conf->deliveries_ttl_ms = TTL_MS;
    for (size_t i = 0; i < WORLD_HOOKS; i++) {
        conf->webhooks[i] = (struct conf_webhook){
            .name = mem_dup_str(hooks[i].name),
            .url = mem_dup_str("https://hooks.example/in"),
            .secret_env = mem_dup_str("SECRET"),
            .events = mem_dup_str(hooks[i].events),
            .timeout_ms = TIMEOUT_MS,
            .posts_max = dice_between(&world->hook_dice, 1, 3),
        };
    }
    conf->webhook_count = WORLD_HOOKS;
}

static size_t
find_hook(struct world *world, const char *name)
{
    for (size_t i = 0; i < WORLD_HOOKS; i++) {
        if (strcmp(hooks[i].name, name) == 0)
            return i;
    }
    world_fail(world, "a delivery for the webhook %s", name);
}

static bool
is_wanted(size_t hook, const char *type)
{
    return strstr(hooks[hook].events, type);
}

/* ---- ends ---- */

static const char *const types[BATCH_STATE_COUNT] = {
    [BATCH_FINISHED] = "batch.completed",
    [BATCH_FAILED] = "batch.failed",
    [BATCH_CANCELLED] = "batch.cancelled",
    [BATCH_EXPIRED] = "batch.expired",
};

static void
add_end(struct world *world, const struct batch *batch, const char *type)
{
    struct judge *judge = &world->judge;
    struct seen_end *end;

    if (judge->end_count == WORLD_ENDS)
        world_fail(world, "more than %d ends in a transaction", WORLD_ENDS);
    end = &judge->ends[judge->end_count++];
    *end = (struct seen_end){ .type = type };
    memcpy(end->batch, batch->uuid, sizeof(end->batch));
}

void
hooks_moved(struct world *world, uint64_t batch, enum batch_state to)
{
    struct filing filing;
    struct batch row;

    if (world->conf.webhook_count == 0 || !types[to])
        return;
    if (store_batch_get(world->store, batch, &row) < 0)
        world_fail(world, "batch %llu ends, and is not there",
                   (unsigned long long)batch);
    /* One that ends in files is told of when they are made: note_filed(). */
    if (store_filing_get(world->store, batch, &filing) < 0 ||
        filing.phase == FILING_READING || filing.phase == FILING_OVER) {
        add_end(world, &row, types[to]);
    }
}

/* Adds the ends of batches whose files were stored since the last commit. */
static void
note_filed(struct world *world)
{
    struct batch batch = { 0 };

    if (!world->filer.is_on)
        return;
    while (store_batch_after(world->store, batch.id, &batch) == 0) {
        struct filer_round *round;
        struct filing filing;

        if (!types[batch.state] ||
            store_filing_get(world->store, batch.id, &filing) < 0 ||
            filing.phase != FILING_FILED) {
            continue;
        }
        round = filer_round_of(world, batch.id);
        if (memcmp(round->told, filing.made, sizeof(round->told)) == 0)
            continue;
        memcpy(round->told, filing.made, sizeof(round->told));
        add_end(world, &batch, types[batch.state]);
    }
}

void
hooks_abort(struct world *world)
{
    world->judge.end_count = 0;
}

/* A delivery that is new belongs to an end of the same transaction. */
static void
match_end(struct world *world, const struct delivery *row)
{
    struct judge *judge = &world->judge;
    size_t hook = find_hook(world, row->webhook);
    struct batch batch;

    for (size_t i = 0; i < judge->end_count; i++) {
        struct seen_end *end = &judge->ends[i];

        if (!end->is_told[hook] && is_wanted(hook, end->type) &&
            strcmp(end->type, row->type) == 0 &&
            memcmp(end->batch, row->batch, sizeof(end->batch)) == 0) {
            end->is_told[hook] = true;
            return;
        }
    }
    if (store_batch_find(world->store, row->batch, &batch) < 0 ||
        batch.state == BATCH_PURGED) {
        return; /* its files were made in the transaction that purged it */
    }
    world_fail(world,
               "delivery %llu, of %s for %s, is of no end that was "
               "committed with it",
               (unsigned long long)row->id, row->type, row->webhook);
}

static void
check_ends(struct world *world)
{
    struct judge *judge = &world->judge;

    for (size_t i = 0; i < judge->end_count; i++) {
        for (size_t hook = 0; hook < WORLD_HOOKS; hook++) {
            if (is_wanted(hook, judge->ends[i].type) &&
                !judge->ends[i].is_told[hook]) {
                world_fail(world, "nobody is to tell %s of a %s",
                           hooks[hook].name, judge->ends[i].type);
            }
        }
    }
    judge->end_count = 0;
}

/* ---- what becomes of deliveries ---- */

static void
fail_of(struct world *world, const struct delivery *row, const char *what)
{
    world_fail(world, "delivery %llu, %s, attempt %u, failure %u: %s",
               (unsigned long long)row->id, delivery_state_name(row->state),
               row->attempts, row->failures, what);
}

/* What may follow on what. */
static void
check_change(struct world *world, const struct known_delivery *of,
             const struct delivery *row)
{
    const struct delivery *was = &of->row;
    int64_t now_ms = world->now_ms;

    if (memcmp(row->event, was->event, sizeof(row->event)) != 0)
        fail_of(world, row, "it is another event");
    if (row->attempts < was->attempts || row->failures < was->failures)
        fail_of(world, row, "its tries were forgotten");
    if (delivery_has_ended(was) && row->state != was->state &&
        row->state != DELIVERY_DELIVERED) {
        fail_of(world, row, "it had ended");
    }
    if (row->state == DELIVERY_DELIVERED && of->taken == 0)
        fail_of(world, row, "nobody has taken it");
    if (row->attempts > was->attempts && was->state == DELIVERY_WAITING &&
        row->failures == was->failures && now_ms < was->next_ms) {
        fail_of(world, row, "it is tried too early");
    }
    if (row->state != DELIVERY_WAITING)
        return;
    if (was->state == DELIVERY_WAITING && row->attempts == was->attempts &&
        row->failures == was->failures && row->next_ms != was->next_ms) {
        fail_of(world, row, "it waits for another time");
    }
    if (row->failures >= TRIES_MAX)
        fail_of(world, row, "it should have been given up");
    if (row->failures > was->failures &&
        row->next_ms < now_ms + waits_ms[row->failures]) {
        fail_of(world, row, "its wait is too short");
    }
}

/* One that has ended goes when it was kept long enough; no other goes. */
static void
check_gone(struct world *world, struct known_delivery *of)
{
    of->is_gone = true;
    if (!delivery_has_ended(&of->row))
        fail_of(world, &of->row, "it is lost");
    if (world->now_ms < of->row.ended_ms + TTL_MS)
        fail_of(world, &of->row, "it was removed too early");
}

static void
look(struct world *world)
{
    struct judge *judge = &world->judge;
    struct delivery row;
    int64_t given[WORLD_HOOKS] = { 0 };

    for (size_t i = 0; i < judge->delivery_count; i++) {
        struct known_delivery *of = &judge->deliveries[i];
        int rc;

        if (of->is_gone)
            continue;
        rc = store_delivery_get(world->store, i + 1, &row);
        if (rc < 0) {
            check_gone(world, of);
            continue;
        }
        check_change(world, of, &row);
        row.body = (struct slice){ 0 };
        of->row = row;
        given[find_hook(world, row.webhook)] += row.state == DELIVERY_GIVEN;
    }
    for (size_t hook = 0; hook < WORLD_HOOKS; hook++) {
        if (given[hook] > world->conf.webhooks[hook].posts_max)
            world_fail(world, "%lld deliveries for %s are given",
                       (long long)given[hook], hooks[hook].name);
    }
}

void
hooks_commit(struct world *world)
{
    struct judge *judge = &world->judge;
    struct delivery row;

    if (world->conf.webhook_count == 0)
        return;
    note_filed(world);
    while (store_delivery_after(world->store, judge->delivery_count, &row) ==
           0) {
        if (row.id != judge->delivery_count + 1)
            world_fail(world, "delivery %llu is behind delivery %zu",
                       (unsigned long long)row.id, judge->delivery_count);
        match_end(world, &row);
        row.body = (struct slice){ 0 };
        judge->deliveries =
            mem_grow(judge->deliveries, judge->delivery_count + 1,
                     sizeof(judge->deliveries[0]));
        judge->deliveries[judge->delivery_count++] =
            (struct known_delivery){ .row = row };
        world->tally.events_told++;
    }
    check_ends(world);
    look(world);
}

void
hooks_letter(struct world *world, const struct wire *wire)
{
    struct judge *judge = &world->judge;
    int64_t delivery, attempt;
    const char *id;
    uuid_t uuid;

    if (wire_int(wire, "delivery", wire_range(1, WIRE_INT_MAX), &delivery,
                 NULL) < 0 ||
        wire_int(wire, "attempt", wire_range(1, WIRE_INT_MAX), &attempt, NULL) <
            0 ||
        wire_str(wire, "id", 64, NULL, &id, NULL) < 0 ||
        strncmp(id, "evt_", 4) != 0 || uuid_parse(id + 4, uuid) != 0) {
        world_fail(world, "an odd post");
    }
    if ((size_t)delivery > judge->delivery_count)
        world_fail(world, "delivery %lld is posted, and is not stored",
                   (long long)delivery);
    if (memcmp(judge->deliveries[delivery - 1].row.event, uuid, 16) != 0)
        fail_of(world, &judge->deliveries[delivery - 1].row,
                "it is posted under another id");
}

/* ---- workers ---- */

void
hooks_add_hello(const struct world *world, const struct worker *worker,
                struct buf *out)
{
    buf_add_str(out, ",'webhooks':[");
    for (size_t i = 0; i < world->conf.webhook_count; i++)
        buf_addf(out, "%s'%s'", i ? "," : "", hooks[i].name);
    buf_add_str(out, "],'posts':[");
    for (size_t i = 0; i < worker->parcel_count; i++) {
        buf_addf(out, "%s[%lld,%lld]", i ? "," : "",
                 (long long)worker->parcels[i].delivery,
                 (long long)worker->parcels[i].attempt);
    }
    buf_add_char(out, ']');
}

static void
choose_fate(struct world *world, struct parcel *parcel)
{
    struct dice *dice = &world->hook_dice;
    uint64_t sum = 0, roll;

    parcel->class_name = "ok";
    parcel->http_status = 200;
    parcel->end_ms = world->now_ms + dice_between(dice, 5, 2000);
    if (world->is_calm)
        return;
    for (size_t i = 0; i < sizeof(fates) / sizeof(fates[0]); i++)
        sum += fates[i].weight;
    roll = dice_roll(dice, sum);
    for (size_t i = 0; i < sizeof(fates) / sizeof(fates[0]); i++) {
        if (roll < fates[i].weight) {
            parcel->class_name = fates[i].class_name;
            parcel->http_status = fates[i].http_status;
            parcel->wait_ms = fates[i].wait_ms;
            break;
        }
        roll -= fates[i].weight;
    }
    if (dice_once_in(dice, 10))
        parcel->end_ms = world->now_ms + TIMEOUT_MS;
}

void
hooks_take(struct world *world, struct worker *worker, const struct wire *wire)
{
    struct parcel parcel = { 0 };

    if (wire_int(wire, "delivery", wire_range(1, WIRE_INT_MAX),
                 &parcel.delivery, NULL) < 0 ||
        wire_int(wire, "attempt", wire_range(1, WIRE_INT_MAX), &parcel.attempt,
                 NULL) < 0) {
        world_fail(world, "a worker is to post an odd event");
    }
    if (worker->parcel_count == WORLD_PARCELS)
        world_fail(world, "a worker is to post more than %d events",
                   WORLD_PARCELS);
    choose_fate(world, &parcel);
    if (worker->is_draining) {
        parcel.class_name = "unmade";
        parcel.end_ms = world->now_ms;
    }
    world->tally.posts++;
    worker->parcels[worker->parcel_count++] = parcel;
}

void
hooks_noted(struct worker *worker, int64_t delivery, int64_t attempt)
{
    for (size_t i = 0; i < worker->parcel_count; i++) {
        struct parcel *parcel = &worker->parcels[i];

        if (parcel->is_over && parcel->delivery == delivery &&
            parcel->attempt == attempt) {
            *parcel = worker->parcels[--worker->parcel_count];
            return;
        }
    }
}

static void
tell(struct world *world, struct worker *worker, const struct parcel *parcel)
{
    wire_say(world, &worker->link, (struct slice){ 0 },
             "{'verb':'posted','delivery':%lld,'attempt':%lld,'class':'%s',"
             "'http_status':%d,'code':'its_code','wait_ms':%lld}",
             (long long)parcel->delivery, (long long)parcel->attempt,
             parcel->class_name, parcel->http_status,
             (long long)parcel->wait_ms);
}

void
hooks_tell(struct world *world, struct worker *worker)
{
    for (size_t i = 0; i < worker->parcel_count; i++) {
        if (worker->parcels[i].is_over)
            tell(world, worker, &worker->parcels[i]);
    }
}

/* The receiver has its own state of things, whatever is told of it. */
void
hooks_tick(struct world *world, struct worker *worker)
{
    for (size_t i = 0; i < worker->parcel_count; i++) {
        struct parcel *parcel = &worker->parcels[i];
        struct known_delivery *of =
            &world->judge.deliveries[parcel->delivery - 1];

        if (parcel->is_over || world->now_ms < parcel->end_ms)
            continue;
        parcel->is_over = true;
        of->posts++;
        of->taken += strcmp(parcel->class_name, "ok") == 0;
        world->tally.posts_taken += strcmp(parcel->class_name, "ok") == 0;
        if (worker->is_welcome)
            tell(world, worker, parcel);
    }
}

int64_t
hooks_next_ms(const struct worker *worker)
{
    int64_t next_ms = NEVER;

    for (size_t i = 0; i < worker->parcel_count; i++) {
        if (!worker->parcels[i].is_over &&
            worker->parcels[i].end_ms < next_ms) {
            next_ms = worker->parcels[i].end_ms;
        }
    }
    return next_ms;
}

bool
hooks_are_done(const struct world *world)
{
    for (size_t i = 0; i < world->judge.delivery_count; i++) {
        const struct known_delivery *of = &world->judge.deliveries[i];

        if (!of->is_gone && !delivery_has_ended(&of->row))
            return false;
    }
    return true;
}

void
hooks_free(struct world *world)
{
    free(world->judge.deliveries);
}
