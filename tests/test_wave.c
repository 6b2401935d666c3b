/* SPDX-License-Identifier: MIT */
#include "worker/wave.h"

#include <criterion/criterion.h>

#define NOW_MS    1000
#define WINDOW_MS 25
#define LONG_MS   WINDOW_MS /* a call is waited for no longer than that */
#define SHORT_MS  (WINDOW_MS - 1)

static struct wave
fresh(void)
{
    return (struct wave){ .window_ms = WINDOW_MS };
}

/* So many of calls that take long have ended, and so many are left. */
static void
add(struct wave *wave, size_t ended, size_t left, int64_t now_ms)
{
    struct wave_look look = {
        .ended = ended, .left = left, .next = ended + left, .took_ms = LONG_MS
    };

    wave_add(wave, &look, now_ms);
}

Test(wave, waits_for_nothing_at_first)
{
    struct wave wave = fresh();

    cr_expect(!wave_waits(&wave, NOW_MS));
    add(&wave, 0, 5, NOW_MS);
    cr_expect(!wave_waits(&wave, NOW_MS), "though no call has ended");
}

Test(wave, waits_until_the_last_of_those_beside_has_ended)
{
    struct wave wave = fresh();

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
    struct wave wave = fresh();

    add(&wave, 1, 4, NOW_MS);
    add(&wave, 1, 4, NOW_MS + WAVE_MS - 1);
    cr_expect(wave_waits(&wave, NOW_MS + WAVE_MS - 1));
    cr_expect(!wave_waits(&wave, NOW_MS + WAVE_MS));
}

Test(wave, does_not_wait_where_no_other_call_runs)
{
    struct wave wave = fresh();

    add(&wave, 1, 0, NOW_MS);
    cr_expect(!wave_waits(&wave, NOW_MS));
}

Test(wave, begins_anew_when_it_was_ended)
{
    struct wave wave = fresh();

    add(&wave, 1, 1, NOW_MS);
    wave_end(&wave);
    cr_expect(!wave_waits(&wave, NOW_MS));
    add(&wave, 1, 2, NOW_MS + 10);
    cr_expect(wave_waits(&wave, NOW_MS + 10 + WAVE_MS - 1));
    cr_expect(!wave_waits(&wave, NOW_MS + 10 + WAVE_MS));
}

Test(wave, waits_for_the_next_round_where_calls_are_short)
{
    struct wave wave = fresh();
    struct wave_look look = {
        .ended = 2, .left = 3, .next = 5, .took_ms = SHORT_MS
    };

    wave_add(&wave, &look, NOW_MS);
    look.ended = 3;
    wave_add(&wave, &look, NOW_MS + 1);
    cr_expect(wave_waits(&wave, NOW_MS + 1), "for the next five");
    look.ended = 4;
    wave_add(&wave, &look, NOW_MS + 20);
    cr_expect(wave_waits(&wave, NOW_MS + WINDOW_MS - 1));
    cr_expect(!wave_waits(&wave, NOW_MS + WINDOW_MS), "for no longer");
    look.ended = 1;
    wave_add(&wave, &look, NOW_MS + 21);
    cr_expect(!wave_waits(&wave, NOW_MS + 21), "all have ended");
}

Test(wave, waits_for_its_own_round_where_there_are_no_leases_for_the_next)
{
    struct wave wave = fresh();
    struct wave_look look = {
        .ended = 2, .left = 3, .next = 0, .took_ms = SHORT_MS
    };

    wave_add(&wave, &look, NOW_MS);
    cr_expect(wave_waits(&wave, NOW_MS));
    cr_expect(!wave_waits(&wave, NOW_MS + WAVE_MS));
    look.ended = 3;
    wave_add(&wave, &look, NOW_MS + 1);
    cr_expect(!wave_waits(&wave, NOW_MS + 1));
}

Test(wave, waits_for_its_own_round_where_no_time_can_be_told)
{
    struct wave wave = fresh();
    struct wave_look look = { .ended = 1, .left = 4, .next = 5, .took_ms = 0 };

    wave_add(&wave, &look, NOW_MS);
    cr_expect(wave_waits(&wave, NOW_MS));
    cr_expect(!wave_waits(&wave, NOW_MS + WAVE_MS));
}

Test(wave, waits_no_longer_than_the_broker_would)
{
    struct wave wave = { .window_ms = 1 };

    add(&wave, 1, 4, NOW_MS);
    cr_expect(wave_waits(&wave, NOW_MS));
    cr_expect(!wave_waits(&wave, NOW_MS + 1));
    wave_end(&wave);
    wave.window_ms = 0;
    add(&wave, 1, 4, NOW_MS);
    cr_expect(!wave_waits(&wave, NOW_MS), "which it may be told not to");
}
