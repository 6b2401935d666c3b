/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "base/log.h"
#include "queue/core.h"

#define LATE_MS_MIN 500 /* less is no standstill */

struct letter *
worker_open(struct broker *broker, const struct session *session)
{
    /* To one that has just gone offline it is lost, as it would be on the way.
     */
    assert(session->has_peer);
    return outbox_open(broker->env.outbox, SIDE_WORKERS, &session->peer);
}

void
worker_send(struct broker *broker, const struct session *session, cJSON *head)
{
    wire_print(head, &worker_open(broker, session)->head);
}

void
worker_save(struct broker *broker, const struct session *session)
{
    struct worker_row row = { .slots = session->lent,
                              .pid = session->pid,
                              .seen_ms = session->heard_ms,
                              .until_ms = session->until_ms,
                              .host = slice_of(session->host),
                              .lock = slice_of(session->lock),
                              .own = slice_of(session->own) };

    memcpy(row.uuid, session->uuid, sizeof(row.uuid));
    store_worker_put(broker->env.store, &row);
}

/* ---- slots ---- */

static void
tell_slots(struct broker *broker, struct session *session, uint32_t count)
{
    cJSON *head = wire_new("slots");

    session->told = count;
    session->word++;
    if (count > session->lent) {
        session->lent = count;
        worker_save(broker, session);
    }
    wire_add_int(head, "count", count);
    wire_add_int(head, "word", session->word);
    worker_send(broker, session, head);
}

void
worker_balance(struct broker *broker)
{
    uint32_t slots = (uint32_t)broker->env.conf->slots_max;

    for (size_t i = 0; i < broker->sessions->count; i++) {
        struct session *session = broker->sessions->list[i];
        uint32_t others = sessions_lent(broker->sessions) - session->lent;
        uint32_t room = others < slots ? slots - others : 0;
        uint32_t share;

        if (!session->is_online)
            continue;
        share = sessions_share(broker->sessions, session, slots);
        if (share > room)
            share = room;
        if (session->unheard != 0 && session->unheard == session->word)
            tell_slots(broker, session, session->told);
        /* More only when it has said that it knows of less: the answer to an
         * earlier word could be taken for one to this. */
        if (share < session->told ||
            (share > session->told && session->told == session->lent)) {
            tell_slots(broker, session, share);
        }
    }
}

/* ---- leases that end without a result ---- */

struct held *
worker_hold(struct broker *broker, struct session *session,
            const struct request *request, int64_t granted_ms, int64_t now_ms)
{
    int64_t length_ms = dispatch_lease_ms(broker, request);
    int64_t end_ms = granted_ms + broker->env.conf->lease_run_max_ms;
    struct held *held;

    /* It may have come to its end while there was no broker: what its worker has
     * to say of it is to be heard first. */
    if (end_ms < now_ms + length_ms)
        end_ms = now_ms + length_ms;
    held = session_hold(session, request->id, request->fence, length_ms, end_ms,
                        now_ms);
    held->bound = (struct bound){
        .where = upstreams_find(broker->upstreams, request->upstream),
        .model = request->model,
        .tokens = request->tokens,
    };
    return held;
}

/* A request that loses its lease during its call, again and again, may be what
 * its workers die of: it has to run alone. If it is lost even so, nothing else
 * can have been the reason, and it ends. True if it did. */
static bool
count_loss(struct broker *broker, struct request *request,
           const struct session *session)
{
    struct store *store = broker->env.store;
    int where = upstreams_find(broker->upstreams, request->upstream);

    request->lost++;
    broker->counters.leases_lost++;
    meter_add(meter_row(&broker->meter, where), broker->env.conf,
              &(struct meter_call){ .class = CLASS_LOST });
    log_warn("event=lease_expired request=%llu worker=%s lost=%u",
             (unsigned long long)request->id, session->name, request->lost);
    attempt_note_lost(broker, request, session);
    if (request->flags & REQUEST_SUSPECT) {
        finish_poison(broker, request, store_now_ms(store));
        return true;
    }
    if (request->lost >= (uint32_t)broker->env.conf->lost_max) {
        /* A group of its own: those that stay in its old one go on. */
        request->place.lead = request->place.group = store_group_next(store);
        request->flags |= REQUEST_SUSPECT;
        broker->counters.suspects++;
        log_warn("event=request_suspected request=%llu lost=%u",
                 (unsigned long long)request->id, request->lost);
    }
    return false;
}

