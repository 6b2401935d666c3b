/*
 * upstream_tally.h - how often each digest was seen
 *
 * Counts by digest: how many distinct bodies an upstream got, and how many
 * tries of each one a rule of its script has seen. No lock: the owner has one.
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UPSTREAM_TALLY_H
#define TESTS_UPSTREAM_TALLY_H

#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

#define TALLY_COUNT_MAX 4194304 /* digests; one more ends the process */

struct tally_entry;

/* Zero-initialised is empty and valid. */
struct tally {
    struct tally_entry *slots; /* open addressing; NULL while empty */
    size_t capacity;           /* private: 0 or a power of two */
    size_t count;              /* distinct digests */
};

/* Frees the memory; the tally is empty and valid again. */
void tally_fini(struct tally *tally);

/* Counts a digest and returns how often it was counted, this time included. */
uint32_t tally_add(struct tally *tally,
                   const unsigned char digest[DIGEST_BYTES]);

#endif
