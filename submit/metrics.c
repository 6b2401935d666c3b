/* SPDX-License-Identifier: MIT */
#include "submit/metrics.h"

#include <stdbool.h>
#include <string.h>

#include "base/err.h"
#include "submit/exposition.h"

#define SHAPE_PREFIX "replies_"
#define MS           1e3
#define US           1e6

/* ---- members ---- */

static const cJSON *
member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* A number of an object; 0 if it is not there. */
static double
number_of(const cJSON *object, const char *name)
{
    const cJSON *item = member(object, name);

    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static const char *
string_of(const cJSON *object, const char *name)
{
    const cJSON *item = member(object, name);

    return cJSON_IsString(item) ? item->valuestring : "";
}

/* ---- figures that are members of stats ---- */

/* A sample; rows of one name stand together. */
struct row {
    const char *name, *type, *help;
    const char *labels;
    const char *member;
    double divisor; /* to the base unit; 0: it is in that already */
};

/* clang-format off */
#define GAUGE(name, labels, member, help) \
    { "sheaf_" name, "gauge", help, labels, member, 0 }
#define COUNTER(name, labels, member, help) \
    { "sheaf_" name "_total", "counter", help, labels, member, 0 }
#define SECONDS(name, member, help) \
    { "sheaf_" name "_seconds", "gauge", help, "", member, MS }

static const struct row rows[] = {
    SECONDS("uptime", "uptime_ms", "Time since the broker's start."),
    GAUGE("batches", "", "batches", "Batches that are stored."),
    GAUGE("live_batches", "", "batches_live",
          "Batches that are open or not finished."),
    GAUGE("drafts", "", "drafts", "Drafts that are stored."),
    GAUGE("results", "", "results", "Drafts that have a result."),
    GAUGE("requests", "", "requests", "Requests that are stored."),
    GAUGE("queue_requests", "state=\"ready\"", "requests_ready",
          "Requests that wait for their turn, are lent to a worker, or wait "
          "before they are tried again."),
    GAUGE("queue_requests", "state=\"leased\"", "requests_leased", ""),
    GAUGE("queue_requests", "state=\"delayed\"", "requests_delayed", ""),
    SECONDS("queue_oldest_age", "oldest_age_ms",
            "Time since the oldest batch that is not over was sealed."),
    GAUGE("store_used_bytes", "", "store_bytes",
          "Size of the store's pages in use."),
    GAUGE("store_promised_bytes", "", "store_bytes_promised",
          "Room kept for results to come."),
    GAUGE("store_limit_bytes", "limit=\"soft\"", "store_bytes_soft",
          "Size, with what is promised, from which on new batches (soft) and "
          "more drafts (hard) are refused, and the largest there can be."),
    GAUGE("store_limit_bytes", "limit=\"hard\"", "store_bytes_hard", ""),
    GAUGE("store_limit_bytes", "limit=\"max\"", "store_bytes_max", ""),
    GAUGE("store_disk_free_bytes", "", "disk_bytes_free",
          "Free space of the store's disk."),
    GAUGE("workers", "state=\"online\"", "workers",
          "Workers that are connected, or were and may come back."),
    GAUGE("workers", "state=\"offline\"", "workers_offline", ""),
    COUNTER("workers_lost", "", "workers_lost",
            "Workers that died, or were silent for too long."),
    GAUGE("slots", "", "slots", "Calls that may be in flight at a time."),
    GAUGE("slots_lent", "", "slots_lent", "Slots that workers have."),
    COUNTER("leases", "", "leases", "Requests lent to workers."),
    COUNTER("leases_lost", "", "leases_lost",
            "Leases that ended without a word, during a call."),
    COUNTER("chunks", "", "chunks", "Chunks of drafts that were stored."),
    COUNTER("drafts_accepted", "", "drafts_accepted",
            "Drafts that were accepted."),
    COUNTER("drafts_refused", "", "drafts_refused",
            "Drafts that were refused for what is in them."),
    COUNTER("requests_done", "", "requests_done", "Requests that ended."),
    COUNTER("fallbacks", "", "fallbacks",
            "Requests that ended without an answer."),
    COUNTER("uncertain_calls", "", "calls_uncertain",
            "Calls that may be paid for though no answer came."),
    COUNTER("slow_calls", "stage=\"t1\"", "calls_above_t1",
            "Calls that took longer than t1_ms to t4_ms."),
    COUNTER("slow_calls", "stage=\"t2\"", "calls_above_t2", ""),
    COUNTER("slow_calls", "stage=\"t3\"", "calls_above_t3", ""),
    COUNTER("slow_calls", "stage=\"t4\"", "calls_above_t4", ""),
    COUNTER("events", "", "events_added",
            "Events that were stored, for each webhook apart."),
    COUNTER("events_ended", "outcome=\"delivered\"", "events_delivered",
            "Events that were taken by their receiver, given up, or removed "
            "to make room."),
    COUNTER("events_ended", "outcome=\"failed\"", "events_failed", ""),
    COUNTER("events_ended", "outcome=\"dropped\"", "events_dropped", ""),
    COUNTER("event_retries", "", "events_retried",
            "Posts of events that failed and are made again."),
    COUNTER("event_posts_lost", "", "events_lost",
            "Posts of events whose worker was gone, or said nothing."),
    COUNTER("long_waits", "", "long_waits",
            "Waits longer than retry_after_max_ms that upstreams named."),
    COUNTER("late_results", "", "late_results",
            "Reports of calls whose lease had ended."),
    COUNTER("suspects", "", "suspects",
            "Requests that lost so many leases that they run alone."),
    COUNTER("poisoned", "", "poisoned",
            "Requests that ended as their workers died of them."),
    COUNTER("access_tokens", "source=\"held\"", "token_hits",
            "Calls with an access token that was held, and tokens fetched."),
    COUNTER("access_tokens", "source=\"fetched\"", "token_fetches", ""),
    COUNTER("replies", "path=\"priority\"", "replies_priority_path",
            "Replies of the shape that their upstream's dialect promises, "
            "and of others."),
    COUNTER("replies", "path=\"fallback\"", "replies_fallback_path", ""),
    COUNTER("batches_purged", "", "batches_purged", "Batches removed."),
    COUNTER("bad_messages", "", "bad_messages",
            "Messages that were none of the protocol."),
};
/* clang-format on */

static void
write_rows(const cJSON *stats, struct buf *out)
{
    const char *name = "";

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        const cJSON *item = member(stats, row->member);

        if (!cJSON_IsNumber(item))
            continue;
        if (strcmp(row->name, name) != 0)
            exposition_head(out, row->name, row->type, row->help);
        name = row->name;
        exposition_sample(out, name, row->labels,
                          item->valuedouble /
                              (row->divisor > 0 ? row->divisor : 1));
    }
}

