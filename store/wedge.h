/*
 * wedge.h - lets the rows of a batch begin on pages of their own
 *
 * Batches that come in at the same time grow in one table, one behind the other.
 * If the page on which the first one grows also has rows of the second, each new
 * row goes in front of these, and LMDB splits such a page in halves, of which the
 * left one stays half empty for ever: eight batches had nearly twice the pages of
 * one. A page that is added to at its end stays full when it is split.
 *
 * Private to store/. A wedge is gone before its transaction ends. On an engine
 * without pages nothing is written.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_WEDGE_H
#define STORE_WEDGE_H

#include "store/table.h"

/* Puts a wedge where the rows of a batch's drafts will begin, and takes it out
 * behind which these are by then. If they fill a quarter of a page they stay on
 * their own, else LMDB puts them together with what is before them. Until then
 * rows of drafts are read and written by their keys: who seeks could find the
 * wedge. */
void wedge_drive(struct store *store, uint64_t batch);
void wedge_pull(struct store *store, uint64_t batch);

/* For asserting that. */
bool wedge_is_in(const struct store *store, enum table table);

#endif
