/* SPDX-License-Identifier: MIT */
#include "queue/schedule.h"

#include <criterion/criterion.h>
#include <stdlib.h>

Test(schedule, the_urgent_and_then_the_older_come_first)
{
    static const struct {
        uint64_t batch;
        unsigned priority;
    } batches[] = {
        { 5, 1 }, { 3, 0 }, { 9, 3 }, { 4, 1 }, { 7, 3 }, { 1, 0 }
    };
    static const uint64_t order[] = { 7, 9, 4, 5, 1, 3 };
    struct schedule *schedule = schedule_new(10);

    cr_expect_eq(schedule_next(schedule, 0), 0);
    for (size_t i = 0; i < 6; i++)
        schedule_add(schedule, batches[i].batch, batches[i].priority);
    for (size_t i = 0; i < 6; i++) {
        cr_expect_eq(schedule_next(schedule, 0), order[i]);
        schedule_remove(schedule, order[i]);
        schedule_remove(schedule, order[i]);
        cr_expect_eq(schedule_count(schedule), 5 - i);
    }
    cr_expect_eq(schedule_next(schedule, 0), 0);
    schedule_free(schedule);
    schedule_free(NULL);
}

Test(schedule, sleepers_wake_in_time_or_when_they_are_woken)
{
    struct schedule *schedule = schedule_new(10);

    for (uint64_t batch = 1; batch <= 3; batch++)
        schedule_add(schedule, batch, 1);
    cr_expect_eq(schedule_next_ms(schedule, 0), SCHEDULE_NEVER);
    schedule_sleep(schedule, 1, 100);
    schedule_sleep(schedule, 2, SCHEDULE_NEVER);
    schedule_sleep(schedule, 4711, 1);
    cr_expect_eq(schedule_next(schedule, 50), 3);
    cr_expect_eq(schedule_next_ms(schedule, 50), 100);
    cr_expect_eq(schedule_next_ms(schedule, 100), SCHEDULE_NEVER,
                 "it is awake, and waits for nothing");
    cr_expect_eq(schedule_next(schedule, 100), 1);
    cr_expect(schedule_is_awake(schedule, 1, 100));
    cr_expect_not(schedule_is_awake(schedule, 1, 99));
    cr_expect_not(schedule_is_awake(schedule, 2, INT64_MAX - 1));
    cr_expect_not(schedule_is_awake(schedule, 4711, 100));
    schedule_wake(schedule, 2);
    schedule_sleep(schedule, 1, 200);
    cr_expect_eq(schedule_next(schedule, 150), 2);
    schedule_sleep(schedule, 2, 300);
    schedule_sleep(schedule, 3, 300);
    cr_expect_eq(schedule_next(schedule, 150), 0);
    cr_expect_eq(schedule_next_ms(schedule, 150), 200);
    schedule_wake_all(schedule);
    cr_expect_eq(schedule_next(schedule, 150), 1);
    /* Adding one that is there wakes it. */
    schedule_sleep(schedule, 1, 900);
    schedule_add(schedule, 1, 1);
    cr_expect_eq(schedule_next(schedule, 150), 1);
    cr_expect_eq(schedule_count(schedule), 3);
    schedule_free(schedule);
}

/* A limit that was lowered leaves no batch out. */
Test(schedule, none_is_left_out_when_it_is_full)
{
    struct schedule *schedule = schedule_new(2);

    for (uint64_t batch = 1; batch <= 100; batch++) {
        cr_expect_eq(schedule_is_full(schedule), batch > 2);
        schedule_add(schedule, batch, (unsigned)(batch % 4));
    }
    cr_expect_eq(schedule_count(schedule), 100);
    cr_expect_eq(schedule_next(schedule, 0), 3);
    schedule_reset(schedule);
    cr_expect_eq(schedule_count(schedule), 0);
    cr_expect_not(schedule_is_full(schedule));
    schedule_free(schedule);
}

/* Random operations, checked against plain arrays. */
Test(schedule, agrees_with_a_naive_model)
{
    enum { BATCHES = 30, STEPS = 20000 };
    struct schedule *schedule = schedule_new(BATCHES);
    bool is_there[BATCHES + 1] = { false };
    int64_t until_ms[BATCHES + 1] = { 0 };

    srand(1);
    for (int step = 0; step < STEPS; step++) {
        uint64_t batch = 1 + (uint64_t)rand() % BATCHES, first = 0;
        int64_t now_ms = rand() % 100, next_ms = SCHEDULE_NEVER;

        switch (rand() % 4) {
        case 0:
            schedule_add(schedule, batch, batch % 4);
            is_there[batch] = true;
            until_ms[batch] = 0;
            break;
        case 1:
            schedule_remove(schedule, batch);
            is_there[batch] = false;
            break;
        default:
            until_ms[batch] = rand() % 100;
            schedule_sleep(schedule, batch, until_ms[batch]);
        }
        for (uint64_t i = BATCHES; i >= 1; i--) {
            if (!is_there[i])
                continue;
            if (until_ms[i] <= now_ms && (!first || i % 4 >= first % 4))
                first = i;
            if (until_ms[i] > now_ms && until_ms[i] < next_ms)
                next_ms = until_ms[i];
        }
        cr_assert_eq(schedule_next(schedule, now_ms), first);
        cr_assert_eq(schedule_next_ms(schedule, now_ms), next_ms);
    }
    schedule_free(schedule);
}
