/*
 * http_route.h - which handler a request is for
 *
 * A listener has a table of routes. A pattern is made of segments, each exact or
 * a parameter in braces, which takes any one segment:
 *
 *   { .method = "POST", .pattern = "/v1/batches/{id}/cancel",
 *     .scope = HTTP_SCOPE_SUBMIT, .handler = cancel }
 *
 * One that stands at the end as {name...} takes all that is left, one segment or
 * more, and slashes that are escaped there: a name with slashes in it.
 *
 * Adding a route is adding a row; all that is said in it is checked before the
 * handler is called: the token's scope, the type of the body, its size.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_ROUTE_H
#define SUBMIT_HTTP_ROUTE_H

#include <stddef.h>

#include "submit/http_request.h"

typedef void http_handler_fn(struct http_request *request);

/* Takes a piece of a body that is too long to be held, before the handler is
 * called for the whole. Returns how many bytes it took: if not all of them, the
 * connection rests until http_take_more(), and the rest comes again. It may
 * reply with an error; then no more comes. What it keeps is in request->state.
 */
typedef size_t http_piece_fn(struct http_request *request, struct slice piece);

/* How long a body may be that the broker limits. */
typedef size_t http_body_max_fn(const struct gateway *gateway);

struct http_route {
    const char *method; /* GET also serves HEAD */
    const char *pattern;
    enum http_scope scope; /* that its token must have; OPEN: needs none */
    const char *type;      /* of the body, without parameters; NULL: none */
    size_t body_bytes_max; /* 0: it has none, or body_max says it */
    http_body_max_fn *body_max;
    http_handler_fn *handler;
    http_piece_fn *piece; /* NULL: the body is gathered in memory */
};

struct http_routes {
    const struct http_route *rows;
    size_t count;
};

/* Finds the row for a method and path; what {name...} takes of that becomes one
 * segment. NULL: *error is set, to 404, or to 405 with the methods that there are
 * in `allow`, or to 400 for an escaped slash that nothing takes. */
const struct http_route *http_route_find(const struct http_routes *routes,
                                         struct slice method,
                                         struct http_path *path,
                                         struct buf *allow,
                                         struct http_error *error);

/* How long the body may be. 0: there is to be none. */
size_t http_route_body_max(const struct http_route *route,
                           const struct gateway *gateway);

/* The index of the segment that is the nth parameter of a row. */
size_t http_route_param(const struct http_route *route, size_t nth);

#endif
