/*
 * part.h - the number of a part, and how records have it
 *
 * A chunk's lines lie in parts. These are numbered over the store as they come: so
 * they are appended, and the small ones of all batches share pages. Before format 6
 * they were counted over their batch, and lie in a table of their own.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_PART_H
#define STORE_PART_H

#include <stdint.h>

#include "store/record.h"

#define PART_MAX        ((UINT64_C(1) << 47) - 1)
#define PART_BESIDE_MAX UINT16_MAX

/* The numbers of parts that are counted over their batch have this bit. */
#define PART_OF_BATCH (UINT64_C(1) << 63)

/* A part's number, and what belongs to it: how many there are, or a place in it. The
 * two take eight bytes of a record, as they did when both had four. Of a part that is
 * numbered over the store, beside is at most PART_BESIDE_MAX. */
void part_encode(uint64_t part, uint32_t beside, struct buf *out);
uint64_t part_decode(struct record *record, uint32_t *beside);

#endif
