/*
 * opened.h - the parts that were unpacked last
 *
 * A part has the lines of dozens of drafts, which are mostly wanted one after
 * another: leased as they came, and their results read as they ended. So it is
 * unpacked once, and kept until as many others were wanted.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_OPENED_H
#define STORE_OPENED_H

#include <stdint.h>

#include "base/buf.h"
#include "base/pack.h"

/* So many batches can take turns, each with the part that it is at. */
#define OPENED_MAX 16

/* A part with a longer line gives its memory back when another takes its place. */
#define OPENED_KEEP_BYTES 65536

struct opened_part {
    uint64_t part; /* its number; 0: none */
    uint64_t used; /* when it was wanted last, as opened.now tells it */
    struct buf lines;
};

/* Zero-initialised is empty. */
struct opened {
    struct opened_part parts[OPENED_MAX];
    uint64_t now; /* wants so far */
};

/* The lines of a part that is there, or NULL. Borrowed until another is added. */
const struct buf *opened_find(struct opened *opened, uint64_t part);

/* Unpacks a part that is not there, in place of the one that was not wanted for
 * longest. Its lines are borrowed likewise. E_CORRUPT: it cannot be unpacked. */
int opened_add(struct opened *opened, uint64_t part, struct slice packed,
               struct packer *packer, const struct buf **lines);

/* Forgets all: a number may come to stand for another part. */
void opened_reset(struct opened *opened);
void opened_fini(struct opened *opened);

#endif
