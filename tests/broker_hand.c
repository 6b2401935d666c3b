/* SPDX-License-Identifier: MIT */
#include "tests/broker_hand.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#include "base/mem.h"
#include "queue/wire.h"

/* ---- life ---- */

struct hand *
hand_new(struct bench *bench, uint32_t capacity)
{
    struct hand *hand = mem_zalloc(1, sizeof(*hand));

    cr_assert_lt(bench->hand_count, BENCH_HANDS_MAX);
    hand->bench = bench;
    hand->number = (int)bench->hand_count + 1;
    hand->capacity = capacity;
    hand->is_alive = true;
    hand->beats = true;
    (void)snprintf(hand->uuid, sizeof(hand->uuid),
                   "%08x-0000-4000-8000-000000000000",
                   (unsigned)++bench->peer_count);
    bench->hands[bench->hand_count++] = hand;
    hand_hello(hand);
    return hand;
}

static void
drop_parcel(struct hand *hand, size_t nth)
{
    struct parcel *parcel = &hand->parcels[nth];

    free(parcel->webhook);
    free(parcel->url);
    free(parcel->id);
    free(parcel->body);
    hand->parcel_count--;
    memmove(parcel, parcel + 1,
            (hand->parcel_count - nth) * sizeof(hand->parcels[0]));
}

void
hand_free(struct hand *hand)
{
    for (size_t i = 0; i < hand->slip_count; i++)
        slip_fini(&hand->slips[i]);
    for (size_t i = 0; i < hand->letter_count; i++) {
        buf_fini(&hand->letters[i].head);
        buf_fini(&hand->letters[i].body);
    }
    while (hand->parcel_count)
        drop_parcel(hand, 0);
    free(hand->parcels);
    free(hand->slips);
    free(hand->letters);
    free(hand);
}

void
hand_send(struct hand *hand, struct slice head, struct slice body)
{
    if (hand->is_alive && hand->is_connected)
        bench_post(hand->bench, SIDE_WORKERS, &hand->peer, head, body);
}

void
hand_say(struct hand *hand, const char *fmt, ...)
{
    char text[4096];
    va_list args;
    int bytes;

    va_start(args, fmt);
    bytes = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    cr_assert(bytes > 0 && bytes < (int)sizeof(text));
    for (char *at = text; *at; at++) {
        if (*at == '\'')
            *at = '"';
    }
    hand_send(hand, slice_of(text), (struct slice){ 0 });
}

static int64_t
kept(const struct hand *hand)
{
    int64_t count = (int64_t)hand_count(hand, SLIP_RUNNING);

    return count > hand->slots ? count : hand->slots;
}

static void
add_held(const struct hand *hand, struct buf *head)
{
    buf_add_str(head, "\"held\":[");
    for (size_t i = 0; i < hand->slip_count; i++) {
        const struct slip *slip = &hand->slips[i];

        buf_addf(head, "%s[%lld,%lld,%d]", i ? "," : "",
                 (long long)slip->request, (long long)slip->fence,
                 slip->state != SLIP_WAITING);
    }
    buf_add_char(head, ']');
}

static void
lose_letters(struct hand *hand)
{
    for (size_t i = 0; i < hand->letter_count; i++) {
        buf_fini(&hand->letters[i].head);
        buf_fini(&hand->letters[i].body);
    }
    hand->letter_count = 0;
}

/* It has the secrets of all that are configured. */
static void
add_webhooks(const struct hand *hand, struct buf *head)
{
    const struct conf *conf = &hand->bench->conf;

    buf_add_str(head, ",\"webhooks\":[");
    for (size_t i = 0; i < conf->webhook_count && !hand->has_no_secrets; i++)
        buf_addf(head, "%s\"%s\"", i ? "," : "", conf->webhooks[i].name);
    buf_add_str(head, "],\"posts\":[");
    for (size_t i = 0; i < hand->parcel_count; i++) {
        buf_addf(head, "%s[%lld,%lld]", i ? "," : "",
                 (long long)hand->parcels[i].delivery,
                 (long long)hand->parcels[i].attempt);
    }
    buf_add_char(head, ']');
}

