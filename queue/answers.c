/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#include "base/mem.h"
#include "base/model_map.h"
#include "queue/filing.h"

#define LIST_MAX        100
#define LIST_DEFAULT    20
#define WAIT_MS_MAX     60000
#define NANO            1e9
#define MODEL_BYTES_MAX 256
#define MODELS_MAX      128 /* told in a greeting, which is a header */
#define LIST_BYTES_MAX  (WIRE_HEADER_BYTES_MAX - 1024) /* of its batches */

/* ---- hello ---- */

static void
add_model(cJSON *models, struct slice id, const char *upstream)
{
    cJSON *model;

    if (cJSON_GetArraySize(models) == MODELS_MAX || id.bytes > MODEL_BYTES_MAX)
        return;
    model = cJSON_CreateObject();
    wire_add_slice(model, "id", id);
    wire_add_str(model, "upstream", upstream);
    cJSON_AddItemToArray(models, model);
}

/* The models that are configured: those that drafts without one go to, and those
 * that have another name upstream. */
static void
add_models(cJSON *head, const struct conf *conf)
{
    cJSON *models = wire_add_array(head, "models");

    for (size_t i = 0; i < conf->upstream_count; i++) {
        const struct conf_upstream *upstream = &conf->upstreams[i];
        struct slice list = slice_of(upstream->model_map), model;

        if (upstream->model)
            add_model(models, slice_of(upstream->model), upstream->name);
        while (model_map_next(&list, &model))
            add_model(models, model, upstream->name);
    }
}

int
answer_hello(struct call *call)
{
    struct broker *broker = call->broker;
    const struct conf *conf = broker->env.conf;
    char uuid[CORE_UUID_TEXT_BYTES];
    cJSON *head, *limits, *names;
    int64_t protocol;

    if (wire_int(call->wire, "protocol",
                 wire_range_or(0, WIRE_INT_MAX, WIRE_PROTOCOL), &protocol,
                 call->err) < 0) {
        return E_INVALID;
    }
    if (protocol != WIRE_PROTOCOL) {
        return err_set(call->err, E_VERSION,
                       "protocol %lld; this broker speaks %d",
                       (long long)protocol, WIRE_PROTOCOL);
    }
    head = core_answer(call, "welcome");
    core_uuid_text(store_uuid(broker->env.store), uuid);
    wire_add_int(head, "protocol", WIRE_PROTOCOL);
    wire_add_str(head, "version", broker->env.version);
    wire_add_str(head, "store", uuid);
    limits = wire_add_object(head, "limits");
    wire_add_int(limits, "chunk_bytes_max", conf->chunk_bytes_max);
    wire_add_int(limits, "chunk_drafts_max", conf->chunk_drafts_max);
    wire_add_int(limits, "line_bytes_max", conf->line_bytes_max);
    wire_add_int(limits, "window_bytes",
                 conf->chunk_bytes_max * CORE_WINDOW_CHUNKS);
    wire_add_int(limits, "page_bytes_max", conf->results_page_bytes_max);
    wire_add_int(limits, "group_chars_max", conf->group_chars_max);
    wire_add_int(limits, "file_bytes_max", conf->file_bytes_max);
    wire_add_int(limits, "file_lines_max", conf->file_lines_max);
    wire_add_int(limits, "piece_bytes", FILE_PIECE_BYTES);
    names = wire_add_array(head, "upstreams");
    for (size_t i = 0; i < conf->upstream_count; i++) {
        cJSON_AddItemToArray(names,
                             cJSON_CreateString(conf->upstreams[i].name));
    }
    add_models(head, conf);
    wire_add_str(head, "default_upstream",
                 conf->upstream_count ? conf->upstreams[0].name : CONF_LOCAL);
    wire_add_bool(head, "draining", broker->is_draining);
    wire_add_int(head, "alerts_firing",
                 (int64_t)alerts_firing(broker->watch.alerts));
    core_send(call, head);
    return 0;
}

/* ---- status, list ---- */

static void
add_counts(cJSON *head, const struct batch *batch)
{
    cJSON *counts = wire_add_object(head, "counts");

    wire_add_int(counts, "drafts", batch->draft_count);
    wire_add_int(counts, "refused", batch->refused_count);
    wire_add_int(counts, "done", batch_done_count(batch));
    for (enum status status = STATUS_OK; status < STATUS_COUNT; status++) {
        wire_add_int(counts, status_name(status), batch->status_count[status]);
    }
    wire_add_int(counts, "joined", batch->joined_count);
    wire_add_int(counts, "cached", batch->cached_count);
    wire_add_int(counts, "retrying", batch->retry_count);
}

