/*
 * http_query.h - the parameters of a query, read one by one
 *
 * What is wrong with the first bad one is kept in `error`; its status is 0 as
 * long as all were right.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_QUERY_H
#define SUBMIT_HTTP_QUERY_H

#include <stdint.h>

#include "submit/http_request.h"

#define HTTP_QUERY_TEXT_BYTES 128 /* of a value, with its NUL */

struct http_query {
    const struct http_request *request; /* borrowed */
    struct http_error error;
    char text[HTTP_QUERY_TEXT_BYTES]; /* of the last one that was read */
    char id[HTTP_QUERY_TEXT_BYTES];   /* of the last id */
};

/* True if the parameter is there; its value is in text. */
bool http_query_text(struct http_query *query, const char *name);

/* An integer from min to max; `absent` if it is not there. */
int64_t http_query_int(struct http_query *query, const char *name, int64_t min,
                       int64_t max, int64_t absent);

/* The UUID in an id with that prefix, until the next id is read; NULL if it is
 * not there. */
const char *http_query_id(struct http_query *query, const char *name,
                          const char *prefix);

#endif
