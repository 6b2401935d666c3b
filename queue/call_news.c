/* SPDX-License-Identifier: MIT */
#include "queue/call_news.h"

#include <string.h>

#include "base/log.h"
#include "queue/wire.h"

#define HTTP_NOT_FOUND   404
#define HTTP_TOO_MANY    429
#define HTTP_UNAVAILABLE 503
#define HTTP_TIMEOUT     504
#define HTTP_OVERLOADED  529

static void
suspend(struct upstream *upstream, const struct call_news *news,
        int64_t until_ms, int64_t now_ms)
{
    struct upstream_row *row = &upstream->row;

    /* None is shortened by a later one. */
    if (until_ms <= row->until_ms)
        return;
    row->until_ms = until_ms;
    row->since_ms = now_ms;
    row->http_status = news->http_status;
    upstreams_set_text(row->code, sizeof(row->code), news->code);
    upstreams_set_text(row->message, sizeof(row->message), news->message);
    upstreams_set_text(row->source, sizeof(row->source), news->wait_from);
    upstream->is_changed = true;
    log_warn("event=upstream_suspended upstream=%s status=%u "
             "code=\"%s\" wait_ms=%lld",
             row->name, row->http_status, row->code,
             until_ms == UPSTREAM_STOPPED ? -1LL
                                          : (long long)(until_ms - now_ms));
}

/* A server that takes nobody's calls for now, and says how long. */
static bool
names_a_wait(const struct call_news *news)
{
    return news->wait_ms > 0 && (news->class == CLASS_THROTTLED ||
                                 news->http_status == HTTP_TOO_MANY ||
                                 news->http_status == HTTP_UNAVAILABLE ||
                                 news->http_status == HTTP_OVERLOADED);
}

/* Where nothing was ever found, it is the address that is wrong; but not where
 * somebody knows which models there are. */
static bool
says_stop(const struct upstream *upstream, const struct call_news *news)
{
    return news->class == CLASS_STOP ||
           (news->class == CLASS_PERMANENT &&
            news->http_status == HTTP_NOT_FOUND &&
            upstream->row.answered_ms == 0 &&
            strcmp(news->code, WIRE_NO_MODEL) != 0);
}

/* Too many calls, for now. One that is not to be tried again is about something
 * else: a quota, or the request. */
static bool
is_refusal(const struct call_news *news)
{
    return news->http_status == HTTP_TOO_MANY &&
           (news->class == CLASS_THROTTLED || news->class == CLASS_RETRYABLE);
}

static bool
is_failure(const struct call_news *news)
{
    return (news->class == CLASS_RETRYABLE || news->class == CLASS_UNCERTAIN) &&
           news->http_status != HTTP_TOO_MANY;
}

static bool
is_overload(const struct call_news *news)
{
    return news->http_status == HTTP_UNAVAILABLE ||
           news->http_status == HTTP_TIMEOUT ||
           news->http_status == HTTP_OVERLOADED ||
           (is_failure(news) && news->http_status == 0 && news->was_sent);
}

/* Rate, budgets and window: what is learnt of how much it takes. */
static void
learn(struct upstreams *upstreams, const struct bound *bound,
      const struct call_news *news, int64_t now_ms)
{
    struct upstream *upstream = upstreams_at(upstreams, bound->where);
    const struct conf *conf = upstreams->conf;
    struct lane *lane = upstreams_need_lane(upstreams, bound);
    int64_t wait_ms = news->wait_ms > 0 ? news->wait_ms : conf->backoff_base_ms;

    if (is_refusal(news)) {
        upstream->refusals++;
        pace_refused(&upstream->pace, bound->leased_ms, now_ms,
                     now_ms + wait_ms);
        lane_refused(lane, bound->leased_ms, now_ms);
        log_info("event=upstream_refused upstream=%s wait_ms=%lld pace=%s "
                 "rate=%.3f",
                 upstream->conf->name, (long long)news->wait_ms,
                 pace_state_name(upstream->pace.state), upstream->pace.rate);
    } else if (news->http_status > 0) {
        pace_accepted(&upstream->pace, bound->leased_ms, now_ms);
    }
    if (is_overload(news))
        lane_overloaded(lane, bound->leased_ms, now_ms);
    if (news->class == CLASS_OK && news->latency_ms >= 0) {
        lane_answered(lane, news->latency_ms, conf->t2_ms,
                      upstreams_calls_max(upstreams, upstream), now_ms);
    }
    if (news->tokens > 0) {
        budget_take(&upstream->tokens,
                    (double)news->tokens - (double)bound->tokens, now_ms);
    }
    budget_told(&upstream->requests, news->request_limits,
                upstream->held > 0 ? upstream->held - 1 : 0, now_ms);
    budget_told(&upstream->tokens, news->token_limits, 0, now_ms);
}

static void
note_failure(struct upstream_failure *last, const struct call_news *news)
{
    last->http_status = news->http_status;
    upstreams_set_text(last->code, sizeof(last->code), news->code);
    upstreams_set_text(last->message, sizeof(last->message), news->message);
}

/* The breaker: what is learnt of whether it works. */
static unsigned
judge(struct upstreams *upstreams, struct upstream *upstream,
      const struct call_news *news, int64_t now_ms)
{
    const struct conf *conf = upstreams->conf;
    const struct breaker_rules rules = {
        .failures = (uint32_t)conf->breaker_failures,
        .pause_ms = conf->breaker_pause_ms,
        .pause_max_ms = conf->breaker_pause_max_ms,
    };
    struct breaker *breaker = &upstream->breaker;

    if (is_failure(news)) {
        upstream->failures++;
        upstream->is_changed = true;
        note_failure(&upstream->last, news);
        if (!breaker_failed(breaker, &rules, news->request, now_ms))
            return 0;
        log_warn("event=upstream_broken upstream=%s failures=%u pause_ms=%lld",
                 upstream->conf->name, breaker->failures,
                 (long long)breaker->pause_ms);
        return NEWS_BROKEN;
    }
    upstream->is_changed |= breaker->failures > 0;
    if (!breaker_answered(breaker))
        return 0;
    for (size_t i = 0; i < upstreams->lane_count; i++) {
        if (&upstreams->list[upstreams->lanes[i].where] == upstream)
            lane_restart(&upstreams->lanes[i], now_ms);
    }
    log_info("event=upstream_mended upstream=%s", upstream->conf->name);
    return NEWS_MENDED;
}

unsigned
call_news_apply(struct upstreams *upstreams, const struct bound *bound,
                const struct call_news *news, int64_t now_ms)
{
    struct upstream *upstream;
    unsigned followed;

    if (bound->where == BOUND_LOCAL)
        return 0;
    if (news->class == CLASS_ABORTED) {
        if (!news->was_sent)
            upstreams_returned(upstreams, bound, now_ms);
        return 0;
    }
    upstream = upstreams_at(upstreams, bound->where);
    upstream->calls++;
    learn(upstreams, bound, news, now_ms);
    followed = judge(upstreams, upstream, news, now_ms);
    if (news->class == CLASS_OK && upstream->row.answered_ms == 0) {
        upstream->row.answered_ms = now_ms;
        upstream->is_changed = true;
    }
    if (says_stop(upstream, news)) {
        suspend(upstream, news,
                news->wait_ms > 0 ? now_ms + news->wait_ms : UPSTREAM_STOPPED,
                now_ms);
        followed |= NEWS_STOPPED;
    } else if (names_a_wait(news)) {
        suspend(upstream, news, now_ms + news->wait_ms, now_ms);
    }
    if (upstream->row.until_ms > now_ms)
        followed |= NEWS_SUSPENDED;
    return followed;
}
