/*
 * http_gate.h - which requests are looked at
 *
 * The HTTP library is lenient: it takes a request with a length and a transfer
 * coding, two lengths, bare line feeds, folded lines, blanks before a colon. A
 * proxy that reads such a request in another way than we do lets a second one
 * through unseen. So every header passes here before its request is routed or
 * its body read; what is not plain is refused, and the connection closed.
 *
 * The library lends the parts of a header where they lie in the bytes that
 * came. A header is plain if its lines follow one another with just a CRLF in
 * between: then nothing stands there that is not seen here.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_GATE_H
#define SUBMIT_HTTP_GATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "submit/http_error.h"

#define HTTP_HEADER_BYTES_MAX  32768
#define HTTP_HEADER_FIELDS_MAX 64

struct http_field {
    struct slice name, value;
};

/* A header where it lies. All its parts point into the same bytes. */
struct http_head {
    struct slice method, uri, version;
    struct http_field fields[HTTP_HEADER_FIELDS_MAX];
    size_t count; /* may be above the maximum: those are not there */
    size_t bytes; /* from the method to the end of the blank line */
};

/* 0: the request may go on; else the status, and *error says why. */
int http_gate_check(const struct http_head *head, struct http_error *error);

/* The only field of that name, compared without case; data is NULL if there is
 * none. */
struct slice http_gate_field(const struct http_head *head, const char *name);

/* True if the header announces a body. */
bool http_gate_has_body(const struct http_head *head);

/* True if the field Host, or its absence, is what a browser on this host sends
 * that was not led here under another name; and Origin, if it is there, names a
 * page from here: a form is sent to other hosts without asking them. */
bool http_gate_is_local(const struct http_head *head);

#endif
