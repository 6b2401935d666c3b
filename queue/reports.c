/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/log.h"
#include "base/pack.h"
#include "queue/call_news.h"
#include "queue/core.h"
#include "queue/turn.h"

#define CODE_BYTES_MAX       64
#define ERROR_CODE_BYTES_MAX 128
#define MESSAGE_BYTES_MAX    1024
#define HTTP_STATUS_MAX      999
#define WAIT_FROM_BYTES_MAX  64
/* A larger buffer is not kept. */
#define UNPACKED_KEEP_BYTES_MAX 65536

/* Takes the body, which may be packed: then it is stored as it came, so it must be
 * possible to unpack it, whatever the worker is. That takes a third of what packing
 * takes. *bytes: how long it is when it is not packed. */
static int
read_reply(struct call *call, struct report *report, int64_t *bytes)
{
    const struct conf *conf = call->broker->env.conf;
    struct buf *out = &call->broker->text;
    struct slice text;
    bool is_whole;

    report->reply = call->wire->body;
    /* The text that was put together from a reply is no longer than that. */
    if (wire_int(call->wire, "unpacked_bytes",
                 wire_range_or(0, 2 * conf->reply_bytes_max, 0), bytes,
                 call->err) < 0) {
        return E_INVALID;
    }
    if (*bytes == 0) {
        *bytes = (int64_t)report->reply.bytes;
        return 0;
    }
    report->is_packed = true;
    is_whole = pack_bytes(report->reply) == *bytes &&
               pack_open(call->broker->packer, report->reply, out, &text) == 0;
    if (out->capacity > UNPACKED_KEEP_BYTES_MAX)
        buf_fini(out);
    if (!is_whole) {
        return err_set(call->err, E_INVALID,
                       "unpacked_bytes: the body is no frame of so many");
    }
    return 0;
}

static int
read_text_place(struct call *call, struct report *report)
{
    int64_t at, bytes, follows, body_bytes;

    if (read_reply(call, report, &body_bytes) < 0 ||
        wire_int(call->wire, "text_follows", wire_range_or(0, body_bytes, 0),
                 &follows, call->err) < 0 ||
        wire_int(call->wire, "text_at", wire_range_or(0, body_bytes, 0), &at,
                 call->err) < 0 ||
        wire_int(call->wire, "text_bytes", wire_range_or(0, body_bytes - at, 0),
                 &bytes, call->err) < 0) {
        return E_INVALID;
    }
    report->reply_bytes = (uint32_t)(body_bytes - follows);
    if (follows) {
        report->form = OUTCOME_PLAIN_TEXT;
        report->text_at = report->reply_bytes;
        report->text_bytes = (uint32_t)follows;
    } else if (at) {
        report->form = OUTCOME_JSON_TEXT;
        report->text_at = (uint32_t)at;
        report->text_bytes = (uint32_t)bytes;
    }
    return 0;
}

/* What the reply told of limits; what it did not is -1. */
static int
read_limits(struct call *call, struct report *report)
{
    static const char *const names[] = { "requests", "tokens" };
    int64_t *const out[] = { report->request_limits, report->token_limits };
    struct wire limits, triple;
    bool has_limits = wire_member(call->wire, "limits", &limits);

    for (size_t i = 0; i < 2; i++) {
        out[i][0] = out[i][1] = out[i][2] = -1;
        if (has_limits && wire_member(&limits, names[i], &triple) &&
            wire_integers(&triple, 3, -1, out[i]) < 0) {
            return err_set(call->err, E_INVALID, "limits: not triples");
        }
    }
    return 0;
}

