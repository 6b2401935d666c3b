/* SPDX-License-Identifier: MIT */
#include "queue/schedule.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define TURN 1000
#define AGE  60000

static struct schedule *
new_schedule(int64_t share_percent)
{
    return schedule_new(
        &(struct schedule_rules){ .max = 10,
                                  .turn_tokens = TURN,
                                  .age_ms = AGE,
                                  .share_percent = share_percent });
}

/* Adds a sealed batch. */
static void
add(struct schedule *schedule, uint64_t batch, uint64_t client,
    unsigned priority, int64_t since_ms)
{
    schedule_add(schedule, batch,
                 &(struct schedule_terms){ .client = client,
                                           .weight = (int64_t)client,
                                           .priority = priority,
                                           .is_sealed = true,
                                           .since_ms = since_ms });
}

/* Serves requests of so many tokens each, and adds up who gets them. */
static void
serve(struct schedule *schedule, int count, int64_t tokens, int64_t *got)
{
    for (int i = 0; i < count; i++) {
        uint64_t batch = schedule_next(schedule, 0);

        cr_assert_neq(batch, 0);
        got[batch] += tokens;
        schedule_charge(schedule, batch, tokens);
    }
}

Test(schedule, batches_take_turns)
{
    static const uint64_t order[] = { 1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3 };
    struct schedule *schedule = new_schedule(0);

    cr_expect_eq(schedule_next(schedule, 0), 0);
    for (uint64_t batch = 1; batch <= 3; batch++)
        add(schedule, batch, 1, 1, 0);
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        cr_expect_eq(schedule_next(schedule, 0), order[i], "request %zu", i);
        schedule_charge(schedule, order[i], TURN / 2);
    }
    schedule_free(schedule);
    schedule_free(NULL);
}

/* Whatever a request costs, and however many batches each client has. */
Test(schedule, clients_get_tokens_by_their_weights)
{
    struct schedule *schedule = new_schedule(0);
    int64_t got[3] = { 0 }, most = 700;

    srand(1);
    add(schedule, 1, 1, 1, 0);
    for (uint64_t batch = 2; batch <= 40; batch++)
        add(schedule, batch, 4, 1, 0);
    for (int i = 0; i < 20000; i++) {
        uint64_t batch = schedule_next(schedule, 0);
        int64_t tokens = 1 + rand() % most, apart;

        got[batch == 1 ? 1 : 2] += tokens;
        schedule_charge(schedule, batch, tokens);
        apart = got[1] - got[2] / 4;
        cr_assert(apart <= TURN + most && apart >= -(TURN + most),
                  "after %d: %lld and %lld", i, (long long)got[1],
                  (long long)got[2]);
    }
    schedule_free(schedule);
}

/* What a batch owes counts as often as others weigh more than its client; the
 * bound is SCHEDULER.md's for the first of its next tokens. */
Test(schedule, a_batch_that_owes_waits_within_the_bound)
{
    enum { OTHERS = 4, OWED = 10 * TURN, COST = 100, WEIGHT = 8 };
    struct schedule *schedule = new_schedule(0);
    int64_t own = OTHERS * (2 * TURN + 1 + OWED + COST), waited = 0;
    int64_t bound = own + WEIGHT * (2 * TURN + 1 + OWED + own) + COST;

    for (uint64_t batch = 1; batch <= 1 + OTHERS; batch++)
        add(schedule, batch, 1, 1, 0);
    add(schedule, 9, WEIGHT, 1, 0);
    cr_assert_eq(schedule_next(schedule, 0), 1);
    schedule_charge(schedule, 1, OWED);
    while (schedule_next(schedule, 0) != 1) {
        waited += COST;
        cr_assert(waited <= bound, "%lld", (long long)waited);
        schedule_charge(schedule, schedule_next(schedule, 0), COST);
    }
    /* It is no bound that everybody could keep. */
    cr_expect_geq(waited, bound * 3 / 4, "%lld of %lld", (long long)waited,
                  (long long)bound);
    schedule_free(schedule);
}

