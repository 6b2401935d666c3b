/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "queue/refused.h"
#include "queue/why.h"

#define DRAFTS_MAX 1000 /* that share a request are counted so far */
#define ROOM_BYTES 1024 /* of a header are left */

/* What is asked about, and where the answer is put together. */
struct question {
    struct call *call;
    struct batch batch;
    const char *id; /* NULL: asked by index */
    int64_t index;
    struct draft draft; /* unless it was refused */
    bool is_refused;
    struct refused refused;
    cJSON *head;
};

/* ---- which draft ---- */

static int
read_question(struct question *question)
{
    struct call *call = question->call;

    if (wire_has(call->wire, "id")) {
        return wire_str(call->wire, "id",
                        (size_t)call->broker->env.conf->id_bytes_max, NULL,
                        &question->id, call->err);
    }
    return wire_int(call->wire, "index", wire_range(0, UINT32_MAX - 1),
                    &question->index, call->err);
}

static int
find_refused(struct question *question)
{
    struct call *call = question->call;
    struct store *store = call->broker->env.store;
    int rc;

    if (question->id) {
        rc = refused_find(store, &question->batch, slice_of(question->id),
                          &question->refused);
    } else {
        rc = refused_at(store, &question->batch, (uint32_t)question->index,
                        &question->refused);
    }
    question->is_refused = rc == 0;
    if (rc == E_NOTFOUND && question->id)
        return err_set(call->err, rc, "no draft \"%s\" in the batch%s",
                       question->id,
                       question->batch.refused_count > REFUSED_SCAN_MAX
                           ? ", nor among the first that were refused"
                           : "");
    if (rc == E_NOTFOUND)
        return err_set(call->err, rc, "no draft with index %lld in the batch",
                       (long long)question->index);
    return rc;
}

static int
find_draft(struct question *question)
{
    struct call *call = question->call;
    struct store *store = call->broker->env.store;
    int rc;

    if (question->batch.state == BATCH_ABANDONED) {
        return err_set(call->err, E_NOTFOUND,
                       "the batch was not sealed in time, and its drafts were "
                       "dropped");
    }
    if (question->id) {
        rc = store_draft_find(store, question->batch.id, slice_of(question->id),
                              &question->draft);
    } else {
        rc = store_draft_get(store, question->batch.id,
                             (uint32_t)question->index, &question->draft);
    }
    return rc == E_NOTFOUND ? find_refused(question) : rc;
}

/* ---- the answer ---- */

static void
add_time(cJSON *head, const char *name, int64_t time_ms)
{
    if (time_ms > 0 && time_ms != SCHEDULE_NEVER)
        wire_add_int(head, name, time_ms);
    else
        wire_add_null(head, name);
}

/* A time to come, by the wall clock. */
static void
add_wall(const struct broker *broker, cJSON *head, const char *name, int64_t ms)
{
    add_time(head, name,
             ms == SCHEDULE_NEVER ? ms : core_to_wall_ms(broker, ms));
}

static void
add_count(cJSON *head, const char *name, int64_t count)
{
    if (count >= 0)
        wire_add_int(head, name, count);
    else
        wire_add_null(head, name);
}

static void
add_text(cJSON *head, const char *name, struct slice text)
{
    if (text.bytes)
        wire_add_slice(head, name, text);
    else
        wire_add_null(head, name);
}

/* The UUID of a batch, null if that is gone. */
static void
add_batch(cJSON *head, const char *name, struct store *store, uint64_t id)
{
    char uuid[CORE_UUID_TEXT_BYTES] = "";
    struct batch batch;

    if (store_batch_get(store, id, &batch) == 0)
        core_uuid_text(batch.uuid, uuid);
    add_text(head, name, slice_of(uuid));
}

static void
add_waits(struct question *question, const struct why *why)
{
    struct broker *broker = question->call->broker;
    cJSON *list = wire_add_array(question->head, "waits");

    for (size_t i = 0; i < why->wait_count; i++) {
        const struct wait *wait = &why->waits[i];
        cJSON *item = cJSON_CreateObject();
        struct buf detail = { 0 };

        why_detail(broker, &question->batch, &question->draft, why, wait,
                   &detail);
        wire_add_str(item, "for", wait_name(wait->cause));
        add_wall(broker, item, "until", wait->until_ms);
        wire_add_slice(item, "detail", buf_slice(&detail));
        if (wait->cause == WAIT_SLOT) {
            wire_add_int(item, "slots", broker->env.conf->slots_max);
            wire_add_int(item, "lent", sessions_lent(broker->sessions));
            wire_add_int(item, "before", (int64_t)why->before);
        }
        cJSON_AddItemToArray(list, item);
        buf_fini(&detail);
    }
}

