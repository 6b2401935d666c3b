/* SPDX-License-Identifier: MIT */
#include "queue/histogram.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const struct histogram_scale scale = { .count = 3,
                                              .bounds = { 10, 100, 1000 } };

Test(histogram, a_figure_on_a_bound_is_below_it)
{
    static const struct {
        int64_t value;
        size_t want;
    } cases[] = { { 0, 0 },   { 10, 0 },       { 11, 1 },   { 100, 1 },
                  { 101, 2 }, { 1000, 2 },     { 1001, 3 }, { INT64_MAX, 3 },
                  { -1, 0 },  { INT64_MIN, 0 } };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct histogram histogram = { 0 };

        histogram_add(&histogram, &scale, cases[i].value);
        cr_expect_eq(histogram.counts[cases[i].want], 1, "%lld",
                     (long long)cases[i].value);
        cr_expect_eq(histogram_total(&histogram), 1);
    }
}

Test(histogram, the_sum_has_nothing_below_zero)
{
    struct histogram histogram = { 0 };

    histogram_add(&histogram, &scale, 7);
    histogram_add(&histogram, &scale, -5);
    histogram_add(&histogram, &scale, 5000);
    cr_assert_eq(histogram.sum, 5007);
}

/* Against a count of every figure. */
Test(histogram, agrees_with_counting_by_hand)
{
    enum { FIGURES = 5000 };
    struct histogram histogram = { 0 };
    uint64_t want[4] = { 0 }, sum = 0;

    srand(11);
    for (int i = 0; i < FIGURES; i++) {
        int64_t value = rand() % 2000;

        want[value > 1000 ? 3 : value > 100 ? 2 : value > 10 ? 1 : 0]++;
        sum += (uint64_t)value;
        histogram_add(&histogram, &scale, value);
    }
    for (size_t i = 0; i < 4; i++)
        cr_expect_eq(histogram.counts[i], want[i], "class %zu", i);
    cr_expect_eq(histogram.sum, sum);
    cr_expect_eq(histogram_total(&histogram), FIGURES);
}
