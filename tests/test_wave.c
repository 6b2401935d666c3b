/* SPDX-License-Identifier: MIT */
#include "worker/wave.h"

#include <criterion/criterion.h>

#define NOW_MS    1000
#define WINDOW_MS 25
#define TOOK_MS   20

static void
add(struct wave *wave, size_t ended, size_t left, int64_t now_ms)
{
    wave_add(wave, ended, left, TOOK_MS, now_ms);
}

Test(wave, waits_for_nothing_at_first)
{
    struct wave wave = { 0 };

    cr_expect(!wave_waits(&wave, NOW_MS));
    add(&wave, 0, 5, NOW_MS);
    cr_expect(!wave_waits(&wave, NOW_MS), "though no call has ended");
}

Test(wave, waits_until_the_last_of_those_beside_has_ended)
{
    struct wave wave = { 0 };

    add(&wave, 2, 3, NOW_MS);
    cr_expect(wave_waits(&wave, NOW_MS));
    /* Others have started in their place, and are not waited for. */
    add(&wave, 2, 3, NOW_MS + 1);
    cr_expect(wave_waits(&wave, NOW_MS + 1));
    add(&wave, 1, 4, NOW_MS + 1);
    cr_expect(!wave_waits(&wave, NOW_MS + 1));
    add(&wave, 3, 2, NOW_MS + 1);
    cr_expect(!wave_waits(&wave, NOW_MS + 1), "for those of the next wave");
}

Test(wave, waits_no_longer_than_its_time_from_the_first_on)
{
    struct wave wave = { 0 };

    add(&wave, 1, 4, NOW_MS);
    add(&wave, 1, 4, NOW_MS + WAVE_MS - 1);
    cr_expect(wave_waits(&wave, NOW_MS + WAVE_MS - 1));
    cr_expect(!wave_waits(&wave, NOW_MS + WAVE_MS));
}

Test(wave, does_not_wait_where_no_other_call_runs)
{
    struct wave wave = { 0 };

    add(&wave, 1, 0, NOW_MS);
    cr_expect(!wave_waits(&wave, NOW_MS));
}

Test(wave, begins_anew_when_it_was_ended)
{
    struct wave wave = { 0 };

    add(&wave, 1, 1, NOW_MS);
    wave_end(&wave);
    cr_expect(!wave_waits(&wave, NOW_MS));
    add(&wave, 1, 2, NOW_MS + 10);
    cr_expect(wave_waits(&wave, NOW_MS + 10 + WAVE_MS - 1));
    cr_expect(!wave_waits(&wave, NOW_MS + 10 + WAVE_MS));
}

Test(wave, goes_on_with_the_next_round_where_calls_are_short)
{
    struct wave wave = { 0 };

    cr_expect(!wave_may_go_on(&wave, WINDOW_MS), "nothing waits");
    add(&wave, 2, 3, NOW_MS);
    cr_expect(wave_may_go_on(&wave, TOOK_MS + 1));
    cr_expect(!wave_may_go_on(&wave, TOOK_MS), "they take too long");
    wave_add(&wave, 3, 2, WINDOW_MS, NOW_MS + 1);
    cr_expect(!wave_may_go_on(&wave, WINDOW_MS), "one of them does");
}

Test(wave, goes_on_nowhere_where_no_time_can_be_told)
{
    struct wave wave = { 0 };

    wave_add(&wave, 5, 0, 0, NOW_MS);
    cr_expect(!wave_may_go_on(&wave, WINDOW_MS));
}

Test(wave, waits_for_the_next_round_while_its_window_lasts)
{
    struct wave wave = { 0 };

    add(&wave, 5, 0, NOW_MS);
    cr_expect(!wave_waits(&wave, NOW_MS));
    wave_go_on(&wave, 5, WINDOW_MS, NOW_MS);
    cr_expect(!wave_may_go_on(&wave, WINDOW_MS), "no further");
    add(&wave, 4, 1, NOW_MS + 20);
    cr_expect(wave_waits(&wave, NOW_MS + WINDOW_MS - 1));
    cr_expect(!wave_waits(&wave, NOW_MS + WINDOW_MS));
    add(&wave, 1, 4, NOW_MS + 21);
    cr_expect(!wave_waits(&wave, NOW_MS + 21), "all have ended");
}
