/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "queue/core.h"
#include "queue/turn.h"

#define UNSENDABLE_TEXT_BYTES 96 /* around what the fault says */

/* What goes to a worker is bounded by the limit of now. */
static int
check_sizes(const struct broker *broker, struct line_fault *fault)
{
    long long most = broker->env.conf->line_bytes_max;

    if ((long long)broker->text.bytes <= most &&
        (long long)broker->recipe->text.bytes <= most) {
        return 0;
    }
    *fault = (struct line_fault){ .field = "line_bytes_max" };
    (void)snprintf(fault->message, sizeof(fault->message),
                   "is %lld now, and was more when the draft came", most);
    return E_INVALID;
}

/* 1 if the draft that a request is rendered from leads to another one now: it
 * came before this broker was started, and the configuration has changed since.
 * What is sent is what the key says, so that no answer is ever served for another
 * request. Drafts of later batches are of this configuration, and so is what they
 * made or joined. */
static int
check_key(struct broker *broker, const struct request *request,
          struct line_fault *fault)
{
    struct recipe *recipe = broker->recipe;
    struct prompt *prompt = &recipe->prompt;

    if (request->batch > broker->batch_before)
        return 0;
    if (check_sizes(broker, fault) < 0 ||
        prompt_make(prompt, &broker->line, &recipe->options, broker->env.conf,
                    fault) < 0) {
        return E_INVALID;
    }
    return memcmp(request->key, prompt->key, sizeof(request->key)) != 0;
}

/* Reads the draft that a request is rendered from. 1: it leads to another one
 * now. */
static int
read_source(struct broker *broker, const struct request *request,
            struct draft *draft, struct line_fault *fault)
{
    int rc = store_draft_get(broker->env.store, request->batch, request->index,
                             draft);

    *fault =
        (struct line_fault){ .message = "the stored draft is not readable" };
    if (rc == 0)
        rc = core_line(broker, draft);
    return rc < 0 ? rc : check_key(broker, request, fault);
}

bool
grant_is_old(struct broker *broker, const struct request *request)
{
    struct line_fault fault;
    struct draft draft;
    int rc = read_source(broker, request, &draft, &fault);

    return rc == 1 || rc == E_INVALID;
}

/* Renders the request, for where it goes: where its route leads now. *draft is
 * the one that it is rendered from. 1: that leads to another request now. *fault
 * says why it cannot be sent (E_INVALID). */
static int
render(struct broker *broker, struct request *request, struct choice *choice,
       struct draft *draft, struct line_fault *fault)
{
    const struct conf *conf = broker->env.conf;
    struct prompt *prompt;
    struct bound *bound = &choice->bound;
    int rc = read_source(broker, request, draft, fault);

