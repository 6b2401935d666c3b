/* SPDX-License-Identifier: MIT */
#include "store/keyset.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/keysieve.h"
#include "store/table.h"

/* Such a row, with its seal and what LMDB adds, fills a page. */
#define ROW_MAX ((4096 - 16 - RECORD_SEAL_BYTES) / KEY_ENTRY_BYTES)

struct list {
    struct key_entry *entries;
    size_t count, room;
};

struct keyset {
    size_t cell_max;
    struct keysieve *sieve;
    struct list cell, row; /* scratch: what a cell's row, or one of the set, has
                              when it is merged */
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
    free(set->cell.entries);
    free(set->row.entries);
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

static bool
find_in_cell(struct store *store, uint64_t prefix, uint64_t *request)
{
    struct slice row;

    return table_get_raw(store, TABLE_KEY_CELL,
                         cell_key(key_entry_cell(prefix)), &row) == 0 &&
           key_entry_find(row, prefix, request);
}

/* Of a damaged row, an entry leads to a request that has another key: so it need
 * not be known for whole. To know that would read all of it, for each draft. */
bool
keyset_find(struct store *store, uint64_t prefix, uint64_t *request)
{
    struct slice first, row;

    if (!keysieve_passes(store->keyset->sieve, prefix))
        return false;
    return find_in_cell(store, prefix, request) ||
           (find_row(store, prefix, &first, &row) == 0 &&
            key_entry_find(row, prefix, request));
}

void
keyset_expect(const struct keyset *set, uint64_t prefix)
{
    keysieve_expect(set->sieve, prefix);
}

bool
keyset_hides(struct store *store, uint64_t prefix)
{
    uint64_t request;

    return find_in_cell(store, prefix, &request);
}

/* ---- merging ---- */

static void
add(struct list *list, struct key_entry entry)
{
    if (list->count == list->room) {
        list->room = list->room ? 2 * list->room : ROW_MAX;
        list->entries =
            mem_grow(list->entries, list->room, sizeof(list->entries[0]));
    }
    list->entries[list->count++] = entry;
}

/* Merges a row with entries that are newer. Both ascend. */
static void
merge(struct list *out, struct record row, const struct key_entry *newer,
      size_t count)
{
    size_t i = 0;

    out->count = 0;
    while (row.left >= KEY_ENTRY_BYTES) {
        struct key_entry entry = key_entry_get(&row);

        while (i < count && newer[i].prefix < entry.prefix)
            add(out, newer[i++]);
        if (i < count && newer[i].prefix == entry.prefix)
            entry = newer[i++];
        add(out, entry);
    }
    while (i < count)
        add(out, newer[i++]);
}

static void
put_row(struct store *store, enum table table, struct key key,
        const struct key_entry *entries, size_t count)
{
    struct buf *out = table_fields(store);

    for (size_t i = 0; i < count; i++)
        key_entry_put(out, entries[i]);
    table_put(store, table, key);
}

/* Nothing is behind the set that an entry without a request would hide. */
static void
drop_removed(struct list *list)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++) {
        if (list->entries[i].request != 0)
            list->entries[kept++] = list->entries[i];
    }
    list->count = kept;
}

/* Writes what was merged, as one row of the set that begins at `first`, or as
 * several that are as long as each other. */
static void
put_merged(struct store *store, uint64_t first, struct list *list)
{
    size_t pieces, from = 0;

    drop_removed(list);
    pieces = (list->count + ROW_MAX - 1) / ROW_MAX;
    if (pieces == 0)
        table_del(store, TABLE_KEY_SET, key_id(first));
    for (size_t piece = 1; piece <= pieces; piece++) {
        size_t end = list->count * piece / pieces;

        if (piece > 1)
            first = list->entries[from].prefix;
        put_row(store, TABLE_KEY_SET, key_id(first), list->entries + from,
                end - from);
        from = end;
    }
}

/* How many of the entries come before the next row of the set. */
static size_t
count_before_next(struct store *store, uint64_t first,
                  const struct key_entry *entries, size_t count)
{
    struct slice found;
    size_t n = count;

    if (table_seek(store, TABLE_KEY_SET, key_u8(key_id(first), 0), 0, &found,
                   NULL) == 0) {
        uint64_t next = key_get_u64(found, 0);

        while (n > 0 && entries[n - 1].prefix >= next)
            n--;
    }
    return n;
}

/* Puts entries of a cell into its rows of the set, those that they belong to. */
static void
merge_into_set(struct store *store, unsigned cell, const struct list *list)
{
    const struct key_entry *at = list->entries;
    size_t left = list->count;

    while (left > 0 && store->rc == 0) {
        uint64_t first = key_entry_first(cell);
        struct record row = { 0 };
        struct slice found, value;
        size_t count;

        if (find_row(store, at->prefix, &found, &value) == 0) {
            first = key_get_u64(found, 0);
            if (record_open(&row, TABLE_KEY_SET, found, value) < 0)
                row = (struct record){ 0 };
        }
        count = count_before_next(store, first, at, left);
        assert(count > 0);
        merge(&store->keyset->row, row, at, count);
        put_merged(store, first, &store->keyset->row);
        at += count;
        left -= count;
    }
}

/* Fills the sieve of a cell with what its rows have. What is removed, or moves
 * from row to row, gets through still: where this transaction is forgotten, it is
 * where it was. */
static void
sift(struct store *store, unsigned cell)
{
    struct keyset *set = store->keyset;
    struct list *all = &set->row;
    struct key at = key_id(key_entry_first(cell));
    struct slice found;
    struct record row;
    int rc;

    all->count = 0;
    for (size_t i = 0; i < set->cell.count; i++)
        add(all, set->cell.entries[i]);
    while ((rc = table_seek(store, TABLE_KEY_SET, at, 0, &found, &row)) == 0 &&
           key_entry_cell(key_get_u64(found, 0)) == cell) {
        at = key_u8(key_id(key_get_u64(found, 0)), 0);
        while (row.left >= KEY_ENTRY_BYTES)
            add(all, key_entry_get(&row));
    }
    if (rc < 0 && rc != E_NOTFOUND) {
        keysieve_forget(set->sieve, cell);
        return;
    }
    keysieve_start(set->sieve, cell, all->count);
    for (size_t i = 0; i < all->count; i++)
        keysieve_add(set->sieve, all->entries[i].prefix);
}

/* Cells that had all the same room would all be merged in the same round. */
static size_t
room_of(const struct keyset *set, unsigned cell)
{
    size_t least = set->cell_max / 2;

    return least + cell % (set->cell_max - least + 1);
}

void
keyset_merge(struct store *store, unsigned cell,
             const struct key_entry *entries, size_t count)
{
    struct keyset *set = store->keyset;
    struct record row;

    assert(count > 0);
    if (table_get(store, TABLE_KEY_CELL, cell_key(cell), &row) < 0)
        row = (struct record){ 0 };
    merge(&set->cell, row, entries, count);
    if (set->cell.count <= room_of(set, cell)) {
        put_row(store, TABLE_KEY_CELL, cell_key(cell), set->cell.entries,
                set->cell.count);
        for (size_t i = 0; i < count; i++)
            keysieve_add(set->sieve, entries[i].prefix);
        if (keysieve_knows(set->sieve, cell))
            return;
    } else {
        merge_into_set(store, cell, &set->cell);
        table_del(store, TABLE_KEY_CELL, cell_key(cell));
    }
    sift(store, cell);
}