/* How the call ended, and what that asks for. */
static int
read_end(const struct wire *wire, struct report *report, struct err *err)
{
    const char *class_name;
    int64_t status;
    int class;

    if (wire_str(wire, "upstream", REQUEST_UPSTREAM_BYTES - 1, "",
                 &report->upstream, err) < 0 ||
        wire_str(wire, "class", CODE_BYTES_MAX, NULL, &class_name, err) < 0 ||
        wire_int(wire, "http_status", wire_range_or(0, HTTP_STATUS_MAX, 0),
                 &status, err) < 0 ||
        wire_str(wire, "code", ERROR_CODE_BYTES_MAX, "", &report->code, err) <
            0 ||
        wire_str(wire, "message", MESSAGE_BYTES_MAX, "", &report->message,
                 err) < 0 ||
        wire_int(wire, "wait_ms", wire_range_or(0, WIRE_INT_MAX, 0),
                 &report->end.wait_ms, err) < 0 ||
        wire_str(wire, "wait_from", WAIT_FROM_BYTES_MAX, "", &report->wait_from,
                 err) < 0) {
        return E_INVALID;
    }
    class = retry_class_parse(class_name);
    if (class < 0)
        return err_set(err, E_INVALID, "class: unknown");
    report->end.class = (enum call_class) class;
    report->end.http_status = (uint32_t)status;
    return 0;
}

/* What the reply says of itself. */
static int
read_usage(const struct wire *wire, struct report *report, struct err *err)
{
    const struct wire_range known = wire_range_or(-1, WIRE_INT_MAX, -1);

    if (wire_str(wire, "shape", CODE_BYTES_MAX, "", &report->shape, err) < 0 ||
        wire_str(wire, "model", MESSAGE_BYTES_MAX, "", &report->model, err) <
            0 ||
        wire_str(wire, "finish", MESSAGE_BYTES_MAX, "", &report->finish, err) <
            0 ||
        wire_int(wire, "prompt_tokens", known, &report->prompt_tokens, err) <
            0 ||
        wire_int(wire, "completion_tokens", known, &report->completion_tokens,
                 err) < 0 ||
        wire_int(wire, "total_tokens", known, &report->total_tokens, err) < 0 ||
        wire_int(wire, "latency_ms", known, &report->latency_ms, err) < 0) {
        return E_INVALID;
    }
    return 0;
}

/* In the order in which workers write it, which spares searching. */
static int
read_report(struct call *call, struct report *report)
{
    int64_t sent;

    if (read_end(call->wire, report, call->err) < 0 ||
        read_limits(call, report) < 0 ||
        read_usage(call->wire, report, call->err) < 0 ||
        read_text_place(call, report) < 0 ||
        wire_int(call->wire, "sent", wire_range_or(0, 1, 0), &sent, call->err) <
            0) {
        return E_INVALID;
    }
    report->end.was_sent = sent != 0;
    return 0;
}

/* Charges what the call really took, if the upstream told. A failure keeps its
 * charge: it took its time, and its next try is charged again. */
static void
settle(struct broker *broker, struct held *held, const struct report *report)
{
    if (report->end.class == CLASS_ABORTED)
        schedule_settle(broker->schedule, &held->charge, 0);
    else if (report->total_tokens > 0)
        schedule_settle(broker->schedule, &held->charge, report->total_tokens);
}

/* Tells what is known of the upstream by this call; what is leased there and
 * waits is called back if it is to be left alone now. */
static void
tell_upstreams(struct broker *broker, const struct bound *bound, uint64_t id,
               struct report *report, int64_t now_ms)
{
    struct call_news news = {
        .request = id,
        .class = report->end.class,
        .http_status = report->end.http_status,
        .was_sent = report->end.was_sent,
        .wait_ms = report->end.wait_ms,
        .wait_from = report->wait_from,
        .code = report->code,
        .message = report->message,
        .latency_ms = report->latency_ms,
        .tokens = report->total_tokens,
    };
    unsigned followed;

    memcpy(news.request_limits, report->request_limits,
           sizeof(news.request_limits));
    memcpy(news.token_limits, report->token_limits, sizeof(news.token_limits));
    followed = call_news_apply(broker->upstreams, bound, &news, now_ms);
    report->end.says_stop = (followed & NEWS_STOPPED) != 0;
    if (followed & (NEWS_SUSPENDED | NEWS_BROKEN)) {
        worker_recall(broker);
        broker->has_results = true; /* somebody may wait in vain now */
    }
    upstreams_save(broker->upstreams, broker->env.store);
}

/* Decides whether the report is of use: the lease is the worker's, or it is a
 * success and nothing better is stored. */
