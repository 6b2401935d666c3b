/* SPDX-License-Identifier: MIT */
#include "submit/http_route.h"

#include <assert.h>
#include <string.h>

/* Takes the next segment off a pattern, behind its slash. False: there is none
 * left. */
static bool
take_segment(const char **pattern, struct slice *segment)
{
    size_t bytes;

    if (**pattern != '/' || (*pattern)[1] == '\0')
        return false;
    bytes = strcspn(*pattern + 1, "/");
    *segment = (struct slice){ *pattern + 1, bytes };
    *pattern += 1 + bytes;
    return true;
}

static bool
is_param(struct slice segment)
{
    return segment.bytes > 0 && segment.data[0] == '{';
}

static bool
is_rest(struct slice segment)
{
    static const char end[] = "...}";
    size_t bytes = sizeof(end) - 1;

    return is_param(segment) && segment.bytes > bytes &&
           memcmp(segment.data + segment.bytes - bytes, end, bytes) == 0;
}

/* *rest: the segment from which on all are one parameter; else their count. */
static bool
matches(const char *pattern, const struct http_path *path, size_t *rest)
{
    struct slice segment;
    size_t count = 0;

    *rest = path->count;
    while (take_segment(&pattern, &segment)) {
        if (count == path->count)
            return false;
        if (is_rest(segment)) {
            *rest = count;
            return true;
        }
        if (!is_param(segment) && !slice_equal(segment, path->segments[count]))
            return false;
        count++;
    }
    return count == path->count && !path->has_slash;
}

static bool
is_method(const struct http_route *route, struct slice method)
{
    return slice_is(method, route->method) ||
           (slice_is(method, "HEAD") && strcmp(route->method, "GET") == 0);
}

const struct http_route *
http_route_find(const struct http_routes *routes, struct slice method,
                struct http_path *path, struct buf *allow,
                struct http_error *error)
{
    size_t rest;

    buf_reset(allow);
    for (size_t i = 0; i < routes->count; i++) {
        const struct http_route *route = &routes->rows[i];

        if (!matches(route->pattern, path, &rest))
            continue;
        if (is_method(route, method)) {
            if (rest < path->count)
                http_path_join(path, rest);
            return route;
        }
        buf_addf(allow, "%s%s", allow->bytes ? ", " : "", route->method);
        if (strcmp(route->method, "GET") == 0)
            buf_add_str(allow, ", HEAD");
    }
    if (allow->bytes)
        http_error_set(error, 405, "method_not_allowed",
                       "%.*s is not served here, but %s", (int)method.bytes,
                       method.data, allow->data);
    else if (path->has_slash)
        http_error_set(error, 400, "bad_url",
                       "the path holds an escaped slash");
    else
        http_error_set(error, 404, "unknown_url",
                       "there is nothing at this path");
    return NULL;
}

size_t
http_route_body_max(const struct http_route *route,
                    const struct gateway *gateway)
{
    return route->body_max ? route->body_max(gateway) : route->body_bytes_max;
}

size_t
http_route_param(const struct http_route *route, size_t nth)
{
    const char *pattern = route->pattern;
    struct slice segment;
    size_t index = 0;

    while (take_segment(&pattern, &segment)) {
        if (is_param(segment) && nth-- == 0)
            return index;
        index++;
    }
    assert(!"a parameter that the pattern does not have");
    return 0;
}
