/* SPDX-License-Identifier: MIT */
#include "tests/fair/schedule_plain.h"

#include <stdlib.h>

#include "base/mem.h"
#include "queue/schedule.h"

struct entry {
    uint64_t batch, place;
    int64_t until_ms; /* asleep before it */
};

struct schedule {
    size_t max, count;
    struct entry *entries;
    uint64_t last;
};

struct schedule *
schedule_new(const struct schedule_rules *rules)
{
    struct schedule *schedule = mem_zalloc(1, sizeof(*schedule));

    schedule->max = rules->max;
    schedule->entries = mem_zalloc(rules->max, sizeof(struct entry));
    return schedule;
}

void
schedule_free(struct schedule *schedule)
{
    if (!schedule)
        return;
    free(schedule->entries);
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

size_t
schedule_count(const struct schedule *schedule)
{
    return schedule->count;
}

static struct entry *
find(const struct schedule *schedule, uint64_t batch)
{
    for (size_t i = 0; i < schedule->count; i++) {
        if (schedule->entries[i].batch == batch)
            return &schedule->entries[i];
    }
    return NULL;
}

void
schedule_add(struct schedule *schedule, uint64_t batch,
             const struct schedule_terms *terms)
{
    (void)terms;
    if (find(schedule, batch)) {
        schedule_wake(schedule, batch);
        return;
    }
    schedule->entries[schedule->count++] =
        (struct entry){ .batch = batch, .place = ++schedule->last };
}

void
schedule_remove(struct schedule *schedule, uint64_t batch)
{
    struct entry *entry = find(schedule, batch);

    if (entry)
        *entry = schedule->entries[--schedule->count];
}

void
schedule_sleep(struct schedule *schedule, uint64_t batch, int64_t until_ms)
{
    struct entry *entry = find(schedule, batch);

    if (entry)
        entry->until_ms = until_ms;
}

void
schedule_wake(struct schedule *schedule, uint64_t batch)
{
    schedule_sleep(schedule, batch, 0);
}

uint64_t
schedule_next(struct schedule *schedule, int64_t now_ms)
{
    const struct entry *first = NULL;

    for (size_t i = 0; i < schedule->count; i++) {
        const struct entry *entry = &schedule->entries[i];

        if (entry->until_ms <= now_ms &&
            (!first || entry->place < first->place)) {
            first = entry;
        }
    }
    return first ? first->batch : 0;
}

struct charge
schedule_charge(struct schedule *schedule, uint64_t batch, int64_t tokens)
{
    struct entry *entry = find(schedule, batch);

    (void)tokens;
    if (entry)
        entry->place = plain_place(entry->place, ++schedule->last);
    return (struct charge){ 0 };
}

void
schedule_settle(struct schedule *schedule, struct charge *charge,
                int64_t tokens)
{
    (void)schedule;
    (void)charge;
    (void)tokens;
}

bool
schedule_is_awake(const struct schedule *schedule, uint64_t batch,
                  int64_t now_ms)
{
    const struct entry *entry = find(schedule, batch);

    return entry && entry->until_ms <= now_ms;
}

int64_t
schedule_next_ms(struct schedule *schedule, int64_t now_ms)
{
    int64_t next_ms = SCHEDULE_NEVER;

    for (size_t i = 0; i < schedule->count; i++) {
        int64_t until_ms = schedule->entries[i].until_ms;

        if (until_ms > now_ms && until_ms < next_ms)
            next_ms = until_ms;
    }
    return next_ms;
}
