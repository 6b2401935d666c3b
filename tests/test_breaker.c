/* SPDX-License-Identifier: MIT */
#include "queue/breaker.h"

#include <criterion/criterion.h>

#define NOW_MS INT64_C(1800000000000)

static const struct breaker_rules rules = { .failures = 10,
                                            .pause_ms = 5000,
                                            .pause_max_ms = 60000 };

/* Fails so many calls, of so many requests. */
static bool
fail(struct breaker *breaker, int calls, unsigned requests)
{
    bool has_opened = false;

    for (int i = 0; i < calls; i++) {
        has_opened |=
            breaker_failed(breaker, &rules, 1 + (unsigned)i % requests, NOW_MS);
    }
    return has_opened;
}

Test(breaker, opens_at_ten_failures_in_a_row_of_three_requests)
{
    struct breaker breaker = { 0 };

    cr_assert_not(fail(&breaker, 9, 3));
    cr_assert_eq(breaker_ready_ms(&breaker), 0);
    cr_assert(fail(&breaker, 1, 3));
    cr_assert_eq(breaker.state, BREAKER_OPEN);
    cr_assert_eq(breaker_ready_ms(&breaker), NOW_MS + 5000);
}

Test(breaker, stays_closed_for_two_requests_that_nobody_can_answer)
{
    struct breaker breaker = { 0 };

    cr_assert_not(fail(&breaker, 100, 2));
    cr_assert_eq(breaker.state, BREAKER_CLOSED);
    cr_assert(breaker_failed(&breaker, &rules, 9, NOW_MS));
}

Test(breaker, counts_a_run_only)
{
    struct breaker breaker = { 0 };

    for (int i = 0; i < 10; i++) {
        cr_assert_not(fail(&breaker, 9, 3));
        cr_assert_not(breaker_answered(&breaker));
    }
    /* The requests of an earlier run do not count for this one. */
    cr_assert_not(fail(&breaker, 20, 2));
}

Test(breaker, doubles_its_pause_up_to_the_limit)
{
    static const int64_t pauses_ms[] = {
        5000, 10000, 20000, 40000, 60000, 60000
    };
    struct breaker breaker = { 0 };
    int64_t now_ms = NOW_MS;

    (void)fail(&breaker, 10, 3);
    for (size_t i = 0; i < sizeof(pauses_ms) / sizeof(pauses_ms[0]); i++) {
        cr_assert_eq(breaker_ready_ms(&breaker), now_ms + pauses_ms[i],
                     "pause %zu is %lld", i,
                     (long long)(breaker_ready_ms(&breaker) - now_ms));
        now_ms = breaker_ready_ms(&breaker);
        breaker_call(&breaker, now_ms);
        cr_assert_eq(breaker.state, BREAKER_PROBING);
        cr_assert(breaker_failed(&breaker, &rules, 1, now_ms));
    }
}

Test(breaker, an_answered_probe_closes_it_and_forgets_the_pauses)
{
    struct breaker breaker = { 0 };

    (void)fail(&breaker, 10, 3);
    breaker_call(&breaker, NOW_MS + 5000);
    (void)breaker_failed(&breaker, &rules, 1, NOW_MS + 5000);
    breaker_call(&breaker, NOW_MS + 15000);
    cr_assert(breaker_answered(&breaker));
    cr_assert_eq(breaker.state, BREAKER_CLOSED);
    cr_assert(fail(&breaker, 10, 3));
    cr_assert_eq(breaker_ready_ms(&breaker), NOW_MS + 5000);
}

Test(breaker, what_was_under_way_when_it_opened_changes_nothing)
{
    struct breaker breaker = { 0 };

    (void)fail(&breaker, 10, 3);
    cr_assert_not(fail(&breaker, 10, 3));
    cr_assert_not(breaker_answered(&breaker));
    cr_assert_eq(breaker.state, BREAKER_OPEN);
    cr_assert_eq(breaker_ready_ms(&breaker), NOW_MS + 5000);
}

Test(breaker, can_be_closed_by_hand_in_every_state)
{
    for (int state = 0; state < BREAKER_STATE_COUNT; state++) {
        struct breaker breaker = { .state = (enum breaker_state)state,
                                   .until_ms = NOW_MS,
                                   .failures = 12 };

        breaker_reset(&breaker);
        cr_assert_eq(breaker.state, BREAKER_CLOSED, "from %s",
                     breaker_state_name((enum breaker_state)state));
        cr_assert_eq(breaker.failures, 0);
    }
}

Test(breaker, the_table_has_the_moves_of_the_picture)
{
    static const bool moves[BREAKER_STATE_COUNT][BREAKER_STATE_COUNT] = {
        [BREAKER_CLOSED] = { [BREAKER_OPEN] = true },
        [BREAKER_OPEN] = { [BREAKER_PROBING] = true, [BREAKER_CLOSED] = true },
        [BREAKER_PROBING] = { [BREAKER_OPEN] = true, [BREAKER_CLOSED] = true },
    };

    for (int from = 0; from < BREAKER_STATE_COUNT; from++) {
        for (int to = 0; to < BREAKER_STATE_COUNT; to++) {
            cr_assert_eq(breaker_may_move((enum breaker_state)from,
                                          (enum breaker_state)to),
                         moves[from][to], "%d to %d", from, to);
        }
    }
}
