/* SPDX-License-Identifier: MIT */
#include "store/keysieve.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define WORD_BITS  64
#define LINE_WORDS ((size_t)8) /* a cache line */
#define LINE_BITS  (LINE_WORDS * WORD_BITS)
#define CELL_LINES ((size_t)16)
#define CELL_WORDS (CELL_LINES * LINE_WORDS)

struct keysieve {
    uint64_t *bits; /* CELL_WORDS for each cell */
    bool is_known[KEY_CELL_COUNT];
};

struct keysieve *
keysieve_new(void)
{
    struct keysieve *sieve = mem_zalloc(1, sizeof(*sieve));

    sieve->bits = mem_zalloc(KEY_CELL_COUNT, CELL_WORDS * sizeof(uint64_t));
    return sieve;
}

void
keysieve_free(struct keysieve *sieve)
{
    if (!sieve)
        return;
    free(sieve->bits);
    free(sieve);
}

static uint64_t *
cell_bits(const struct keysieve *sieve, unsigned cell)
{
    assert(cell < KEY_CELL_COUNT);
    return sieve->bits + (size_t)cell * CELL_WORDS;
}

/* Bits of cells that are empty or not known stay as they are. */
void
keysieve_reserve(struct keysieve *sieve)
{
    volatile uint64_t *bits = sieve->bits;

    for (size_t i = 0; i < (size_t)KEY_CELL_COUNT * CELL_WORDS; i++)
        bits[i] = bits[i];
}

void
keysieve_reset(struct keysieve *sieve, bool is_empty)
{
    for (unsigned cell = 0; cell < KEY_CELL_COUNT; cell++) {
        if (is_empty)
            keysieve_start(sieve, cell);
        else
            keysieve_forget(sieve, cell);
    }
}

void
keysieve_start(struct keysieve *sieve, unsigned cell)
{
    /* One that is not known has none of its bits set, as they were made. */
    if (sieve->is_known[cell])
        memset(cell_bits(sieve, cell), 0, CELL_WORDS * sizeof(uint64_t));
    sieve->is_known[cell] = true;
}

void
keysieve_forget(struct keysieve *sieve, unsigned cell)
{
    if (sieve->is_known[cell])
        memset(cell_bits(sieve, cell), 0, CELL_WORDS * sizeof(uint64_t));
    sieve->is_known[cell] = false;
}

bool
keysieve_knows(const struct keysieve *sieve, unsigned cell)
{
    return sieve->is_known[cell];
}

/* The line of a prefix, and its two bits there. The cell took the first bits of
 * the prefix; these are the last ones, and as good as chance. */
static uint64_t *
line_of(const struct keysieve *sieve, uint64_t prefix, unsigned bits[2])
{
    bits[0] = (unsigned)(prefix / CELL_LINES % LINE_BITS);
    bits[1] = (unsigned)(prefix / CELL_LINES / LINE_BITS % LINE_BITS);
    return cell_bits(sieve, key_entry_cell(prefix)) +
           prefix % CELL_LINES * LINE_WORDS;
}

static uint64_t
mask_of(unsigned bit)
{
    return UINT64_C(1) << bit % WORD_BITS;
}

void
keysieve_add(struct keysieve *sieve, uint64_t prefix)
{
    unsigned bits[2];
    uint64_t *line = line_of(sieve, prefix, bits);

    if (!sieve->is_known[key_entry_cell(prefix)])
        return;
    for (int i = 0; i < 2; i++)
        line[bits[i] / WORD_BITS] |= mask_of(bits[i]);
}

bool
keysieve_passes(const struct keysieve *sieve, uint64_t prefix)
{
    unsigned bits[2];
    const uint64_t *line = line_of(sieve, prefix, bits);

    if (!sieve->is_known[key_entry_cell(prefix)])
        return true;
    return (line[bits[0] / WORD_BITS] & mask_of(bits[0])) &&
           (line[bits[1] / WORD_BITS] & mask_of(bits[1]));
}

void
keysieve_expect(const struct keysieve *sieve, uint64_t prefix)
{
    unsigned bits[2];

    __builtin_prefetch(line_of(sieve, prefix, bits));
}
