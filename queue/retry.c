/* SPDX-License-Identifier: MIT */
#include "queue/retry.h"

#include <assert.h>
#include <string.h>

static const struct {
    uint32_t http_status;
    enum status status;
} statuses[] = {
    { 429, STATUS_RATE_LIMITED },  { 401, STATUS_AUTH_ERROR },
    { 400, STATUS_BAD_REQUEST },   { 404, STATUS_NOT_FOUND },
    { 422, STATUS_UNPROCESSABLE }, { 403, STATUS_PERMISSION_DENIED },
};

int
retry_class_parse(const char *name)
{
    for (int class = 0; class < CLASS_LOST; class ++) {
        if (strcmp(call_class_name((enum call_class) class), name) == 0)
            return class;
    }
    return -1;
}

enum status
retry_status(enum call_class class, uint32_t http_status)
{
    if (class == CLASS_OK)
        return STATUS_OK;
    if (class == CLASS_TRUNCATED || class == CLASS_REFUSED)
        return STATUS_ERROR;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        if (statuses[i].http_status == http_status)
            return statuses[i].status;
    }
    if (http_status >= 500 && http_status <= 599)
        return STATUS_SERVER_ERROR;
    return STATUS_ERROR;
}

int64_t
retry_backoff_ms(uint32_t failures, const struct conf *conf, double chance)
{
    int64_t wait_ms = conf->backoff_base_ms;

    assert(chance >= 0);
    assert(chance < 1);
    for (uint32_t i = 1; i < failures && wait_ms < conf->backoff_cap_ms; i++)
        wait_ms *= 2;
    if (wait_ms > conf->backoff_cap_ms)
        wait_ms = conf->backoff_cap_ms;
    return wait_ms + (int64_t)((double)wait_ms * chance *
                               (double)conf->backoff_jitter_percent / 100);
}

bool
retry_is_uncertain(const struct call_end *end)
{
    return end->class == CLASS_UNCERTAIN ||
           (end->class == CLASS_ABORTED && end->was_sent);
}

/* True if it reached the upstream, or may have. */
static bool
was_asked(const struct call_end *end)
{
    return end->was_sent || end->http_status > 0;
}

/* True if it failed, and another try could help. */
static bool
is_failure(const struct call_end *end)
{
    return end->class == CLASS_RETRYABLE || end->class == CLASS_UNCERTAIN;
}

static void
count(struct request *request, const struct call_end *end)
{
    request->uncertain += retry_is_uncertain(end);
    if (end->class == CLASS_ABORTED)
        return;
    request->attempts++;
    /* It ran alone, and its worker lives to tell. */
    if (request->flags & REQUEST_SUSPECT) {
        request->flags &= ~REQUEST_SUSPECT;
        request->lost = 0;
    }
    if (end->class == CLASS_THROTTLED)
        request->throttled++;
    if (is_failure(end))
        request->failures++;
    request->flags &= ~REQUEST_ELSEWHERE;
}

/* When to try again, after a wait that the server named or our own. */
static int64_t
due_after(const struct request *request, const struct call_end *end,
          const struct conf *conf, int64_t now_ms, double chance)
{
    int64_t backoff_ms = retry_backoff_ms(
        request->failures ? request->failures : 1, conf, chance);
    int64_t jitter_ms = (int64_t)((double)conf->backoff_base_ms * chance *
                                  (double)conf->backoff_jitter_percent / 100);

    /* The server's wait is never shortened: jitter only on top. */
    if (end->wait_ms > 0)
        return now_ms + end->wait_ms + jitter_ms;
    return now_ms + backoff_ms;
}

static bool
has_tries_left(const struct request *request, const struct call_end *end,
               const struct conf *conf)
{
    if (end->class == CLASS_THROTTLED)
        return request->throttled < (uint32_t)conf->throttle_max;
    return is_failure(end) && request->failures < (uint32_t)conf->attempts_max;
}

/* True if another upstream takes it over now: each member of a route is tried
 * once before there is a pause. */
static bool
can_switch(const struct request *request, const struct call_end *end,
           int64_t now_ms)
{
    return end->members > 1 && request->failures % end->members != 0 &&
           end->other_ms <= now_ms;
}

/* True if it goes on though its upstream has to be left alone: that holds the
 * upstream, not the request, which goes where it can, or waits where it is. What
 * is stopped may be resumed in time. */
static bool
can_wait(const struct call_end *end, int64_t deadline_ms)
{
    return end->route_ms < deadline_ms || end->route_ms == INT64_MAX ||
           deadline_ms == INT64_MAX || end->has_resort;
}

struct retry_verdict
retry_decide(struct request *request, const struct call_end *end,
             const struct conf *conf, int64_t now_ms, int64_t deadline_ms,
             double chance)
{
    struct retry_verdict verdict = {
        .action = RETRY_DONE,
        .status = retry_status(end->class, end->http_status),
    };

    assert(end->class != CLASS_LOST);
    count(request, end);
    if (end->class == CLASS_ABORTED) {
        verdict.action = RETRY_READY;
    } else if (end->says_stop) {
        /* Where nobody was asked, nobody has refused it. */
        if (!was_asked(end) ||
            (end->other_ms < deadline_ms && end->other_ms != INT64_MAX))
            verdict.action = RETRY_READY;
    } else if (end->class == CLASS_TRUNCATED && end->can_enlarge &&
               !(request->flags & REQUEST_ENLARGED)) {
        request->flags |= REQUEST_ENLARGED;
        verdict.action = RETRY_READY;
    } else if (has_tries_left(request, end, conf)) {
        verdict.due_ms = due_after(request, end, conf, now_ms, chance);
        if (end->class == CLASS_THROTTLED) {
            if (can_wait(end, deadline_ms))
                verdict.action = RETRY_READY;
        } else if (can_switch(request, end, now_ms)) {
            request->flags |= REQUEST_ELSEWHERE;
            verdict.action = RETRY_READY;
        } else if (verdict.due_ms < deadline_ms) {
            /* A wait beyond the deadline would only end there. */
            verdict.action = RETRY_DELAY;
        }
    }
    return verdict;
}
