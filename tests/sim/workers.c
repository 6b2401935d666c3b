/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "queue/wire.h"
#include "tests/sim/world.h"

#define NEVER       INT64_MAX
#define IDLE_MS     600000
#define BYE_MS      2000   /* for the last reports of one that drains */
#define HANG_MS     900000 /* of a call that nobody gives up */
#define USAGE_BYTES 100

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
choose_fate(struct world *world, struct slip *slip)
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
    if (slip->state != SLIP_WAITING) {
        judge_cause(world, slip->request);
        judge_loss(world, slip->request);
    }
    forget(world, worker, slip);
}

void
worker_give_up_all(struct world *world, struct worker *worker)
{
    while (worker->slip_count)
        give_up(world, worker, &worker->slips[0]);
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
        forget(world, worker, slip);
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
    give_up(world, worker, slip);
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

bool
worker_is_awake(const struct world *world, const struct worker *worker)
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

void
worker_hello_again(struct world *world, struct worker *worker)
{
    struct buf held = { 0 }, more = { 0 };
    int number = (int)(worker - world->workers);

    wire_connect(world, &worker->link);
    worker->is_welcome = false;
    worker->sent_ms = world->now_ms;
    add_held(worker, &held);
    hooks_add_hello(world, worker, &more);
    wire_say(world, &worker->link, (struct slice){ 0 },
             "{'verb':'hello','protocol':1,'worker':'%s','name':'w%d',"
             "'host':'sim','pid':%d,'lock':'','own':'%s','nth':%d,"
             "'capacity':%u,'slots':%lld,'leaving':%s,'held':[%s]%s}",
             worker->uuid, number, number + 1, worker->is_own ? "sim" : "",
             ++worker->hellos, worker->capacity, (long long)kept(worker),
             worker->is_draining ? "true" : "false",
             held.bytes ? held.data : "", more.data);
    buf_fini(&held);
    buf_fini(&more);
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
             "{'verb':'beat','slots':%lld,'leaving':%s,'held':[%s]}",
             (long long)kept(worker), worker->is_draining ? "true" : "false",
             held.bytes ? held.data : "");
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

/* What the answer took, if it tells. */
static void
tell_usage(const struct world *world, const char *body, char usage[USAGE_BYTES])
{
    int64_t tokens = world->is_busy ? crowd_usage(world, body) : 15;

    *usage = '\0';
    if (tokens > 0) {
        (void)snprintf(usage, USAGE_BYTES,
                       ",'prompt_tokens':%lld,'completion_tokens':1,"
                       "'total_tokens':%lld",
                       (long long)tokens - 1, (long long)tokens);
    }
}

/* The upstream's answer is in: it is told to the broker. */
static void
report(struct world *world, struct worker *worker, struct slip *slip)
{
    const struct call_fate *fate = &slip->fate;
    bool is_ok = strcmp(fate->class_name, "ok") == 0;
    char usage[USAGE_BYTES];
    size_t text_at = strlen("{\"content\":\"");

    leave_upstream(world, slip);
    slip->state = SLIP_REPORTED;
    /* Messages may be so slow that its lease is lost before it is heard. */
    judge_loss(world, slip->request);
    if (strcmp(fate->class_name, "aborted") != 0)
        judge_report(world, slip->request);
    if (is_ok) {
        world->tally.answers++;
        tell_usage(world, slip->body, usage);
        buf_add_str(&slip->reply, "{\"content\":\"re: ");
        add_prompt(world, slip->body, &slip->reply);
        buf_addf(&slip->head,
                 "{'verb':'result','request':%lld,'fence':%lld,'class':'ok',"
                 "'http_status':200,'text_at':%zu,'text_bytes':%zu,'sent':1,"
                 "'latency_ms':123%s}",
                 (long long)slip->request, (long long)slip->fence, text_at,
                 slip->reply.bytes - text_at, usage);
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
    slip.end_ms = (worker->trusted_ms ? worker->trusted_ms : world->now_ms) +
                  world->conf.lease_run_max_ms;
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
        judge_loss(world, slip.request);
        held->fence = slip.fence;
        held->end_ms = slip.end_ms;
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
give_back(struct world *world, struct worker *worker, struct slip *slip)
{
    wire_say(world, &worker->link, (struct slice){ 0 },
             "{'verb':'release','held':[[%lld,%lld]]}",
             (long long)slip->request, (long long)slip->fence);
    forget(world, worker, slip);
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
            give_back(world, worker, &worker->slips[i - 1]);
    }
}

static void
take_away(struct world *world, struct worker *worker, const struct wire *wire,
          const char *name, bool only_waiting)
{
    struct wire_list list;
    struct wire item;

    if (wire_list(wire, name, &list, NULL) < 0)
        world_fail(world, "%s: no list", name);
    while (wire_next(&list, &item)) {
        struct slip *slip;
        int64_t pair[2];

        if (wire_integers(&item, 2, 0, pair) < 0)
            world_fail(world, "%s: not pairs", name);
        slip = find(worker, pair[0], pair[1]);
        if (!slip || slip->state == SLIP_REPORTED)
            continue;
        if (!only_waiting) {
            give_up(world, worker, slip);
        } else if (slip->state == SLIP_WAITING) {
            give_back(world, worker, slip);
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

/* A lease that beats leave out is lost with the second of them; the first that
 * is answered may have been sent before. */
static void
count_beats(struct world *world, struct worker *worker)
{
    if (worker->gone_request == 0 || ++worker->gone_beats < 3)
        return;
    judge_gone(world, worker->gone_request, worker->gone_fence);
    worker->gone_request = 0;
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
    hooks_tell(world, worker);
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
            worker_hello_again(world, worker);
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
    } else if (strcmp(verb, "post") == 0) {
        hooks_take(world, worker, wire);
    } else if (strcmp(verb, "noted") == 0) {
        hooks_noted(worker, int_of(world, wire, "delivery"),
                    int_of(world, wire, "attempt"));
    } else if (strcmp(verb, "drain") == 0) {
        worker_drain(world, worker, true);
    } else {
        be_trusted(worker);
        count_beats(world, worker);
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
    if (wire_read(&wire, buf_slice(&mail.head), buf_slice(&mail.body), &err) <
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
        if (running(worker) >= worker->slots || !worker->is_welcome ||
            worker->is_draining || world->now_ms < worker->start_ms) {
            return;
        }
        if (world->now_ms + slip->timeout_ms > slip->end_ms) {
            give_back(world, worker, slip);
            i--;
            continue;
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
        be_poisoned(world, worker, slip);
        worker->is_unlucky |= !world->is_calm && dice_once_in(&world->dice, 25);
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
            report(world, worker, slip);
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
    if (worker->is_welcome && worker->link.is_up && !worker->must_tell &&
        worker->link.to_broker.count == 0 &&
        worker->link.from_broker.count == 0 && world->outbox.count == 0 &&
        world->stray.count == 0) {
        judge_slots(world, worker->uuid, worker->slots_told);
    }
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
        worker_hello_again(world, worker);
    hooks_tick(world, worker);
    start_calls(world, worker);
    tell_slots(world, worker);
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
                leave_upstream(world, &worker->slips[at]);
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
                read_one(world, worker);
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
            read_one(world, worker);
    }
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
