/* SPDX-License-Identifier: MIT */
#include "queue/budget.h"

#include <assert.h>
#include <math.h>

#define MINUTE_MS   60000.0
#define BURST_SHARE 0.05    /* of a minute's amount, that may go at once */
#define TOLD_MAX_MS 3600000 /* a reset further off is no rate limit's */

static double
level_at(const struct bucket *bucket, int64_t now_ms)
{
    double level = bucket->level;

    if (now_ms > bucket->at_ms)
        level += (double)(now_ms - bucket->at_ms) * bucket->per_ms;
    return level < bucket->size ? level : bucket->size;
}

void
budget_init(struct budget *budget, int64_t per_minute, int64_t now_ms)
{
    double size = (double)per_minute * BURST_SHARE;

    *budget = (struct budget){ 0 };
    if (per_minute == 0)
        return;
    /* At least one fits; what fits may go at the minute's beginning. */
    if (size < 1)
        size = 1;
    budget->own =
        (struct bucket){ .level = size,
                         .size = size,
                         .per_ms = ((double)per_minute - size) / MINUTE_MS,
                         .at_ms = now_ms,
                         .until_ms = INT64_MAX };
    if (budget->own.per_ms <= 0)
        budget->own.per_ms = (double)per_minute / MINUTE_MS;
}

static int64_t
bucket_ready_ms(const struct bucket *bucket, double amount, int64_t now_ms)
{
    double want = amount < bucket->size ? amount : bucket->size;
    double level = level_at(bucket, now_ms), wait_ms;

    /* What is lacking by rounding is not lacking. */
    if (bucket->until_ms <= now_ms || level >= want - 1e-6)
        return 0;
    if (bucket->per_ms <= 0)
        return bucket->until_ms;
    wait_ms = ceil((want - level) / bucket->per_ms);
    if (wait_ms > (double)(bucket->until_ms - now_ms))
        return bucket->until_ms;
    return now_ms + (int64_t)wait_ms;
}

int64_t
budget_ready_ms(const struct budget *budget, double amount, int64_t now_ms)
{
    int64_t own_ms = bucket_ready_ms(&budget->own, amount, now_ms);
    int64_t told_ms = bucket_ready_ms(&budget->told, amount, now_ms);

    return own_ms > told_ms ? own_ms : told_ms;
}

static void
bucket_take(struct bucket *bucket, double amount, int64_t now_ms)
{
    bucket->level = level_at(bucket, now_ms) - amount;
    if (bucket->level > bucket->size)
        bucket->level = bucket->size;
    bucket->at_ms = now_ms;
}

void
budget_take(struct budget *budget, double amount, int64_t now_ms)
{
    bucket_take(&budget->own, amount, now_ms);
    bucket_take(&budget->told, amount, now_ms);
}

void
budget_told(struct budget *budget, const int64_t told[3], double under_way,
            int64_t now_ms)
{
    int64_t limit = told[0], remaining = told[1], reset_ms = told[2];
    double level = (double)remaining - under_way;

    if (remaining < 0 || reset_ms <= 0 || reset_ms > TOLD_MAX_MS)
        return;
    if (limit < 0) /* it is not told: one, if nothing is left */
        limit = 1;
    if (limit < remaining)
        limit = remaining;
    budget->told = (struct bucket){
        .level = level,
        .size = (double)limit,
        .per_ms = (double)(limit - remaining) / (double)reset_ms,
        .at_ms = now_ms,
        .until_ms = now_ms + reset_ms,
    };
}
