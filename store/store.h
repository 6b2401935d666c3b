/*
 * store.h - durable state: batches, drafts, requests, results, and what is due
 *
 * The interface is in the broker's words, and bulk where there is bulk: add the
 * drafts of a chunk, claim up to n requests, finish one with all its drafts,
 * results after a cursor. Policy stays in the broker: it says which and how
 * many. What lies underneath (engine.h) is nobody's business above.
 *
 * One process opens a store, one transaction is open at a time, and everything
 * below happens inside it but for opening and closing.
 *
 * Errors. Reading returns 0, E_NOTFOUND or E_CORRUPT. What goes from row to row
 * sets the number of the row (id, index, seq, uuid, timer) also with E_CORRUPT,
 * so that the caller can go on behind it. Writing returns nothing: the first
 * failure is kept, what follows is skipped, and store_commit() returns it with
 * nothing changed; until then, reading may return it too. After any failed
 * commit the state in memory that was derived from the transaction must be made
 * anew.
 *
 * Borrowed slices that reading gives out are valid until the next change.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "store/attempt.h"
#include "store/batch.h"
#include "store/draft.h"
#include "store/outcome.h"
#include "store/request.h"
#include "store/upstream.h"

#define STORE_FORMAT       5
#define STORE_UUID_BYTES   16
#define STORE_SLICE_MAX    1000 /* drafts touched by one slice of longer work */
#define STORE_ATTEMPTS_MAX 32   /* calls of a request that are remembered */
#define STORE_RESERVE      (64u << 20) /* bytes beyond its size, for results */
#define STORE_RESULT_BYTES 1024 /* promised to each draft without a result */
#define STORE_SOFT_PERCENT 85
#define STORE_HARD_PERCENT 95

struct store;

/* ---- opening, transactions ---- */

/* Opens the store in a directory, making it if there is none. uuid is the
 * identity of a new store. bytes_max: the size beyond which it is full; results
 * may take up to as much again, at most STORE_RESERVE. The lock is held by the
 * caller (home.h). NULL with E_CORRUPT: damaged or foreign; E_VERSION: newer;
 * E_IO. */
struct store *store_open(const char *dir, uint64_t bytes_max,
                         const unsigned char uuid[STORE_UUID_BYTES],
                         struct err *err);

/* Allocates what the largest transaction takes, of that many drafts, so that
 * memory does not grow under load. */
int store_reserve(struct store *store, size_t drafts, struct err *err);

/* A store in memory, for tests. */
struct store *store_open_memory(uint64_t bytes_max,
                                const unsigned char uuid[STORE_UUID_BYTES]);

/* A view of what is committed now, which does not change; only reading is
 * possible, within one transaction that is open. For one other thread, which
 * makes, uses and closes it while the store is used: until then, pages that are
 * freed are not used again. NULL with E_IO; E_INVALID: a store in memory. */
struct store *store_snapshot(struct store *store, struct err *err);

/* How long answers that no draft refers to any more are kept for the cache. Until
 * it is called, they are kept. */
void store_keep_answers(struct store *store, int64_t ttl_ms);

/* How many request keys are kept in memory before they go to their cells of the
 * index, and how many a cell has before they go into their place. Until it is
 * called, as many as serve best; for tests, which have fewer drafts. */
void store_keep_recent(struct store *store, size_t keys_max, size_t cell_max);

/* Closes it; an open transaction is forgotten. NULL is fine. */
void store_close(struct store *store);

/* Begins the transaction at a time, which is remembered as the latest seen. */
int store_begin(struct store *store, int64_t now_ms, struct err *err)
    __attribute__((warn_unused_result));

/* What the clocks show as the next transaction begins: kept with its time. */
void store_mark(struct store *store, const struct clock_mark *mark);

/* Makes it durable. E_FULL: no space, nothing was changed; reading and removing
 * go on. E_IO: the outcome is unknown, or the file is damaged; the process must
 * end. */
