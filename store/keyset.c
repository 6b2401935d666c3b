/* SPDX-License-Identifier: MIT */
#include "store/keyset.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/keysieve.h"
#include "store/table.h"

/* Such a row, with its seal and what LMDB adds, fills a page. */
#define ROW_MAX ((4096 - 16 - RECORD_SEAL_BYTES) / KEY_ENTRY_BYTES)

/* For so many rows that a cell has of the set, one may be laid aside. */
#define ASIDE_SET_ROWS 4

struct keyset {
    size_t cell_max;
    struct keysieve *sieve;
    /* scratch: entries that come; those of a cell's own rows, and of one row, when
     * they are merged */
    struct buf brought, cell, row;
};

struct keyset *
keyset_new(void)
{
    struct keyset *set = mem_zalloc(1, sizeof(*set));

    set->cell_max = ROW_MAX;
    set->sieve = keysieve_new();
    return set;
}

void
keyset_free(struct keyset *set)
{
    if (!set)
        return;
    keysieve_free(set->sieve);
    buf_fini(&set->brought);
    buf_fini(&set->cell);
    buf_fini(&set->row);
    free(set);
}

void
keyset_reserve(struct keyset *set)
{
    keysieve_reserve(set->sieve);
}

void
keyset_limit(struct keyset *set, size_t cell_max)
{
    assert(cell_max <= ROW_MAX);
    set->cell_max = cell_max;
}

void
keyset_load(struct store *store)
{
    const struct engine_ops *ops = store->engine->ops;

    keysieve_reset(store->keyset->sieve,
                   ops->rows(store->engine, TABLE_KEY_CELL) == 0 &&
                       ops->rows(store->engine, TABLE_KEY_SET) == 0);
}

/* ---- looking ---- */

static struct key
cell_key(unsigned cell)
{
    return key_id(key_entry_first(cell));
}

/* The row of the set in which a prefix is, or would be: the last one that begins
 * at or before it, in its cell. Its seal is not looked at. */
static int
find_row(struct store *store, uint64_t prefix, struct slice *first,
         struct slice *value)
{
    struct key behind = key_u8(key_id(prefix), 0);
    int rc = table_before_raw(store, TABLE_KEY_SET, behind, first, value);

    if (rc < 0)
        return rc;
    return key_entry_cell(key_get_u64(*first, 0)) == key_entry_cell(prefix)
               ? 0
               : E_NOTFOUND;
}

/* Looks in the cell's own rows that stand before a key. */
static bool
find_in_cell(struct store *store, uint64_t prefix, uint64_t before,
             uint64_t *request)
{
    unsigned cell = key_entry_cell(prefix);
    struct key at = cell_key(cell);
    struct slice found, row;

    while (table_seek_raw(store, TABLE_KEY_CELL, at, 0, &found, &row) == 0) {
        uint64_t key = key_get_u64(found, 0);

        if (key >= before || key_entry_cell(key) != cell)
            return false;
        if (key_entry_find(row, prefix, request))
            return true;
        at = key_u8(key_id(key), 0);
    }
    return false;
}

/* Of a damaged row, an entry leads to a request that has another key: so it need
 * not be known for whole. To know that would read all of it, for each draft. */
bool
keyset_find(struct store *store, uint64_t prefix, uint64_t *request)
{
    struct slice first, row;

    if (!keysieve_passes(store->keyset->sieve, prefix))
        return false;
    return find_in_cell(store, prefix, UINT64_MAX, request) ||
           (find_row(store, prefix, &first, &row) == 0 &&
            key_entry_find(row, prefix, request));
}

void
keyset_expect(const struct keyset *set, uint64_t prefix)
{
    keysieve_expect(set->sieve, prefix);
}

bool
keyset_hides(struct store *store, uint64_t prefix, uint64_t key)
{
    uint64_t request;

    return find_in_cell(store, prefix, key, &request);
}

/* ---- merging ---- */

/* The entries of a row that was opened; a part of one behind them is none. */
static struct slice
entries_of(struct record row)
{
    return (struct slice){ (const char *)row.at,
                           row.left - row.left % KEY_ENTRY_BYTES };
}

static void
put_row(struct store *store, enum table table, struct key key,
        struct slice entries)
{
    buf_add_slice(table_fields(store), entries);
    table_put(store, table, key);
}

