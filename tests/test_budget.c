/* SPDX-License-Identifier: MIT */
#include "queue/budget.h"

#include <criterion/criterion.h>

#define NOW_MS    INT64_C(1800000000000)
#define MINUTE_MS 60000

/* Takes as early as may be, and counts what each minute sees, whenever it
 * begins. */
static void
check_minutes(int64_t per_minute, double amount, double *used, double *most)
{
    enum { TAKEN_MAX = 20000, MINUTES = 5 };
    static int64_t taken_ms[TAKEN_MAX];
    struct budget budget;
    int64_t now_ms = NOW_MS;
    int count = 0, first = 0;

    budget_init(&budget, per_minute, now_ms);
    *most = 0;
    while (now_ms < NOW_MS + MINUTES * MINUTE_MS && count < TAKEN_MAX) {
        int64_t ready_ms = budget_ready_ms(&budget, amount, now_ms);

        if (ready_ms > now_ms) {
            now_ms = ready_ms;
            continue;
        }
        budget_take(&budget, amount, now_ms);
        taken_ms[count++] = now_ms;
        while (taken_ms[first] <= now_ms - MINUTE_MS)
            first++;
        if ((count - first) * amount > *most)
            *most = (count - first) * amount;
    }
    *used = count * amount / MINUTES;
}

Test(budget, no_minute_sees_more_and_nearly_all_of_it_is_used)
{
    static const int64_t amounts[] = { 1, 6, 60, 500, 3500 };
    double used, most;

    for (size_t i = 0; i < sizeof(amounts) / sizeof(amounts[0]); i++) {
        check_minutes(amounts[i], 1, &used, &most);
        cr_expect_leq(most, (double)amounts[i], "%lld: a minute sees %g",
                      (long long)amounts[i], most);
        cr_expect_geq(used, (double)amounts[i] * 0.8, "%lld: only %g are used",
                      (long long)amounts[i], used);
    }
    check_minutes(200000, 700, &used, &most);
    cr_expect_leq(most, 200000, "of tokens, %g", most);
    cr_expect_geq(used, 190000, "of tokens, only %g", used);
}

Test(budget, without_a_limit_nothing_waits)
{
    struct budget budget = { 0 };

    for (int i = 0; i < 1000; i++) {
        cr_assert_eq(budget_ready_ms(&budget, 1e6, NOW_MS), 0);
        budget_take(&budget, 1e6, NOW_MS);
    }
}

Test(budget, what_is_larger_than_the_bucket_goes_when_it_is_full)
{
    struct budget budget;
    int64_t next_ms;

    budget_init(&budget, 1000, NOW_MS);
    cr_assert_eq(budget_ready_ms(&budget, 800, NOW_MS), 0);
    budget_take(&budget, 800, NOW_MS);
    next_ms = budget_ready_ms(&budget, 1, NOW_MS);
    cr_assert_gt(next_ms, NOW_MS + 40000, "it owes: %lld",
                 (long long)(next_ms - NOW_MS));
}

Test(budget, settling_gives_back_what_was_not_used)
{
    struct budget budget;

    budget_init(&budget, 1200, NOW_MS);
    budget_take(&budget, 60, NOW_MS);
    cr_assert_gt(budget_ready_ms(&budget, 50, NOW_MS), NOW_MS);
    budget_take(&budget, -50, NOW_MS);
    cr_assert_eq(budget_ready_ms(&budget, 50, NOW_MS), 0);
}

Test(budget, a_reply_that_leaves_nothing_is_minded_until_its_reset)
{
    static const int64_t told[] = { 60, 0, 20000 };
    struct budget budget = { 0 };

    budget_told(&budget, told, 0, NOW_MS);
    /* Three a second flow in, so that all is there after 20 s. */
    cr_assert_eq(budget_ready_ms(&budget, 1, NOW_MS), NOW_MS + 334);
    cr_assert_eq(budget_ready_ms(&budget, 60, NOW_MS), NOW_MS + 20000);
    budget_take(&budget, 100, NOW_MS);
    cr_assert_eq(budget_ready_ms(&budget, 60, NOW_MS), NOW_MS + 20000);
    cr_assert_eq(budget_ready_ms(&budget, 60, NOW_MS + 20000), 0);
}

Test(budget, nothing_left_of_nobody_knows_how_much_is_minded_as_well)
{
    static const int64_t told[] = { -1, 0, 20000 };
    struct budget budget = { 0 };

    budget_told(&budget, told, 0, NOW_MS);
    cr_expect_eq(budget_ready_ms(&budget, 1, NOW_MS), NOW_MS + 20000);
    cr_expect_eq(budget_ready_ms(&budget, 1, NOW_MS + 20000), 0);
}

Test(budget, what_is_under_way_is_not_left)
{
    static const int64_t told[] = { 60, 3, 20000 };
    struct budget budget = { 0 };

    budget_told(&budget, told, 2, NOW_MS);
    cr_assert_eq(budget_ready_ms(&budget, 1, NOW_MS), 0);
    budget_take(&budget, 1, NOW_MS);
    cr_assert_gt(budget_ready_ms(&budget, 1, NOW_MS), NOW_MS);
}

Test(budget, what_a_reply_does_not_tell_changes_nothing)
{
    static const int64_t unknown[][3] = { { 60, -1, 1000 },
                                          { 60, 0, -1 },
                                          { 60, 0, 0 },
                                          { -1, -1, -1 },
                                          { 60, 0, INT64_C(86400000) } };

    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        struct budget budget = { 0 };

        budget_told(&budget, unknown[i], 0, NOW_MS);
        cr_assert_eq(budget_ready_ms(&budget, 1, NOW_MS), 0, "case %zu", i);
    }
}
