/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#include "base/mem.h"
#include "queue/wire.h"
#include "tests/sim/world.h"

#define NEVER   INT64_MAX
#define IDLE_MS 600000

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

/* ---- the upstream ---- */

static struct call_fate
choose_fate(struct world *world, const struct slip *slip)
{
    struct call_fate fate = {
        .class_name = "ok",
        .http_status = 200,
        .end_ms = world->now_ms + dice_between(&world->dice, 5, 2000),
    };
    uint64_t sum = 0, roll;

    if (world->is_calm)
        return fate;
    if (slip->where >= 0 && weather_strikes(world, slip->where, &fate))
        return fate;
    if (world->is_bad_day && !dice_once_in(&world->dice, 5)) {
        fate.class_name = "retryable";
        fate.http_status = 500;
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
    if (dice_once_in(&world->dice, 8))
        fate.end_ms = world->now_ms + slip->timeout_ms;
    return fate;
}

/* The upstream has answered, or the connection is gone. */
static void
leave_upstream(struct world *world, struct slip *slip)
{
    if (slip->is_at_upstream)
        world->in_flight--;
    slip->is_at_upstream = false;
}

/* ---- slips ---- */

static struct slip *
find(struct worker *worker, int64_t request, int64_t fence)
{
    for (size_t i = 0; i < worker->slip_count; i++) {
        if (worker->slips[i].request == request &&
            worker->slips[i].fence == fence) {
            return &worker->slips[i];
        }
    }
    return NULL;
}

static void
forget(struct world *world, struct worker *worker, struct slip *slip)
{
    size_t at = (size_t)(slip - worker->slips);

    leave_upstream(world, slip);
    free(slip->body);
    buf_fini(&slip->head);
    buf_fini(&slip->reply);
    memmove(slip, slip + 1, (--worker->slip_count - at) * sizeof(*slip));
}

/* A call that was started is given up: another one may be made. */
static void
give_up(struct world *world, struct worker *worker, struct slip *slip)
{
    if (slip->state != SLIP_WAITING)
        judge_cause(world, slip->request);
    forget(world, worker, slip);
}

static int64_t
running(const struct worker *worker)
{
    int64_t count = 0;

    for (size_t i = 0; i < worker->slip_count; i++)
        count += worker->slips[i].state == SLIP_RUNNING;
    return count;
}

static int64_t
kept(const struct worker *worker)
{
    int64_t count = running(worker);

    return count > worker->slots ? count : worker->slots;
}

static bool
is_awake(const struct world *world, const struct worker *worker)
{
    return worker->is_alive && world->now_ms >= worker->frozen_ms;
}

/* ---- saying ---- */

static void
add_held(const struct worker *worker, struct buf *out)
{
    for (size_t i = 0; i < worker->slip_count; i++) {
        const struct slip *slip = &worker->slips[i];

        buf_addf(out, "%s[%lld,%lld,%d]", i ? "," : "",
                 (long long)slip->request, (long long)slip->fence,
                 slip->state != SLIP_WAITING);
    }
}

static void
hello(struct world *world, struct worker *worker)
{
    struct buf held = { 0 };
    int number = (int)(worker - world->workers);

    wire_connect(world, &worker->link);
    worker->is_welcome = false;
    worker->sent_ms = world->now_ms;
    add_held(worker, &held);
    wire_say(world, &worker->link, (struct slice){ 0 },
             "{'verb':'hello','protocol':1,'worker':'%s','name':'w%d',"
             "'host':'sim','pid':%d,'lock':'','own':'','capacity':%u,"
             "'slots':%lld,'held':[%s]}",
             worker->uuid, number, number + 1, worker->capacity,
             (long long)kept(worker), held.bytes ? held.data : "");
    buf_fini(&held);
}

static void
beat(struct world *world, struct worker *worker)
{
    struct buf held = { 0 };

    if (!worker->is_welcome || worker->sent_ms != 0)
        return;
    world->tally.beats++;
    worker->sent_ms = world->now_ms;
    add_held(worker, &held);
    wire_say(world, &worker->link, (struct slice){ 0 },
             "{'verb':'beat','slots':%lld,'held':[%s]}",
             (long long)kept(worker), held.bytes ? held.data : "");
    buf_fini(&held);
}

static void
tell_slots(struct world *world, struct worker *worker)
{
    if (!worker->is_welcome || worker->is_liar ||
        (!worker->must_tell && kept(worker) == worker->slots_told)) {
        return;
    }
    worker->slots_told = kept(worker);
    worker->must_tell = false;
    wire_say(world, &worker->link, (struct slice){ 0 },
             "{'verb':'slots','count':%lld,'word':%lld}",
             (long long)worker->slots_told, (long long)worker->word);
}

static void
send_report(struct world *world, struct worker *worker, struct slip *slip)
{
    wire_say(world, &worker->link, buf_slice(&slip->reply), "%s",
             slip->head.data);
}

/* The user's text, which stands last in the body. */
static void
add_prompt(struct world *world, const char *body, struct buf *out)
{
    const char *at = NULL, *end;

    for (const char *next = strstr(body, "\"content\":\""); next;
         next = strstr(next + 1, "\"content\":\"")) {
        at = next;
    }
    end = at ? strchr(at + 11, '"') : NULL;
    if (!end)
        world_fail(world, "a prompt without a text: %s", body);
    buf_add(out, at + 11, (size_t)(end - at - 11));
}

/* The upstream's answer is in: it is told to the broker. */
static void
report(struct world *world, struct worker *worker, struct slip *slip)
{
    const struct call_fate *fate = &slip->fate;
    bool is_ok = strcmp(fate->class_name, "ok") == 0;
    size_t text_at = strlen("{\"content\":\"");

    leave_upstream(world, slip);
    slip->state = SLIP_REPORTED;
    if (is_ok) {
        world->tally.answers++;
        buf_add_str(&slip->reply, "{\"content\":\"re: ");
        add_prompt(world, slip->body, &slip->reply);
        buf_addf(&slip->head,
                 "{'verb':'result','request':%lld,'fence':%lld,'class':'ok',"
                 "'http_status':200,'text_at':%zu,'text_bytes':%zu,'sent':1,"
                 "'prompt_tokens':10,'completion_tokens':5,'total_tokens':15,"
                 "'latency_ms':123}",
                 (long long)slip->request, (long long)slip->fence, text_at,
                 slip->reply.bytes - text_at);
        buf_add_str(&slip->reply, "\"}");
    } else {
        world->tally.failures++;
        judge_cause(world, slip->request);
        buf_addf(&slip->head,
                 "{'verb':'result','request':%lld,'fence':%lld,'class':'%s',"
                 "'http_status':%d,'code':'its_code','message':'its message',"
                 "'wait_ms':%lld,'sent':1}",
                 (long long)slip->request, (long long)slip->fence,
                 fate->class_name, fate->http_status, (long long)fate->wait_ms);
    }
    world_tell(world, "worker %d: request %lld ends: %s %d",
               (int)(worker - world->workers), (long long)slip->request,
               fate->class_name, fate->http_status);
    if (worker->is_welcome)
        send_report(world, worker, slip);
    tell_slots(world, worker);
}

/* ---- reading ---- */

static int64_t
int_of(struct world *world, const struct wire *wire, const char *name)
{
    int64_t value;

    if (wire_int(wire, name, wire_range(0, WIRE_INT_MAX), &value, NULL) < 0)
        world_fail(world, "a worker was told no %s", name);
    return value;
}

static int
where_of(struct world *world, const struct wire *wire)
{
    const char *name;

    if (wire_str(wire, "upstream", 64, NULL, &name, NULL) < 0)
        world_fail(world, "a lease without an upstream");
    return weather_find(name);
}

static void
take_lease(struct world *world, struct worker *worker, const struct wire *wire)
{
    struct slip slip = {
        .request = int_of(world, wire, "request"),
        .fence = int_of(world, wire, "fence"),
        .timeout_ms = int_of(world, wire, "timeout_ms"),
        .since_ms = world->now_ms,
        .body = mem_dup(wire->body.data, wire->body.bytes),
    };
    struct slip *held = NULL;

    slip.where = where_of(world, wire);
    judge_taken(world, slip.request, slip.fence);
    for (size_t i = 0; i < worker->slip_count; i++) {
        if (worker->slips[i].request == slip.request &&
            worker->slips[i].state != SLIP_REPORTED) {
            held = &worker->slips[i];
        }
    }
    /* The lease was taken for lost: what runs goes on under the new fence. */
    if (held && held->state == SLIP_RUNNING &&
        strcmp(held->body, slip.body) == 0) {
        held->fence = slip.fence;
        free(slip.body);
        return;
    }
    if (held)
        give_up(world, worker, held);
    slip.length_ms = slip.timeout_ms > world->conf.lease_ms
                         ? slip.timeout_ms
                         : world->conf.lease_ms;
    if (worker->slip_count == worker->slip_capacity) {
        worker->slip_capacity = worker->slip_capacity * 2 + 8;
        worker->slips = mem_grow(worker->slips, worker->slip_capacity,
                                 sizeof(worker->slips[0]));
    }
    worker->slips[worker->slip_count++] = slip;
    if (worker->beat_ms > world->now_ms + world->conf.heartbeat_ms)
        worker->beat_ms = world->now_ms + world->conf.heartbeat_ms;
}

static void
take_away(struct world *world, struct worker *worker, const struct wire *wire,
          const char *name, bool only_waiting)
{
    const cJSON *list = wire_get(wire, name), *item;

    cJSON_ArrayForEach(item, list)
    {
        struct slip *slip;
        int64_t pair[2];

        if (wire_tuple(item, 2, pair) < 0)
            world_fail(world, "%s: not pairs", name);
        slip = find(worker, pair[0], pair[1]);
        if (!slip || slip->state == SLIP_REPORTED)
            continue;
        if (!only_waiting) {
            give_up(world, worker, slip);
        } else if (slip->state == SLIP_WAITING) {
            wire_say(world, &worker->link, (struct slice){ 0 },
                     "{'verb':'release','held':[[%lld,%lld]]}",
                     (long long)pair[0], (long long)pair[1]);
            forget(world, worker, slip);
        }
    }
}

static void
be_trusted(struct worker *worker)
{
    if (worker->sent_ms != 0)
        worker->trusted_ms = worker->sent_ms;
    worker->sent_ms = 0;
}

static void
be_welcomed(struct world *world, struct worker *worker, const struct wire *wire)
{
    take_away(world, worker, wire, "drop", false);
    worker->slots = int_of(world, wire, "slots");
    worker->word = int_of(world, wire, "word");
    worker->must_tell = true;
    worker->is_welcome = true;
    be_trusted(worker);
    worker->beat_ms = world->now_ms + world->conf.heartbeat_ms;
    for (size_t i = 0; i < worker->slip_count; i++) {
        if (worker->slips[i].state == SLIP_REPORTED)
            send_report(world, worker, &worker->slips[i]);
    }
}

static void
be_confirmed(struct world *world, struct worker *worker,
             const struct wire *wire)
{
    struct slip *slip = find(worker, int_of(world, wire, "request"),
                             int_of(world, wire, "fence"));

    if (slip && slip->state == SLIP_REPORTED)
        forget(world, worker, slip);
}

static void
obey(struct world *world, struct worker *worker, const struct wire *wire)
{
    const char *verb = wire_verb(wire);

    if (strcmp(verb, "welcome") == 0) {
        be_welcomed(world, worker, wire);
    } else if (strcmp(verb, "rehello") == 0) {
        if (worker->is_welcome)
            hello(world, worker);
    } else if (strcmp(verb, "slots") == 0) {
        worker->slots = int_of(world, wire, "count");
        worker->word = int_of(world, wire, "word");
        worker->must_tell = true;
    } else if (strcmp(verb, "lease") == 0) {
        take_lease(world, worker, wire);
    } else if (strcmp(verb, "confirmed") == 0) {
        be_confirmed(world, worker, wire);
    } else if (strcmp(verb, "cancel") == 0) {
        take_away(world, worker, wire, "requests", false);
    } else if (strcmp(verb, "recall") == 0) {
        take_away(world, worker, wire, "requests", true);
    } else if (strcmp(verb, "drain") == 0) {
        worker->is_draining = true;
    } else {
        be_trusted(worker);
    }
}

static void
read_one(struct world *world, struct worker *worker)
{
    struct mail mail;
    struct wire wire;
    struct err err = { 0 };

    if (!wire_take(&worker->link, &mail))
        return;
    if (wire_parse(&wire, buf_slice(&mail.head), buf_slice(&mail.body), &err) <
        0) {
        world_fail(world, "a worker was told something odd: %s", err.msg);
    }
    world_tell(world, "worker %d: told %.200s", (int)(worker - world->workers),
               mail.head.data);
    if (!worker->is_liar)
        obey(world, worker, &wire);
    tell_slots(world, worker);
    wire_fini(&wire);
    mail_fini(&mail);
}

/* ---- time ---- */

static void
start_calls(struct world *world, struct worker *worker)
{
    for (size_t i = 0; i < worker->slip_count; i++) {
        struct slip *slip = &worker->slips[i];

        if (slip->state != SLIP_WAITING)
            continue;
        if (running(worker) >= worker->slots || !worker->is_welcome ||
            worker->is_draining || world->now_ms < worker->start_ms) {
            return;
        }
        slip->state = SLIP_RUNNING;
        slip->is_at_upstream = true;
        slip->fate = choose_fate(world, slip);
        wire_say(world, &worker->link, (struct slice){ 0 },
                 "{'verb':'started','held':[[%lld,%lld]]}",
                 (long long)slip->request, (long long)slip->fence);
        world->in_flight++;
        world->tally.calls++;
        world_tell(world, "worker %d: calls request %lld",
                   (int)(worker - world->workers), (long long)slip->request);
        judge_call(world, slip->request);
    }
}

static bool
is_over(const struct world *world, const struct worker *worker,
        const struct slip *slip)
{
    int64_t from_ms = worker->trusted_ms > slip->since_ms ? worker->trusted_ms
                                                          : slip->since_ms;

    return world->now_ms >= from_ms + slip->length_ms;
}

/* In calm, one that holds nothing is not worth waking up for. */
static int64_t
beat_pause_ms(const struct world *world, const struct worker *worker)
{
    return world->is_calm && worker->slip_count == 0 ? IDLE_MS
                                                     : world->conf.heartbeat_ms;
}

static void
tick(struct world *world, struct worker *worker)
{
    for (size_t i = worker->slip_count; i > 0; i--) {
        struct slip *slip = &worker->slips[i - 1];

        if (slip->state == SLIP_RUNNING && world->now_ms >= slip->fate.end_ms)
            report(world, worker, slip);
        else if (slip->state != SLIP_REPORTED && is_over(world, worker, slip))
            give_up(world, worker, slip);
    }
    if (world->now_ms >= worker->beat_ms) {
        /* A loop that runs reads, too: else it would not list what it has. */
        while (worker->link.from_broker.count)
            read_one(world, worker);
        worker->beat_ms = world->now_ms + beat_pause_ms(world, worker);
        beat(world, worker);
    }
    if (!worker->link.is_up && world->now_ms >= worker->back_ms)
        hello(world, worker);
    start_calls(world, worker);
    tell_slots(world, worker);
}

void
workers_tick(struct world *world)
{
    for (int i = 0; i < WORLD_WORKERS; i++) {
        struct worker *worker = &world->workers[i];

        if (!worker->is_alive)
            continue;
        /* The upstream goes on, whether somebody reads its answer or not. */
        for (size_t at = 0; at < worker->slip_count; at++) {
            if (world->now_ms >= worker->slips[at].fate.end_ms)
                leave_upstream(world, &worker->slips[at]);
        }
        if (!is_awake(world, worker))
            continue;
        if (world->is_calm) {
            while (worker->link.from_broker.count)
                read_one(world, worker);
        }
        if (!worker->is_liar)
            tick(world, worker);
    }
}

int64_t
workers_next_ms(const struct world *world)
{
    int64_t next_ms = NEVER;

    for (int i = 0; i < WORLD_WORKERS; i++) {
        const struct worker *worker = &world->workers[i];

        if (!worker->is_alive || worker->is_liar)
            continue;
        if (worker->beat_ms < next_ms)
            next_ms = worker->beat_ms;
        for (size_t at = 0; at < worker->slip_count; at++) {
            const struct slip *slip = &worker->slips[at];

            if (slip->state == SLIP_RUNNING && slip->fate.end_ms < next_ms)
                next_ms = slip->fate.end_ms;
        }
    }
    return next_ms;
}

/* ---- acting ---- */

static void
be_born(struct world *world, struct worker *worker)
{
    struct wire_link link = worker->link;

    free(worker->slips);
    *worker = (struct worker){ .link = link };
    worker->is_alive = true;
    worker->capacity = (uint32_t)dice_between(&world->dice, 1, 6);
    worker->is_liar = !world->is_calm && dice_once_in(&world->dice, 8);
    (void)snprintf(worker->uuid, sizeof(worker->uuid),
                   "%08x-0000-4000-8000-000000000000", ++world->peers);
    world->tally.workers_new++;
    world_tell(world, "worker %d starts%s", (int)(worker - world->workers),
               worker->is_liar ? ", and lies" : "");
    hello(world, worker);
}

/* The process ends; the broker may come to know, through its lock. */
static void
die(struct world *world, struct worker *worker, bool is_seen)
{
    struct err err = { 0 };
    uuid_t id;

    world_tell(world, "worker %d dies%s", (int)(worker - world->workers),
               is_seen ? "" : ", unseen");
    wire_cut(world, &worker->link);
    while (worker->slip_count)
        give_up(world, worker, &worker->slips[0]);
    worker->is_alive = false;
    if (!is_seen) {
        world->tally.workers_unseen++;
        return;
    }
    world->tally.workers_killed++;
    if (uuid_parse(worker->uuid, id) != 0 ||
        store_begin(world->store, world->now_ms, &err) < 0) {
        world_fail(world, "a death cannot be told: %s", err.msg);
    }
    broker_worker_died(world->broker, id, world->now_ms);
    if (store_commit(world->store, &err) < 0)
        world_fail(world, "commit: %s", err.msg);
    judge_commit(world);
}

static void
lie(struct world *world, struct worker *liar)
{
    struct dice *dice = &world->dice;
    int request = (int)dice_between(dice, 1, 20);
    int fence = (int)dice_between(dice, 0, 3);

    world->tally.lies++;
    switch (dice_roll(dice, 5)) {
    case 0:
        wire_say(world, &liar->link, (struct slice){ 0 },
                 "{'verb':'beat','held':[[%d,%d,1],[%d,1,0]]}", request, fence,
                 request + 1);
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
        break;
    default:
        hello(world, liar);
    }
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
    if (!is_awake(world, worker))
        return;
    if (what < 2) {
        die(world, worker, !dice_once_in(&world->dice, 3));
    } else if (worker->is_liar) {
        lie(world, worker);
    } else if (what < 4) {
        world->tally.workers_frozen++;
        worker->frozen_ms =
            world->now_ms + dice_between(&world->dice, 1000, 60000);
        /* Its leases may be lost before it knows. */
        for (size_t i = 0; i < worker->slip_count; i++)
            judge_cause(world, worker->slips[i].request);
        world_tell(world, "worker %d freezes", (int)(worker - world->workers));
    } else if (what < 6) {
        world->tally.workers_cut++;
        world_tell(world, "worker %d is cut off",
                   (int)(worker - world->workers));
        wire_cut(world, &worker->link);
        worker->is_welcome = false;
        worker->back_ms = world->now_ms + dice_between(&world->dice, 0, 60000);
    } else if (what < 8) {
        worker->start_ms = world->now_ms + dice_between(&world->dice, 0, 6000);
    } else if (what == 8) {
        world->tally.workers_left++;
        wire_say(world, &worker->link, (struct slice){ 0 }, "{'verb':'bye'}");
        while (worker->slip_count)
            give_up(world, worker, &worker->slips[0]);
        worker->is_alive = false;
    }
}

void
workers_read(struct world *world)
{
    for (int i = 0; i < WORLD_WORKERS; i++) {
        struct worker *worker = &world->workers[i];

        if (!is_awake(world, worker))
            continue;
        for (uint64_t count = dice_roll(&world->dice, 8); count > 0; count--)
            read_one(world, worker);
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
            die(world, &world->workers[i], true);
    }
    be_born(world, &world->workers[0]);
}

void
workers_free(struct world *world)
{
    for (int i = 0; i < WORLD_WORKERS; i++) {
        while (world->workers[i].slip_count)
            forget(world, &world->workers[i], &world->workers[i].slips[0]);
        free(world->workers[i].slips);
    }
}
