/*
 * pack.h - texts as they are kept: made smaller where that pays (zstd)
 *
 * A text is kept as it is, or as a zstd frame, which it is known by: a text that
 * begins like one is always packed. Replies of models are mostly half as long
 * then, and a third with a dictionary (pack_dictionary.h); and rows above 1 KiB, of
 * which a page holds two or three, lose less of their pages.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_PACK_H
#define BASE_PACK_H

#include "base/buf.h"

#define PACK_BYTES_MIN 512       /* shorter texts are not worth the time */
#define PACK_BYTES_MAX (1 << 30) /* of a text; more is damage */

struct packer;

/* What packing needs, about 300 KiB, taken on first use; freed with
 * packer_free(), for which NULL is fine. */
struct packer *packer_new(void);
void packer_free(struct packer *packer);

/* Packs short texts with the dictionary of this number from now on. 0, which is the
 * beginning, and numbers that are not known: with none. */
void packer_set_dictionary(struct packer *packer, int64_t number);

/* Appends a text, packed if it gets shorter. */
void pack_add(struct packer *packer, struct slice text, struct buf *out);

/* How long a packed text is when it is unpacked, as it says itself, or -1: it is
 * not packed, or longer than PACK_BYTES_MAX. */
int64_t pack_bytes(struct slice packed);

/* Gives a text back: where it stands if it is not packed, or else from within
 * `out`, which is overwritten. E_CORRUPT: it is no text that was packed. */
int pack_open(struct packer *packer, struct slice packed, struct buf *out,
              struct slice *text);

#endif
