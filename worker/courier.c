/* SPDX-License-Identifier: MIT */
#include "worker/courier.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/redact.h"
#include "base/utf8.h"
#include "worker/outcome.h"
#include "worker/signature.h"

#define CONNECT_TIMEOUT_MS 10000
#define HEADER_COUNT       3

struct courier {
    const struct conf *conf;   /* borrowed */
    const struct hooks *hooks; /* borrowed */
    struct calls *calls;       /* borrowed */
    struct parcel *list;
    size_t count, max;
};

struct courier *
courier_new(const struct conf *conf, const struct hooks *hooks,
            struct calls *calls)
{
    struct courier *courier = mem_zalloc(1, sizeof(*courier));

    courier->conf = conf;
    courier->hooks = hooks;
    courier->calls = calls;
    /* One more: a broker of another configuration is told so. */
    courier->max = conf->webhook_count * CONF_POSTS_MAX + 1;
    courier->list = mem_zalloc(courier->max, sizeof(courier->list[0]));
    return courier;
}

void
courier_free(struct courier *courier)
{
    if (!courier)
        return;
    for (size_t i = 0; i < courier->count; i++)
        buf_fini(&courier->list[i].body);
    free(courier->list);
    free(courier);
}

static void
forget(struct courier *courier, struct parcel *parcel)
{
    size_t at = (size_t)(parcel - courier->list);

    assert(parcel->state == PARCEL_DONE);
    courier->count--;
    memmove(parcel, parcel + 1, (courier->count - at) * sizeof(*parcel));
}

static void
log_end(const struct courier *courier, const struct parcel *parcel,
        int64_t latency_ms)
{
    const char *name = parcel->webhook < courier->conf->webhook_count
                           ? courier->conf->webhooks[parcel->webhook].name
                           : "";

    (parcel->end == PARCEL_OK ? log_info : log_warn)(
        "event=webhook_post delivery=%lld attempt=%lld webhook=%s status=%d "
        "code=\"%s\" latency_ms=%lld wait_ms=%lld reason=\"%s\"",
        (long long)parcel->delivery, (long long)parcel->attempt, name,
        parcel->http_status, parcel->code, (long long)latency_ms,
        (long long)parcel->wait_ms, parcel->message);
}

/* The end of one; the reason without what looks like a secret, as it is stored
 * and shown. */
static void
finish(struct parcel *parcel, enum parcel_end end, const char *code,
       const char *message)
{
    struct buf clean = { 0 };
    struct slice kept;

    redact(slice_of(message), &clean);
    for (size_t i = 0; i < clean.bytes; i++) {
        if (clean.data[i] == '"') /* it is quoted in the log */
            clean.data[i] = '\'';
    }
    kept = utf8_cut(buf_slice(&clean), COURIER_MESSAGE_BYTES_MAX);
    if (kept.bytes)
        memcpy(parcel->message, kept.data, kept.bytes);
    parcel->message[kept.bytes] = '\0';
    (void)snprintf(parcel->code, sizeof(parcel->code), "%s", code);
    parcel->state = PARCEL_DONE;
    parcel->end = end;
    parcel->call = NULL;
    parcel->resend_ms = 0;
    buf_fini(&parcel->body);
    buf_fini(&clean);
}

/* It stands in a header. */
static bool
is_id(const char *id)
{
    size_t bytes = strlen(id);

    for (const char *at = id; *at; at++) {
        if (!isalnum((unsigned char)*at) && *at != '_' && *at != '-')
            return false;
    }
    return bytes > 0 && bytes <= COURIER_ID_BYTES_MAX;
}

/* Starts the call; if it cannot be made, the code says why. */
static int
start(struct courier *courier, struct parcel *parcel,
      const struct parcel_order *order, const char **code, struct err *err)
{
    const struct conf_webhook *webhook;
    int64_t time_s = clock_wall_ms() / 1000;
    int nth = hooks_find(courier->hooks, order->webhook, order->url, code, err);
    struct buf lines[HEADER_COUNT] = { { 0 } };
    const char *headers[HEADER_COUNT];
    struct call_order call;
    int rc;

    if (nth < 0)
        return err->code;
    parcel->webhook = (size_t)nth;
    webhook = &courier->conf->webhooks[nth];
    *code = "bad_order";
    if (!is_id(order->id))
        return err_set(err, E_INVALID, "id: not well-formed");
    buf_addf(&lines[0], "webhook-id: %s", order->id);
    buf_addf(&lines[1], "webhook-timestamp: %lld", (long long)time_s);
    buf_add_str(&lines[2], "webhook-signature: ");
    signature_add(hooks_secret(courier->hooks, (size_t)nth), order->id, time_s,
                  buf_slice(&parcel->body), &lines[2]);
    for (size_t i = 0; i < HEADER_COUNT; i++)
        headers[i] = lines[i].data;
    call = (struct call_order){
        .base_url = webhook->url,
        .path = "",
        .headers = headers,
        .header_count = HEADER_COUNT,
        .content_type = "application/json",
        .body = buf_slice(&parcel->body),
        .ca_file = webhook->ca_file,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .timeout_ms = order->timeout_ms,
        .reply_bytes_max = COURIER_REPLY_BYTES_MAX,
    };
    rc = calls_start(courier->calls, &call, &parcel->call, err);
    for (size_t i = 0; i < HEADER_COUNT; i++)
        buf_fini(&lines[i]);
    if (rc == E_IO)
        log_fatal("event=curl_failed reason=\"%s\"", err->msg);
    return rc;
}

