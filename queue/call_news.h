/*
 * call_news.h - what a call tells of its upstream
 *
 *   refused (429)           the pace, and the window, were too much
 *   a wait is named         suspended until then
 *   stop; nothing found     suspended until it is known to be over, or resumed
 *   failed, no answer       one more in a row for the breaker
 *   overloaded, too late    the window was too much
 *   answered                all is well; so fast, with so many tokens
 *
 * A 404 says stop where nothing was ever answered: it is the address that is
 * wrong, unless its code is `model_not_found`. Pure, but for the log.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_CALL_NEWS_H
#define QUEUE_CALL_NEWS_H

#include "queue/upstreams.h"

/* What came of a call. Strings are borrowed. */
struct call_news {
    uint64_t request;
    enum call_class class;
    uint32_t http_status; /* 0: there was no answer */
    bool was_sent;
    int64_t wait_ms; /* that it named; 0: none */
    const char *wait_from, *code, *message;
    int64_t latency_ms; /* -1: unknown */
    int64_t tokens;     /* that it took; 0 or less: unknown */
    int64_t request_limits[3], token_limits[3]; /* see budget_told() */
};

/* What followed from it. */
#define NEWS_SUSPENDED 1u /* it is suspended now */
#define NEWS_BROKEN    2u
#define NEWS_MENDED    4u
#define NEWS_STOPPED   8u /* this call said stop */

/* Takes note of what came of a call that was leased there. Returns what
 * followed. */
unsigned call_news_apply(struct upstreams *upstreams, const struct bound *bound,
                         const struct call_news *news, int64_t now_ms);

#endif