/* A turn is not over while a group goes on; what it took is owed. */
Test(schedule, what_a_group_took_is_paid_back_in_turns)
{
    struct schedule *schedule = new_schedule(0);
    int64_t got[3] = { 0 };

    add(schedule, 1, 1, 1, 0);
    add(schedule, 2, 2, 1, 0);
    cr_assert_eq(schedule_next(schedule, 0), 1);
    for (int i = 0; i < 100; i++)
        schedule_charge(schedule, 1, TURN);
    serve(schedule, 200, TURN, got);
    cr_expect_eq(got[1], 0);
    serve(schedule, 30, TURN, got);
    cr_expect_eq(got[1], 10 * TURN);
    schedule_free(schedule);
}

Test(schedule, what_was_not_used_is_given_back)
{
    struct schedule *schedule = new_schedule(0);
    int64_t got[3] = { 0 };

    add(schedule, 1, 1, 1, 0);
    schedule_add(schedule, 2,
                 &(struct schedule_terms){ .client = 2, .weight = 1 });
    schedule_remove(schedule, 2);
    schedule_add(
        schedule, 2,
        &(struct schedule_terms){ .client = 2, .weight = 1, .priority = 1 });
    for (int i = 0; i < 1000; i++) {
        uint64_t batch = schedule_next(schedule, 0);
        struct charge charge = schedule_charge(schedule, batch, 500);
        int64_t real = batch == 1 ? 50 : 500;

        /* The first one's answers are ten times shorter than it said. */
        got[batch] += real;
        schedule_settle(schedule, &charge, real);
        schedule_settle(schedule, &charge, 1);
    }
    cr_expect(llabs(got[1] - got[2]) <= TURN + 500, "%lld and %lld",
              (long long)got[1], (long long)got[2]);
    schedule_free(schedule);
}

Test(schedule, the_urgent_go_first_and_all_rise_with_time)
{
    struct schedule *schedule = new_schedule(0);

    add(schedule, 1, 1, 0, 0);
    add(schedule, 2, 1, 3, 0);
    add(schedule, 3, 1, 2, 0);
    for (int i = 0; i < 100; i++) {
        cr_expect_eq(schedule_next(schedule, 0), 2);
        schedule_charge(schedule, 2, TURN);
    }
    schedule_remove(schedule, 2);
    cr_expect_eq(schedule_next(schedule, 0), 3);
    schedule_charge(schedule, 3, TURN);
    cr_expect_eq(schedule_next(schedule, 2 * AGE - 1), 3);
    /* Both are at the top after three times the age. */
    for (int i = 0; i < 100; i++)
        schedule_charge(schedule, 3, TURN);
    cr_expect_eq(schedule_next(schedule, 3 * AGE - 1), 3);
    cr_expect_eq(schedule_next(schedule, 3 * AGE), 3, "it came before");
    schedule_charge(schedule, 3, TURN);
    cr_expect_eq(schedule_next(schedule, 3 * AGE), 1);
    schedule_free(schedule);
}

/* However long a batch was open, or not to start yet: as after a restart. */
Test(schedule, the_age_counts_from_the_seal)
{
    struct schedule *schedule = new_schedule(0);

    schedule_add(schedule, 1,
                 &(struct schedule_terms){ .client = 1, .weight = 1 });
    cr_expect_eq(schedule_next(schedule, 3 * AGE), 1, "it is early");
    add(schedule, 1, 1, 0, 3 * AGE);
    add(schedule, 2, 1, 1, 3 * AGE);
    for (int i = 0; i < 100; i++) {
        cr_expect_eq(schedule_next(schedule, 4 * AGE - 1), 2);
        schedule_charge(schedule, 2, TURN);
    }
    /* Nor when it waits for its turn, and is added once more. */
    add(schedule, 1, 1, 0, 3 * AGE);
    cr_expect_eq(schedule_next(schedule, 4 * AGE - 1), 2);
    schedule_charge(schedule, 2, TURN);
    schedule_remove(schedule, 2);
    add(schedule, 3, 1, 1, 4 * AGE);
    cr_expect_eq(schedule_next(schedule, 4 * AGE), 3, "it came before");
    schedule_charge(schedule, 3, TURN);
    cr_expect_eq(schedule_next(schedule, 4 * AGE), 1, "it has risen");
    schedule_free(schedule);
}

