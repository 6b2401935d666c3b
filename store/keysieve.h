/*
 * keysieve.h - which prefixes a cell of the index of request keys may have
 *
 * Most keys that are looked for are new. So there are bits for each cell, in which
 * each prefix sets two that it chooses: where one of them is not set, the prefix
 * is not there, and nothing is read. (A Bloom filter; the bits of a prefix lie in
 * one cache line.) A cell has one KiB of them, and two or four when it has more
 * than 640 or 1280 prefixes: 4 MiB in all with up to two million keys, 16 with
 * more than six. Of the prefixes that are not there it lets through one in 280
 * with a million keys in all cells, at most one in 37 with three to ten millions,
 * and one in five with forty.
 *
 * It forgets no prefix, but is started anew for a cell whenever all of that is
 * read. Nothing of it is stored: of a cell that was not read yet nothing is
 * known, and it lets everything through.
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

/* Has the memory for all cells, as long as they have no more than a KiB. */
void keysieve_reserve(struct keysieve *sieve);

/* Knows that all cells are empty; knows nothing. */
void keysieve_reset(struct keysieve *sieve, bool is_empty);

/* Knows that a cell is empty, and that so many prefixes are to come; nothing is
 * known of it. True if it is known. */
void keysieve_start(struct keysieve *sieve, unsigned cell, size_t prefixes);
void keysieve_forget(struct keysieve *sieve, unsigned cell);
bool keysieve_knows(const struct keysieve *sieve, unsigned cell);

/* Lets a prefix through from now on. True if one gets through: it may be there. */
void keysieve_add(struct keysieve *sieve, uint64_t prefix);
bool keysieve_passes(const struct keysieve *sieve, uint64_t prefix);

/* A prefix will be looked at soon: fetches its bits into the processor's cache. */
void keysieve_expect(const struct keysieve *sieve, uint64_t prefix);

#endif
