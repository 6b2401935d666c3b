/* SPDX-License-Identifier: MIT */
#include "queue/broker.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#include "base/log.h"
#include "base/mem.h"
#include "queue/core.h"

/* ---- life ---- */

/* A batch that is finished has nothing to give any more. */
static void
on_finished(void *context, uint64_t batch)
{
    struct broker *broker = context;

    schedule_remove(broker->schedule, batch);
}

struct broker *
broker_new(const struct broker_env *env)
{
    struct broker *broker = mem_zalloc(1, sizeof(*broker));
    const struct conf *conf = env->conf;

    broker->env = *env;
    broker->random = env->seed;
    broker->groups = groups_new(conf);
    broker->schedule = schedule_new((size_t)conf->batches_live_max);
    broker->sessions = sessions_new((size_t)conf->sessions_max);
    broker->cache = cache_new(conf->cache_entries_max, conf->cache_bytes_max);
    broker->waiters =
        mem_zalloc((size_t)conf->waiters_max, sizeof(broker->waiters[0]));
    store_watch(env->store, on_finished, broker);
    return broker;
}

void
broker_free(struct broker *broker)
{
    if (!broker)
        return;
    groups_free(broker->groups);
    schedule_free(broker->schedule);
    sessions_free(broker->sessions);
    cache_free(broker->cache);
    free(broker->waiters);
    free(broker->own);
    line_fini(&broker->line);
    line_fini(&broker->options);
    buf_fini(&broker->options_text);
    prompt_fini(&broker->prompt);
    buf_fini(&broker->text);
    buf_fini(&broker->goal);
    free(broker);
}

/* The longest that any call may take. */
static int64_t
longest_call_ms(const struct conf *conf)
{
    int64_t longest_ms = conf->lease_ms;

    for (size_t i = 0; i < conf->upstream_count; i++) {
        if (conf->upstreams[i].request_timeout_ms > longest_ms)
            longest_ms = conf->upstreams[i].request_timeout_ms;
    }
    return longest_ms;
}

static void
copy_text(char out[SESSION_TEXT_BYTES], struct slice text)
{
    size_t bytes =
        text.bytes < SESSION_TEXT_BYTES ? text.bytes : SESSION_TEXT_BYTES - 1;

    memset(out, 0, SESSION_TEXT_BYTES);
    if (bytes)
        memcpy(out, text.data, bytes);
}

/* Workers that had slots when the broker stopped keep them until they are
 * heard, known to be dead, or cannot be calling any more. */
static int
load_sessions(struct broker *broker, int64_t now_ms)
{
    struct worker_row row;
    unsigned char *after = NULL, uuid[SESSION_UUID_BYTES];
    int rc;

    while ((rc = store_worker_after(broker->env.store, after, &row)) == 0) {
        struct session *session = sessions_add(broker->sessions, row.uuid);

        if (!session)
            return E_FULL;
        copy_text(session->host, row.host);
        copy_text(session->lock, row.lock);
        copy_text(session->own, row.own);
        session->pid = row.pid;
        session->lent = session->lent_sent = row.slots;
        session->heard_ms = row.seen_ms;
        session->until_ms = now_ms + longest_call_ms(broker->env.conf);
        memcpy(uuid, row.uuid, sizeof(uuid));
        after = uuid;
    }
    return rc == E_NOTFOUND ? 0 : rc;
}

/* Leases get a full new period: the time in which there was no broker is not
 * the workers' fault. */
static int
load_leases(struct broker *broker, int64_t now_ms)
{
    struct lease lease = { 0 };
    struct request request;
    int rc;

    while ((rc = store_lease_after(broker->env.store, lease.request, &lease)) ==
           0) {
        struct session *session = sessions_find(broker->sessions, lease.worker);

        rc = store_request_get(broker->env.store, lease.request, &request);
        if (rc < 0)
            return rc;
        if (!session) {
            store_release(broker->env.store, &request);
            continue;
        }
        /* It may have been started, for all that is known. */
        session_hold(session, lease.request, lease.fence,
                     dispatch_lease_ms(broker, &request), now_ms)
            ->is_started = true;
    }
    return rc == E_NOTFOUND ? 0 : rc;
}

