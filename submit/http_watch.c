/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "submit/exposition.h"
#include "submit/http_events.h"
#include "submit/http_gateway.h"
#include "submit/http_server.h"
#include "submit/metrics.h"

#define STATS_MS 5000 /* Prometheus waits for 10 s */

/* This process lives. */
static void
healthz(struct http_request *request)
{
    http_reply(request, 200, HTTP_TEXT, slice_of("ok\n"));
}

/* Requests to the API would be served. */
static void
readyz(struct http_request *request)
{
    const struct gateway *gateway = request->gateway;
    const char *reason = NULL;
    struct http_error error;

    if (gateway->is_draining)
        reason = "the gateway is shutting down";
    else if (!http_broker_is_up(gateway->broker))
        reason = "the broker is away";
    else if (http_broker_welcome(gateway->broker)->is_draining)
        reason = "the broker is shutting down";
    if (reason) {
        http_error_set(&error, 503, "not_ready", "%s", reason);
        http_reply_error(request, &error);
        return;
    }
    http_reply(request, 200, HTTP_TEXT, slice_of("ready\n"));
}

/* A metric of one sample. */
static void
add_metric(struct buf *out, const char *name, const char *type,
           const char *help, double value)
{
    exposition_head(out, name, type, help);
    exposition_sample(out, name, "", value);
}

static void
add_build(struct buf *out)
{
    static const char name[] = "sheaf_http_build_info";
    struct buf labels = { 0 };

    exposition_head(out, name, "gauge",
                    "The version of the gateway, as a label.");
    exposition_label(&labels, "version", SHEAF_VERSION);
    exposition_sample(out, name, labels.data, 1);
    buf_fini(&labels);
}

static void
add_replies(const struct gateway *gateway, struct buf *out)
{
    static const char name[] = "sheaf_http_replies_total";

    exposition_head(out, name, "counter",
                    "Replies by the first digit of their status.");
    for (int class = 2; class < HTTP_STATUS_CLASSES; class ++) {
        struct buf labels = { 0 };

        buf_addf(&labels, "code=\"%dxx\"", class);
        exposition_sample(out, name, labels.data,
                          (double)gateway->replies[class]);
        buf_fini(&labels);
    }
}

/* What the gateway knows of itself. */
static void
write_own(const struct gateway *gateway, struct buf *out)
{
    size_t connections = 0;

    for (size_t i = 0; i < gateway->server_count; i++)
        connections += http_server_count(gateway->servers[i]);
    add_build(out);
    add_metric(out, "sheaf_http_broker_up", "gauge",
               "1 while the broker answers the gateway.",
               http_broker_is_up(gateway->broker));
    add_metric(out, "sheaf_http_uptime_seconds", "gauge",
               "Since the start of the gateway.",
               (double)(gateway->now_ms - gateway->started_ms) / 1000);
    add_metric(out, "sheaf_http_connections", "gauge",
               "Connections of clients.", (double)connections);
    add_metric(out, "sheaf_http_pages", "gauge", "Status pages that are open.",
               (double)http_events_count(gateway->events));
    add_metric(out, "sheaf_http_refused_tokens_total", "counter",
               "Requests with a wrong token.", (double)gateway->refused_tokens);
    add_metric(out, "sheaf_http_spool_bytes", "gauge",
               "Of uploads under way, on the disk.",
               (double)gateway->spool.bytes);
    add_replies(gateway, out);
}

/* A scrape that waits for the broker's figures. */
struct scrape {
    struct http_request *request;
    struct http_question *question;
};

static void
finish(struct http_request *request, const cJSON *stats)
{
    struct buf out = { 0 };

    write_own(request->gateway, &out);
    if (stats && metrics_write(stats, &out) < 0)
        log_warn("event=metrics_failed reason=\"stats are no object\"");
    http_reply(request, 200, METRICS_CONTENT_TYPE, buf_slice(&out));
    buf_fini(&out);
}

static void
on_gone(void *arg)
{
    struct scrape *scrape = arg;

    http_broker_forget(scrape->request->gateway->broker, scrape->question);
    free(scrape);
}

static void
on_stats(void *arg, const struct wire *wire, const struct err *err)
{
    struct scrape *scrape = arg;

    (void)err;
    finish(scrape->request, wire ? wire_get(wire, "stats") : NULL);
    free(scrape);
}

/* What the broker tells of itself; while it is away, the gateway alone. */
static void
metrics(struct http_request *request)
{
    struct scrape *scrape = mem_zalloc(1, sizeof(*scrape));
    struct http_ask ask = { .head = wire_new("stats"),
                            .answer_ms = STATS_MS,
                            .answer = on_stats,
                            .arg = scrape };
    struct gateway *gateway = request->gateway;

    scrape->request = request;
    scrape->question =
        http_broker_ask(gateway->broker, &ask, gateway->now_ms, NULL);
    if (scrape->question) {
        http_on_gone(request, on_gone, scrape);
        return;
    }
    free(scrape);
    finish(request, NULL);
}

static const struct http_route rows[] = {
    { .method = "GET", .pattern = "/healthz", .handler = healthz },
    { .method = "GET", .pattern = "/readyz", .handler = readyz },
    { .method = "GET",
      .pattern = "/metrics",
      .scope = HTTP_SCOPE_READ,
      .handler = metrics },
};

const struct http_routes http_watch_routes = { rows,
                                               sizeof(rows) / sizeof(rows[0]) };
