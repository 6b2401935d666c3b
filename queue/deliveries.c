/* SPDX-License-Identifier: MIT */
#include "queue/deliveries.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <uuid/uuid.h>

#include "base/log.h"
#include "base/utf8.h"
#include "queue/core.h"

#define JITTER_PERCENT 10 /* of a wait, at most, on top */
#define MS             1000
#define SCAN_MAX       1000 /* rows that are looked at for one that has ended */
#define GONE           410  /* the receiver wants no more of it */

/* Before each try, the first included. */
static const int64_t waits_s[] = { 0, 5, 300, 1800, 7200, 28800, 86400 };
#define TRIES_MAX (sizeof(waits_s) / sizeof(waits_s[0]))

int64_t
deliveries_wait_ms(uint32_t failures, double chance)
{
    double wait_ms;

    if (failures >= TRIES_MAX)
        return -1;
    wait_ms = (double)(waits_s[failures] * MS);
    return (int64_t)(wait_ms * (1 + chance * JITTER_PERCENT / 100));
}

void
deliveries_event_text(const struct delivery *delivery,
                      char text[DELIVERIES_EVENT_BYTES])
{
    char uuid[CORE_UUID_TEXT_BYTES];

    core_uuid_text(delivery->event, uuid);
    (void)snprintf(text, DELIVERIES_EVENT_BYTES, DELIVERIES_EVENT_PREFIX "%s",
                   uuid);
}

/* The index of a webhook in the configuration; the count of them: it is not
 * there (any more). */
static size_t
find_webhook(const struct broker *broker, const char *name)
{
    const struct conf *conf = broker->env.conf;
    size_t at = 0;

    while (at < conf->webhook_count &&
           strcmp(conf->webhooks[at].name, name) != 0) {
        at++;
    }
    return at;
}

/* Writes one that waits from now on, and lets it be found. */
static void
put_waiting(struct broker *broker, struct delivery *delivery)
{
    size_t webhook = find_webhook(broker, delivery->webhook);

    delivery->due_ms = delivery->next_ms + DELIVERIES_IDLE_MS;
    if (delivery->id == 0)
        store_delivery_add(broker->env.store, delivery);
    else
        store_delivery_put(broker->env.store, delivery);
    if (webhook < broker->env.conf->webhook_count &&
        broker->posts.next_ms[webhook] > delivery->next_ms) {
        broker->posts.next_ms[webhook] = delivery->next_ms;
    }
}

/* ---- what happens ---- */

/* The oldest that has ended goes, else the oldest that waits: events that come
 * are never refused. */
static void
make_room(struct broker *broker)
{
    struct store *store = broker->env.store;
    struct delivery delivery = { 0 };
    uint64_t victim = 0;
    bool has_ended = false;

    for (int i = 0; i < SCAN_MAX && !has_ended; i++) {
        int rc = store_delivery_after(store, delivery.id, &delivery);

        if (rc < 0 && rc != E_CORRUPT)
            break;
        has_ended = rc == E_CORRUPT || delivery_has_ended(&delivery);
        if (has_ended || victim == 0)
            victim = delivery.id;
    }
    log_warn("event=delivery_dropped delivery=%llu ended=%d max=%lld",
             (unsigned long long)victim, has_ended,
             (long long)broker->env.conf->deliveries_max);
    broker->counters.events_dropped++;
    posts_drop(&broker->posts, victim);
    store_delivery_drop(store, victim);
}

/* Adds one delivery; *delivery has its id, or 0 if it was too large. */
static void
add_one(struct broker *broker, enum event event, size_t webhook,
        const unsigned char *batch, const cJSON *data,
        struct delivery *delivery)
{
    const char *name = broker->env.conf->webhooks[webhook].name;
    int64_t now_ms = store_now_ms(broker->env.store);
    char id[DELIVERIES_EVENT_BYTES];
    cJSON *head = cJSON_CreateObject();
    struct buf body = { 0 };