int store_commit(struct store *store, struct err *err)
    __attribute__((warn_unused_result));

/* True if the open transaction has changed something: else its commit costs
 * nothing. */
bool store_is_dirty(const struct store *store);

/* Forgets the transaction. */
void store_abort(struct store *store);

/* The time at which the open transaction began. */
int64_t store_now_ms(const struct store *store);

/* The store's identity; the latest time of a commit, 0 for a new one, and the
 * mark that was kept with it. */
const unsigned char *store_uuid(const struct store *store);
int64_t store_latest_ms(const struct store *store);
const struct clock_mark *store_latest_mark(const struct store *store);

/* ---- room ---- */

/* What it holds. bytes: pages in use; what was freed within the file is not
 * counted. bytes_promised: kept for the results of drafts that have none yet.
 * Both together stay below bytes_soft when a batch is opened, and below
 * bytes_hard when a chunk is added; these two follow bytes_max and the disk. */
struct store_usage {
    uint64_t bytes, bytes_promised;
    uint64_t bytes_soft, bytes_hard, bytes_max;
    uint64_t disk_free;
    uint64_t delayed; /* requests; see store_count_delayed() */
    uint64_t batches, drafts, requests, ready, leases, results, outcomes, files;
};
struct store_usage store_usage(struct store *store);

/* The size of the pages in use. */
uint64_t store_bytes(struct store *store);

/* At how many percent of bytes_max, and of its disk, new batches and chunks are
 * refused. Until it is called: STORE_SOFT_PERCENT and STORE_HARD_PERCENT. */
void store_set_marks(struct store *store, unsigned soft_percent,
                     unsigned hard_percent);

/* Asked before a new batch, and before a new chunk of so many bytes and drafts:
 * E_FULL, with the limit that is reached and what to do about it. Nothing else
 * is ever refused while there is a page left. */
int store_admit_batch(struct store *store, struct err *err);
int store_admit_chunk(struct store *store, size_t bytes, size_t drafts,
                      struct err *err);

/* The same for a file of so many bytes, and for what is added to one. */
int store_admit_file(struct store *store, uint64_t bytes, struct err *err);
int store_admit_part(struct store *store, uint64_t bytes, struct err *err);

/* Asked before a request is leased: false if its answer might not find room. The
 * rest is for answers that are on their way, for cancels and purges. */
bool store_may_lease(struct store *store);

/* How many drafts a slice may touch: STORE_SLICE_MAX, or less where there is
 * little room, as even removing takes pages until it is committed. */
size_t store_slice(struct store *store);

/* ---- batches ---- */

/* The highest id of a batch so far, of a request so far: newer ones have higher
 * ones. */
uint64_t store_batch_newest(const struct store *store);
uint64_t store_request_newest(const struct store *store);

/* Adds an open batch, giving it its id. client_key names it (see
 * store_client_key()). */
void store_batch_add(struct store *store, struct batch *batch,
                     const struct spec *spec);

/* The digest by which a batch is found: of client and key. */
void store_client_key(struct slice client, struct slice key,
                      unsigned char digest[DIGEST_BYTES]);

/* Find a batch. */
int store_batch_get(struct store *store, uint64_t id, struct batch *batch);
int store_batch_find(struct store *store,
                     const unsigned char uuid[BATCH_UUID_BYTES],
                     struct batch *batch);
int store_batch_find_key(struct store *store,
                         const unsigned char digest[DIGEST_BYTES],
                         struct batch *batch);

/* The first batch after an id, or the last one before it. E_NOTFOUND. */
int store_batch_after(struct store *store, uint64_t id, struct batch *batch);
int store_batch_before(struct store *store, uint64_t id, struct batch *batch);

/* Writes a batch's record, after a change of state or counters. Moves a sealed
 * batch that is complete to finished first; true if it did. */
