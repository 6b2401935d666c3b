/* SPDX-License-Identifier: MIT */
#include "worker/report.h"

#include <unistd.h>

#include "base/log.h"
#include "queue/last_words.h"
#include "queue/wire.h"

#define BODIES_KEEP_BYTES_MAX WIRE_TURN_BYTES_MAX

static int
say_with(struct worker *worker, cJSON *head, struct slice body)
{
    buf_reset(&worker->out);
    wire_print(head, &worker->out);
    return link_send(worker->link, NULL, buf_slice(&worker->out), body);
}

static int
say(struct worker *worker, cJSON *head)
{
    return say_with(worker, head, (struct slice){ NULL, 0 });
}

static int64_t
kept_slots(const struct worker *worker)
{
    size_t in_flight = desk_count(worker->desk, DESK_RUNNING);

    return slots_kept(&worker->slots, (int64_t)in_flight);
}

static void
add_held(const struct worker *worker, cJSON *head)
{
    cJSON *held = wire_add_array(head, "held");
    const struct desk_lease *lease;

    for (size_t i = 0; (lease = desk_at(worker->desk, i)); i++) {
        wire_add_triple(held, lease->request, lease->fence,
                        lease->state != DESK_WAITING);
    }
}

/* The webhooks that it can sign for, and the events that it has. */
static void
add_posts(const struct worker *worker, cJSON *head)
{
    cJSON *names = wire_add_array(head, "webhooks");
    cJSON *posts = wire_add_array(head, "posts");
    const struct conf *conf = worker->conf;
    const struct parcel *parcel;

    for (size_t i = 0; i < conf->webhook_count; i++) {
        if (hooks_has(worker->hooks, i)) {
            cJSON_AddItemToArray(names,
                                 cJSON_CreateString(conf->webhooks[i].name));
        }
    }
    for (size_t i = 0; (parcel = courier_at(worker->courier, i)); i++)
        wire_add_pair(posts, parcel->delivery, parcel->attempt);
}

/* What was counted since the last beat. */
static void
add_tokens(const struct worker *worker, cJSON *head)
{
    struct tokens_count count = tokens_count(worker->tokens);
    cJSON *pair;

    if (count.hits == 0 && count.fetches == 0)
        return;
    pair = wire_add_array(head, "tokens");
    cJSON_AddItemToArray(pair, cJSON_CreateNumber((double)count.hits));
    cJSON_AddItemToArray(pair, cJSON_CreateNumber((double)count.fetches));
}

int
report_hello(struct worker *worker, int64_t now_ms)
{
    const struct identity *identity = &worker->identity;
    cJSON *head = wire_new("hello");
    int rc;

    wire_add_int(head, "protocol", WIRE_PROTOCOL);
    wire_add_str(head, "worker", identity->uuid);
    wire_add_str(head, "name", identity->name);
    wire_add_str(head, "host", identity->host);
    wire_add_int(head, "pid", getpid());
    wire_add_str(head, "lock", identity->lock);
    wire_add_str(head, "own", identity->own);
    wire_add_int(head, "nth", ++worker->hellos);
    wire_add_int(head, "capacity", worker->slots.capacity);
    wire_add_int(head, "slots", kept_slots(worker));
    wire_add_bool(head, "leaving", worker->is_draining);
    add_held(worker, head);
    add_posts(worker, head);
    rc = say(worker, head);
    desk_beats_forget(worker->desk);
    if (rc == 0) {
        desk_beat_sent(worker->desk, now_ms);
        slots_tell(&worker->slots, kept_slots(worker));
    }
    return rc;
}

int
report_beat(struct worker *worker, int64_t now_ms)
{
    uint64_t number = desk_beat_number(worker->desk);
    cJSON *head = wire_new("beat");
    int rc;

    if (number != 0)
        wire_add_int(head, "nth", (int64_t)number);
    wire_add_int(head, "slots", kept_slots(worker));
    wire_add_bool(head, "leaving", worker->is_draining);
    add_held(worker, head);
    add_tokens(worker, head);
    rc = say(worker, head);
    if (rc == 0) {
        desk_beat_sent(worker->desk, now_ms);
        tokens_count_reset(worker->tokens);
    }
    return rc;
}

