/* SPDX-License-Identifier: MIT */
#include "worker/inbox.h"

#include <string.h>

#include "base/log.h"
#include "queue/wire.h"
#include "worker/errand.h"
#include "worker/report.h"

#define TEXT_BYTES_SHOWN_MAX 512
#define HEARTBEAT_MS_MIN     10
#define HEARTBEAT_MS_MAX     600000
#define LEASE_MS_MAX         INT64_C(86400000)
#define RUN_MS_MAX           INT64_C(172800000)
#define WINDOW_MS_MAX        1000
#define KIND_BYTES_MAX       16

typedef int handle_fn(struct worker *worker, const struct wire *wire,
                      int64_t now_ms, struct err *err);

/* One pair of a list of leases. */
typedef void pair_fn(struct worker *worker, struct desk_lease *lease);

/* Calls `act` for each lease of a list of pairs that is on the desk. */
static int
for_each(struct worker *worker, const struct wire *wire, const char *name,
         pair_fn *act, struct err *err)
{
    struct wire_list list;
    struct wire item;

    if (wire_list(wire, name, &list, err) < 0)
        return E_INVALID;
    while (wire_next(&list, &item)) {
        struct desk_lease *lease;
        int64_t pair[2];

        if (wire_integers(&item, 2, 0, pair) < 0)
            return err_set(err, E_INVALID, "%s: not pairs", name);
        lease = desk_find(worker->desk, pair[0], pair[1]);
        if (lease)
            act(worker, lease);
    }
    return 0;
}

/* What is finished is offered all the same: it is paid for, and may be of use
 * to the broker. */
static void
drop(struct worker *worker, struct desk_lease *lease)
{
    if (lease->state == DESK_FINISHED)
        return;
    log_info("event=lease_dropped request=%lld fence=%lld running=%d",
             (long long)lease->request, (long long)lease->fence,
             lease->state == DESK_RUNNING);
    errand_forget(worker, lease);
}

static int
handle_welcome(struct worker *worker, const struct wire *wire, int64_t now_ms,
               struct err *err)
{
    int64_t protocol, session, heartbeat_ms, lease_ms, run_max_ms, slots, word;
    int64_t dictionary, window_ms;

    if (wire_int(wire, "protocol", wire_range(WIRE_PROTOCOL, WIRE_PROTOCOL),
                 &protocol, err) < 0 ||
        wire_int(wire, "session", wire_range_or(0, WIRE_INT_MAX, 0), &session,
                 err) < 0 ||
        wire_int(wire, "heartbeat_ms",
                 wire_range(HEARTBEAT_MS_MIN, HEARTBEAT_MS_MAX), &heartbeat_ms,
                 err) < 0 ||
        wire_int(wire, "lease_ms", wire_range(1, LEASE_MS_MAX), &lease_ms,
                 err) < 0 ||
        wire_int(wire, "lease_run_max_ms",
                 wire_range_or(lease_ms, RUN_MS_MAX, RUN_MS_MAX), &run_max_ms,
                 err) < 0 ||
        wire_int(wire, "drain_ms",
                 wire_range_or(0, WIRE_INT_MAX, worker->drain_ms),
                 &worker->drain_ms, err) < 0 ||
        wire_int(wire, "orphan_ttl_ms",
                 wire_range_or(0, WIRE_INT_MAX, worker->orphan_ttl_ms),
                 &worker->orphan_ttl_ms, err) < 0 ||
        wire_int(wire, "dictionary", wire_range_or(0, WIRE_INT_MAX, 0),
                 &dictionary, err) < 0 ||
        wire_int(wire, "window_ms", wire_range_or(0, WINDOW_MS_MAX, 0),
                 &window_ms, err) < 0 ||
        wire_int(wire, "slots", wire_range_or(0, WIRE_INT_MAX, 0), &slots,
                 err) < 0 ||
        wire_int(wire, "word", wire_range_or(0, WIRE_INT_MAX, 0), &word, err) <
            0 ||
        upstreams_read(wire, &worker->upstreams, err) < 0) {
        return E_INVALID;
    }
    desk_set_lease_ms(worker->desk, lease_ms, run_max_ms);
    packer_set_dictionary(worker->packer, dictionary);
    if (for_each(worker, wire, "drop", drop, err) < 0)
        return E_INVALID;
    desk_beat_answered(worker->desk, 0); /* the hello listed all leases */
    slots_lend(&worker->slots, slots, word);
    worker->window_ms = window_ms;
    worker->heartbeat_ms = heartbeat_ms;
    worker->beat_ms = now_ms + heartbeat_ms;
    worker->is_welcome = true;
    desk_resend_all(worker->desk);
    courier_tell_all(worker->courier);
    log_info("event=broker_welcome session=%lld slots=%lld held=%zu "
             "upstreams=%zu",
             (long long)session, (long long)slots, desk_size(worker->desk),
             worker->upstreams.count);
    /* While there is nothing to call. Where it fails, each call says why. */
    if (worker->upstreams.count > 0)
        (void)calls_load(worker->calls, NULL);
    return 0;
}

