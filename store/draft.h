/*
 * draft.h - one input, and its current result
 *
 * A draft's own bytes stay in the part of a chunk in which they came; the record
 * says where, and which request answers it. The result part changes only upward: a
 * fallback may become an answer, an answer stays.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_DRAFT_H
#define STORE_DRAFT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "store/record.h"

/* How a result was come by. */
enum cache_tier { CACHE_NONE, CACHE_MEMORY, CACHE_STORE, CACHE_JOINED };
#define CACHE_TIER_COUNT (CACHE_JOINED + 1)

struct draft {
    uint64_t batch;
    uint32_t index;
    uint64_t request;     /* that it waits for, or waited for last */
    uint64_t answered_by; /* whose outcome its result is; 0: it has none, or one
                             of its own (cancelled, expired) */
    uint64_t part;        /* its line: number of the part (part.h), place and
                             length in it */
    uint32_t at;
    uint32_t bytes;
    uint32_t line_check;          /* low half of XXH3 of the line */
    uint32_t id_at, id_bytes;     /* JSON token of its id, within the line */
    uint32_t meta_at, meta_bytes; /* of its metadata; no bytes: none */
    uint64_t seq;                 /* of its result; 0: none yet */
    uint32_t revision;            /* 0: no result, 1: the first one */
    bool is_retrying;             /* counted in its batch's retry_count */
    enum status status;
    enum cache_tier tier; /* of the result that it has; before the first one:
                             joined, or none if it pays */
    int64_t completed_ms;
    int64_t cost_nano; /* what it cost; -1: unknown */
    bool is_apart;     /* it has a row of its own, as before format 8 */
};

/* The name of a tier, as in result lines. */
const char *cache_tier_name(enum cache_tier tier);

/* Low half of XXH3 of a line: what line_check holds. */
uint32_t draft_line_check(struct slice line);

/* True if a result of `status` would be better than the one it has. */
bool draft_improves(const struct draft *draft, enum status status);

/* Fields to bytes and back; decoding reports E_CORRUPT. Batch and index are in
 * the key. */
void draft_encode(const struct draft *draft, struct buf *out);
int draft_decode(struct record *record, struct draft *draft);

/* ---- in a store's transaction ---- */

struct store;

/* The draft that has an id. E_CORRUPT: one that may have it is damaged. */
int store_draft_find(struct store *store, uint64_t batch, struct slice id,
                     struct draft *draft);

/* A draft's record; the bytes of its line, checked. */
int store_draft_get(struct store *store, uint64_t batch, uint32_t index,
                    struct draft *draft);
int store_draft_line(struct store *store, const struct draft *draft,
                     struct slice *line);

#endif
