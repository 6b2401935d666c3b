/* SPDX-License-Identifier: MIT */
#include "base/log.h"
#include "queue/core.h"

/* A duration, or null: there was none yet. */
static void
add_ms(cJSON *item, const char *name, int64_t ms)
{
    if (ms < 0)
        cJSON_AddNullToObject(item, name);
    else
        wire_add_int(item, name, ms);
}

static void
add_latencies(cJSON *item, const struct latency *latency)
{
    add_ms(item, "p50_ms", latency_percentile(latency, 50));
    add_ms(item, "p95_ms", latency_percentile(latency, 95));
}

static void
add_lanes(cJSON *item, const struct upstreams *upstreams, size_t where)
{
    cJSON *list = wire_add_array(item, "lanes");
    uint32_t window = 0;

    for (size_t i = 0; i < upstreams->lane_count; i++) {
        const struct lane *lane = &upstreams->lanes[i];
        cJSON *row;

        if (lane->where != where)
            continue;
        row = cJSON_CreateObject();
        wire_add_str(row, "model", lane->model);
        wire_add_int(row, "window", lane_window(lane));
        wire_add_int(row, "in_flight", lane->held);
        add_latencies(row, &lane->usual);
        cJSON_AddItemToArray(list, row);
        if (lane_window(lane) > window)
            window = lane_window(lane);
    }
    add_ms(item, "window", window > 0 ? (int64_t)window : -1);
}

const char *
upstream_state_name(const struct upstream *upstream, int64_t now_ms)
{
    if (upstream->row.until_ms == UPSTREAM_STOPPED)
        return "stopped";
    if (upstream->row.until_ms > now_ms)
        return "suspended";
    if (upstream->breaker.state == BREAKER_OPEN)
        return "broken";
    return upstream->breaker.state == BREAKER_PROBING ? "probing" : "ready";
}

/* Why it is suspended or broken, if it is, and until when. */
static void
add_reason(cJSON *item, const struct upstream *upstream, int64_t now_ms)
{
    const struct upstream_row *row = &upstream->row;
    const struct upstream_failure *last = &upstream->last;
    bool is_suspended = row->until_ms > now_ms;
    bool is_broken = !is_suspended && upstream->breaker.state != BREAKER_CLOSED;
    int64_t until_ms = 0, http_status = 0;
    const char *code = "", *message = "";

    if (is_suspended) {
        http_status = row->http_status;
        code = row->code;
        message = row->message;
    } else if (is_broken) {
        http_status = last->http_status;
        code = last->code;
        message = last->message;
    }
    if (row->until_ms == UPSTREAM_STOPPED)
        until_ms = 0;
    else if (is_suspended)
        until_ms = row->until_ms;
    else if (upstream->breaker.state == BREAKER_OPEN)
        until_ms = upstream->breaker.until_ms;
    wire_add_int(item, "until", until_ms);
    wire_add_int(item, "since", is_suspended ? row->since_ms : 0);
    wire_add_int(item, "http_status", http_status);
    wire_add_str(item, "code", code);
    wire_add_str(item, "message", message);
    wire_add_str(item, "wait_from", is_suspended ? row->source : "");
}

struct latency
upstream_latency(const struct upstreams *upstreams, size_t where)
{
    struct latency sum = { 0 };

    for (size_t i = 0; i < upstreams->lane_count; i++) {
        if (upstreams->lanes[i].where == where)
            latency_merge(&sum, &upstreams->lanes[i].usual);
    }
    return sum;
}

static cJSON *
row_of(const struct broker *broker, size_t where, int64_t now_ms)
{
    const struct upstream *upstream = &broker->upstreams->list[where];
    struct latency latency = upstream_latency(broker->upstreams, where);
    cJSON *item = cJSON_CreateObject();

    wire_add_str(item, "name", upstream->conf->name);
    wire_add_str(item, "state", upstream_state_name(upstream, now_ms));
    add_reason(item, upstream, now_ms);
    wire_add_int(item, "in_flight", upstream->held);
    if (upstream->pace.state == PACE_FREE)
        cJSON_AddNullToObject(item, "rate");
    else
        cJSON_AddNumberToObject(item, "rate", upstream->pace.rate);
    wire_add_str(item, "pace", pace_state_name(upstream->pace.state));
    add_latencies(item, &latency);
    wire_add_int(item, "failures_in_a_row", upstream->breaker.failures);
    wire_add_int(item, "calls", (int64_t)upstream->calls);
    wire_add_int(item, "failures", (int64_t)upstream->failures);
    wire_add_int(item, "refusals", (int64_t)upstream->refusals);
    add_lanes(item, broker->upstreams, where);
    return item;
}

bool
upstream_add_stalled(struct broker *broker, cJSON *head,
                     const struct batch *batch)
{
    const struct upstream *upstream;
    cJSON *stalled;

    if (!upstreams_has_stopped(broker->upstreams) ||
        !choice_is_stalled(broker, batch, &upstream,
                           store_now_ms(broker->env.store))) {
        return false;
    }
    if (!head)
        return true;
    stalled = wire_add_object(head, "stalled");
    wire_add_str(stalled, "upstream", upstream->conf->name);
    wire_add_int(stalled, "since", upstream->row.since_ms);
    wire_add_int(stalled, "http_status", upstream->row.http_status);
    wire_add_str(stalled, "code", upstream->row.code);
    wire_add_str(stalled, "message", upstream->row.message);
    return true;
}

int
upstream_list(struct call *call)
{
    const struct broker *broker = call->broker;
    cJSON *head = core_answer(call, "upstreams");
    cJSON *list = wire_add_array(head, "upstreams");

    for (size_t i = 0; i < broker->upstreams->count; i++)
        cJSON_AddItemToArray(list, row_of(broker, i, call->now_ms));
    core_send(call, head);
    return 0;
}

int
upstream_resume(struct call *call)
{
    struct broker *broker = call->broker;
    const char *name;
    cJSON *head;
    int where;

    if (wire_str(call->wire, "upstream", CONF_NAME_BYTES_MAX, NULL, &name,
                 call->err) < 0) {
        return E_INVALID;
    }
    where = upstreams_find(broker->upstreams, name);
    if (where == BOUND_LOCAL) {
        return err_set(call->err, E_NOTFOUND,
                       "no upstream \"%s\" is configured", name);
    }
    log_info(
        "event=upstream_resumed upstream=%s was=%s", name,
        upstream_state_name(&broker->upstreams->list[where], call->now_ms));
    upstreams_resume(broker->upstreams, where);
    upstreams_save(broker->upstreams, broker->env.store);
    schedule_wake_all(broker->schedule);
    head = core_answer(call, "resumed");
    cJSON_AddItemToObject(head, "upstream",
                          row_of(broker, (size_t)where, call->now_ms));
    core_send(call, head);
    return 0;
}
