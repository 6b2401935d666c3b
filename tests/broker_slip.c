/* SPDX-License-Identifier: MIT */
#include "tests/broker_slip.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "tests/broker_hand.h"

void
slip_fini(struct slip *slip)
{
    free(slip->upstream);
    free(slip->model);
    free(slip->path);
    free(slip->body);
    buf_fini(&slip->report_head);
    buf_fini(&slip->report_body);
}

size_t
hand_count(const struct hand *hand, enum slip_state state)
{
    size_t count = 0;

    for (size_t i = 0; i < hand->slip_count; i++)
        count += hand->slips[i].state == state;
    return count;
}

struct slip *
hand_slip(const struct hand *hand, enum slip_state state, size_t nth)
{
    for (size_t i = 0; i < hand->slip_count; i++) {
        if (hand->slips[i].state == state && nth-- == 0)
            return &hand->slips[i];
    }
    return NULL;
}

struct slip *
hand_find(const struct hand *hand, const char *text)
{
    for (size_t i = 0; i < hand->slip_count; i++) {
        if (hand->slips[i].state == SLIP_RUNNING &&
            strstr(hand->slips[i].body, text)) {
            return &hand->slips[i];
        }
    }
    return NULL;
}

void
hand_forget(struct hand *hand, struct slip *slip)
{
    size_t at = (size_t)(slip - hand->slips);

    if (slip->state == SLIP_RUNNING)
        hand->bench->in_flight--;
    slip_fini(slip);
    /* In order: they are started as they came. */
    memmove(slip, slip + 1, (--hand->slip_count - at) * sizeof(*slip));
}

struct slip *
slip_find(const struct hand *hand, int64_t request, int64_t fence)
{
    for (size_t i = 0; i < hand->slip_count; i++) {
        if (hand->slips[i].request == request &&
            hand->slips[i].fence == fence) {
            return &hand->slips[i];
        }
    }
    return NULL;
}

void
slip_take(struct hand *hand, const struct wire *wire)
{
    struct slip slip = { .request = hand_int(wire, "request"),
                         .fence = hand_int(wire, "fence"),
                         .length_ms = hand_int(wire, "timeout_ms") };
    struct json_doc doc = { 0 };
    char *kind = hand_text(wire, "kind");

    cr_assert_null(slip_find(hand, slip.request, slip.fence));
    cr_assert_eq(
        json_parse(&doc, wire->body.data, wire->body.bytes, JSON_INPUT, NULL),
        0, "the body is no JSON: %.*s", (int)wire->body.bytes, wire->body.data);
    json_fini(&doc);
    slip.is_raw = strcmp(kind, "raw") == 0;
    free(kind);
    slip.upstream = hand_text(wire, "upstream");
    slip.path = hand_text(wire, "path");
    if (wire_get(wire, "model"))
        slip.model = hand_text(wire, "model");
    slip.body = mem_dup(wire->body.data, wire->body.bytes);
    if (slip.length_ms < hand->bench->conf.lease_ms)
        slip.length_ms = hand->bench->conf.lease_ms;
    if (hand->slip_count == hand->slip_capacity) {
        hand->slip_capacity = hand->slip_capacity * 2 + 8;
        hand->slips =
            mem_grow(hand->slips, hand->slip_capacity, sizeof(hand->slips[0]));
    }
    hand->slips[hand->slip_count++] = slip;
}

/* True if a lease has ended by the hand's own clock. */
bool
slip_is_over(const struct slip *slip, const struct hand *hand)
{
    return hand->bench->now_ms >= hand->trusted_ms + slip->length_ms;
}

/* ---- calls ---- */

static void
note_call(struct bench *bench, const char *body)
{
    if (bench->call_count == bench->call_capacity) {
        bench->call_capacity = bench->call_capacity * 2 + 64;
        bench->calls = mem_grow(bench->calls, bench->call_capacity,
                                sizeof(bench->calls[0]));
    }
    bench->calls[bench->call_count++] = mem_dup_str(body);
    if (++bench->in_flight > bench->in_flight_most)
        bench->in_flight_most = bench->in_flight;
    cr_assert_leq((int64_t)bench->in_flight, bench->conf.slots_max,
                  "%zu calls in flight", bench->in_flight);
}

