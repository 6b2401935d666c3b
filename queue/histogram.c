/* SPDX-License-Identifier: MIT */
#include "queue/histogram.h"

#include <assert.h>

void
histogram_add(struct histogram *histogram, const struct histogram_scale *scale,
              int64_t value)
{
    size_t at = 0;

    assert(scale->count > 0);
    assert(scale->count <= HISTOGRAM_BOUNDS_MAX);
    if (value < 0)
        value = 0;
    while (at < scale->count && value > scale->bounds[at])
        at++;
    histogram->counts[at]++;
    histogram->sum += (uint64_t)value;
}

uint64_t
histogram_total(const struct histogram *histogram)
{
    uint64_t total = 0;

    for (size_t i = 0; i <= HISTOGRAM_BOUNDS_MAX; i++)
        total += histogram->counts[i];
    return total;
}
