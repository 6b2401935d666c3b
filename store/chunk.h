/*
 * chunk.h - lines as they came, and the drafts among them that were refused
 *
 * A client sends drafts in chunks; what is read of a batch's file comes in chunks
 * too.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_CHUNK_H
#define STORE_CHUNK_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/digest.h"
#include "store/parts.h"

struct store;

struct new_draft;

struct chunk {
    uint32_t n;
    unsigned char digest[DIGEST_BYTES];
    uint32_t index_first;
    uint32_t draft_count, accepted, joined, cached, refused;
    uint64_t
        part_first; /* that its lines lie in: number of the first (part.h) */
    uint32_t part_count;
};

/* Stores a chunk's lines in the parts into which they were cut (parts.h), which
 * *chunk then names. The places of its drafts, which are within the chunk and
 * ascend, become places within these parts. Comes before the drafts are added;
 * the chunk's record comes after them. */
void store_body_put(struct store *store, uint64_t batch, struct chunk *chunk,
                    const struct parts *parts, struct new_draft *drafts,
                    size_t count);
void store_chunk_put(struct store *store, uint64_t batch,
                     const struct chunk *chunk);
int store_chunk_get(struct store *store, uint64_t batch, uint32_t n,
                    struct chunk *chunk);

/* The nth line of a chunk, from 1, without its newline, borrowed until another is
 * read: also one that became no draft. */
int store_chunk_line(struct store *store, uint64_t batch,
                     const struct chunk *chunk, uint32_t n, struct slice *line);

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

#endif
