/* SPDX-License-Identifier: MIT */
#include "queue/meter.h"

#include <assert.h>
#include <string.h>

#include "queue/bound.h"

const struct histogram_scale meter_durations = {
    .count = 13,
    .bounds = { 100, 250, 500, 1000, 1500, 2500, 4000, 6000, 10000, 20000,
                60000, 180000, 600000 },
};

struct meter_row *
meter_row(struct meter *meter, int where)
{
    int row = where == BOUND_LOCAL ? METER_LOCAL : where;

    assert(where < CONF_UPSTREAMS_MAX);
    meter->is_touched[row] = true;
    return &meter->rows[row];
}

/* What is unknown adds nothing. */
static uint64_t
known(int64_t number)
{
    return number > 0 ? (uint64_t)number : 0;
}

void
meter_add(struct meter_row *row, const struct conf *conf,
          const struct meter_call *call)
{
    row->classes[call->class]++;
    if (call->class == CLASS_ABORTED || call->class == CLASS_LOST)
        return;
    row->prompt_tokens += known(call->prompt_tokens);
    row->completion_tokens += known(call->completion_tokens);
    row->cost_nano += known(call->cost_nano);
    if (call->latency_ms < 0)
        return;
    histogram_add(&row->durations[call->status], &meter_durations,
                  call->latency_ms);
    row->timed++;
    row->above_t2 += call->latency_ms > conf->t2_ms;
    row->above_t3 += call->latency_ms > conf->t3_ms;
}

void
meter_result(struct meter *meter, enum status status, enum cache_tier tier,
             int64_t cost_nano)
{
    meter->results[status]++;
    if (status != STATUS_OK || tier == CACHE_NONE)
        return;
    meter->reuse[tier].answers++;
    meter->reuse[tier].cost_nano += known(cost_nano);
}

void
meter_copy(struct meter *target, struct meter *source)
{
    for (int row = 0; row < METER_ROWS; row++) {
        if (target->is_touched[row] || source->is_touched[row])
            target->rows[row] = source->rows[row];
        target->is_touched[row] = source->is_touched[row] = false;
    }
    memcpy(target->results, source->results, sizeof(target->results));
    memcpy(target->reuse, source->reuse, sizeof(target->reuse));
}
