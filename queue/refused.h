/*
 * refused.h - a draft that was refused, found again
 *
 * What is refused leaves its reason and, like all drafts, its line in a chunk,
 * but no name: its id is read from the line, if that can be read at all.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_REFUSED_H
#define QUEUE_REFUSED_H

#include <stdint.h>

#include "base/buf.h"
#include "store/store.h"

#define REFUSED_SCAN_MAX 1000 /* of a batch are looked through for an id */

/* Zero-initialised is valid. Strings of the refusal are borrowed from the
 * store. */
struct refused {
    struct refusal refusal;
    struct buf id; /* decoded; empty if the line does not tell */
};

/* Frees what it owns. */
void refused_fini(struct refused *refused);

/* The refused draft at an index of a batch; the first one with an id, among the
 * first REFUSED_SCAN_MAX. E_NOTFOUND, E_CORRUPT. */
int refused_at(struct store *store, const struct batch *batch, uint32_t index,
               struct refused *refused);
int refused_find(struct store *store, const struct batch *batch,
                 struct slice id, struct refused *refused);

#endif