/* A session holds a lease no more, and nothing is reported of it. A call that may
 * have been made has been paid for. */
static void
take_away(struct broker *broker, struct session *session, struct held held)
{
    session_drop(session, held.request, held.fence);
    broker->has_moved = true;
    if (!held.is_started) {
        schedule_settle(broker->schedule, &held.charge, 0);
        upstreams_returned(broker->upstreams, &held.bound,
                           store_now_ms(broker->env.store));
    }
}

void
worker_lose_lease(struct broker *broker, struct session *session,
                  const struct held *held)
{
    struct held lost = *held;
    struct request request;

    take_away(broker, session, lost);
    broker->has_results |= upstreams_has_stopped(broker->upstreams);
    if (store_request_get(broker->env.store, lost.request, &request) < 0 ||
        request.state != REQUEST_LEASED || request.fence != lost.fence) {
        return;
    }
    if (lost.is_started && count_loss(broker, &request, session))
        return;
    store_release(broker->env.store, &request);
}

void
worker_end(struct broker *broker, struct session *session, int64_t now_ms)
{
    while (session->held_count)
        worker_lose_lease(broker, session, &session->held[0]);
    deliveries_worker_gone(broker, session, now_ms);
    store_worker_drop(broker->env.store, session->uuid);
    sessions_remove(broker->sessions, session);
}

static bool
is_any_held(const struct sessions *sessions)
{
    for (size_t i = 0; i < sessions->count; i++) {
        if (sessions->list[i]->held_count > 0)
            return true;
    }
    return false;
}

/* The loop is late only against the moment it was to wake at. Could that be the
 * end of a lease, it could stand still for all of the lease and not know, with
 * what was said of it unread. It turns twice a heartbeat instead: what it cannot
 * know of is half of one and LATE_MS_MIN, and a lease outlasts two. To knock at
 * the worker, as before a dead one is buried, would not do: that shows when a
 * link has ended, but not that one which stands was read to the end. Who holds
 * nothing has nothing to lose. */
int64_t
worker_next_ms(const struct broker *broker)
{
    const struct conf *conf = broker->env.conf;
    int64_t end_ms = sessions_next_ms(broker->sessions, conf->lease_ms);
    int64_t turn_ms = broker->turned_ms + conf->heartbeat_ms / 2;

    return turn_ms < end_ms && is_any_held(broker->sessions) ? turn_ms : end_ms;
}

void
worker_forgive(struct broker *broker, int64_t now_ms)
{
    int64_t late_ms = now_ms - broker->wake_ms;
    int64_t heard_ms = now_ms + broker->env.conf->heartbeat_ms;

    if (late_ms < LATE_MS_MIN)
        return;
    log_warn("event=loop_late ms=%lld", (long long)late_ms);
    for (size_t i = 0; i < broker->sessions->count; i++) {
        struct session *session = broker->sessions->list[i];

        session->heard_ms += late_ms;
        session->until_ms += late_ms;
        for (size_t j = 0; j < session->held_count; j++) {
            struct held *held = &session->held[j];

            /* And what workers have said meanwhile is to be read first. */
            held->deadline_ms += late_ms;
            held->end_ms += late_ms;
            if (held->deadline_ms < heard_ms)
                held->deadline_ms = heard_ms;
            if (held->deadline_ms > held->end_ms)
                held->deadline_ms = held->end_ms;
        }
    }
}

static void
say_cancel(struct broker *broker, const struct session *session,
           uint64_t request, uint32_t fence)
{
    cJSON *head;

    if (!session->is_online)
        return;
    head = wire_new("cancel");
    wire_add_pair(wire_add_array(head, "requests"), (int64_t)request, fence);
    worker_send(broker, session, head);
}

/* A worker that went on listing a lease until the last moment it can have is to
 * give it up. */
static void
expire_lease(struct broker *broker, struct session *session,
             const struct held *held, int64_t now_ms)
{
    if (held->end_ms <= now_ms) {
        log_warn("event=lease_too_long request=%llu worker=%s run_max_ms=%lld",
                 (unsigned long long)held->request, session->name,
                 (long long)broker->env.conf->lease_run_max_ms);
        say_cancel(broker, session, held->request, held->fence);
    }
    worker_lose_lease(broker, session, held);
}

