/*
 * http_batches.h - OpenAI's Batches API
 *
 * A batch is one that the broker makes from a file; others are not shown. What
 * Sheaf can do beyond that API is asked for by further members of the request,
 * such as SDKs take as `extra_body`.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_BATCHES_H
#define SUBMIT_HTTP_BATCHES_H

#include "queue/wire.h"
#include "submit/http_route.h"

#define HTTP_BATCH_BYTES_MAX    1048576 /* of a request that makes one */
#define HTTP_BATCHES_LIMIT      20      /* of a page, unless it is said */
#define HTTP_BATCHES_LIMIT_MAX  100
#define HTTP_COMPLETION_MS_MAX  INT64_C(31536000000)
#define HTTP_EXPIRES_S_MIN      3600
#define HTTP_EXPIRES_S_MAX      2592000
#define HTTP_BATCH_PRIORITY_MAX 3

/* POST and GET /v1/batches; GET /v1/batches/{batch}; POST …/cancel. */
http_handler_fn http_batch_new, http_batches_list, http_batches_get,
    http_batches_cancel;

/* Reads the body of a request for a batch into the header of an `open`, and what
 * holds for all drafts into `options`, an object. 0; or the status of a refusal,
 * and *error. */
int http_batch_read(struct slice body, int64_t wall_ms, cJSON *head,
                    struct buf *options, struct http_error *error);

/* The milliseconds of a completion window, such as 24h, 90m or 7d; -1: it is
 * none, or out of range. */
int64_t http_batch_window_ms(const char *text);

#endif
