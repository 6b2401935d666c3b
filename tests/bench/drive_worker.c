/*
 * drive_worker.c - workers of Sheaf that answer at once
 *
 *   drive_worker complete ENDPOINT --clients WORKERS --window CAPACITY
 *
 * They speak the protocol as sheaf-worker does, but call nobody: what a lease
 * asks for is answered with a completion of --bytes made up on the spot. So
 * what is measured is the broker. Together they do --count, whoever gets them,
 * until the last is confirmed, and give back what they have beyond. TARGET is
 * the endpoint for workers.
 */
/* SPDX-License-Identifier: MIT */
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/pack.h"
#include "base/pack_dictionary.h"
#include "queue/link.h"
#include "queue/wire.h"
#include "tests/bench/drive.h"

#define UUID_BYTES       37
#define FRAME_BYTES_MAX  (INT64_C(16) << 20)
#define QUEUE_MAX        100000
#define WAIT_MS          20
#define CONNECT_MS       20000
#define LEASES_MAX       1024 /* held at one time; more are a broken broker */
#define HEARTBEAT_MS_MAX 600000

struct lease {
    int64_t request, fence;
};

struct hand {
    struct drive_client *client;
    struct link *link;
    char uuid[UUID_BYTES];
    struct lease waiting[LEASES_MAX]; /* not begun: no slot, or all is done */
    size_t waiting_count;
    int64_t slots, word; /* what the broker lent last */
    int64_t heartbeat_ms, beat_ms;
    struct buf head, body, out, reply; /* in, in, out, out */
    struct buf bodies;                 /* of the results that are sent */
    struct packer *packer;             /* of these */
};

/* Of all workers. */
static struct link_context *context;
static atomic_llong begun_all, confirmed_all;

/* True if there is one more to be done. */
static bool
begin_one(const struct drive *drive)
{
    if (atomic_fetch_add(&begun_all, 1) < drive->count)
        return true;
    (void)atomic_fetch_sub(&begun_all, 1);
    return false;
}

/* Sends the header that is written. */
static void
say_out(struct hand *hand, struct slice body)
{
    int64_t end_ms = clock_mono_ms() + CONNECT_MS;
    int rc;

    while ((rc = link_send(hand->link, NULL, buf_slice(&hand->out), body)) <
           0) {
        struct pollfd poll_fd = { link_fd(hand->link), POLLIN, 0 };

        if (clock_mono_ms() > end_ms)
            log_fatal("event=not_sent error=\"%s\"", err_text(rc));
        (void)poll(&poll_fd, 1, 1);
    }
}

static void
say(struct hand *hand, cJSON *head)
{
    buf_reset(&hand->out);
    wire_print(head, &hand->out);
    say_out(hand, (struct slice){ NULL, 0 });
}

static void
say_hello(struct hand *hand)
{
    cJSON *head = wire_new("hello");

    wire_add_int(head, "protocol", WIRE_PROTOCOL);
    wire_add_str(head, "worker", hand->uuid);
    wire_add_str(head, "name", "bench");
    wire_add_int(head, "pid", getpid());
    wire_add_int(head, "nth", 1);
    wire_add_int(head, "capacity", hand->client->drive->window);
    wire_add_int(head, "slots", 0);
    wire_add_array(head, "held");
    say(hand, head);
}

static void
say_held(struct hand *hand, const char *verb)
{
    cJSON *head = wire_new(verb), *held = wire_add_array(head, "held");

    for (size_t i = 0; i < hand->waiting_count; i++) {
        const struct lease *lease = &hand->waiting[i];

        if (strcmp(verb, "beat") == 0)
            wire_add_triple(held, lease->request, lease->fence, 0);
        else
            wire_add_pair(held, lease->request, lease->fence);
    }
    if (strcmp(verb, "beat") == 0)
        wire_add_int(head, "slots", hand->slots);
    say(hand, head);
}

static void
say_slots(struct hand *hand)
{
    cJSON *head = wire_new("slots");

    wire_add_int(head, "count", hand->slots);
    wire_add_int(head, "word", hand->word);
    say(hand, head);
}