/* However many others there are, and however urgent. */
Test(schedule, the_oldest_has_its_share)
{
    static int64_t got[202];
    struct schedule *schedule = new_schedule(25);

    add(schedule, 1, 1, 0, 0);
    for (uint64_t batch = 2; batch <= 201; batch++)
        add(schedule, batch, batch, 3, 1);
    serve(schedule, 10000, 100, got);
    cr_expect(got[1] >= 250000 - 100 && got[1] <= 250000 + 100, "%lld",
              (long long)got[1]);
    /* The next one has it then. */
    schedule_remove(schedule, 1);
    got[2] = 0;
    serve(schedule, 10000, 100, got);
    cr_expect(got[2] >= 250000 - 200 && got[2] <= 270000, "%lld",
              (long long)got[2]);
    schedule_free(schedule);
}

/* Two that get half each are served no other way than without the share. */
Test(schedule, the_share_is_no_extra_to_what_turns_give)
{
    struct schedule *schedule = new_schedule(25);
    int64_t got[3] = { 0 };

    add(schedule, 1, 1, 1, 0);
    schedule_add(schedule, 2,
                 &(struct schedule_terms){ .client = 2,
                                           .weight = 1,
                                           .priority = 1,
                                           .is_sealed = true,
                                           .since_ms = 1 });
    serve(schedule, 10000, 100, got);
    cr_expect(llabs(got[1] - got[2]) <= 2 * TURN, "%lld and %lld",
              (long long)got[1], (long long)got[2]);
    schedule_free(schedule);
}

Test(schedule, the_share_is_for_sealed_batches)
{
    struct schedule *schedule = new_schedule(50);
    int64_t got[3] = { 0 };

    schedule_add(schedule, 1,
                 &(struct schedule_terms){ .client = 1, .weight = 1 });
    add(schedule, 2, 2, 3, 5);
    serve(schedule, 100, 100, got);
    cr_expect_eq(got[1], 0);
    schedule_add(schedule, 1,
                 &(struct schedule_terms){
                     .client = 1, .weight = 1, .is_sealed = true });
    serve(schedule, 1000, 100, got);
    cr_expect_geq(got[1], 40000);
    schedule_free(schedule);
}

/* Nothing is saved up while a batch sleeps, and what it owes is not forgotten.
 */
Test(schedule, sleeping_neither_saves_nor_forgives)
{
    struct schedule *schedule = new_schedule(0);
    int64_t got[3] = { 0 };

    add(schedule, 1, 1, 1, 0);
    add(schedule, 2, 2, 1, 0);
    schedule_sleep(schedule, 1, SCHEDULE_NEVER);
    serve(schedule, 1000, 500, got);
    schedule_wake(schedule, 1);
    got[1] = got[2] = 0;
    serve(schedule, 300, 100, got);
    cr_expect(llabs(got[1] - got[2] / 2) <= 2 * TURN, "%lld and %lld",
              (long long)got[1], (long long)got[2]);
    schedule_charge(schedule, 1, 50 * TURN);
    schedule_sleep(schedule, 1, 7);
    schedule_wake(schedule, 1);
    got[1] = got[2] = 0;
    serve(schedule, 80, TURN, got);
    cr_expect_eq(got[1], 0);
    schedule_free(schedule);
}

/* Batches that keep coming do not keep an older one from its next turn. */
Test(schedule, newcomers_do_not_starve_those_that_wait)
{
    struct schedule *schedule = new_schedule(0);
    int64_t got = 0;

    add(schedule, 1, 1, 1, 0);
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t batch;

        add(schedule, 100 + i, 1, 1, 0);
        batch = schedule_next(schedule, 0);
        if (batch == 1)
            got++;
        else
            schedule_remove(schedule, batch);
        schedule_charge(schedule, batch, TURN);
    }
    /* Each turn waits for those that came before: 1, 2, 4, 8 … of them. */
    cr_expect_geq(got, 9);
    schedule_free(schedule);
}

