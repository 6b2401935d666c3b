/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <uuid/uuid.h>

#include "base/log.h"
#include "base/pack_dictionary.h"
#include "queue/core.h"

#define LOCK_LEAF_BYTES 64

/* The broker opens a worker's lock, and removes it when the worker is dead: it does
 * that to no file that bears another name. */
static int
check_lock(struct call *call, struct session *session)
{
    char uuid[CORE_UUID_TEXT_BYTES], leaf[LOCK_LEAF_BYTES];
    const char *slash = strrchr(session->lock, '/');

    if (!session->lock[0])
        return 0;
    uuid_unparse_lower(session->uuid, uuid);
    (void)snprintf(leaf, sizeof(leaf), "/worker-%s.lock", uuid);
    if (slash && strcmp(slash, leaf) == 0)
        return 0;
    session->lock[0] = '\0';
    return err_set(call->err, E_INVALID, "lock: does not end in %s", leaf);
}

static int
read_session(struct call *call, struct session *session)
{
    static const struct {
        const char *name;
        size_t offset;
    } texts[] = { { "name", offsetof(struct session, name) },
                  { "host", offsetof(struct session, host) },
                  { "lock", offsetof(struct session, lock) },
                  { "own", offsetof(struct session, own) } };
    int64_t pid, capacity;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char *out = (char *)session + texts[i].offset;
        const char *text;

        if (wire_str(call->wire, texts[i].name, SESSION_TEXT_BYTES - 1, "",
                     &text, call->err) < 0) {
            return E_INVALID;
        }
        memcpy(out, text, strlen(text) + 1);
    }
    if (wire_int(call->wire, "pid", wire_range_or(0, UINT32_MAX, 0), &pid,
                 call->err) < 0 ||
        wire_int(call->wire, "capacity", wire_range(1, SESSION_CAPACITY_MAX),
                 &capacity, call->err) < 0) {
        return E_INVALID;
    }
    session->pid = (uint32_t)pid;
    session->capacity = (uint32_t)capacity;
    return check_lock(call, session);
}

/* Takes up a lease that the store says is a worker's, and no session holds. */
static struct held *
take_up(struct call *call, struct session *session, uint64_t id, uint32_t fence)
{
    struct broker *broker = call->broker;
    struct request request;
    struct lease lease;

    if (store_request_get(broker->env.store, id, &request) < 0 ||
        request.state != REQUEST_LEASED || request.fence != fence ||
        sessions_find_holder(broker->sessions, id, fence) ||
        store_lease_after(broker->env.store, id - 1, &lease) < 0 ||
        lease.request != id) {
        return NULL;
    }
    return worker_hold(broker, session, &request, lease.granted_ms,
                       call->now_ms);
}

/* True if a call that was not started would go where the configuration leads now,
 * with what it said before: its URL comes with the welcome. */
static bool
is_old(struct broker *broker, const struct held *held)
{
    struct request request;

    return !held->is_started &&
           store_request_get(broker->env.store, held->request, &request) == 0 &&
           grant_is_old(broker, &request);
}

/* Compares what the worker holds with what the store says: keeps what is its
 * own, adds the rest to `drop`. What was sent over a link that is gone, and never
 * arrived, comes back at once. Over the same link it is on its way: the worker has
 * repeated its hello, as the welcome took long. As after a beat, the next ones have
 * to list it. */