/* Upstreams may claim any number. */
static void
add_tokens(cJSON *usage, const char *name, uint64_t count)
{
    wire_add_int(usage, name,
                 count < WIRE_INT_MAX ? (int64_t)count : WIRE_INT_MAX);
}

static void
add_usage(cJSON *head, const struct batch *batch)
{
    cJSON *usage = wire_add_object(head, "usage");

    add_tokens(usage, "prompt_tokens", batch->prompt_tokens);
    add_tokens(usage, "completion_tokens", batch->completion_tokens);
    add_tokens(usage, "total_tokens", batch->total_tokens);
    if (batch->cost_nano == BATCH_COST_UNKNOWN)
        wire_add_null(head, "cost_usd");
    else
        wire_add_double(head, "cost_usd", (double)batch->cost_nano / NANO);
}

/* A time that is a person's; 0 is none. */
static void
add_wall(const struct broker *broker, cJSON *head, const char *name, int64_t ms)
{
    wire_add_int(head, name, ms > 0 ? core_to_wall_ms(broker, ms) : 0);
}

/* The calls that take long, by stage; the first count is of those behind t1. */
static void
add_slow(struct broker *broker, cJSON *head, const struct batch *batch)
{
    cJSON *slow = wire_add_object(head, "slow"), *calls;
    uint32_t counts[STAGE_COUNT];

    wire_add_int(slow, "stage", stage_count(broker, batch->id, counts));
    calls = wire_add_array(slow, "calls");
    for (unsigned stage = 1; stage < STAGE_COUNT; stage++)
        cJSON_AddItemToArray(calls, cJSON_CreateNumber(counts[stage]));
}

int
answer_add_status(struct broker *broker, cJSON *head, const struct batch *batch)
{
    char uuid[CORE_UUID_TEXT_BYTES];
    struct spec spec;
    char *metadata;
    int rc = store_spec_get(broker->env.store, batch->id, &spec);

    if (rc < 0)
        return rc;
    core_uuid_text(batch->uuid, uuid);
    if (!cJSON_GetObjectItemCaseSensitive(head, "batch"))
        wire_add_str(head, "batch", uuid);
    wire_add_str(head, "state", batch_state_name(batch->state));
    wire_add_slice(head, "client", spec.client);
    wire_add_slice(head, "key", spec.key);
    wire_add_slice(head, "name", spec.name);
    metadata = mem_dup(spec.metadata.data, spec.metadata.bytes);
    cJSON_AddItemToObject(head, "metadata", cJSON_Parse(metadata));
    free(metadata);
    wire_add_int(head, "priority", batch->priority);
    wire_add_int(head, "created_at", batch->created_ms);
    wire_add_int(head, "sealed_at", batch->sealed_ms);
    wire_add_int(head, "finished_at", batch->finished_ms);
    add_wall(broker, head, "deadline", batch->deadline_ms);
    add_wall(broker, head, "not_before", batch->not_before_ms);
    wire_add_slice(head, "window", spec.window);
    wire_add_slice(head, "tz", spec.tz);
    wire_add_int(head, "next_chunk", batch->chunk_next);
    wire_add_int(head, "last_seq", (int64_t)batch->last_seq);
    add_counts(head, batch);
    add_slow(broker, head, batch);
    add_usage(head, batch);
    filing_add_status(broker, head, batch);
    (void)upstream_add_stalled(broker, head, batch);
    return 0;
}

int
answer_status(struct call *call)
{
    struct batch batch;
    cJSON *head;
    int rc = core_batch(call, &batch);

    if (rc < 0)
        return rc;
    head = core_answer(call, "status");
    rc = answer_add_status(call->broker, head, &batch);
    if (rc < 0) {
        cJSON_Delete(head);
        return rc;
    }
    core_send(call, head);
    return 0;
}

static bool
is_of_client(struct broker *broker, uint64_t batch, const char *client)
{
    struct spec spec;

    return !*client || (store_spec_get(broker->env.store, batch, &spec) == 0 &&
                        slice_is(spec.client, client));
}

/* The next batch that is to be listed, before the one in *batch. */
static bool
find_listed(struct broker *broker, const char *client, bool from_file,
            struct batch *batch)
{
    int rc;

    do {
        rc = store_batch_before(broker->env.store, batch->id, batch);
        if (rc == 0 && batch->state != BATCH_PURGED &&
            is_of_client(broker, batch->id, client) &&
            (!from_file || filing_exists(broker, batch->id))) {
            return true;
        }
        /* A damaged one is passed over; `verify` names it. */
    } while (rc == 0 || rc == E_CORRUPT);
    return false;
}

