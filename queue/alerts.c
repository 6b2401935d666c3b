/* SPDX-License-Identifier: MIT */
#include "queue/alerts.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "queue/wire.h"

#define PERCENT 100.0

static const struct {
    const char *name;
    bool is_of_each;
} kinds[] = {
#define KIND_ROW(name, text, is_of_each) { text, is_of_each },
    ALERT_LIST(KIND_ROW)
#undef KIND_ROW
};

static const struct {
    const char *name;
    unsigned to;
} states[] = {
#define STATE_ROW(name, text, to) { text, to },
    ALERT_STATES(STATE_ROW)
#undef STATE_ROW
};

const char *
alert_name(enum alert_kind kind)
{
    assert(kind < ALERT_KIND_COUNT);
    return kinds[kind].name;
}

const char *
alert_state_name(enum alert_state state)
{
    assert(state < ALERT_STATE_COUNT);
    return states[state].name;
}

bool
alert_may_move(enum alert_state from, enum alert_state to)
{
    assert(from < ALERT_STATE_COUNT);
    assert(to < ALERT_STATE_COUNT);
    return (states[from].to & 1u << to) != 0;
}

bool
alert_fires(const struct alert *alert)
{
    return alert->state == ALERT_FIRING || alert->state == ALERT_EASING;
}

const char *
alert_upstream(const struct alert *alert, const struct conf *conf)
{
    return alert->where < 0 ? "" : conf->upstreams[alert->where].name;
}

/* ---- life ---- */

struct alerts *
alerts_new(const struct conf *conf)
{
    struct alerts *alerts = mem_zalloc(1, sizeof(*alerts));

    alerts->conf = conf;
    for (enum alert_kind kind = 0; kind < ALERT_KIND_COUNT; kind++) {
        size_t count = kinds[kind].is_of_each ? conf->upstream_count : 1;

        for (size_t i = 0; i < count; i++) {
            alerts->list[alerts->count++] = (struct alert){
                .kind = kind,
                .where = kinds[kind].is_of_each ? (int)i : -1,
            };
        }
    }
    return alerts;
}

void
alerts_free(struct alerts *alerts)
{
    free(alerts);
}

/* ---- the window ---- */

static int64_t
step_ms(const struct alerts *alerts)
{
    return alerts->conf->alert_window_ms / (ALERT_MARKS - 1);
}

/* The nth newest mark. */
static const struct alert_mark *
mark_at(const struct alerts *alerts, size_t nth)
{
    return &alerts->marks[(alerts->mark + ALERT_MARKS - nth) % ALERT_MARKS];
}

/* Remembers what was counted, at each step of the window. */
static void
keep_mark(struct alerts *alerts, const struct alert_counts *counts,
          int64_t now_ms)
{
    if (alerts->mark_count > 0 &&
        now_ms - mark_at(alerts, 0)->at_ms < step_ms(alerts)) {
        return;
    }
    if (alerts->mark_count > 0)
        alerts->mark = (alerts->mark + 1) % ALERT_MARKS;
    if (alerts->mark_count < ALERT_MARKS)
        alerts->mark_count++;
    alerts->marks[alerts->mark] =
        (struct alert_mark){ .at_ms = now_ms, .counts = *counts };
}

/* What was counted when the window began: of the newest mark that is as old as
 * it, so that figures are of a step more at most; of the oldest while the broker
 * is younger. */
static const struct alert_counts *
window_start(const struct alerts *alerts, int64_t now_ms)
{
    size_t nth = 0;

    while (nth + 1 < alerts->mark_count &&
           now_ms - mark_at(alerts, nth)->at_ms < alerts->conf->alert_window_ms)
        nth++;
    return &mark_at(alerts, nth)->counts;
}

/* ---- figures ---- */

/* A figure beside its limit. */
struct figure {
    bool is_known;
    uint64_t samples;
    double value, limit;
    bool is_floor; /* the limit is the least it may be, not the most */
};

static struct figure
share(const struct conf *conf, uint64_t part, uint64_t whole, double limit)
{
    bool is_known = whole >= (uint64_t)conf->alert_samples_min;

    return (struct figure){
        .is_known = is_known,
        .samples = whole,
        .value = is_known ? PERCENT * (double)part / (double)whole : 0,
        .limit = limit
    };
}

/* Something that is so or not. */
static struct figure
claim(bool holds)
{
    return (struct figure){ .is_known = true, .value = holds };
}

static struct figure
measure_calls(const struct conf *conf, enum alert_kind kind,
              const struct alert_calls *then, const struct alert_calls *now)
{
    if (kind == ALERT_LATENCY_P50) {
        return share(conf, now->above_t2 - then->above_t2,
                     now->timed - then->timed, ALERT_SLOW_P50);
    }
    if (kind == ALERT_LATENCY_P95) {
        return share(conf, now->above_t3 - then->above_t3,
                     now->timed - then->timed, ALERT_SLOW_P95);
    }
    return share(conf, now->errors - then->errors, now->calls - then->calls,
                 (double)conf->alert_error_percent);
}