void
hand_hello(struct hand *hand)
{
    struct buf head = { 0 };
    int number = ++hand->bench->peer_count;

    if (!hand->is_alive)
        return;
    lose_letters(hand);
    memset(&hand->peer, 0, sizeof(hand->peer));
    hand->peer.id[0] = 9;
    hand->peer.id[1] = (unsigned char)(number >> 16);
    hand->peer.id[2] = (unsigned char)(number >> 8);
    hand->peer.id[3] = (unsigned char)number;
    hand->peer.bytes = 5;
    hand->is_connected = true;
    hand->is_welcome = false;
    hand->sent_ms = hand->bench->now_ms;
    buf_addf(
        &head,
        "{\"verb\":\"hello\",\"protocol\":1,\"worker\":\"%s\",\"name\":"
        "\"w%d\",\"host\":\"" BENCH_HOST "\",\"pid\":%d,\"lock\":\"\","
        "\"own\":\"" BENCH_OWN "\",\"nth\":%d,\"capacity\":%u,\"slots\":%lld,"
        "\"leaving\":%s,",
        hand->uuid, hand->number, hand->number, ++hand->hellos, hand->capacity,
        (long long)kept(hand), hand->is_draining ? "true" : "false");
    add_held(hand, &head);
    add_webhooks(hand, &head);
    buf_add_char(&head, '}');
    hand_send(hand, buf_slice(&head), (struct slice){ 0 });
    buf_fini(&head);
}

void
hand_disconnect(struct hand *hand)
{
    hand->is_connected = false;
    hand->is_welcome = false;
    lose_letters(hand);
}

void
hand_die(struct hand *hand)
{
    hand_disconnect(hand);
    hand->is_alive = false;
    hand->beats = false;
    while (hand->slip_count)
        hand_forget(hand, &hand->slips[0]);
}

void
hand_kill(struct hand *hand)
{
    struct bench *bench = hand->bench;
    struct err err = { 0 };
    uuid_t id;

    bench_run(bench); /* what it has said before arrives */
    cr_assert_eq(uuid_parse(hand->uuid, id), 0);
    hand_die(hand);
    cr_assert_eq(store_begin(bench->store, bench->now_ms, &err), 0);
    broker_worker_died(bench->broker, id, bench->now_ms);
    cr_assert_eq(store_commit(bench->store, &err), 0);
    bench_run(bench);
}

void
hand_bye(struct hand *hand)
{
    hand_say(hand, "{'verb':'bye'}");
    hand->is_welcome = false;
    hand->beats = false;
}

/* ---- reading ---- */

char *
hand_text(const struct wire *wire, const char *name)
{
    const char *text;

    cr_assert_eq(wire_str(wire, name, 2048, NULL, &text, NULL), 0);
    return mem_dup_str(text);
}

int64_t
hand_int(const struct wire *wire, const char *name)
{
    int64_t value;

    cr_assert_eq(
        wire_int(wire, name, wire_range(0, WIRE_INT_MAX), &value, NULL), 0,
        "%s", name);
    return value;
}

/* The broker has heard what was sent then: leases run from there. */
static void
be_trusted(struct hand *hand)
{
    if (hand->sent_ms != 0)
        hand->trusted_ms = hand->sent_ms;
    hand->sent_ms = 0;
}

/* The answer to another beat, which a test has said by hand, has no number. */
static void
be_answered(struct hand *hand, const struct wire *wire)
{
    int64_t number = 0;

    cr_assert_eq(
        wire_int(wire, "nth", wire_range_or(1, WIRE_INT_MAX, 0), &number, NULL),
        0);
    if (number == 0)
        return;
    cr_expect_eq(number, hand->beat_number);
    be_trusted(hand);
}

