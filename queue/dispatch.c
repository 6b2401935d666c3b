/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "base/log.h"
#include "queue/core.h"

#define LOOKS_MAX  64 /* batches whose upstream has no room, in one go */
#define PLACES_MAX 64 /* places of each: its first ones, and behind them */

struct wait
dispatch_upstream_wait(struct broker *broker, const struct request *request,
                       int64_t now_ms)
{
    struct choice choice;

    return choice_make(broker, request, &choice, now_ms);
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
    const struct window *window;
    struct spec spec;

    if (store_spec_get(broker->env.store, id, &spec) < 0 ||
        spec.window.bytes == 0) {
        return now_ms;
    }
    window = windows_find(broker->windows, spec.window, spec.tz);
    /* It was one when the batch was opened. */
    return window ? core_opens_at(broker, window, now_ms) : now_ms;
}

int64_t
dispatch_start_ms(struct broker *broker, const struct batch *batch,
                  int64_t now_ms)
{
    return opens_at(broker, batch->id,
                    batch->not_before_ms > now_ms ? batch->not_before_ms
                                                  : now_ms);
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

/* Why the requests at a place have to wait, or where they go. All of them have
 * the same route and model. One that runs alone has a place of its own, and is
 * not given in turn. */
static struct wait
place_wait(struct broker *broker, uint64_t batch, struct place place,
           struct choice *choice, int64_t now_ms)
{
    struct wait wait = dispatch_group_wait(broker, place.group, now_ms);
    struct request request;

    *choice = (struct choice){ .bound = { .where = BOUND_LOCAL } };
    if (wait.cause != WAIT_NOTHING ||
        store_ready_peek(broker->env.store, batch, place, &request) < 0) {
        return wait;
    }
    wait = choice_make(broker, &request, choice, now_ms);
    /* The others of its place have not failed there. */
    choice->is_single = choice->resort != RESORT_WAIT ||
                        (request.flags & REQUEST_ELSEWHERE) != 0;
    if (wait.cause != WAIT_NOTHING)
        return wait;
    wait = dispatch_alone_wait(&request);
    if (wait.cause != WAIT_NOTHING)
        ask_alone(broker, batch, &request);
    return wait;
}

/* True if it ends with a call that is under way, at no time that is known. */
static bool
ends_with_a_call(struct wait wait)
{
    return wait.cause == WAIT_LANE ||
           (wait.cause == WAIT_BREAKER && wait.until_ms == SCHEDULE_NEVER);
}

static bool
is_behind(struct place place, struct place other)
{
    return place.lead > other.lead ||
           (place.lead == other.lead && place.group > other.group);
}

/* What find_place() knows of a batch so far. */
struct search {
    uint64_t batch;
    struct place place;
    struct choice choice;
    struct wait first; /* that ends first */
    bool is_parked;
};

enum found { FOUND_PLACE, FOUND_END, FOUND_NOTHING };

/* Looks on through the places of a batch. Where some wait for room at their
 * upstream, it stops after so many: they are looked at again in a moment, with each
 * call that ends, and a batch may have a hundred thousand. */
static enum found
look_on(struct broker *broker, struct search *search, int64_t now_ms)
{
    bool is_short = false;

    for (int i = 0; !is_short || i < PLACES_MAX; i++) {
        struct wait wait;

        if (store_ready_next(broker->env.store, search->batch, &search->place) <
            0)
            return FOUND_END;
        wait = place_wait(broker, search->batch, search->place, &search->choice,
                          now_ms);
        if (wait.cause == WAIT_NOTHING)
            return FOUND_PLACE;
        is_short |= upstreams_is_short(wait.cause);
        search->is_parked |= ends_with_a_call(wait);
        if (wait.until_ms < search->first.until_ms)
            search->first = wait;
        search->place.group++;
    }
    return FOUND_NOTHING;
}

/* The same, behind the first places, from where that ended the last time: one that
 * another upstream could take, or another model's, is found some time. */
static enum found
look_behind(struct broker *broker, struct search *search, int64_t now_ms)
{
    struct look *look = &broker->looks[search->batch % CORE_LOOKS];
    enum found found;

    if (look->batch == search->batch && is_behind(look->place, search->place))
        search->place = look->place;
    found = look_on(broker, search, now_ms);
    *look =
        (struct look){ found == FOUND_END ? 0 : search->batch, search->place };
    return found;
}

/* Finds a place of a batch that may be dispatched now, the first one, if its
 * upstreams have room, and where it goes. Else the wait that ends first; WAIT_LANE,
 * if a call's end may be even earlier. */
static struct wait
find_place(struct broker *broker, uint64_t batch, struct place *place,
           struct choice *choice, int64_t now_ms)
{
    struct wait wait = dispatch_batch_wait(broker, batch, now_ms);
    struct search search = { .batch = batch,
                             .first = { WAIT_SWEEP, SCHEDULE_NEVER } };
    enum found found;

    if (wait.cause != WAIT_NOTHING)
        return wait;
    found = look_on(broker, &search, now_ms);
    if (found == FOUND_NOTHING)
        found = look_behind(broker, &search, now_ms);
    if (found == FOUND_PLACE) {
        *place = search.place;
        *choice = search.choice;
        return wait;
    }
    if (search.is_parked)
        search.first.cause = WAIT_LANE;
    return search.first;
}

/* The group that is being dispatched: it goes on now, or soon, or not. */
enum stay { STAY_ON, STAY_WAITING, STAY_OVER };

/* Goes on with the group that is being dispatched: in its batch, and in the
 * others that joined it. */
static enum stay
stay(struct broker *broker, int64_t now_ms)
{
    uint64_t batch = broker->sticky_batch, first = batch, after = 0;

    while (batch != 0) {
        struct place place = broker->sticky_place;
        struct wait wait;

        if (schedule_is_awake(broker->schedule, batch, now_ms) &&
            dispatch_batch_wait(broker, batch, now_ms).cause == WAIT_NOTHING &&
            store_ready_next(broker->env.store, batch, &place) == 0 &&
            place.lead == broker->sticky_place.lead &&
            place.group == broker->sticky_place.group) {
            wait = place_wait(broker, batch, place, &broker->sticky_choice,
                              now_ms);
            broker->sticky_batch = batch;
            if (wait.cause == WAIT_NOTHING)
                return STAY_ON;
            /* With one upstream, nobody else could use its turn. */
            if (upstreams_is_short(wait.cause) &&
                broker->upstreams->count == 1) {
                broker->look_ms = wait.until_ms;
                return STAY_WAITING;
            }
        }
        batch = groups_next_batch(broker->groups, broker->sticky_place.group,
                                  first, after);
        after = batch;
    }
    broker->sticky_batch = 0;
    return STAY_OVER;
}

/* Lets a batch sleep that has nothing to give now. False: too many were looked
 * at already whose upstream has no room; they and it are looked at again when the
 * first of them may go on. */
static bool
put_to_sleep(struct broker *broker, uint64_t batch, struct wait wait,
             int *looks)
{
    if (upstreams_is_short(wait.cause) && wait.until_ms < broker->look_ms)
        broker->look_ms = wait.until_ms;
    if (upstreams_is_short(wait.cause) && ++*looks > LOOKS_MAX)
        return false;
    if (wait.cause == WAIT_LANE) {
        if (broker->parked_count == CORE_PARKED_MAX)
            return false;
        broker->parked[broker->parked_count++] = batch;
    }
    schedule_sleep(broker->schedule, batch, wait.until_ms);
    return true;
}

/* A call has ended: what waits for that is looked at again. */
static void
unpark(struct broker *broker)
{
    if (!broker->has_moved)
        return;
    broker->has_moved = false;
    while (broker->parked_count > 0) {
        schedule_wake(broker->schedule, broker->parked[--broker->parked_count]);
    }
}

/* Finds what is dispatched next: sets the sticky batch, its place, and where it
 * goes. */
static bool
choose(struct broker *broker, int64_t now_ms)
{
    enum stay group;
    uint64_t batch;
    int looks = 0;

    broker->look_ms = INT64_MAX;
    group = stay(broker, now_ms);
    if (group != STAY_OVER)
        return group == STAY_ON;
    while ((batch = schedule_next(broker->schedule, now_ms)) != 0) {
        struct wait wait = find_place(broker, batch, &broker->sticky_place,
                                      &broker->sticky_choice, now_ms);

        if (wait.cause == WAIT_NOTHING) {
            broker->sticky_batch = batch;
            return true;
        }
        if (!put_to_sleep(broker, batch, wait, &looks))
            return false;
    }
    return false;
}

/* ---- who gets it ---- */

static size_t
room_of(const struct broker *broker, const struct session *session)
{
    size_t most = session->told + patience_ahead(broker);

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

/* True if the request that waits for a worker of its own may be sent now, and
 * where to. */
static bool
is_alone_due(struct broker *broker, struct grant *grant, int64_t now_ms)
{
    const struct alone *alone = &broker->alone;
    struct request request;

    *grant = (struct grant){ .batch = alone->batch, .place = alone->place };
    return dispatch_batch_wait(broker, alone->batch, now_ms).cause ==
               WAIT_NOTHING &&
           store_ready_peek(broker->env.store, alone->batch, alone->place,
                            &request) == 0 &&
           request.id == alone->request &&
           choice_make(broker, &request, &grant->choice, now_ms).cause ==
               WAIT_NOTHING;
}

/* Leases the request that runs alone as soon as its worker holds nothing. True
 * if it is over, or cannot be: others may have their turn. */
static bool
run_alone(struct broker *broker, size_t *budget, int64_t now_ms)
{
    struct alone *alone = &broker->alone;
    struct session *session = alone_session(broker);
    struct grant grant;

    if (alone->session == 0)
        return false;
    if (alone->fence == 0 && session && is_fit(session) &&
        is_alone_due(broker, &grant, now_ms)) {
        if (session->held_count > 0)
            return false;
        grant_leases(broker, session, &grant, 1, budget, now_ms);
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

/* A session with a slot that is free, the most of them. */
static struct session *
choose_free(const struct broker *broker)
{
    struct session *best = NULL;
    size_t best_free = 0;

    for (size_t i = 0; i < broker->sessions->count; i++) {
        struct session *session = broker->sessions->list[i];

        if (room_of(broker, session) > 0 &&
            session->told > session->held_count + best_free) {
            best = session;
            best_free = session->told - session->held_count;
        }
    }
    return best;
}

/* How many leases the session with the most room gets of what was chosen: as
 * many as it would if they were dealt out one by one, so that all workers work
 * at a short queue. */
static size_t
share_of(const struct broker *broker, const struct session *session)
{
    size_t room = room_of(broker, session), others = 0;

    if (room == 0 || broker->sticky_choice.is_single)
        return room > 0;
    for (size_t i = 0; i < broker->sessions->count; i++) {
        const struct session *other = broker->sessions->list[i];
        size_t its_room = other == session ? 0 : room_of(broker, other);

        if (its_room > others)
            others = its_room;
    }
    return others < room ? room - others : 1;
}

/* Leases what is next in turn to workers with room. What leaves its request fills
 * no room, and is counted by itself. */
static void
give(struct broker *broker, size_t *budget, int64_t now_ms)
{
    for (; *budget > 0 && store_may_lease(broker->env.store);
         *budget -= *budget > 0) {
        struct session *session = choose_session(broker);
        struct grant grant;
        size_t share;

        if (!session || !choose(broker, now_ms))
            return;
        grant = (struct grant){ .batch = broker->sticky_batch,
                                .place = broker->sticky_place,
                                .choice = broker->sticky_choice };
        /* What is counted out is called at once: it waits here for a slot, and
         * nothing is leased ahead in its place, or no slot would get free. */
        if (upstreams_is_exact(broker->upstreams, &grant.choice.bound,
                               now_ms)) {
            session = choose_free(broker);
            if (!session)
                return;
            share = 1;
        } else {
            /* It may be kept free since, for what was found on the way. */
            share = share_of(broker, session);
        }
        if (share > 0)
            grant_leases(broker, session, &grant, share, budget, now_ms);
    }
}

/* Counts what is leased to each upstream. */
static void
count_held(struct broker *broker)
{
    upstreams_forget_held(broker->upstreams);
    for (size_t i = 0; i < broker->sessions->count; i++) {
        const struct session *session = broker->sessions->list[i];

        for (size_t j = 0; j < session->held_count; j++)
            upstreams_hold(broker->upstreams, &session->held[j].bound);
    }
}

void
dispatch_run(struct broker *broker, int64_t now_ms)
{
    size_t budget = (size_t)broker->env.conf->commit_items_max;

    broker->look_ms = INT64_MAX;
    if (broker->is_draining)
        return;
    if (!store_may_lease(broker->env.store)) {
        retain_want_room(broker, now_ms);
        return;
    }
    count_held(broker);
    unpark(broker);
    (void)run_alone(broker, &budget, now_ms);
    do
        give(broker, &budget, now_ms);
    while (budget > 0 && run_alone(broker, &budget, now_ms));
    if (budget == 0) /* there may be more */
        broker->look_ms = now_ms;
    upstreams_save(broker->upstreams, broker->env.store);
}
