/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* strncasecmp */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/mem.h"
#include "submit/http_exchange.h"
#include "submit/http_gateway.h"

/* What an admission looks at. */
struct admission {
    struct exchange *exchange;
    const struct http_head *head; /* borrowed, as all of them */
    const struct http_terms *terms;
    const struct http_address *address;
    struct http_error *error;
    struct buf allow;
};

static int
read_path(struct admission *admission)
{
    struct err err = { 0 };
    int rc = http_path_parse(&admission->exchange->request.path,
                             admission->head->uri, &err);

    if (rc == 0)
        return 0;
    /* What does not end where it seems to, is no longer to be trusted. */
    admission->exchange->must_close = true;
    return http_error_set(admission->error, rc == E_TOOBIG ? 414 : 400,
                          "bad_url", "%s", err.msg);
}

/* A token in a URL stands in logs and histories by now. */
static int
check_query(struct admission *admission)
{
    static const char *const names[] = { "token",   "access_token",
                                         "api_key", "api-key",
                                         "key",     "authorization" };
    const struct http_path *path = &admission->exchange->request.path;
    struct buf value = { 0 };
    int status = 0;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (http_path_query(path, names[i], &value))
            status = http_error_set(admission->error, 400, "token_in_url",
                                    "a token does not belong into a URL, but "
                                    "into the header Authorization; replace "
                                    "it, if it was one");
    }
    buf_fini(&value);
    return status;
}

static int
refuse_token(struct admission *admission)
{
    struct gateway *gateway = admission->exchange->request.gateway;

    http_guard_failed(gateway->guard, admission->address, gateway->now_ms);
    gateway->refused_tokens++;
    log_warn("event=token_refused request=%s", admission->exchange->request.id);
    return http_error_set(admission->error, 401, "invalid_api_key",
                          "Incorrect API key provided.");
}

static int
check_token(struct admission *admission)
{
    struct http_request *request = &admission->exchange->request;
    struct gateway *gateway = request->gateway;
    struct slice field = http_gate_field(admission->head, "authorization");
    struct slice token = http_tokens_bearer(field);
    int64_t wait_ms =
        http_guard_wait_ms(gateway->guard, admission->address, gateway->now_ms);

    if (wait_ms > 0) {
        http_error_set(admission->error, 429, "too_many_failures",
                       "too many wrong tokens came from this address");
        admission->error->retry_after_s = (int)(wait_ms / 1000) + 1;
        return admission->error->status;
    }
    if (!field.data)
        return http_error_set(admission->error, 401, "missing_api_key",
                              "You didn't provide an API key. Provide it in "
                              "an Authorization header: Bearer YOUR_KEY.");
    if (!token.data || http_tokens_find(gateway->tokens, token,
                                        gateway->wall_ms, &request->grant) < 0)
        return refuse_token(admission);
    if (request->grant.scope < request->route->scope)
        return http_error_set(admission->error, 403, "insufficient_scope",
                              "this key's scope is %s; %s is needed",
                              http_scope_name(request->grant.scope),
                              http_scope_name(request->route->scope));
    return 0;
}

/* Who asks. Where nobody is asked for a token, whoever reaches the port may do
 * all; but no web page that a browser here has open, under whatever name. */
static int
find_client(struct admission *admission)
{
    struct http_request *request = &admission->exchange->request;

    if (request->route->scope == HTTP_SCOPE_OPEN)
        return 0;
    if (admission->terms->asks_tokens)
        return check_token(admission);
    if (!http_gate_is_local(admission->head))
        return http_error_set(admission->error, 403, "foreign_host",
                              "without tokens, this is served to localhost "
                              "under that name only, and to no page of "
                              "another site");
    request->grant.scope = HTTP_SCOPE_ADMIN;
    (void)snprintf(request->grant.client, sizeof(request->grant.client), "%s",
                   request->gateway->client);
    return 0;
}

/* True if a field Content-Type names that type, with whatever parameters. */
static bool
is_type(struct slice field, const char *type)
{
    size_t bytes = strlen(type);

    return field.bytes >= bytes && strncasecmp(field.data, type, bytes) == 0 &&
           (field.bytes == bytes || field.data[bytes] == ';' ||
            field.data[bytes] == ' ');
}