static int
handle_rehello(struct worker *worker, const struct wire *wire, int64_t now_ms,
               struct err *err)
{
    (void)wire;
    (void)err;
    /* It answers each of our messages so, but one hello is enough. */
    if (!worker->is_welcome && now_ms < worker->hello_ms)
        return 0;
    worker->is_welcome = false;
    worker->hello_ms = 0;
    return 0;
}

static int
handle_slots(struct worker *worker, const struct wire *wire, int64_t now_ms,
             struct err *err)
{
    int64_t count, word;

    (void)now_ms;
    if (wire_int(wire, "count", wire_range(0, WIRE_INT_MAX), &count, err) < 0 ||
        wire_int(wire, "word", wire_range_or(0, WIRE_INT_MAX, 0), &word, err) <
            0) {
        return E_INVALID;
    }
    slots_lend(&worker->slots, count, word);
    return 0;
}

/* What a lease asks for; strings are borrowed from its message. */
struct offer {
    int64_t request, fence, timeout_ms;
    const char *upstream, *path, *model;
    bool is_raw;
};

static int
read_offer(const struct wire *wire, struct offer *offer, struct err *err)
{
    const char *kind;

    if (wire_int(wire, "request", wire_range(0, WIRE_INT_MAX), &offer->request,
                 err) < 0 ||
        wire_int(wire, "fence", wire_range(0, WIRE_INT_MAX), &offer->fence,
                 err) < 0 ||
        wire_str(wire, "upstream", DESK_UPSTREAM_BYTES_MAX, NULL,
                 &offer->upstream, err) < 0 ||
        wire_str(wire, "path", DESK_PATH_BYTES_MAX, "", &offer->path, err) <
            0 ||
        wire_str(wire, "model", DESK_MODEL_BYTES_MAX, "", &offer->model, err) <
            0 ||
        wire_int(wire, "timeout_ms", wire_range(1, UPSTREAM_TIMEOUT_MS_MAX),
                 &offer->timeout_ms, err) < 0 ||
        wire_str(wire, "kind", KIND_BYTES_MAX, NULL, &kind, err) < 0) {
        return E_INVALID;
    }
    offer->is_raw = strcmp(kind, "raw") == 0;
    if (!offer->is_raw && strcmp(kind, "text") != 0)
        return err_set(err, E_INVALID, "kind: neither text nor raw");
    return 0;
}

/* The broker took a lease for lost that we still hold, and grants its request
 * again. True if what we hold goes on in its place: same call, new fence. */
static bool
goes_on(struct worker *worker, const struct offer *offer, struct slice body,
        int64_t now_ms)
{
    struct desk_lease *lease = desk_find_live(worker->desk, offer->request);

    if (!lease)
        return false;
    if (offer->fence <= lease->fence) /* an old message, or the same again */
        return true;
    if (lease->state == DESK_RUNNING &&
        slice_equal(buf_slice(&lease->body), body) &&
        strcmp(lease->upstream, offer->upstream) == 0 &&
        strcmp(lease->path, offer->path) == 0 &&
        strcmp(lease->model, offer->model) == 0) {
        log_warn("event=lease_adopted request=%lld fence=%lld old_fence=%lld",
                 (long long)offer->request, (long long)offer->fence,
                 (long long)lease->fence);
        desk_adopt(worker->desk, lease, offer->fence, now_ms);
        return true;
    }
    errand_forget(worker, lease);
    return false;
}

static int
handle_lease(struct worker *worker, const struct wire *wire, int64_t now_ms,
             struct err *err)
{
    struct desk_lease *lease = NULL;
    struct offer offer;

