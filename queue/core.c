/* SPDX-License-Identifier: MIT */
#include "queue/core.h"

#include <string.h>
#include <uuid/uuid.h>

#include "base/log.h"

double
core_chance(struct broker *broker)
{
    uint64_t z;

    /* splitmix64 (Steele, Lea, Flood 2014): a seed gives one sequence. */
    broker->random += UINT64_C(0x9e3779b97f4a7c15);
    z = broker->random;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return (double)(z >> 11) / (double)(UINT64_C(1) << 53);
}

static int64_t
bounded(int64_t ms)
{
    if (ms < 1)
        return 1;
    return ms < WIRE_INT_MAX ? ms : WIRE_INT_MAX;
}

int64_t
core_to_wall_ms(const struct broker *broker, int64_t ms)
{
    return bounded(ms + broker->wall_ahead_ms);
}

int64_t
core_from_wall_ms(const struct broker *broker, int64_t wall_ms)
{
    return bounded(wall_ms - broker->wall_ahead_ms);
}

int64_t
core_opens_at(const struct broker *broker, const struct window *window,
              int64_t from_ms)
{
    int64_t wall_ms =
        window_next_open(window, core_to_wall_ms(broker, from_ms));

    return wall_ms < WIRE_INT_MAX ? core_from_wall_ms(broker, wall_ms)
                                  : WIRE_INT_MAX;
}

int64_t
core_deadline_ms(const struct broker *broker, int64_t start_ms)
{
    return bounded(start_ms + broker->env.conf->deadline_ms);
}

int64_t
core_grace_ms(const struct broker *broker, int64_t due_ms, int64_t length_ms)
{
    int64_t grace_ms = broker->env.conf->start_grace_ms;

    if (due_ms > broker->start_ms)
        return due_ms;
    return broker->start_ms + (grace_ms < length_ms ? grace_ms : length_ms);
}

void
core_uuid_text(const unsigned char uuid[16], char text[CORE_UUID_TEXT_BYTES])
{
    uuid_unparse_lower(uuid, text);
}

const char *
core_worker_name(const struct session *session, char text[CORE_UUID_TEXT_BYTES])
{
    if (*session->name)
        return session->name;
    core_uuid_text(session->uuid, text);
    return text;
}

cJSON *
core_answer(const struct call *call, const char *verb)
{
    cJSON *head = wire_new(verb);

    wire_add_int(head, "re", call->re);
    return head;
}

struct buf *
core_send(const struct call *call, cJSON *head)
{
    return outbox_add(call->broker->env.outbox, SIDE_CLIENTS, call->peer, head);
}

int
core_batch(struct call *call, struct batch *batch)
{
    int rc = core_batch_even_purged(call, batch);

    if (rc == 0 && batch->state == BATCH_PURGED)
        rc = err_set(call->err, E_NOTFOUND, "the batch was purged");
    return rc;
}

/* A client beside a UUID: another's batch is as if there was none. */
static int
check_client(struct call *call, const struct batch *batch)
{
    const char *client;
    struct spec spec;
    int rc = wire_str(call->wire, "client", WIRE_CLIENT_BYTES_MAX, "", &client,
                      call->err);

    if (rc < 0 || !*client)
        return rc;
    rc = store_spec_get(call->broker->env.store, batch->id, &spec);
    return rc == 0 && !slice_is(spec.client, client) ? E_NOTFOUND : rc;
}