    *delivery = (struct delivery){ .created_ms = now_ms, .next_ms = now_ms };
    uuid_generate_random(delivery->event);
    if (batch)
        memcpy(delivery->batch, batch, sizeof(delivery->batch));
    memcpy(delivery->webhook, name, strlen(name) + 1);
    memcpy(delivery->type, event_name(event), strlen(event_name(event)) + 1);
    deliveries_event_text(delivery, id);
    wire_add_str(head, "id", id);
    wire_add_str(head, "object", "event");
    wire_add_int(head, "created_at", now_ms / MS);
    wire_add_str(head, "type", delivery->type);
    cJSON_AddItemToObject(head, "data", cJSON_Duplicate(data, true));
    wire_print(head, &body);
    if (body.bytes > DELIVERY_BODY_BYTES_MAX) {
        log_error("event=event_too_large type=%s bytes=%zu max=%d",
                  delivery->type, body.bytes, DELIVERY_BODY_BYTES_MAX);
        buf_fini(&body);
        return;
    }
    if (store_delivery_count(broker->env.store) >=
        (uint64_t)broker->env.conf->deliveries_max) {
        make_room(broker);
    }
    delivery->body = buf_slice(&body);
    put_waiting(broker, delivery);
    delivery->body = (struct slice){ 0 };
    buf_fini(&body);
    broker->counters.events_added++;
    log_info("event=delivery_added delivery=%llu webhook=%s type=%s id=%s",
             (unsigned long long)delivery->id, name, delivery->type, id);
}

void
deliveries_add(struct broker *broker, enum event event, const char *client,
               const unsigned char *batch, const cJSON *data)
{
    const struct conf *conf = broker->env.conf;
    struct delivery delivery;

    for (size_t i = 0; i < conf->webhook_count; i++) {
        if (conf_webhook_wants(&conf->webhooks[i], event, client))
            add_one(broker, event, i, batch, data, &delivery);
    }
}

void
deliveries_add_test(struct broker *broker, size_t webhook,
                    struct delivery *delivery)
{
    cJSON *data = cJSON_CreateObject();

    wire_add_str(data, "webhook", broker->env.conf->webhooks[webhook].name);
    add_one(broker, EVENT_TEST, webhook, NULL, data, delivery);
    cJSON_Delete(data);
}

static enum event
event_of(const struct batch *batch)
{
    switch (batch->state) {
    case BATCH_CANCELLED:
        return EVENT_BATCH_CANCELLED;
    case BATCH_EXPIRED:
        return EVENT_BATCH_EXPIRED;
    case BATCH_FAILED:
        return EVENT_BATCH_FAILED;
    default:
        assert(batch->state == BATCH_FINISHED);
        return EVENT_BATCH_COMPLETED;
    }
}

void
deliveries_batch_ended(struct broker *broker, const struct batch *batch)
{
    char id[6 + CORE_UUID_TEXT_BYTES] = "batch_";
    char client[CONF_NAME_BYTES_MAX + 1];
    struct spec spec;
    cJSON *data, *counts;
    uint32_t accepted = batch->draft_count - batch->refused_count;

    if (broker->env.conf->webhook_count == 0)
        return;
    /* Without its spec nobody knows whose it is. */
    if (store_spec_get(broker->env.store, batch->id, &spec) < 0)
        spec = (struct spec){ 0 };
    (void)snprintf(client, sizeof(client), "%.*s", (int)spec.client.bytes,
                   spec.client.bytes ? spec.client.data : "");
    core_uuid_text(batch->uuid, id + strlen("batch_"));
    data = cJSON_CreateObject();
    wire_add_str(data, "id", id);
    wire_add_str(data, "client", client);
    wire_add_slice(data, "name", spec.name);
    wire_add_str(data, "state", batch_state_name(batch->state));
    counts = wire_add_object(data, "counts");
    /* Those that are still to get a result will not be ok. */
    wire_add_int(counts, "drafts", batch->draft_count);
    wire_add_int(counts, "refused", batch->refused_count);
    wire_add_int(counts, "ok", batch->status_count[STATUS_OK]);
    wire_add_int(counts, "failed", accepted - batch->status_count[STATUS_OK]);
    deliveries_add(broker, event_of(batch), client, batch->uuid, data);
    cJSON_Delete(data);
}

/* ---- giving ---- */

