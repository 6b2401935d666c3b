/*
 * hint.h - how long an upstream asks us to wait
 *
 * And how much more they would take. Upstreams say it in headers or in the
 * error's body, in seven notations. The
 * sources are asked in one order, and the first that names a wait above zero
 * wins. Nothing here shortens or stretches a wait: that is the broker's.
 *
 * All functions are pure: the time is passed in, by the wall clock, as dates in
 * headers are.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_HINT_H
#define WORKER_HINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"
#include "worker/delay.h"

#define HINT_NAME_BYTES_MAX  48
#define HINT_VALUE_BYTES_MAX 64
#define HINT_COUNT_MAX       32 /* headers of one reply that are of interest */
#define HINT_UNKNOWN         (-1)
#define HINT_AMOUNT_MAX      (INT64_C(1) << 53)

struct hint_header {
    char name[HINT_NAME_BYTES_MAX + 1]; /* in lower case */
    char value[HINT_VALUE_BYTES_MAX + 1];
};

/* The headers of a reply that speak of waiting or of retries. */
struct hint_headers {
    size_t count;
    struct hint_header items[HINT_COUNT_MAX];
};

/* What a reply says of one of its limits; HINT_UNKNOWN: nothing. */
struct hint_limit {
    int64_t limit;
    int64_t remaining;
    int64_t reset_ms; /* until it is whole again */
};

struct hint_limits {
    struct hint_limit requests, tokens;
};

/* What can name a wait. */
struct hint_reply {
    const struct hint_headers *headers;
    const struct json_doc *doc; /* the body; no tokens if it is no JSON */
    const char *message;        /* the upstream's error message, or "" */
    int64_t tokens_wanted;      /* what the call would take, estimated */
};

/* Keeps a header if it is of interest and fits; blanks around the value are
 * dropped. */
void hint_keep(struct hint_headers *headers, struct slice name,
               struct slice value);

/* The value of a header, or NULL. The name is in lower case. */
const char *hint_get(const struct hint_headers *headers, const char *name);

/* The wait a reply names, or DELAY_NONE, and in *source where it stands: the
 * name of a header ("retry-after"), or the path of a member of the body
 * ("error.message"); "" if nowhere. With only_explicit the headers that every
 * reply carries, such as those of a rate limit, don't count. */
int64_t hint_wait_ms(const struct hint_reply *reply, bool only_explicit,
                     int64_t now_ms, const char **source);

/* True if the body says that a quota of a whole day is used up: no wait that
 * stands beside it helps. */
bool hint_is_daily(const struct json_doc *doc);

/* Reads the limits that a reply's headers tell of. False if there are none. */
bool hint_limits(const struct hint_headers *headers, int64_t now_ms,
                 struct hint_limits *limits);

/* What x-should-retry says: 1 yes, 0 no, -1 nothing. */
int hint_should_retry(const struct hint_headers *headers);

#endif
