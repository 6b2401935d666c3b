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

struct opened;

/* Room for OPENED_MAX parts; freed with opened_free(), NULL is fine. */
struct opened *opened_new(void);
void opened_free(struct opened *opened);

/* The lines of a part that is there, or NULL. Borrowed until another is added. */
const struct buf *opened_find(struct opened *opened, uint64_t part);

/* Unpacks a part that is not there, in place of the one that was not wanted for
 * longest. Its lines are borrowed likewise. E_CORRUPT: it cannot be unpacked. */
int opened_add(struct opened *opened, uint64_t part, struct slice packed,
               struct packer *packer, const struct buf **lines);

/* Forgets all: a number may come to stand for another part. */
void opened_reset(struct opened *opened);

#endif