    if (rc != 0)
        return rc;
    prompt = &broker->recipe->prompt;
    if (prompt_route(prompt, &broker->line, &broker->recipe->options, conf,
                     fault) < 0)
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

/* Sends a lease of what was rendered. */
static void
send_lease(struct broker *broker, struct session *session,
           const struct request *request)
{
    const struct prompt *prompt = &broker->recipe->prompt;
    const struct conf_upstream *upstream =
        conf_upstream(broker->env.conf, request->upstream);
    struct letter *letter;
    struct buf *out;

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
 * one route, behind that. */
static int
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
    broker->has_results = true;
    return store_draft_move(broker->env.store, request, &fresh, &intake);
}

/* fault: NULL where the draft is damaged. */
static void
end_unsendable(struct broker *broker, struct request *request,
               const struct line_fault *fault, int64_t now_ms)
{
    char message[sizeof(fault->message) + UNSENDABLE_TEXT_BYTES];

    if (!fault) {
        finish_unsendable(broker, request, "storage_corrupt",
                          "its stored draft is damaged", now_ms);
        return;
    }
    (void)snprintf(message, sizeof(message),
                   "the configuration does not serve it any more: %.32s%s%s",
                   fault->field, *fault->field ? " " : "", fault->message);
    finish_unsendable(broker, request, "unsendable", message, now_ms);
}

/* The draft in hand cannot be sent at all. Where several share the request, it ends
 * alone: others may say themselves what it lacks. */
static int
part_draft(struct broker *broker, struct request *request,
           const struct draft *draft, const struct line_fault *fault,
           int64_t now_ms)
{
    struct request own;
    int rc;

    if (store_request_drafts(broker->env.store, request->id, 2) < 2)
        return E_NOTFOUND;
    rc = store_draft_part(broker->env.store, request, draft, &own);
    if (own.id != 0)
        end_unsendable(broker, &own, fault, now_ms);
    return rc;
}

/* Lets the draft in hand leave a request. 1: it goes on for others; 0: it has ended.
 * Else it has to end with that draft. */
static int
leave_request(struct broker *broker, struct request *request,
              const struct draft *draft, int rc, const struct line_fault *fault,
              int64_t now_ms)
{
    if (rc == 1)
        return move_draft(broker, request, draft, now_ms);
    return rc == E_INVALID ? part_draft(broker, request, draft, fault, now_ms)
                           : rc;
}

/* Renders a request that was claimed, from the first of its drafts that still says
 * what it is; those before it leave it, each a step of *budget. False: there is
 * nothing to be sent. It has ended; or it is ready again, as too many have left, or
 * all of the batch for which it was claimed. */
static bool
render_any(struct broker *broker, const struct grant *grant,
           struct request *request, struct choice *choice, size_t *budget,
           int64_t now_ms)
{
    struct store *store = broker->env.store;
    struct line_fault fault;
    struct draft draft;
    bool has_left = false;
    int rc, left = 1;

    while ((rc = render(broker, request, choice, &draft, &fault)) != 0) {
        if (*budget == 0) {
            store_release(store, request);
            return false;
        }
        --*budget;
        left = leave_request(broker, request, &draft, rc, &fault, now_ms);
        if (left < 0) {
            end_unsendable(broker, request, rc == E_CORRUPT ? NULL : &fault,
                           now_ms);
        }
        if (left != 1)
            return false;
        has_left = true;
    }
    if (has_left &&
        !store_request_is_wanted_by(store, request->id, grant->batch)) {
        store_release(store, request);
        return false;
    }
    return true;
}

/* Leases a request that was claimed. */
static void
grant_one(struct broker *broker, struct session *session,
          const struct grant *grant, struct request *request, size_t *budget,
          int64_t now_ms)
{
    struct choice choice = grant->choice;

    if (choice.resort == RESORT_ESSENCE) {
        finish_resort(broker, request, now_ms);
    } else if (render_any(broker, grant, request, &choice, budget, now_ms)) {
        send_lease(broker, session, request);
        count_lease(broker, session, grant->batch, request, &choice);
    }
}

void
grant_leases(struct broker *broker, struct session *session,
             const struct grant *grant, size_t max, size_t *budget,
             int64_t now_ms)
{
    struct request *requests = broker->claimed;
    struct lease terms = { .granted_ms = now_ms,
                           .deadline_ms = now_ms + broker->env.conf->lease_ms,
                           .upstream = name_of(broker, &grant->choice.bound) };
    size_t count, before = *budget;

    memcpy(terms.worker, session->uuid, sizeof(terms.worker));
    count = store_claim(broker->env.store, grant->batch, grant->place, &terms,
                        requests, max < CORE_CLAIM_MAX ? max : CORE_CLAIM_MAX);
    for (size_t i = 0; i < count; i++) {
        /* What has left another one may have joined it since it was claimed. */
        if (*budget < before &&
            store_request_get(broker->env.store, requests[i].id, &requests[i]) <
                0) {
            continue;
        }
        grant_one(broker, session, grant, &requests[i], budget, now_ms);
    }
}
