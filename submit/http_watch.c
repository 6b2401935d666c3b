/* SPDX-License-Identifier: MIT */
#include "base/mem.h"
#include "submit/http_gateway.h"
#include "submit/http_server.h"

#define METRICS_TEXT "text/plain; version=0.0.4; charset=utf-8"

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

static void
add_metric(struct buf *out, const char *name, const char *type,
           const char *help)
{
    buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* What the gateway knows of itself. */
static void
write_own(const struct gateway *gateway, struct buf *out)
{
    size_t connections = 0;

    for (size_t i = 0; i < gateway->server_count; i++)
        connections += http_server_count(gateway->servers[i]);
    add_metric(out, "sheaf_http_build_info", "gauge",
               "The version of the gateway, as a label.");
    buf_addf(out, "sheaf_http_build_info{version=\"%s\"} 1\n", SHEAF_VERSION);
    add_metric(out, "sheaf_http_broker_up", "gauge",
               "1 while the broker answers the gateway.");
    buf_addf(out, "sheaf_http_broker_up %d\n",
             http_broker_is_up(gateway->broker));
    add_metric(out, "sheaf_http_uptime_seconds", "gauge",
               "Since the start of the gateway.");
    buf_addf(out, "sheaf_http_uptime_seconds %.3f\n",
             (double)(gateway->now_ms - gateway->started_ms) / 1000);
    add_metric(out, "sheaf_http_connections", "gauge",
               "Connections of clients.");
    buf_addf(out, "sheaf_http_connections %zu\n", connections);
    add_metric(out, "sheaf_http_refused_tokens_total", "counter",
               "Requests with a wrong token.");
    buf_addf(out, "sheaf_http_refused_tokens_total %llu\n",
             (unsigned long long)gateway->refused_tokens);
    add_metric(out, "sheaf_http_replies_total", "counter",
               "Replies by the first digit of their status.");
    for (int class = 2; class < HTTP_STATUS_CLASSES; class ++)
        buf_addf(out, "sheaf_http_replies_total{code=\"%dxx\"} %llu\n", class,
                 (unsigned long long)gateway->replies[class]);
}

static void
metrics(struct http_request *request)
{
    struct buf out = { 0 };

    write_own(request->gateway, &out);
    http_reply(request, 200, METRICS_TEXT, buf_slice(&out));
    buf_fini(&out);
}

static const struct http_route rows[] = {
    { "GET", "/healthz", HTTP_SCOPE_OPEN, NULL, 0, healthz },
    { "GET", "/readyz", HTTP_SCOPE_OPEN, NULL, 0, readyz },
    { "GET", "/metrics", HTTP_SCOPE_READ, NULL, 0, metrics },
};

const struct http_routes http_watch_routes = { rows,
                                               sizeof(rows) / sizeof(rows[0]) };