void
worker_expire(struct broker *broker, int64_t now_ms)
{
    for (size_t i = broker->sessions->count; i > 0; i--) {
        struct session *session = broker->sessions->list[i - 1];

        for (size_t j = session->held_count; j > 0; j--) {
            if (session->held[j - 1].deadline_ms <= now_ms)
                expire_lease(broker, session, &session->held[j - 1], now_ms);
        }
        /* Its slots are lent again only when none of its calls can run. */
        if (now_ms >= session_over_ms(session, broker->env.conf->lease_ms)) {
            log_warn("event=worker_lost worker=%s slots=%u", session->name,
                     session->lent);
            broker->counters.workers_lost += session->has_peer;
            worker_end(broker, session, now_ms);
        }
    }
}

void
worker_cancel(struct broker *broker, uint64_t request, uint32_t fence)
{
    struct session *session =
        sessions_find_holder(broker->sessions, request, fence);

    if (!session)
        return;
    take_away(broker, session, *session_find(session, request, fence));
    say_cancel(broker, session, request, fence);
}

/* True if what is held may be called: a batch that may run wants it, and its
 * upstream is not to be left alone. */
static bool
is_of_use(struct broker *broker, const struct held *held)
{
    return store_request_runs(broker->env.store, held->request) &&
           !upstreams_is_closed(broker->upstreams, held->bound.where,
                                store_now_ms(broker->env.store));
}

/* Asks for what is held and not started, or for that part of it which is of no
 * use now. The worker alone knows what it has not started. */
static void
recall(struct broker *broker, const struct session *session, bool is_all)
{
    cJSON *head = wire_new("recall");
    cJSON *list = wire_add_array(head, "requests");

    for (size_t at = 0; at < session->held_count; at++) {
        const struct held *held = &session->held[at];

        if (!held->is_started && (is_all || !is_of_use(broker, held)))
            wire_add_pair(list, (int64_t)held->request, held->fence);
    }
    if (session->is_online && list->child)
        worker_send(broker, session, head);
    else
        cJSON_Delete(head);
}

void
worker_recall(struct broker *broker)
{
    for (size_t i = 0; i < broker->sessions->count; i++)
        recall(broker, broker->sessions->list[i], false);
}

void
worker_recall_all(struct broker *broker, const struct session *session)
{
    recall(broker, session, true);
}

/* ---- what workers say ---- */

void
worker_note_bad(const struct call *call)
{
    call->broker->counters.bad_messages++;
    log_warn("event=bad_worker_message verb=%.32s reason=\"%s\"",
             wire_verb(call->wire), call->err->msg);
}

struct session *
worker_speaker(struct call *call)
{
    struct broker *broker = call->broker;
    struct session *session = sessions_find_peer(broker->sessions, call->peer);

    if (session)
        session->heard_ms = call->now_ms;
    else
        outbox_add(broker->env.outbox, SIDE_WORKERS, call->peer,
                   wire_new("rehello"));
    return session;
}

/* Renews what the beat lists; tells which of it is not the worker's. */
static int
renew(struct call *call, struct session *session)
{
    cJSON *head = NULL, *gone = NULL;
    struct wire_list list;
    struct wire item;

    if (wire_list(call->wire, "held", &list, call->err) < 0)
        return E_INVALID;
    for (size_t i = 0; i < session->held_count; i++)
        session->held[i].missed++;
    while (wire_next(&list, &item)) {
        struct held *held;
        int64_t values[3];

        if (wire_integers(&item, 3, 0, values) < 0) {
            cJSON_Delete(head);
            return err_set(call->err, E_INVALID, "held: not triples");
        }
        held = session_find(session, (uint64_t)values[0], (uint32_t)values[1]);
        if (held) {
            held->missed = 0;
            session_note_call(held, values[2] != 0, call->now_ms);
            session_extend(session, held, call->now_ms);
            continue;
        }
        if (!head) {
            head = wire_new("cancel");
            gone = wire_add_array(head, "requests");
        }
        wire_add_pair(gone, values[0], values[1]);
    }
    if (head)
        worker_send(call->broker, session, head);
    return 0;
}