static int
load_batches(struct broker *broker)
{
    struct batch batch = { 0 };
    int rc;

    schedule_reset(broker->schedule);
    while ((rc = store_batch_after(broker->env.store, batch.id, &batch)) == 0)
        core_schedule(broker, &batch);
    return rc == E_NOTFOUND ? 0 : rc;
}

/* After a failed transaction: what each session holds as the store has it. */
static int
reload_leases(struct broker *broker, int64_t now_ms)
{
    for (size_t i = 0; i < broker->sessions->count; i++) {
        struct session *session = broker->sessions->list[i];

        session->held_count = 0;
        /* What was said in the transaction was never sent. */
        session->told = session->told_sent;
        session->lent = session->lent_sent;
    }
    return load_leases(broker, now_ms);
}

int
broker_recover(struct broker *broker, int64_t now_ms, bool is_start,
               struct err *err)
{
    int rc = store_begin(broker->env.store, now_ms, err);

    if (rc < 0)
        return rc;
    groups_reset(broker->groups);
    cache_reset(broker->cache);
    broker->waiter_fresh = 0;
    broker->options_batch = 0;
    broker->sticky_batch = 0;
    broker->counters = broker->sent;
    if (is_start)
        rc = load_sessions(broker, now_ms);
    if (rc == 0)
        rc = is_start ? load_leases(broker, now_ms)
                      : reload_leases(broker, now_ms);
    if (rc == 0)
        rc = load_batches(broker);
    if (rc < 0) {
        store_abort(broker->env.store);
        return err_set(err, rc, "read the store's state: %s", err_text(rc));
    }
    return store_commit(broker->env.store, err);
}

/* ---- shared by the handlers ---- */

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

void
core_uuid_text(const unsigned char uuid[16], char text[CORE_UUID_TEXT_BYTES])
{
    uuid_unparse_lower(uuid, text);
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
    struct store *store = call->broker->env.store;
    unsigned char digest[DIGEST_BYTES];
    const char *text, *client, *key;
    uuid_t uuid;
    int rc;

    if (wire_get(call->wire, "batch")) {
        if (wire_str(call->wire, "batch", CORE_UUID_TEXT_BYTES - 1, NULL, &text,
                     call->err) < 0) {
            return E_INVALID;
        }
        if (uuid_parse(text, uuid) != 0)
            return err_set(call->err, E_INVALID, "batch: not a UUID");
        rc = store_batch_find(store, uuid, batch);
        if (rc < 0)
            return err_set(call->err, rc, "no batch %s", text);
        return 0;
    }
    if (wire_str(call->wire, "client", 64, NULL, &client, call->err) < 0 ||
        wire_str(call->wire, "key", 128, NULL, &key, call->err) < 0) {
        return E_INVALID;
    }
    store_client_key(slice_of(client), slice_of(key), digest);
    rc = store_batch_find_key(store, digest, batch);
    if (rc < 0)
        return err_set(call->err, rc, "no batch with key %s", key);
    return 0;
}

int
core_options(struct broker *broker, uint64_t batch)
{
    struct line_fault fault;
    struct spec spec;
    int rc;

    if (broker->options_batch == batch)
        return 0;
    broker->options_batch = 0;
    rc = store_spec_get(broker->env.store, batch, &spec);
    if (rc < 0)
        return rc;
    /* A copy: the store's bytes move with its next change. */
    buf_reset(&broker->options_text);
    buf_add_slice(&broker->options_text, spec.options);
    if (line_read_options(&broker->options, broker->env.conf,
                          buf_slice(&broker->options_text), &fault) < 0) {
        log_warn("event=options_unreadable batch=%llu field=%s reason=\"%s\"",
                 (unsigned long long)batch, fault.field, fault.message);
        return E_INVALID;
    }
    broker->options_batch = batch;
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
    return line_read(&broker->line, broker->env.conf, buf_slice(&broker->text),
                     &fault);
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
                                   .chars = draft->chars };
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
    if (batch_is_live(batch))
        schedule_add(broker->schedule, batch->id, batch->priority);
    else
        schedule_remove(broker->schedule, batch->id);
}

/* ---- messages ---- */

struct handler {
    const char *verb;
    handler_fn *handle;
};

