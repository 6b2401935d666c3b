/*
 * http_path.h - what a request's URI names
 *
 * A URI is read once, from the bytes that came, and cut into segments before
 * anything is decoded: so no escape can make a segment of two, and what the
 * routes see is what the client wrote. Refused are NUL, a backslash or a control
 * character in an escape, bytes beyond ASCII, empty segments, "." and ".."; a slash
 * in an escape, too, but by the routes, as a name at the end may have one.
 *
 * A query is decoded when it is asked for. It never holds a token: those end up
 * in logs and histories.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_PATH_H
#define SUBMIT_HTTP_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define HTTP_URI_BYTES_MAX     4096
#define HTTP_PATH_SEGMENTS_MAX 8
#define HTTP_QUERY_PAIRS_MAX   32

struct http_path {
    char *text; /* the segments, decoded, each with a NUL behind it */
    struct slice segments[HTTP_PATH_SEGMENTS_MAX];
    size_t count;   /* 0: "/" */
    bool has_slash; /* a segment holds one, which was escaped */
    char *query;    /* as it came, without the question mark */
    size_t query_bytes;
};

/* Reads a URI in origin form ("/v1/files?limit=2"). 0, and http_path_fini() is
 * to be called; or E_INVALID, or E_TOOBIG, and there is nothing to free. */
int http_path_parse(struct http_path *path, struct slice uri, struct err *err)
    __attribute__((warn_unused_result));
void http_path_fini(struct http_path *path);

/* Makes one segment of that one and all behind it, with slashes between. */
void http_path_join(struct http_path *path, size_t from);

/* Appends the decoded value of the first pair of that name. False: there is
 * none. */
bool http_path_query(const struct http_path *path, const char *name,
                     struct buf *value);

#endif
