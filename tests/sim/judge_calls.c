/* Calls and reports of requests, as seen from outside. */
/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/mem.h"
#include "queue/wire.h"
#include "tests/sim/fair.h"
#include "tests/sim/world.h"
#include "tests/turns.h"

struct known_request *
judge_request(struct world *world, int64_t request)
{
    struct judge *judge = &world->judge;

    if (request < 0 || request > 100000)
        world_fail(world, "a request %lld", (long long)request);
    while (judge->request_count <= (size_t)request) {
        judge->requests = mem_grow(judge->requests, judge->request_count + 1,
                                   sizeof(judge->requests[0]));
        judge->requests[judge->request_count++] =
            (struct known_request){ .where = -1 };
    }
    return &judge->requests[request];
}

void
judge_cause(struct world *world, int64_t request)
{
    judge_request(world, request)->causes++;
}

void
judge_taken(struct world *world, int64_t request, int64_t fence)
{
    if (fence < judge_request(world, request)->fence)
        judge_cause(world, request);
}

void
judge_call(struct world *world, int64_t request)
{
    struct known_request *of = judge_request(world, request);

    if (world->in_flight > (uint32_t)world->conf.slots_max) {
        world_fail(world, "%u calls in flight, %lld are allowed",
                   world->in_flight, (long long)world->conf.slots_max);
    }
    if (++of->calls > 1 + of->causes) {
        world_fail(world, "request %lld is called %u times, with %u causes",
                   (long long)request, of->calls, of->causes);
    }
}

void
judge_lied(struct world *world, int64_t request)
{
    judge_request(world, request)->is_lied = true;
}

void
judge_lent(struct world *world, uint64_t request)
{
    judge_request(world, (int64_t)request)->nth_lent = ++world->judge.lent;
}

void
judge_revive(struct world *world, uint64_t request)
{
    struct known_request *of = judge_request(world, (int64_t)request);

    of->class_name = NULL;
    of->ready_ms = 0;
    of->failures = 0;
    judge_fair_placed(world);
}

/* True if an explanation has this wait. *until_ms: when it ends, if it says. */
static bool
has_wait(const cJSON *head, const char *what, int64_t *until_ms)
{
    const cJSON *waits = cJSON_GetObjectItemCaseSensitive(head, "waits");
    const cJSON *wait;

    cJSON_ArrayForEach(wait, waits)
    {
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(wait, "for");
        const cJSON *until = cJSON_GetObjectItemCaseSensitive(wait, "until");

        *until_ms = cJSON_IsNumber(until) ? (int64_t)until->valuedouble : 0;
        if (strcmp(cJSON_GetStringValue(name), what) == 0)
            return true;
    }
    return false;
}

/* A draft waits for something exactly until it has a result; what failed waits
 * no shorter than it must. */
void
judge_why(struct world *world, const cJSON *head, bool is_good)
{
    const cJSON *request = cJSON_GetObjectItemCaseSensitive(head, "request");
    const cJSON *result = cJSON_GetObjectItemCaseSensitive(head, "result");
    const cJSON *waits = cJSON_GetObjectItemCaseSensitive(head, "waits");
    const char *state =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(head, "state"));
    bool is_refused = strcmp(state, "refused") == 0;
    int64_t until_ms;

    if (is_refused == is_good)
        world_fail(world, "why: a draft is %s", state);
    if (is_refused)
        return;
    if (!cJSON_IsObject(request))
        world_fail(world, "why: a draft without a request");
    if (cJSON_GetArraySize(waits) == 0 && strcmp(state, "done") != 0)
        world_fail(world, "why: a draft is %s, for no reason", state);
    if (strcmp(state, "done") == 0 && !cJSON_IsObject(result))
        world_fail(world, "why: a draft is done, without a result");
    if (strcmp(state, "delayed") == 0) {
        int64_t id = (int64_t)cJSON_GetNumberValue(
            cJSON_GetObjectItemCaseSensitive(request, "id"));

        if (!has_wait(head, "backoff", &until_ms) &&
            !has_wait(head, "server", &until_ms)) {
            world_fail(world, "why: request %lld is delayed, for no reason",
                       (long long)id);
        }
        /* It tells the time of the wall clock: how long it is still counts. */
        until_ms -= (int64_t)cJSON_GetNumberValue(
            cJSON_GetObjectItemCaseSensitive(head, "now"));
        if (until_ms < judge_request(world, id)->ready_ms - world->now_ms) {
            world_fail(world, "why: request %lld is said to be due too early",
                       (long long)id);
        }
    }
    if (strcmp(state, "leased") == 0 && !has_wait(head, "lease", &until_ms) &&
        !has_wait(head, "answer", &until_ms)) {
        world_fail(world, "why: a draft is leased, and waits for else");
    }
}

