/*
 * http_ui.h - what the status page asks for and does
 *
 * Each is one question to the broker, whose answer is passed on, and never a
 * client's own word on whose things it wants to see: that says its token. What
 * changes anything is a POST with a body of JSON, which no form of another site
 * can send.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_UI_H
#define SUBMIT_HTTP_UI_H

#include <cjson/cJSON.h>

#include "submit/http_request.h"

#define HTTP_UI_BODY_BYTES_MAX     4096
#define HTTP_UI_STATUSES_MAX       16
#define HTTP_UI_STATUS_BYTES_MAX   32
#define HTTP_UI_RENDERED_BYTES_MAX 65536 /* of a request, as it was sent */

/* Handlers: GET /ui/batches, /ui/batches/{batch}, …/results/{index} and
 * …/results/{index}/why; POST /ui/batches/{batch}/cancel, /retry, /pause,
 * /resume. */
void http_ui_batches(struct http_request *request);
void http_ui_batch(struct http_request *request);
void http_ui_result(struct http_request *request);
void http_ui_why(struct http_request *request);
void http_ui_cancel(struct http_request *request);
void http_ui_retry(struct http_request *request);
void http_ui_pause(struct http_request *request);
void http_ui_resume(struct http_request *request);

/* Adds to a question about the batch of the route whose it is to be: a client's
 * own, or anybody's for an administrator. */
void http_ui_add_batch(const struct http_request *request, cJSON *head);

/* Reads a number in the query, from 0 to 2^53; `absent` if there is none. 0, or
 * the status, and *error is set. */
int http_ui_number(const struct http_request *request, const char *name,
                   int64_t absent, int64_t *value, struct http_error *error);

#endif