static void
add_lease(const struct broker *broker, cJSON *head, const struct why *why)
{
    char uuid[CORE_UUID_TEXT_BYTES];
    cJSON *lease;

    if (!why->has_lease) {
        wire_add_null(head, "lease");
        return;
    }
    lease = wire_add_object(head, "lease");
    if (why->holder)
        wire_add_str(lease, "worker", core_worker_name(why->holder, uuid));
    else
        wire_add_null(lease, "worker");
    wire_add_bool(lease, "online", why->holder && why->holder->is_online);
    wire_add_bool(lease, "started", why->held && why->held->is_started);
    add_time(lease, "granted_at", why->lease.granted_ms);
    add_wall(broker, lease, "deadline",
             why->held ? why->held->deadline_ms : why->lease.deadline_ms);
}

/* The draft from which the request is rendered, and which pays for it. */
static void
add_source(struct broker *broker, cJSON *head, const struct request *request)
{
    struct draft draft;
    cJSON *source;

    if (request->batch == 0) {
        wire_add_null(head, "source");
        return;
    }
    source = wire_add_object(head, "source");
    add_batch(source, "batch", broker->env.store, request->batch);
    wire_add_int(source, "index", request->index);
    if (store_draft_get(broker->env.store, request->batch, request->index,
                        &draft) == 0 &&
        core_line(broker, &draft) == 0) {
        wire_add_slice(source, "custom_id", buf_slice(&broker->line.id));
    } else {
        wire_add_null(source, "custom_id");
    }
}

static void
add_counters(struct broker *broker, cJSON *head, const struct request *request)
{
    const struct conf *conf = broker->env.conf;

    wire_add_int(head, "attempts", request->attempts);
    wire_add_int(head, "failures", request->failures);
    wire_add_int(head, "failures_max", conf->attempts_max);
    wire_add_int(head, "throttled", request->throttled);
    wire_add_int(head, "throttled_max", conf->throttle_max);
    wire_add_int(head, "uncertain", request->uncertain);
    wire_add_int(head, "lost", request->lost);
}

static void
add_request(struct question *question, const struct why *why)
{
    struct broker *broker = question->call->broker;
    const struct request *request = &why->request;
    char hex[DIGEST_HEX_BYTES];
    cJSON *head;

    if (!why->has_request) {
        wire_add_null(question->head, "request");
        return;
    }
    digest_hex(request->key, hex);
    head = wire_add_object(question->head, "request");
    wire_add_int(head, "id", (int64_t)request->id);
    wire_add_str(head, "state", request_state_name(request->state));
    wire_add_str(head, "key", hex);
    wire_add_str(head, "upstream", request->upstream);
    wire_add_int(head, "fence", request->fence);
    wire_add_int(head, "lead", (int64_t)request->place.lead);
    wire_add_int(head, "group", (int64_t)request->place.group);
    add_counters(broker, head, request);
    add_lease(broker, head, why);
    add_source(broker, head, request);
    wire_add_int(head, "drafts",
                 (int64_t)store_request_drafts(broker->env.store, request->id,
                                               DRAFTS_MAX));
}

static void
add_result(struct question *question)
{
    const struct draft *draft = &question->draft;
    cJSON *result;

    if (question->is_refused || draft->status == STATUS_NONE) {
        wire_add_null(question->head, "result");
        return;
    }
    result = wire_add_object(question->head, "result");
    wire_add_str(result, "status", status_name(draft->status));
    wire_add_int(result, "seq", (int64_t)draft->seq);
    wire_add_int(result, "revision", draft->revision);
    add_time(result, "completed_at", draft->completed_ms);
}

static void
add_refusal(struct question *question)
{
    const struct refusal *refusal = &question->refused.refusal;
    cJSON *head;

    if (!question->is_refused) {
        wire_add_null(question->head, "refusal");
        return;
    }
    head = wire_add_object(question->head, "refusal");
    wire_add_slice(head, "code", refusal->code);
    add_text(head, "field", refusal->field);
    wire_add_slice(head, "message", refusal->message);
}

static cJSON *
attempt_object(const struct attempt *attempt)
{
    cJSON *item = cJSON_CreateObject();

    wire_add_int(item, "n", attempt->number);
    add_time(item, "ended_at", attempt->ended_ms);
    wire_add_str(item, "class", call_class_name(attempt->class));
    add_text(item, "status", slice_of(status_name(attempt->status)));
    add_count(item, "http_status",
              attempt->http_status ? (int64_t)attempt->http_status : -1);
    add_text(item, "code", attempt->code);
    add_count(item, "latency_ms", attempt->latency_ms);
    wire_add_int(item, "wait_ms", attempt->wait_ms);
    add_text(item, "wait_from", attempt->wait_from);
    wire_add_int(item, "fence", attempt->fence);
    add_text(item, "worker", attempt->worker);
    add_text(item, "upstream", attempt->upstream);
    wire_add_bool(item, "sent", attempt->was_sent);
    return item;
}

static size_t
size_of(const cJSON *item)
{
    char *text = cJSON_PrintUnformatted(item);
    size_t bytes = text ? strlen(text) : 0;

    cJSON_free(text);
    return bytes;
}

