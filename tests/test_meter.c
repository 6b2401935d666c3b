/* SPDX-License-Identifier: MIT */
#include "queue/meter.h"

#include <criterion/criterion.h>
#include <string.h>

#include "queue/bound.h"

TestSuite(meter, .timeout = 30);

static struct meter meter, kept;
static struct conf conf;

static void
count_call(int where)
{
    struct meter_call call = { .class = CLASS_OK,
                               .status = STATUS_OK,
                               .latency_ms = 300,
                               .cost_nano = 7 };

    meter_add(meter_row(&meter, where), &conf, &call);
}

static uint64_t
calls_in(const struct meter *one, int row)
{
    return one->rows[row].classes[CLASS_OK];
}

Test(meter, what_was_counted_is_kept)
{
    count_call(3);
    count_call(BOUND_LOCAL);
    meter_result(&meter, STATUS_OK, CACHE_STORE, 9);
    meter_copy(&kept, &meter);
    cr_expect_eq(calls_in(&kept, 3), 1);
    cr_expect_eq(calls_in(&kept, METER_LOCAL), 1);
    cr_expect_eq(kept.rows[3].durations[STATUS_OK].sum, 300);
    cr_expect_eq(kept.results[STATUS_OK], 1);
    cr_expect_eq(kept.reuse[CACHE_STORE].cost_nano, 9);
}

Test(meter, what_was_not_kept_is_taken_back)
{
    count_call(3);
    meter_copy(&kept, &meter);
    count_call(3);
    count_call(5);
    meter_result(&meter, STATUS_OK, CACHE_STORE, 9);
    meter_copy(&meter, &kept);
    cr_expect_eq(calls_in(&meter, 3), 1);
    cr_expect_eq(calls_in(&meter, 5), 0);
    cr_expect_eq(meter.results[STATUS_OK], 0);
    cr_expect_eq(meter.reuse[CACHE_STORE].answers, 0);
}

Test(meter, both_stay_the_same_however_often_they_are_copied)
{
    for (int i = 0; i < 1000; i++) {
        count_call(i * 7 % CONF_UPSTREAMS_MAX);
        if (i % 3 == 0)
            meter_copy(&kept, &meter);
        if (i % 5 == 0)
            meter_copy(&meter, &kept);
        if (i % 15 == 0)
            cr_assert_eq(memcmp(&meter, &kept, sizeof(meter)), 0, "%d", i);
    }
}
