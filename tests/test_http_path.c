/* SPDX-License-Identifier: MIT */
#include "submit/http_path.h"

#include <criterion/criterion.h>
#include <string.h>

#include "submit/http_route.h"

Test(http_path, reads_paths_and_refuses_what_is_ambiguous)
{
    static const struct {
        const char *uri;
        const char *want; /* segments with | between; NULL: refused */
    } rows[] = {
        { "/", "" },
        { "/v1/files", "v1|files" },
        { "/v1/files?limit=2", "v1|files" },
        { "/?", "" },
        { "/a%20b/%41", "a b|A" },
        { "/caf%C3%A9", "caf\xc3\xa9" },
        { "/%2e%2E", NULL },
        { "/..", NULL },
        { "/a/./b", NULL },
        { "//", NULL },
        { "/a//b", NULL },
        { "/a/", NULL },
        { "/a%00b", NULL },
        { "/a%2fb", "a/b" }, /* for the routes to refuse */
        { "/a%2Fb/c", "a/b|c" },
        { "/a%5cb", NULL },
        { "/a%0db", NULL },
        { "/a%7fb", NULL },
        { "/a%2", NULL },
        { "/a%zz", NULL },
        { "/a b", NULL },
        { "/a\tb", NULL },
        { "/caf\xc3\xa9", NULL },
        { "/a#b", NULL },
        { "", NULL },
        { "v1", NULL },
        { "http://host/v1", NULL },
        { "*", NULL },
        { "/1/2/3/4/5/6/7/8", "1|2|3|4|5|6|7|8" },
        { "/1/2/3/4/5/6/7/8/9", NULL },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_path path;
        struct buf got = { 0 };
        int rc = http_path_parse(&path, slice_of(rows[i].uri), NULL);

        cr_expect_eq(rc == 0, rows[i].want != NULL, "%s: %d", rows[i].uri, rc);
        if (rc < 0)
            continue;
        buf_reserve(&got, 1)[0] = '\0';
        for (size_t j = 0; j < path.count; j++) {
            buf_add_str(&got, j ? "|" : "");
            buf_add_slice(&got, path.segments[j]);
            cr_expect_eq(strlen(path.segments[j].data), path.segments[j].bytes);
        }
        if (rows[i].want)
            cr_expect_str_eq(got.data, rows[i].want, "%s", rows[i].uri);
        buf_fini(&got);
        http_path_fini(&path);
    }
}

Test(http_path, refuses_a_uri_that_is_too_long)
{
    static char uri[HTTP_URI_BYTES_MAX + 1];
    struct http_path path;

    memset(uri, 'a', sizeof(uri));
    uri[0] = '/';
    cr_expect_eq(
        http_path_parse(&path, (struct slice){ uri, sizeof(uri) }, NULL),
        E_TOOBIG);
    cr_expect_eq(
        http_path_parse(&path, (struct slice){ uri, sizeof(uri) - 1 }, NULL),
        0);
    http_path_fini(&path);
}

