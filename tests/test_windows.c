/* SPDX-License-Identifier: MIT */
#include "queue/windows.h"

#include <criterion/criterion.h>
#include <stdio.h>

TestSuite(windows, .timeout = 60);

#define MONDAY_MS INT64_C(1800273600000) /* 2027-01-18T12:00:00Z */
#define HOUR_MS   INT64_C(3600000)

static const struct window *
find(struct windows *windows, const char *spec, const char *zone)
{
    return windows_find(windows, slice_of(spec), slice_of(zone));
}

/* One that is open in the minute of that number of each day. */
static const struct window *
find_nth(struct windows *windows, int minute)
{
    char spec[32];

    (void)snprintf(spec, sizeof(spec), "00:%02d-00:%02d", minute, minute + 1);
    return find(windows, spec, "UTC");
}

Test(windows, are_told_apart_by_spec_and_by_zone)
{
    struct windows *windows = windows_new();

    for (int i = 0; i < 3; i++) {
        cr_expect(window_is_open(find(windows, "12:00-13:00", ""), MONDAY_MS));
        cr_expect_not(window_is_open(find(windows, "12:00-13:00", "Asia/Tokyo"),
                                     MONDAY_MS));
        cr_expect_not(
            window_is_open(find(windows, "13:00-14:00", ""), MONDAY_MS));
    }
    windows_free(windows);
}

Test(windows, are_read_once)
{
    struct windows *windows = windows_new();
    const struct window *first = find(windows, "12:00-13:00", "UTC");

    cr_expect_neq(find(windows, "12:00-13:00", ""), first);
    cr_expect_eq(find(windows, "12:00-13:00", "UTC"), first);
    windows_free(windows);
}

Test(windows, are_none_where_the_text_or_the_zone_is_none)
{
    struct windows *windows = windows_new();

    for (int i = 0; i < 2; i++) {
        cr_expect_null(find(windows, "whenever", "UTC"));
        cr_expect_null(find(windows, "12:00-13:00", "Mars/Olympus"));
        cr_expect_null(find(windows, "", ""));
    }
    windows_free(windows);
}

/* Of more than there is room for, those that were asked for last are kept; and one
 * that was given up is read again. */
Test(windows, keep_those_that_were_asked_for_last)
{
    struct windows *windows = windows_new();
    const struct window *often = find_nth(windows, 0);

    for (int i = 1; i < 59; i++) {
        const struct window *window = find_nth(windows, i);
        int64_t open_ms = window_next_open(window, MONDAY_MS);

        cr_expect_eq(open_ms, MONDAY_MS + 12 * HOUR_MS + i * 60000, "minute %d",
                     i);
        cr_expect_eq(find_nth(windows, 0), often);
    }
    cr_expect_eq(window_next_open(find_nth(windows, 1), MONDAY_MS),
                 MONDAY_MS + 12 * HOUR_MS + 60000);
    windows_free(windows);
}
