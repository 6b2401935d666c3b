/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "queue/core.h"

#define NANO 1e9

const struct histogram_scale stats_commit_us = {
    .count = 13,
    .bounds = { 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000,
                250000, 1000000, 5000000 },
};

const struct histogram_scale stats_commit_items = {
    .count = 9,
    .bounds = { 1, 2, 5, 10, 25, 50, 100, 250, 1000 },
};

/* ---- figures that are numbers ---- */

/* The share of replies that had another shape than was expected, to a tenth. */
static double
fallback_percent(const struct counters *counters)
{
    uint64_t fallback = counters->replies_fallback_path;
    uint64_t replies = fallback + counters->replies_priority_path;

    uint64_t tenths = replies ? fallback * 1000 / replies : 0;

    return (double)tenths / 10;
}

/* The share of the hits, rounded down; 0 without any. */
static int64_t
percent(uint64_t hits, uint64_t misses)
{
    return hits ? (int64_t)(100 * hits / (hits + misses)) : 0;
}

static bool
take_older(void *context, uint64_t batch, bool is_sealed, int64_t since_ms)
{
    int64_t *oldest_ms = context;

    (void)batch;
    if (is_sealed && since_ms < *oldest_ms)
        *oldest_ms = since_ms;
    return true;
}

/* How long the oldest batch that is not over has been waiting for its end; 0 if
 * there is none. */
static int64_t
oldest_age_ms(const struct broker *broker, int64_t now_ms)
{
    int64_t oldest_ms = INT64_MAX;

    schedule_visit(broker->schedule, take_older, &oldest_ms);
    return oldest_ms < now_ms ? now_ms - oldest_ms : 0;
}

static void
add_store(cJSON *stats, const struct store_usage *usage)
{
    wire_add_int(stats, "batches", (int64_t)usage->batches);
    wire_add_int(stats, "drafts", (int64_t)usage->drafts);
    wire_add_int(stats, "requests", (int64_t)usage->requests);
    wire_add_int(stats, "requests_ready", (int64_t)usage->ready);
    wire_add_int(stats, "requests_leased", (int64_t)usage->leases);
    wire_add_int(stats, "requests_delayed", (int64_t)usage->delayed);
    wire_add_int(stats, "results", (int64_t)usage->results);
    wire_add_int(stats, "files", (int64_t)usage->files);
    wire_add_int(stats, "store_bytes", (int64_t)usage->bytes);
    wire_add_int(stats, "store_bytes_promised", (int64_t)usage->bytes_promised);
    wire_add_int(stats, "store_bytes_soft", (int64_t)usage->bytes_soft);
    wire_add_int(stats, "store_bytes_hard", (int64_t)usage->bytes_hard);
    wire_add_int(stats, "store_bytes_max", (int64_t)usage->bytes_max);
    wire_add_int(stats, "disk_bytes_free", (int64_t)usage->disk_free);
}

static void
add_workers(cJSON *stats, const struct broker *broker)
{
    const struct sessions *sessions = broker->sessions;
    int64_t online = 0;

    for (size_t i = 0; i < sessions->count; i++)
        online += sessions->list[i]->is_online;
    wire_add_int(stats, "workers", online);
    wire_add_int(stats, "workers_offline", (int64_t)sessions->count - online);
    wire_add_int(stats, "slots", broker->env.conf->slots_max);
    wire_add_int(stats, "slots_lent", sessions_lent(sessions));
}

/* ---- figures that are lists ---- */

/* The bounds are told, too: nobody else is to know them. */
static void
add_scale(cJSON *object, const char *name, const struct histogram_scale *scale)
{
    cJSON *list = wire_add_array(object, name);

    for (size_t i = 0; i < scale->count; i++) {
        cJSON_AddItemToArray(list,
                             cJSON_CreateNumber((double)scale->bounds[i]));
    }
}

/* The counts, and behind them the sum of what was counted. */
static void
add_histogram(cJSON *object, const char *name,
              const struct histogram *histogram,
              const struct histogram_scale *scale)
{
    cJSON *list = wire_add_array(object, name);

    for (size_t i = 0; i <= scale->count; i++) {
        cJSON_AddItemToArray(list,
                             cJSON_CreateNumber((double)histogram->counts[i]));
    }
    cJSON_AddItemToArray(list, cJSON_CreateNumber((double)histogram->sum));
}

static void
add_histograms(cJSON *stats, const struct broker *broker)
{
    cJSON *bounds = wire_add_object(stats, "bounds");

    add_scale(bounds, "duration_ms", &meter_durations);
    add_scale(bounds, "commit_us", &stats_commit_us);
    add_scale(bounds, "commit_items", &stats_commit_items);
    add_histogram(stats, "commit_us", &broker->commit_us, &stats_commit_us);
    add_histogram(stats, "commit_items", &broker->commit_items,
                  &stats_commit_items);
}

/* What drafts got, by status, and what they got without a call of their own. */
static void
add_results(cJSON *stats, const struct meter *meter)
{
    static const char *const tiers[CACHE_TIER_COUNT] = {
        [CACHE_MEMORY] = "memory",
        [CACHE_STORE] = "store",
        [CACHE_JOINED] = "joined",
    };
    cJSON *results = wire_add_object(stats, "results_given");
    cJSON *reuse = wire_add_object(stats, "reuse");

    for (enum status status = STATUS_OK; status < STATUS_COUNT; status++) {
        wire_add_int(results, status_name(status),
                     (int64_t)meter->results[status]);
    }
    for (size_t tier = CACHE_NONE + 1; tier < CACHE_TIER_COUNT; tier++) {
        cJSON *item = wire_add_object(reuse, tiers[tier]);

        wire_add_int(item, "answers", (int64_t)meter->reuse[tier].answers);
        wire_add_double(item, "saved_usd",
                        (double)meter->reuse[tier].cost_nano / NANO);
    }
}

