/* SPDX-License-Identifier: MIT */
#include "queue/upstreams.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"

#define EXACT_TIMES 2 /* replies leave less than so many rounds: mind it */

void
upstreams_set_text(char *out, size_t size, const char *text)
{
    struct slice cut = utf8_cut(slice_of(text), size - 1);

    memset(out, 0, size);
    memcpy(out, cut.data, cut.bytes);
}

struct upstreams *
upstreams_new(const struct conf *conf)
{
    struct upstreams *upstreams = mem_zalloc(1, sizeof(*upstreams));

    upstreams->conf = conf;
    upstreams->count = conf->upstream_count;
    for (size_t i = 0; i < upstreams->count; i++) {
        struct upstream *upstream = &upstreams->list[i];

        upstream->conf = &conf->upstreams[i];
        upstreams_set_text(upstream->row.name, sizeof(upstream->row.name),
                           upstream->conf->name);
        budget_init(&upstream->requests, upstream->conf->requests_per_minute,
                    0);
        budget_init(&upstream->tokens, upstream->conf->tokens_per_minute, 0);
    }
    return upstreams;
}

void
upstreams_free(struct upstreams *upstreams)
{
    free(upstreams);
}

int
upstreams_find(const struct upstreams *upstreams, const char *name)
{
    for (size_t i = 0; i < upstreams->count; i++) {
        if (strcmp(upstreams->list[i].conf->name, name) == 0)
            return (int)i;
    }
    return BOUND_LOCAL;
}

struct upstream *
upstreams_at(struct upstreams *upstreams, int where)
{
    assert(where >= 0);
    assert((size_t)where < upstreams->count);
    return &upstreams->list[where];
}

/* ---- rows of the store ---- */

static void
from_row(struct upstream *upstream)
{
    const struct upstream_row *row = &upstream->row;

    upstream->breaker = (struct breaker){
        .state = (enum breaker_state)row->breaker,
        .until_ms = row->breaker_until_ms,
        .pause_ms = row->breaker_pause_ms,
        .failures = row->failures,
        .request_count = row->request_count,
    };
    memcpy(upstream->breaker.requests, row->requests, sizeof(row->requests));
}

int
upstreams_load(struct upstreams *upstreams, struct store *store,
               struct err *err)
{
    for (size_t i = 0; i < upstreams->count; i++) {
        struct upstream *upstream = &upstreams->list[i];
        const char *name = upstream->conf->name;
        int rc = store_upstream_get(store, name, &upstream->row);

        if (rc == E_CORRUPT)
            log_error("event=upstream_damaged upstream=%s", name);
        else if (rc < 0 && rc != E_NOTFOUND)
            return err_set(err, rc, "read upstream %s", name);
        if (rc < 0)
            upstream->row = (struct upstream_row){ 0 };
        upstreams_set_text(upstream->row.name, sizeof(upstream->row.name),
                           name);
        upstream->is_changed = false;
        from_row(upstream);
    }
    return 0;
}

void
upstreams_save(struct upstreams *upstreams, struct store *store)
{
    _Static_assert(BREAKER_STATE_COUNT == UPSTREAM_BREAKERS, "of the format");
    _Static_assert(BREAKER_REQUESTS == UPSTREAM_REQUESTS, "of the format");
    for (size_t i = 0; i < upstreams->count; i++) {
        struct upstream *upstream = &upstreams->list[i];
        const struct breaker *breaker = &upstream->breaker;
        struct upstream_row *row = &upstream->row;

        if (!upstream->is_changed)
            continue;
        row->breaker = breaker->state;
        row->breaker_until_ms = breaker->until_ms;
        row->breaker_pause_ms = breaker->pause_ms;
        row->failures = breaker->failures;
        row->request_count = breaker->request_count;
        memcpy(row->requests, breaker->requests, sizeof(row->requests));
        store_upstream_put(store, row);
        upstream->is_changed = false;
    }
}

/* ---- lanes ---- */

struct lane *
upstreams_lane(struct upstreams *upstreams, const struct bound *bound)
{
    for (size_t i = 0; i < upstreams->lane_count; i++) {
        struct lane *lane = &upstreams->lanes[i];

        if (lane->where == (unsigned)bound->where && lane->tag == bound->model)
            return lane;
    }
    return NULL;
}

int64_t
upstreams_calls_max(const struct upstreams *upstreams,
                    const struct upstream *upstream)
{
    int64_t most = upstreams->conf->slots_max;

    if (upstream->conf->calls_max > 0 && upstream->conf->calls_max < most)
        most = upstream->conf->calls_max;
    return most;
}

struct lane *
upstreams_need_lane(struct upstreams *upstreams, const struct bound *bound)
{
    struct lane *lane = upstreams_lane(upstreams, bound);

    if (lane)
        return lane;
    if (upstreams->lane_count < UPSTREAMS_LANES_MAX) {
        lane = &upstreams->lanes[upstreams->lane_count++];
    } else {
        lane = &upstreams->lanes[0];
        for (size_t i = 1; i < upstreams->lane_count; i++) {
            if (upstreams->lanes[i].used_ms < lane->used_ms)
                lane = &upstreams->lanes[i];
        }
    }
    lane_init(
        lane, (unsigned)bound->where, bound->model,
        upstreams_calls_max(upstreams, upstreams_at(upstreams, bound->where)));
    return lane;
}

