/*
 * http_multipart.h - a form with files, read piece by piece
 *
 * The body of a multipart/form-data request (RFC 7578), cut wherever it comes:
 *
 *   --BOUNDARY
 *   Content-Disposition: form-data; name="file"; filename="drafts.jsonl"
 *
 *   the content …
 *   --BOUNDARY--
 *
 * What is kept is one header, or as much of a content as might be the beginning
 * of a boundary; the rest is handed on as it comes. Read strictly: nothing
 * before the first boundary, lines end with CRLF, each part is a form-data with
 * a name, nothing behind the last boundary but line ends.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_MULTIPART_H
#define SUBMIT_HTTP_MULTIPART_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

#define HTTP_MULTIPART_HEADER_BYTES_MAX 8192 /* of one part */
#define HTTP_MULTIPART_PARTS_MAX        16
#define HTTP_BOUNDARY_BYTES_MAX         70
#define HTTP_PART_NAME_BYTES_MAX        255 /* of name and file name */

/* Who takes the parts. Each function returns 0, or an error, which ends the
 * reading. */
struct http_multipart_sink {
    /* A part begins. filename is "" if there is none. */
    int (*begin)(void *arg, const char *name, const char *filename);
    /* A piece of its content. */
    int (*take)(void *arg, struct slice piece);
    void *arg;
};

struct http_multipart;

/* A reader for a body with that field Content-Type. NULL: E_INVALID, the type
 * names no boundary. */
struct http_multipart *
http_multipart_new(const char *type, const struct http_multipart_sink *sink,
                   struct err *err);
void http_multipart_free(struct http_multipart *multipart);

/* Reads the next piece. E_INVALID: it is no such form; E_TOOBIG: a header is too
 * long, or there are too many parts; or what the sink has returned, without a
 * word in *err. Then it is not to be called again. */
int http_multipart_take(struct http_multipart *multipart, struct slice piece,
                        struct err *err);

/* True if the last boundary was read. */
bool http_multipart_is_whole(const struct http_multipart *multipart);

#endif
