/*
 * clients.h - clients, and what they want and know
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SIM_CLIENTS_H
#define TESTS_SIM_CLIENTS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <uuid/uuid.h>

#include "store/batch.h"
#include "tests/sim/links.h"

#define WORLD_CLIENTS    4
#define WORLD_PLANS      8
#define WORLD_CHUNKS     4
#define WORLD_LINES      9 /* of a chunk, at most */
#define WORLD_DRAFTS     (WORLD_CHUNKS * WORLD_LINES)
#define WORLD_UUID_BYTES 37

struct world;

/* What a client knows of a chunk that it has sent. */
struct sent_chunk {
    char *lines;
    int line_count;
    bool is_good[WORLD_LINES]; /* else it must be refused */
    int64_t re;                /* of the newest time it was sent */
    bool is_stored;            /* as was acknowledged */
};

/* What a client wants, and knows, of one key. */
struct plan {
    int number;
    int client;
    bool is_early;
    bool has_terms;    /* those that its number stands for: clients.c */
    int priority;      /* -1: it names none */
    int max_tokens;    /* of its drafts, at least; 0: they name none */
    int usage_percent; /* of those, in the answers; 0: answers do not tell */
    char uuid[WORLD_UUID_BYTES]; /* empty until it was told */
    uuid_t uuid_bytes;           /* the same: it is looked for all the time */
    uint64_t batch;              /* its number in the store; 0: not known */
    int64_t open_re;
    int chunk_count;
    struct sent_chunk chunks[WORLD_CHUNKS];
    bool may_vanish; /* an abort, a purge, or a seal of nothing was sent */
    bool was_cancelled;
    bool was_purged; /* a purge was sent */
    /* Its reader: the cursor, and the revision it has of each draft. */
    int64_t cursor, read_re;
    int64_t why_re; /* it has asked why about this draft; 0: it has not */
    int why_index;
    uint32_t read[WORLD_DRAFTS];
};

struct client {
    struct wire_link link;
    int64_t re;
};

/* ---- clients.c ---- */

void client_act(struct world *world);
void clients_finish(struct world *world); /* calm: seals, resumes, reads on */
void clients_free(struct world *world);

/* True if all that a client has opened has ended, and was read to its end. */
bool clients_are_done(struct world *world);

/* Nothing is known of its batch any more. */
void plan_forget(struct plan *plan);

/* ---- answers.c: what clients are told ---- */

void clients_read(struct world *world);

/* A number of an answer, which must be there; a text, "" if there is none. */
int64_t answer_int(struct world *world, const cJSON *head, const char *name);
const char *answer_text(const cJSON *head, const char *name);

/* ---- crowd.c: busy days ---- */

/* Whether a history is of one; how it differs: what the operator set, and what
 * each client wants. */
bool crowd_is_due(uint64_t seed);
void crowd_set(struct world *world);
void crowd_plan(struct world *world, struct plan *plan);

/* What a line of a chunk says besides its id. */
void crowd_line(struct world *world, const struct plan *plan,
                struct buf *lines);

/* The tokens that an answer to this body tells; 0: it does not. */
int64_t crowd_usage(const struct world *world, const char *body);

#endif
