/*
 * http_history.h - how the broker's figures were, for the page's plots
 *
 * A ring of samples, taken from `stats` one after another, whether anybody
 * looks or not: so a page that was just opened has an hour to show. Counts are
 * kept as they came, since the broker's start; who plots them looks at
 * differences, and sees by the uptime that the broker was started anew.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_HISTORY_H
#define SUBMIT_HTTP_HISTORY_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "base/buf.h"

#define HTTP_HISTORY_MS  5000 /* between samples */
#define HTTP_HISTORY_MAX 720  /* samples: an hour */

/*    column               what it is; latencies are null while nothing calls */
/* clang-format off */
#define HTTP_HISTORY_COLUMNS(X)                                            \
    X(at)                /* when, by the gateway's wall clock */           \
    X(uptime_ms)         /* of the broker */                               \
    X(p50_ms)            /* of the upstream whose p95 is the highest */    \
    X(p95_ms)                                                              \
    X(calls)             /* that have ended */                             \
    X(calls_failed)                                                        \
    X(drafts)            /* accepted */                                    \
    X(reused)            /* of them: joined, or served from the cache */   \
    X(prompt_tokens)                                                       \
    X(completion_tokens)                                                   \
    X(cost_usd)                                                            \
    X(waiting)           /* requests that are ready or delayed */          \
    X(in_flight)
/* clang-format on */

struct http_history;

struct http_history *http_history_new(void);
void http_history_free(struct http_history *history);

/* Adds a sample; the oldest one goes when there are HTTP_HISTORY_MAX. */
void http_history_add(struct http_history *history, const cJSON *stats,
                      int64_t wall_ms);

/* Samples that there ever were: the number of the newest one. */
uint64_t http_history_last(const struct http_history *history);

/* Appends, as a JSON object, those behind number `after` (0: all that are
 * left): {"every_ms":…,"max":…,"columns":[…],"rows":[[…],…]}. */
void http_history_write(const struct http_history *history, uint64_t after,
                        struct buf *out);

#endif
