/*
 * table.h - rows with a seal, inside a store's transaction
 *
 * Private to store/: the step between records and the engine. Reading checks
 * the seal. Writing keeps the first failure in the store, as store.h promises.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_TABLE_H
#define STORE_TABLE_H

#include "store/engine.h"
#include "store/record.h"
#include "store/store.h"

struct ids {
    uint64_t batch, request, seq, group; /* the last ones given out */
    int64_t latest_ms;
};

struct store {
    struct engine *engine;
    unsigned char uuid[STORE_UUID_BYTES];
    bool is_open;   /* in a transaction */
    bool is_dirty;  /* something was written in it */
    int64_t now_ms; /* when it began */
    int rc;         /* the first failure of the transaction */
    struct err err;
    struct ids ids;       /* with what the transaction gave out */
    struct ids committed; /* as on disk */
    struct buf fields;    /* scratch for encoding */
};

/* Keeps the first failure of the transaction; 0 is none. */
void store_fail(struct store *store, int rc, enum table table,
                const char *what);

/* Reads a row. E_NOTFOUND, E_CORRUPT. */
int table_get(struct store *store, enum table table, struct key key,
              struct record *record);

/* The first row at or after a key, or the last one before it, whose key begins
 * with the first `prefix` bytes of it. *found is borrowed. E_CORRUPT also sets
 * *found. record may be NULL: the row is not read. */
int table_seek(struct store *store, enum table table, struct key key,
               size_t prefix, struct slice *found, struct record *record);
int table_before(struct store *store, enum table table, struct key key,
                 size_t prefix, struct slice *found, struct record *record);

/* The buffer for a row's fields, empty. */
struct buf *table_fields(struct store *store);

/* Seals what is in table_fields() and writes it as a row. */
void table_put(struct store *store, enum table table, struct key key);

/* Removes a row; one that is not there is fine. */
void table_del(struct store *store, enum table table, struct key key);

/* Keys that several files make. */
struct key key_draft(uint64_t batch, uint32_t index);
struct key key_id(uint64_t id);

/* The state of a request, and the rows that go with it (requests.c). */
void request_put(struct store *store, const struct request *request);

/* True if a live batch wants the request. */
bool request_is_wanted(struct store *store, uint64_t request);

/* Adds or removes the request's rows in the ready index, one for each batch
 * that wants it. */
void ready_put_all(struct store *store, const struct request *request);
void ready_del_all(struct store *store, const struct request *request);
void ready_put(struct store *store, const struct request *request,
               uint64_t batch);
void ready_del(struct store *store, const struct request *request,
               uint64_t batch);

/* Takes a request out of what its state put it into: ready index, timer, or
 * lease. */
void request_unplace(struct store *store, const struct request *request);

/* The newest request of a key. E_NOTFOUND, E_CORRUPT. */
int key_lookup(struct store *store, const unsigned char key[DIGEST_BYTES],
               struct request *request);
void key_point(struct store *store, const unsigned char key[DIGEST_BYTES],
               uint64_t request);
void ref_add(struct store *store, uint64_t request, uint64_t batch,
             uint32_t index);
void ref_del(struct store *store, uint64_t request, uint64_t batch,
             uint32_t index);

/* Writes a draft's record. */
void draft_put(struct store *store, const struct draft *draft);

/* Gives a draft a result (results.c): its record, its place in the order of
 * completion, and its batch's counters, which the caller writes. */
void result_give(struct store *store, struct batch *batch, struct draft *draft,
                 enum status status, int64_t now_ms);

/* Removes a draft's result from the order of completion. */
void result_remove(struct store *store, const struct draft *draft);

#endif