/* Writes what was merged, as one row of the set that begins at `first`, or as
 * several that are as long as each other. */
static void
put_merged(struct store *store, uint64_t first, struct slice merged)
{
    size_t count = key_entry_count(merged), from = 0;
    size_t pieces = (count + ROW_MAX - 1) / ROW_MAX;

    if (pieces == 0)
        table_del(store, TABLE_KEY_SET, key_id(first));
    for (size_t piece = 1; piece <= pieces; piece++) {
        size_t end = count * piece / pieces;

        if (piece > 1)
            first = key_entry_prefix_at(merged, from);
        put_row(store, TABLE_KEY_SET, key_id(first),
                key_entry_cut(merged, from, end));
        from = end;
    }
}

/* How many of the entries come before the next row of the set. */
static size_t
count_before_next(struct store *store, uint64_t first, struct slice entries)
{
    struct slice found;
    size_t n = key_entry_count(entries);

    if (table_seek(store, TABLE_KEY_SET, key_u8(key_id(first), 0), 0, &found,
                   NULL) == 0) {
        uint64_t next = key_get_u64(found, 0);

        while (n > 0 && key_entry_prefix_at(entries, n - 1) >= next)
            n--;
    }
    return n;
}

/* Puts entries of a cell into its rows of the set, those that they belong to.
 * Nothing is behind the set that an entry without a request would hide: these are
 * left out. */
static void
merge_into_set(struct store *store, unsigned cell, struct slice entries)
{
    struct buf *merged = &store->keyset->row;

    while (entries.bytes > 0 && store->rc == 0) {
        uint64_t first = key_entry_first(cell);
        struct record row = { 0 };
        struct slice found, value;
        size_t count;

        if (find_row(store, key_entry_prefix_at(entries, 0), &found, &value) ==
            0) {
            first = key_get_u64(found, 0);
            if (record_open(&row, TABLE_KEY_SET, found, value) < 0)
                row = (struct record){ 0 };
        }
        count = count_before_next(store, first, entries);
        assert(count > 0);
        buf_reset(merged);
        key_entry_merge(merged, entries_of(row),
                        key_entry_cut(entries, 0, count), false);
        put_merged(store, first, buf_slice(merged));
        entries = key_entry_cut(entries, count, key_entry_count(entries));
    }
}

/* Adds the entries that the rows of a table have of a cell. E_CORRUPT: some of them
 * are not known. */
static int
gather(struct store *store, enum table table, unsigned cell, struct buf *out)
{
    struct key at = cell_key(cell);
    struct slice found;
    struct record row;
    int rc;

    while ((rc = table_seek(store, table, at, 0, &found, &row)) == 0 &&
           key_entry_cell(key_get_u64(found, 0)) == cell) {
        at = key_u8(key_id(key_get_u64(found, 0)), 0);
        buf_add_slice(out, entries_of(row));
    }
    return rc == E_NOTFOUND ? 0 : rc;
}

/* Fills the sieve of a cell with what its rows have. What is removed, or moves
 * from row to row, gets through still: where this transaction is forgotten, it is
 * where it was. */
static void
sift(struct store *store, unsigned cell)
{
    struct keyset *set = store->keyset;
    struct buf *all = &set->row;

    buf_reset(all);
    buf_add_slice(all, buf_slice(&set->cell));
    if (gather(store, TABLE_KEY_CELL, cell, all) < 0 ||
        gather(store, TABLE_KEY_SET, cell, all) < 0) {
        keysieve_forget(set->sieve, cell);
        return;
    }
    keysieve_start(set->sieve, cell, key_entry_count(buf_slice(all)));
    for (size_t i = 0; i < key_entry_count(buf_slice(all)); i++)
        keysieve_add(set->sieve, key_entry_prefix_at(buf_slice(all), i));
}

static bool
has_in_set(struct store *store, unsigned cell, unsigned rows)
{
    struct key at = cell_key(cell);
    struct slice found;

    while (rows > 0 &&
           table_seek(store, TABLE_KEY_SET, at, 0, &found, NULL) == 0 &&
           key_entry_cell(key_get_u64(found, 0)) == cell) {
        at = key_u8(key_id(key_get_u64(found, 0)), 0);
        rows--;
    }
    return rows == 0;
}

