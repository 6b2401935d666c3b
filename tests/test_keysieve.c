/* SPDX-License-Identifier: MIT */
#include "store/keysieve.h"

#include <criterion/criterion.h>
#include <stdlib.h>

TestSuite(keysieve, .timeout = 60);

#define CELL       77u
#define PREFIXES   244  /* of a cell, where there are a million in all */
#define MANY       2441 /* the same with ten millions */
#define STRANGERS  10000
#define CROWD      200000 /* of strangers, to count how many pass */
#define ONE_IN_MIN 150    /* of these, no more than one */

static uint64_t
draw(unsigned cell)
{
    uint64_t bits = 0;

    for (int i = 0; i < 5; i++)
        bits = bits << 15 ^ (uint64_t)rand();
    return key_entry_first(cell) | bits >> KEY_CELL_BITS;
}

/* Prefixes that are not there pass, but few of them. */
static void
expect_few_pass(const struct keysieve *sieve)
{
    int passed = 0;

    for (int i = 0; i < CROWD; i++)
        passed += keysieve_passes(sieve, draw(CELL));
    cr_expect_lt(passed * ONE_IN_MIN, CROWD, "%d of %d passed", passed, CROWD);
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

/* Cells that have prefixes, and the many that have none. */
Test(keysieve, lets_nothing_through_when_all_is_empty_again)
{
    struct keysieve *sieve = keysieve_new();
    uint64_t prefixes[PREFIXES];

    for (int round = 0; round < 3; round++) {
        keysieve_reset(sieve, true);
        for (int i = 0; i < PREFIXES; i++) {
            prefixes[i] = draw((unsigned)i % 4 * 1000);
            keysieve_add(sieve, prefixes[i]);
        }
        keysieve_reset(sieve, round != 1);
        for (unsigned cell = 0; round == 1 && cell < KEY_CELL_COUNT; cell++)
            keysieve_start(sieve, cell, 0);
        for (int i = 0; i < PREFIXES; i++)
            cr_assert_not(keysieve_passes(sieve, prefixes[i]));
    }
    keysieve_free(sieve);
}

Test(keysieve, forgets_no_prefix_and_holds_most_others_back)
{
    struct keysieve *sieve = keysieve_new();
    uint64_t prefixes[PREFIXES];

    keysieve_start(sieve, CELL, 0);
    for (int i = 0; i < PREFIXES; i++) {
        prefixes[i] = draw(CELL);
        keysieve_add(sieve, prefixes[i]);
        for (int j = 0; j <= i; j++)
            cr_assert(keysieve_passes(sieve, prefixes[j]));
    }
    expect_few_pass(sieve);
    keysieve_free(sieve);
}

Test(keysieve, has_more_room_for_a_cell_of_many_and_leaves_the_others)
{
    struct keysieve *sieve = keysieve_new();
    uint64_t prefixes[MANY], there = draw(CELL + 1);

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
    expect_few_pass(sieve);
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

/* As the set does it: a cell grows from nothing, and is started anew, with what it
 * has, whenever it is full. */
Test(keysieve, lets_few_through_of_a_cell_that_grows_and_is_seldom_full)
{
    struct keysieve *sieve = keysieve_new();
    uint64_t prefixes[MANY];
    int starts = 0;

    keysieve_reset(sieve, true);
    for (int i = 0; i < MANY; i++) {
        prefixes[i] = draw(CELL);
        keysieve_add(sieve, prefixes[i]);
        if (keysieve_is_full(sieve, CELL)) {
            keysieve_start(sieve, CELL, (size_t)i + 1);
            for (int j = 0; j <= i; j++)
                keysieve_add(sieve, prefixes[j]);
            cr_assert_not(keysieve_is_full(sieve, CELL));
            starts++;
        }
        if (i % PREFIXES == 0)
            expect_few_pass(sieve);
    }
    for (int i = 0; i < MANY; i++)
        cr_assert(keysieve_passes(sieve, prefixes[i]));
    cr_expect_eq(starts, 3, "it was started %d times", starts);
    keysieve_free(sieve);
}

Test(keysieve, is_full_of_prefixes_that_come_but_not_of_one_that_comes_again)
{
    struct keysieve *sieve = keysieve_new();
    uint64_t again = draw(CELL);

    keysieve_start(sieve, CELL, MANY);
    for (int i = 0; i < 2 * MANY; i++)
        keysieve_add(sieve, again);
    cr_expect_not(keysieve_is_full(sieve, CELL));
    /* Some choose bits that others have set, and are not counted. */
    for (int i = 0; i < MANY * 5 / 4; i++)
        keysieve_add(sieve, draw(CELL));
    cr_expect_not(keysieve_is_full(sieve, CELL),
                  "it was started for a quarter more");
    for (int i = 0; i < MANY / 10; i++)
        keysieve_add(sieve, draw(CELL));
    cr_expect(keysieve_is_full(sieve, CELL));
    keysieve_forget(sieve, CELL);
    cr_expect_not(keysieve_is_full(sieve, CELL), "nothing is known of it");
    keysieve_free(sieve);
}
