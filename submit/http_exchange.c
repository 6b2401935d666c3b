/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* strcasecmp */
#include "submit/http_exchange.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uuid/uuid.h>

#include "base/hex.h"
#include "base/log.h"
#include "base/mem.h"
#include "submit/http_gateway.h"

#define ID_PREFIX     "req_"
#define LOG_BYTES_MAX 256

static struct exchange *
exchange_of(struct http_request *request)
{
    return (struct exchange *)request;
}

struct exchange *
http_exchange_new(struct gateway *gateway)
{
    struct exchange *exchange = mem_zalloc(1, sizeof(*exchange));
    char *id = exchange->request.id;
    uuid_t uuid;

    uuid_generate_random(uuid);
    memcpy(id, ID_PREFIX, sizeof(ID_PREFIX));
    hex_write(uuid, sizeof(uuid), id + sizeof(ID_PREFIX) - 1);
    exchange->request.gateway = gateway;
    exchange->since_ms = gateway->now_ms;
    return exchange;
}

void
http_exchange_log(const struct exchange *exchange)
{
    const struct http_request *request = &exchange->request;
    long long latency_ms = request->gateway->now_ms - exchange->since_ms;
    const char *path = request->route ? request->route->pattern : "";

    if (request->route && request->route->scope == HTTP_SCOPE_OPEN)
        log_debug("event=http_request id=%s route=%s status=%d ms=%lld",
                  request->id, path, exchange->status, latency_ms);
    else
        log_info("event=http_request id=%s client=\"%s\" route=\"%s\" "
                 "status=%d ms=%lld",
                 request->id, request->grant.client, path, exchange->status,
                 latency_ms);
}

void
http_library_log(void *cls, const char *fmt, va_list args)
{
    char text[LOG_BYTES_MAX];

    (void)cls;
    if (vsnprintf(text, sizeof(text), fmt, args) < 0)
        return;
    text[strcspn(text, "\n\"")] = '\0';
    log_debug("event=http_library message=\"%s\"", text);
}

static void
close_source(struct exchange *exchange)
{
    if (!exchange->has_source)
        return;
    exchange->has_source = false;
    exchange->source.close(exchange->source.arg);
}

void
http_exchange_lose(struct exchange *exchange)
{
    http_gone_fn *gone = exchange->gone;

    exchange->is_over = true;
    exchange->gone = NULL;
    if (gone && !exchange->is_replied)
        gone(exchange->gone_arg);
    close_source(exchange);
}

void
http_exchange_free(struct exchange *exchange)
{
    struct http_request *request = &exchange->request;

    http_exchange_lose(exchange);
    request->gateway->body_bytes -= request->body.bytes;
    http_path_fini(&request->path);
    buf_fini(&exchange->uri);
    buf_fini(&request->body);
    for (size_t i = 0; i < HTTP_KEPT_COUNT; i++)
        free(request->kept[i]);
    for (size_t i = 0; i < exchange->field_count; i++)
        free(exchange->fields[i].value);
    buf_fini(&exchange->body);
    buf_fini(&exchange->piece);
    free(exchange);
}

bool
http_exchange_has(const struct exchange *exchange, const char *name)
{
    for (size_t i = 0; i < exchange->field_count; i++) {
        if (strcasecmp(exchange->fields[i].name, name) == 0)
            return true;
    }
    return false;
}

/* ---- what handlers call ---- */

const char *
http_param(const struct http_request *request, size_t nth)
{
    return request->path.segments[http_route_param(request->route, nth)].data;
}

void
http_on_gone(struct http_request *request, http_gone_fn *gone, void *arg)
{
    struct exchange *exchange = exchange_of(request);

    exchange->gone = gone;
    exchange->gone_arg = arg;
}

void
http_take_more(struct http_request *request)
{
    struct exchange *exchange = exchange_of(request);

    exchange->wake(exchange);
}

void
http_reply_field(struct http_request *request, const char *name,
                 const char *value)
{
    struct exchange *exchange = exchange_of(request);

    assert(exchange->field_count < HTTP_REPLY_FIELDS_MAX);
    exchange->fields[exchange->field_count++] =
        (struct http_reply_field){ name, mem_dup_str(value) };
}

static void
reply(struct exchange *exchange, int status, const char *type)
{
    struct gateway *gateway = exchange->request.gateway;

    assert(!exchange->is_replied);
    assert(!exchange->is_over);
    exchange->is_replied = true;
    exchange->status = status;
    exchange->type = type;
    gateway->replies[status / 100 % HTTP_STATUS_CLASSES]++;
    if (exchange->wake)
        exchange->wake(exchange);
}

void
http_reply(struct http_request *request, int status, const char *type,
           struct slice body)
{
    struct exchange *exchange = exchange_of(request);

    buf_add_slice(&exchange->body, body);
    reply(exchange, status, type);
}

