/*
 * keysieve.h - which prefixes a cell of the index of request keys may have
 *
 * Most keys that are looked for are new. So there are bits for each cell, in which
 * each prefix sets four that it chooses: where one of them is not set, the prefix
 * is not there, and nothing is read. (A Bloom filter; the bits of a prefix lie in
 * one cache line.) A cell has half a KiB of them, and one, two or four KiB when it
 * has more than 320, 640 or 1280 prefixes: 2 MiB in all with up to a million keys,
 * 16 more with five millions and more. Of the prefixes that are not there it lets
 * through one in 430 with a million keys in all cells, at most one in 200 with up
 * to ten millions, and one in four with forty.
 *
 * It forgets no prefix: of a cell whose prefixes go and others come, it lets more
 * and more through. When a quarter more came than it was started for, or than its
 * bits are for, it is full, and to be started anew with what the cell has then.
 * Nothing of it is stored: of a cell that was not read yet nothing is known, and it
 * lets everything through.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_KEYSIEVE_H
#define STORE_KEYSIEVE_H

#include <stddef.h>

#include "store/keyentry.h"

struct keysieve;

/* A sieve that knows nothing; freed with keysieve_free(), NULL is fine. */
struct keysieve *keysieve_new(void);
void keysieve_free(struct keysieve *sieve);

/* Has the memory for all cells, as long as they have half a KiB. */
void keysieve_reserve(struct keysieve *sieve);

/* Knows that all cells are empty; knows nothing. */
void keysieve_reset(struct keysieve *sieve, bool is_empty);

/* Knows that a cell is empty, and that so many prefixes are to come; nothing is
 * known of it. True if it is known. */
void keysieve_start(struct keysieve *sieve, unsigned cell, size_t prefixes);
void keysieve_forget(struct keysieve *sieve, unsigned cell);
bool keysieve_knows(const struct keysieve *sieve, unsigned cell);

/* True if more prefixes came than it was started for: it lets too many others
 * through, and is to be started anew. */
bool keysieve_is_full(const struct keysieve *sieve, unsigned cell);

/* Lets a prefix through from now on. True if one gets through: it may be there. */
void keysieve_add(struct keysieve *sieve, uint64_t prefix);
bool keysieve_passes(const struct keysieve *sieve, uint64_t prefix);

/* A prefix will be looked at soon: fetches its bits into the processor's cache. */
void keysieve_expect(const struct keysieve *sieve, uint64_t prefix);

#endif