static void
add_result(struct hand *hand, const struct lease *lease)
{
    struct buf *out = &hand->out;
    size_t bytes = hand->bodies.bytes;
    struct slice text;

    drive_result(hand->client, lease->request, &hand->reply, &text);
    wire_begin_item(out, "request", lease->request);
    wire_put_int(out, "fence", lease->fence);
    wire_put_str(out, "upstream", "bench");
    wire_put_str(out, "class", "ok");
    wire_put_int(out, "http_status", 200);
    wire_put_str(out, "shape", "chat");
    wire_put_str(out, "model", "bench");
    wire_put_str(out, "finish", "stop");
    wire_put_int(out, "prompt_tokens", 256);
    wire_put_int(out, "completion_tokens", 200);
    wire_put_int(out, "total_tokens", 456);
    wire_put_int(out, "latency_ms", 1);
    wire_put_int(out, "text_at", text.data - hand->reply.data);
    wire_put_int(out, "text_bytes", (int64_t)text.bytes);
    wire_put_int(out, "sent", 1);
    pack_add(hand->packer, buf_slice(&hand->reply), &hand->bodies);
    bytes = hand->bodies.bytes - bytes;
    if (bytes < hand->reply.bytes)
        wire_put_int(out, "unpacked_bytes", (int64_t)hand->reply.bytes);
    wire_put_int(out, "bytes", (int64_t)bytes);
    wire_end(out);
}

/* Says that calls are started, and what came of the ones that the slots had
 * before: both are told at the same time, as sheaf-worker does. */
static void
say_turn(struct hand *hand, const struct lease *started, size_t starts,
         const struct lease *ended, size_t ends)
{
    struct buf *out = &hand->out;

    buf_reset(out);
    buf_reset(&hand->bodies);
    wire_begin(out, "turn");
    if (starts > 0)
        wire_put_name(out, "started");
    for (size_t i = 0; i < starts; i++) {
        buf_add_char(out, i == 0 ? '[' : ',');
        wire_put_pair(out, started[i].request, started[i].fence);
    }
    if (starts > 0)
        buf_add_char(out, ']');
    if (ends > 0)
        wire_put_name(out, "results");
    for (size_t i = 0; i < ends; i++) {
        buf_add_char(out, i == 0 ? '[' : ',');
        add_result(hand, &ended[i]);
    }
    if (ends > 0)
        buf_add_char(out, ']');
    wire_end(out);
    say_out(hand, buf_slice(&hand->bodies));
}

/* Answers what came, as many at a time as there are slots. */
static void
work(struct hand *hand)
{
    size_t done = 0, running = 0, turn;

    do {
        size_t max = hand->waiting_count - done - running;

        if (max > (size_t)hand->slots)
            max = (size_t)hand->slots;
        turn = 0;
        while (turn < max && begin_one(hand->client->drive))
            turn++;
        if (turn + running > 0) {
            say_turn(hand, &hand->waiting[done + running], turn,
                     &hand->waiting[done], running);
        }
        done += running;
        running = turn;
    } while (turn > 0);
    hand->waiting_count -= done;
    memmove(hand->waiting, hand->waiting + done,
            hand->waiting_count * sizeof(hand->waiting[0]));
}

static int64_t
number_of(const struct wire *wire, const char *name, int64_t max)
{
    struct err err = { 0 };
    int64_t value;

    if (wire_int(wire, name, wire_range(0, max), &value, &err) < 0)
        log_fatal("event=bad_message error=\"%s\"", err.msg);
    return value;
}

static void
take_turn(struct hand *hand, const struct wire *wire)
{
    struct wire_list list;
    struct err err = { 0 };
    struct wire item;

    if (wire_list(wire, "confirmed", &list, &err) < 0)
        log_fatal("event=bad_message error=\"%s\"", err.msg);
    while (wire_next(&list, &item)) {
        hand->client->end_us = clock_mono_us();
        (void)atomic_fetch_add(&confirmed_all, 1);
    }
    if (wire_list(wire, "leases", &list, &err) < 0)
        log_fatal("event=bad_message error=\"%s\"", err.msg);
    while (wire_next(&list, &item)) {
        if (hand->waiting_count == LEASES_MAX)
            log_fatal("event=too_many_leases max=%d", LEASES_MAX);
        hand->waiting[hand->waiting_count++] =
            (struct lease){ number_of(&item, "request", WIRE_INT_MAX),
                            number_of(&item, "fence", WIRE_INT_MAX) };
    }
}