static void
use_report(struct call *call, struct session *session, uint64_t id,
           struct report *report)
{
    struct broker *broker = call->broker;
    struct held *held = session_find(session, id, report->fence);
    bool is_holder = held != NULL, is_current;
    struct request request;

    broker->has_moved = true;
    /* What is stalled is so only when the last of its calls has ended. */
    broker->has_results |= upstreams_has_stopped(broker->upstreams);
    if (is_holder) {
        struct bound bound = held->bound;

        settle(broker, held, report);
        session_drop(session, id, report->fence);
        tell_upstreams(broker, &bound, id, report, call->now_ms);
    }
    if (store_request_get(broker->env.store, id, &request) < 0)
        return;
    is_current = is_holder && request.state == REQUEST_LEASED &&
                 request.fence == report->fence;
    if (!is_current) {
        broker->counters.late_results++;
        log_warn("event=late_result request=%llu fence=%u class=%d",
                 (unsigned long long)id, report->fence, (int)report->end.class);
        if (!finish_is_answer(&request, report) || request.status == STATUS_OK)
            return;
        if (request.state == REQUEST_LEASED)
            worker_cancel(broker, id, request.fence);
    }
    finish_report(broker, &request, report, call->now_ms);
}

/* Reads a result, uses it, and confirms it. */
static int
take_result(struct call *call, struct session *session)
{
    struct report report = { 0 };
    char uuid[CORE_UUID_TEXT_BYTES];
    int64_t request, fence;

    if (wire_int(call->wire, "request", wire_range(1, WIRE_INT_MAX), &request,
                 call->err) < 0 ||
        wire_int(call->wire, "fence", wire_range(0, UINT32_MAX), &fence,
                 call->err) < 0 ||
        read_report(call, &report) < 0) {
        return E_INVALID;
    }
    if (report.end.class == CLASS_OK)
        patience_note_answer(call->broker, session, call->now_ms);
    else
        call->broker->is_urgent = true;
    report.fence = (uint32_t)fence;
    report.worker = core_worker_name(session, uuid);
    use_report(call, session, (uint64_t)request, &report);
    /* Of one that died before this broker started, nothing is to be told. */
    if (session->has_peer)
        turn_confirm(call->broker->env.outbox, session, request, fence);
    return 0;
}

int
worker_result(struct call *call)
{
    struct session *session = worker_speaker(call);

    return session ? take_result(call, session) : 0;
}

int
worker_take_turn(struct call *call, struct session *session)
{
    struct wire_list results;
    struct wire item;
    int rc;

    if (worker_note_started(call, session, "started") < 0)
        worker_note_bad(call);
    if (wire_list(call->wire, "results", &results, call->err) < 0)
        return E_INVALID;
    while ((rc = wire_next_part(&results, &item, call->err)) == 0) {
        struct call part = *call;

        part.wire = &item;
        if (take_result(&part, session) < 0)
            worker_note_bad(call);
    }
    return rc < 0 ? rc : 0;
}

int
worker_turn(struct call *call)
{
    struct session *session = worker_speaker(call);

    return session ? worker_take_turn(call, session) : 0;
}

void
broker_last_words(struct broker *broker, const unsigned char uuid[16],
                  struct slice head, struct slice body, int64_t now_ms)
{
    struct session *session = sessions_find(broker->sessions, uuid);
    struct err err = { 0 };
    struct wire wire;
    struct call call = {
        .broker = broker, .wire = &wire, .now_ms = now_ms, .err = &err
    };
    int rc;

    if (!session)
        return;
    if (wire_read(&wire, head, body, &err) < 0) {
        broker_note_bad(broker);
        log_warn("event=last_words_bad worker=%s reason=\"%s\"", session->name,
                 err.msg);
        return;
    }
    log_info("event=last_words worker=%s bytes=%zu", session->name, body.bytes);
    if (strcmp(wire_verb(&wire), "turn") == 0)
        rc = worker_take_turn(&call, session);
    else
        rc = err_set(&err, E_PROTOCOL, "last words are a turn");
    if (rc < 0)
        worker_note_bad(&call);
    wire_fini(&wire);
}
