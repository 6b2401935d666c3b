/*
 * upload_chunk.h - lines of an upload that are sent together
 *
 * A chunk remembers where each of its lines comes from, so that what the broker
 * refuses of it is told with the place that the caller knows.
 *
 * Ownership: a chunk owns its text, then its body, and its places.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_UPLOAD_CHUNK_H
#define SUBMIT_UPLOAD_CHUNK_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "queue/link.h"
#include "submit/sheaf.h"

/* Where a line of a chunk comes from. */
struct place {
    uint64_t place; /* the caller's */
    bool is_empty;  /* refused by the caller, which knows that already */
};

/* A chunk is filled, then sent, and kept until it is answered and what was
 * refused of it is known. The queue is a ring in order of n. */
struct upload_chunk {
    int64_t n;
    int64_t first;          /* index of its first draft */
    size_t count;           /* lines */
    size_t empties;         /* of them, refused by the caller */
    struct buf text;        /* while it is filled */
    struct link_body *body; /* then */
    size_t bytes;
    struct place *places; /* drafts_max of them */
    int64_t re;   /* of the last message; an older one's answer is stale */
    int64_t made; /* made_count at that time; -1: it was not sent */
    int64_t sent_ms;
    bool is_stored;
    bool is_short; /* the answer named fewer drafts than were refused */
};

/* Who wants to hear what was refused. */
struct listener {
    sheaf_refused_fn *refused; /* NULL: nobody */
    void *arg;
};

/* Begins with the draft `first`: makes room for so many lines, and bytes. A chunk
 * that is zero-initialised, or ended, can be begun. */
void upload_chunk_open(struct upload_chunk *chunk, int64_t first,
                       size_t drafts_max, size_t bytes);

/* Adds a line, without its end; there is room. An empty one is a draft that the
 * caller has refused. */
void upload_chunk_add(struct upload_chunk *chunk, struct slice line,
                      uint64_t place);

/* Frees everything, and leaves it zero. */
void upload_chunk_fini(struct upload_chunk *chunk);

/* How many entries of `refused`, as an answer has it, are of drafts of this chunk
 * that the caller has not refused itself. */
int64_t upload_chunk_count(const struct upload_chunk *chunk, const cJSON *list);

/* Tells of these, in their order. */
void upload_chunk_tell_all(const struct upload_chunk *chunk, const cJSON *list,
                           const struct listener *listener);

/* Tells of one, by its index, if it is such a draft. */
void upload_chunk_tell(const struct upload_chunk *chunk,
                       const struct sheaf_refusal *refusal,
                       const struct listener *listener);

#endif