int
report_slots(struct worker *worker)
{
    cJSON *head = wire_new("slots");
    int64_t kept = kept_slots(worker);
    int rc;

    wire_add_int(head, "count", kept);
    wire_add_int(head, "word", worker->slots.word);
    rc = say(worker, head);
    if (rc == 0)
        slots_tell(&worker->slots, kept);
    return rc;
}

void
report_start(struct worker *worker, const struct desk_lease *lease)
{
    if (worker->starts.bytes > 0)
        buf_add_char(&worker->starts, ',');
    wire_put_pair(&worker->starts, lease->request, lease->fence);
}

/* Results that go into one message. */
struct load {
    struct desk_lease *leases[WIRE_TURN_ITEMS_MAX];
    size_t count;
    size_t at; /* where the next one is looked for */
};

/* Adds results that are due to the header, as many as have room. */
static void
add_results(struct worker *worker, struct load *load, int64_t now_ms)
{
    struct buf *out = &worker->out;
    struct desk_lease *lease;
    size_t bytes = 0;

    while (load->count < WIRE_TURN_ITEMS_MAX &&
           out->bytes + WIRE_ITEM_BYTES_MAX <= WIRE_HEADER_BYTES_MAX &&
           (lease = desk_next_due(worker->desk, &load->at, now_ms))) {
        bytes += lease->result.body.bytes;
        if (load->count > 0 && bytes > WIRE_TURN_BYTES_MAX) {
            load->at--;
            break;
        }
        if (load->count == 0)
            wire_put_name(out, "results");
        buf_add_char(out, load->count == 0 ? '[' : ',');
        result_print(&lease->result, lease->request, lease->fence,
                     lease->upstream, out);
        load->leases[load->count++] = lease;
    }
    if (load->count > 0)
        buf_add_char(out, ']');
}

/* Their bodies, one behind the other. A single one, which may be large, stays
 * where it is. */
static struct slice
join_bodies(struct worker *worker, const struct load *load)
{
    if (load->count == 1)
        return buf_slice(&load->leases[0]->result.body);
    buf_reset(&worker->bodies);
    for (size_t i = 0; i < load->count; i++)
        buf_add_slice(&worker->bodies,
                      buf_slice(&load->leases[i]->result.body));
    return buf_slice(&worker->bodies);
}

static void
note_sent(struct desk_lease *lease, int64_t now_ms)
{
    desk_sent(lease, now_ms);
    if (lease->times_sent > 1) {
        log_warn("event=result_resent request=%lld fence=%lld times=%d",
                 (long long)lease->request, (long long)lease->fence,
                 lease->times_sent);
    }
}

/* A turn begins with the calls that were started. */
static void
begin_turn(struct worker *worker)
{
    struct buf *out = &worker->out;

    buf_reset(out);
    wire_begin(out, "turn");
    if (worker->starts.bytes > 0) {
        wire_put_name(out, "started");
        buf_add_char(out, '[');
        buf_add_slice(out, buf_slice(&worker->starts));
        buf_add_char(out, ']');
    }
}

static int
end_turn(struct worker *worker, struct slice bodies)
{
    wire_end(&worker->out);
    buf_reset(&worker->starts); /* if it is lost, the next beat says so */
    desk_told(worker->desk);
    return link_send(worker->link, NULL, buf_slice(&worker->out), bodies);
}

/* Sends one message, if there is something to be said. 1: there is not. */
static int
send_turn(struct worker *worker, struct load *load, int64_t now_ms)
{
    int rc;

    begin_turn(worker);
    load->count = 0;
    if (worker->is_welcome)
        add_results(worker, load, now_ms);
    if (load->count == 0 && worker->starts.bytes == 0)
        return 1;
    rc = end_turn(worker, join_bodies(worker, load));
    for (size_t i = 0; i < load->count && rc == 0; i++)
        note_sent(load->leases[i], now_ms);
    return rc;
}