void
upstreams_forget_held(struct upstreams *upstreams)
{
    for (size_t i = 0; i < upstreams->count; i++)
        upstreams->list[i].held = 0;
    for (size_t i = 0; i < upstreams->lane_count; i++)
        upstreams->lanes[i].held = 0;
}

void
upstreams_hold(struct upstreams *upstreams, const struct bound *bound)
{
    struct lane *lane;

    if (bound->where == BOUND_LOCAL)
        return;
    upstreams_at(upstreams, bound->where)->held++;
    lane = upstreams_lane(upstreams, bound);
    if (lane)
        lane->held++;
}

/* ---- may it be asked? ---- */

bool
upstreams_is_short(enum wait_cause cause)
{
    return cause == WAIT_PACE || cause == WAIT_LANE;
}

static struct wait
until(enum wait_cause cause, int64_t until_ms)
{
    return (struct wait){ cause, until_ms };
}

/* What concerns all of an upstream: it is suspended, or broken. */
static struct wait
closed_wait(const struct upstream *upstream, int64_t now_ms)
{
    int64_t breaker_ms = breaker_ready_ms(&upstream->breaker);

    if (upstream->row.until_ms > now_ms)
        return until(WAIT_COOLDOWN, upstream->row.until_ms);
    if (breaker_ms > now_ms)
        return until(WAIT_BREAKER, breaker_ms);
    /* One probe, when all that was called before has ended. */
    if (upstream->breaker.state != BREAKER_CLOSED && upstream->held > 0)
        return until(WAIT_BREAKER, SCHEDULE_NEVER);
    return until(WAIT_NOTHING, 0);
}

static struct wait
paced_wait(struct upstream *upstream, uint32_t tokens, int64_t now_ms)
{
    int64_t ready_ms = pace_ready_ms(&upstream->pace, now_ms), other_ms;

    other_ms = budget_ready_ms(&upstream->requests, 1, now_ms);
    if (other_ms > ready_ms)
        ready_ms = other_ms;
    other_ms = budget_ready_ms(&upstream->tokens, tokens, now_ms);
    if (other_ms > ready_ms)
        ready_ms = other_ms;
    return ready_ms > now_ms ? until(WAIT_PACE, ready_ms)
                             : until(WAIT_NOTHING, 0);
}

struct wait
upstreams_wait(struct upstreams *upstreams, const struct bound *bound,
               int64_t now_ms)
{
    struct upstream *upstream;
    const struct lane *lane;
    struct wait wait;

    if (bound->where == BOUND_LOCAL)
        return until(WAIT_NOTHING, 0);
    upstream = upstreams_at(upstreams, bound->where);
    wait = closed_wait(upstream, now_ms);
    if (wait.cause != WAIT_NOTHING)
        return wait;
    if (upstream->conf->calls_max > 0 &&
        upstream->held >= (uint64_t)upstream->conf->calls_max) {
        return until(WAIT_LANE, SCHEDULE_NEVER);
    }
    lane = upstreams_lane(upstreams, bound);
    if (lane && lane->held >= lane_window(lane) &&
        lane_window(lane) < upstreams->conf->slots_max) {
        return until(WAIT_LANE, SCHEDULE_NEVER);
    }
    return paced_wait(upstream, bound->tokens, now_ms);
}

bool
upstreams_is_closed(const struct upstreams *upstreams, int where,
                    int64_t now_ms)
{
    const struct upstream *upstream;

    if (where == BOUND_LOCAL)
        return false;
    upstream = &upstreams->list[where];
    return upstream->row.until_ms > now_ms ||
           upstream->breaker.state == BREAKER_OPEN;
}

/* True if what replies tell to be left is less than is taken ahead of them. */
static bool
is_told_short(const struct upstreams *upstreams, const struct budget *budget,
              double amount, int64_t now_ms)
{
    double most = amount * (double)upstreams->conf->slots_max * EXACT_TIMES;

    return budget->told.until_ms > now_ms && budget->told.level < most;
}

bool
upstreams_is_exact(struct upstreams *upstreams, const struct bound *bound,
                   int64_t now_ms)
{
    const struct upstream *upstream;
    const struct lane *lane;

    if (bound->where == BOUND_LOCAL)
        return false;
    upstream = upstreams_at(upstreams, bound->where);
    lane = upstreams_lane(upstreams, bound);
    return upstream->pace.state != PACE_FREE ||
           upstream->breaker.state != BREAKER_CLOSED ||
           upstream->conf->calls_max > 0 ||
           upstream->conf->requests_per_minute > 0 ||
           upstream->conf->tokens_per_minute > 0 ||
           is_told_short(upstreams, &upstream->requests, 1, now_ms) ||
           is_told_short(upstreams, &upstream->tokens, bound->tokens, now_ms) ||
           (lane && lane_window(lane) < upstreams->conf->slots_max);
}

