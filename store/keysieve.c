/* SPDX-License-Identifier: MIT */
#include "store/keysieve.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define WORD_BITS      64
#define LINE_WORDS     ((size_t)8) /* a cache line */
#define LINE_BITS      (LINE_WORDS * WORD_BITS)
#define LINE_BYTES     (LINE_WORDS * sizeof(uint64_t))
#define LINE_PREFIXES  40 /* lets through one in 180 */
#define PREFIX_BITS    4  /* that each sets */
#define CELL_LINES_MIN 8  /* these three are powers of two */
#define CELL_LINES_MAX 64
/* The part of a cell's prefixes that may come before it is started anew, also
 * where there cannot be more lines for them. */
#define MORE_SHARE 4

/* A cell has its place in what all of them have, and lines of its own once that
 * is too small. */
struct keysieve {
    void *bits; /* CELL_LINES_MIN lines for each cell */
    struct cell {
        void *own; /* lines; NULL: none */
        uint32_t lines;
        uint32_t count, room; /* prefixes that came, and may come */
        bool is_known;
    } cells[KEY_CELL_COUNT];
};

/* Zeroed lines, and the first of them: each is to be one line of the processor's
 * cache, not a half of two. */
static void *
lines_new(size_t count)
{
    return mem_zalloc(count + 1, LINE_BYTES);
}

static uint64_t *
lines_of(void *memory)
{
    char *bytes = memory;

    return (uint64_t *)(void *)(bytes + -(uintptr_t)bytes % LINE_BYTES);
}

struct keysieve *
keysieve_new(void)
{
    struct keysieve *sieve = mem_zalloc(1, sizeof(*sieve));

    sieve->bits = lines_new((size_t)KEY_CELL_COUNT * CELL_LINES_MIN);
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
        return lines_of(sieve->cells[cell].own);
    return lines_of(sieve->bits) + (size_t)cell * CELL_LINES_MIN * LINE_WORDS;
}

/* Bits of cells that are empty or not known stay as they are. */
void
keysieve_reserve(struct keysieve *sieve)
{
    volatile uint64_t *bits = lines_of(sieve->bits);

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
        else if (sieve->cells[cell].is_known)
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
        /* Most cells of a small store have none of their bits set. */
        if (at->count > 0)
            memset(cell_bits(sieve, cell), 0, lines * LINE_BYTES);
        at->count = 0;
        return;
    }
    at->count = 0;
    free(at->own);
    at->own = NULL;
    at->lines = lines;
    if (lines > CELL_LINES_MIN)
        at->own = lines_new(lines);
    else
        memset(cell_bits(sieve, cell), 0, lines * LINE_BYTES);
}

void
keysieve_start(struct keysieve *sieve, unsigned cell, size_t prefixes)
{
    size_t room = prefixes + prefixes / MORE_SHARE;
    uint32_t lines = lines_for(room);
    struct cell *at = &sieve->cells[cell];

    if (room < (size_t)lines * LINE_PREFIXES)
        room = (size_t)lines * LINE_PREFIXES;
    assert(room <= UINT32_MAX);
    clear(sieve, cell, lines);
    at->is_known = true;
    at->room = (uint32_t)room;
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

bool
keysieve_is_full(const struct keysieve *sieve, unsigned cell)
{
    return sieve->cells[cell].is_known &&
           sieve->cells[cell].count > sieve->cells[cell].room;
}

/* The line of a prefix. The cell took the first bits of the prefix; these are the
 * last ones, and as good as chance. */
static uint64_t *
line_of(const struct keysieve *sieve, uint64_t prefix)
{
    unsigned cell = key_entry_cell(prefix);

    return cell_bits(sieve, cell) +
           (prefix & (sieve->cells[cell].lines - 1)) * LINE_WORDS;
}

/* One of its bits there: the bits of the prefix before those for the line choose
 * the first one, the ones before these the next. */
static unsigned
bit_of(uint64_t prefix, int i)
{
    for (prefix /= CELL_LINES_MAX; i > 0; i--)
        prefix /= LINE_BITS;
    return (unsigned)(prefix % LINE_BITS);
}

static uint64_t
mask_of(unsigned bit)
{
    return UINT64_C(1) << bit % WORD_BITS;
}

void
keysieve_add(struct keysieve *sieve, uint64_t prefix)
{
    struct cell *cell = &sieve->cells[key_entry_cell(prefix)];
    uint64_t *line = line_of(sieve, prefix);

    if (!cell->is_known || keysieve_passes(sieve, prefix))
        return;
    for (int i = 0; i < PREFIX_BITS; i++) {
        unsigned bit = bit_of(prefix, i);

        line[bit / WORD_BITS] |= mask_of(bit);
    }
    cell->count++;
}

bool
keysieve_passes(const struct keysieve *sieve, uint64_t prefix)
{
    const uint64_t *line = line_of(sieve, prefix);

    if (!keysieve_knows(sieve, key_entry_cell(prefix)))
        return true;
    for (int i = 0; i < PREFIX_BITS; i++) {
        unsigned bit = bit_of(prefix, i);

        if (!(line[bit / WORD_BITS] & mask_of(bit)))
            return false;
    }
    return true;
}

void
keysieve_expect(const struct keysieve *sieve, uint64_t prefix)
{
    __builtin_prefetch(line_of(sieve, prefix));
}