/* Only now: while the next calls are under way, and not before they are. */
static void
pack(struct worker *worker)
{
    desk_pack(worker->desk, worker->packer, &worker->bodies);
    if (worker->bodies.capacity > BODIES_KEEP_BYTES_MAX)
        buf_fini(&worker->bodies);
}

int
report_started(struct worker *worker)
{
    const struct slice nothing = { 0 };

    if (worker->starts.bytes == 0)
        return 0;
    begin_turn(worker);
    return end_turn(worker, nothing);
}

int
report_turn(struct worker *worker, int64_t now_ms)
{
    struct load load;
    struct desk_lease *lease;
    int rc;

    pack(worker);
    load.at = load.count = 0;
    do
        rc = send_turn(worker, &load, now_ms);
    while (rc == 0);
    load.at = 0;
    while ((rc < 0 || !worker->is_welcome) &&
           (lease = desk_next_due(worker->desk, &load.at, now_ms))) {
        desk_put_off(lease, now_ms);
    }
    return rc < 0 ? rc : 0;
}

int
report_keep(struct worker *worker, int64_t now_ms)
{
    struct load load = { .count = 0 };
    struct err err = { 0 };
    size_t at;
    int rc;

    pack(worker);
    buf_reset(&worker->out);
    wire_begin(&worker->out, "turn");
    add_results(worker, &load, now_ms);
    wire_end(&worker->out);
    at = load.at;
    if (load.count == 0 || desk_next_due(worker->desk, &at, now_ms))
        return E_FULL;
    rc = last_words_write(worker->identity.lock_fd, buf_slice(&worker->out),
                          join_bodies(worker, &load), &worker->words, &err);
    if (worker->words.capacity > BODIES_KEEP_BYTES_MAX)
        buf_fini(&worker->words);
    if (rc == E_IO) {
        log_warn("event=last_words_refused lock=%s reason=\"%s\"",
                 worker->identity.lock, err.msg);
        worker->window_ms = 0;
    }
    worker->has_words = worker->has_words || rc == 0;
    for (size_t i = 0; i < load.count && rc == 0; i++)
        desk_keep(worker->desk, load.leases[i]);
    return rc;
}

void
report_forget(struct worker *worker)
{
    struct err err = { 0 };

    if (!worker->has_words || desk_kept(worker->desk) > 0)
        return;
    worker->has_words = false;
    /* Repeated, they would be of no use: the broker has had them. */
    if (last_words_clear(worker->identity.lock_fd, &err) < 0)
        log_warn("event=last_words_stay reason=\"%s\"", err.msg);
}

int
report_posted(struct worker *worker, struct parcel *parcel, int64_t now_ms)
{
    static const char *const ends[] = { [PARCEL_OK] = "ok",
                                        [PARCEL_FAILED] = "failed",
                                        [PARCEL_UNMADE] = "unmade" };
    cJSON *head = wire_new("posted");

    wire_add_int(head, "delivery", parcel->delivery);
    wire_add_int(head, "attempt", parcel->attempt);
    wire_add_str(head, "class", ends[parcel->end]);
    wire_add_int(head, "http_status", parcel->http_status);
    wire_add_str(head, "code", parcel->code);
    wire_add_str(head, "message", parcel->message);
    wire_add_int(head, "wait_ms", parcel->wait_ms);
    courier_told(parcel, now_ms);
    return say(worker, head);
}

int
report_refuse(struct worker *worker, int64_t request, int64_t fence)
{
    cJSON *head = wire_new("release");

    wire_add_pair(wire_add_array(head, "held"), request, fence);
    return say(worker, head);
}

int
report_release(struct worker *worker)
{
    cJSON *head = wire_new("release");
    cJSON *held = wire_add_array(head, "held");
    struct desk_lease *lease;
    size_t at = 0;

    while ((lease = desk_at(worker->desk, at))) {
        if (lease->state == DESK_WAITING) {
            wire_add_pair(held, lease->request, lease->fence);
            desk_remove(worker->desk, lease);
        } else {
            at++;
        }
    }
    if (!held->child) {
        cJSON_Delete(head);
        return 0;
    }
    return say(worker, head);
}

int
report_bye(struct worker *worker)
{
    return say(worker, wire_new("bye"));
}