/* The worker for the next try: that has the secret, and the fewest of them. */
static struct session *
choose_worker(const struct broker *broker, size_t webhook)
{
    struct session *best = NULL;
    size_t fewest = SIZE_MAX;

    for (size_t i = 0; i < broker->sessions->count; i++) {
        struct session *session = broker->sessions->list[i];
        size_t count;

        if (!session->is_online || session->is_leaving ||
            !(session->webhooks & 1u << webhook)) {
            continue;
        }
        count = posts_of_worker(&broker->posts, session->uuid);
        if (count < fewest) {
            best = session;
            fewest = count;
        }
    }
    return best;
}

static void
give(struct broker *broker, size_t webhook, const struct session *session,
     struct delivery *delivery, int64_t now_ms)
{
    const struct conf_webhook *conf = &broker->env.conf->webhooks[webhook];
    struct post post = { .delivery = delivery->id, .webhook = webhook };
    char id[DELIVERIES_EVENT_BYTES];
    cJSON *head = wire_new("post");
    struct letter *letter;

    delivery_move(delivery, DELIVERY_GIVEN);
    post.attempt = ++delivery->attempts;
    delivery->given_ms = now_ms;
    delivery->next_ms = 0;
    delivery->due_ms = now_ms + conf->timeout_ms + DELIVERIES_MARGIN_MS;
    memcpy(delivery->worker, session->uuid, sizeof(delivery->worker));
    memcpy(post.worker, session->uuid, sizeof(post.worker));
    deliveries_event_text(delivery, id);
    wire_add_int(head, "delivery", (int64_t)delivery->id);
    wire_add_int(head, "attempt", post.attempt);
    wire_add_str(head, "webhook", conf->name);
    wire_add_str(head, "url", conf->url);
    wire_add_str(head, "id", id);
    wire_add_int(head, "timeout_ms", conf->timeout_ms);
    /* Sent first: its body is the store's until the next change. */
    letter = worker_open(broker, session);
    wire_print(head, &letter->head);
    buf_add_slice(&letter->body, delivery->body);
    store_delivery_put(broker->env.store, delivery);
    posts_add(&broker->posts, &post);
}

/* Gives what one webhook has to be tried now. */
static void
run_webhook(struct broker *broker, size_t webhook, int64_t now_ms)
{
    const struct conf_webhook *conf = &broker->env.conf->webhooks[webhook];
    int64_t *next_ms = &broker->posts.next_ms[webhook];

    while (*next_ms <= now_ms && posts_of_webhook(&broker->posts, webhook) <
                                     (size_t)conf->posts_max) {
        const struct session *session = choose_worker(broker, webhook);
        struct delivery delivery;
        int rc;

        if (!session)
            return;
        rc = store_delivery_first(broker->env.store, conf->name, &delivery);
        if (rc == E_CORRUPT) {
            /* Its timer removes the rest of it. */
            log_error("event=delivery_damaged delivery=%llu",
                      (unsigned long long)delivery.id);
            store_delivery_skip(broker->env.store, conf->name);
        } else if (rc < 0) {
            *next_ms = INT64_MAX;
        } else if (delivery.next_ms > now_ms) {
            *next_ms = delivery.next_ms;
        } else {
            give(broker, webhook, session, &delivery, now_ms);
        }
    }
}

void
deliveries_run(struct broker *broker, int64_t now_ms)
{
    if (broker->is_draining)
        return;
    for (size_t i = 0; i < broker->env.conf->webhook_count; i++)
        run_webhook(broker, i, now_ms);
}

int64_t
deliveries_next_ms(const struct broker *broker)
{
    const struct conf *conf = broker->env.conf;
    int64_t next_ms = INT64_MAX;

    if (broker->is_draining)
        return INT64_MAX;
    for (size_t i = 0; i < conf->webhook_count; i++) {
        if (broker->posts.next_ms[i] < next_ms &&
            posts_of_webhook(&broker->posts, i) <
                (size_t)conf->webhooks[i].posts_max &&
            choose_worker(broker, i)) {
            next_ms = broker->posts.next_ms[i];
        }
    }
    return next_ms;
}

/* ---- what comes of it ---- */