size_t
hand_start(struct hand *hand)
{
    size_t started = 0;

    for (size_t i = 0; i < hand->slip_count; i++) {
        struct slip *slip = &hand->slips[i];

        if (slip->state != SLIP_WAITING || slip_is_over(slip, hand))
            continue;
        if ((int64_t)hand_count(hand, SLIP_RUNNING) >= hand->slots ||
            !hand->is_welcome || hand->is_draining) {
            break;
        }
        slip->state = SLIP_RUNNING;
        hand_say(hand, "{'verb':'started','held':[[%lld,%lld]]}",
                 (long long)slip->request, (long long)slip->fence);
        note_call(hand->bench, slip->body);
        started++;
    }
    return started;
}

static void
report(struct hand *hand, struct slip *slip)
{
    cr_assert_eq(slip->state, SLIP_RUNNING);
    slip->state = SLIP_REPORTED;
    hand->bench->in_flight--;
    if (hand->is_welcome) {
        hand_send(hand, buf_slice(&slip->report_head),
                  buf_slice(&slip->report_body));
    }
    hand_tell_slots(hand);
}

void
hand_answer(struct hand *hand, struct slip *slip, const char *text)
{
    static const char before[] = "{\"content\":\"";

    buf_addf(&slip->report_head,
             "{\"verb\":\"result\",\"request\":%lld,\"fence\":%lld,\"class\":"
             "\"ok\",\"http_status\":200,\"model\":\"m-2026\",\"finish\":"
             "\"stop\",\"prompt_tokens\":10,\"completion_tokens\":5,"
             "\"total_tokens\":15,\"latency_ms\":123,\"text_at\":%zu,"
             "\"text_bytes\":%zu,\"sent\":1}",
             (long long)slip->request, (long long)slip->fence,
             sizeof(before) - 1, strlen(text));
    buf_addf(&slip->report_body, "%s%s\"}", before, text);
    report(hand, slip);
}

void
hand_end(struct hand *hand, struct slip *slip, const char *class_name,
         int http_status, int64_t wait_ms)
{
    buf_addf(&slip->report_head,
             "{\"verb\":\"result\",\"request\":%lld,\"fence\":%lld,\"class\":"
             "\"%s\",\"http_status\":%d,\"code\":\"%s\",\"message\":\"its "
             "message\",\"wait_ms\":%lld,\"sent\":1",
             (long long)slip->request, (long long)slip->fence, class_name,
             http_status, hand->code ? hand->code : "its_code",
             (long long)wait_ms);
    if (hand->wait_from)
        buf_addf(&slip->report_head, ",\"wait_from\":\"%s\"", hand->wait_from);
    buf_add_char(&slip->report_head, '}');
    report(hand, slip);
}

/* ---- all hands ---- */

void
bench_submit_many(struct bench *bench, const char *key, int count,
                  char uuid[BENCH_UUID_BYTES])
{
    struct buf lines = { 0 };

    for (int i = 0; i < count; i++)
        buf_addf(&lines, "{'id':'%d','text':'%s %d'}\n", i, key, i);
    bench_submit(bench, key, NULL, lines.data, uuid);
    buf_fini(&lines);
    bench_advance(bench, bench->conf.group_window_ms);
}

void
bench_start_calls(struct bench *bench)
{
    for (size_t i = 0; i < bench->hand_count; i++)
        hand_start(bench->hands[i]);
}

void
bench_work(struct bench *bench)
{
    size_t done;

    do {
        done = 0;
        bench_run(bench);
        for (size_t i = 0; i < bench->hand_count; i++)
            done += hand_start(bench->hands[i]);
        for (size_t i = 0; i < bench->hand_count; i++) {
            struct slip *slip;

            while ((slip = hand_slip(bench->hands[i], SLIP_RUNNING, 0))) {
                hand_answer(bench->hands[i], slip, "answer");
                done++;
            }
        }
    } while (done > 0);
}
