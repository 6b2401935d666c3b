/* SPDX-License-Identifier: MIT */
#include "queue/pace.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "base/digest.h"

#define START_MS  INT64_C(1800000000000)
#define CALLS     2000
#define SLOTS_MAX 32
#define STORM     600 /* calls */
#define STORMS    300
#define REFUSE_MS 30 /* a refusal takes so long, whatever answers take */

/* A machine that others use as well: it stands still every half second, for up to
 * 400 ms, and a call is some milliseconds on its way. */
#define STALL_EVERY_MS 500
#define STALL_MS_MAX   400
#define WAY_MS_MAX     5

/* ---- upstreams that permit so many calls ---- */

enum kind { BUCKET, FIXED, SLIDING };

struct limiter {
    const char *name;
    enum kind kind;
    double per_s;
    double burst;      /* of a bucket */
    int64_t window_ms; /* of the others */
    double level;
    int64_t at_ms;
    int64_t window;
    int count;
    int64_t log_ms[CALLS];
    int log_first, log_count;
};

static bool
admit_window(struct limiter *limiter, int64_t now_ms)
{
    double most = limiter->per_s * (double)limiter->window_ms / 1000;

    if (now_ms / limiter->window_ms != limiter->window)
        limiter->count = 0;
    limiter->window = now_ms / limiter->window_ms;
    return limiter->count < most && ++limiter->count > 0;
}

static bool
admit_sliding(struct limiter *limiter, int64_t now_ms)
{
    double most = limiter->per_s * (double)limiter->window_ms / 1000;

    while (limiter->log_count > 0 &&
           limiter->log_ms[limiter->log_first] <= now_ms - limiter->window_ms) {
        limiter->log_first = (limiter->log_first + 1) % CALLS;
        limiter->log_count--;
    }
    if (limiter->log_count >= most)
        return false;
    limiter->log_ms[(limiter->log_first + limiter->log_count++) % CALLS] =
        now_ms;
    return true;
}

static bool
admit_bucket(struct limiter *limiter, int64_t now_ms)
{
    limiter->level += (double)(now_ms - limiter->at_ms) * limiter->per_s / 1000;
    limiter->at_ms = now_ms;
    if (limiter->level > limiter->burst)
        limiter->level = limiter->burst;
    if (limiter->level < 1 - 1e-9)
        return false;
    limiter->level--;
    return true;
}

static bool
admit(struct limiter *limiter, int64_t now_ms)
{
    if (limiter->kind == BUCKET)
        return admit_bucket(limiter, now_ms);
    return limiter->kind == FIXED ? admit_window(limiter, now_ms)
                                  : admit_sliding(limiter, now_ms);
}

/* ---- whoever calls them, at a pace ---- */

struct caller {
    struct pace pace;
    struct limiter *limiter;
    int64_t now_ms, wait_ms, latency_ms, suspended_ms;
    int slots, running, done, refused, early;
    bool is_disturbed; /* whose machine stands still now and then */
    uint64_t seed, turn;
    struct {
        int64_t made_ms, end_ms;
        bool is_accepted;
    } calls[SLOTS_MAX];
};

/* A number below `limit`, by chance. */
static int64_t
chance(struct caller *caller, uint64_t limit)
{
    uint64_t turn = ++caller->turn;

    return (int64_t)(digest_xxh(&turn, sizeof(turn), caller->seed) % limit);
}

static void
end_calls(struct caller *caller)
{
    for (int i = caller->running - 1; i >= 0; i--) {
        if (caller->calls[i].end_ms > caller->now_ms)
            continue;
        if (caller->calls[i].is_accepted) {
            caller->done++;
            pace_accepted(&caller->pace, caller->calls[i].made_ms,
                          caller->now_ms);
        } else {
            caller->refused++;
            caller->suspended_ms = caller->now_ms + caller->wait_ms;
            pace_refused(&caller->pace, caller->calls[i].made_ms,
                         caller->now_ms, caller->suspended_ms);
        }
        caller->calls[i] = caller->calls[--caller->running];
    }
}

static void
begin_calls(struct caller *caller, int most)
{
    while (caller->running < caller->slots &&
           caller->done + caller->running < most &&
           pace_ready_ms(&caller->pace, caller->now_ms) <= caller->now_ms) {
        int64_t way_ms = caller->is_disturbed ? chance(caller, WAY_MS_MAX) : 0;
        bool is_accepted = admit(caller->limiter, caller->now_ms + way_ms);

        caller->early += caller->now_ms < caller->suspended_ms;
        pace_take(&caller->pace, caller->now_ms);
        caller->calls[caller->running].made_ms = caller->now_ms;
        caller->calls[caller->running].is_accepted = is_accepted;
        caller->calls[caller->running++].end_ms =
            caller->now_ms + (is_accepted ? caller->latency_ms : REFUSE_MS);
    }
}