static void
note(struct delivery *delivery, uint32_t http_status, const char *code,
     const char *message)
{
    struct slice kept =
        utf8_cut(slice_of(message), sizeof(delivery->message) - 1);

    delivery->http_status = http_status;
    (void)snprintf(delivery->code, sizeof(delivery->code), "%s", code);
    memset(delivery->message, 0, sizeof(delivery->message));
    if (kept.bytes)
        memcpy(delivery->message, kept.data, kept.bytes);
}

static void
end(struct broker *broker, struct delivery *delivery, enum delivery_state state,
    int64_t now_ms)
{
    bool is_well = state == DELIVERY_DELIVERED;

    delivery_move(delivery, state);
    delivery->next_ms = 0;
    delivery->ended_ms = now_ms;
    delivery->due_ms = now_ms + broker->env.conf->deliveries_ttl_ms;
    (is_well ? log_info : log_warn)(
        "event=%s delivery=%llu webhook=%s attempts=%u status=%u code=\"%s\"",
        is_well ? "delivered" : "delivery_failed",
        (unsigned long long)delivery->id, delivery->webhook, delivery->attempts,
        delivery->http_status, delivery->code);
    if (is_well)
        broker->counters.events_delivered++;
    else
        broker->counters.events_failed++;
    posts_drop(&broker->posts, delivery->id);
    store_delivery_put(broker->env.store, delivery);
}

/* Back among those that wait, without a failure. */
static void
put_back(struct broker *broker, struct delivery *delivery, int64_t next_ms)
{
    posts_drop(&broker->posts, delivery->id);
    delivery_move(delivery, DELIVERY_WAITING);
    delivery->next_ms = next_ms;
    put_waiting(broker, delivery);
}

/* A try has failed. wait_ms: what the receiver named; 0: nothing. */
static void
fail(struct broker *broker, struct delivery *delivery, int64_t wait_ms,
     int64_t now_ms)
{
    int64_t own_ms =
        deliveries_wait_ms(++delivery->failures, core_chance(broker));

    if (own_ms < 0 || delivery->http_status == GONE) {
        end(broker, delivery, DELIVERY_FAILED, now_ms);
        return;
    }
    if (wait_ms > DELIVERIES_WAIT_MS_MAX)
        wait_ms = DELIVERIES_WAIT_MS_MAX;
    if (wait_ms < own_ms)
        wait_ms = own_ms;
    broker->counters.events_retried++;
    log_warn("event=delivery_retry delivery=%llu webhook=%s failures=%u "
             "status=%u code=\"%s\" wait_ms=%lld",
             (unsigned long long)delivery->id, delivery->webhook,
             delivery->failures, delivery->http_status, delivery->code,
             (long long)wait_ms);
    put_back(broker, delivery, now_ms + wait_ms);
}

/* Its worker is gone: that is not the receiver's fault, unless it happens again
 * and again. */
static void
lose(struct broker *broker, uint64_t id, int64_t now_ms)
{
    struct delivery delivery;

    posts_drop(&broker->posts, id);
    if (store_delivery_get(broker->env.store, id, &delivery) < 0 ||
        delivery.state != DELIVERY_GIVEN) {
        return;
    }
    broker->counters.events_lost++;
    note(&delivery, 0, "lost", "its worker is gone");
    if (++delivery.losses >= DELIVERIES_LOSSES_MAX)
        end(broker, &delivery, DELIVERY_FAILED, now_ms);
    else
        put_back(broker, &delivery, now_ms);
}

void
deliveries_worker_gone(struct broker *broker, const struct session *session,
                       int64_t now_ms)
{
    const struct post *post;

    while ((post = posts_find_worker(&broker->posts, session->uuid)))
        lose(broker, post->delivery, now_ms);
}

/* True if a list of pairs has a try. */
static bool
is_listed(struct wire_list list, const struct post *post)
{
    struct wire item;

    while (wire_next(&list, &item)) {
        int64_t pair[2];

        if (wire_integers(&item, 2, 0, pair) == 0 &&
            (uint64_t)pair[0] == post->delivery && pair[1] == post->attempt) {
            return true;
        }
    }
    return false;
}

