/*
 * dice.h - the only chance there is in a simulated history
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SIM_DICE_H
#define TESTS_SIM_DICE_H

#include <stdbool.h>
#include <stdint.h>

/* The state is all: the same seed gives the same rolls everywhere. */
struct dice {
    uint64_t state;
};

/* A number from 0 up to but not `below`, which is above 0 (splitmix64). */
uint64_t dice_roll(struct dice *dice, uint64_t below);

/* True once in `times`. */
bool dice_once_in(struct dice *dice, uint64_t times);

/* A number from min to max. */
int64_t dice_between(struct dice *dice, int64_t min, int64_t max);

#endif