/* Adds what a worker has counted since its last beat. */
static int
count_tokens(struct call *call)
{
    struct counters *counters = &call->broker->counters;
    struct wire pair;
    int64_t values[2];

    if (!wire_member(call->wire, "tokens", &pair))
        return 0;
    if (wire_integers(&pair, 2, 0, values) < 0)
        return err_set(call->err, E_INVALID, "tokens: not a pair");
    counters->token_hits += (uint64_t)values[0];
    counters->token_fetches += (uint64_t)values[1];
    return 0;
}

int
worker_beat(struct call *call)
{
    struct session *session = worker_speaker(call);
    bool is_leaving;
    int64_t number;
    cJSON *head;

    if (!session)
        return 0;
    if (wire_bool(call->wire, "leaving", false, &is_leaving, call->err) < 0 ||
        wire_int(call->wire, "nth", wire_range_or(0, WIRE_INT_MAX, 0), &number,
                 call->err) < 0 ||
        renew(call, session) < 0 || count_tokens(call) < 0) {
        return E_INVALID;
    }
    session->is_leaving = session->is_leaving || is_leaving;
    for (size_t i = session->held_count; i > 0; i--) {
        if (session->held[i - 1].missed >= SESSION_MISSED_MAX)
            worker_lose_lease(call->broker, session, &session->held[i - 1]);
    }
    head = wire_new("beat");
    if (number != 0)
        wire_add_int(head, "nth", number);
    worker_send(call->broker, session, head);
    return 0;
}

int
worker_slots(struct call *call)
{
    struct session *session = worker_speaker(call);
    int64_t count, word;

    if (!session)
        return 0;
    if (wire_int(call->wire, "count", wire_range(0, SESSION_CAPACITY_MAX),
                 &count, call->err) < 0 ||
        wire_int(call->wire, "word",
                 wire_range_or(0, UINT32_MAX, session->word), &word,
                 call->err) < 0) {
        return E_INVALID;
    }
    /* It answers what it was told earlier: meanwhile it may use more. */
    if (word != session->word)
        return 0;
    /* It cannot keep more than it was lent; and what it was told meanwhile
     * counts as in use, too. */
    if (count < session->lent)
        session->lent = (uint32_t)count;
    if (session->lent < session->told)
        session->lent = session->told;
    worker_save(call->broker, session);
    return 0;
}

void
worker_slots_unheard(struct broker *broker, const struct link_peer *peer)
{
    struct session *session = sessions_find_peer(broker->sessions, peer);

    if (session)
        session->unheard = session->word;
}

int
worker_note_started(struct call *call, struct session *session,
                    const char *name)
{
    struct wire_list list;
    struct wire item;

    if (wire_list(call->wire, name, &list, call->err) < 0)
        return E_INVALID;
    while (wire_next(&list, &item)) {
        struct held *held;
        int64_t values[2];

        if (wire_integers(&item, 2, 0, values) < 0)
            return err_set(call->err, E_INVALID, "%s: not pairs", name);
        held = session_find(session, (uint64_t)values[0], (uint32_t)values[1]);
        if (held)
            session_note_call(held, true, call->now_ms);
    }
    return 0;
}

int
worker_started(struct call *call)
{
    struct session *session = worker_speaker(call);

    return session ? worker_note_started(call, session, "held") : 0;
}

int
worker_release(struct call *call)
{
    struct session *session = worker_speaker(call);
    struct wire_list list;
    struct wire item;

    if (!session)
        return 0;
    if (wire_list(call->wire, "held", &list, call->err) < 0)
        return E_INVALID;
    while (wire_next(&list, &item)) {
        struct held *held;
        int64_t values[2];

        if (wire_integers(&item, 2, 0, values) < 0)
            return err_set(call->err, E_INVALID, "held: not pairs");
        held = session_find(session, (uint64_t)values[0], (uint32_t)values[1]);
        if (held) {
            held->is_started = false;
            worker_lose_lease(call->broker, session, held);
        }
    }
    return 0;
}

int
worker_bye(struct call *call)
{
    struct session *session = worker_speaker(call);

    if (!session)
        return 0;
    log_info("event=worker_bye worker=%s", session->name);
    for (size_t i = 0; i < session->held_count; i++)
        session->held[i].is_started = false; /* it finished what it ran */
    worker_end(call->broker, session, call->now_ms);
    return 0;
}
