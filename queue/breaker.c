/* SPDX-License-Identifier: MIT */
#include "queue/breaker.h"

#include <assert.h>

static const struct {
    const char *name;
    unsigned to;
} states[BREAKER_STATE_COUNT] = {
#define BREAKER_ROW(name, text, to) [BREAKER_##name] = { text, to },
    BREAKER_STATES(BREAKER_ROW)
#undef BREAKER_ROW
};

const char *
breaker_state_name(enum breaker_state state)
{
    assert(state < BREAKER_STATE_COUNT);
    return states[state].name;
}

bool
breaker_may_move(enum breaker_state from, enum breaker_state to)
{
    assert(from < BREAKER_STATE_COUNT);
    assert(to < BREAKER_STATE_COUNT);
    return (states[from].to >> to & 1u) != 0;
}

static void
move(struct breaker *breaker, enum breaker_state to)
{
    assert(breaker_may_move(breaker->state, to));
    breaker->state = to;
}

int64_t
breaker_ready_ms(const struct breaker *breaker)
{
    return breaker->state == BREAKER_OPEN ? breaker->until_ms : 0;
}

void
breaker_call(struct breaker *breaker, int64_t now_ms)
{
    if (breaker->state != BREAKER_OPEN)
        return;
    assert(now_ms >= breaker->until_ms);
    move(breaker, BREAKER_PROBING);
}

static void
open_up(struct breaker *breaker, const struct breaker_rules *rules,
        int64_t now_ms)
{
    int64_t pause_ms =
        breaker->pause_ms ? breaker->pause_ms * 2 : rules->pause_ms;

    breaker->pause_ms =
        pause_ms < rules->pause_max_ms ? pause_ms : rules->pause_max_ms;
    breaker->until_ms = now_ms + breaker->pause_ms;
    move(breaker, BREAKER_OPEN);
}

static void
note_request(struct breaker *breaker, uint64_t request)
{
    for (uint32_t i = 0; i < breaker->request_count; i++) {
        if (breaker->requests[i] == request)
            return;
    }
    if (breaker->request_count < BREAKER_REQUESTS)
        breaker->requests[breaker->request_count++] = request;
}

bool
breaker_failed(struct breaker *breaker, const struct breaker_rules *rules,
               uint64_t request, int64_t now_ms)
{
    if (breaker->state == BREAKER_OPEN)
        return false; /* it was made before */
    if (breaker->failures < UINT32_MAX)
        breaker->failures++;
    note_request(breaker, request);
    if (breaker->state == BREAKER_CLOSED &&
        (breaker->failures < rules->failures ||
         breaker->request_count < BREAKER_REQUESTS)) {
        return false;
    }
    open_up(breaker, rules, now_ms);
    return true;
}

bool
breaker_answered(struct breaker *breaker)
{
    if (breaker->state == BREAKER_OPEN)
        return false;
    if (breaker->state == BREAKER_PROBING) {
        breaker_reset(breaker);
        return true;
    }
    breaker->failures = 0;
    breaker->request_count = 0;
    return false;
}

void
breaker_reset(struct breaker *breaker)
{
    if (breaker->state != BREAKER_CLOSED)
        move(breaker, BREAKER_CLOSED);
    *breaker = (struct breaker){ 0 };
}
