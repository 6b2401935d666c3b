/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "queue/core.h"
#include "queue/window.h"

#define CLAIM_MAX 64 /* leases of one claim */

/* ---- upstreams that wait ---- */

static int
upstream_index(const struct conf *conf, const char *name)
{
    for (size_t i = 0; i < conf->upstream_count; i++) {
        if (strcmp(conf->upstreams[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

void
dispatch_pause(struct broker *broker, const char *upstream, int64_t until_ms)
{
    int index = upstream_index(broker->env.conf, upstream);

    if (index < 0 || broker->paused_until_ms[index] >= until_ms)
        return;
    broker->paused_until_ms[index] = until_ms;
}

struct wait
dispatch_upstream_wait(const struct broker *broker, const char *upstream,
                       int64_t now_ms)
{
    int index = upstream_index(broker->env.conf, upstream);

    if (index < 0 || broker->paused_until_ms[index] <= now_ms)
        return (struct wait){ 0 };
    return (struct wait){ WAIT_COOLDOWN, broker->paused_until_ms[index] };
}

int64_t
dispatch_lease_ms(const struct broker *broker, const struct request *request)
{
    const struct conf *conf = broker->env.conf;
    const struct conf_upstream *upstream =
        conf_upstream(conf, request->upstream);
    int64_t call_ms =
        upstream ? upstream->request_timeout_ms + CONF_LEASE_MARGIN_MS : 0;

    return call_ms > conf->lease_ms ? call_ms : conf->lease_ms;
}

/* ---- requests that run alone ---- */

/* True if a worker may get a request that runs alone. */
static bool
is_fit(const struct session *session)
{
    return session->is_online && !session->is_leaving && session->told > 0;
}

struct wait
dispatch_alone_wait(const struct request *request)
{
    return request->flags & REQUEST_SUSPECT
               ? (struct wait){ WAIT_ALONE, SCHEDULE_NEVER }
               : (struct wait){ 0 };
}

/* Keeps a worker free for a request: it gets nothing more, gives back what it
 * has not started, and finishes its calls, while the others go on. One at a
 * time, whatever is suspected. */
static void
ask_alone(struct broker *broker, uint64_t batch, const struct request *request)
{
    const struct session *best = NULL;

    if (broker->alone.session != 0)
        return;
    for (size_t i = 0; i < broker->sessions->count; i++) {
        const struct session *session = broker->sessions->list[i];

        if (is_fit(session) &&
            (!best || session->held_count < best->held_count))
            best = session;
    }
    if (!best)
        return;
    broker->alone = (struct alone){ .session = best->id,
                                    .request = request->id,
                                    .batch = batch,
                                    .place = request->place };
    log_info("event=worker_kept_free worker=%s request=%llu", best->name,
             (unsigned long long)request->id);
    worker_recall_all(broker, best);
}

static struct session *
alone_session(const struct broker *broker)
{
    for (size_t i = 0; i < broker->sessions->count; i++) {
        if (broker->sessions->list[i]->id == broker->alone.session)
            return broker->sessions->list[i];
    }
    return NULL;
}

/* ---- which place comes next ---- */

/* When the window of a batch opens; now, or earlier, if it has none. */
static int64_t
opens_at(struct broker *broker, uint64_t id, int64_t now_ms)
{
    struct window *window = NULL;
    struct spec spec;
    char *text, *zone;
    int64_t open_ms = now_ms;

    if (store_spec_get(broker->env.store, id, &spec) < 0 ||
        spec.window.bytes == 0) {
        return now_ms;
    }
    text = mem_dup(spec.window.data, spec.window.bytes);
    zone = mem_dup(spec.tz.data, spec.tz.bytes);
    /* It was read when the batch was opened. */
    if (window_parse(text, zone, &window, NULL) == 0)
        open_ms = core_from_wall_ms(
            broker, window_next_open(window, core_to_wall_ms(broker, now_ms)));
    window_free(window);
    free(text);
    free(zone);
    return open_ms;
}

struct wait
dispatch_batch_wait(struct broker *broker, uint64_t id, int64_t now_ms)
{
    struct wait wait = { WAIT_SWEEP, SCHEDULE_NEVER };
    struct batch batch;

    if (store_batch_get(broker->env.store, id, &batch) < 0)
        return wait;
    if (!batch_may_run(&batch)) {
        if (batch.state == BATCH_OPEN)
            wait.cause = WAIT_SEAL;
        if (batch.state == BATCH_PAUSED)
            wait.cause = WAIT_PAUSE;
        return wait;
    }
    wait = (struct wait){ WAIT_SCHEDULE, batch.not_before_ms };
    if (wait.until_ms <= now_ms)
        wait = (struct wait){ WAIT_WINDOW, opens_at(broker, id, now_ms) };
    return wait.until_ms > now_ms ? wait : (struct wait){ 0 };
}

struct wait
dispatch_group_wait(const struct broker *broker, uint64_t group, int64_t now_ms)
{
    int64_t held_ms = groups_held_until(broker->groups, group, now_ms);

    return held_ms > now_ms ? (struct wait){ WAIT_GROUP, held_ms }
                            : (struct wait){ 0 };
}

/* Why the requests at a place have to wait. All of them go to the same
 * upstream. One that runs alone has a place of its own, and is not given in
 * turn. */
static struct wait
place_wait(struct broker *broker, uint64_t batch, struct place place,
           int64_t now_ms)
{
    struct wait wait = dispatch_group_wait(broker, place.group, now_ms);
    struct request request;

    if (wait.cause != WAIT_NOTHING ||
        store_ready_peek(broker->env.store, batch, place, &request) < 0) {
        return wait;
    }
    wait = dispatch_upstream_wait(broker, request.upstream, now_ms);
    if (wait.cause != WAIT_NOTHING)
        return wait;
    wait = dispatch_alone_wait(&request);
    if (wait.cause != WAIT_NOTHING)
        ask_alone(broker, batch, &request);
    return wait;
}

/* Finds the first place of a batch that may be dispatched now. False: there is
 * none, and *wake_ms tells when that may change. */
static bool
find_place(struct broker *broker, uint64_t batch, struct place *place,
           int64_t now_ms, int64_t *wake_ms)
{
    struct wait wait = dispatch_batch_wait(broker, batch, now_ms);

    *wake_ms = wait.until_ms;
    if (wait.cause != WAIT_NOTHING)
        return false;
    *wake_ms = SCHEDULE_NEVER;
    *place = (struct place){ 0 };
    while (store_ready_next(broker->env.store, batch, place) == 0) {
        wait = place_wait(broker, batch, *place, now_ms);
        if (wait.cause == WAIT_NOTHING)
            return true;
        if (wait.until_ms < *wake_ms)
            *wake_ms = wait.until_ms;
        place->group++;
    }
    return false;
}

/* Goes on with the group that is being dispatched: in its batch, and in the
 * others that joined it. */
static bool
stay(struct broker *broker, int64_t now_ms)
{
    uint64_t batch = broker->sticky_batch, first = batch, after = 0;

    while (batch != 0) {
        struct place place = broker->sticky_place;

        if (schedule_is_awake(broker->schedule, batch, now_ms) &&
            dispatch_batch_wait(broker, batch, now_ms).cause == WAIT_NOTHING &&
            store_ready_next(broker->env.store, batch, &place) == 0 &&
            place.lead == broker->sticky_place.lead &&
            place.group == broker->sticky_place.group &&
            place_wait(broker, batch, place, now_ms).cause == WAIT_NOTHING) {
            broker->sticky_batch = batch;
            return true;
        }
        batch = groups_next_batch(broker->groups, broker->sticky_place.group,
                                  first, after);
        after = batch;
    }
    broker->sticky_batch = 0;
    return false;
}

/* Finds what is dispatched next: sets the sticky batch and place. */
static bool
choose(struct broker *broker, int64_t now_ms)
{
    uint64_t batch;

    if (stay(broker, now_ms))
        return true;
    while ((batch = schedule_next(broker->schedule, now_ms)) != 0) {
        int64_t wake_ms;

        if (find_place(broker, batch, &broker->sticky_place, now_ms,
                       &wake_ms)) {
            broker->sticky_batch = batch;
            return true;
        }
        schedule_sleep(broker->schedule, batch, wake_ms);
    }
    return false;
}

/* ---- who gets it ---- */

static size_t
room_of(const struct broker *broker, const struct session *session)
{
    size_t most = session->told + (size_t)broker->env.conf->lease_ahead_max;

    if (!session->is_online || session->is_leaving || session->told == 0 ||
        session->held_count >= most || session->id == broker->alone.session) {
        return 0;
    }
    return most - session->held_count;
}

/* The session with the most room beyond what it holds: free slots are filled
 * on all workers before any of them gets leases ahead. */
static struct session *
choose_session(const struct broker *broker)
{
    struct session *best = NULL;
    size_t best_room = 0;

    for (size_t i = 0; i < broker->sessions->count; i++) {
        struct session *session = broker->sessions->list[i];
        size_t room = room_of(broker, session);

        if (room > best_room) {
            best = session;
            best_room = room;
        }
    }
    return best;
}

struct wait
dispatch_worker_wait(const struct broker *broker)
{
    const struct sessions *sessions = broker->sessions;
    struct wait wait = { WAIT_WORKER, SCHEDULE_NEVER };

    if (broker->is_draining)
        return (struct wait){ WAIT_DRAIN, SCHEDULE_NEVER };
    if (choose_session(broker))
        return (struct wait){ 0 };
    for (size_t i = 0; i < sessions->count; i++) {
        if (sessions->list[i]->is_online && !sessions->list[i]->is_leaving)
            wait.cause = WAIT_SLOT;
    }
    return wait;
}

/* Renders the request into a lease message. */
static int
send_lease(struct broker *broker, struct session *session,
           struct request *request)
{
    const struct conf_upstream *upstream =
        conf_upstream(broker->env.conf, request->upstream);
    struct line_fault fault;
    struct draft draft;
    cJSON *head;
    int rc = store_draft_get(broker->env.store, request->batch, request->index,
                             &draft);

    if (rc == 0)
        rc = core_line(broker, &draft);
    if (rc < 0)
        return rc;
    if (prompt_make(&broker->prompt, &broker->line, &broker->options,
                    broker->env.conf, request->flags, &fault) < 0) {
        return E_INVALID;
    }
    /* The configuration may have changed since: what is sent is what the key
     * says, so that no answer is ever served for another request. */
    if (memcmp(request->key, broker->prompt.key, sizeof(request->key)) != 0) {
        store_request_rekey(broker->env.store, request, broker->prompt.key);
        store_request_put(broker->env.store, request);
    }
    head = wire_new("lease");
    wire_add_int(head, "request", (int64_t)request->id);
    wire_add_int(head, "fence", request->fence);
    wire_add_str(head, "upstream", broker->prompt.upstream.data);
    wire_add_str(head, "path", broker->prompt.path.data);
    wire_add_int(head, "timeout_ms",
                 upstream ? upstream->request_timeout_ms
                          : broker->env.conf->lease_ms);
    wire_add_str(head, "kind", request->kind == REQUEST_TEXT ? "text" : "raw");
    buf_add_slice(worker_send(broker, session, head),
                  buf_slice(&broker->prompt.body));
    return 0;
}

/* Leases requests of a batch at a place to a session. */
static void
lease_to(struct broker *broker, struct session *session, uint64_t batch,
         struct place place, size_t max, int64_t now_ms)
{
    struct request requests[CLAIM_MAX];
    struct lease terms = { .granted_ms = now_ms,
                           .deadline_ms = now_ms + broker->env.conf->lease_ms };
    size_t count;

    memcpy(terms.worker, session->uuid, sizeof(terms.worker));
    count = store_claim(broker->env.store, batch, place, &terms, requests,
                        max < CLAIM_MAX ? max : CLAIM_MAX);
    for (size_t i = 0; i < count; i++) {
        int rc = send_lease(broker, session, &requests[i]);
        struct held *held;

        if (rc < 0) {
            finish_unsendable(
                broker, &requests[i],
                rc == E_CORRUPT ? "storage_corrupt" : "unsendable",
                rc == E_CORRUPT ? "its stored draft is damaged"
                                : "the configuration does not serve it any "
                                  "more",
                now_ms);
            continue;
        }
        held = worker_hold(broker, session, &requests[i], now_ms, now_ms);
        held->charge =
            schedule_charge(broker->schedule, batch, requests[i].tokens);
        broker->counters.leases++;
    }
}

/* True if the request that waits for a worker of its own may be sent now. */
static bool
is_alone_due(struct broker *broker, int64_t now_ms)
{
    const struct alone *alone = &broker->alone;
    struct request request;

    return dispatch_batch_wait(broker, alone->batch, now_ms).cause ==
               WAIT_NOTHING &&
           store_ready_peek(broker->env.store, alone->batch, alone->place,
                            &request) == 0 &&
           request.id == alone->request &&
           dispatch_upstream_wait(broker, request.upstream, now_ms).cause ==
               WAIT_NOTHING;
}

/* Leases the request that runs alone as soon as its worker holds nothing. True
 * if it is over, or cannot be: others may have their turn. */
static bool
run_alone(struct broker *broker, int64_t now_ms)
{
    struct alone *alone = &broker->alone;
    struct session *session = alone_session(broker);

    if (alone->session == 0)
        return false;
    if (alone->fence == 0 && session && is_fit(session) &&
        is_alone_due(broker, now_ms)) {
        if (session->held_count > 0)
            return false;
        lease_to(broker, session, alone->batch, alone->place, 1, now_ms);
        if (session->held_count > 0)
            alone->fence = session->held[0].fence;
    }
    if (alone->fence != 0 && session &&
        session_find(session, alone->request, alone->fence)) {
        return false;
    }
    broker->alone = (struct alone){ 0 };
    schedule_wake_all(broker->schedule);
    return true;
}

/* Leases what is next in turn to workers with room. */
static void
give(struct broker *broker, size_t *budget, int64_t now_ms)
{
    for (; *budget > 0 && store_may_lease(broker->env.store); --*budget) {
        struct session *session = choose_session(broker);
        size_t room, fair;

        if (!session || !choose(broker, now_ms))
            return;
        /* It may be kept free since, for what was found on the way. */
        room = room_of(broker, session);
        /* One at a time where there are several workers, so that all of them
         * work at a short queue. */
        fair = broker->sessions->count > 1 && room > 1 ? 1 : room;
        if (fair > 0) {
            lease_to(broker, session, broker->sticky_batch,
                     broker->sticky_place, fair, now_ms);
        }
    }
}

void
dispatch_run(struct broker *broker, int64_t now_ms)
{
    size_t budget = (size_t)broker->env.conf->commit_items_max;

    if (broker->is_draining)
        return;
    if (!store_may_lease(broker->env.store)) {
        retain_want_room(broker, now_ms);
        return;
    }
    (void)run_alone(broker, now_ms);
    do
        give(broker, &budget, now_ms);
    while (budget > 0 && run_alone(broker, now_ms));
}
