/*
 * parts.h - a chunk's lines, cut into the parts in which they are stored
 *
 * A part has whole lines, as many as fit into eight pages, one at least; and an
 * empty chunk has an empty part. Where it pays, a part is packed (base/pack.h):
 * lines of text are then a third as long. This is most of what a part takes, and
 * neither the store nor its thread is needed for it.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_PARTS_H
#define STORE_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/pack.h"

/* Shorter parts save no page or one: a line that comes alone is not packed. */
#define PART_PACK_BYTES_MIN 4096

/* A part that keeps more than three quarters stays as it is, and so does what
 * follows in its chunk, untried: lines of one chunk are alike, and what gets no
 * shorter takes half as long. Then so many chunks of its kind are not tried; twice
 * as many if the one behind them gets no shorter either, and so on. */
#define PART_PACKED_MAX(bytes) ((bytes) / 4 * 3)
#define PARTS_PAUSE_MIN        4
#define PARTS_PAUSE_MAX        32

/* What is known of chunks of a kind, such as a batch's. Zero-initialised: nothing. */
struct parts_trial {
    uint32_t pause; /* after the last one that got no shorter */
    uint32_t left;  /* of it */
};

struct part_cut {
    size_t bytes;        /* of the body, behind the part before it */
    size_t packed_bytes; /* in `packed`, likewise; 0: it stays as it is */
};

/* Zero-initialised is none. */
struct parts {
    struct slice body; /* borrowed: the lines of parts that are not packed */
    struct part_cut *cuts;
    size_t count, capacity;
    struct buf packed; /* the others, one behind the other */
};

/* Cuts a body. packer is borrowed for this call; NULL: nothing is packed, and
 * trial is not used. */
void parts_cut(struct parts *parts, struct slice body, struct packer *packer,
               struct parts_trial *trial);

/* Forgets them, and keeps the memory; frees it. */
void parts_reset(struct parts *parts);
void parts_fini(struct parts *parts);

#endif
