/* SPDX-License-Identifier: MIT */
#include "queue/lane.h"

#include <criterion/criterion.h>

#define NOW_MS  INT64_C(1800000000000)
#define SLOW_MS 2500

/* So many calls are answered while the window is full. */
static void
answer(struct lane *lane, int calls, int64_t latency_ms, int64_t max)
{
    for (int i = 0; i < calls; i++) {
        lane->held = lane_window(lane) - 1;
        lane_answered(lane, latency_ms, SLOW_MS, max, NOW_MS);
    }
}

Test(lane, begins_with_the_operators_limit_where_it_is_small)
{
    struct lane lane;

    lane_init(&lane, 0, 0, 5);
    cr_assert_eq(lane_window(&lane), 5);
    lane_init(&lane, 0, 0, 500);
    cr_assert_eq(lane_window(&lane), LANE_WINDOW_FIRST);
}

Test(lane, doubles_with_its_answers_and_never_passes_the_limit)
{
    struct lane lane;

    lane_init(&lane, 0, 0, 100);
    answer(&lane, LANE_WINDOW_FIRST, 100, 100);
    cr_assert_eq(lane_window(&lane), 2 * LANE_WINDOW_FIRST);
    answer(&lane, 10000, 100, 100);
    cr_assert_eq(lane_window(&lane), 100);
}

Test(lane, a_window_that_is_not_used_does_not_grow)
{
    struct lane lane;

    lane_init(&lane, 0, 0, 100);
    lane.held = 3;
    for (int i = 0; i < 1000; i++)
        lane_answered(&lane, 100, SLOW_MS, 100, NOW_MS);
    cr_assert_eq(lane_window(&lane), LANE_WINDOW_FIRST);
}

Test(lane, one_overload_halves_it_once_for_all_that_was_under_way)
{
    struct lane lane;

    lane_init(&lane, 0, 0, 16);
    lane.held = 16;
    for (int i = 0; i < 16; i++)
        lane_overloaded(&lane, NOW_MS - 100, NOW_MS + i);
    cr_assert_eq(lane_window(&lane), 8);
    lane.held = 8;
    lane_overloaded(&lane, NOW_MS + 100, NOW_MS + 200);
    cr_assert_eq(lane_window(&lane), 4);
}

Test(lane, goes_up_slowly_after_an_overload)
{
    struct lane lane;

    lane_init(&lane, 0, 0, 16);
    lane.held = 16;
    lane_overloaded(&lane, NOW_MS, NOW_MS);
    answer(&lane, 8, 100, 16);
    cr_assert_leq(lane_window(&lane), 9);
    answer(&lane, 1000, 100, 16);
    cr_assert_eq(lane_window(&lane), 16);
}

Test(lane, a_refusal_leaves_three_quarters_and_is_soon_made_good)
{
    struct lane lane;

    lane_init(&lane, 0, 0, 16);
    lane.held = 8;
    lane_refused(&lane, NOW_MS, NOW_MS);
    cr_assert_eq(lane_window(&lane), 6);
    answer(&lane, 2, 100, 16);
    cr_assert_eq(lane_window(&lane), 8);
}

Test(lane, answers_that_take_twice_as_long_as_usual_make_it_smaller)
{
    struct lane lane;

    lane_init(&lane, 0, 0, 16);
    answer(&lane, 208, 2000, 16);
    cr_assert_eq(lane_window(&lane), 16);
    answer(&lane, 16, 8000, 16);
    cr_assert_lt(lane_window(&lane), 16);
}

Test(lane, short_answers_are_never_too_long)
{
    struct lane lane;

    lane_init(&lane, 0, 0, 16);
    answer(&lane, 200, 10, 16);
    answer(&lane, 200, 1000, 16);
    cr_assert_eq(lane_window(&lane), 16);
}

Test(lane, there_is_always_room_for_one)
{
    struct lane lane;

    lane_init(&lane, 0, 0, 1);
    for (int i = 0; i < 20; i++)
        lane_overloaded(&lane, NOW_MS + i, NOW_MS + i);
    cr_assert_eq(lane_window(&lane), 1);
    lane_restart(&lane, NOW_MS);
    cr_assert_eq(lane_window(&lane), 1);
}
