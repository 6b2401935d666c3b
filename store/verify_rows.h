/*
 * verify_rows.h - what the parts of store_verify() share
 *
 * Private to store/. One row is looked at after the other, in the order of
 * tables and keys; what is found wrong is said of that row.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_VERIFY_ROWS_H
#define STORE_VERIFY_ROWS_H

#include "store/rows.h"
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
    bool is_mending;
    bool has_lost;   /* a draft or a batch that is damaged was found */
    bool is_ended;   /* go_on() has said so, while a row was looked at */
    size_t mended;   /* in this transaction */
    uint64_t drafts; /* in spans, as counted */
};

/* Looks at one row, whose seal is right. What it writes ends the record. */
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

/* The same of something that can be made again from the rest. True: it is to be
 * made, now. */
bool stale(struct check *check, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), warn_unused_result));

#define MEND(check, claim, ...) (!(claim) && stale(check, __VA_ARGS__))

/* Writes the timer that is looked at again when its value is damaged: its key
 * says what is due. Longer work begins anew, and passes over what it has done
 * already. */
void timer_restart(struct check *check);

/* Removes the row that is looked at. */
void drop_row(struct check *check);

/* Sets a timer that is due at once. */
void set_work(struct check *check, enum timer_kind kind, uint64_t id);

/* Lets the last number given out be at least this one. */
void raise_number(struct check *check, uint64_t *number, uint64_t to);

/* For what is long within one row: asks whether to go on, after the nth step, now
 * and then. */
void ask(struct check *check, uint64_t nth);

/* True if there is such a row, whole. */
bool has_row(struct check *check, enum table table, struct key key);

/* Notes all longer work before the first row is looked at; forgets it. E_FULL:
 * VERIFY_WORKS_MAX. */
int works_note(struct check *check, struct err *err);
void works_forget(struct check *check);

/* True if a timer of this kind has this id: of longer work, or TIMER_ABANDON.
 * True if a sweep of the batch is on its way from draft to draft. */
bool has_work(const struct check *check, enum timer_kind kind, uint64_t id);
bool is_swept(const struct check *check, uint64_t batch);

/* True if a timer stands at that time. */
bool has_timer(struct check *check, int64_t due_ms, enum timer_kind kind,
               uint64_t id);

/* Batches and by what they are found (verify_batches.c). */
row_fn verify_batch, verify_spec, verify_uuid, verify_client_key;

/* Their chunks, and the parts of these (verify_chunks.c). */
row_fn verify_chunk, verify_newest, verify_body, verify_part;

/* A part's number as people read it: those of one batch count from 1 on. */
llu part_shown(uint64_t part);

/* The chunk in which a part lies. E_NOTFOUND; E_CORRUPT if that cannot be told. */
int find_chunk(struct check *check, uint64_t batch, uint64_t part,
               struct chunk *chunk);

/* Drafts and results (verify_drafts.c). A span has a seal for each of its
 * drafts: what is found is said of the draft. */
void verify_span(struct check *check, struct slice key, struct slice row);
row_fn verify_draft, verify_refusal, verify_result, verify_done, verify_essence;

/* Names (verify_names.c): a row of them, the tail of a batch that has not been
 * dropped, and the one of a draft. */
row_fn verify_name;
void compare_tail(struct check *check, struct batch *batch);
void compare_name(struct check *check, const struct draft *draft);

/* Requests (verify_requests.c). */
row_fn verify_request, verify_key, verify_ref, verify_lease;

/* Those that are ready (verify_ready.c). */
row_fn verify_ready;

/* What they came to, and their calls (verify_answers.c). */
row_fn verify_outcome, verify_reply, verify_answer, verify_attempt;

/* Files, and what batches have to do with them (verify_files.c). */
row_fn verify_file, verify_file_uuid, verify_file_key, verify_owned,
    verify_piece, verify_filing;

/* What is due, and deliveries (verify_timers.c); what stands beside (verify.c).
 */
row_fn verify_timer, verify_delivery, verify_pending, verify_meta,
    verify_worker, verify_upstream;

/* The index of request keys (verify_keybook.c). */
row_fn verify_key_log, verify_key_cell, verify_key_set;

/* True if a request is there, damaged or not, and its key begins so. */
bool leads_to_key(struct check *check, uint64_t id, uint64_t prefix);

#endif