Test(http_path, decodes_a_query_when_asked)
{
    static const struct {
        const char *uri, *name, *want; /* NULL: there is none */
    } rows[] = {
        { "/a?limit=2&after=x", "limit", "2" },
        { "/a?limit=2&after=x", "after", "x" },
        { "/a?limit=2&after=x", "lim", NULL },
        { "/a?limit=2&limit=3", "limit", "2" },
        { "/a?after=", "after", "" },
        { "/a?after", "after", "" },
        { "/a?a+b=c", "a", NULL },
        { "/a?x=a+b%20c%2F", "x", "a b c/" },
        { "/a?x=%zz%4", "x", "%zz%4" },
        { "/a", "x", NULL },
        { "/a?", "x", NULL },
        { "/a?&&x=1", "x", "1" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_path path;
        struct buf value = { 0 };
        bool is_there;

        cr_assert_eq(http_path_parse(&path, slice_of(rows[i].uri), NULL), 0);
        is_there = http_path_query(&path, rows[i].name, &value);
        cr_expect_eq(is_there, rows[i].want != NULL, "%s", rows[i].uri);
        if (is_there && rows[i].want)
            cr_expect(slice_is(buf_slice(&value), rows[i].want), "%s",
                      rows[i].uri);
        buf_fini(&value);
        http_path_fini(&path);
    }
}

static const struct http_route table[] = {
    { .method = "GET", .pattern = "/" },
    { .method = "GET", .pattern = "/v1/files" },
    { .method = "POST", .pattern = "/v1/files" },
    { .method = "GET", .pattern = "/v1/files/{id}" },
    { .method = "DELETE", .pattern = "/v1/files/{id}" },
    { .method = "GET", .pattern = "/v1/{kind}/{id}/content" },
    { .method = "GET", .pattern = "/v1/models" },
    { .method = "GET", .pattern = "/v1/models/{model...}" },
};
static const struct http_routes routes = { table,
                                           sizeof(table) / sizeof(table[0]) };

Test(http_route, finds_the_row_for_a_method_and_a_path)
{
    static const struct {
        const char *method, *uri;
        int want; /* the row, or the status */
        const char *allow;
    } rows[] = {
        { "GET", "/", 0, NULL },
        { "HEAD", "/", 0, NULL },
        { "POST", "/", 405, "GET, HEAD" },
        { "GET", "/v1/files", 1, NULL },
        { "POST", "/v1/files?x", 2, NULL },
        { "get", "/v1/files", 405, "GET, HEAD, POST" },
        { "GET", "/v1/files/file-1", 3, NULL },
        { "DELETE", "/v1/files/file-1", 4, NULL },
        { "PUT", "/v1/files/file-1", 405, "GET, HEAD, DELETE" },
        { "GET", "/v1/files/file-1/content", 5, NULL },
        { "GET", "/v1/files/file-1/contents", 404, NULL },
        { "GET", "/v1", 404, NULL },
        { "GET", "/v2/files", 404, NULL },
        { "GET", "/v1/models", 6, NULL },
        { "GET", "/v1/models/gpt", 7, NULL },
        { "GET", "/v1/models/meta/llama/3", 7, NULL },
        { "GET", "/v1/models/meta%2Fllama", 7, NULL },
        { "PUT", "/v1/models/meta%2Fllama", 405, "GET, HEAD" },
        { "GET", "/v1/files/a%2Fb", 400, NULL },
        { "GET", "/v1/files%2Fa", 400, NULL },
        { "GET", "/v1%2Fmodels/gpt", 400, NULL },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_error error = { 0 };
        const struct http_route *route;
        struct buf allow = { 0 };
        struct http_path path;

        cr_assert_eq(http_path_parse(&path, slice_of(rows[i].uri), NULL), 0);
        route = http_route_find(&routes, slice_of(rows[i].method), &path,
                                &allow, &error);
        cr_expect_eq(route ? (int)(route - table) : error.status, rows[i].want,
                     "%s %s", rows[i].method, rows[i].uri);
        if (rows[i].allow)
            cr_expect_str_eq(allow.data, rows[i].allow);
        buf_fini(&allow);
        http_path_fini(&path);
    }
}

Test(http_route, makes_one_parameter_of_the_rest)
{
    static const char *const uris[][2] = {
        { "/v1/models/gpt", "gpt" },
        { "/v1/models/meta/llama/3", "meta/llama/3" },
        { "/v1/models/meta%2Fllama%20x/3?y", "meta/llama x/3" },
    };

    for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
        struct http_error error = { 0 };
        struct buf allow = { 0 };
        struct http_path path;
        const struct http_route *route;
        struct slice got;

        cr_assert_eq(http_path_parse(&path, slice_of(uris[i][0]), NULL), 0);
        route =
            http_route_find(&routes, slice_of("GET"), &path, &allow, &error);
        cr_assert_not_null(route);
        got = path.segments[http_route_param(route, 0)];
        cr_expect(slice_is(got, uris[i][1]), "%s", got.data);
        cr_expect_eq(strlen(got.data), got.bytes);
        http_path_fini(&path);
        buf_fini(&allow);
    }
}

Test(http_route, knows_where_parameters_are)
{
    cr_expect_eq(http_route_param(&table[3], 0), 2);
    cr_expect_eq(http_route_param(&table[5], 0), 1);
    cr_expect_eq(http_route_param(&table[5], 1), 2);
}
