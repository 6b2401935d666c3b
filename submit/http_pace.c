/* SPDX-License-Identifier: MIT */
#include "submit/http_pace.h"

#include <assert.h>

void
http_pace_enter(struct http_pace *pace, enum http_phase phase, int64_t now_ms)
{
    assert(!pace->is_resting);
    if (phase == HTTP_PHASE_IDLE)
        pace->is_reused = true;
    pace->phase = phase;
    pace->since_ms = now_ms;
    pace->bytes = 0;
}

void
http_pace_rest(struct http_pace *pace, int64_t now_ms)
{
    assert(!pace->is_resting);
    pace->is_resting = true;
    pace->rested_ms = now_ms;
}

void
http_pace_resume(struct http_pace *pace, int64_t now_ms)
{
    assert(pace->is_resting);
    pace->is_resting = false;
    pace->since_ms += now_ms - pace->rested_ms;
}

int64_t
http_pace_end_ms(const struct http_pace *pace)
{
    /* Of a connection that was kept alive nobody sees the next request's first
     * byte: its header has the idle time, and its own. */
    int64_t header_ms = HTTP_HEADER_MS + (pace->is_reused ? HTTP_IDLE_MS : 0);

    if (pace->is_resting)
        return HTTP_PACE_NEVER;
    switch (pace->phase) {
    case HTTP_PHASE_HEADER:
    case HTTP_PHASE_IDLE:
        return pace->since_ms + header_ms;
    case HTTP_PHASE_BODY:
    case HTTP_PHASE_REPLY:
        return pace->since_ms + HTTP_BODY_GRACE_MS +
               pace->bytes * 1000 / HTTP_RATE_BYTES_MIN;
    default:
        return HTTP_PACE_NEVER;
    }
}

const char *
http_phase_name(enum http_phase phase)
{
    static const char *const names[] = {
        [HTTP_PHASE_HEADER] = "header", [HTTP_PHASE_BODY] = "body",
        [HTTP_PHASE_ANSWER] = "answer", [HTTP_PHASE_REPLY] = "reply",
        [HTTP_PHASE_IDLE] = "idle",
    };

    return names[phase];
}
