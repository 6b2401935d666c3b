/* What workers say, and what they make of what they are told. */
/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "queue/wire.h"
#include "tests/sim/world.h"

#define USAGE_BYTES     100
#define HELLO_REPEAT_MS 1000

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
    wire_connect(world, &worker->link);
    worker->is_welcome = false;
    worker->sent_ms = world->now_ms;
    worker_say_hello(world, worker);
}

void
worker_say_hello(struct world *world, struct worker *worker)
{
    struct buf held = { 0 }, more = { 0 };
    int number = (int)(worker - world->workers);

    worker->hello_ms = world->now_ms + HELLO_REPEAT_MS;
    add_held(worker, &held);
    hooks_add_hello(world, worker, &more);
    wire_say(world, &worker->link, (struct slice){ 0 },
             "{'verb':'hello','protocol':1,'worker':'%s','name':'w%d',"
             "'host':'sim','pid':%d,'lock':'','own':'%s','nth':%d,"
             "'capacity':%u,'slots':%lld,'leaving':%s,'held':[%s]%s}",
             worker->uuid, number, number + 1, worker->is_own ? "sim" : "",
             ++worker->hellos, worker->capacity, (long long)slips_kept(worker),
             worker->is_draining ? "true" : "false",
             held.bytes ? held.data : "", more.data);
    buf_fini(&held);
    buf_fini(&more);
}

void
worker_say_beat(struct world *world, struct worker *worker)
{
    struct buf held = { 0 };

    if (!worker->is_welcome || worker->sent_ms != 0)
        return;
    world->tally.beats++;
    worker->sent_ms = world->now_ms;
    add_held(worker, &held);
    wire_say(world, &worker->link, (struct slice){ 0 },
             "{'verb':'beat','nth':%lld,'slots':%lld,'leaving':%s,"
             "'held':[%s]}",
             (long long)++worker->beat_number, (long long)slips_kept(worker),
             worker->is_draining ? "true" : "false",
             held.bytes ? held.data : "");
    buf_fini(&held);
}

void
worker_say_slots(struct world *world, struct worker *worker)
{
    if (!worker->is_welcome || worker->is_liar ||
        (!worker->must_tell && slips_kept(worker) == worker->slots_told)) {
        return;
    }
    worker->slots_told = slips_kept(worker);
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
void
worker_say_end(struct world *world, struct worker *worker, struct slip *slip)
{
    const struct call_fate *fate = &slip->fate;
    bool is_ok = strcmp(fate->class_name, "ok") == 0;
    char usage[USAGE_BYTES], model[MODEL_BYTES];
    size_t text_at = strlen("{\"content\":\"");

    slip_leave_upstream(world, slip);
    slip->state = SLIP_REPORTED;
    /* Messages may be so slow that its lease is lost before it is heard. */
    judge_loss(world, slip->request);
    if (strcmp(fate->class_name, "aborted") != 0)
        judge_report(world, slip->request);
    if (is_ok) {
        world->tally.answers++;
        tell_usage(world, slip->body, usage);
        models_of(slip->body, model);
        buf_add_str(&slip->reply, "{\"content\":\"re: ");
        add_prompt(world, slip->body, &slip->reply);
        buf_addf(&slip->head,
                 "{'verb':'result','request':%lld,'fence':%lld,'class':'ok',"
                 "'http_status':200,'model':'%s','text_at':%zu,"
                 "'text_bytes':%zu,'sent':1,'latency_ms':123%s}",
                 (long long)slip->request, (long long)slip->fence, model,
                 text_at, slip->reply.bytes - text_at, usage);
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
    worker_say_slots(world, worker);
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
        slip_give_up(world, worker, held);
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

void
worker_give_back(struct world *world, struct worker *worker, struct slip *slip)
{
    wire_say(world, &worker->link, (struct slice){ 0 },
             "{'verb':'release','held':[[%lld,%lld]]}",
             (long long)slip->request, (long long)slip->fence);
    slip_forget(world, worker, slip);
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
        slip = slip_find(worker, pair[0], pair[1]);
        if (!slip || slip->state == SLIP_REPORTED)
            continue;
        if (!only_waiting) {
            slip_give_up(world, worker, slip);
        } else if (slip->state == SLIP_WAITING) {
            worker_give_back(world, worker, slip);
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
    if (!worker->is_welcome) /* else it is the answer to a repeated hello */
        be_trusted(worker);
    worker->is_welcome = true;
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
    struct slip *slip = slip_find(worker, int_of(world, wire, "request"),
                                  int_of(world, wire, "fence"));

    if (slip && slip->state == SLIP_REPORTED)
        slip_forget(world, worker, slip);
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
        if (int_of(world, wire, "nth") == worker->beat_number)
            be_trusted(worker);
        count_beats(world, worker);
    }
}

void
worker_note_refused(struct worker *worker)
{
    worker->lost_word = worker->word;
    worker->sent_ms = 0; /* the next beat is answered */
}

void
worker_read_one(struct world *world, struct worker *worker)
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
    worker_say_slots(world, worker);
    wire_fini(&wire);
    mail_fini(&mail);
}
