/* SPDX-License-Identifier: MIT */
#include "tests/sim/dice.h"

uint64_t
dice_roll(struct dice *dice, uint64_t below)
{
    uint64_t z = dice->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % below;
}

bool
dice_once_in(struct dice *dice, uint64_t times)
{
    return dice_roll(dice, times) == 0;
}

int64_t
dice_between(struct dice *dice, int64_t min, int64_t max)
{
    return min + (int64_t)dice_roll(dice, (uint64_t)(max - min) + 1);
}