/* Adds a sample for each alert of an object. */
static void
add_alerts(const cJSON *alerts, const char *name, const char *upstream,
           struct buf *out)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, alerts)
    {
        struct buf labels = { 0 };

        exposition_label(&labels, "alert", item->string);
        exposition_label(&labels, "upstream", upstream);
        exposition_sample(out, name, labels.data, item->valuedouble);
        buf_fini(&labels);
    }
}

static void
write_alerts(const cJSON *stats, struct buf *out)
{
    static const char name[] = "sheaf_alert_firing";
    const cJSON *upstream;

    exposition_head(
        out, name, "gauge",
        "1 for an alert of the broker's own that fires; upstream is "
        "empty for those that are about none.");
    add_alerts(member(stats, "alerts"), name, "", out);
    cJSON_ArrayForEach(upstream, member(stats, "upstreams"))
    {
        add_alerts(member(upstream, "alerts"), name,
                   string_of(upstream, "name"), out);
    }
}

static void
write_build(const cJSON *stats, struct buf *out)
{
    struct buf labels = { 0 };
    char text[EXPOSITION_NUMBER_BYTES];

    exposition_head(out, "sheaf_build_info", "gauge",
                    "The broker's version; the value is always 1.");
    exposition_label(&labels, "version", string_of(stats, "version"));
    exposition_number(number_of(stats, "protocol"), text);
    exposition_label(&labels, "protocol", text);
    exposition_number(number_of(stats, "store_format"), text);
    exposition_label(&labels, "store_format", text);
    exposition_sample(out, "sheaf_build_info", labels.data, 1);
    buf_fini(&labels);
}

/* Where accepted drafts found their request: it was answered, under way, or had
 * to be made. */
static void
write_lookups(const cJSON *stats, struct buf *out)
{
    static const char name[] = "sheaf_cache_lookups_total";
    double memory = number_of(stats, "cache_memory_hits");
    double store = number_of(stats, "cache_store_hits");
    double joined = number_of(stats, "drafts_joined");
    double accepted = number_of(stats, "drafts_accepted");

    exposition_head(
        out, name, "counter",
        "Accepted drafts by where their request was found; none: a new "
        "one was made.");
    exposition_sample(out, name, "tier=\"memory\"", memory);
    exposition_sample(out, name, "tier=\"store\"", store);
    exposition_sample(out, name, "tier=\"joined\"", joined);
    exposition_sample(out, name, "tier=\"none\"",
                      accepted - memory - store - joined);
}

