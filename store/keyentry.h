/*
 * keyentry.h - an entry of the index of request keys: a prefix, and a request
 *
 * A key is known by its first 64 bits, its prefix. The first bits of that are its
 * cell: all that the index does with many entries at a time, it does with those
 * of a cell. Rows of entries are ascending runs of fixed width, so they can be
 * searched as they lie.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_KEYENTRY_H
#define STORE_KEYENTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "store/record.h"

#define KEY_CELL_BITS   12
#define KEY_CELL_COUNT  (1u << KEY_CELL_BITS)
#define KEY_ENTRY_BYTES 14

struct key_entry {
    uint64_t prefix;
    uint64_t request; /* 0: there is none any more */
};

/* The first bits of a key, by which it is known; the cell that they are in; the
 * least prefix of a cell. */
uint64_t key_entry_prefix(const unsigned char key[DIGEST_BYTES]);
unsigned key_entry_cell(uint64_t prefix);
uint64_t key_entry_first(unsigned cell);

/* Adds an entry to a row; takes the next one of a row. */
void key_entry_put(struct buf *out, struct key_entry entry);
struct key_entry key_entry_get(struct record *record);

/* Of entries as they lie in a row: how many there are; the prefix of one; some of
 * them. */
size_t key_entry_count(struct slice row);
uint64_t key_entry_prefix_at(struct slice row, size_t index);
struct slice key_entry_cut(struct slice row, size_t from, size_t end);

/* Adds what two rows have, of which a newer entry beats an older one of its
 * prefix. Without removed ones, newer entries that have no request are left
 * out. */
void key_entry_merge(struct buf *out, struct slice older, struct slice newer,
                     bool with_removed);

/* Looks for a prefix in a row, which may have its seal behind it. True if it is
 * there: sets *request. */
bool key_entry_find(struct slice row, uint64_t prefix, uint64_t *request);

#endif