static struct parcel *
find(struct courier *courier, int64_t delivery)
{
    for (size_t i = 0; i < courier->count; i++) {
        if (courier->list[i].delivery == delivery)
            return &courier->list[i];
    }
    return NULL;
}

/* A place for a new one; NULL: there is none, or it is here already. */
static struct parcel *
place(struct courier *courier, const struct parcel_order *order, bool *is_here)
{
    struct parcel *parcel = find(courier, order->delivery);

    *is_here =
        parcel && (order->attempt <= parcel->attempt ||
                   parcel->state == PARCEL_RUNNING || parcel->end == PARCEL_OK);
    if (*is_here) {
        if (order->attempt > parcel->attempt)
            parcel->attempt = order->attempt;
        return NULL;
    }
    if (parcel) /* the broker has another try made of it */
        forget(courier, parcel);
    if (courier->count == courier->max)
        return NULL;
    parcel = &courier->list[courier->count++];
    *parcel = (struct parcel){ .delivery = order->delivery,
                               .attempt = order->attempt,
                               .webhook = courier->conf->webhook_count };
    return parcel;
}

bool
courier_take(struct courier *courier, const struct parcel_order *order,
             struct slice body)
{
    const char *code = "";
    struct err err = { 0 };
    bool is_here;
    struct parcel *parcel = place(courier, order, &is_here);

    if (!parcel)
        return is_here;
    buf_add_slice(&parcel->body, body);
    if (start(courier, parcel, order, &code, &err) < 0) {
        finish(parcel, PARCEL_UNMADE, code, err.msg);
        log_end(courier, parcel, 0);
    }
    return true;
}

bool
courier_decline(struct courier *courier, const struct parcel_order *order,
                const char *code, const char *message)
{
    bool is_here;
    struct parcel *parcel = place(courier, order, &is_here);

    if (parcel)
        finish(parcel, PARCEL_UNMADE, code, message);
    return parcel || is_here;
}

/* The receiver has taken it if it says so: what follows its status is of no
 * interest, and need not fit, come in time, or come at all. */
static bool
was_taken(const struct reply *reply)
{
    return reply->http_status >= 200 && reply->http_status < 300;
}

bool
courier_end(struct courier *courier, const struct call *call,
            struct reply *reply)
{
    struct parcel *parcel = NULL;
    const char *after = hint_get(&reply->headers, "retry-after");

    for (size_t i = 0; i < courier->count && !parcel; i++) {
        if (courier->list[i].call && courier->list[i].call == call)
            parcel = &courier->list[i];
    }
    if (!parcel)
        return false;
    parcel->http_status = reply->http_status;
    if (was_taken(reply)) {
        finish(parcel, PARCEL_OK, "", "");
    } else if (reply->end == REPLY_COMPLETE) {
        if (after)
            parcel->wait_ms = delay_parse(after, clock_wall_ms());
        if (parcel->wait_ms < 0) /* DELAY_NONE */
            parcel->wait_ms = 0;
        finish(parcel, PARCEL_FAILED, "http_status", "");
    } else {
        finish(parcel, PARCEL_FAILED, outcome_end_code(reply->end),
               *reply->reason ? reply->reason : reply_end_text(reply->end));
    }
    log_end(courier, parcel, reply->latency_ms);
    buf_fini(&reply->body);
    return true;
}

void
courier_abort(struct courier *courier, const char *code, const char *message)
{
    for (size_t i = 0; i < courier->count; i++) {
        struct parcel *parcel = &courier->list[i];

        if (parcel->state != PARCEL_RUNNING)
            continue;
        calls_abort(courier->calls, parcel->call);
        finish(parcel, PARCEL_UNMADE, code, message);
        log_end(courier, parcel, 0);
    }
}

void
courier_noted(struct courier *courier, int64_t delivery, int64_t attempt)
{
    struct parcel *parcel = find(courier, delivery);

    if (parcel && parcel->attempt == attempt && parcel->state == PARCEL_DONE)
        forget(courier, parcel);
}

const struct parcel *
courier_at(const struct courier *courier, size_t nth)
{
    return nth < courier->count ? &courier->list[nth] : NULL;
}

struct parcel *
courier_next_due(struct courier *courier, int64_t now_ms)
{
    for (size_t i = 0; i < courier->count; i++) {
        struct parcel *parcel = &courier->list[i];

        if (parcel->state == PARCEL_DONE && parcel->resend_ms <= now_ms)
            return parcel;
    }
    return NULL;
}

void
courier_told(struct parcel *parcel, int64_t now_ms)
{
    int64_t wait_ms = COURIER_RESEND_MS;

    for (int i = 0; i < parcel->times_sent && wait_ms < COURIER_RESEND_MAX_MS;
         i++) {
        wait_ms *= 2;
    }
    parcel->resend_ms = now_ms + wait_ms;
    parcel->times_sent++;
}

void
courier_tell_all(struct courier *courier)
{
    for (size_t i = 0; i < courier->count; i++)
        courier->list[i].resend_ms = 0;
}

int64_t
courier_next_ms(const struct courier *courier)
{
    int64_t next_ms = COURIER_NEVER;

    for (size_t i = 0; i < courier->count; i++) {
        if (courier->list[i].state == PARCEL_DONE &&
            courier->list[i].resend_ms < next_ms) {
            next_ms = courier->list[i].resend_ms;
        }
    }
    return next_ms;
}