void
judge_retry(struct world *world)
{
    for (size_t i = 0; i < world->judge.request_count; i++) {
        struct known_request *of = &world->judge.requests[i];

        of->causes++;
        of->failures = 0;
        of->ready_ms = 0;
    }
}

static int64_t
int_of(struct world *world, const struct wire *wire, const char *name)
{
    int64_t value;

    if (wire_int(wire, name, wire_range_or(0, WIRE_INT_MAX, 0), &value, NULL) <
        0) {
        world_fail(world, "a message with an odd %s", name);
    }
    return value;
}

static void
check_lease(struct world *world, const struct wire *wire,
            struct known_request *of)
{
    const char *name;

    if (wire_str(wire, "upstream", 64, NULL, &name, NULL) < 0)
        world_fail(world, "a lease without an upstream");
    of->where = weather_find(name);
    weather_lease(world, name, (int64_t)(of - world->judge.requests));
}

/* A lease's fence is above all that were given for its request, and no wait is
 * cut short. */
void
judge_told(struct world *world, const struct mail *mail)
{
    struct known_request *of;
    struct wire wire;
    int64_t fence;

    if (mail->side != SIDE_WORKERS ||
        wire_read(&wire, buf_slice(&mail->head), (struct slice){ 0 }, NULL) <
            0) {
        return;
    }
    if (strcmp(wire_verb(&wire), "post") == 0)
        hooks_letter(world, &wire);
    if (strcmp(wire_verb(&wire), "lease") == 0) {
        of = judge_request(world, int_of(world, &wire, "request"));
        fence = int_of(world, &wire, "fence");
        if (fence <= of->fence) {
            world_fail(world, "request %lld: fence %lld behind fence %lld",
                       (long long)(of - world->judge.requests),
                       (long long)fence, (long long)of->fence);
        }
        of->fence = fence;
        check_lease(world, &wire, of);
        of->stood_ms = world->stood_ms;
        if (workers_have_told(world, of - world->judge.requests))
            of->causes++;
        if (world->now_ms < of->ready_ms) {
            world_fail(world, "request %lld is leased %lld ms too early",
                       (long long)(of - world->judge.requests),
                       (long long)(of->ready_ms - world->now_ms));
        }
    }
    wire_fini(&wire);
}

/* ---- reports ---- */

/* True if a report comes under the lease that the request has now. */
static bool
counts(struct world *world, uint64_t request, int64_t fence)
{
    struct request row;

    return store_request_get(world->store, request, &row) == 0 &&
           row.state == REQUEST_LEASED && row.fence == fence;
}

/* Classes that make a request wait, or try again. */
static const char *const classes[] = { "throttled", "retryable", "uncertain",
                                       "stop" };

static void
expect_report(struct world *world, const struct wire *wire, int64_t request)
{
    struct known_request *of = judge_request(world, request);
    const char *class_name;

    if (wire_str(wire, "class", 20, "", &class_name, NULL) < 0)
        world_fail(world, "a report without a class");
    of->class_name = NULL;
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (strcmp(classes[i], class_name) == 0)
            of->class_name = classes[i];
    }
    if (!of->class_name)
        return;
    of->http_status = (int)int_of(world, wire, "http_status");
    of->wait_ms = int_of(world, wire, "wait_ms");
    of->is_failure = strcmp(class_name, "retryable") == 0 ||
                     strcmp(class_name, "uncertain") == 0;
    if (of->is_failure && of->wait_ms == 0)
        of->backoff_ms = world->conf.backoff_base_ms;
    else
        of->backoff_ms = of->wait_ms;
}

/* Somebody lets an upstream be asked again, or brings something to do. */
static void
expect_of_client(struct world *world, const struct mail *mail)
{
    struct wire wire;
    const char *name;
    int where;

    if (wire_read(&wire, buf_slice(&mail->head), (struct slice){ 0 }, NULL) < 0)
        return;
    if (strcmp(wire_verb(&wire), "chunk") == 0 ||
        strcmp(wire_verb(&wire), "retry") == 0) {
        judge_fair_placed(world);
    }
    if (strcmp(wire_verb(&wire), "upstream_resume") == 0 &&
        wire_str(&wire, "upstream", 64, "", &name, NULL) == 0) {
        where = weather_find(name);
        if (where >= 0)
            world->judge.upstreams[where].is_resumed = true;
    }
    wire_fini(&wire);
}