static void
take_away(struct hand *hand, const struct wire *wire, const char *name)
{
    struct wire_list list;
    struct wire item;

    cr_assert_eq(wire_list(wire, name, &list, NULL), 0);
    while (wire_next(&list, &item)) {
        struct slip *slip;
        int64_t pair[2];

        cr_assert_eq(wire_integers(&item, 2, 0, pair), 0);
        slip = slip_find(hand, pair[0], pair[1]);
        if (slip) {
            hand_forget(hand, slip);
            hand->cancel_count++;
        }
    }
}

/* Gives back what it is asked for and has not started. */
static void
give_back(struct hand *hand, const struct wire *wire)
{
    struct wire_list list;
    struct wire item;

    cr_assert_eq(wire_list(wire, "requests", &list, NULL), 0);
    while (wire_next(&list, &item)) {
        struct slip *slip;
        int64_t pair[2];

        cr_assert_eq(wire_integers(&item, 2, 0, pair), 0);
        slip = slip_find(hand, pair[0], pair[1]);
        if (slip && slip->state == SLIP_WAITING) {
            hand_say(hand, "{'verb':'release','held':[[%lld,%lld]]}",
                     (long long)pair[0], (long long)pair[1]);
            hand_forget(hand, slip);
        }
    }
}

static void
be_welcomed(struct hand *hand, const struct wire *wire)
{
    take_away(hand, wire, "drop");
    hand->slots = hand_int(wire, "slots");
    hand->must_tell = true;
    hand->is_welcome = true;
    be_trusted(hand);
    hand->beat_ms = hand->bench->now_ms + hand->bench->conf.heartbeat_ms;
    for (size_t i = 0; i < hand->slip_count; i++) {
        struct slip *slip = &hand->slips[i];

        if (slip->state == SLIP_REPORTED)
            hand_send(hand, buf_slice(&slip->report_head),
                      buf_slice(&slip->report_body));
    }
}

static void
be_confirmed(struct hand *hand, const struct wire *wire)
{
    struct slip *slip =
        slip_find(hand, hand_int(wire, "request"), hand_int(wire, "fence"));

    hand->confirm_count++;
    if (slip && slip->state == SLIP_REPORTED)
        hand_forget(hand, slip);
}

static void
take_parcel(struct hand *hand, const struct wire *wire)
{
    if (hand->parcel_count == hand->parcel_capacity) {
        hand->parcel_capacity = hand->parcel_capacity * 2 + 4;
        hand->parcels = mem_grow(hand->parcels, hand->parcel_capacity,
                                 sizeof(hand->parcels[0]));
    }
    hand->parcels[hand->parcel_count++] = (struct parcel){
        .delivery = hand_int(wire, "delivery"),
        .attempt = hand_int(wire, "attempt"),
        .webhook = hand_text(wire, "webhook"),
        .url = hand_text(wire, "url"),
        .id = hand_text(wire, "id"),
        .body = mem_dup(wire->body.data, wire->body.bytes),
    };
}

void
hand_posted(struct hand *hand, size_t nth, const char *class_name,
            int http_status, int64_t wait_ms)
{
    cr_assert_lt(nth, hand->parcel_count);
    hand_say(hand,
             "{'verb':'posted','delivery':%lld,'attempt':%lld,'class':'%s',"
             "'http_status':%d,'code':'%s','message':'','wait_ms':%lld}",
             (long long)hand->parcels[nth].delivery,
             (long long)hand->parcels[nth].attempt, class_name, http_status,
             strcmp(class_name, "ok") == 0 ? "" : "http_status",
             (long long)wait_ms);
    drop_parcel(hand, nth);
}

