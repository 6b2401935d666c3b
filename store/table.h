/*
 * table.h - rows with a seal, inside a store's transaction
 *
 * Private to store/: the step between records and the engine. Reading checks
 * the seal. Writing keeps the first failure in the store, as store.h promises.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_TABLE_H
#define STORE_TABLE_H

#include "base/digest.h"
#include "base/pack.h"
#include "store/delivery.h"
#include "store/engine.h"
#include "store/file.h"
#include "store/keybook.h"
#include "store/keyset.h"
#include "store/record.h"
#include "store/store.h"

struct ids {
    /* the last ones given out */
    uint64_t batch, request, seq, group, file, delivery, answer;
    int64_t latest_ms;
    struct clock_mark mark; /* of that time */
};

struct store {
    struct engine *engine;
    unsigned char uuid[STORE_UUID_BYTES];
    uint64_t bytes_max;                  /* its size; the engine has more */
    unsigned soft_percent, hard_percent; /* of it, for what is new */
    bool is_open;                        /* in a transaction */
    bool is_dirty;                       /* something was written in it */
    int64_t now_ms;                      /* when it began */
    struct clock_mark mark;              /* what the clocks showed then */
    int rc;                 /* the first failure of the transaction */
    uint32_t format;        /* on disk; raised by the next commit */
    int64_t answers_ttl_ms; /* of those that no draft refers to */
    struct err err;
    struct ids ids;       /* with what the transaction gave out */
    struct ids committed; /* as on disk */
    uint64_t delayed;     /* requests, since they were counted */
    uint64_t delayed_committed;
    void (*ended)(void *context, const struct batch *batch); /* may be NULL */
    void (*ready)(void *context, uint64_t batch);            /* this too */
    void *ready_context;
    void *context;                                           /* of ended */
    void (*given)(void *context, const struct draft *draft); /* this too */
    void *given_context;
    void (*batch_moved)(void *context, uint64_t batch, enum batch_state from,
                        enum batch_state to); /* may be NULL */
    void (*request_moved)(void *context, uint64_t request,
                          enum request_state from,
                          enum request_state to); /* may be NULL */
    void *moves_context;                          /* of these two */
    struct buf fields;                            /* scratch for encoding */
    struct digest *digest;
    struct buf stem_text; /* what the last name was made of (names.c) */
    uint64_t stem;        /* its hash */
    struct keybook *keybook;
    struct keyset *keyset;
    struct packer *packer;
    struct buf reply;  /* the last one that was read, if it was packed */
    struct batch late; /* a row that is still to be written; id 0: none */
};

#define STORE_BESIDE \
    "compact" /* in the directory: a compacted one grows there */

/* The size of the map for a store of that size: a reserve more. */
uint64_t store_map_bytes(uint64_t bytes_max);

/* Keeps the first failure of the transaction; 0 is none. */
void store_fail(struct store *store, int rc, enum table table,
                const char *what);

/* The length of a table's keys; 0 where they are names. */
size_t table_key_bytes(enum table table);

/* Reads a row. E_NOTFOUND, E_CORRUPT; once the transaction has failed, its
 * failure. The second leaves the seal to the caller. */
int table_get(struct store *store, enum table table, struct key key,
              struct record *record);
int table_get_raw(struct store *store, enum table table, struct key key,
                  struct slice *value);

/* The first row at or after a key, or the last one before it, whose key begins
 * with the first `prefix` bytes of it. *found is borrowed, and as long as the
 * table's keys are. E_CORRUPT also sets *found. record may be NULL: the row is
 * not read. */
int table_seek(struct store *store, enum table table, struct key key,
               size_t prefix, struct slice *found, struct record *record);
int table_before(struct store *store, enum table table, struct key key,
                 size_t prefix, struct slice *found, struct record *record);
int table_before_raw(struct store *store, enum table table, struct key key,
                     struct slice *found, struct slice *value);

/* The buffer for a row's fields, empty. */
struct buf *table_fields(struct store *store);

/* Seals what is in table_fields() and writes it as a row. */
void table_put(struct store *store, enum table table, struct key key);

/* The same unless there is a row with that key, which stays: false then. */
bool table_add(struct store *store, enum table table, struct key key);

/* The same for a row behind all others, of which a page then takes as many as
 * fit: otherwise one in two of a kilobyte leaves half of its page free. */
void table_append(struct store *store, enum table table, struct key key);

/* Removes a row; one that is not there is fine. */
void table_del(struct store *store, enum table table, struct key key);

/* Keys that several files make. */
struct key key_draft(uint64_t batch, uint32_t index);
struct key key_id(uint64_t id);

/* Of an upstream: its name is what the operator chose, so it is hashed. */
struct key key_upstream(const char *name);

/* Of a client's file in the index of what it has, and of a file by its client and
 * key (files.c). */
struct key key_owned(const char *client, uint64_t file);
struct key key_file_key(const struct file *file);

struct key key_ready(uint64_t batch, struct place place, uint64_t request);
struct key key_ref(uint64_t request, uint64_t batch, uint32_t index);

/* ---- requests (requests.c) ---- */

/* Writes a request's record. */
void request_put(struct store *store, const struct request *request);

/* Changes a request's state, which request_put() writes. */
void request_change(struct store *store, struct request *request,
                    enum request_state to);

/* Lets a request that has ended start anew, with all its attempts (slices.c).
 * Its rows in the ready index are the caller's. */
