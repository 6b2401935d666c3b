/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "queue/core.h"
#include "queue/turn.h"

/* Makes the key anew of a request that came, or whose draft came, before this
 * broker was started: the configuration may have changed since. What is sent is
 * what the key says, so that no answer is ever served for another request. */
static int
check_key(struct broker *broker, struct request *request)
{
    struct recipe *recipe = broker->recipe;
    struct prompt *prompt = &recipe->prompt;
    struct line_fault fault;

    if (request->batch > broker->batch_before &&
        request->id > broker->request_before) {
        return 0;
    }
    if (prompt_make(prompt, &broker->line, &recipe->options, broker->env.conf,
                    &fault) < 0) {
        return E_INVALID;
    }
    if (memcmp(request->key, prompt->key, sizeof(request->key)) == 0)
        return 0;
    store_request_rekey(broker->env.store, request, prompt->key);
    memcpy(request->route, prompt->names.data, prompt->names.bytes + 1);
    store_request_put(broker->env.store, request);
    /* Others that joined it may be what it is rendered from next. */
    if (request->id > broker->request_before)
        broker->request_before = request->id;
    return 0;
}

/* Renders the request, for where it goes: where its route leads now. */
static int
render(struct broker *broker, struct request *request, struct choice *choice)
{
    const struct conf *conf = broker->env.conf;
    struct prompt *prompt;
    struct bound *bound = &choice->bound;
    struct line_fault fault;
    struct draft draft;
    int rc = store_draft_get(broker->env.store, request->batch, request->index,
                             &draft);

    if (rc == 0)
        rc = core_line(broker, &draft);
    if (rc == 0)
        rc = check_key(broker, request);
    if (rc < 0)
        return rc;
    prompt = &broker->recipe->prompt;
    if (prompt_route(prompt, &broker->line, &broker->recipe->options, conf,
                     &fault) < 0)
        return E_INVALID;
    if (choice->resort == RESORT_WAIT && prompt->route.count > 0 &&
        (bound->where == BOUND_LOCAL ||
         !route_has(&prompt->route, (size_t)bound->where))) {
        bound->where = (int)prompt->route.members[0];
        upstreams_set_text(request->upstream, sizeof(request->upstream),
                           conf->upstreams[bound->where].name);
        store_request_put(broker->env.store, request);
    }
    prompt_aim(prompt, &broker->line, &broker->recipe->options,
               bound->where == BOUND_LOCAL ? NULL
                                           : &conf->upstreams[bound->where],
               request->flags);
    return 0;
}

static int
send_lease(struct broker *broker, struct session *session,
           struct request *request, struct choice *choice)
{
    const struct prompt *prompt;
    const struct conf_upstream *upstream;
    struct letter *letter;
    struct buf *out;
    int rc = render(broker, request, choice);

    if (rc < 0)
        return rc;
    prompt = &broker->recipe->prompt;
    upstream = conf_upstream(broker->env.conf, request->upstream);
    letter = turn_begin_lease(broker->env.outbox, session, (int64_t)request->id,
                              prompt->body.bytes);
    out = &letter->head;
    wire_put_int(out, "fence", request->fence);
    wire_put_str(out, "upstream", request->upstream);
    wire_put_slice(out, "path", buf_slice(&prompt->path));
    if (prompt->mapped.bytes)
        wire_put_slice(out, "model", prompt->mapped);
    wire_put_int(out, "timeout_ms",
                 upstream ? upstream->request_timeout_ms
                          : broker->env.conf->lease_ms);
    wire_put_str(out, "kind", request->kind == REQUEST_TEXT ? "text" : "raw");
    turn_end_lease(letter, buf_slice(&prompt->body));
    return 0;
}

/* A lease is given: it is charged to its batch, and counted at its upstream. */
static void
count_lease(struct broker *broker, struct session *session, uint64_t batch,
            const struct request *request, const struct choice *choice)
{
    int64_t now_ms = store_now_ms(broker->env.store);
    const struct prompt *prompt = &broker->recipe->prompt;
    const struct conf_upstream *upstream =
        conf_upstream(broker->env.conf, request->upstream);
    struct held *held = worker_hold(broker, session, request, now_ms, now_ms);
    const char *model = prompt->model.bytes           ? prompt->model.data
                        : upstream && upstream->model ? upstream->model
                                                      : "";

    held->bound = choice->bound;
    held->bound.tokens = request->tokens;
    held->bound.leased_ms = now_ms;
    held->charge = schedule_charge(broker->schedule, batch, request->tokens);
    upstreams_leased(broker->upstreams, &held->bound, model, now_ms);
    broker->counters.leases++;
}

static const char *
name_of(const struct broker *broker, const struct bound *bound)
{
    return bound->where == BOUND_LOCAL
               ? CONF_LOCAL
               : broker->env.conf->upstreams[bound->where].name;
}

void
grant_leases(struct broker *broker, struct session *session,
             const struct grant *grant, size_t max, int64_t now_ms)
{
    struct request *requests = broker->claimed;
    struct lease terms = { .granted_ms = now_ms,
                           .deadline_ms = now_ms + broker->env.conf->lease_ms,
                           .upstream = name_of(broker, &grant->choice.bound) };
    size_t count;

    memcpy(terms.worker, session->uuid, sizeof(terms.worker));
    count = store_claim(broker->env.store, grant->batch, grant->place, &terms,
                        requests, max < CORE_CLAIM_MAX ? max : CORE_CLAIM_MAX);
    for (size_t i = 0; i < count; i++) {
        struct choice choice = grant->choice;
        int rc;

        if (choice.resort == RESORT_ESSENCE) {
            finish_resort(broker, &requests[i], now_ms);
            continue;
        }
        rc = send_lease(broker, session, &requests[i], &choice);
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
        count_lease(broker, session, grant->batch, &requests[i], &choice);
    }
}
