/*
 * room.h - how much a store holds, and what it lets in
 *
 * What is new is refused in good time, so that there is room for the rest: for the
 * results of drafts that were accepted, for cancels, and for what removes.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_ROOM_H
#define STORE_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define STORE_SLICE_MAX    1000 /* drafts touched by one slice of longer work */
#define STORE_RESERVE      (64u << 20) /* bytes beyond its size, for results */
#define STORE_RESULT_BYTES 1024 /* promised to each draft without a result */
#define STORE_SOFT_PERCENT 85
#define STORE_HARD_PERCENT 95

struct store;

/* What it holds. bytes: pages in use; what was freed within the file is not
 * counted. bytes_promised: kept for the results of drafts that have none yet.
 * Both together stay below bytes_soft when a batch is opened, and below
 * bytes_hard when a chunk is added; these two follow bytes_max and the disk. */
struct store_usage {
    uint64_t bytes, bytes_promised;
    uint64_t bytes_soft, bytes_hard, bytes_max;
    uint64_t disk_free;
    uint64_t delayed; /* requests; see store_count_delayed() */
    uint64_t batches, drafts, requests, ready, leases, results, outcomes, files;
};
struct store_usage store_usage(struct store *store);

/* The size of the pages in use. */
uint64_t store_bytes(struct store *store);

/* At how many percent of bytes_max, and of its disk, new batches and chunks are
 * refused. Until it is called: STORE_SOFT_PERCENT and STORE_HARD_PERCENT. */
void store_set_marks(struct store *store, unsigned soft_percent,
                     unsigned hard_percent);

/* Asked before a new batch, and before a new chunk of so many bytes and drafts:
 * E_FULL, with the limit that is reached and what to do about it. Nothing else
 * is ever refused while there is a page left. */
int store_admit_batch(struct store *store, struct err *err);
int store_admit_chunk(struct store *store, size_t bytes, size_t drafts,
                      struct err *err);

/* The same for a file of so many bytes, and for what is added to one. */
int store_admit_file(struct store *store, uint64_t bytes, struct err *err);
int store_admit_part(struct store *store, uint64_t bytes, struct err *err);

/* Asked before a request is leased: false if its answer might not find room. The
 * rest is for answers that are on their way, for cancels and purges. */
bool store_may_lease(struct store *store);

/* How many drafts a slice may touch: STORE_SLICE_MAX, or less where there is
 * little room, as even removing takes pages until it is committed. */
size_t store_slice(struct store *store);

#endif
