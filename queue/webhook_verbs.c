/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <uuid/uuid.h>

#include "queue/core.h"

#define PAGE_ROWS         100
#define PAGE_ROWS_MAX     1000
#define CODE_BYTES_MAX    64
#define MESSAGE_BYTES_MAX 512
#define HTTP_STATUS_MAX   999
#define CLASS_BYTES_MAX   16

/* ---- clients ---- */

/* A time, or null: there is none. */
static void
add_time(cJSON *item, const char *name, int64_t ms)
{
    if (ms == 0)
        wire_add_null(item, name);
    else
        wire_add_int(item, name, ms);
}

static cJSON *
delivery_item(const struct broker *broker, const struct delivery *delivery)
{
    char id[DELIVERIES_EVENT_BYTES], batch[CORE_UUID_TEXT_BYTES];
    cJSON *item = cJSON_CreateObject();

    deliveries_event_text(delivery, id);
    core_uuid_text(delivery->batch, batch);
    wire_add_int(item, "delivery", (int64_t)delivery->id);
    wire_add_str(item, "id", id);
    wire_add_str(item, "webhook", delivery->webhook);
    wire_add_str(item, "type", delivery->type);
    if (uuid_is_null(delivery->batch))
        wire_add_null(item, "batch");
    else
        wire_add_str(item, "batch", batch);
    wire_add_str(item, "state", delivery_state_name(delivery->state));
    wire_add_int(item, "created_at", delivery->created_ms);
    add_time(item, "next_at",
             delivery->next_ms == 0
                 ? 0
                 : core_to_wall_ms(broker, delivery->next_ms));
    add_time(item, "tried_at", delivery->given_ms);
    add_time(item, "ended_at", delivery->ended_ms);
    wire_add_int(item, "attempts", delivery->attempts);
    wire_add_int(item, "failures", delivery->failures);
    add_time(item, "http_status", delivery->http_status);
    wire_add_str(item, "code", delivery->code);
    wire_add_str(item, "message", delivery->message);
    return item;
}

/* What is configured. Not the URLs: there may be secrets in them. */
static void
add_webhooks(const struct broker *broker, cJSON *head)
{
    const struct conf *conf = broker->env.conf;
    cJSON *list = wire_add_array(head, "webhooks");

    for (size_t i = 0; i < conf->webhook_count; i++) {
        cJSON *item = cJSON_CreateObject();
        int64_t workers = 0;

        for (size_t j = 0; j < broker->sessions->count; j++) {
            const struct session *session = broker->sessions->list[j];

            workers += session->is_online && session->webhooks & 1u << i;
        }
        wire_add_str(item, "name", conf->webhooks[i].name);
        wire_add_int(item, "in_flight",
                     (int64_t)posts_of_webhook(&broker->posts, i));
        wire_add_int(item, "workers", workers);
        cJSON_AddItemToArray(list, item);
    }
}

int
webhook_list(struct call *call)
{
    const struct broker *broker = call->broker;
    struct buf lines = { 0 };
    struct delivery delivery = { 0 };
    int64_t before, limit, count = 0;
    bool has_more = false;
    cJSON *head;

    if (wire_int(call->wire, "before",
                 wire_range_or(0, WIRE_INT_MAX, WIRE_INT_MAX), &before,
                 call->err) < 0 ||
        wire_int(call->wire, "limit",
                 wire_range_or(1, PAGE_ROWS_MAX, PAGE_ROWS), &limit,
                 call->err) < 0) {
        return E_INVALID;
    }
    for (;;) {
        int rc = store_delivery_before(broker->env.store, (uint64_t)before,
                                       &delivery);

        if (rc < 0 && rc != E_CORRUPT)
            break;
        has_more =
            count == limit ||
            lines.bytes >= (size_t)broker->env.conf->results_page_bytes_max;
        if (has_more)
            break;
        before = (int64_t)delivery.id;
        if (rc < 0)
            continue;
        wire_print(delivery_item(broker, &delivery), &lines);
        buf_add_char(&lines, '\n');
        count++;
    }
    head = core_answer(call, "webhooks");
    add_webhooks(broker, head);
    wire_add_int(head, "count", count);
    wire_add_int(head, "cursor", before);
    wire_add_bool(head, "more", has_more);
    buf_add_slice(core_send(call, head), buf_slice(&lines));
    buf_fini(&lines);
    return 0;
}