bool store_batch_put(struct store *store, struct batch *batch, int64_t now_ms);

/* Calls back for each batch that moves to finished, cancelled, expired or failed,
 * whatever brought it there, within the transaction; its record is written
 * after that. */
void store_watch(struct store *store,
                 void (*ended)(void *context, const struct batch *batch),
                 void *context);

/* Calls back for each batch that gets a ready request, within the transaction. */
void store_watch_ready(struct store *store,
                       void (*ready)(void *context, uint64_t batch),
                       void *context);

/* Calls back for each result that a draft gets, also in place of a former one,
 * within the transaction. */
void store_watch_results(struct store *store,
                         void (*given)(void *context,
                                       const struct draft *draft),
                         void *context);

/* Changes a batch's state, which store_batch_put() writes. A move that the table
 * of batch.h does not have is a bug. */
void store_batch_move(struct store *store, struct batch *batch,
                      enum batch_state to);

/* Calls back for each move of a batch or a request, within the transaction; for
 * tests that count them. */
void store_watch_moves(struct store *store,
                       void (*batch_moved)(void *context, uint64_t batch,
                                           enum batch_state from,
                                           enum batch_state to),
                       void (*request_moved)(void *context, uint64_t request,
                                             enum request_state from,
                                             enum request_state to),
                       void *context);

/* What was said at its start. */
int store_spec_get(struct store *store, uint64_t batch, struct spec *spec);

/* ---- chunks and drafts ---- */

struct chunk {
    uint32_t n;
    unsigned char digest[DIGEST_BYTES];
    uint32_t index_first;
    uint32_t draft_count, accepted, joined, cached, refused;
    uint32_t part_first, part_count; /* that its lines lie in */
};

enum disposition {
    DRAFT_NEW,          /* made a request of its own */
    DRAFT_JOINED,       /* joined one that waits or is in flight */
    DRAFT_CACHED,       /* was answered by one that is done */
    DRAFT_DUPLICATE_ID, /* was not added: the batch has that id */
};

/* A draft of a chunk that is to be added. */
struct new_draft {
    struct draft draft; /* index, place of line, id, metadata; the rest is
                           filled in */
    struct slice id;    /* decoded */
    unsigned char key[DIGEST_BYTES];
    enum request_kind kind;
    const char *route;            /* borrowed */
    uint32_t model;               /* stands for the one it names */
    uint64_t tag;                 /* the caller's own, for `place` */
    struct place place;           /* filled in by `place` when it is new */
    size_t chars;                 /* the caller's own too */
    uint32_t tokens;              /* that its request may take */
    enum disposition disposition; /* out */
};

/* How store_drafts_add() asks back. */
struct intake {
    int64_t now_ms;
    int64_t cached_after_ms; /* answers not older than this are served */
    void *context;
    /* Looks in the memory tier: the request that answered key, or 0. One that
     * is not there any more, or is no answer, is not used. */
    uint64_t (*recall)(void *context, const unsigned char *key);
    /* Chooses the place of a draft that makes a new request. */
    void (*place)(void *context, struct new_draft *draft);
};

/* Adds drafts to a batch, deduplicating each against all requests, and those
 * before it in the array. Counts are added to *batch and *chunk, which the
 * caller writes. E_CORRUPT: a draft that may have the same id is damaged. */
int store_drafts_add(struct store *store, struct batch *batch,
                     struct chunk *chunk, struct new_draft *drafts,
                     size_t count, const struct intake *intake);

/* What a request key would meet now, for a dry run. */
enum disposition store_key_peek(struct store *store,
                                const unsigned char key[DIGEST_BYTES],
                                int64_t cached_after_ms);

/* A new group's number. */
uint64_t store_group_next(struct store *store);

/* Stores a chunk's lines byte for byte, in parts that end with a line, which
 * *chunk then names. The places of its drafts, which are within the chunk and
 * ascend, become places within these parts. Comes before the drafts are added;
 * the chunk's record comes after them. */
