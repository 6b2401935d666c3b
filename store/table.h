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
#include "store/opened.h"
#include "store/ready.h"
#include "store/record.h"
#include "store/span.h"
#include "store/store.h"

struct ids {
    /* the last ones given out */
    uint64_t batch, request, seq, group, file, delivery, answer, part;
    uint64_t drafts; /* that stand in spans */
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
    uint64_t done_gap;      /* DONE_GAP, but in tests */
    struct err err;
    struct ids ids;       /* with what the transaction gave out */
    struct ids committed; /* as on disk */
    uint64_t delayed;     /* requests, since they were counted */
    uint64_t delayed_committed;
    uint64_t ready_count; /* requests in the index, for each batch that waits */
    uint64_t ready_committed;
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
    struct opened *opened;
    struct buf reply;  /* the last one that was read, if it was packed */
    struct batch late; /* a row that is still to be written; id 0: none */
    struct ready_hold hold;
    struct span_hold span;
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

/* The same, and the seal is left to the caller. */
int table_seek_raw(struct store *store, enum table table, struct key key,
                   size_t prefix, struct slice *found, struct slice *value);
int table_before_raw(struct store *store, enum table table, struct key key,
                     struct slice *found, struct slice *value);

/* The buffer for a row's fields, empty. */
struct buf *table_fields(struct store *store);

/* Seals what is in table_fields() and writes it as a row. */
void table_put(struct store *store, enum table table, struct key key);

/* Writes a row as it is: what stands in it has seals of its own. */
void table_put_raw(struct store *store, enum table table, struct key key,
                   struct slice value);

/* As table_put(), for a row behind all others, of which a page then takes as
 * many as fit: else one in two of a kilobyte leaves half of its page free. */
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

struct key key_ref(uint64_t request, uint64_t batch, uint32_t index);

#endif
