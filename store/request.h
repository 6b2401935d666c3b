/*
 * request.h - one upstream call, shared by the drafts that need the same one
 *
 *            lent to a worker        success, or a failure that ends it
 *   ready ───────────────────► leased ──────────────────────────────► done
 *     ▲  ▲                     │ │ │                                   │
 *     │  └─────────────────────┘ │ └► cancelled ◄── ready, delayed     │
 *     │    lease lost, released  │        │ late success ───► done     │
 *     └──────────── delayed ◄────┘        └─────────────────────────   │
 *     ▲       due            backoff, a server's wait                  │
 *     └────────────────────────────────────────────────────────────────┘
 *                                 retry
 *
 * A request in state ready is in the ready index once for every batch that
 * wants it, also while that batch is not sealed: whether it may go is a matter
 * of the batch (store/batch.h), so that sealing a million drafts is one write.
 * A leased or delayed one that nobody wants any more goes to cancelled where it
 * would have gone to ready.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_REQUEST_H
#define STORE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/route.h"
#include "base/status.h"
#include "store/record.h"

#define REQUEST_UPSTREAM_BYTES 65 /* an upstream's name and its NUL */
#define REQUEST_ROUTE_BYTES    (ROUTE_BYTES_MAX + 1)

/* clang-format off */
#define REQUEST_TO(state) (1u << REQUEST_##state)
/*    name       text         the states it may move to */
#define REQUEST_STATES(X)                                                     \
    X(READY,     "ready",     REQUEST_TO(LEASED) | REQUEST_TO(CANCELLED) |    \
                              REQUEST_TO(DONE))                               \
    X(DELAYED,   "delayed",   REQUEST_TO(READY) | REQUEST_TO(CANCELLED) |     \
                              REQUEST_TO(DONE))                               \
    X(LEASED,    "leased",    REQUEST_TO(READY) | REQUEST_TO(DELAYED) |       \
                              REQUEST_TO(DONE) | REQUEST_TO(CANCELLED))       \
    X(DONE,      "done",      REQUEST_TO(READY) | REQUEST_TO(DONE))           \
    X(CANCELLED, "cancelled", REQUEST_TO(DONE) | REQUEST_TO(READY))
/* clang-format on */

#define REQUEST_ENUM(name, text, to) REQUEST_##name,
enum request_state { REQUEST_STATES(REQUEST_ENUM) REQUEST_STATE_COUNT };
#undef REQUEST_ENUM

enum request_kind {
    REQUEST_TEXT, /* a goal and a text: an answer without text is a failure */
    REQUEST_RAW,  /* messages, or a batch line: any well-formed 200 will do */
};

/* flags */
#define REQUEST_ENLARGED 1u /* was cut off once, has more room now */
#define REQUEST_SUSPECT  2u /* was lost with its workers: runs alone */
#define REQUEST_ELSEWHERE \
    4u /* another upstream than its last one comes first */

/* Where a ready request stands in the order of dispatch. */
struct place {
    uint64_t lead;  /* the first group of a run of groups with one goal */
    uint64_t group; /* its group */
};

struct request {
    uint64_t id;
    enum request_state state;
    enum request_kind kind;
    unsigned flags;
    enum status status; /* of its outcome; STATUS_NONE: none stored */
    uint32_t fence;     /* of the newest lease; only grows */
    struct place place;
    unsigned char key[DIGEST_BYTES];
    uint64_t batch; /* a draft from which it is rendered, and which pays for it;
                       0: all that wanted it were dropped */
    uint32_t index;
    bool is_sole;  /* that draft is the only one: it needs no ref (wants.c) */
    bool is_keyed; /* it is found by its key; if not set, it may be (rows.h) */
    uint32_t attempts;               /* exchanges with an upstream */
    uint32_t failures;               /* those that count */
    uint32_t lost;                   /* leases lost while its call ran */
    uint32_t throttled;              /* answers that named a wait */
    uint32_t uncertain;              /* sent, and no answer came: maybe paid */
    int64_t due_ms;                  /* while delayed */
    int64_t done_ms;                 /* when its outcome was stored; 0: none */
    char route[REQUEST_ROUTE_BYTES]; /* the upstreams that it may go to */
    uint32_t tokens; /* that it is thought to take; 0: unknown */
    char upstream[REQUEST_UPSTREAM_BYTES]; /* that its newest lease was for */
    uint32_t model;  /* stands for the model that it names; 0: for none */
    uint64_t answer; /* row of its outcome; 0: none, or as before format 7 */
};

/* The name of a state. */
const char *request_state_name(enum request_state state);

/* True if the table has this move. */
bool request_may_move(enum request_state from, enum request_state to);

/* Changes the state. A move that the table does not have is a bug. Only the
 * store calls it, as the indexes move along. */
void request_move(struct request *request, enum request_state to);

/* True while another draft can wait for it instead of making its own. */
bool request_is_joinable(const struct request *request);

/* True if it is an answer that is newer than cached_after_ms. */
bool request_is_cached(const struct request *request, int64_t cached_after_ms);

/* Fields to bytes and back; decoding reports E_CORRUPT. */
void request_encode(const struct request *request, struct buf *out);
int request_decode(struct record *record, struct request *request);

/* The number of its answer alone, a tenth of that work. */
int request_decode_answer(struct record *record, uint64_t *answer);

/* ---- in a store's transaction ---- */

struct store;

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

/* The first place at or after *place where the batch has ready requests. */
int store_ready_next(struct store *store, uint64_t batch, struct place *place);

/* The first ready request of a batch at a place. */
int store_ready_peek(struct store *store, uint64_t batch, struct place place,
                     struct request *request);

/* How many ready requests of a batch stand before one, counted up to `max`. */
size_t store_ready_before(struct store *store, uint64_t batch,
                          const struct request *request, size_t max);

#endif
