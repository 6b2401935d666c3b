/*
 * verify_rows.h - what the parts of store_verify() share
 *
 * Private to store/. One row is looked at after the other, in the order of
 * tables and keys; what is found wrong is said of that row.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_VERIFY_ROWS_H
#define STORE_VERIFY_ROWS_H

#include "store/table.h"
#include "store/verify.h"

typedef unsigned long long llu;

/* Longer work that a timer goes on with, and when a batch is abandoned. */
struct work {
    uint64_t id;
    enum timer_kind kind;
};

struct check {
    struct store *store;
    struct verify *verify;
    struct work *works; /* ordered */
    size_t work_count;
    enum table table; /* of the row that is looked at */
    struct slice key; /* its own, whatever is written meanwhile */
};

/* Looks at one row, whose seal is right. */
typedef void row_fn(struct check *check, struct slice key,
                    struct record *record);

/* Says that something is wrong with the row that is looked at. */
void fault(struct check *check, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#define EXPECT(check, claim, ...)      \
    do {                               \
        if (!(claim))                  \
            fault(check, __VA_ARGS__); \
    } while (0)

/* True if there is such a row, whole. */
bool has_row(struct check *check, enum table table, struct key key);

/* True if a timer of this kind has this id: of longer work, or TIMER_ABANDON.
 * True if a sweep of the batch is on its way from draft to draft. */
bool has_work(const struct check *check, enum timer_kind kind, uint64_t id);
bool is_swept(const struct check *check, uint64_t batch);

/* True if a timer stands at that time. */
bool has_timer(struct check *check, int64_t due_ms, enum timer_kind kind,
               uint64_t id);

/* Batches and what belongs to them (verify_batches.c). */
row_fn verify_batch, verify_spec, verify_uuid, verify_client_key, verify_chunk,
    verify_body;

/* The chunk in which a part lies. E_NOTFOUND; E_CORRUPT if that cannot be told. */
int find_chunk(struct check *check, uint64_t batch, uint32_t part,
               struct chunk *chunk);

/* Drafts and results (verify_drafts.c). */
row_fn verify_draft, verify_name, verify_refusal, verify_result, verify_done,
    verify_essence;

/* Requests (verify_requests.c). */
row_fn verify_request, verify_key, verify_ref, verify_ready, verify_lease,
    verify_outcome, verify_reply;

/* What stands beside them (verify.c). */
row_fn verify_meta, verify_timer, verify_worker;

#endif
