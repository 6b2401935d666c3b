/*
 * chunk_rows.h - the rows of chunks, and of the parts that their lines lie in
 *
 * Private to store/.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_CHUNK_ROWS_H
#define STORE_CHUNK_ROWS_H

#include <stdbool.h>

#include "store/chunk.h"
#include "store/record.h"

#define NEWEST_MAX 4

/* The newest chunks of a batch share a row, and those of all batches pages: each
 * commit of a draft from each of eight clients would write a page for each of them.
 * They get rows of their own together, when there is no room for another. */
struct newest {
    struct chunk chunks[NEWEST_MAX]; /* one behind the other */
    size_t count;
};
int newest_get(struct store *store, uint64_t batch, struct newest *newest);

/* The first chunk that has a row of its own. E_CORRUPT also sets its n. */
int chunk_first(struct store *store, uint64_t batch, struct chunk *chunk);

/* A chunk's fields; its number is in the key. */
void chunk_encode(const struct chunk *chunk, struct buf *out);

/* What a row of `part` begins with. */
struct part_head {
    uint64_t batch;
    uint32_t n; /* of the chunk */
    bool is_packed;
};
void part_decode_head(struct record *record, struct part_head *head);

/* The lines in a part of a batch's nth chunk, borrowed until another part's are asked
 * for. E_NOTFOUND also if it is another's. The second does not look at the seal, nor
 * whose it is, unless it has to be unpacked. */
int part_get(struct store *store, uint64_t batch, uint32_t n, uint64_t part,
             struct slice *lines);
int part_peek(struct store *store, uint64_t batch, uint64_t part,
              struct slice *lines);

#endif