void
deliveries_match(struct broker *broker, const struct session *session,
                 const struct wire_list *list, int64_t now_ms)
{
    struct posts *posts = &broker->posts;

    /* From the end: what is dropped is replaced by the last one. */
    for (size_t i = posts->count; i > 0; i--) {
        const struct post *post = &posts->list[i - 1];

        if (memcmp(post->worker, session->uuid, sizeof(post->worker)) == 0 &&
            !is_listed(*list, post)) {
            lose(broker, post->delivery, now_ms);
        }
    }
}

void
deliveries_due(struct broker *broker, uint64_t id, int64_t due_ms,
               int64_t now_ms)
{
    struct delivery delivery;
    int rc = store_delivery_get(broker->env.store, id, &delivery);

    if (rc == E_CORRUPT) {
        log_error("event=delivery_damaged delivery=%llu",
                  (unsigned long long)id);
        posts_drop(&broker->posts, id);
        store_delivery_drop(broker->env.store, id);
        return;
    }
    if (rc < 0 || delivery.due_ms != due_ms)
        return;
    switch (delivery.state) {
    case DELIVERY_WAITING:
        note(&delivery, 0, "no_worker",
             "no worker that can post to the webhook was there");
        end(broker, &delivery, DELIVERY_FAILED, now_ms);
        break;
    case DELIVERY_GIVEN:
        broker->counters.events_lost++;
        note(&delivery, 0, "no_report", "its worker did not say what came");
        fail(broker, &delivery, 0, now_ms);
        break;
    default:
        store_delivery_drop(broker->env.store, id);
    }
}

void
deliveries_resend(struct broker *broker, struct delivery *delivery,
                  int64_t now_ms)
{
    if (delivery->state == DELIVERY_GIVEN)
        return;
    if (delivery->state != DELIVERY_WAITING)
        delivery_move(delivery, DELIVERY_WAITING);
    delivery->failures = delivery->losses = 0;
    delivery->ended_ms = 0;
    delivery->next_ms = now_ms;
    put_waiting(broker, delivery);
}

/* ---- workers ---- */

/* Takes up one that is given. One whose worker is not known any more waits
 * again. */
static void
take_up(struct broker *broker, struct delivery *delivery, int64_t now_ms)
{
    struct post post = { .delivery = delivery->id,
                         .attempt = delivery->attempts,
                         .webhook = find_webhook(broker, delivery->webhook) };

    if (post.webhook == broker->env.conf->webhook_count)
        return;
    if (!sessions_find(broker->sessions, delivery->worker) ||
        posts_of_webhook(&broker->posts, post.webhook) == CONF_POSTS_MAX) {
        put_back(broker, delivery, now_ms);
        return;
    }
    memcpy(post.worker, delivery->worker, sizeof(post.worker));
    posts_add(&broker->posts, &post);
}

int
deliveries_recover(struct broker *broker, int64_t now_ms)
{
    struct delivery delivery = { 0 };
    int rc;

    broker->posts = (struct posts){ 0 };
    while ((rc = store_delivery_after(broker->env.store, delivery.id,
                                      &delivery)) == 0 ||
           rc == E_CORRUPT) {
        if (rc == 0 && delivery.state == DELIVERY_GIVEN)
            take_up(broker, &delivery, now_ms);
    }
    return rc == E_NOTFOUND ? 0 : rc;
}

void
deliveries_report(struct broker *broker, const struct session *session,
                  const struct post_report *report, int64_t now_ms)
{
    struct delivery delivery;
    bool is_newest;

    if (store_delivery_get(broker->env.store, report->delivery, &delivery) < 0)
        return;
    is_newest =
        delivery.state == DELIVERY_GIVEN &&
        delivery.attempts == report->attempt &&
        memcmp(delivery.worker, session->uuid, sizeof(delivery.worker)) == 0;
    if (report->end == POST_OK && delivery.state != DELIVERY_DELIVERED) {
        /* Also of a try that was taken for lost: it is there. */
        note(&delivery, report->http_status, "", "");
        end(broker, &delivery, DELIVERY_DELIVERED, now_ms);
    } else if (is_newest && report->end == POST_FAILED) {
        note(&delivery, report->http_status, report->code, report->message);
        fail(broker, &delivery, report->wait_ms, now_ms);
    } else if (is_newest) {
        note(&delivery, 0, report->code, report->message);
        put_back(broker, &delivery, now_ms + DELIVERIES_AGAIN_MS);
    }
}