void
judge_expect(struct world *world, const struct mail *mail)
{
    struct wire wire;
    int64_t request;

    if (mail->side == SIDE_CLIENTS)
        expect_of_client(world, mail);
    if (mail->side != SIDE_WORKERS ||
        wire_read(&wire, buf_slice(&mail->head), (struct slice){ 0 }, NULL) <
            0) {
        return;
    }
    request = int_of(world, &wire, "request");
    if (strcmp(wire_verb(&wire), "result") == 0)
        judge_fair_report(world, &wire, world_is_liar(world, &mail->peer));
    if (world_is_liar(world, &mail->peer)) {
        /* Or one that has gone: who knows whether it is taken. */
        judge_lied(world, request);
    } else if (strcmp(wire_verb(&wire), "result") == 0 &&
               counts(world, (uint64_t)request,
                      int_of(world, &wire, "fence"))) {
        expect_report(world, &wire, request);
    }
    wire_fini(&wire);
}

static void
expect_nothing(struct known_request *of)
{
    of->class_name = NULL;
    of->is_failure = of->is_confirmed = false;
}

void
judge_abort(struct world *world)
{
    hooks_abort(world);
    for (size_t i = 0; i < world->judge.request_count; i++)
        expect_nothing(&world->judge.requests[i]);
    for (int i = 0; i < WORLD_UPSTREAMS; i++)
        world->judge.upstreams[i].is_resumed = false;
}

/* What the transaction says to workers. A report that came from one the broker
 * does not know is not taken. */
static void
read_part(struct world *world, struct slice head)
{
    struct wire wire;

    if (wire_read(&wire, head, (struct slice){ 0 }, NULL) < 0)
        return;
    if (strcmp(wire_verb(&wire), "confirmed") == 0) {
        judge_request(world, int_of(world, &wire, "request"))->is_confirmed =
            true;
        judge_fair_letter(world, &wire);
    }
    if (strcmp(wire_verb(&wire), "lease") == 0) {
        judge_start(world, (uint64_t)int_of(world, &wire, "request"));
        judge_fair_letter(world, &wire);
    }
    wire_fini(&wire);
}

static void
read_letters(struct world *world)
{
    for (size_t i = 0; i < world->outbox.count; i++) {
        const struct letter *letter = &world->outbox.letters[i];
        struct turns turns;

        if (letter->side != SIDE_WORKERS)
            continue;
        turns = turns_of(buf_slice(&letter->head), buf_slice(&letter->body));
        for (size_t j = 0; j < turns.count; j++)
            read_part(world, buf_slice(&turns.parts[j].head));
        turns_fini(&turns);
    }
}

/* What became of a call that failed, or was told to wait: the request waits, or
 * goes elsewhere, or has ended; and only failures are counted. */
static void
check_wait(struct world *world, struct known_request *of)
{
    size_t id = (size_t)(of - world->judge.requests);
    bool is_throttle = strcmp(of->class_name, "throttled") == 0;
    struct request row;

    if (of->where >= 0) {
        weather_report(world, of->where, of->class_name, of->http_status,
                       of->wait_ms);
    }
    if (store_request_get(world->store, id, &row) < 0)
        return;
    of->failures += of->is_failure;
    of->reported += of->is_failure;
    if (row.failures > of->reported && !of->is_lied) {
        world_fail(world, "request %zu has %u failures, %u were reported", id,
                   row.failures, of->reported);
    }
    if (row.state == REQUEST_DONE || row.state == REQUEST_CANCELLED) {
        of->failures = 0;
        return;
    }
    if (of->is_failure && !strchr(row.route, ',') &&
        row.state != REQUEST_DELAYED) {
        world_fail(world, "request %zu does not wait after a failure", id);
    }
    if (row.state == REQUEST_DELAYED ||
        (is_throttle && !strchr(row.route, ','))) {
        of->ready_ms = world->now_ms + of->backoff_ms;
    }
    if (of->failures >= (uint32_t)world->conf.attempts_max) {
        world_fail(world, "request %zu goes on after %u failures", id,
                   of->failures);
    }
}

/* What is asked again has not to wait for a wait that it named. */
static void
check_resumes(struct world *world)
{
    for (int i = 0; i < WORLD_UPSTREAMS; i++) {
        if (!world->judge.upstreams[i].is_resumed)
            continue;
        world->judge.upstreams[i].is_resumed = false;
        weather_resume(world, i);
        for (size_t j = 0; j < world->judge.request_count; j++)
            world->judge.requests[j].ready_ms = 0;
    }
}

void
judge_waits(struct world *world)
{
    read_letters(world);
    for (size_t i = 0; i < world->judge.request_count; i++) {
        struct known_request *of = &world->judge.requests[i];

        if (of->class_name && of->is_confirmed)
            check_wait(world, of);
        expect_nothing(of);
    }
    check_resumes(world);
    weather_check(world);
}