int
answer_list(struct call *call)
{
    struct broker *broker = call->broker;
    struct batch batch = { .id = UINT64_MAX };
    const char *before, *client;
    unsigned char uuid[16];
    cJSON *head, *batches;
    int64_t limit, count = 0;
    size_t bytes = 0;
    bool has_more = false, from_file;

    if (wire_str(call->wire, "before", CORE_UUID_TEXT_BYTES - 1, "", &before,
                 call->err) < 0 ||
        wire_str(call->wire, "client", WIRE_CLIENT_BYTES_MAX, "", &client,
                 call->err) < 0 ||
        wire_bool(call->wire, "from_file", false, &from_file, call->err) < 0 ||
        wire_int(call->wire, "limit", wire_range_or(1, LIST_MAX, LIST_DEFAULT),
                 &limit, call->err) < 0) {
        return E_INVALID;
    }
    if (*before) {
        if (uuid_parse(before, uuid) != 0)
            return err_set(call->err, E_INVALID, "before: not a UUID");
        if (store_batch_find(broker->env.store, uuid, &batch) < 0 ||
            !is_of_client(broker, batch.id, client))
            return err_set(call->err, E_NOTFOUND, "no batch %s", before);
    }
    head = core_answer(call, "list");
    batches = wire_add_array(head, "batches");
    while (count < limit && find_listed(broker, client, from_file, &batch)) {
        cJSON *item = cJSON_CreateObject();

        if (answer_add_status(broker, item, &batch) < 0) {
            cJSON_Delete(item);
            continue;
        }
        bytes += wire_bytes(item) + 1;
        if (count > 0 && bytes > LIST_BYTES_MAX) {
            cJSON_Delete(item);
            has_more = true;
            break;
        }
        cJSON_AddItemToArray(batches, item);
        count++;
    }
    if (!has_more)
        has_more = find_listed(broker, client, from_file, &batch);
    wire_add_bool(head, "more", has_more);
    core_send(call, head);
    return 0;
}

/* ---- wait ---- */

int
answer_wait(struct call *call)
{
    struct broker *broker = call->broker;
    struct waiter waiter = { .peer = *call->peer, .re = call->re };
    int64_t timeout_ms;
    struct batch batch;
    int rc = core_batch(call, &batch);

    if (rc < 0)
        return rc;
    if (wire_int(call->wire, "after", wire_range_or(0, WIRE_INT_MAX, -1),
                 &waiter.after, call->err) < 0 ||
        wire_int(call->wire, "timeout",
                 wire_range_or(0, WAIT_MS_MAX, WAIT_MS_MAX), &timeout_ms,
                 call->err) < 0 ||
        wire_bool(call->wire, "stalled", false, &waiter.ends_stalled,
                  call->err) < 0) {
        return E_INVALID;
    }
    if (broker->waiter_count + broker->waiter_fresh ==
        (size_t)broker->env.conf->waiters_max) {
        return err_set(call->err, E_FULL, "waiters_max (%lld) is reached",
                       (long long)broker->env.conf->waiters_max);
    }
    waiter.batch = batch.id;
    waiter.until_ms = call->now_ms + timeout_ms;
    broker->waiters[broker->waiter_count + broker->waiter_fresh++] = waiter;
    broker->has_results = true; /* look at it at once */
    return 0;
}

/* True if the wait is over: then it is answered. */
static bool
end_wait(struct broker *broker, const struct waiter *waiter, int64_t now_ms)
{
    struct call call = { .broker = broker,
                         .peer = &waiter->peer,
                         .re = waiter->re };
    struct batch batch;
    cJSON *head;
    int rc;

    rc = store_batch_get(broker->env.store, waiter->batch, &batch);
    if (rc == 0 && now_ms < waiter->until_ms &&
        (batch_is_live(&batch) || filing_is_pending(broker, &batch)) &&
        (waiter->after < 0 || batch.last_seq <= (uint64_t)waiter->after) &&
        (!waiter->ends_stalled ||
         !upstream_add_stalled(broker, NULL, &batch))) {
        return false;
    }
    head = core_answer(&call, "status");
    if (rc == 0)
        rc = answer_add_status(broker, head, &batch);
    if (rc < 0) {
        cJSON_Delete(head);
        head = core_answer(&call, "error");
        wire_add_str(head, "code", err_name(rc));
        wire_add_str(head, "message", "the batch is gone, or damaged");
    }
    core_send(&call, head);
    return true;
}

void
answer_waiters(struct broker *broker, int64_t now_ms)
{
    size_t kept = 0;

    for (size_t i = 0; i < broker->waiter_count; i++) {
        struct waiter waiter = broker->waiters[i];

        if ((!broker->has_results && now_ms < waiter.until_ms) ||
            !end_wait(broker, &waiter, now_ms)) {
            broker->waiters[kept++] = waiter;
        }
    }
    broker->waiter_count = kept;
}
