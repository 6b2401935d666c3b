/* SPDX-License-Identifier: MIT */
#include "worker/wave.h"

void
wave_add(struct wave *wave, size_t ended, size_t left, int64_t took_ms,
         int64_t now_ms)
{
    if (ended == 0)
        return;
    if (wave->state != WAVE_CLOSED) {
        wave->rest -= ended < wave->rest ? ended : wave->rest;
    } else {
        *wave = (struct wave){ .state = WAVE_OWN,
                               .rest = left,
                               .end_ms = now_ms + WAVE_MS };
    }
    if (took_ms > wave->took_ms)
        wave->took_ms = took_ms;
}

bool
wave_waits(const struct wave *wave, int64_t now_ms)
{
    return wave->state != WAVE_CLOSED && wave->rest > 0 &&
           now_ms < wave->end_ms;
}

bool
wave_may_go_on(const struct wave *wave, int64_t window_ms)
{
    return wave->state == WAVE_OWN && wave->took_ms > 0 &&
           wave->took_ms < window_ms;
}

void
wave_go_on(struct wave *wave, size_t next, int64_t window_ms, int64_t now_ms)
{
    wave->state = WAVE_NEXT;
    wave->rest = next;
    wave->end_ms = now_ms + window_ms;
}

void
wave_end(struct wave *wave)
{
    *wave = (struct wave){ 0 };
}