/* The place for a row that a cell lays aside now, before those that it has; 0: it
 * has as many as it may have. */
static unsigned
place_aside(struct store *store, unsigned cell)
{
    uint64_t first = key_entry_first(cell);
    unsigned next = KEYSET_ASIDE_MAX + 1, asides;
    struct slice found;

    if (table_seek(store, TABLE_KEY_CELL, key_u8(key_id(first), 0), 0, &found,
                   NULL) == 0 &&
        key_get_u64(found, 0) - first < next) {
        next = (unsigned)(key_get_u64(found, 0) - first);
    }
    asides = KEYSET_ASIDE_MAX + 1 - next;
    return has_in_set(store, cell, (asides + 1) * ASIDE_SET_ROWS) ? next - 1
                                                                  : 0;
}

/* Takes the rows that a cell has laid aside to what is to be merged, which stood
 * before them. A damaged one goes, too. */
static void
take_asides(struct store *store, unsigned cell)
{
    struct keyset *set = store->keyset;
    struct key at = key_u8(cell_key(cell), 0);
    struct slice found;
    struct record row;
    int rc;

    while (
        ((rc = table_seek(store, TABLE_KEY_CELL, at, 0, &found, &row)) == 0 ||
         rc == E_CORRUPT) &&
        key_entry_cell(key_get_u64(found, 0)) == cell) {
        struct key taken = key_id(key_get_u64(found, 0));

        at = key_u8(taken, 0);
        if (rc == 0) {
            buf_reset(&set->row);
            key_entry_merge(&set->row, entries_of(row), buf_slice(&set->cell),
                            true);
            buf_swap(&set->row, &set->cell);
        }
        table_del(store, TABLE_KEY_CELL, taken);
    }
}

/* Cells that had all the same room would all be merged in the same round. */
static size_t
room_of(const struct keyset *set, unsigned cell)
{
    size_t least = set->cell_max / 2;

    return least + cell % (set->cell_max - least + 1);
}

/* A cell's first row has no room for what was brought: lays it aside, or merges all
 * that the cell's own rows have. One that is laid aside fills a page at most. */
static void
put_full(struct store *store, unsigned cell, struct slice first)
{
    struct keyset *set = store->keyset;
    struct slice brought = buf_slice(&set->brought);
    unsigned place = 0;

    if (first.bytes > 0 && key_entry_count(brought) <= room_of(set, cell))
        place = place_aside(store, cell);
    if (place > 0) {
        put_row(store, TABLE_KEY_CELL, key_id(key_entry_first(cell) + place),
                first);
        put_row(store, TABLE_KEY_CELL, cell_key(cell), brought);
        return;
    }
    take_asides(store, cell);
    merge_into_set(store, cell, buf_slice(&set->cell));
    table_del(store, TABLE_KEY_CELL, cell_key(cell));
}

/* Most of a cell's rows are not read again for its sieve, which has all that the
 * cell has ever since it was started. */
static void
keep_sieve(struct store *store, unsigned cell, const struct key_entry *entries,
           size_t count)
{
    struct keysieve *sieve = store->keyset->sieve;

    for (size_t i = 0; i < count; i++)
        keysieve_add(sieve, entries[i].prefix);
    if (!keysieve_knows(sieve, cell) || keysieve_is_full(sieve, cell))
        sift(store, cell);
}

void
keyset_merge(struct store *store, unsigned cell,
             const struct key_entry *entries, size_t count)
{
    struct keyset *set = store->keyset;
    struct record row;

    assert(count > 0);
    buf_reset(&set->brought);
    for (size_t i = 0; i < count; i++)
        key_entry_put(&set->brought, entries[i]);
    if (table_get(store, TABLE_KEY_CELL, cell_key(cell), &row) < 0)
        row = (struct record){ 0 };
    buf_reset(&set->cell);
    key_entry_merge(&set->cell, entries_of(row), buf_slice(&set->brought),
                    true);
    if (key_entry_count(buf_slice(&set->cell)) <= room_of(set, cell))
        put_row(store, TABLE_KEY_CELL, cell_key(cell), buf_slice(&set->cell));
    else
        put_full(store, cell, entries_of(row));
    keep_sieve(store, cell, entries, count);
}