static const struct handler client_handlers[] = {
    { "hello", answer_hello },       { "open", intake_open },
    { "chunk", intake_chunk },       { "seal", intake_seal },
    { "abort", intake_abort },       { "check", intake_check },
    { "status", answer_status },     { "list", answer_list },
    { "wait", answer_wait },         { "results", answer_results },
    { "refusals", answer_refusals }, { "export", answer_export },
    { "stats", answer_stats },       { "cancel", control_cancel },
    { "retry", control_retry },
};

static const struct handler worker_handlers[] = {
    { "hello", worker_hello },     { "beat", worker_beat },
    { "slots", worker_slots },     { "result", worker_result },
    { "release", worker_release }, { "bye", worker_bye },
};

static handler_fn *
find_handler(const struct handler *handlers, size_t count, const char *verb)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(handlers[i].verb, verb) == 0)
            return handlers[i].handle;
    }
    return NULL;
}

/* What is said about a member begins with its name and a colon. */
static void
add_field(cJSON *head, const struct err *err)
{
    size_t bytes = strspn(err->msg, "abcdefghijklmnopqrstuvwxyz_");

    if (err->code == E_INVALID && bytes > 0 && err->msg[bytes] == ':')
        wire_add_slice(head, "field", (struct slice){ err->msg, bytes });
}

static void
send_error(struct broker *broker, const struct link_peer *peer, int64_t re,
           const struct err *err, int64_t expected)
{
    cJSON *head = wire_new("error");

    wire_add_int(head, "re", re);
    wire_add_str(head, "code", err_name(err->code));
    add_field(head, err);
    wire_add_str(head, "message", err->msg);
    if (err->code == E_GAP)
        wire_add_int(head, "expected", expected);
    outbox_add(broker->env.outbox, SIDE_CLIENTS, peer, head);
}

/* Answers a client's message that was no header, if it can be told which. */
static void
answer_bad(struct broker *broker, const struct link_peer *peer,
           struct slice head, const struct err *err)
{
    struct json_doc doc = { 0 };
    int64_t re;

    if (head.bytes <= WIRE_HEADER_BYTES_MAX &&
        json_parse(&doc, head.data, head.bytes, JSON_INPUT, NULL) == 0 &&
        json_int(&doc, json_member(&doc, 0, "re"), 0, WIRE_INT_MAX, &re) == 0) {
        send_error(broker, peer, re, err, 0);
    }
    json_fini(&doc);
}

static void
apply_client(struct call *call)
{
    struct broker *broker = call->broker;
    handler_fn *handle = find_handler(
        client_handlers, sizeof(client_handlers) / sizeof(client_handlers[0]),
        wire_verb(call->wire));
    int rc;

    if (wire_int(call->wire, "re", wire_range(0, WIRE_INT_MAX), &call->re,
                 call->err) < 0) {
        broker->counters.bad_messages++;
        return;
    }
    if (handle) {
        rc = handle(call);
    } else {
        rc = err_set(call->err, E_PROTOCOL, "no verb %.64s",
                     wire_verb(call->wire));
        broker->counters.bad_messages++;
    }
    if (rc < 0) {
        if (call->err->code == 0)
            err_set(call->err, rc, "%s", err_text(rc));
        send_error(broker, call->peer, call->re, call->err, call->expected);
    }
}

static void
apply_worker(struct call *call)
{
    handler_fn *handle = find_handler(
        worker_handlers, sizeof(worker_handlers) / sizeof(worker_handlers[0]),
        wire_verb(call->wire));

    if (handle && handle(call) == 0)
        return;
    call->broker->counters.bad_messages++;
    log_warn("event=bad_worker_message verb=%.32s reason=\"%s\"",
             wire_verb(call->wire), handle ? call->err->msg : "no such verb");
}

void
broker_apply(struct broker *broker, enum side side,
             const struct link_peer *peer, struct slice head, struct slice body,
             int64_t now_ms)
{
    struct wire wire;
    struct err err = { 0 };
    struct call call = { .broker = broker,
                         .peer = peer,
                         .wire = &wire,
                         .now_ms = now_ms,
                         .err = &err };

    if (wire_parse(&wire, head, body, &err) < 0) {
        broker->counters.bad_messages++;
        log_debug("event=bad_message reason=\"%s\"", err.msg);
        if (side == SIDE_CLIENTS)
            answer_bad(broker, peer, head, &err);
        return;
    }
    if (side == SIDE_CLIENTS)
        apply_client(&call);
    else
        apply_worker(&call);
    wire_fini(&wire);
}

