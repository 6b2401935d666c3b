/*
 * check_rows.h - what the parts of store_check() share
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_CHECK_ROWS_H
#define TESTS_CHECK_ROWS_H

#include "store/table.h"

typedef unsigned long long llu;

struct check {
    struct store *store;
    struct buf *report;
    size_t count;         /* things that are wrong */
    struct timer *timers; /* all of them */
    size_t timer_count;
};

/* Looks at one row. */
typedef void row_fn(struct check *check, struct slice key,
                    struct record *record);

/* Says that something is wrong. */
void fault(struct check *check, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#define EXPECT(check, claim, ...)      \
    do {                               \
        if (!(claim))                  \
            fault(check, __VA_ARGS__); \
    } while (0)

/* True if there is such a row, whole; the u64 that it begins with, 0 if it is
 * not there. */
bool has_row(struct check *check, enum table table, struct key key);
uint64_t row_u64(struct check *check, enum table table, struct key key);
struct key check_ref(uint64_t request, uint64_t batch, uint32_t index);

/* True if there is such a timer; if a sweep of the batch is on its way from
 * draft to draft. */
bool has_timer(const struct check *check, enum timer_kind kind, uint64_t id);
bool is_swept(const struct check *check, uint64_t batch);

/* Rows of batches and what belongs to them (check_batches.c). */
bool has_batch(struct check *check, uint64_t id);
row_fn check_batch, check_of_batch, check_to_batch, check_client_key;

/* Rows of drafts (check_drafts.c). */
row_fn check_draft, check_of_draft, check_refusal, check_result, check_done;

/* Rows of requests (check_requests.c). */
row_fn check_request, check_of_request, check_key, check_want, check_ready;

#endif
