/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "queue/core.h"
#include "queue/turn.h"

/* 1 if the draft that a request is rendered from leads to another one now: it
 * came before this broker was started, and the configuration has changed since.
 * What is sent is what the key says, so that no answer is ever served for another
 * request. Drafts of later batches are of this configuration, and so is what they
 * made or joined. */
static int
check_key(struct broker *broker, const struct request *request)
{
    struct recipe *recipe = broker->recipe;
    struct prompt *prompt = &recipe->prompt;
    struct line_fault fault;

    if (request->batch > broker->batch_before)
        return 0;
    if (prompt_make(prompt, &broker->line, &recipe->options, broker->env.conf,
                    &fault) < 0) {
        return E_INVALID;
    }
    return memcmp(request->key, prompt->key, sizeof(request->key)) != 0;
}

/* Reads the draft that a request is rendered from. 1: it leads to another one
 * now. */
static int
read_source(struct broker *broker, const struct request *request,
            struct draft *draft)
{
    int rc = store_draft_get(broker->env.store, request->batch, request->index,
                             draft);

    if (rc == 0)
        rc = core_line(broker, draft);
    return rc < 0 ? rc : check_key(broker, request);
}

bool
grant_is_old(struct broker *broker, const struct request *request)
{
    struct draft draft;
    int rc = read_source(broker, request, &draft);

    return rc == 1 || rc == E_INVALID;
}

/* Renders the request, for where it goes: where its route leads now. *draft is
 * the one that it is rendered from. 1: that leads to another request now. */
static int
render(struct broker *broker, struct request *request, struct choice *choice,
       struct draft *draft)
{
    const struct conf *conf = broker->env.conf;
    struct prompt *prompt;
    struct bound *bound = &choice->bound;
    struct line_fault fault;
    int rc = read_source(broker, request, draft);

    if (rc != 0)
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
           struct request *request, struct choice *choice, struct draft *draft)
{
    const struct prompt *prompt;
    const struct conf_upstream *upstream;
    struct letter *letter;
    struct buf *out;
    int rc = render(broker, request, choice, draft);

    if (rc != 0)
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

static void
keep_place(void *context, struct new_draft *draft)
{
    (void)context;
    (void)draft;
}

/* Lets the draft in hand go to the request that it leads to now. It has waited for
 * others before: a new request goes on in its place, or, as all of a group have
 * one route, behind that. False: the draft does not wait, and no other one is found
 * that does. */
static bool
move_draft(struct broker *broker, struct request *request,
           const struct draft *draft, int64_t now_ms)
{
    const struct prompt *prompt = &broker->recipe->prompt;
    struct intake intake = core_intake(broker, now_ms);
    struct new_draft fresh = {
        .draft = *draft,
        .kind = prompt->kind,
        .route = prompt->names.data,
        .model = prompt->model_tag,
        .place = request->place,
        .tokens = prompt_tokens(prompt, broker->env.conf),
    };

    memcpy(fresh.key, prompt->key, sizeof(fresh.key));
    if (strcmp(request->route, fresh.route) != 0)
        fresh.place.group = store_group_next(broker->env.store);
    intake.place = keep_place;
    if (!store_draft_move(broker->env.store, request, &fresh, &intake))
        return false;
    broker->has_results = true;
    return true;
}

/* What cannot be sent ends. Where several drafts share a request, that is the one
 * in hand: others may say themselves what it lacks. */
static void
end_unsendable(struct broker *broker, struct request *request,
               const struct draft *draft, int rc, int64_t now_ms)
{
    struct store *store = broker->env.store;
    struct request own;

    if (rc == E_INVALID && store_request_drafts(store, request->id, 2) > 1) {
        int parted = store_draft_part(store, request, draft, &own);

        if (parted == 1)
            return;
        if (parted == 0)
            request = &own;
    }
    finish_unsendable(broker, request,
                      rc == E_CORRUPT ? "storage_corrupt" : "unsendable",
                      rc == E_CORRUPT ? "its stored draft is damaged"
                                      : "the configuration does not serve it "
                                        "any more",
                      now_ms);
}

/* Leases a request that was claimed. False: nothing was sent. */
static bool
grant_one(struct broker *broker, struct session *session,
          const struct grant *grant, struct request *request, int64_t now_ms)
{
    struct choice choice = grant->choice;
    struct draft draft;
    int rc;

    if (choice.resort == RESORT_ESSENCE) {
        finish_resort(broker, request, now_ms);
        return false;
    }
    rc = send_lease(broker, session, request, &choice, &draft);
    if (rc == 1 && move_draft(broker, request, &draft, now_ms))
        return false;
    if (rc != 0) {
        end_unsendable(broker, request, &draft, rc == 1 ? E_INVALID : rc,
                       now_ms);
        return false;
    }
    count_lease(broker, session, grant->batch, request, &choice);
    return true;
}

size_t
grant_leases(struct broker *broker, struct session *session,
             const struct grant *grant, size_t max, int64_t now_ms)
{
    struct request *requests = broker->claimed;
    struct lease terms = { .granted_ms = now_ms,
                           .deadline_ms = now_ms + broker->env.conf->lease_ms,
                           .upstream = name_of(broker, &grant->choice.bound) };
    size_t count, unsent = 0;

    memcpy(terms.worker, session->uuid, sizeof(terms.worker));
    count = store_claim(broker->env.store, grant->batch, grant->place, &terms,
                        requests, max < CORE_CLAIM_MAX ? max : CORE_CLAIM_MAX);
    for (size_t i = 0; i < count; i++) {
        /* What was not sent may have joined it since it was claimed. */
        if (unsent > 0 && store_request_get(broker->env.store, requests[i].id,
                                            &requests[i]) < 0) {
            continue;
        }
        unsent += !grant_one(broker, session, grant, &requests[i], now_ms);
    }
    return unsent;
}