void
broker_note_bad(struct broker *broker)
{
    broker->counters.bad_messages++;
}

void
broker_refuse(struct broker *broker, enum side side,
              const struct link_peer *peer, struct slice head, int code,
              const char *message)
{
    struct err err = { 0 };
    struct wire wire;
    int64_t re;

    if (side != SIDE_CLIENTS ||
        wire_parse(&wire, head, (struct slice){ 0 }, NULL) < 0) {
        return;
    }
    err_set(&err, code, "%s", message);
    if (wire_int(&wire, "re", wire_range(0, WIRE_INT_MAX), &re, NULL) == 0)
        send_error(broker, peer, re, &err, 0);
    wire_fini(&wire);
}

/* ---- time ---- */

void
broker_turn(struct broker *broker, int64_t now_ms)
{
    due_run(broker, now_ms);
    worker_expire(broker, now_ms);
    worker_balance(broker);
    dispatch_run(broker, now_ms);
    broker->turned_ms = now_ms;
}

void
broker_settle(struct broker *broker, int64_t now_ms)
{
    for (size_t i = 0; i < broker->sessions->count; i++) {
        struct session *session = broker->sessions->list[i];

        session->told_sent = session->told;
        session->lent_sent = session->lent;
    }
    broker->sent = broker->counters;
    broker->waiter_count += broker->waiter_fresh;
    broker->waiter_fresh = 0;
    answer_waiters(broker, now_ms);
    broker->has_results = false;
}

int64_t
broker_next_ms(const struct broker *broker)
{
    int64_t next_ms =
        sessions_next_ms(broker->sessions, broker->env.conf->lease_ms);
    /* A batch that is awake waits for a worker with room, which a message will
     * bring: only sleepers count. */
    int64_t other_ms = schedule_next_ms(broker->schedule, broker->turned_ms);

    if (other_ms < next_ms)
        next_ms = other_ms;
    if (broker->timer_next_ms < next_ms)
        next_ms = broker->timer_next_ms;
    for (size_t i = 0; i < broker->waiter_count; i++) {
        if (broker->waiters[i].until_ms < next_ms)
            next_ms = broker->waiters[i].until_ms;
    }
    return next_ms;
}

void
broker_lost(struct broker *broker, enum side side, const struct link_peer *peer)
{
    struct session *session;

    if (side == SIDE_CLIENTS)
        return;
    session = sessions_find_peer(broker->sessions, peer);
    if (session && session->is_online) {
        log_warn("event=worker_offline worker=%s", session->name);
        session->is_online = false;
    }
}

void
broker_worker_died(struct broker *broker, const unsigned char uuid[16],
                   int64_t now_ms)
{
    struct session *session = sessions_find(broker->sessions, uuid);

    if (!session)
        return;
    log_warn("event=worker_died worker=%s leases=%zu", session->name,
             session->held_count);
    worker_end(broker, session, now_ms);
}

bool
broker_worker_at(const struct broker *broker, size_t nth,
                 struct worker_view *view)
{
    const struct session *session;

    if (nth >= broker->sessions->count)
        return false;
    session = broker->sessions->list[nth];
    memcpy(view->uuid, session->uuid, sizeof(view->uuid));
    view->lock = session->lock;
    view->own = session->own;
    view->pid = session->pid;
    view->is_here = strcmp(session->host, broker->env.host) == 0;
    view->is_online = session->is_online;
    return true;
}

void
broker_drain(struct broker *broker, const char *own)
{
    broker->is_draining = true;
    free(broker->own);
    broker->own = mem_dup_str(own);
    for (size_t i = 0; i < broker->sessions->count; i++) {
        struct session *session = broker->sessions->list[i];

        if (session->is_online && strcmp(session->own, own) == 0)
            worker_send(broker, session, wire_new("drain"));
    }
}
