/*
 * http_call.h - a request that waits for one answer of the broker's
 *
 * Most handlers ask one thing, and reply with what they hear. If the client
 * vanishes meanwhile, the answer is not listened to.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_CALL_H
#define SUBMIT_HTTP_CALL_H

#include <cjson/cJSON.h>

#include "queue/wire.h"
#include "submit/http_request.h"

/* Takes the answer, lent for the call; or NULL, and why there is none. It
 * replies, or calls again. */
typedef void http_then_fn(struct http_request *request, const struct wire *wire,
                          const struct err *err);

/* Asks for what is the client's, and goes on with `then`. The header, which has
 * no `client` yet, is freed, the body copied. What cannot be asked now is
 * replied to with an error. */
void http_call(struct http_request *request, cJSON *head, struct slice body,
               http_then_fn *then);

/* Replies with the error for what the broker has said. */
void http_call_failed(struct http_request *request, const struct err *err);

#endif