void store_body_put(struct store *store, uint64_t batch, struct chunk *chunk,
                    struct slice body, struct new_draft *drafts, size_t count);
void store_chunk_put(struct store *store, uint64_t batch,
                     const struct chunk *chunk);
int store_chunk_get(struct store *store, uint64_t batch, uint32_t n,
                    struct chunk *chunk);

/* The nth line of a chunk, from 1, without its newline: also one that became no
 * draft. */
int store_chunk_line(struct store *store, uint64_t batch,
                     const struct chunk *chunk, uint32_t n, struct slice *line);

/* The draft that has an id. E_CORRUPT: one that may have it is damaged. */
int store_draft_find(struct store *store, uint64_t batch, struct slice id,
                     struct draft *draft);

/* A draft's record; the bytes of its line, checked. */
int store_draft_get(struct store *store, uint64_t batch, uint32_t index,
                    struct draft *draft);
int store_draft_line(struct store *store, const struct draft *draft,
                     struct slice *line);

/* A draft that was refused, and why. */
struct refusal {
    uint32_t index;
    uint32_t line; /* in its chunk, from 1 */
    struct slice field, code, message;
    uint32_t file_line; /* in the batch's file; 0: none, or the file as such */
};
void store_refusal_add(struct store *store, uint64_t batch,
                       const struct refusal *refusal);

/* The first refusal at or after an index. */
int store_refusal_next(struct store *store, uint64_t batch, uint32_t index,
                       struct refusal *refusal);

/* ---- requests ---- */

int store_request_get(struct store *store, uint64_t id,
                      struct request *request);

/* The last deadline of the live batches that wait for a request; INT64_MAX if
 * one of them has none yet, or nobody waits. */
int64_t store_request_deadline(struct store *store, uint64_t id);

/* True if a draft of that live batch waits for a request. */
bool store_request_is_wanted_by(struct store *store, uint64_t id,
                                uint64_t batch);

/* True if a batch that may run waits for a request. */
bool store_request_runs(struct store *store, uint64_t id);

/* The first live batch after one that waits for a request; 0 if there is none. */
uint64_t store_request_wanted(struct store *store, uint64_t id, uint64_t after);

/* How many drafts refer to a request, counted up to `max`. */
size_t store_request_drafts(struct store *store, uint64_t id, size_t max);

/* Writes a request's counters and flags. Its state is changed by the functions
 * below alone. */
void store_request_put(struct store *store, const struct request *request);

/* Gives a request another key, as the configuration has changed: it is found by
 * the new one, unless that leads to another, and no longer by the old one. The
 * caller writes it. */
void store_request_rekey(struct store *store, struct request *request,
                         const unsigned char key[DIGEST_BYTES]);

/* The first place at or after *place where the batch has ready requests. */
int store_ready_next(struct store *store, uint64_t batch, struct place *place);

/* The first ready request of a batch at a place. */
int store_ready_peek(struct store *store, uint64_t batch, struct place place,
                     struct request *request);

/* How many ready requests of a batch stand before one, counted up to `max`. */
size_t store_ready_before(struct store *store, uint64_t batch,
                          const struct request *request, size_t max);

struct lease {
    uint64_t request;
    uint32_t fence;
    unsigned char worker[16];
    int64_t granted_ms;
    int64_t deadline_ms;
    const char *upstream; /* of terms: where it is to go; else NULL */
};

/* Leases up to `max` ready requests of a batch at one place: their fences grow,
 * they leave the ready index. Returns how many, with the requests. */
size_t store_claim(struct store *store, uint64_t batch, struct place place,
                   const struct lease *terms, struct request *requests,
                   size_t max);

/* Puts a leased or delayed request back to ready. One that nobody wants any
 * more is cancelled instead: request->state tells. */
void store_release(struct store *store, struct request *request);

