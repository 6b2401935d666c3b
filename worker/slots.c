/* SPDX-License-Identifier: MIT */
#include "worker/slots.h"

#include <assert.h>

void
slots_lend(struct slots *slots, int64_t count, int64_t word)
{
    slots->word = word;
    assert(count >= 0);
    slots->lent = count < slots->capacity ? count : slots->capacity;
    slots->must_tell = true;
}

int64_t
slots_free(const struct slots *slots, int64_t in_flight)
{
    return in_flight < slots->lent ? slots->lent - in_flight : 0;
}

int64_t
slots_kept(const struct slots *slots, int64_t in_flight)
{
    return in_flight > slots->lent ? in_flight : slots->lent;
}

bool
slots_is_news(const struct slots *slots, int64_t in_flight)
{
    return slots->must_tell || slots_kept(slots, in_flight) != slots->told;
}

void
slots_tell(struct slots *slots, int64_t count)
{
    slots->told = count;
    slots->must_tell = false;
}