static void
obey(struct hand *hand, const struct wire *wire)
{
    const char *verb = wire_verb(wire);

    if (strcmp(verb, "welcome") == 0) {
        be_welcomed(hand, wire);
    } else if (strcmp(verb, "rehello") == 0) {
        if (hand->is_welcome)
            hand_hello(hand);
    } else if (strcmp(verb, "slots") == 0) {
        hand->slots = hand_int(wire, "count");
        hand->must_tell = true;
    } else if (strcmp(verb, "lease") == 0) {
        slip_take(hand, wire);
    } else if (strcmp(verb, "confirmed") == 0) {
        be_confirmed(hand, wire);
    } else if (strcmp(verb, "cancel") == 0) {
        take_away(hand, wire, "requests");
    } else if (strcmp(verb, "recall") == 0) {
        give_back(hand, wire);
    } else if (strcmp(verb, "post") == 0) {
        take_parcel(hand, wire);
    } else if (strcmp(verb, "noted") == 0) {
        hand->noted_count++;
    } else if (strcmp(verb, "drain") == 0) {
        hand->is_draining = true;
    } else if (strcmp(verb, "reload") == 0) {
        hand->reload_count++;
    } else {
        cr_assert_str_eq(verb, "beat");
        be_answered(hand, wire);
    }
}

void
hand_tell_slots(struct hand *hand)
{
    if (!hand->is_welcome ||
        (!hand->must_tell && kept(hand) == hand->slots_told)) {
        return;
    }
    hand->slots_told = kept(hand);
    hand->must_tell = false;
    hand_say(hand, "{'verb':'slots','count':%lld}",
             (long long)hand->slots_told);
}

void
hand_take(struct hand *hand, struct slice head, struct slice body)
{
    struct letter_in *letter;

    if (hand->letter_count == hand->letter_capacity) {
        hand->letter_capacity = hand->letter_capacity * 2 + 8;
        hand->letters = mem_grow(hand->letters, hand->letter_capacity,
                                 sizeof(hand->letters[0]));
    }
    letter = &hand->letters[hand->letter_count++];
    *letter = (struct letter_in){ 0 };
    buf_add_slice(&letter->head, head);
    buf_add_slice(&letter->body, body);
}

void
hand_read_one(struct hand *hand)
{
    struct letter_in letter;
    struct wire wire;
    struct err err = { 0 };

    if (hand->letter_count == 0 || !hand->is_alive || hand->is_frozen)
        return;
    letter = hand->letters[0];
    memmove(&hand->letters[0], &hand->letters[1],
            --hand->letter_count * sizeof(hand->letters[0]));
    cr_assert_eq(wire_read(&wire, buf_slice(&letter.head),
                           buf_slice(&letter.body), &err),
                 0, "%s", err.msg);
    obey(hand, &wire);
    hand_tell_slots(hand);
    wire_fini(&wire);
    buf_fini(&letter.head);
    buf_fini(&letter.body);
}

void
hand_read(struct hand *hand)
{
    while (hand->letter_count && hand->is_alive && !hand->is_frozen)
        hand_read_one(hand);
}

/* ---- time ---- */

void
hand_beat(struct hand *hand)
{
    struct buf head = { 0 };

    if (!hand->is_welcome || hand->sent_ms != 0)
        return;
    hand->sent_ms = hand->bench->now_ms;
    hand->beat_number++;
    buf_addf(&head,
             "{\"verb\":\"beat\",\"nth\":%lld,\"slots\":%lld,\"leaving\":%s,",
             (long long)hand->beat_number, (long long)kept(hand),
             hand->is_draining ? "true" : "false");
    add_held(hand, &head);
    buf_add_char(&head, '}');
    hand_send(hand, buf_slice(&head), (struct slice){ 0 });
    buf_fini(&head);
}

void
hand_tick(struct hand *hand)
{
    int64_t now_ms = hand->bench->now_ms;

    if (hand->is_frozen)
        return;
    for (size_t i = hand->slip_count; i > 0; i--) {
        struct slip *slip = &hand->slips[i - 1];

        if (slip->state != SLIP_REPORTED && slip_is_over(slip, hand))
            hand_forget(hand, slip);
    }
    if (hand->beats && now_ms >= hand->beat_ms) {
        hand->beat_ms = now_ms + hand->bench->conf.heartbeat_ms;
        hand_beat(hand);
    }
    hand_tell_slots(hand);
}
