/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "queue/core.h"

#define PLACES_MAX 64 /* that are looked at before a batch is called stalled */

/* What is to become of a request that no upstream can be asked for. One that is
 * not a chat is nothing for the sampler. */
static enum resort
resort_of(struct broker *broker, const struct request *request)
{
    struct draft draft;
    enum resort resort;

    if (store_draft_get(broker->env.store, request->batch, request->index,
                        &draft) < 0 ||
        core_line(broker, &draft) < 0) {
        return RESORT_WAIT;
    }
    resort = prompt_resort(&broker->line, &broker->recipe->options,
                           broker->env.conf);
    if (resort == RESORT_LOCAL && !prompt_is_chat(&broker->line))
        return RESORT_ESSENCE;
    return resort;
}

/* Nothing in the route can take it now. If that will not change in time, its last
 * resort is due; else *wait ends when it is. */
static bool
is_resort_due(struct broker *broker, const struct request *request,
              const struct route *route, struct wait *wait, int64_t now_ms)
{
    int64_t deadline_ms =
        store_request_deadline(broker->env.store, request->id);
    int64_t last_ms = deadline_ms == INT64_MAX
                          ? INT64_MAX
                          : deadline_ms - broker->env.conf->last_resort_ms;
    int64_t open_ms =
        upstreams_open_ms(broker->upstreams, route, BOUND_LOCAL, now_ms);

    if (now_ms >= last_ms || open_ms == UPSTREAM_STOPPED || open_ms >= last_ms)
        return true;
    if (last_ms < wait->until_ms)
        wait->until_ms = last_ms;
    return false;
}

struct wait
choice_make(struct broker *broker, const struct request *request,
            struct choice *choice, int64_t now_ms)
{
    struct bound *bound = &choice->bound;
    struct route route;
    struct wait wait;
    enum resort resort;
    int last = BOUND_LOCAL;

    *choice = (struct choice){ .bound = { .where = BOUND_LOCAL,
                                          .model = request->model,
                                          .tokens = request->tokens } };
    /* What has left the configuration is found out when it is to be sent. */
    if (!route_recall(broker->env.conf, request->route, &route))
        return (struct wait){ 0 };
    if (request->flags & REQUEST_ELSEWHERE)
        last = upstreams_find(broker->upstreams, request->upstream);
    wait = upstreams_choose(broker->upstreams, &route, last, bound, now_ms);
    if (wait.cause == WAIT_NOTHING)
        return wait;
    resort = resort_of(broker, request);
    if (resort != RESORT_WAIT &&
        is_resort_due(broker, request, &route, &wait, now_ms)) {
        choice->resort = resort;
        return (struct wait){ 0 };
    }
    return wait;
}

/* ---- batches that can go nowhere ---- */

/* True if a lease that somebody holds was given for the batch. */
static bool
is_in_flight(struct broker *broker, uint64_t batch)
{
    for (size_t i = 0; i < broker->sessions->count; i++) {
        const struct session *session = broker->sessions->list[i];

        for (size_t j = 0; j < session->held_count; j++) {
            struct request request;

            if (session->held[j].charge.batch == batch ||
                (store_request_get(broker->env.store, session->held[j].request,
                                   &request) == 0 &&
                 request.batch == batch)) {
                return true;
            }
        }
    }
    return false;
}

const struct upstream *
choice_stopped(struct broker *broker, const struct request *request,
               int64_t now_ms)
{
    struct route route;

    if (!route_recall(broker->env.conf, request->route, &route) ||
        route.count == 0 ||
        upstreams_open_ms(broker->upstreams, &route, BOUND_LOCAL, now_ms) !=
            UPSTREAM_STOPPED ||
        resort_of(broker, request) != RESORT_WAIT) {
        return NULL;
    }
    return &broker->upstreams->list[route.members[0]];
}

bool
choice_is_stalled(struct broker *broker, const struct batch *batch,
                  const struct upstream **upstream, int64_t now_ms)
{
    struct place place = { 0 };

    *upstream = NULL;
    if (!batch_may_run(batch))
        return false;
    for (int i = 0; i < PLACES_MAX; i++) {
        const struct upstream *one;
        struct request request;

        if (store_ready_next(broker->env.store, batch->id, &place) < 0)
            break;
        if (store_ready_peek(broker->env.store, batch->id, place, &request) < 0)
            return false;
        one = choice_stopped(broker, &request, now_ms);
        if (!one)
            return false;
        if (!*upstream)
            *upstream = one;
        place.group++;
    }
    return *upstream && !is_in_flight(broker, batch->id);
}
