/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* gmtime_r */
#include "base/clock.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HOUR   INT64_C(3600000)
#define THEN   INT64_C(1800000000000) /* the wall clock's, when it was marked */
#define LATEST INT64_C(1799999990000) /* the steady time then */

Test(clock, lets_pass_what_really_passed_as_far_as_that_is_known)
{
    static const struct {
        const char *claim;
        const char *boot_then, *boot_now;
        int64_t boot_then_ms, boot_now_ms, wall_then_ms, wall_now_ms;
        int64_t want_ms; /* beyond LATEST */
    } cases[] = {
        { "within a boot", "a", "a", 1000, 6000, THEN, THEN + 5000, 5000 },
        { "within a boot, the clock an hour back", "a", "a", 1000, 6000, THEN,
          THEN - HOUR, 5000 },
        { "within a boot, the clock 25 hours ahead", "a", "a", 1000, 6000, THEN,
          THEN + 25 * HOUR, 5000 },
        { "over a boot", "a", "b", 9000, 100, THEN, THEN + HOUR, HOUR },
        { "over a boot, the clock an hour back", "a", "b", 9000, 100, THEN,
          THEN - HOUR, 0 },
        { "over a boot into 1970", "a", "b", 9000, 100, THEN, 5, 0 },
        { "over a boot into 2099", "a", "b", 9000, 100, THEN, THEN + 73 * HOUR,
          73 * HOUR },
        { "a machine put back to an earlier state", "a", "a", 9000, 8000, THEN,
          THEN + 3000, 3000 },
        { "and its clock, too", "a", "a", 9000, 8000, THEN, THEN - 1000, 0 },
        { "where boots have no names", "", "", 9000, 9500, THEN, THEN + 70000,
          70000 },
        { "of a store without a mark, by the wall clock", "", "a", 0, 9000, 0,
          THEN, THEN - LATEST },
        { "but not back", "", "a", 0, 9000, 0, LATEST - HOUR, 0 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct clock_mark then = { .boot_ms = cases[i].boot_then_ms,
                                   .wall_ms = cases[i].wall_then_ms };
        struct clock_mark now = { .boot_ms = cases[i].boot_now_ms,
                                  .wall_ms = cases[i].wall_now_ms };
        int64_t got_ms;

        memcpy(then.boot, cases[i].boot_then, strlen(cases[i].boot_then));
        memcpy(now.boot, cases[i].boot_now, strlen(cases[i].boot_now));
        got_ms = clock_resume_ms(&then, LATEST, &now) - LATEST;
        cr_expect_eq(got_ms, cases[i].want_ms, "%s: got %lld, want %lld",
                     cases[i].claim, (long long)got_ms,
                     (long long)cases[i].want_ms);
    }
}

Test(clock, goes_on_where_its_mark_was_made)
{
    struct clock first = clock_start(NULL, 0), second;
    struct clock_mark mark = clock_look(&first);
    int64_t at_ms = clock_at_ms(&first, &mark);

    cr_expect_lt(at_ms - mark.wall_ms, 1000);
    cr_expect_lt(mark.wall_ms - at_ms, 1000);
    /* Within this boot the wall clock does not count. */
    mark.wall_ms -= 25 * HOUR;
    second = clock_start(&mark, at_ms);
    cr_expect_eq(second.ahead_ms, first.ahead_ms);
    cr_expect_geq(clock_now_ms(&second), at_ms);
    /* The latest time is never gone behind. */
    cr_expect_geq(clock_now_ms(&(struct clock){ .ahead_ms = first.ahead_ms }),
                  at_ms);
}

/* As the C library writes them, every day of 130 years and odd ones beyond. */
Test(clock, writes_times_as_the_library_does)
{
    static const int64_t odd[] = { -1, -HOUR * 24 * 365 * 80,
                                   INT64_C(253402300799999),
                                   INT64_C(253402300800000),
                                   INT64_C(9999999999999999) };
    const size_t days = 365 * 130, odd_count = sizeof(odd) / sizeof(odd[0]);

    srand(1);
    for (size_t i = 0; i < 2 * days + odd_count; i++) {
        int64_t ms = (int64_t)(i % days) * 24 * HOUR + rand() % (24 * HOUR);
        char got[CLOCK_TEXT_BYTES], want[64], day[48];
        struct tm tm = { 0 };
        time_t seconds;

        if (i >= days) /* of 8000 years */
            ms *= 61;
        if (i >= 2 * days)
            ms = odd[i - 2 * days];
        seconds = (time_t)((ms - (ms < 0 ? 999 : 0)) / 1000);
        cr_assert_not_null(gmtime_r(&seconds, &tm));
        cr_assert_gt(strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm), 0);
        (void)snprintf(want, sizeof(want), "%s.%03dZ", day,
                       (int)(ms - (int64_t)seconds * 1000));
        clock_text(ms, got);
        cr_assert_str_eq(got, want, "%lld ms: got %s want %s", (long long)ms,
                         got, want);
    }
}
