/* SPDX-License-Identifier: MIT */
#include "queue/latency.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static int
compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

    return left < right ? -1 : left > right;
}

/* Against all durations, sorted. */
Test(latency, quantiles_are_right_within_a_fifth)
{
    static const unsigned percents[] = { 1, 25, 50, 90, 95, 99, 100 };
    enum { CALLS = 1000 };
    struct latency latency = { 0 };
    int64_t all[CALLS];

    srand(7);
    for (int i = 0; i < CALLS; i++) {
        all[i] = rand() % (1 << rand() % 20);
        latency_add(&latency, all[i]);
    }
    qsort(all, CALLS, sizeof(all[0]), compare);
    for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
        int64_t want = all[CALLS * percents[i] / 100 - 1];
        int64_t got = latency_percentile(&latency, percents[i]);

        cr_expect_geq(got, want, "%u %%: %lld for %lld", percents[i],
                      (long long)got, (long long)want);
        cr_expect_leq(got, want + want / 4 + 1, "%u %%: %lld for %lld",
                      percents[i], (long long)got, (long long)want);
    }
}

Test(latency, an_empty_profile_knows_nothing)
{
    struct latency latency = { 0 };

    cr_assert_eq(latency_percentile(&latency, 50), -1);
}

Test(latency, any_duration_has_a_class)
{
    static const int64_t odd[] = { INT64_MIN, -1, 0, INT64_MAX };
    struct latency latency = { 0 };

    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        latency_add(&latency, odd[i]);
    cr_assert_eq(latency.total, 4);
    cr_assert_eq(latency_percentile(&latency, 50), 0);
    cr_assert_gt(latency_percentile(&latency, 100), 86400000);
}

Test(latency, older_calls_fade)
{
    struct latency latency = { 0 };

    for (int i = 0; i < 5000; i++)
        latency_add(&latency, 100);
    for (int i = 0; i < 2000; i++)
        latency_add(&latency, 10000);
    cr_assert_gt(latency_percentile(&latency, 50), 9000);
    cr_assert_leq(latency.total, LATENCY_CALLS_MAX);
}