/* A member that is an object of numbers, each a sample with its name as label. */
static void
write_object(const cJSON *object, struct buf *out, const char *name,
             const char *label, const char *help)
{
    const cJSON *item;

    if (!cJSON_IsObject(object))
        return;
    exposition_head(out, name, "counter", help);
    cJSON_ArrayForEach(item, object)
    {
        struct buf labels = { 0 };

        exposition_label(&labels, label, item->string);
        exposition_sample(out, name, labels.data, item->valuedouble);
        buf_fini(&labels);
    }
}

/* Of each tier: answers that cost no call, and the money that was not spent. */
static void
write_reuse(const cJSON *stats, struct buf *out, const char *name,
            const char *part, const char *help)
{
    const cJSON *reuse = member(stats, "reuse"), *item;

    if (!cJSON_IsObject(reuse))
        return;
    exposition_head(out, name, "counter", help);
    cJSON_ArrayForEach(item, reuse)
    {
        struct buf labels = { 0 };

        exposition_label(&labels, "tier", item->string);
        exposition_sample(out, name, labels.data, number_of(item, part));
        buf_fini(&labels);
    }
}

static bool
is_shape(const cJSON *item)
{
    size_t bytes = item->string ? strlen(item->string) : 0;

    return cJSON_IsNumber(item) && bytes > strlen(SHAPE_PREFIX) &&
           strncmp(item->string, SHAPE_PREFIX, strlen(SHAPE_PREFIX)) == 0 &&
           !strstr(item->string, "_path") && !strstr(item->string, "_percent");
}

static void
write_shapes(const cJSON *stats, struct buf *out)
{
    static const char name[] = "sheaf_reply_shapes_total";
    const cJSON *item;

    exposition_head(out, name, "counter",
                    "Replies by the shape that they had.");
    cJSON_ArrayForEach(item, stats)
    {
        struct buf labels = { 0 };

        if (!is_shape(item))
            continue;
        exposition_label(&labels, "shape", item->string + strlen(SHAPE_PREFIX));
        exposition_sample(out, name, labels.data, item->valuedouble);
        buf_fini(&labels);
    }
}

/* ---- histograms ---- */

static void
write_histogram(const cJSON *stats, struct buf *out, const char *name,
                const char *part, double divisor, const char *help)
{
    const cJSON *list = member(stats, part);

    if (!cJSON_IsArray(list))
        return;
    exposition_head(out, name, "histogram", help);
    exposition_histogram(out, name, "", member(member(stats, "bounds"), part),
                         list, divisor);
}

/* ---- figures of each upstream ---- */

/* A family of samples of each upstream, whose label is in `labels`. */
struct family {
    const char *name, *type, *help;
    void (*add)(const struct family *family, const cJSON *stats,
                const cJSON *upstream, const char *labels, struct buf *out);
    const char *part; /* the member of the upstream that has it */
};

/* A sample with one label more. */
static void
add_sample(const struct family *family, const char *labels, const char *label,
           const char *value, double number, struct buf *out)
{
    struct buf all = { 0 };

    buf_add_str(&all, labels);
    exposition_label(&all, label, value);
    exposition_sample(out, family->name, all.data, number);
    buf_fini(&all);
}

static void
add_durations(const struct family *family, const cJSON *stats,
              const cJSON *upstream, const char *labels, struct buf *out)
{
    const cJSON *bounds = member(member(stats, "bounds"), "duration_ms"), *item;

    cJSON_ArrayForEach(item, member(upstream, family->part))
    {
        struct buf all = { 0 };

        buf_add_str(&all, labels);
        exposition_label(&all, "status", item->string);
        exposition_histogram(out, family->name, all.data, bounds, item, MS);
        buf_fini(&all);
    }
}

/* The sum and count of a summary: of all statuses together. */
static void
add_totals(const struct family *family, const cJSON *upstream,
           const char *labels, struct buf *out)
{
    struct buf name = { 0 };
    const cJSON *list, *item;
    double count = 0, sum_ms = 0;

    cJSON_ArrayForEach(list, member(upstream, family->part))
    {
        cJSON_ArrayForEach(item, list)
        {
            *(item->next ? &count : &sum_ms) += item->valuedouble;
        }
    }
    buf_addf(&name, "%s_sum", family->name);
    exposition_sample(out, name.data, labels, sum_ms / MS);
    buf_reset(&name);
    buf_addf(&name, "%s_count", family->name);
    exposition_sample(out, name.data, labels, count);
    buf_fini(&name);
}