static struct figure
measure(const struct alerts *alerts, const struct alert *alert,
        const struct alert_facts *facts, const struct alert_counts *then)
{
    const struct alert_counts *now = &facts->counts;
    const struct conf *conf = alerts->conf;
    struct figure figure = { .is_known = true };

    switch (alert->kind) {
    case ALERT_UPSTREAM_SUSPENDED:
        return claim(facts->is_suspended[alert->where]);
    case ALERT_QUEUE_STUCK:
        figure = claim(facts->is_stuck);
        figure.samples = facts->ready;
        return figure;
    case ALERT_HIT_RATE:
        figure =
            share(conf, now->hits - then->hits, now->lookups - then->lookups,
                  (double)conf->alert_hit_percent);
        figure.is_floor = true;
        return figure;
    case ALERT_STORE_NEARLY_FULL:
        figure.value = facts->store_percent;
        figure.limit = (double)conf->alert_store_percent;
        return figure;
    case ALERT_WORKER_LOST:
        figure.value = (double)(now->workers_lost - then->workers_lost);
        figure.limit = (double)conf->alert_lost_max;
        return figure;
    default:
        return measure_calls(conf, alert->kind, &then->upstreams[alert->where],
                             &now->upstreams[alert->where]);
    }
}

/* What fires already is held to a limit that is nearer to the good side. */
static bool
holds(const struct alert *alert, const struct figure *figure)
{
    double margin =
        alert_fires(alert) ? figure->limit * ALERT_MARGIN_PERCENT / PERCENT : 0;

    if (!figure->is_known)
        return false;
    if (figure->is_floor)
        return figure->value < figure->limit + margin;
    return figure->value > figure->limit - margin;
}

/* ---- moving ---- */

/* Changes the state. A move that the table does not have is a bug. */
static void
move(struct alert *alert, enum alert_state to, int64_t now_ms)
{
    assert(alert_may_move(alert->state, to));
    alert->state = to;
    alert->since_ms = now_ms;
}

static void
tell(struct alerts *alerts, const struct alert *alert, bool is_fired,
     int64_t now_ms)
{
    alerts->news[alerts->news_count++ % ALERT_NEWS_MAX] = (struct alert_news){
        .alert = *alert, .is_fired = is_fired, .at_ms = now_ms
    };
}

/* How long its condition has to hold before it fires. */
static int64_t
for_ms(const struct conf *conf, enum alert_kind kind)
{
    switch (kind) {
    case ALERT_ERROR_RATE:
        return conf->alert_error_for_ms;
    case ALERT_UPSTREAM_SUSPENDED:
        return conf->alert_suspended_for_ms;
    case ALERT_HIT_RATE:
        return conf->alert_hit_for_ms;
    case ALERT_QUEUE_STUCK:
        return conf->alert_stuck_for_ms;
    case ALERT_STORE_NEARLY_FULL:
        return conf->alert_store_for_ms;
    case ALERT_WORKER_LOST:
        return conf->alert_lost_for_ms;
    default:
        return conf->alert_latency_for_ms;
    }
}

static void
step(struct alerts *alerts, struct alert *alert, bool is_so, int64_t now_ms)
{
    const struct conf *conf = alerts->conf;

    if (is_so && alert->state == ALERT_QUIET)
        move(alert, ALERT_PENDING, now_ms);
    if (is_so && alert->state == ALERT_EASING)
        move(alert, ALERT_FIRING, now_ms);
    if (!is_so && alert->state == ALERT_PENDING)
        move(alert, ALERT_QUIET, now_ms);
    if (!is_so && alert->state == ALERT_FIRING)
        move(alert, ALERT_EASING, now_ms);
    if (alert->state == ALERT_PENDING &&
        now_ms - alert->since_ms >= for_ms(conf, alert->kind)) {
        move(alert, ALERT_FIRING, now_ms);
        tell(alerts, alert, true, now_ms);
    }
    if (alert->state == ALERT_EASING &&
        now_ms - alert->since_ms >= conf->alert_resolve_ms) {
        move(alert, ALERT_QUIET, now_ms);
        tell(alerts, alert, false, now_ms);
    }
}

bool
alerts_are_due(const struct alerts *alerts, int64_t now_ms)
{
    return now_ms >= alerts->look_ms;
}

