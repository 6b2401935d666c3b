/*
 * store_check.h - everything that must hold in a store between transactions
 *
 * Every row is read and decoded. Every index row has its truth and every truth
 * its index rows, every counter equals a recount, and no draft is lost: one
 * without a result waits for a request that is still to end, or for a sweep that
 * a timer will go on with.
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_STORE_CHECK_H
#define TESTS_STORE_CHECK_H

#include "base/buf.h"
#include "store/store.h"

/* Checks a store, within a transaction; appends a line to *report for each
 * thing that is wrong, up to a limit. Returns how many. */
size_t store_check(struct store *store, struct buf *report);

/* The request that a request key leads to; 0 for none. */
uint64_t store_check_find(struct store *store,
                          const unsigned char key[DIGEST_BYTES]);

/* The digest of all its rows, to compare stores by. */
void store_digest(struct store *store, unsigned char digest[DIGEST_BYTES]);

#endif
