/* SPDX-License-Identifier: MIT */
#include "queue/latency.h"

#include <assert.h>

/* Classes 0 to 3 are these numbers of ms; from there on, class 4n + k holds what
 * begins with the bits 1 and k, n doublings above. */
static unsigned
class_of(int64_t ms)
{
    unsigned doublings = 0, class;

    if (ms < 4)
        return ms > 0 ? (unsigned)ms : 0;
    while (ms >> doublings >= 8)
        doublings++;
    class = 4 * (doublings + 1) + (unsigned)(ms >> doublings & 3);
    return class < LATENCY_CLASSES ? class : LATENCY_CLASSES - 1;
}

/* The longest duration of a class. */
static int64_t
longest_of(unsigned class)
{
    unsigned doublings = class / 4;

    if (doublings == 0)
        return class;
    return ((INT64_C(5) + class % 4) << (doublings - 1)) - 1;
}

/* Lets what was counted fade. */
static void
halve(struct latency *latency)
{
    latency->total = 0;
    for (unsigned i = 0; i < LATENCY_CLASSES; i++) {
        latency->counts[i] /= 2;
        latency->total += latency->counts[i];
    }
}

void
latency_add(struct latency *latency, int64_t ms)
{
    if (latency->total >= LATENCY_CALLS_MAX)
        halve(latency);
    latency->counts[class_of(ms)]++;
    latency->total++;
}

void
latency_merge(struct latency *latency, const struct latency *other)
{
    for (unsigned i = 0; i < LATENCY_CLASSES; i++) {
        unsigned sum = latency->counts[i] + (unsigned)other->counts[i];

        latency->counts[i] = (uint16_t)(sum < UINT16_MAX ? sum : UINT16_MAX);
    }
    latency->total = 0;
    for (unsigned i = 0; i < LATENCY_CLASSES; i++)
        latency->total += latency->counts[i];
}

int64_t
latency_percentile(const struct latency *latency, unsigned percent)
{
    uint64_t seen = 0;

    assert(percent <= 100);
    if (latency->total == 0)
        return -1;
    for (unsigned i = 0; i < LATENCY_CLASSES; i++) {
        seen += latency->counts[i];
        if (latency->counts[i] > 0 &&
            seen * 100 >= (uint64_t)latency->total * percent) {
            return longest_of(i);
        }
    }
    return longest_of(LATENCY_CLASSES - 1);
}