void
http_reply_error(struct http_request *request, const struct http_error *error)
{
    struct exchange *exchange = exchange_of(request);
    char seconds[16];

    http_error_write(error, &exchange->body);
    http_reply_field(request, "x-should-retry",
                     error->is_worth_retry ? "true" : "false");
    if (error->retry_after_s > 0) {
        (void)snprintf(seconds, sizeof(seconds), "%d", error->retry_after_s);
        http_reply_field(request, "Retry-After", seconds);
    }
    if (error->status == 401)
        http_reply_field(request, "WWW-Authenticate", "Bearer");
    reply(exchange, error->status, HTTP_JSON);
}

void
http_reply_source(struct http_request *request, int status, const char *type,
                  const struct http_source *source)
{
    struct exchange *exchange = exchange_of(request);

    exchange->has_source = true;
    exchange->source = *source;
    reply(exchange, status, type);
}

/* ---- the body ---- */

/* In memory. */
static size_t
gather(struct http_request *request, struct slice piece)
{
    struct gateway *gateway = request->gateway;
    struct http_error error;

    if (piece.bytes > HTTP_BODIES_BYTES_MAX - gateway->body_bytes) {
        http_error_set(&error, 503, "busy",
                       "too many requests have large bodies");
        http_reply_error(request, &error);
        return 0;
    }
    gateway->body_bytes += piece.bytes;
    buf_add_slice(&request->body, piece);
    return piece.bytes;
}

/* Who took the pieces so far is told that there is nothing more to be said. */
static void
refuse_body(struct exchange *exchange, size_t max)
{
    http_gone_fn *gone = exchange->gone;
    struct http_error error;

    exchange->gone = NULL;
    if (gone)
        gone(exchange->gone_arg);
    http_error_set(&error, 413, "body_too_large",
                   "a body of more than %zu bytes", max);
    http_reply_error(&exchange->request, &error);
}

size_t
http_exchange_take(struct exchange *exchange, struct slice piece)
{
    struct http_request *request = &exchange->request;
    const struct http_route *route = request->route;
    size_t max = http_route_body_max(route, request->gateway), taken = 0;

    /* What the broker allows may have become less. */
    if (exchange->body_bytes > max || piece.bytes > max - exchange->body_bytes)
        refuse_body(exchange, max);
    else
        taken = route->piece ? route->piece(request, piece)
                             : gather(request, piece);
    assert(taken <= piece.bytes);
    exchange->body_bytes += taken;
    return taken;
}

void
http_exchange_frame(const struct exchange *exchange, struct buf *out)
{
    assert(exchange->is_replied);
    assert(!exchange->has_source);
    buf_addf(out, "HTTP/1.1 %d Refused\r\nContent-Type: %s\r\n",
             exchange->status, exchange->type);
    buf_addf(out, "x-request-id: %s\r\n", exchange->request.id);
    for (size_t i = 0; i < exchange->field_count; i++)
        buf_addf(out, "%s: %s\r\n", exchange->fields[i].name,
                 exchange->fields[i].value);
    buf_addf(out,
             "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
             "Connection: close\r\nContent-Length: %zu\r\n\r\n",
             exchange->body.bytes);
    buf_add_slice(out, buf_slice(&exchange->body));
}

/* ---- a body that is pulled ---- */

size_t
http_exchange_read(struct exchange *exchange, char *to, size_t max)
{
    size_t bytes = exchange->piece.bytes - exchange->piece_at;

    if (bytes == 0) {
        buf_reset(&exchange->piece);
        exchange->piece_at = 0;
        if (exchange->is_ended || exchange->is_failed || exchange->is_pulled)
            return 0;
        exchange->is_pulled = true;
        exchange->source.pull(exchange->source.arg, &exchange->request,
                              exchange->fed);
        bytes = exchange->piece.bytes;
    }
    if (bytes > max)
        bytes = max;
    if (bytes)
        memcpy(to, exchange->piece.data + exchange->piece_at, bytes);
    exchange->piece_at += bytes;
    return bytes;
}

static void
fed(struct exchange *exchange)
{
    assert(exchange->is_pulled);
    exchange->is_pulled = false;
    if (exchange->wake)
        exchange->wake(exchange);
}

void
http_feed(struct http_request *request, struct slice piece)
{
    struct exchange *exchange = exchange_of(request);

    assert(piece.bytes > 0);
    buf_add_slice(&exchange->piece, piece);
    exchange->fed += (int64_t)piece.bytes;
    fed(exchange);
}

void
http_feed_end(struct http_request *request)
{
    exchange_of(request)->is_ended = true;
    fed(exchange_of(request));
}

void
http_feed_fail(struct http_request *request)
{
    exchange_of(request)->is_failed = true;
    fed(exchange_of(request));
}