int
core_batch_even_purged(struct call *call, struct batch *batch)
{
    struct store *store = call->broker->env.store;
    unsigned char digest[DIGEST_BYTES];
    const char *text, *client, *key;
    uuid_t uuid;
    int rc;

    if (wire_has(call->wire, "batch")) {
        if (wire_str(call->wire, "batch", CORE_UUID_TEXT_BYTES - 1, NULL, &text,
                     call->err) < 0) {
            return E_INVALID;
        }
        if (uuid_parse(text, uuid) != 0)
            return err_set(call->err, E_INVALID, "batch: not a UUID");
        rc = store_batch_find(store, uuid, batch);
        if (rc == 0)
            rc = check_client(call, batch);
        if (rc < 0)
            return err_set(call->err, rc, "no batch %s", text);
        return 0;
    }
    if (wire_str(call->wire, "client", WIRE_CLIENT_BYTES_MAX, NULL, &client,
                 call->err) < 0 ||
        wire_str(call->wire, "key", WIRE_KEY_BYTES_MAX, NULL, &key, call->err) <
            0) {
        return E_INVALID;
    }
    store_client_key(slice_of(client), slice_of(key), digest);
    rc = store_batch_find_key(store, digest, batch);
    if (rc < 0)
        return err_set(call->err, rc, "no batch with key %s", key);
    return 0;
}

int64_t
core_window(const struct broker *broker, int64_t now_ms)
{
    return senders_share(&broker->senders,
                         broker->env.conf->chunk_bytes_max * CORE_WINDOW_CHUNKS,
                         now_ms);
}

int
core_options(struct broker *broker, uint64_t batch)
{
    struct line_fault fault;
    struct spec spec;
    int rc;

    broker->recipe = recipes_find(broker->recipes, batch);
    if (broker->recipe)
        return 0;
    rc = store_spec_get(broker->env.store, batch, &spec);
    if (rc < 0)
        return rc;
    broker->recipe =
        recipes_read(broker->recipes, NULL, batch, spec.options, &fault);
    if (!broker->recipe) {
        log_warn("event=options_unreadable batch=%llu field=%s reason=\"%s\"",
                 (unsigned long long)batch, fault.field, fault.message);
        return E_INVALID;
    }
    return 0;
}

int
core_line(struct broker *broker, const struct draft *draft)
{
    struct line_fault fault;
    struct slice line;
    int rc = core_options(broker, draft->batch);

    if (rc == 0)
        rc = store_draft_line(broker->env.store, draft, &line);
    if (rc < 0)
        return rc;
    buf_reset(&broker->text);
    buf_add_slice(&broker->text, line);
    return line_read(&broker->line, NULL, buf_slice(&broker->text), &fault);
}

static uint64_t
recall(void *context, const unsigned char *key)
{
    struct broker *broker = context;

    return cache_get(broker->cache, key,
                     store_now_ms(broker->env.store) -
                         broker->env.conf->cache_ttl_ms);
}

static void
place(void *context, struct new_draft *draft)
{
    struct broker *broker = context;
    struct group_member member = { .tag = draft->tag,
                                   .batch = draft->draft.batch,
                                   .chars = draft->chars,
                                   .is_alone = broker->is_at_once };
    int64_t now_ms = store_now_ms(broker->env.store);

    if (!groups_join(broker->groups, &member, now_ms, &draft->place)) {
        draft->place = groups_open(broker->groups, &member,
                                   store_group_next(broker->env.store), now_ms);
    }
}

struct intake
core_intake(struct broker *broker, int64_t now_ms)
{
    return (struct intake){
        .now_ms = now_ms,
        .cached_after_ms = now_ms - broker->env.conf->cache_ttl_ms,
        .context = broker,
        .recall = recall,
        .place = place,
    };
}

void
core_schedule(struct broker *broker, const struct batch *batch)
{
    struct schedule_terms terms = { .weight = 1,
                                    .priority = batch->priority,
                                    .is_sealed = batch->sealed_ms > 0,
                                    .since_ms = batch->sealed_ms > 0
                                                    ? batch->sealed_ms
                                                    : batch->created_ms };
    struct spec spec;

    if (!batch_is_live(batch)) {
        schedule_remove(broker->schedule, batch->id);
        return;
    }
    if (batch->not_before_ms > terms.since_ms)
        terms.since_ms = batch->not_before_ms;
    /* Without its spec it never starts, whoever it belongs to. */
    if (store_spec_get(broker->env.store, batch->id, &spec) == 0) {
        terms.client = digest_xxh(spec.client.data, spec.client.bytes, 0);
        terms.weight = conf_client_weight(broker->env.conf, spec.client);
    }
    schedule_add(broker->schedule, batch->id, &terms);
}