/* The quantiles are of answers only, and of the newest. */
static void
add_latency(const struct family *family, const cJSON *stats,
            const cJSON *upstream, const char *labels, struct buf *out)
{
    (void)stats;
    if (!cJSON_IsNumber(member(upstream, "p50_ms")))
        return;
    add_sample(family, labels, "quantile", "0.5",
               number_of(upstream, "p50_ms") / MS, out);
    add_sample(family, labels, "quantile", "0.95",
               number_of(upstream, "p95_ms") / MS, out);
    add_totals(family, upstream, labels, out);
}

static void
add_classes(const struct family *family, const cJSON *stats,
            const cJSON *upstream, const char *labels, struct buf *out)
{
    const cJSON *item;

    (void)stats;
    cJSON_ArrayForEach(item, member(upstream, family->part))
    {
        add_sample(family, labels, "class", item->string, item->valuedouble,
                   out);
    }
}

static void
add_tokens(const struct family *family, const cJSON *stats,
           const cJSON *upstream, const char *labels, struct buf *out)
{
    (void)stats;
    add_sample(family, labels, "kind", "prompt",
               number_of(upstream, "prompt_tokens"), out);
    add_sample(family, labels, "kind", "completion",
               number_of(upstream, "completion_tokens"), out);
}

/* All states that PROTOCOL.md has; one of them is 1. */
static void
add_states(const struct family *family, const cJSON *stats,
           const cJSON *upstream, const char *labels, struct buf *out)
{
    static const char *const states[] = { "ready", "suspended", "stopped",
                                          "broken", "probing" };
    const char *state = string_of(upstream, family->part);

    (void)stats;
    for (size_t i = 0; *state && i < sizeof(states) / sizeof(states[0]); i++) {
        add_sample(family, labels, "state", states[i],
                   strcmp(states[i], state) == 0, out);
    }
}

/* One number, where the broker tells it. */
static void
add_number(const struct family *family, const cJSON *stats,
           const cJSON *upstream, const char *labels, struct buf *out)
{
    const cJSON *item = member(upstream, family->part);

    (void)stats;
    if (cJSON_IsNumber(item))
        exposition_sample(out, family->name, labels, item->valuedouble);
}

static const struct family families[] = {
    { "sheaf_request_duration_seconds", "histogram",
      "How long calls took, by the status that each alone would have given.",
      add_durations, "durations" },
    { "sheaf_upstream_latency_seconds", "summary",
      "How long the newest answers took; sum and count are of all calls.",
      add_latency, "durations" },
    { "sheaf_attempts_total", "counter", "Calls by how they ended.",
      add_classes, "classes" },
    { "sheaf_throttles_total", "counter",
      "Calls that were refused as too many (429).", add_number, "refusals" },
    { "sheaf_tokens_total", "counter", "Tokens that calls used, as told.",
      add_tokens, "" },
    { "sheaf_cost_usd_total", "counter",
      "What calls cost by the configured prices.", add_number, "cost_usd" },
    { "sheaf_calls_in_flight", "gauge", "Calls that are being made.",
      add_number, "in_flight" },
    { "sheaf_upstream_leases", "gauge",
      "Requests lent for an upstream, called or not.", add_number, "leases" },
    { "sheaf_upstream_state", "gauge",
      "1 for the state that an upstream is in, 0 for the others.", add_states,
      "state" },
};

static void
write_families(const cJSON *stats, struct buf *out)
{
    const cJSON *list = member(stats, "upstreams"), *upstream;

    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        const struct family *family = &families[i];

        exposition_head(out, family->name, family->type, family->help);
        cJSON_ArrayForEach(upstream, list)
        {
            struct buf labels = { 0 };

            exposition_label(&labels, "upstream", string_of(upstream, "name"));
            family->add(family, stats, upstream, labels.data, out);
            buf_fini(&labels);
        }
    }
}

int
metrics_write(const cJSON *stats, struct buf *out)
{
    if (!cJSON_IsObject(stats))
        return E_PROTOCOL;
    write_build(stats, out);
    write_rows(stats, out);
    write_lookups(stats, out);
    write_object(member(stats, "results_given"), out, "sheaf_results_total",
                 "status", "Results that drafts got, corrections included.");
    write_reuse(stats, out, "sheaf_reused_answers_total", "answers",
                "Answers that drafts got without a call of their own.");
    write_reuse(stats, out, "sheaf_saved_usd_total", "saved_usd",
                "What their calls would have cost, as far as known.");
    write_shapes(stats, out);
    write_histogram(stats, out, "sheaf_commit_duration_seconds", "commit_us",
                    US, "How long commits to the store took.");
    write_histogram(stats, out, "sheaf_commit_items", "commit_items", 1,
                    "Messages and drafts applied in a commit.");
    write_families(stats, out);
    write_alerts(stats, out);
    return 0;
}