/* The delivery of an event; the newest are asked for most. */
static int
find_event(struct call *call, struct delivery *delivery)
{
    struct store *store = call->broker->env.store;
    const size_t prefix = strlen(DELIVERIES_EVENT_PREFIX);
    const char *text;
    uuid_t uuid;
    int rc;

    if (wire_str(call->wire, "event", DELIVERIES_EVENT_BYTES - 1, NULL, &text,
                 call->err) < 0) {
        return E_INVALID;
    }
    if (strncmp(text, DELIVERIES_EVENT_PREFIX, prefix) != 0 ||
        uuid_parse(text + prefix, uuid) != 0) {
        return err_set(call->err, E_INVALID,
                       "event: not evt_ and a UUID behind it");
    }
    delivery->id = UINT64_MAX;
    while ((rc = store_delivery_before(store, delivery->id, delivery)) == 0 ||
           rc == E_CORRUPT) {
        if (rc == 0 && uuid_compare(delivery->event, uuid) == 0)
            return 0;
    }
    return err_set(call->err, E_NOTFOUND, "no event %s", text);
}

int
webhook_resend(struct call *call)
{
    struct delivery delivery;
    cJSON *head;
    int rc = find_event(call, &delivery);

    if (rc < 0)
        return rc;
    deliveries_resend(call->broker, &delivery, call->now_ms);
    head = core_answer(call, "resent");
    cJSON_AddItemToObject(head, "delivery",
                          delivery_item(call->broker, &delivery));
    core_send(call, head);
    return 0;
}

int
webhook_test(struct call *call)
{
    const struct conf *conf = call->broker->env.conf;
    struct delivery delivery;
    const char *name;
    cJSON *head;
    size_t at = 0;

    if (wire_str(call->wire, "webhook", CONF_NAME_BYTES_MAX, NULL, &name,
                 call->err) < 0) {
        return E_INVALID;
    }
    while (at < conf->webhook_count &&
           strcmp(conf->webhooks[at].name, name) != 0) {
        at++;
    }
    if (at == conf->webhook_count) {
        return err_set(call->err, E_NOTFOUND, "no webhook \"%s\" is configured",
                       name);
    }
    deliveries_add_test(call->broker, at, &delivery);
    head = core_answer(call, "tested");
    cJSON_AddItemToObject(head, "delivery",
                          delivery_item(call->broker, &delivery));
    core_send(call, head);
    return 0;
}

/* ---- workers ---- */

static int
read_class(struct call *call, enum post_end *end)
{
    static const char *const names[] = {
        [POST_OK] = "ok", [POST_FAILED] = "failed", [POST_UNMADE] = "unmade"
    };
    const char *name;

    if (wire_str(call->wire, "class", CLASS_BYTES_MAX, NULL, &name, call->err) <
        0) {
        return E_INVALID;
    }
    for (*end = POST_OK; *end <= POST_UNMADE; ++*end) {
        if (strcmp(names[*end], name) == 0)
            return 0;
    }
    return err_set(call->err, E_INVALID, "class: none of ok, failed, unmade");
}

int
worker_posted(struct call *call)
{
    struct session *session = worker_speaker(call);
    struct post_report report;
    int64_t delivery, attempt, status;
    cJSON *head;

    if (!session)
        return 0;
    if (wire_int(call->wire, "delivery", wire_range(0, WIRE_INT_MAX), &delivery,
                 call->err) < 0 ||
        wire_int(call->wire, "attempt", wire_range(0, UINT32_MAX), &attempt,
                 call->err) < 0 ||
        read_class(call, &report.end) < 0 ||
        wire_int(call->wire, "http_status",
                 wire_range_or(0, HTTP_STATUS_MAX, 0), &status,
                 call->err) < 0 ||
        wire_str(call->wire, "code", CODE_BYTES_MAX, "", &report.code,
                 call->err) < 0 ||
        wire_str(call->wire, "message", MESSAGE_BYTES_MAX, "", &report.message,
                 call->err) < 0 ||
        wire_int(call->wire, "wait_ms", wire_range_or(0, WIRE_INT_MAX, 0),
                 &report.wait_ms, call->err) < 0) {
        return E_INVALID;
    }
    report.delivery = (uint64_t)delivery;
    report.attempt = (uint32_t)attempt;
    report.http_status = (uint32_t)status;
    deliveries_report(call->broker, session, &report, call->now_ms);
    head = wire_new("noted");
    wire_add_int(head, "delivery", delivery);
    wire_add_int(head, "attempt", attempt);
    worker_send(call->broker, session, head);
    return 0;
}