void request_revive(struct store *store, struct request *request);

/* Takes a request out of what its state put it into: ready index, timer, or
 * lease. */
void request_unplace(struct store *store, const struct request *request);

/* The newest request of a key. E_NOTFOUND, E_CORRUPT. */
int key_lookup(struct store *store, const unsigned char key[DIGEST_BYTES],
               struct request *request);
void key_point(struct store *store, const unsigned char key[DIGEST_BYTES],
               uint64_t request);

/* ---- batches (batches.c) ----
 *
 * Results of one batch come one after another, and each changes its counters: its
 * row is written when another batch's is, or all are looked through, or the
 * transaction ends. Until then it is late; store_batch_get() knows. Nothing is
 * borrowed from this table, so that no reader is in its way. */

/* Writes a batch's record as it is: one that is complete does not end by that. It
 * is late. */
void batch_put(struct store *store, const struct batch *batch);

/* Writes the row that is late, if there is one. */
void batch_catch_up(struct store *store);

/* Removes a batch's row. */
void batch_remove(struct store *store, uint64_t id);

/* ---- who wants a request (wants.c) ----
 *
 * A ref joins a draft to the request it waits for, and to the one that gave its
 * result. A request that has had one draft only is sole, and has no row for it: its
 * record says which. A batch wants a request if it is live and one of its drafts waits for
 * it; then, and only then, has a ready request a row in the ready index for it.
 */

/* Adds a further draft's; a request that was sole is so no more, and written. */
void ref_add(struct store *store, struct request *request, uint64_t batch,
             uint32_t index);

/* True if a draft has a ref to a request. */
bool ref_is_there(struct store *store, const struct request *request,
                  uint64_t batch, uint32_t index);

/* The first ref of a request at or after *cursor. */
int ref_next(struct store *store, const struct request *request,
             struct cursor *cursor);

/* True if a batch wants the request. */
bool request_is_wanted(struct store *store, const struct request *request);

/* Adds the request's rows in the ready index, one for each batch that wants it;
 * removes those of all batches; the same for one batch. */
void ready_put_all(struct store *store, const struct request *request);
void ready_del_all(struct store *store, const struct request *request);
void ready_put(struct store *store, const struct request *request,
               uint64_t batch);
void ready_del(struct store *store, const struct request *request,
               uint64_t batch);

/* Chooses another draft to render the request from, and to pay for it; none if
 * there is none. Writes it. */
void request_repoint(struct store *store, struct request *request);

/* Cancels a request that is not done if nobody wants it. True if it did. */
bool request_let_go(struct store *store, struct request *request);

/* Removes a request that no draft refers to. Worth keeping without one: what is
 * being called; and an answer, for the cache, as long as those are kept. True if
 * it is gone. */
bool request_forget(struct store *store, const struct request *request);

/* Takes a draft's ref away, and what follows: a request may lose its source, be
 * wanted by nobody, or be forgotten. The draft's record was changed before. */
void request_leave(struct store *store, uint64_t id, const struct draft *draft);

/* Removes all attempts of a request (attempts.c). */
void attempts_drop(struct store *store, uint64_t request);

/* Removes what was kept of a request's reply (finish.c). Before its outcome. */
void reply_drop(struct store *store, uint64_t request);

/* ---- deliveries (deliveries.c) ---- */

#define DELIVERY_STEM_BYTES 8 /* of a webhook's digest, in the index */

/* The place of a delivery among those that wait; its timer. */
struct key key_pending(const struct delivery *delivery);
struct timer delivery_timer(const struct delivery *delivery);

/* Writes the rows by which a delivery is found when it is due. */
void delivery_place(struct store *store, const struct delivery *delivery);

/* ---- drafts and results ---- */

/* Writes a draft's record. */
void draft_put(struct store *store, const struct draft *draft);

/* Claims an id within a batch for the draft at `index` (names.c). 1: it is
 * taken. E_CORRUPT: by a draft that is damaged. */
int name_claim(struct store *store, uint64_t batch, uint32_t index,
               struct slice id);

/* Where the name of a draft's id stands: its key. E_NOTFOUND: nowhere;
 * E_CORRUPT: the draft's line is damaged, or a draft that may have its id. */
int name_place(struct store *store, const struct draft *draft, struct key *key);

/* Gives a draft its name again, if its id can be read and is not taken. */
void name_restore(struct store *store, const struct draft *draft);

/* The first draft of a batch at or after an index. E_CORRUPT also sets its
 * index. */
int draft_next(struct store *store, uint64_t batch, uint32_t index,
               struct draft *draft);

/* Gives a draft the result of draft->request, or one of its own if it is
 * cancelled or expired (results.c): its record, its place in the order of
 * completion, and its batch's counters, which the caller writes. */
void result_give(struct store *store, struct batch *batch, struct draft *draft,
                 enum status status, int64_t now_ms);

/* Writes a result's rows in the order of completion. */
void result_order(struct store *store, const struct draft *draft);

/* Removes a draft's result from the order of completion. */
void result_remove(struct store *store, const struct draft *draft);

/* Tells a draft that a request has ended (finish.c): gives it the result if it
 * is better than its own, and ends its waiting. The caller writes the batch. */
void hand_over(struct store *store, const struct request *request,
               const struct outcome *outcome, struct batch *batch,
               struct draft *draft, int64_t now_ms);

#endif
