/* SPDX-License-Identifier: MIT */
#include "worker/wave.h"

static void
begin(struct wave *wave, const struct wave_look *look, int64_t now_ms)
{
    bool is_short = look->took_ms > 0 && look->took_ms < wave->window_ms;
    int64_t wait_ms = wave->window_ms;

    wave->is_open = true;
    wave->rest = look->left;
    if (is_short && look->next > 0)
        wave->rest += look->next;
    else if (wait_ms > WAVE_MS)
        wait_ms = WAVE_MS;
    wave->end_ms = now_ms + wait_ms;
}

void
wave_add(struct wave *wave, const struct wave_look *look, int64_t now_ms)
{
    if (look->ended == 0)
        return;
    if (!wave->is_open)
        begin(wave, look, now_ms);
    else
        wave->rest -= look->ended < wave->rest ? look->ended : wave->rest;
}

bool
wave_waits(const struct wave *wave, int64_t now_ms)
{
    return wave->is_open && wave->rest > 0 && now_ms < wave->end_ms;
}

void
wave_end(struct wave *wave)
{
    wave->is_open = false;
}
