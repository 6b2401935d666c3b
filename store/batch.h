/*
 * batch.h - the drafts of one submission, and where they stand
 *
 *              seal             last draft done
 *   open ──────────► sealed ◄──► paused ────────► finished
 *     │ ├► abandoned   │ ▲          │                │
 *     │ └► failed      │ └──────────┼── retry ───────┤
 *     ▼                ▼            ▼                │
 *   (dropped)      cancelled     expired ────────────┘
 *
 *   finished, cancelled, expired, abandoned, failed ──► purged ──► (gone)
 *
 * PROTOCOL.md has the same picture with the reasons. The record is small and
 * changes with every draft that ends; what was said at the start and never
 * changes is its spec.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_BATCH_H
#define STORE_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/status.h"
#include "store/record.h"
#include "store/run.h"

#define BATCH_UUID_BYTES   16
#define BATCH_PRIORITY_MAX 3
#define BATCH_COST_UNKNOWN (-1)

/* clang-format off */
#define BATCH_TO(state) (1u << BATCH_##state)
/*    name       text         the states it may move to */
#define BATCH_STATES(X)                                                       \
    X(OPEN,      "open",      BATCH_TO(SEALED) | BATCH_TO(CANCELLED) |        \
                              BATCH_TO(ABANDONED) | BATCH_TO(FAILED))         \
    X(SEALED,    "sealed",    BATCH_TO(FINISHED) | BATCH_TO(CANCELLED) |      \
                              BATCH_TO(EXPIRED) | BATCH_TO(PAUSED))           \
    X(FINISHED,  "finished",  BATCH_TO(SEALED) | BATCH_TO(PURGED))            \
    X(CANCELLED, "cancelled", BATCH_TO(PURGED))                               \
    X(EXPIRED,   "expired",   BATCH_TO(SEALED) | BATCH_TO(PURGED))            \
    X(ABANDONED, "abandoned", BATCH_TO(PURGED))                               \
    X(PAUSED,    "paused",    BATCH_TO(SEALED) | BATCH_TO(FINISHED) |         \
                              BATCH_TO(CANCELLED) | BATCH_TO(EXPIRED))        \
    X(PURGED,    "purged",    0)                                              \
    X(FAILED,    "failed",    BATCH_TO(PURGED))
/* clang-format on */

#define BATCH_ENUM(name, text, to) BATCH_##name,
enum batch_state { BATCH_STATES(BATCH_ENUM) BATCH_STATE_COUNT };
#undef BATCH_ENUM

struct batch {
    uint64_t id;
    unsigned char uuid[BATCH_UUID_BYTES];
    enum batch_state state;
    unsigned priority; /* 0 to BATCH_PRIORITY_MAX, the most urgent */
    bool is_early;     /* requests may run before the seal */
    int64_t created_ms;
    int64_t sealed_ms;     /* 0: not yet */
    int64_t finished_ms;   /* 0: not yet; also of cancelled and expired */
    int64_t deadline_ms;   /* 0: none before the seal */
    int64_t lifetime_ms;   /* from the seal to the deadline */
    int64_t not_before_ms; /* 0: at once */
    uint32_t chunk_next;
    uint32_t draft_count; /* indexes given out, refused drafts included */
    uint32_t refused_count;
    uint32_t joined_count;
    uint32_t cached_count;
    uint32_t retry_count; /* drafts that are tried again */
    uint32_t retry_mask;  /* statuses (1u << status) still to be put back */
    uint32_t retry_index; /* the draft where that goes on */
    uint64_t last_seq;    /* of its newest result; 0 for none */
    uint64_t prompt_tokens, completion_tokens, total_tokens;
    int64_t cost_nano;                   /* USD; BATCH_COST_UNKNOWN */
    uint32_t status_count[STATUS_COUNT]; /* drafts by current status */
    struct run tail;        /* the newest names of its drafts (names.c) */
    uint64_t tail_limit;    /* the tail ends before this number, which a row may
                            have; 0: not looked for yet */
    uint64_t segment_first; /* of its newest segment of results, which ends with
                               last_seq (segment.h); 0: there is none */
};

/* What was said at the start. The strings are borrowed from the caller, or from
 * the store until its next change. */
struct spec {
    struct slice client, key, name;
    struct slice metadata; /* JSON object */
    struct slice window, tz;
    struct slice options; /* JSON object, byte for byte as it came */
};

/* The name of a state, as in PROTOCOL.md. */
const char *batch_state_name(enum batch_state state);

/* True if the table has this move. */
bool batch_may_move(enum batch_state from, enum batch_state to);

/* Changes the state. A move that the table does not have is a bug. */
void batch_move(struct batch *batch, enum batch_state to);

/* True while its drafts may still get answers in the course of things. */
bool batch_is_live(const struct batch *batch);

/* True if its requests may be sent, as far as its state goes. */
bool batch_may_run(const struct batch *batch);

/* True if all its drafts are there and not all of them are done: sealed, or
 * paused since. */
bool batch_is_under_way(const struct batch *batch);

/* True if it is finished, cancelled, expired or failed: its client may be told. */
bool batch_has_ended(const struct batch *batch);

/* Drafts that have a result. */
uint32_t batch_done_count(const struct batch *batch);

/* True if every draft has a result or was refused, and none is tried again. */
bool batch_is_complete(const struct batch *batch);

/* Fields to bytes and back; decoding reports E_CORRUPT. */
void batch_encode(const struct batch *batch, struct buf *out);
int batch_decode(struct record *record, struct batch *batch);
void spec_encode(const struct spec *spec, struct buf *out);
int spec_decode(struct record *record, struct spec *spec);

/* ---- in a store's transaction ---- */

struct store;

/* The highest id of a batch so far: newer ones have higher ones. */
uint64_t store_batch_newest(const struct store *store);

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

/* Changes a batch's state, which store_batch_put() writes. A move that the table
 * of batch.h does not have is a bug. */
void store_batch_move(struct store *store, struct batch *batch,
                      enum batch_state to);

/* What was said at its start. */
int store_spec_get(struct store *store, uint64_t batch, struct spec *spec);

/* Frees a batch's key, so that it can be used for a new one. */
void store_key_free(struct store *store, uint64_t batch);

#endif