void
alerts_look(struct alerts *alerts, const struct alert_facts *facts,
            int64_t now_ms)
{
    const struct alert_counts *then;
    int64_t wait_ms = step_ms(alerts);

    keep_mark(alerts, &facts->counts, now_ms);
    then = window_start(alerts, now_ms);
    for (size_t i = 0; i < alerts->count; i++) {
        struct alert *alert = &alerts->list[i];
        struct figure figure = measure(alerts, alert, facts, then);

        alert->is_known = figure.is_known;
        alert->samples = figure.samples;
        alert->value = figure.value;
        alert->limit = figure.limit;
        step(alerts, alert, holds(alert, &figure), now_ms);
    }
    alerts->look_ms =
        now_ms + (wait_ms < ALERT_LOOK_MS ? wait_ms : ALERT_LOOK_MS);
}

bool
alerts_next(const struct alerts *alerts, uint64_t *at, struct alert_news *news)
{
    if (*at + ALERT_NEWS_MAX < alerts->news_count)
        *at = alerts->news_count - ALERT_NEWS_MAX;
    if (*at >= alerts->news_count)
        return false;
    *news = alerts->news[(*at)++ % ALERT_NEWS_MAX];
    return true;
}

size_t
alerts_firing(const struct alerts *alerts)
{
    size_t count = 0;

    for (size_t i = 0; i < alerts->count; i++)
        count += alert_fires(&alerts->list[i]);
    return count;
}

/* ---- telling ---- */

/* What the share is of. */
static void
tell_share(const struct alert *alert, const struct conf *conf, struct buf *out)
{
    buf_addf(out, "%.1f %% of %llu ", alert->value,
             (unsigned long long)alert->samples);
    switch (alert->kind) {
    case ALERT_LATENCY_P50:
        buf_addf(out, "calls took longer than t2_ms (%lld ms)",
                 (long long)conf->t2_ms);
        break;
    case ALERT_LATENCY_P95:
        buf_addf(out, "calls took longer than t3_ms (%lld ms)",
                 (long long)conf->t3_ms);
        break;
    case ALERT_HIT_RATE:
        buf_add_str(out, "drafts needed no call of their own");
        break;
    default:
        buf_add_str(out, "calls failed");
        break;
    }
    buf_addf(out, "; the limit is %.0f %%", alert->limit);
    if (alert->kind == ALERT_HIT_RATE && alert->value == 0)
        buf_add_str(out, "; where none repeats another, set it to 0 "
                         "(alert_hit_percent)");
}

void
alert_tell(const struct alert *alert, const struct conf *conf, struct buf *out)
{
    if (!alert->is_known) {
        buf_addf(out, "too little to tell: %llu of alert_samples_min (%lld)",
                 (unsigned long long)alert->samples,
                 (long long)conf->alert_samples_min);
        return;
    }
    switch (alert->kind) {
    case ALERT_UPSTREAM_SUSPENDED:
        buf_add_str(out, alert->value > 0
                             ? "it is not asked now: see 'sheaf upstreams'"
                             : "it is asked");
        break;
    case ALERT_QUEUE_STUCK:
        buf_addf(out,
                 alert->value > 0
                     ? "%llu requests are ready, slots are free, and nothing "
                       "moves: see 'sheaf why' and the log"
                     : "it moves, or what holds it is known; %llu requests are "
                       "ready",
                 (unsigned long long)alert->samples);
        break;
    case ALERT_STORE_NEARLY_FULL:
        buf_addf(out,
                 "%.1f %% of the size at which drafts are refused is used; the "
                 "limit is %.0f %%",
                 alert->value, alert->limit);
        break;
    case ALERT_WORKER_LOST:
        buf_addf(out,
                 "%.0f workers were lost within alert_window_ms (%lld ms); the "
                 "limit is %.0f",
                 alert->value, (long long)conf->alert_window_ms, alert->limit);
        break;
    default:
        tell_share(alert, conf, out);
        break;
    }
}

cJSON *
alert_json(const struct alert *alert, const struct conf *conf)
{
    cJSON *item = cJSON_CreateObject();
    struct buf text = { 0 };

    wire_add_str(item, "alert", alert_name(alert->kind));
    if (alert->where < 0)
        wire_add_null(item, "upstream");
    else
        wire_add_str(item, "upstream", alert_upstream(alert, conf));
    wire_add_str(item, "state", alert_state_name(alert->state));
    wire_add_bool(item, "fires", alert_fires(alert));
    wire_add_int(item, "since", alert->since_ms);
    if (alert->is_known)
        wire_add_double(item, "value", alert->value);
    else
        wire_add_null(item, "value");
    wire_add_double(item, "limit", alert->limit);
    wire_add_int(item, "samples", (int64_t)alert->samples);
    alert_tell(alert, conf, &text);
    wire_add_str(item, "message", text.data);
    buf_fini(&text);
    return item;
}
