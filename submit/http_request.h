/*
 * http_request.h - a request on its way to a handler, and the reply back
 *
 * A handler is called when the whole request is there. It replies at once, or
 * keeps the request and replies later, when the broker has answered: meanwhile
 * the connection rests, and nothing waits for it. A request ends in one of two
 * ways, and its pointer is worth nothing afterwards:
 *
 *   handler ──► … ──► http_reply_…()      the reply goes out
 *                └──► gone(arg)           the client has vanished, or the
 *                                         gateway has to go; no reply any more
 *
 * A long body is pulled, piece by piece, while the client takes it: each call of
 * the source's pull is answered with http_feed(), at once or later.
 *
 * Nothing here knows the HTTP library: that is http_server.c's.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_REQUEST_H
#define SUBMIT_HTTP_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "submit/http_error.h"
#include "submit/http_path.h"
#include "submit/http_tokens.h"

#define HTTP_ID_BYTES         37 /* "req_" and 32 hex digits, with the NUL */
#define HTTP_REPLY_FIELDS_MAX 16

#define HTTP_JSON "application/json"
#define HTTP_TEXT "text/plain; charset=utf-8"
#define HTTP_FORM "multipart/form-data"

struct gateway;
struct http_route;
struct http_request;

/* What is kept of a request's header for its handler: a row more, and it is
 * there. */
/* clang-format off */
#define HTTP_KEPT_LIST(X)                   \
    X(CONTENT_TYPE,    "content-type")      \
    X(IDEMPOTENCY_KEY, "idempotency-key")   \
    X(IF_NONE_MATCH,   "if-none-match")     \
    X(RANGE,           "range")
/* clang-format on */

#define HTTP_KEPT_ENUM(name, field) HTTP_KEPT_##name,
enum http_kept { HTTP_KEPT_LIST(HTTP_KEPT_ENUM) HTTP_KEPT_COUNT };
#undef HTTP_KEPT_ENUM

/* Called when there will be no reply, by nobody else's doing than the client's
 * or the process's end. It must not use the request. */
typedef void http_gone_fn(void *arg);

/* Where a long body comes from. */
struct http_source {
    int64_t bytes;   /* of the body; -1: nobody knows before its end */
    bool is_endless; /* a gateway that is told to stop does not wait for it */
    /* Asks for more, from `at` on: http_feed(), http_feed_end() or
     * http_feed_fail() follows, at once or later. */
    void (*pull)(void *arg, struct http_request *request, int64_t at);
    /* The body is through, or was broken off: once, always. */
    void (*close)(void *arg);
    void *arg;
};

struct http_request {
    char id[HTTP_ID_BYTES];  /* for x-request-id and the log */
    struct gateway *gateway; /* borrowed: lives longer */
    const struct http_route *route;
    struct http_path path;
    struct http_grant grant; /* whose it is */
    struct buf body;
    char *kept[HTTP_KEPT_COUNT]; /* as they came; NULL: was not there */
    void *state;                 /* the handler's, between its calls */
};

/* The nth parameter of the route's pattern, from 0. */
const char *http_param(const struct http_request *request, size_t nth);

/* Who is to know that the client has vanished: needed by whoever keeps a request
 * beyond the call of its handler. */
void http_on_gone(struct http_request *request, http_gone_fn *gone, void *arg);

/* Goes on with a body of which a piece was not taken. */
void http_take_more(struct http_request *request);

/* Adds a header field to the reply that will follow. Without a Cache-Control it
 * has one that says no-store. */
void http_reply_field(struct http_request *request, const char *name,
                      const char *value);

/* Reply, once: with JSON or other text, which is copied; with an error; with a
 * body that is pulled. */
void http_reply(struct http_request *request, int status, const char *type,
                struct slice body);
void http_reply_error(struct http_request *request,
                      const struct http_error *error);
void http_reply_source(struct http_request *request, int status,
                       const char *type, const struct http_source *source);

/* Give the next piece of a body, copied, such as a page of the broker's; end it;
 * break it off, so that the client sees that something is missing. */
void http_feed(struct http_request *request, struct slice piece);
void http_feed_end(struct http_request *request);
void http_feed_fail(struct http_request *request);

/* The part of a body of `bytes` that the field Range asks for. 200 (all of it,
 * also if the field is not understood) or 206, and from *from so many *count;
 * or 416. For 206 and 416 the field Content-Range is added. */
int http_range(struct http_request *request, int64_t bytes, int64_t *from,
               int64_t *count);

#endif