/* 1 for the alerts that fire, of an upstream or (-1) of none. */
static void
add_alerts(cJSON *item, const struct alerts *alerts, int where)
{
    cJSON *object = wire_add_object(item, "alerts");

    for (size_t i = 0; i < alerts->count; i++) {
        const struct alert *alert = &alerts->list[i];

        if (alert->where == where) {
            wire_add_int(object, alert_name(alert->kind),
                         alert_fires(alert) ? 1 : 0);
        }
    }
}

/* ---- upstreams ---- */

/* Calls that are being made there, as far as workers have said. */
static int64_t
in_flight(const struct broker *broker, int where)
{
    int64_t count = 0;

    for (size_t i = 0; i < broker->sessions->count; i++) {
        const struct session *session = broker->sessions->list[i];

        for (size_t j = 0; j < session->held_count; j++) {
            count += session->held[j].is_started &&
                     session->held[j].bound.where == where;
        }
    }
    return count;
}

/* All classes, as what begins to be counted at once is missed by whoever looks
 * at differences; but of statuses only what there is, as most never come, and
 * their lists are long. */
static void
add_calls(cJSON *item, const struct meter_row *row)
{
    cJSON *durations = wire_add_object(item, "durations");
    cJSON *classes = wire_add_object(item, "classes");

    for (enum status status = STATUS_OK; status < STATUS_COUNT; status++) {
        if (histogram_total(&row->durations[status]) == 0)
            continue;
        add_histogram(durations, status_name(status), &row->durations[status],
                      &meter_durations);
    }
    for (enum call_class class = CLASS_OK; class < CLASS_COUNT; class ++) {
        wire_add_int(classes, call_class_name(class),
                     (int64_t)row->classes[class]);
    }
    wire_add_int(item, "prompt_tokens", (int64_t)row->prompt_tokens);
    wire_add_int(item, "completion_tokens", (int64_t)row->completion_tokens);
    wire_add_double(item, "cost_usd", (double)row->cost_nano / NANO);
}

static void
add_latency(cJSON *item, const struct latency *latency)
{
    int64_t p50_ms = latency_percentile(latency, 50);

    if (p50_ms < 0)
        return;
    wire_add_int(item, "p50_ms", p50_ms);
    wire_add_int(item, "p95_ms", latency_percentile(latency, 95));
}

static void
add_upstreams(cJSON *stats, struct broker *broker, int64_t now_ms)
{
    cJSON *list = wire_add_array(stats, "upstreams");
    const struct upstreams *upstreams = broker->upstreams;
    cJSON *item;

    for (size_t i = 0; i < upstreams->count; i++) {
        const struct upstream *upstream = &upstreams->list[i];
        struct latency latency = upstream_latency(upstreams, i);

        item = cJSON_CreateObject();
        wire_add_str(item, "name", upstream->conf->name);
        wire_add_str(item, "state", upstream_state_name(upstream, now_ms));
        wire_add_int(item, "leases", upstream->held);
        wire_add_int(item, "in_flight", in_flight(broker, (int)i));
        wire_add_int(item, "refusals", (int64_t)upstream->refusals);
        add_latency(item, &latency);
        add_calls(item, &broker->meter.rows[i]);
        add_alerts(item, broker->watch.alerts, (int)i);
        cJSON_AddItemToArray(list, item);
    }
    /* The sampler is always ready, and has nothing to be watched but calls. */
    item = cJSON_CreateObject();
    wire_add_str(item, "name", CONF_LOCAL);
    wire_add_int(item, "in_flight", in_flight(broker, BOUND_LOCAL));
    add_calls(item, &broker->meter.rows[METER_LOCAL]);
    cJSON_AddItemToArray(list, item);
}

int
stats_answer(struct call *call)
{
    struct broker *broker = call->broker;
    struct store_usage usage = store_usage(broker->env.store);
    cJSON *head = core_answer(call, "stats");
    cJSON *stats = wire_add_object(head, "stats");

    wire_add_str(stats, "version", broker->env.version);
    wire_add_int(stats, "protocol", WIRE_PROTOCOL);
    wire_add_int(stats, "store_format", STORE_FORMAT);
    wire_add_int(stats, "uptime_ms", call->now_ms - broker->start_ms);
    add_store(stats, &usage);
    wire_add_int(stats, "batches_live",
                 (int64_t)schedule_count(broker->schedule));
    wire_add_int(stats, "oldest_age_ms", oldest_age_ms(broker, call->now_ms));
    add_workers(stats, broker);
    wire_add_int(
        stats, "token_hit_percent",
        percent(broker->counters.token_hits, broker->counters.token_fetches));
#define COUNTER_ADD(name) \
    wire_add_int(stats, #name, (int64_t)broker->counters.name);
    COUNTER_LIST(COUNTER_ADD)
#undef COUNTER_ADD
    wire_add_double(stats, "replies_fallback_percent",
                    fallback_percent(&broker->counters));
    wire_add_int(stats, "alerts_firing",
                 (int64_t)alerts_firing(broker->watch.alerts));
    add_alerts(stats, broker->watch.alerts, -1);
    add_results(stats, &broker->meter);
    add_histograms(stats, broker);
    add_upstreams(stats, broker, call->now_ms);
    core_send(call, head);
    return 0;
}