/* Makes calls until so many were answered; returns the seconds. */
static double
call(struct caller *caller, int most)
{
    int64_t from_ms = caller->now_ms;

    while (caller->done < most) {
        end_calls(caller);
        if (caller->is_disturbed && chance(caller, STALL_EVERY_MS) == 0)
            caller->now_ms += chance(caller, STALL_MS_MAX);
        begin_calls(caller, most);
        caller->now_ms++;
    }
    return (double)(caller->now_ms - from_ms) / 1000;
}

static struct caller
caller_of(struct limiter *limiter, int64_t latency_ms)
{
    limiter->level = limiter->burst;
    limiter->at_ms = START_MS;
    limiter->window = -1;
    return (struct caller){ .limiter = limiter,
                            .now_ms = START_MS,
                            .wait_ms = 2000,
                            .latency_ms = latency_ms,
                            .slots = 5 };
}

/* ---- claims ---- */

Test(pace, two_thousand_calls_get_nearly_all_that_is_permitted)
{
    static const int64_t latencies_ms[] = { 50, 200, 1200 };
    static struct limiter limiters[] = {
        { .name = "a bucket of 1", .kind = BUCKET, .per_s = 3, .burst = 1 },
        { .name = "a bucket of 3", .kind = BUCKET, .per_s = 3, .burst = 3 },
        { .name = "a bucket of 6", .kind = BUCKET, .per_s = 3, .burst = 6 },
        { .name = "a bucket of 30", .kind = BUCKET, .per_s = 3, .burst = 30 },
        { .name = "windows of 1 s",
          .kind = FIXED,
          .per_s = 3,
          .window_ms = 1000 },
        { .name = "windows of 10 s",
          .kind = FIXED,
          .per_s = 3,
          .window_ms = 10000 },
        { .name = "a sliding second",
          .kind = SLIDING,
          .per_s = 3,
          .window_ms = 1000 },
        { .name = "sliding 10 s",
          .kind = SLIDING,
          .per_s = 3,
          .window_ms = 10000 },
    };

    printf("3 calls a second, 429 with a wait of 2 s:\n");
    for (size_t i = 0; i < sizeof(limiters) / sizeof(limiters[0]) * 3; i++) {
        static struct limiter limiter;
        struct caller caller;
        double time_s, share;

        limiter = limiters[i / 3];
        caller = caller_of(&limiter, latencies_ms[i % 3]);
        time_s = call(&caller, CALLS);
        share = CALLS / limiter.per_s / time_s;
        printf("  %-16s answers in %4lld ms: %5.1f %%, %3d refused\n",
               limiter.name, (long long)latencies_ms[i % 3], share * 100,
               caller.refused);
        cr_expect(share >= 0.95, "%s: %.3f", limiter.name, share);
        cr_expect_eq(caller.early, 0, "%s: %d early", limiter.name,
                     caller.early);
    }
}

/* It learns the same from what comes late, and in heaps: 41-storm.sh, on whatever
 * machine. */
Test(pace, stalls_of_the_machine_bring_few_refusals)
{
    static struct limiter limiters[] = {
        { .name = "windows", .kind = FIXED, .per_s = 30, .window_ms = 1000 },
        { .name = "sliding", .kind = SLIDING, .per_s = 30, .window_ms = 1000 },
    };
    int refused[2] = { 0 }, most[2] = { 0 };

    for (int i = 0; i < STORMS; i++) {
        struct limiter limiter = limiters[i % 2];
        struct caller caller = caller_of(&limiter, 40);

        caller.wait_ms = 200;
        caller.is_disturbed = true;
        caller.seed = (uint64_t)i;
        (void)call(&caller, STORM);
        refused[i % 2] += caller.refused;
        if (most[i % 2] < caller.refused)
            most[i % 2] = caller.refused;
    }
    for (int i = 0; i < 2; i++) {
        printf(
            "30 calls a second, on a machine that stands still: %s, %.1f of %d "
            "refused, at most %d\n",
            limiters[i].name, refused[i] * 2.0 / STORMS, STORM, most[i]);
        cr_expect_leq(refused[i] * 2.0 / STORMS, STORM / 15);
        cr_expect_leq(most[i], STORM / 5);
    }
}

