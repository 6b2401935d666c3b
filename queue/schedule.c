/* SPDX-License-Identifier: MIT */
#include "queue/schedule.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct turn {
    uint64_t batch;
    unsigned priority;
    int64_t until_ms; /* asleep before it */
};

struct schedule {
    size_t max, count, capacity;
    struct turn *turns; /* in order of service */
};

struct schedule *
schedule_new(size_t max)
{
    struct schedule *schedule = mem_zalloc(1, sizeof(*schedule));

    schedule->max = max;
    return schedule;
}

void
schedule_free(struct schedule *schedule)
{
    if (!schedule)
        return;
    free(schedule->turns);
    free(schedule);
}

void
schedule_reset(struct schedule *schedule)
{
    schedule->count = 0;
}

bool
schedule_is_full(const struct schedule *schedule)
{
    return schedule->count >= schedule->max;
}

static struct turn *
find(const struct schedule *schedule, uint64_t batch)
{
    for (size_t i = 0; i < schedule->count; i++) {
        if (schedule->turns[i].batch == batch)
            return &schedule->turns[i];
    }
    return NULL;
}

void
schedule_add(struct schedule *schedule, uint64_t batch, unsigned priority)
{
    struct turn *turn = find(schedule, batch);
    size_t at = 0;

    if (turn) {
        turn->until_ms = 0;
        return;
    }
    if (schedule->count == schedule->capacity) {
        schedule->capacity = schedule->capacity * 2 + 16;
        schedule->turns = mem_grow(schedule->turns, schedule->capacity,
                                   sizeof(schedule->turns[0]));
    }
    while (at < schedule->count && (schedule->turns[at].priority > priority ||
                                    (schedule->turns[at].priority == priority &&
                                     schedule->turns[at].batch < batch))) {
        at++;
    }
    memmove(&schedule->turns[at + 1], &schedule->turns[at],
            (schedule->count - at) * sizeof(schedule->turns[0]));
    schedule->turns[at] = (struct turn){ .batch = batch, .priority = priority };
    schedule->count++;
}

void
schedule_remove(struct schedule *schedule, uint64_t batch)
{
    struct turn *turn = find(schedule, batch);

    if (!turn)
        return;
    schedule->count--;
    memmove(turn, turn + 1,
            (schedule->count - (size_t)(turn - schedule->turns)) *
                sizeof(*turn));
}

void
schedule_sleep(struct schedule *schedule, uint64_t batch, int64_t until_ms)
{
    struct turn *turn = find(schedule, batch);

    if (turn)
        turn->until_ms = until_ms;
}

void
schedule_wake(struct schedule *schedule, uint64_t batch)
{
    schedule_sleep(schedule, batch, 0);
}

void
schedule_wake_all(struct schedule *schedule)
{
    for (size_t i = 0; i < schedule->count; i++)
        schedule->turns[i].until_ms = 0;
}

uint64_t
schedule_next(const struct schedule *schedule, int64_t now_ms)
{
    for (size_t i = 0; i < schedule->count; i++) {
        if (schedule->turns[i].until_ms <= now_ms)
            return schedule->turns[i].batch;
    }
    return 0;
}

bool
schedule_is_awake(const struct schedule *schedule, uint64_t batch,
                  int64_t now_ms)
{
    const struct turn *turn = find(schedule, batch);

    return turn && turn->until_ms <= now_ms;
}

int64_t
schedule_next_ms(const struct schedule *schedule, int64_t now_ms)
{
    int64_t next_ms = SCHEDULE_NEVER;

    for (size_t i = 0; i < schedule->count; i++) {
        int64_t until_ms = schedule->turns[i].until_ms;

        if (until_ms > now_ms && until_ms < next_ms)
            next_ms = until_ms;
    }
    return next_ms;
}

size_t
schedule_count(const struct schedule *schedule)
{
    return schedule->count;
}