/* Delays a leased request until due_ms; or cancels it, as store_release(). */
void store_delay(struct store *store, struct request *request, int64_t due_ms);

/* Ends a request: stores the outcome if it is better than what is there, and
 * gives it to the drafts, at most STORE_SLICE_MAX now and the rest by a timer.
 * reply: the reply, and the plain text behind it. The request may be in any
 * state: late answers count. */
void store_finish(struct store *store, struct request *request,
                  const struct outcome *outcome, struct slice reply,
                  int64_t now_ms);

/* The same with a reply that was packed by pack_add(), or by somebody else: the
 * caller has seen that pack_open() takes it. */
void store_finish_packed(struct store *store, struct request *request,
                         const struct outcome *outcome, struct slice packed,
                         int64_t now_ms);

/* How it ended, and the stored reply with what is behind it, which is borrowed
 * until the next one is read, too. */
int store_outcome_get(struct store *store, uint64_t request,
                      struct outcome *outcome);
int store_reply_get(struct store *store, uint64_t request,
                    const struct outcome *outcome, struct slice *reply);

/* Remembers a call of a request, under the next number, and forgets the oldest
 * if there are more than STORE_ATTEMPTS_MAX. The texts are not borrowed from the
 * store, and cut to ATTEMPT_TEXT_BYTES_MAX. */
void store_attempt_add(struct store *store, uint64_t request,
                       const struct attempt *attempt);

/* The last attempt before a number; UINT32_MAX: the newest one, whose number is
 * how many there have been. E_CORRUPT also sets its number. */
int store_attempt_before(struct store *store, uint64_t request, uint32_t number,
                         struct attempt *attempt);

/* A request's lease; the first one after a request's, for the start. */
int store_lease_get(struct store *store, uint64_t request, struct lease *lease);
int store_lease_after(struct store *store, uint64_t request,
                      struct lease *lease);

/* ---- slices of longer work ---- */

/* Where a slice goes on: a draft. */
struct cursor {
    uint64_t batch;
    uint32_t index;
};

/* Gives a finished request's outcome to further drafts. True: there are more,
 * and *cursor tells where. */
bool store_fan_out(struct store *store, struct request *request,
                   struct cursor *cursor, int64_t now_ms);

/* What ends drafts early asks back. */
struct ending {
    enum status status; /* STATUS_CANCELLED or STATUS_EXPIRED */
    int64_t now_ms;
    void *context;
    /* Appends the essence of a draft; NULL: none is kept. */
    void (*essence)(void *context, const struct draft *draft, struct slice line,
                    struct buf *out);
    /* A leased request that nobody needs any more was cancelled. */
    void (*cancelled)(void *context, const struct request *request);
};

/* Ends a slice of a batch's drafts that have no result; the batch is in its
 * state already. True: there are more, from *index on. Nothing is done if it
 * was put back in the meantime. */
bool store_end_drafts(struct store *store, struct batch *batch, uint32_t *index,
                      const struct ending *ending);

/* Puts a slice of a batch's fallbacks back: those whose status is in the mask
 * (1u << status). True: there are more, from *index on. */
bool store_retry_drafts(struct store *store, struct batch *batch,
                        uint32_t *index, uint32_t mask,
                        const struct intake *intake);

/* Removes a request whose answer nobody refers to: at once, or only if it is as
 * old as kept answers become; if it is younger then, it is looked at again. True
 * if it is gone. */
bool store_forget(struct store *store, uint64_t request, bool at_once);

/* Removes a slice of an abandoned or purged batch's drafts. True: there are
 * more. When it is the last and is_whole, the batch goes too. `ending` is that of
 * a cancel which may not be through with them, or NULL: calls that are in flight
 * go on. A timer for a request that goes with them may still come: it finds no
 * request. */
bool store_drop_drafts(struct store *store, struct batch *batch,
                       uint32_t *index, bool is_whole,
                       const struct ending *ending);

