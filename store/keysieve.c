/* SPDX-License-Identifier: MIT */
#include "store/keysieve.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define WORD_BITS      64
#define LINE_WORDS     ((size_t)8) /* a cache line */
#define LINE_BITS      (LINE_WORDS * WORD_BITS)
#define LINE_PREFIXES  40 /* lets through one in fifty */
#define CELL_LINES_MIN 16
#define CELL_LINES_MAX 64
#define LINE_BYTES     (LINE_WORDS * sizeof(uint64_t))

/* A cell has its place in what all of them have, and lines of its own once that
 * is too small. */
struct keysieve {
    uint64_t *bits; /* CELL_LINES_MIN for each cell */
    struct cell {
        uint64_t *own; /* NULL: none */
        uint32_t lines;
        bool is_known;
    } cells[KEY_CELL_COUNT];
};

struct keysieve *
keysieve_new(void)
{
    struct keysieve *sieve = mem_zalloc(1, sizeof(*sieve));

    sieve->bits = mem_zalloc(KEY_CELL_COUNT, CELL_LINES_MIN * LINE_BYTES);
    for (unsigned cell = 0; cell < KEY_CELL_COUNT; cell++)
        sieve->cells[cell].lines = CELL_LINES_MIN;
    return sieve;
}

void
keysieve_free(struct keysieve *sieve)
{
    if (!sieve)
        return;
    for (unsigned cell = 0; cell < KEY_CELL_COUNT; cell++)
        free(sieve->cells[cell].own);
    free(sieve->bits);
    free(sieve);
}

static uint64_t *
cell_bits(const struct keysieve *sieve, unsigned cell)
{
    assert(cell < KEY_CELL_COUNT);
    if (sieve->cells[cell].own)
        return sieve->cells[cell].own;
    return sieve->bits + (size_t)cell * CELL_LINES_MIN * LINE_WORDS;
}

/* Bits of cells that are empty or not known stay as they are. */
void
keysieve_reserve(struct keysieve *sieve)
{
    volatile uint64_t *bits = sieve->bits;

    for (size_t i = 0; i < (size_t)KEY_CELL_COUNT * CELL_LINES_MIN * LINE_WORDS;
         i++)
        bits[i] = bits[i];
}

void
keysieve_reset(struct keysieve *sieve, bool is_empty)
{
    for (unsigned cell = 0; cell < KEY_CELL_COUNT; cell++) {
        if (is_empty)
            keysieve_start(sieve, cell, 0);
        else
            keysieve_forget(sieve, cell);
    }
}

static uint32_t
lines_for(size_t prefixes)
{
    uint32_t lines = CELL_LINES_MIN;

    while (lines < CELL_LINES_MAX && prefixes > (size_t)lines * LINE_PREFIXES)
        lines *= 2;
    return lines;
}

/* Gives a cell lines without a bit. */
static void
clear(struct keysieve *sieve, unsigned cell, uint32_t lines)
{
    struct cell *at = &sieve->cells[cell];

    if (at->lines == lines) {
        /* One that is not known has none of its bits set. */
        if (at->is_known)
            memset(cell_bits(sieve, cell), 0, lines * LINE_BYTES);
        return;
    }
    free(at->own);
    at->own = NULL;
    at->lines = lines;
    if (lines > CELL_LINES_MIN)
        at->own = mem_zalloc(lines, LINE_BYTES);
    else
        memset(cell_bits(sieve, cell), 0, lines * LINE_BYTES);
}

void
keysieve_start(struct keysieve *sieve, unsigned cell, size_t prefixes)
{
    clear(sieve, cell, lines_for(prefixes));
    sieve->cells[cell].is_known = true;
}

void
keysieve_forget(struct keysieve *sieve, unsigned cell)
{
    clear(sieve, cell, CELL_LINES_MIN);
    sieve->cells[cell].is_known = false;
}

bool
keysieve_knows(const struct keysieve *sieve, unsigned cell)
{
    return sieve->cells[cell].is_known;
}

/* The line of a prefix, and its two bits there. The cell took the first bits of
 * the prefix; these are the last ones, and as good as chance. */
static uint64_t *
line_of(const struct keysieve *sieve, uint64_t prefix, unsigned bits[2])
{
    unsigned cell = key_entry_cell(prefix);

    bits[0] = (unsigned)(prefix / CELL_LINES_MAX % LINE_BITS);
    bits[1] = (unsigned)(prefix / CELL_LINES_MAX / LINE_BITS % LINE_BITS);
    return cell_bits(sieve, cell) +
           prefix % sieve->cells[cell].lines * LINE_WORDS;
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

    if (!keysieve_knows(sieve, key_entry_cell(prefix)))
        return;
    for (int i = 0; i < 2; i++)
        line[bits[i] / WORD_BITS] |= mask_of(bits[i]);
}

bool
keysieve_passes(const struct keysieve *sieve, uint64_t prefix)
{
    unsigned bits[2];
    const uint64_t *line = line_of(sieve, prefix, bits);

    if (!keysieve_knows(sieve, key_entry_cell(prefix)))
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
