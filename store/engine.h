/*
 * engine.h - ordered tables with transactions: what a store stands on
 *
 * Two engines: LMDB on disk, and memory for tests. Both hold the tables of
 * FORMAT.md as ordered byte strings; all meaning is above, in store.c and its
 * neighbours. An engine has at most one transaction, and all reading and
 * writing happens inside it; it belongs to one thread.
 *
 * Slices that get, seek and before give out are borrowed: valid until the next
 * put or del, or the end of the transaction.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_ENGINE_H
#define STORE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/pages.h"

/* The order is the format: never reorder, only append. */
#define TABLE_LIST(X)           \
    X(META, "meta")             \
    X(BATCH, "batch")           \
    X(SPEC, "spec")             \
    X(UUID, "uuid")             \
    X(CLIENT_KEY, "client_key") \
    X(CHUNK, "chunk")           \
    X(BODY, "body")             \
    X(DRAFT, "draft")           \
    X(NAME, "name")             \
    X(REFUSAL, "refusal")       \
    X(REQUEST, "request")       \
    X(KEY, "key")               \
    X(REF, "ref")               \
    X(READY, "ready")           \
    X(TIMER, "timer")           \
    X(LEASE, "lease")           \
    X(WORKER, "worker")         \
    X(OUTCOME, "outcome")       \
    X(REPLY, "reply")           \
    X(RESULT, "result")         \
    X(DONE, "done")             \
    X(ESSENCE, "essence")       \
    X(ATTEMPT, "attempt")       \
    X(UPSTREAM, "upstream")     \
    X(FILE, "file")             \
    X(FILE_UUID, "file_uuid")   \
    X(FILE_KEY, "file_key")     \
    X(OWNED, "owned")           \
    X(PIECE, "piece")           \
    X(FILING, "filing")         \
    X(DELIVERY, "delivery")     \
    X(PENDING, "pending")       \
    X(KEY_LOG, "key_log")       \
    X(KEY_SET, "key_set")       \
    X(ANSWER, "answer")         \
    X(KEY_CELL, "key_cell")     \
    X(PART, "part")             \
    X(NEWEST, "newest")         \
    X(SPAN, "span")

#define TABLES_OF_FORMAT_1 22 /* later ones are added to an older store */

#define TABLE_ENUM(name, text) TABLE_##name,
enum table { TABLE_LIST(TABLE_ENUM) TABLE_COUNT };
#undef TABLE_ENUM

/* The name of a table, as in FORMAT.md. */
const char *table_name(enum table table);

struct engine {
    const struct engine_ops *ops;
    const char *reason; /* of the last failure, in the engine's own words; NULL
                           if it has none */
    bool is_damaged;    /* it has met pages that are */
};

/* The code by which people are told of a failure. */
int engine_code(const struct engine *engine, int rc);

struct engine_usage {
    uint64_t bytes;      /* that hold something */
    uint64_t bytes_max;  /* beyond that, all is E_FULL */
    uint64_t disk_free;  /* of its file system; what was freed within the file
                            counts as free */
    uint64_t disk_bytes; /* of its file system, in all */
};

/* Functions return 0 or a negative code of base/err.h. E_FULL or E_IO from any
 * of them means that the transaction cannot succeed; abort it. After E_IO the
 * process must end: the engine failed, or found its own pages damaged. */
struct engine_ops {
    /* Begins the one transaction. */
    int (*begin)(struct engine *engine, struct err *err);

    /* Makes it durable. E_FULL: no space, nothing was changed. E_IO: the
     * outcome is unknown; the process must end. The transaction is over in
     * every case. */
    int (*commit)(struct engine *engine, struct err *err);

    /* Forgets it. */
    void (*abort)(struct engine *engine);

    /* E_NOTFOUND if there is no such key. */
    int (*get)(struct engine *engine, enum table table, struct slice key,
               struct slice *value);

    /* Adds or replaces. Neither slice may be borrowed from the engine. */
    int (*put)(struct engine *engine, enum table table, struct slice key,
               struct slice value);

    /* Adds a row behind all others of its table, on pages that are full; one
     * that does not belong there is put where it does. */
    int (*append)(struct engine *engine, enum table table, struct slice key,
                  struct slice value);

    /* E_NOTFOUND if there is no such key. */
    int (*del)(struct engine *engine, enum table table, struct slice key);

    /* The first row at or after key (seek), or the last one before it
     * (before); the empty key is before all. E_NOTFOUND if there is none. found
     * and value may be NULL. */
    int (*seek)(struct engine *engine, enum table table, struct slice key,
                struct slice *found, struct slice *value);
    int (*before)(struct engine *engine, enum table table, struct slice key,
                  struct slice *found, struct slice *value);

    /* What it takes and may take, in a transaction. If it need not be exact,
     * bytes may be more than it takes, where counting would be work. */
    void (*usage)(struct engine *engine, bool is_exact,
                  struct engine_usage *usage);

    /* Allocates what a transaction that changes that many pages takes, so
     * that memory does not grow under load. Outside a transaction. */
    int (*reserve)(struct engine *engine, size_t pages, struct err *err);

    /* A view of what is committed, in a transaction of its own, for another
     * thread, in which it is made and closed, after a look at its pages. 1:
     * the terms ended that; E_CORRUPT: they are damaged; E_IO; E_INVALID: this
     * engine has none. */
    int (*snapshot)(struct engine *engine, const struct pages *look,
                    struct engine **snapshot, struct err *err);

    /* Rows of a table, in a transaction. */
    uint64_t (*rows)(struct engine *engine, enum table table);

    void (*close)(struct engine *engine);
};

/* An engine over an existing LMDB directory, or one to be filled when
 * is_new. NULL with E_CORRUPT, E_VERSION or E_IO and the reason. map_bytes is
 * the most it may grow to. */
struct engine *engine_open_lmdb(const char *dir, bool is_new,
                                uint64_t map_bytes, struct err *err);

/* An engine in memory, empty, of at most max_bytes of keys and values. */
struct engine *engine_open_memory(uint64_t max_bytes);

#endif
