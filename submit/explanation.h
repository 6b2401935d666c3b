/*
 * explanation.h - the answer to `why`, for people
 *
 *   t-4 waits for its backoff until 12:03:07Z (in 8 s), after attempt 2 of 5: 503
 *
 *   ATTEMPT  ENDED  …
 *
 *   request     42, which is delayed …
 *   key         …
 *
 * The answer in one sentence first, then the calls that were made, then what the
 * key of the request was made of, with long texts cut short. Pure: it takes the
 * broker's answer, and its time.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_EXPLANATION_H
#define SUBMIT_EXPLANATION_H

#include <cjson/cJSON.h>

#include "base/buf.h"
#include "base/err.h"
#include "queue/wire.h"

#define EXPLANATION_TEXT_MAX 240 /* bytes of a text are shown */

/* Appends the explanation. E_PROTOCOL: the answer is none. */
int explanation_add(const struct wire *reply, struct buf *out, struct err *err)
    __attribute__((warn_unused_result));

/* Adds what the key is the digest of to an object: a member for each part, or
 * null without a body. */
void explanation_digested(cJSON *object, const char *name, struct slice body);

#endif
