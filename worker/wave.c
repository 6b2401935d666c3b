/* SPDX-License-Identifier: MIT */
#include "worker/wave.h"

void
wave_add(struct wave *wave, size_t ended, size_t left, int64_t now_ms)
{
    if (ended == 0)
        return;
    if (wave->is_open) {
        wave->rest -= ended < wave->rest ? ended : wave->rest;
    } else {
        *wave = (struct wave){ .is_open = true,
                               .rest = left,
                               .end_ms = now_ms + WAVE_MS };
    }
}

bool
wave_waits(const struct wave *wave, int64_t now_ms)
{
    return wave->is_open && wave->rest > 0 && now_ms < wave->end_ms;
}

void
wave_end(struct wave *wave)
{
    *wave = (struct wave){ 0 };
}
