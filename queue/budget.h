/*
 * budget.h - so many a minute: of requests, or of tokens
 *
 * Two buckets, and what is taken comes out of both. The first is the operator's:
 * it holds a twentieth of a minute's amount and is filled so that no minute sees
 * more than that amount, whenever the minute begins. The second is what the
 * upstream's replies tell: what is left, and when all of it is there again; it
 * fills evenly until then, and is forgotten at that time.
 *
 * What something will take is an estimate; it is settled when it is known. So a
 * bucket may owe. Pure; zero-initialised has no limit.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_BUDGET_H
#define QUEUE_BUDGET_H

#include <stdint.h>

struct bucket {
    double level, size;
    double per_ms;    /* that flows in */
    int64_t at_ms;    /* as of when level is */
    int64_t until_ms; /* it is forgotten then; 0: there is none */
};

struct budget {
    struct bucket own, told;
};

/* A budget of so many a minute, unused; 0: no limit but what replies tell. */
void budget_init(struct budget *budget, int64_t per_minute, int64_t now_ms);

/* When so much may be taken: now_ms or less, at once. More than fits may be taken
 * when the bucket is full. */
int64_t budget_ready_ms(const struct budget *budget, double amount,
                        int64_t now_ms);

/* Takes so much; less than nothing gives back. */
void budget_take(struct budget *budget, double amount, int64_t now_ms);

/* A reply tells that of `limit` so much is left, and that all of it is there
 * again in reset_ms; each -1 if it does not say. under_way: what was taken and
 * is not counted in there yet. */
void budget_told(struct budget *budget, const int64_t told[3], double under_way,
                 int64_t now_ms);

#endif
