/* SPDX-License-Identifier: MIT */
#include "queue/broker.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/pack.h"
#include "queue/filing.h"

/* ---- life ---- */

/* A batch that has ended has nothing to give any more. It is told of when the
 * files are made that it may end in. */
static void
on_ended(void *context, const struct batch *batch)
{
    struct broker *broker = context;

    broker->is_urgent = true; /* somebody waits for that */
    schedule_remove(broker->schedule, batch->id);
    if (batch->state == BATCH_FINISHED)
        filing_end(broker, batch->id, store_now_ms(broker->env.store));
    if (!filing_is_pending(broker, batch))
        deliveries_batch_ended(broker, batch);
}

/* One that got something ready to give is looked at again. */
static void
on_ready(void *context, uint64_t batch)
{
    struct broker *broker = context;

    schedule_wake(broker->schedule, batch);
}

/* True if what calls cost is known of some upstream: what others save is looked
 * up only then. */
static bool
has_prices(const struct conf *conf)
{
    for (size_t i = 0; i < conf->upstream_count; i++) {
        if (conf->upstreams[i].price_input_usd >= 0 &&
            conf->upstreams[i].price_output_usd >= 0) {
            return true;
        }
    }
    return false;
}

/* What the call of a draft's answer cost. */
static int64_t
cost_of(struct store *store, const struct draft *draft)
{
    struct request request;
    struct outcome outcome;

    if (store_request_get(store, draft->request, &request) < 0 ||
        store_outcome_get(store, &request, &outcome) < 0) {
        return OUTCOME_UNKNOWN; /* `verify` names it */
    }
    return outcome.cost_nano;
}

static void
on_result(void *context, const struct draft *draft)
{
    struct broker *broker = context;
    int64_t cost_nano = OUTCOME_UNKNOWN;

    if (draft->status == STATUS_OK && draft->tier != CACHE_NONE &&
        has_prices(broker->env.conf)) {
        cost_nano = cost_of(broker->env.store, draft);
    }
    meter_result(&broker->meter, draft->status, draft->tier, cost_nano);
}

struct broker *
broker_new(const struct broker_env *env)
{
    struct broker *broker = mem_zalloc(1, sizeof(*broker));
    const struct conf *conf = env->conf;

    broker->env = *env;
    broker->random = env->seed;
    broker->groups = groups_new(conf);
    broker->upstreams = upstreams_new(conf);
    broker->watch.alerts = alerts_new(conf);
    broker->schedule = schedule_new(&(struct schedule_rules){
        .max = (size_t)conf->batches_live_max,
        .turn_tokens = conf->turn_tokens,
        .age_ms = conf->age_ms,
        .share_percent = conf->oldest_share_percent,
    });
    broker->sessions = sessions_new((size_t)conf->sessions_max);
    broker->cache = cache_new(conf->cache_entries_max, conf->cache_bytes_max);
    broker->recipes = recipes_new();
    broker->windows = windows_new();
    broker->waiters =
        mem_zalloc((size_t)conf->waiters_max, sizeof(broker->waiters[0]));
    broker->packer = packer_new();
    patience_init(broker);
    store_watch(env->store, on_ended, broker);
    store_watch_ready(env->store, on_ready, broker);
    store_watch_results(env->store, on_result, broker);
    store_keep_answers(env->store, conf->cache_ttl_ms);
    store_set_marks(env->store, (unsigned)conf->store_soft_percent,
                    (unsigned)conf->store_hard_percent);
    return broker;
}

void
broker_free(struct broker *broker)
{
    if (!broker)
        return;
    groups_free(broker->groups);
    schedule_free(broker->schedule);
    upstreams_free(broker->upstreams);
    alerts_free(broker->watch.alerts);
    sessions_free(broker->sessions);
    cache_free(broker->cache);
    recipes_free(broker->recipes);
    windows_free(broker->windows);
    free(broker->waiters);
    free(broker->own);
    upkeep_fini(&broker->upkeep);
    line_fini(&broker->line);
    gather_fini(&broker->gathering);
    packer_free(broker->packer);
    buf_fini(&broker->text);
    buf_fini(&broker->goal);
    free(broker);
}

/* ---- messages ---- */

struct handler {
    const char *verb;
    handler_fn *handle;
};

