/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* endian.h */
#include "store/keyentry.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

uint64_t
key_entry_prefix(const unsigned char key[DIGEST_BYTES])
{
    return key_get_u64((struct slice){ (const char *)key, DIGEST_BYTES }, 0);
}

unsigned
key_entry_cell(uint64_t prefix)
{
    return (unsigned)(prefix >> (64 - KEY_CELL_BITS));
}

uint64_t
key_entry_first(unsigned cell)
{
    return (uint64_t)cell << (64 - KEY_CELL_BITS);
}

/* In one go: a row is read and written for each few of its entries. */
void
key_entry_put(struct buf *out, struct key_entry entry)
{
    uint64_t words[2] = { htobe64(entry.prefix), htobe64(entry.request << 16) };

    assert(entry.request >> 48 == 0);
    buf_add(out, words, KEY_ENTRY_BYTES);
}

static uint64_t
prefix_at(const unsigned char *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    return be64toh(word);
}

static uint64_t
request_at(const unsigned char *at)
{
    uint64_t word = 0;

    memcpy(&word, at + sizeof(uint64_t), KEY_ENTRY_BYTES - sizeof(uint64_t));
    return be64toh(word) >> 16;
}

struct key_entry
key_entry_get(struct record *record)
{
    struct key_entry entry = { 0 };

    if (record->left < KEY_ENTRY_BYTES) {
        record->is_short = 1;
        record->left = 0;
        return entry;
    }
    entry.prefix = prefix_at(record->at);
    entry.request = request_at(record->at);
    record->at += KEY_ENTRY_BYTES;
    record->left -= KEY_ENTRY_BYTES;
    return entry;
}

size_t
key_entry_count(struct slice row)
{
    return row.bytes / KEY_ENTRY_BYTES;
}

uint64_t
key_entry_prefix_at(struct slice row, size_t index)
{
    assert(index < key_entry_count(row));
    return prefix_at((const unsigned char *)row.data + index * KEY_ENTRY_BYTES);
}

struct slice
key_entry_cut(struct slice row, size_t from, size_t end)
{
    assert(from <= end && end <= key_entry_count(row));
    if (from == end)
        return (struct slice){ NULL, 0 }; /* as an empty row may be */
    return (struct slice){ row.data + from * KEY_ENTRY_BYTES,
                           (end - from) * KEY_ENTRY_BYTES };
}

/* Of a row that is merged, some two hundred entries stay and some twenty come: what
 * is between these is copied in one piece. */
void
key_entry_merge(struct buf *out, struct slice older, struct slice newer,
                bool with_removed)
{
    size_t from = 0, older_count = key_entry_count(older);

    for (size_t i = 0; i < key_entry_count(newer); i++) {
        struct slice entry = key_entry_cut(newer, i, i + 1);
        uint64_t prefix = key_entry_prefix_at(newer, i);
        size_t to = from;

        while (to < older_count && key_entry_prefix_at(older, to) < prefix)
            to++;
        buf_add_slice(out, key_entry_cut(older, from, to));
        if (to < older_count && key_entry_prefix_at(older, to) == prefix)
            to++;
        from = to;
        if (with_removed || request_at((const unsigned char *)entry.data) != 0)
            buf_add_slice(out, entry);
    }
    buf_add_slice(out, key_entry_cut(older, from, older_count));
}

/* To begin where a prefix ought to be, digests being spread evenly, read fewer
 * lines of the memory, but was faster by no more than the noise. */
bool
key_entry_find(struct slice row, uint64_t prefix, uint64_t *request)
{
    const unsigned char *first = (const unsigned char *)row.data;
    size_t low = 0, high = row.bytes / KEY_ENTRY_BYTES;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const unsigned char *at = first + middle * KEY_ENTRY_BYTES;
        uint64_t found = prefix_at(at);

        if (found == prefix) {
            *request = request_at(at);
            return true;
        }
        if (found < prefix)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}