static int
match_held(struct call *call, struct session *session, bool is_repeated,
           cJSON *drop)
{
    struct wire_list list;
    struct wire item;

    if (wire_list(call->wire, "held", &list, call->err) < 0)
        return E_INVALID;
    /* Until it is found. */
    for (size_t i = 0; i < session->held_count; i++) {
        struct held *held = &session->held[i];

        held->missed = is_repeated ? held->missed + 1 : SESSION_MISSED_MAX;
    }
    while (wire_next(&list, &item)) {
        struct held *held;
        int64_t values[3];

        if (wire_integers(&item, 3, 0, values) < 0)
            return err_set(call->err, E_INVALID, "held: not triples");
        held = session_find(session, (uint64_t)values[0], (uint32_t)values[1]);
        if (!held) {
            held = take_up(call, session, (uint64_t)values[0],
                           (uint32_t)values[1]);
        }
        if (held)
            session_note_call(held, values[2] != 0, call->now_ms);
        if (!held || is_old(call->broker, held)) {
            if (held)
                held->missed = SESSION_MISSED_MAX;
            wire_add_pair(drop, values[0], values[1]);
            continue;
        }
        held->missed = 0;
        session_extend(session, held, call->now_ms);
    }
    for (size_t i = session->held_count; i > 0; i--) {
        if (session->held[i - 1].missed >= SESSION_MISSED_MAX) {
            session->held[i - 1].is_started = false;
            worker_lose_lease(call->broker, session, &session->held[i - 1]);
        }
    }
    return 0;
}

static int
match_posts(struct call *call, const struct session *session)
{
    struct wire_list posts;

    if (wire_list(call->wire, "posts", &posts, call->err) < 0)
        return E_INVALID;
    deliveries_match(call->broker, session, &posts, call->now_ms);
    return 0;
}

/* Which webhooks it can sign for. Names that are not ours mean nothing. */
static int
read_webhooks(struct call *call, struct session *session)
{
    const struct conf *conf = call->broker->env.conf;
    const cJSON *list = wire_get(call->wire, "webhooks"), *item;

    if (list && !cJSON_IsArray(list))
        return err_set(call->err, E_INVALID, "webhooks: not an array");
    session->webhooks = 0;
    cJSON_ArrayForEach(item, list)
    {
        for (size_t i = 0; i < conf->webhook_count; i++) {
            if (cJSON_IsString(item) &&
                strcmp(item->valuestring, conf->webhooks[i].name) == 0) {
                session->webhooks |= 1u << i;
            }
        }
    }
    return 0;
}

static void
add_upstreams(cJSON *head, const struct conf *conf)
{
    cJSON *list = wire_add_array(head, "upstreams");

    for (size_t i = 0; i < conf->upstream_count; i++) {
        const struct conf_upstream *upstream = &conf->upstreams[i];
        cJSON *item = cJSON_CreateObject();

        wire_add_str(item, "name", upstream->name);
        wire_add_str(item, "base_url", upstream->base_url);
        wire_add_str(item, "path", upstream->path);
        wire_add_str(item, "dialect", conf_dialect(upstream)->name);
        wire_add_int(item, "max_tokens_default", upstream->max_tokens_default);
        wire_add_int(item, "connect_timeout_ms", upstream->connect_timeout_ms);
        wire_add_int(item, "request_timeout_ms", upstream->request_timeout_ms);
        wire_add_int(item, "low_speed_ms", upstream->low_speed_ms);
        wire_add_int(item, "low_speed_bytes", upstream->low_speed_bytes);
        wire_add_int(item, "reply_bytes_max", conf->reply_bytes_max);
        cJSON_AddItemToArray(list, item);
    }
}

/* How many slots a worker that comes back keeps: what it has in use, as far as
 * the others leave it. */
static void
keep_slots(struct broker *broker, struct session *session, int64_t claimed)
{
    uint32_t others = sessions_lent(broker->sessions) - session->lent;
    uint32_t slots = (uint32_t)broker->env.conf->slots_max;
    uint32_t free_slots = others < slots ? slots - others : 0;
    uint32_t keep = (uint32_t)claimed;

    if (keep > session->capacity)
        keep = session->capacity;
    /* It may be using them whatever we would like. */
    session->lent = keep > session->lent ? keep : session->lent;
    session->told = keep < free_slots ? keep : free_slots;
}

/* True of a worker whose last words can be found. */
static bool
leaves_words(const struct broker *broker, const struct session *session)
{
    return strcmp(session->host, broker->env.host) == 0 && session->lock[0];
}

