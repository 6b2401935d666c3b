/*
 * refusals.h - the drafts that the broker refused, in order of the input
 *
 * Pages through a batch's refusals and hands them out one by one, so that they
 * can be matched with the input line by line, in bounded memory.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_REFUSALS_H
#define SUBMIT_REFUSALS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "submit/pages.h"

#define REFUSALS_TEXTS 3

struct refusals {
    struct pages pages;
    struct json_doc doc;
    struct buf texts[REFUSALS_TEXTS]; /* of the last one handed out */
};

/* Starts at the draft with this index. The strings stay the caller's. Ended
 * with refusals_fini(). */
void refusals_init(struct refusals *refusals, struct sheaf *sheaf,
                   const char *batch, int64_t index);
void refusals_fini(struct refusals *refusals);

/* The next one: 0 and *refusal, whose texts are lent until the next call and
 * whose place is 0; 1 if there is none. */
int refusals_next(struct refusals *refusals, struct sheaf_refusal *refusal,
                  struct err *err);

#endif