Test(schedule, sleepers_wake_in_time_or_when_they_are_woken)
{
    struct schedule *schedule = new_schedule(0);

    for (uint64_t batch = 1; batch <= 3; batch++)
        add(schedule, batch, 1, 1, 0);
    cr_expect_eq(schedule_next_ms(schedule, 0), SCHEDULE_NEVER);
    schedule_sleep(schedule, 1, 100);
    schedule_sleep(schedule, 2, SCHEDULE_NEVER);
    schedule_sleep(schedule, 4711, 1);
    cr_expect_eq(schedule_next(schedule, 50), 3);
    cr_expect_eq(schedule_next_ms(schedule, 50), 100);
    cr_expect(schedule_is_awake(schedule, 1, 100));
    cr_expect_not(schedule_is_awake(schedule, 1, 99));
    cr_expect_not(schedule_is_awake(schedule, 2, INT64_MAX - 1));
    cr_expect_not(schedule_is_awake(schedule, 4711, 100));
    cr_expect_eq(schedule_next_ms(schedule, 100), SCHEDULE_NEVER,
                 "it is awake, and waits for nothing");
    schedule_sleep(schedule, 3, SCHEDULE_NEVER);
    cr_expect_eq(schedule_next(schedule, 100), 1);
    schedule_sleep(schedule, 1, 200);
    cr_expect_eq(schedule_next(schedule, 150), 0);
    schedule_wake(schedule, 2);
    cr_expect_eq(schedule_next(schedule, 150), 2);
    /* Adding one that is there wakes it. */
    schedule_sleep(schedule, 2, 900);
    add(schedule, 2, 1, 1, 0);
    cr_expect_eq(schedule_next(schedule, 150), 2);
    cr_expect_eq(schedule_count(schedule), 3);
    schedule_free(schedule);
}

/* A limit that was lowered leaves no batch out. */
Test(schedule, none_is_left_out_when_it_is_full)
{
    struct schedule *schedule = new_schedule(25);

    for (uint64_t batch = 1; batch <= 1000; batch++) {
        cr_expect_eq(schedule_is_full(schedule), batch > 10);
        add(schedule, batch, 1 + batch % 100, (unsigned)(batch % 4), 0);
    }
    cr_expect_eq(schedule_count(schedule), 1000);
    for (size_t i = 0; i < 1000; i++) {
        uint64_t batch = schedule_next(schedule, 0);

        cr_assert_neq(batch, 0);
        schedule_remove(schedule, batch);
        schedule_remove(schedule, batch);
    }
    cr_expect_eq(schedule_count(schedule), 0);
    add(schedule, 1, 1, 1, 0);
    schedule_reset(schedule);
    cr_expect_eq(schedule_count(schedule), 0);
    cr_expect_not(schedule_is_full(schedule));
    schedule_free(schedule);
}

/* Random operations, checked against plain arrays: who is awake, who may be
 * next by class, when the next one wakes. */
Test(schedule, agrees_with_a_naive_model)
{
    enum { BATCHES = 30, STEPS = 20000 };
    struct schedule *schedule = new_schedule(0);
    bool is_there[BATCHES + 1] = { false };
    int64_t until_ms[BATCHES + 1] = { 0 }, now_ms = 0;

    srand(1);
    for (int step = 0; step < STEPS; step++) {
        uint64_t batch = 1 + (uint64_t)rand() % BATCHES, next;
        int64_t next_ms = SCHEDULE_NEVER, best = -1;

        now_ms += rand() % 20;
        switch (rand() % 6) {
        case 0:
            add(schedule, batch, 1 + batch % 7, batch % 4, 0);
            is_there[batch] = true;
            until_ms[batch] = 0;
            break;
        case 1:
            schedule_remove(schedule, batch);
            is_there[batch] = false;
            break;
        case 2:
            schedule_charge(schedule, batch, rand() % 5000);
            break;
        default:
            until_ms[batch] = now_ms + rand() % 100;
            schedule_sleep(schedule, batch, until_ms[batch]);
        }
        for (uint64_t i = 1; i <= BATCHES; i++) {
            int64_t class = (int64_t)(i % 4) + now_ms / AGE;

            class = class < 3 ? class : 3;
            if (is_there[i] && until_ms[i] <= now_ms && class > best)
                best = class;
            if (is_there[i] && until_ms[i] > now_ms && until_ms[i] < next_ms)
                next_ms = until_ms[i];
        }
        next = schedule_next(schedule, now_ms);
        cr_assert_eq(next == 0, best < 0);
        if (next) {
            int64_t class = (int64_t)(next % 4) + now_ms / AGE;

            cr_assert(is_there[next] && until_ms[next] <= now_ms);
            cr_assert_eq(class < 3 ? class : 3, best);
        }
        cr_assert_eq(schedule_next_ms(schedule, now_ms), next_ms);
    }
    schedule_free(schedule);
}