static void
handle(struct hand *hand, const struct wire *wire)
{
    const char *verb = wire_verb(wire);

    if (strcmp(verb, "turn") == 0) {
        take_turn(hand, wire);
    } else if (strcmp(verb, "slots") == 0) {
        hand->slots = number_of(wire, "count", LEASES_MAX);
        hand->word = number_of(wire, "word", WIRE_INT_MAX);
        say_slots(hand);
    } else if (strcmp(verb, "welcome") == 0) {
        hand->slots = number_of(wire, "slots", LEASES_MAX);
        hand->word = number_of(wire, "word", WIRE_INT_MAX);
        hand->heartbeat_ms = number_of(wire, "heartbeat_ms", HEARTBEAT_MS_MAX);
        hand->beat_ms = clock_mono_ms() + hand->heartbeat_ms;
        say_slots(hand);
    } else if (strcmp(verb, "rehello") == 0) {
        log_fatal("event=rehello reason=\"the broker was started again\"");
    }
}

static bool
take(struct hand *hand)
{
    bool has_any = false;
    int rc;

    while ((rc = link_recv(hand->link, NULL, &hand->head, &hand->body)) != 1) {
        struct wire wire;
        struct err err = { 0 };

        if (rc < 0 || wire_read(&wire, buf_slice(&hand->head),
                                buf_slice(&hand->body), &err) < 0) {
            log_fatal("event=bad_message error=\"%s\"", err.msg);
        }
        handle(hand, &wire);
        wire_fini(&wire);
        has_any = true;
    }
    return has_any;
}

static void
serve(struct hand *hand)
{
    long long seen = 0;
    int64_t seen_ms = clock_mono_ms();

    while (atomic_load(&confirmed_all) < hand->client->drive->count) {
        struct pollfd poll_fd = { link_fd(hand->link), POLLIN, 0 };
        int64_t now_ms = clock_mono_ms();

        work(hand);
        if (hand->heartbeat_ms && now_ms >= hand->beat_ms) {
            say_held(hand, "beat");
            hand->beat_ms = now_ms + hand->heartbeat_ms;
        }
        if (seen != atomic_load(&confirmed_all)) {
            seen = atomic_load(&confirmed_all);
            seen_ms = now_ms;
        }
        if (now_ms - seen_ms > DRIVE_PATIENCE_MS)
            log_fatal("event=nothing_confirmed so_far=%lld", seen);
        if (take(hand))
            continue;
        (void)poll(&poll_fd, 1, WAIT_MS);
    }
}

static void
run_complete(struct drive_client *client)
{
    struct link_limits limits = { FRAME_BYTES_MAX, QUEUE_MAX };
    struct hand hand = { .client = client, .packer = packer_new() };
    struct err err = { 0 };
    uuid_t uuid;

    packer_set_dictionary(hand.packer, PACK_DICTIONARY);
    uuid_generate(uuid);
    uuid_unparse_lower(uuid, hand.uuid);
    hand.link = link_connect(context, client->drive->target, limits, &err);
    if (!hand.link)
        log_fatal("event=no_broker error=\"%s\"", err.msg);
    drive_ready(client);
    say_hello(&hand);
    serve(&hand);
    say_held(&hand, "release");
    say(&hand, wire_new("bye"));
    link_close(hand.link, CONNECT_MS);
    buf_fini(&hand.head);
    buf_fini(&hand.body);
    buf_fini(&hand.out);
    buf_fini(&hand.reply);
    buf_fini(&hand.bodies);
    packer_free(hand.packer);
}

int
main(int argc, char **argv)
{
    static const struct drive_verb verbs[] = { { "complete", run_complete },
                                               { NULL, NULL } };
    int code;

    context = link_context_new();
    code = drive_main(argc, argv, verbs);
    link_context_free(context);
    return code;
}
