/* SPDX-License-Identifier: MIT */
#include "submit/progress.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <string.h>

#define ROOM 200

TestSuite(progress, .timeout = 30);

static void
expect_line(const struct progress_counts *counts, const char *part,
            bool is_there)
{
    struct progress progress = { .is_plain = true };
    struct buf line = { 0 };

    progress_draw(&progress, counts, 0, ROOM, &line);
    cr_expect_eq(strstr(line.data, part) != NULL, is_there, "%s: %s", part,
                 line.data);
    buf_fini(&line);
}

Test(progress, names_the_stage_of_the_slowest_call)
{
    static const char *const names[] = { "", "  trying 2", "  still trying 2",
                                         "  slow 2", "  degraded 2" };
    struct progress_counts counts = { .total = 10, .done = 1, .slow = 2 };

    for (counts.stage = 1; counts.stage < PROGRESS_STAGES; counts.stage++)
        expect_line(&counts, names[counts.stage], true);
    counts.stage = counts.slow = 0;
    expect_line(&counts, "trying", false);
    expect_line(&counts, "1/10  10%", true);
}

/* Plain lines are rare, but a call that gets slower is told at once; that it is
 * over can wait. */
Test(progress, gives_a_later_stage_a_line_at_once, .init = cr_redirect_stderr)
{
    struct progress progress = { .is_shown = true, .is_plain = true };
    struct progress_counts counts = { .total = 4, .done = 1 };

    progress_show(&progress, &counts, 1000);
    counts.done = 2;
    progress_show(&progress, &counts, 1500);
    counts.stage = 1;
    counts.slow = 3;
    progress_show(&progress, &counts, 2500);
    progress_show(&progress, &counts, 2600);
    counts.stage = 0;
    progress_show(&progress, &counts, 2700);
    counts.stage = 1;
    progress_show(&progress, &counts, 2800);
    (void)fflush(stderr);
    cr_assert_stderr_eq_str(
        "[=======>                      ]  1/4  25%\n"
        "[===============>              ]  2/4  50%  0.7/s  3 s left  "
        "trying 3\n");
}
