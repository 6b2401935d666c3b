/*
 * result.h - a draft's result, on its way out
 *
 * Each result has a seq, which grows over all batches and is a cursor; those of a
 * batch are found by the index of their draft, too.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_RESULT_H
#define STORE_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "store/draft.h"
#include "store/outcome.h"

struct store;

/* Results of other batches that are looked at between two of one. */
#define RESULT_PASSED_MAX 1000

/* A result on its way out. */
struct result_row {
    uint32_t passed; /* that lay before it, and are not the batch's */
    struct draft draft;
    struct slice line;      /* the draft's; empty if it is damaged */
    bool has_outcome;       /* false if it has none, or a damaged one */
    struct outcome outcome; /* if has_outcome; its text lies within reply */
    struct slice reply;     /* if has_outcome */
    struct slice essence;   /* of a draft that ended without its request */
};

/* Results of a batch after `seq`, or of all batches if batch is 0: fills *row
 * with the next one. E_NOTFOUND: none; E_CORRUPT: row->draft.seq is set, go on
 * behind it. 1: there is none up to row->draft.seq, behind which it goes on, and
 * RESULT_PASSED_MAX others' were looked at. */
int store_result_after(struct store *store, uint64_t batch, uint64_t seq,
                       struct result_row *row);

/* The last seq that was given out; 0: none was. */
uint64_t store_last_seq(const struct store *store);

/* The first draft at or after an index that has a result; E_CORRUPT: its index
 * is set, go on behind it. */
int store_result_at(struct store *store, uint64_t batch, uint32_t index,
                    struct result_row *row);

#endif