static int
check_length(struct admission *admission)
{
    const struct http_request *request = &admission->exchange->request;
    size_t max = http_route_body_max(request->route, request->gateway);
    struct slice length = http_gate_field(admission->head, "content-length");
    unsigned long long bytes = 0;

    for (size_t i = 0; i < length.bytes && bytes <= SIZE_MAX / 100; i++)
        bytes = bytes * 10 + (unsigned)(length.data[i] - '0');
    if (bytes <= max)
        return 0;
    return http_error_set(admission->error, 413, "body_too_large",
                          "a body of %.*s bytes, at most %zu",
                          (int)(length.bytes < 32 ? length.bytes : 32),
                          length.data, max);
}

static int
check_body(struct admission *admission)
{
    struct http_request *request = &admission->exchange->request;
    struct slice type = http_gate_field(admission->head, "content-type");
    struct slice coding = http_gate_field(admission->head, "content-encoding");

    if (http_route_body_max(request->route, request->gateway) == 0) {
        if (http_gate_has_body(admission->head))
            return http_error_set(admission->error, 400, "unexpected_body",
                                  "a body is not expected here");
        return 0;
    }
    if (coding.data)
        return http_error_set(admission->error, 415, "unsupported_encoding",
                              "a body is taken as it is, without a "
                              "content-encoding");
    if (request->route->type && !is_type(type, request->route->type))
        return http_error_set(admission->error, 415, "unsupported_media_type",
                              "the body's content-type must be %s",
                              request->route->type);
    return check_length(admission);
}

static int
find_route(struct admission *admission)
{
    struct http_request *request = &admission->exchange->request;

    request->route =
        http_route_find(admission->terms->routes, admission->head->method,
                        &request->path, &admission->allow, admission->error);
    if (request->route)
        return 0;
    if (admission->allow.bytes)
        http_reply_field(request, "Allow", admission->allow.data);
    admission->exchange->must_close |= admission->error->status == 400;
    return admission->error->status;
}

/* Who opens so many connections is told why it is not served, and that a repeat
 * helps: SDKs wait then. */
static int
check_crowd(struct admission *admission)
{
    if (!admission->exchange->is_surplus)
        return 0;
    return http_error_set(admission->error, 429, "too_many_connections",
                          "there are more than %u connections from this "
                          "address",
                          admission->terms->connections_each_max);
}

static int
admit(struct admission *admission)
{
    struct http_request *request = &admission->exchange->request;
    int status = check_crowd(admission);

    if (status == 0)
        status = http_gate_check(admission->head, admission->error);
    admission->exchange->must_close = status != 0;
    if (status == 0)
        status = read_path(admission);
    if (status == 0)
        status = check_query(admission);
    if (status == 0)
        status = find_route(admission);
    if (status == 0)
        status = find_client(admission);
    if (status == 0)
        status = check_body(admission);
    if (status == 0 && request->gateway->is_draining &&
        request->route->scope != HTTP_SCOPE_OPEN) {
        status = http_error_set(admission->error, 503, "shutting_down",
                                "the gateway is shutting down");
    }
    return status;
}

static void
keep_fields(const struct http_head *head, struct http_request *request)
{
#define HTTP_KEPT_FIELD(name, field) field,
    static const char *const names[] = { HTTP_KEPT_LIST(HTTP_KEPT_FIELD) };
#undef HTTP_KEPT_FIELD

    for (size_t i = 0; i < HTTP_KEPT_COUNT; i++) {
        struct slice value = http_gate_field(head, names[i]);

        if (value.data)
            request->kept[i] = mem_dup(value.data, value.bytes);
    }
}

void
http_admit(struct exchange *exchange, const struct http_head *head,
           const struct http_terms *terms, const struct http_address *address)
{
    struct http_error error = { 0 };
    struct admission admission = { .exchange = exchange,
                                   .head = head,
                                   .terms = terms,
                                   .address = address,
                                   .error = &error };

    if (admit(&admission) == 0) {
        keep_fields(head, &exchange->request);
    } else {
        /* What would follow is not read. */
        if (http_gate_has_body(head))
            exchange->must_close = true;
        http_reply_error(&exchange->request, &error);
    }
    buf_fini(&admission.allow);
}