static int
welcome(struct call *call, struct session *session, int64_t claimed,
        bool is_repeated, bool says_leaving)
{
    struct broker *broker = call->broker;
    const struct conf *conf = broker->env.conf;
    cJSON *head = wire_new("welcome"), *drop;

    wire_add_int(head, "protocol", WIRE_PROTOCOL);
    wire_add_int(head, "session", (int64_t)session->id);
    wire_add_int(head, "heartbeat_ms", conf->heartbeat_ms);
    wire_add_int(head, "lease_ms", conf->lease_ms);
    wire_add_int(head, "lease_run_max_ms", conf->lease_run_max_ms);
    wire_add_int(head, "drain_ms", conf->drain_ms);
    wire_add_int(head, "orphan_ttl_ms", conf->orphan_ttl_ms);
    if (leaves_words(broker, session))
        wire_add_int(head, "window_ms", conf->commit_window_ms);
    wire_add_int(head, "dictionary", PACK_DICTIONARY);
    drop = wire_add_array(head, "drop");
    if (match_held(call, session, is_repeated, drop) < 0 ||
        match_posts(call, session) < 0) {
        cJSON_Delete(head);
        return E_INVALID;
    }
    keep_slots(broker, session, claimed);
    wire_add_int(head, "slots", session->told);
    wire_add_int(head, "word", ++session->word);
    add_upstreams(head, conf);
    worker_send(broker, session, head);
    worker_save(broker, session);
    if (broker->is_draining && strcmp(session->own, broker->own) == 0)
        session->is_leaving = true;
    /* The word that told it may have been lost with its link. */
    if (session->is_leaving && !says_leaving)
        worker_send(broker, session, wire_new("drain"));
    session->is_leaving = session->is_leaving || says_leaving;
    return 0;
}

int
worker_hello(struct call *call)
{
    struct broker *broker = call->broker;
    struct session *session, *former;
    int64_t protocol, slots, nth;
    bool is_leaving;
    const char *text;
    uuid_t uuid;

    if (wire_int(call->wire, "protocol", wire_range(0, WIRE_INT_MAX), &protocol,
                 call->err) < 0 ||
        wire_str(call->wire, "worker", CORE_UUID_TEXT_BYTES - 1, NULL, &text,
                 call->err) < 0 ||
        wire_int(call->wire, "slots", wire_range_or(0, SESSION_CAPACITY_MAX, 0),
                 &slots, call->err) < 0 ||
        wire_int(call->wire, "nth", wire_range_or(0, UINT32_MAX, 0), &nth,
                 call->err) < 0 ||
        wire_bool(call->wire, "leaving", false, &is_leaving, call->err) < 0) {
        return E_INVALID;
    }
    if (protocol != WIRE_PROTOCOL)
        return err_set(call->err, E_VERSION, "protocol %lld",
                       (long long)protocol);
    if (uuid_parse(text, uuid) != 0)
        return err_set(call->err, E_INVALID, "worker: not a UUID");
    session = sessions_find(broker->sessions, uuid);
    if (!session) {
        session = sessions_add(broker->sessions, uuid);
        if (!session)
            return err_set(call->err, E_FULL,
                           "there are %lld workers already (sessions_max)",
                           (long long)broker->env.conf->sessions_max);
        session->is_new = true;
    }
    /* Of a link that broke, and overtaken by the next one: what it lists is not
     * what the worker holds. */
    if (nth > 0 && nth <= session->hellos)
        return 0;
    session->hellos = (uint32_t)nth;
    if (read_session(call, session) < 0 || read_webhooks(call, session) < 0)
        return E_INVALID;
    /* One that spoke from there before has gone. */
    former = sessions_find_peer(broker->sessions, call->peer);
    if (former)
        former->is_online = former->has_peer = false;
    session->is_online = true;
    session->is_back = true;
    session->has_peer = true;
    session->peer = *call->peer;
    session->heard_ms = call->now_ms;
    if (session->until_ms < call->now_ms + broker->env.conf->lease_ms)
        session->until_ms = call->now_ms + broker->env.conf->lease_ms;
    log_info("event=worker_hello worker=%s slots=%lld", session->name,
             (long long)slots);
    return welcome(call, session, slots, former == session, is_leaving);
}