/* ---- which one ---- */

static double
turn_of(const struct upstreams *upstreams, const struct upstream *upstream)
{
    /* One that was not asked for long is not asked all the more for it. */
    return upstream->turn > upstreams->turn ? upstream->turn : upstreams->turn;
}

/* True if `one` comes before `other`, which may be NULL. */
static bool
is_before(const struct upstreams *upstreams, const struct upstream *one,
          const struct upstream *other)
{
    if (!other)
        return true;
    if (one->conf->priority != other->conf->priority)
        return one->conf->priority > other->conf->priority;
    return turn_of(upstreams, one) < turn_of(upstreams, other);
}

struct wait
upstreams_choose(struct upstreams *upstreams, const struct route *route,
                 int last, struct bound *bound, int64_t now_ms)
{
    struct wait first = until(WAIT_NOTHING, 0);
    struct upstream *best = NULL;

    bound->where = BOUND_LOCAL;
    for (size_t i = 0; i < route->count; i++) {
        struct bound to = { .where = (int)route->members[i],
                            .model = bound->model,
                            .tokens = bound->tokens };
        struct wait wait = upstreams_wait(upstreams, &to, now_ms);
        struct upstream *upstream = upstreams_at(upstreams, to.where);

        if (wait.cause != WAIT_NOTHING) {
            if (first.cause == WAIT_NOTHING || wait.until_ms < first.until_ms)
                first = wait;
            continue;
        }
        if (best && to.where == last)
            continue;
        if (is_before(upstreams, upstream, best) ||
            (best && bound->where == last)) {
            best = upstream;
            bound->where = to.where;
        }
    }
    return best || route->count == 0 ? until(WAIT_NOTHING, 0) : first;
}

int64_t
upstreams_open_ms(const struct upstreams *upstreams, const struct route *route,
                  int but, int64_t now_ms)
{
    int64_t first_ms = UPSTREAM_STOPPED;

    if (route->count == 0)
        return now_ms;
    for (size_t i = 0; i < route->count; i++) {
        const struct upstream *upstream = &upstreams->list[route->members[i]];
        struct wait wait;

        if ((int)route->members[i] == but)
            continue;
        wait = closed_wait(upstream, now_ms);
        /* A probe is under way: that will be over. */
        if (wait.cause == WAIT_BREAKER && wait.until_ms == SCHEDULE_NEVER)
            wait.until_ms = now_ms + upstream->conf->request_timeout_ms;
        if (wait.until_ms < first_ms)
            first_ms = wait.until_ms;
    }
    return first_ms;
}

/* ---- leases ---- */

void
upstreams_leased(struct upstreams *upstreams, const struct bound *bound,
                 const char *model, int64_t now_ms)
{
    struct upstream *upstream;
    struct lane *lane;
    int64_t weight;

    if (bound->where == BOUND_LOCAL)
        return;
    upstream = upstreams_at(upstreams, bound->where);
    weight = upstream->conf->weight > 0 ? upstream->conf->weight : 1;
    upstreams->turn = turn_of(upstreams, upstream);
    upstream->turn = upstreams->turn + 1.0 / (double)weight;
    if (upstream->breaker.state == BREAKER_OPEN) {
        breaker_call(&upstream->breaker, now_ms);
        upstream->is_changed = true;
    }
    pace_take(&upstream->pace, now_ms);
    budget_take(&upstream->requests, 1, now_ms);
    budget_take(&upstream->tokens, bound->tokens, now_ms);
    lane = upstreams_need_lane(upstreams, bound);
    upstreams_set_text(lane->model, sizeof(lane->model), model);
    lane->used_ms = now_ms;
    lane->held++;
    upstream->held++;
}

void
upstreams_returned(struct upstreams *upstreams, const struct bound *bound,
                   int64_t now_ms)
{
    struct upstream *upstream;

    /* What was leased before the broker's start is not counted out here. */
    if (bound->where == BOUND_LOCAL || bound->leased_ms == 0)
        return;
    upstream = upstreams_at(upstreams, bound->where);
    pace_give_back(&upstream->pace, now_ms);
    budget_take(&upstream->requests, -1, now_ms);
    budget_take(&upstream->tokens, -(double)bound->tokens, now_ms);
}

void
upstreams_resume(struct upstreams *upstreams, int where)
{
    struct upstream *upstream = upstreams_at(upstreams, where);
    struct upstream_row *row = &upstream->row;

    row->until_ms = row->since_ms = 0;
    row->http_status = 0;
    row->code[0] = row->message[0] = row->source[0] = '\0';
    breaker_reset(&upstream->breaker);
    upstream->pace = (struct pace){ 0 };
    upstream->is_changed = true;
}

bool
upstreams_has_stopped(const struct upstreams *upstreams)
{
    for (size_t i = 0; i < upstreams->count; i++) {
        if (upstreams->list[i].row.until_ms == UPSTREAM_STOPPED)
            return true;
    }
    return false;
}