static const struct handler client_handlers[] = {
    { "hello", answer_hello },
    { "open", intake_open },
    { "chunk", intake_chunk },
    { "seal", intake_seal },
    { "abort", intake_abort },
    { "check", intake_check },
    { "status", answer_status },
    { "list", answer_list },
    { "wait", answer_wait },
    { "results", answer_results },
    { "refusals", answer_refusals },
    { "chunks", answer_chunks },
    { "export", answer_export },
    { "stats", stats_answer },
    { "cancel", control_cancel },
    { "retry", control_retry },
    { "pause", control_pause },
    { "resume", control_resume },
    { "purge", control_purge },
    { "why", answer_why },
    { "reply", answer_reply },
    { "verify", upkeep_verify },
    { "backup", upkeep_backup },
    { "upstreams", upstream_list },
    { "upstream_resume", upstream_resume },
    { "file_open", upload_open },
    { "file_part", upload_part },
    { "file_close", upload_close },
    { "file", files_look },
    { "file_read", files_read },
    { "file_list", files_list },
    { "file_delete", files_delete },
    { "webhooks", webhook_list },
    { "webhook_resend", webhook_resend },
    { "alerts", watch_answer },
    { "webhook_test", webhook_test },
};

static const struct handler worker_handlers[] = {
    { "hello", worker_hello },   { "beat", worker_beat },
    { "slots", worker_slots },   { "started", worker_started },
    { "result", worker_result }, { "turn", worker_turn },
    { "posted", worker_posted }, { "release", worker_release },
    { "bye", worker_bye },
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

    /* Whoever sent too much, or what no header may hold, waits as well. */
    if (json_parse(&doc, head.data, head.bytes, JSON_REPLY, NULL) == 0 &&
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
    if (!handle)
        err_set(call->err, E_PROTOCOL, "no such verb");
    worker_note_bad(call);
}

/* True if a worker does not wait for what comes of a message, unless that is
 * about a call which has failed. */
static bool
is_for_later(const char *verb)
{
    return strcmp(verb, "turn") == 0 || strcmp(verb, "result") == 0 ||
           strcmp(verb, "started") == 0;
}

bool
broker_may_gather(struct broker *broker, const struct message *message,
                  uint64_t *batch, struct slice *options)
{
    struct err err = { 0 };
    struct wire wire;
    struct call call = {
        .broker = broker, .peer = message->peer, .wire = &wire, .err = &err
    };
    bool is_chunk;

    if (message->side != SIDE_CLIENTS ||
        wire_read(&wire, message->head, message->body, &err) < 0) {
        return false;
    }
    is_chunk = strcmp(wire_verb(&wire), "chunk") == 0 &&
               intake_foresee(&call, batch, options);
    wire_fini(&wire);
    return is_chunk;
}

void
broker_apply(struct broker *broker, const struct message *message,
             int64_t now_ms)
{
    struct wire wire;
    struct err err = { 0 };
    struct call call = { .broker = broker,
                         .peer = message->peer,
                         .wire = &wire,
                         .gathered = message->gathered,
                         .now_ms = now_ms,
                         .err = &err };

    if (wire_read(&wire, message->head, message->body, &err) < 0) {
        broker->counters.bad_messages++;
        log_debug("event=bad_message reason=\"%s\"", err.msg);
        if (message->side == SIDE_CLIENTS)
            answer_bad(broker, message->peer, message->head, &err);
        return;
    }
    if (message->side == SIDE_CLIENTS || !is_for_later(wire_verb(&wire)))
        broker->is_urgent = true;
    if (message->side == SIDE_CLIENTS)
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
broker_refuse(struct broker *broker, const struct message *message, int code,
              const char *reason)
{
    struct err err = { 0 };
    struct wire wire;
    int64_t re;

    if (wire_parse(&wire, message->head, (struct slice){ 0 }, NULL) < 0)
        return;
    if (message->side == SIDE_WORKERS) {
        if (strcmp(wire_verb(&wire), "slots") == 0)
            worker_slots_unheard(broker, message->peer);
    } else if (wire_int(&wire, "re", wire_range(0, WIRE_INT_MAX), &re, NULL) ==
               0) {
        err_set(&err, code, "%s", reason);
        send_error(broker, message->peer, re, &err, 0);
    }
    wire_fini(&wire);
}

void
broker_note_commit(struct broker *broker, int64_t us, size_t items)
{
    histogram_add(&broker->commit_us, &stats_commit_us, us);
    histogram_add(&broker->commit_items, &stats_commit_items, (int64_t)items);
}

/* ---- time ---- */

void
broker_turn(struct broker *broker, int64_t now_ms)
{
    if (now_ms < broker->hold_ms)
        return;
    worker_forgive(broker, now_ms);
    due_run(broker, now_ms);
    retain_run(broker, now_ms);
    worker_expire(broker, now_ms);
    stage_run(broker, now_ms);
    worker_balance(broker);
    dispatch_run(broker, now_ms);
    watch_post(broker);
    deliveries_run(broker, now_ms);
    broker->turned_ms = now_ms;
    broker->wake_ms = broker_next_ms(broker);
    if (broker->wake_ms < now_ms)
        broker->wake_ms = now_ms;
}

void
broker_hold(struct broker *broker, int64_t until_ms)
{
    broker->hold_ms = until_ms;
    broker->timer_next_ms = until_ms; /* what is due is looked up anew */
    broker->wake_ms = until_ms;       /* the wait is meant, and nobody's loss */
}

void
broker_relieve(struct broker *broker, int64_t now_ms)
{
    due_relieve(broker, now_ms);
}

void
broker_settle(struct broker *broker, int64_t now_ms)
{
    sessions_settle(broker->sessions);
    for (size_t i = 0; i < broker->sessions->count; i++) {
        struct session *session = broker->sessions->list[i];

        session->is_new = session->is_back = false;
        session->told_sent = session->told;
        session->lent_sent = session->lent;
        session->word_sent = session->word;
        session->hellos_sent = session->hellos;
    }
    broker->sent = broker->counters;
    meter_copy(&broker->meter_sent, &broker->meter);
    broker->watch.posted_sent = broker->watch.posted;
    broker->waiter_count += broker->waiter_fresh;
    broker->waiter_fresh = 0;
    answer_waiters(broker, now_ms);
    broker->has_results = false;
    watch_run(broker, now_ms);
    patience_reset(broker);
}

int64_t
broker_next_ms(const struct broker *broker)
{
    int64_t next_ms = worker_next_ms(broker);
    /* A batch that is awake waits for a worker with room, which a message will
     * bring: only sleepers count. */
    int64_t other_ms = schedule_next_ms(broker->schedule, broker->turned_ms);

    if (other_ms < next_ms)
        next_ms = other_ms;
    if (stage_next_ms(broker) < next_ms)
        next_ms = stage_next_ms(broker);
    if (broker->timer_next_ms < next_ms)
        next_ms = broker->timer_next_ms;
    if (broker->retain_ms < next_ms)
        next_ms = broker->retain_ms;
    if (broker->look_ms < next_ms)
        next_ms = broker->look_ms;
    if (deliveries_next_ms(broker) < next_ms)
        next_ms = deliveries_next_ms(broker);
    for (size_t i = 0; i < broker->waiter_count; i++) {
        if (broker->waiters[i].until_ms < next_ms)
            next_ms = broker->waiters[i].until_ms;
    }
    return next_ms > broker->hold_ms ? next_ms : broker->hold_ms;
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
broker_knock(struct broker *broker, const unsigned char uuid[16])
{
    const struct session *session = sessions_find(broker->sessions, uuid);
    cJSON *head;

    if (!session || !session->is_online)
        return;
    head = wire_new("cancel");
    wire_add_array(head, "requests");
    worker_send(broker, session, head);
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
    /* One that only an earlier broker had was lost then. */
    broker->counters.workers_lost += session->has_peer;
    worker_end(broker, session, now_ms);
}

void
broker_note_wall(struct broker *broker, int64_t ahead_ms)
{
    int64_t change_ms = ahead_ms - broker->wall_ahead_ms;

    if (change_ms < BROKER_WALL_MS_MIN && -change_ms < BROKER_WALL_MS_MIN)
        return;
    if (ahead_ms < BROKER_WALL_MS_MIN && -ahead_ms < BROKER_WALL_MS_MIN)
        ahead_ms = 0;
    log_warn("event=clock_jumped wall_ahead_ms=%lld before_ms=%lld",
             (long long)ahead_ms, (long long)broker->wall_ahead_ms);
    broker->wall_ahead_ms = ahead_ms;
    /* Their windows may be open now. */
    schedule_wake_all(broker->schedule);
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
    view->is_leaving = session->is_leaving;
    return true;
}

static void
dismiss(struct broker *broker, struct session *session)
{
    if (!session->is_online || session->is_leaving)
        return;
    session->is_leaving = true;
    worker_send(broker, session, wire_new("drain"));
}

void
broker_dismiss(struct broker *broker, const unsigned char uuid[16])
{
    struct session *session = sessions_find(broker->sessions, uuid);

    if (!session)
        return;
    log_info("event=worker_dismissed worker=%s", session->name);
    dismiss(broker, session);
}

void
broker_reload(struct broker *broker)
{
    int64_t told = 0;

    for (size_t i = 0; i < broker->sessions->count; i++) {
        if (!broker->sessions->list[i]->is_online)
            continue;
        worker_send(broker, broker->sessions->list[i], wire_new("reload"));
        told++;
    }
    log_info("event=reload workers=%lld", (long long)told);
}

void
broker_drain(struct broker *broker, const char *own)
{
    broker->is_draining = true;
    free(broker->own);
    broker->own = mem_dup_str(own);
    for (size_t i = 0; i < broker->sessions->count; i++) {
        struct session *session = broker->sessions->list[i];

        if (strcmp(session->own, own) == 0)
            dismiss(broker, session);
    }
}