Test(pace, nothing_waits_before_the_first_refusal)
{
    struct pace pace = { 0 };

    for (int i = 0; i < 1000; i++) {
        cr_assert_leq(pace_ready_ms(&pace, START_MS), START_MS);
        pace_take(&pace, START_MS);
        pace_accepted(&pace, START_MS, START_MS + 1);
    }
    cr_assert_eq(pace.state, PACE_FREE);
}

Test(pace, no_call_is_ready_within_a_wait)
{
    struct pace pace = { 0 };

    pace_take(&pace, START_MS);
    pace_refused(&pace, START_MS, START_MS + 10, START_MS + 5010);
    cr_assert_eq(pace_ready_ms(&pace, START_MS + 10), START_MS + 5010);
    /* One more that was under way names a longer wait. */
    pace_refused(&pace, START_MS + 5, START_MS + 20, START_MS + 9000);
    cr_assert_eq(pace_ready_ms(&pace, START_MS + 20), START_MS + 9000);
    pace_refused(&pace, START_MS + 6, START_MS + 30, START_MS + 100);
    cr_assert_eq(pace_ready_ms(&pace, START_MS + 30), START_MS + 9000);
}

/* Half of what a new limit permits is reached in bounded time, both ways. */
Test(pace, a_changed_limit_is_found)
{
    static struct limiter limiter = { .kind = BUCKET, .per_s = 3, .burst = 3 };
    struct caller caller = caller_of(&limiter, 100);
    double time_s;

    (void)call(&caller, 1000);
    limiter.per_s = 30;
    (void)call(&caller, 3000);
    time_s = call(&caller, 4000);
    cr_expect_gt(1000 / time_s, 15, "after a rise: %.1f/s", 1000 / time_s);
    limiter.per_s = 3;
    (void)call(&caller, 4100);
    time_s = call(&caller, 4400);
    cr_expect_gt(300 / time_s, 1.5, "after a fall: %.2f/s", 300 / time_s);
}

Test(pace, an_old_refusal_is_forgotten)
{
    struct pace pace = { 0 };

    pace_take(&pace, START_MS);
    pace_refused(&pace, START_MS, START_MS, START_MS + 1000);
    pace_take(&pace, START_MS + 1000);
    cr_assert_gt(pace_ready_ms(&pace, START_MS + 1000), START_MS + 1000);
    cr_assert_leq(pace_ready_ms(&pace, START_MS + PACE_MEMORY_MS), START_MS);
    cr_assert_eq(pace.state, PACE_FREE);
}

/* A slow client proves nothing about the rate that it does not use. */
Test(pace, only_calls_at_the_rate_raise_it)
{
    static struct limiter limiter = { .kind = BUCKET, .per_s = 3, .burst = 3 };
    struct caller caller = caller_of(&limiter, 100);
    double rate;

    (void)call(&caller, 500);
    rate = caller.pace.rate;
    for (int i = 0; i < 500; i++) {
        caller.now_ms += 3000;
        if (caller.now_ms - caller.pace.refused_ms > PACE_MEMORY_MS - 3000)
            break;
        pace_take(&caller.pace, caller.now_ms);
        pace_accepted(&caller.pace, caller.now_ms, caller.now_ms + 100);
    }
    cr_assert_leq(caller.pace.rate, rate * 1.05);
}

Test(pace, a_call_that_was_not_made_gives_its_place_back)
{
    struct pace pace = { 0 };
    int64_t first_ms;

    pace_take(&pace, START_MS);
    pace_refused(&pace, START_MS, START_MS, START_MS + 1000);
    pace_take(&pace, START_MS + 1000);
    first_ms = pace_ready_ms(&pace, START_MS + 1000);
    pace_take(&pace, first_ms);
    pace_give_back(&pace, first_ms);
    cr_assert_eq(pace_ready_ms(&pace, first_ms), first_ms);
}

Test(pace, every_state_has_a_name_and_a_way_to_be_free)
{
    for (int state = 0; state < PACE_STATE_COUNT; state++) {
        cr_assert_gt(strlen(pace_state_name((enum pace_state)state)), 0);
        cr_assert(state == PACE_FREE ||
                  pace_may_move((enum pace_state)state, PACE_FREE));
    }
    cr_assert_not(pace_may_move(PACE_FREE, PACE_PROBING));
}