    if (read_offer(wire, &offer, err) < 0)
        return E_INVALID;
    if (desk_find(worker->desk, offer.request, offer.fence) ||
        goes_on(worker, &offer, wire->body, now_ms)) {
        return 0;
    }
    if (!worker->is_draining) {
        lease = desk_add(worker->desk, offer.request, offer.fence,
                         offer.timeout_ms, now_ms);
    }
    if (!lease) {
        log_warn("event=lease_refused request=%lld fence=%lld reason=%s",
                 (long long)offer.request, (long long)offer.fence,
                 worker->is_draining ? "draining" : "full");
        (void)report_refuse(worker, offer.request, offer.fence);
        return 0;
    }
    lease->is_raw = offer.is_raw;
    memcpy(lease->upstream, offer.upstream, strlen(offer.upstream) + 1);
    memcpy(lease->path, offer.path, strlen(offer.path) + 1);
    memcpy(lease->model, offer.model, strlen(offer.model) + 1);
    buf_add_slice(&lease->body, wire->body);
    return 0;
}

static int
handle_beat(struct worker *worker, const struct wire *wire, int64_t now_ms,
            struct err *err)
{
    int64_t number;

    (void)now_ms;
    if (wire_int(wire, "nth", wire_range_or(0, WIRE_INT_MAX, 0), &number, err) <
        0) {
        return E_INVALID;
    }
    desk_beat_answered(worker->desk, (uint64_t)number);
    return 0;
}

static void
end_confirmed(struct worker *worker, struct desk_lease *lease)
{
    if (lease->state == DESK_FINISHED)
        desk_remove(worker->desk, lease);
}

static int
handle_confirmed(struct worker *worker, const struct wire *wire, int64_t now_ms,
                 struct err *err)
{
    int64_t request, fence;
    struct desk_lease *lease;

    (void)now_ms;
    if (wire_int(wire, "request", wire_range(0, WIRE_INT_MAX), &request, err) <
            0 ||
        wire_int(wire, "fence", wire_range(0, WIRE_INT_MAX), &fence, err) < 0) {
        return E_INVALID;
    }
    lease = desk_find(worker->desk, request, fence);
    if (lease)
        end_confirmed(worker, lease);
    return 0;
}

static void
warn_bad(const struct wire *wire, const struct err *err)
{
    log_warn("event=bad_message verb=\"%s\" reason=\"%s\"", wire_verb(wire),
             err->msg);
}

/* What one turn of the broker has for us. A bad part of the message is nobody
 * else's loss: a lease that cannot be read is not held, and goes back. */
static int
handle_turn(struct worker *worker, const struct wire *wire, int64_t now_ms,
            struct err *err)
{
    struct wire_list leases;
    struct wire item;
    int rc;

    if (for_each(worker, wire, "confirmed", end_confirmed, err) < 0)
        warn_bad(wire, err);
    if (wire_list(wire, "leases", &leases, err) < 0)
        return E_INVALID;
    while ((rc = wire_next_part(&leases, &item, err)) == 0) {
        if (handle_lease(worker, &item, now_ms, err) < 0)
            warn_bad(wire, err);
    }
    return rc < 0 ? rc : 0;
}

static int
handle_post(struct worker *worker, const struct wire *wire, int64_t now_ms,
            struct err *err)
{
    struct parcel_order order;
    bool is_taken;

    (void)now_ms;
    if (wire_int(wire, "delivery", wire_range(0, WIRE_INT_MAX), &order.delivery,
                 err) < 0 ||
        wire_int(wire, "attempt", wire_range(0, WIRE_INT_MAX), &order.attempt,
                 err) < 0 ||
        wire_int(wire, "timeout_ms", wire_range(1, UPSTREAM_TIMEOUT_MS_MAX),
                 &order.timeout_ms, err) < 0 ||
        wire_str(wire, "webhook", CONF_NAME_BYTES_MAX, NULL, &order.webhook,
                 err) < 0 ||
        wire_str(wire, "url", URL_BYTES_MAX, NULL, &order.url, err) < 0 ||
        wire_str(wire, "id", COURIER_ID_BYTES_MAX, NULL, &order.id, err) < 0) {
        return E_INVALID;
    }
    if (worker->is_draining) {
        is_taken = courier_decline(worker->courier, &order, "draining",
                                   "the worker has to go");
    } else {
        is_taken = courier_take(worker->courier, &order, wire->body);
    }
    /* The broker takes it for lost when its time is over. */
    if (!is_taken) {
        log_warn("event=post_refused delivery=%lld reason=full",
                 (long long)order.delivery);
    }
    return 0;
}

