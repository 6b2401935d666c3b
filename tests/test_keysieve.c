/* SPDX-License-Identifier: MIT */
#include "store/keysieve.h"

#include <criterion/criterion.h>
#include <stdlib.h>

TestSuite(keysieve, .timeout = 60);

#define CELL        77u
#define PREFIXES    244  /* of a cell, where there are a million in all */
#define MANY        2441 /* the same with ten millions */
#define STRANGERS   10000
#define PERCENT_MAX 3

static uint64_t
draw(unsigned cell)
{
    uint64_t bits = 0;

    for (int i = 0; i < 5; i++)
        bits = bits << 15 ^ (uint64_t)rand();
    return key_entry_first(cell) | bits >> KEY_CELL_BITS;
}

Test(keysieve, lets_all_through_of_a_cell_that_it_does_not_know)
{
    struct keysieve *sieve = keysieve_new();

    keysieve_add(sieve, draw(CELL));
    for (int i = 0; i < STRANGERS; i++)
        cr_assert(keysieve_passes(sieve, draw((unsigned)i % KEY_CELL_COUNT)));
    cr_expect_not(keysieve_knows(sieve, CELL));
    keysieve_free(sieve);
}

Test(keysieve, lets_nothing_through_of_an_empty_cell)
{
    struct keysieve *sieve = keysieve_new();

    keysieve_reset(sieve, true);
    keysieve_reserve(sieve);
    for (int i = 0; i < STRANGERS; i++)
        cr_assert_not(
            keysieve_passes(sieve, draw((unsigned)i % KEY_CELL_COUNT)));
    keysieve_reset(sieve, false);
    cr_expect(keysieve_passes(sieve, draw(CELL)), "it was told to forget");
    keysieve_free(sieve);
}

Test(keysieve, forgets_no_prefix_and_holds_most_others_back)
{
    struct keysieve *sieve = keysieve_new();
    uint64_t prefixes[PREFIXES];
    int passed = 0;

    keysieve_start(sieve, CELL, 0);
    for (int i = 0; i < PREFIXES; i++) {
        prefixes[i] = draw(CELL);
        keysieve_add(sieve, prefixes[i]);
        for (int j = 0; j <= i; j++)
            cr_assert(keysieve_passes(sieve, prefixes[j]));
    }
    for (int i = 0; i < STRANGERS; i++)
        passed += keysieve_passes(sieve, draw(CELL));
    cr_expect_lt(passed * 100, STRANGERS * PERCENT_MAX, "%d of %d passed",
                 passed, STRANGERS);
    keysieve_free(sieve);
}

Test(keysieve, has_more_room_for_a_cell_of_many_and_leaves_the_others)
{
    struct keysieve *sieve = keysieve_new();
    uint64_t prefixes[MANY], there = draw(CELL + 1);
    int passed = 0;

    keysieve_start(sieve, CELL + 1, 0);
    keysieve_add(sieve, there);
    for (int round = 0; round < 2; round++) {
        keysieve_start(sieve, CELL, MANY);
        for (int i = 0; i < MANY; i++) {
            prefixes[i] = draw(CELL);
            keysieve_add(sieve, prefixes[i]);
        }
    }
    for (int i = 0; i < MANY; i++)
        cr_assert(keysieve_passes(sieve, prefixes[i]));
    for (int i = 0; i < STRANGERS; i++)
        passed += keysieve_passes(sieve, draw(CELL));
    cr_expect_lt(passed * 100, STRANGERS * PERCENT_MAX, "%d of %d passed",
                 passed, STRANGERS);
    cr_expect(keysieve_passes(sieve, there));
    keysieve_start(sieve, CELL, 0);
    cr_expect_not(keysieve_passes(sieve, prefixes[0]), "it has few again");
    cr_expect(keysieve_passes(sieve, there));
    keysieve_free(sieve);
}

Test(keysieve, starts_one_cell_anew_and_leaves_the_others)
{
    struct keysieve *sieve = keysieve_new();
    uint64_t here = draw(CELL), there = draw(CELL + 1);

    keysieve_start(sieve, CELL, 0);
    keysieve_start(sieve, CELL + 1, 0);
    keysieve_add(sieve, here);
    keysieve_add(sieve, there);
    keysieve_start(sieve, CELL, 0);
    cr_expect_not(keysieve_passes(sieve, here));
    cr_expect(keysieve_passes(sieve, there));
    keysieve_add(sieve, here);
    keysieve_forget(sieve, CELL);
    keysieve_start(sieve, CELL, 0);
    cr_expect_not(keysieve_passes(sieve, here), "what was forgotten is back");
    keysieve_free(sieve);
}
