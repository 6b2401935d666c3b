/* SPDX-License-Identifier: MIT */
#include "worker/wave.h"

#include <criterion/criterion.h>

#define NOW_MS 1000

Test(wave, waits_for_nothing_at_first)
{
    struct wave wave = { 0 };

    cr_expect(!wave_waits(&wave, NOW_MS));
    wave_add(&wave, 0, 5, NOW_MS);
    cr_expect(!wave_waits(&wave, NOW_MS), "though no call has ended");
}

Test(wave, waits_until_the_last_of_those_beside_has_ended)
{
    struct wave wave = { 0 };

    wave_add(&wave, 2, 3, NOW_MS);
    cr_expect(wave_waits(&wave, NOW_MS));
    /* Others have started in their place, and are not waited for. */
    wave_add(&wave, 2, 3, NOW_MS + 1);
    cr_expect(wave_waits(&wave, NOW_MS + 1));
    wave_add(&wave, 1, 4, NOW_MS + 1);
    cr_expect(!wave_waits(&wave, NOW_MS + 1));
    wave_add(&wave, 3, 2, NOW_MS + 1);
    cr_expect(!wave_waits(&wave, NOW_MS + 1), "for those of the next wave");
}

Test(wave, waits_no_longer_than_its_time_from_the_first_on)
{
    struct wave wave = { 0 };

    wave_add(&wave, 1, 4, NOW_MS);
    wave_add(&wave, 1, 4, NOW_MS + WAVE_MS - 1);
    cr_expect(wave_waits(&wave, NOW_MS + WAVE_MS - 1));
    cr_expect(!wave_waits(&wave, NOW_MS + WAVE_MS));
}

Test(wave, does_not_wait_where_no_other_call_runs)
{
    struct wave wave = { 0 };

    wave_add(&wave, 1, 0, NOW_MS);
    cr_expect(!wave_waits(&wave, NOW_MS));
}

Test(wave, begins_anew_when_it_was_ended)
{
    struct wave wave = { 0 };

    wave_add(&wave, 1, 1, NOW_MS);
    wave_end(&wave);
    cr_expect(!wave_waits(&wave, NOW_MS));
    wave_add(&wave, 1, 2, NOW_MS + 10);
    cr_expect(wave_waits(&wave, NOW_MS + 10 + WAVE_MS - 1));
    cr_expect(!wave_waits(&wave, NOW_MS + 10 + WAVE_MS));
}