static int
handle_noted(struct worker *worker, const struct wire *wire, int64_t now_ms,
             struct err *err)
{
    int64_t delivery, attempt;

    (void)now_ms;
    if (wire_int(wire, "delivery", wire_range(0, WIRE_INT_MAX), &delivery,
                 err) < 0 ||
        wire_int(wire, "attempt", wire_range(0, WIRE_INT_MAX), &attempt, err) <
            0) {
        return E_INVALID;
    }
    courier_noted(worker->courier, delivery, attempt);
    return 0;
}

static int
handle_cancel(struct worker *worker, const struct wire *wire, int64_t now_ms,
              struct err *err)
{
    (void)now_ms;
    return for_each(worker, wire, "requests", drop, err);
}

/* Gives a lease back if its call has not started; else it goes on. */
static void
give_back(struct worker *worker, struct desk_lease *lease)
{
    if (lease->state != DESK_WAITING)
        return;
    (void)report_refuse(worker, lease->request, lease->fence);
    desk_remove(worker->desk, lease);
}

static int
handle_recall(struct worker *worker, const struct wire *wire, int64_t now_ms,
              struct err *err)
{
    (void)now_ms;
    return for_each(worker, wire, "requests", give_back, err);
}

static int
handle_drain(struct worker *worker, const struct wire *wire, int64_t now_ms,
             struct err *err)
{
    (void)wire;
    (void)err;
    worker_drain(worker, "broker", now_ms);
    return 0;
}

static int
handle_reload(struct worker *worker, const struct wire *wire, int64_t now_ms,
              struct err *err)
{
    (void)wire;
    (void)now_ms;
    (void)err;
    worker_reload(worker, "broker");
    return 0;
}

static int
handle_error(struct worker *worker, const struct wire *wire, int64_t now_ms,
             struct err *err)
{
    const char *code, *message;

    (void)now_ms;
    if (wire_str(wire, "code", TEXT_BYTES_SHOWN_MAX, "", &code, err) < 0 ||
        wire_str(wire, "message", TEXT_BYTES_SHOWN_MAX, "", &message, err) <
            0) {
        return E_INVALID;
    }
    log_error("event=broker_error code=\"%s\" message=\"%s\"", code, message);
    worker->is_broken = strcmp(code, err_name(E_VERSION)) == 0;
    return 0;
}

static const struct {
    const char *verb;
    handle_fn *handle;
} handlers[] = {
    { "welcome", handle_welcome }, { "rehello", handle_rehello },
    { "slots", handle_slots },     { "turn", handle_turn },
    { "lease", handle_lease },     { "beat", handle_beat },
    { "cancel", handle_cancel },   { "confirmed", handle_confirmed },
    { "drain", handle_drain },     { "recall", handle_recall },
    { "reload", handle_reload },   { "post", handle_post },
    { "noted", handle_noted },     { "error", handle_error },
};

static int
dispatch(struct worker *worker, const struct wire *wire, int64_t now_ms,
         struct err *err)
{
    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        if (strcmp(handlers[i].verb, wire_verb(wire)) == 0)
            return handlers[i].handle(worker, wire, now_ms, err);
    }
    return err_set(err, E_PROTOCOL, "unknown verb");
}

static void
take_one(struct worker *worker, struct slice body, int64_t now_ms)
{
    struct wire wire;
    struct err err = { 0 };
    int rc = wire_read(&wire, buf_slice(&worker->head), body, &err);

    if (rc < 0) {
        log_warn("event=bad_message reason=\"%s\"", err.msg);
        return;
    }
    worker->heard_ms = now_ms;
    if (dispatch(worker, &wire, now_ms, &err) < 0)
        warn_bad(&wire, &err);
    wire_fini(&wire);
}

int
inbox_take(struct worker *worker, int64_t now_ms)
{
    int count = 0;

    while (count < INBOX_BATCH_MAX) {
        struct link_body *large;
        int rc =
            link_take(worker->link, NULL, &worker->head, &worker->body, &large);

        if (rc == 1)
            break;
        count++;
        if (rc < 0) {
            log_warn("event=bad_message reason=\"%s\"", err_text(rc));
            continue;
        }
        take_one(worker,
                 large ? link_body_text(large) : buf_slice(&worker->body),
                 now_ms);
        link_body_free(large);
    }
    return count;
}