/* The newest attempts, as many as fit into the header; the oldest of them
 * first. A damaged one is left out. */
static void
add_attempts(struct question *question, const struct why *why)
{
    struct store *store = question->call->broker->env.store;
    size_t room = WIRE_HEADER_BYTES_MAX - ROOM_BYTES, bytes;
    struct attempt attempt = { .number = UINT32_MAX };
    cJSON *list;
    int rc;

    wire_add_int(question->head, "attempts_total", why->attempt.number);
    list = wire_add_array(question->head, "attempts");
    if (!why->has_request)
        return;
    for (bytes = size_of(question->head); bytes < room;) {
        cJSON *item;

        rc = store_attempt_before(store, &why->request, attempt.number,
                                  &attempt);
        if (rc < 0 && rc != E_CORRUPT)
            break;
        if (rc < 0)
            continue;
        item = attempt_object(&attempt);
        bytes += size_of(item) + 1;
        if (bytes < room)
            cJSON_InsertItemInArray(list, 0, item);
        else
            cJSON_Delete(item);
    }
}

/* What the request's key is the digest of, if it can be put together still, and
 * the draft's id. Why it can not, or NULL. Any draft of the request will do:
 * they have the same key. */
static const char *
render(struct question *question, const struct why *why, struct buf *id,
       struct buf *identity)
{
    struct broker *broker = question->call->broker;
    struct prompt *prompt;
    struct line_fault fault;

    if (question->is_refused) {
        buf_add_slice(id, buf_slice(&question->refused.id));
        return "the draft was refused";
    }
    if (core_line(broker, &question->draft) < 0)
        return "the stored draft cannot be read";
    buf_add_slice(id, buf_slice(&broker->line.id));
    if (!why->has_request)
        return "the request cannot be read";
    prompt = &broker->recipe->prompt;
    if (prompt_spell(prompt, &broker->line, &broker->recipe->options,
                     broker->env.conf, &fault) < 0) {
        return "the configuration does not serve it any more";
    }
    if (memcmp(prompt->key, why->request.key, sizeof(prompt->key)) != 0)
        return "the configuration has changed, the key would be another";
    buf_add_slice(identity, buf_slice(&prompt->identity));
    return NULL;
}

/* What the draft does now, in one word. */
static const char *
state_of(const struct question *question, const struct why *why)
{
    const struct draft *draft = &question->draft;
    enum wait_cause cause =
        why->wait_count > 0 ? why->waits[0].cause : WAIT_NOTHING;

    if (question->is_refused)
        return "refused";
    if (draft->status != STATUS_NONE && !draft->is_retrying)
        return "done";
    if (cause == WAIT_SWEEP ||
        (why->request.state == REQUEST_READY && cause != WAIT_SLOT)) {
        return "waiting";
    }
    return request_state_name(why->request.state);
}

/* Which draft, and how it stands. */
static void
add_draft(struct question *question, const struct why *why, struct slice id)
{
    struct store *store = question->call->broker->env.store;
    cJSON *head = question->head;

    add_wall(question->call->broker, head, "now", question->call->now_ms);
    add_batch(head, "batch", store, question->batch.id);
    wire_add_str(head, "batch_state", batch_state_name(question->batch.state));
    add_text(head, "custom_id", id);
    wire_add_int(head, "index",
                 question->is_refused ? question->refused.refusal.index
                                      : question->draft.index);
    wire_add_str(head, "state", state_of(question, why));
    add_waits(question, why);
    if (why->through != question->batch.id)
        add_batch(head, "through", store, why->through);
    else
        wire_add_null(head, "through");
    add_refusal(question);
    add_result(question);
    if (question->is_refused)
        wire_add_null(head, "cache");
    else
        wire_add_str(head, "cache", cache_tier_name(question->draft.tier));
}

static void
send_answer(struct question *question, const struct why *why)
{
    struct buf id = { 0 }, identity = { 0 };
    const char *reason = render(question, why, &id, &identity);

    question->head = core_answer(question->call, "why");
    add_draft(question, why, buf_slice(&id));
    add_request(question, why);
    add_text(question->head, "unrendered", slice_of(reason));
    add_attempts(question, why);
    buf_add_slice(core_send(question->call, question->head),
                  buf_slice(&identity));
    buf_fini(&id);
    buf_fini(&identity);
}

int
answer_why(struct call *call)
{
    struct question question = { .call = call };
    struct why why = { 0 };
    int rc = core_batch(call, &question.batch);

    if (rc == 0)
        rc = read_question(&question);
    if (rc == 0)
        rc = find_draft(&question);
    why.through = question.batch.id;
    if (rc == 0 && !question.is_refused) {
        rc = why_find(call->broker, &question.batch, &question.draft,
                      call->now_ms, &why);
    }
    if (rc == 0)
        send_answer(&question, &why);
    refused_fini(&question.refused);
    return rc;
}