/* Frees a batch's key, so that it can be used for a new one. */
void store_key_free(struct store *store, uint64_t batch);

/* ---- results ---- */

/* A result on its way out. */
struct result_row {
    struct draft draft;
    struct slice line;      /* the draft's; empty if it is damaged */
    bool has_outcome;       /* false if it has none, or a damaged one */
    struct outcome outcome; /* if has_outcome; its text lies within reply */
    struct slice reply;     /* if has_outcome */
    struct slice essence;   /* of a draft that ended without its request */
};

/* Results of a batch after `seq`, or of all batches if batch is 0: fills *row
 * with the next one. E_NOTFOUND: none; E_CORRUPT: row->draft.seq is set, go on
 * behind it. */
int store_result_after(struct store *store, uint64_t batch, uint64_t seq,
                       struct result_row *row);

/* The first draft at or after an index that has a result; E_CORRUPT: its index
 * is set, go on behind it. */
int store_result_at(struct store *store, uint64_t batch, uint32_t index,
                    struct result_row *row);

/* ---- what is due, and who was there ---- */

/* The order is the format. */
enum timer_kind {
    TIMER_REQUEST = 1,  /* a delayed request */
    TIMER_DEADLINE = 2, /* of a batch */
    TIMER_ABANDON = 3,  /* an open batch */
    TIMER_FAN_OUT = 4,
    TIMER_CANCEL = 5,
    TIMER_EXPIRE = 6,
    TIMER_RETRY = 7,
    TIMER_DROP = 8,
    TIMER_FORGET = 9,     /* an answer that no draft refers to */
    TIMER_FILE_END = 10,  /* a file expires, or was left open */
    TIMER_FILE_READ = 11, /* of a batch: its file is read and checked */
    TIMER_FILE_MAKE = 12, /* of a batch: the files that it ends in */
    TIMER_FILE_DROP = 13, /* the removal of a file */
    TIMER_DELIVERY = 14,
    TIMER_LAST = TIMER_DELIVERY,
};

/* What the timer of a drop says, in its argument. */
#define DROP_WHOLE   1u /* the batch goes, too */
#define DROP_CANCELS 2u /* it was cancelled: calls that are in flight end */

struct timer {
    int64_t due_ms;
    enum timer_kind kind;
    uint64_t id;          /* a request, a batch, a file or a delivery */
    struct cursor cursor; /* where a slice goes on */
    uint32_t argument;
};

void store_timer_set(struct store *store, const struct timer *timer);
void store_timer_drop(struct store *store, const struct timer *timer);

/* The one that is due first. E_NOTFOUND if there is none. */
int store_timer_first(struct store *store, struct timer *timer);

/* The one after it. */
int store_timer_after(struct store *store, struct timer *timer);

/* Counts the requests that are delayed, by their timers; from then on
 * store_usage() knows how many there are. At the start of a broker, before
 * anything is changed. */
int store_count_delayed(struct store *store);

/* A worker that had slots: remembered so that a restarted broker does not lend
 * them again while the worker may still be calling. */
struct worker_row {
    unsigned char uuid[16];
    uint32_t slots;
    uint32_t pid;
    int64_t seen_ms;
    int64_t until_ms;        /* its calls have ended by then at the latest */
    struct slice host, lock; /* where to look whether it lives */
    struct slice own;        /* not empty: a broker of this store started it */
};
void store_worker_put(struct store *store, const struct worker_row *row);
void store_worker_drop(struct store *store, const unsigned char uuid[16]);

/* The first one behind a uuid (NULL: the first of all). */
int store_worker_after(struct store *store, const unsigned char *uuid,
                       struct worker_row *row);

/* What is remembered of an upstream, by its name. */
int store_upstream_get(struct store *store, const char *name,
                       struct upstream_row *row);
void store_upstream_put(struct store *store, const struct upstream_row *row);

#endif
