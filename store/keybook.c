/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* endian.h */
#include "store/keybook.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/table.h"

#define CELL_BITS  12
#define CELL_COUNT (1u << CELL_BITS)
#define CELL_FIRST 32 /* entries that a cell has room for at first: the mean */
/* Such a row, with its seal and what LMDB adds, fills a page. */
#define ROW_MAX ((4096 - 16 - RECORD_SEAL_BYTES) / KEY_ENTRY_BYTES)
/* Sparse cells are worth waiting for: with ten million keys in the set, a cell
 * has twelve rows there, and twice the mean of what is recent, 64, share them.
 * As entries they take 2 MiB, twice that while the sweep is behind. */
#define RECENT_MAX   131072
#define LOG_DROP_MAX 64  /* rows of the log that a transaction removes */
#define LOG_LOOK_MAX 512 /* damaged ones that it looks behind for that */

/* The recent entries of a cell, in no order, one for each prefix. */
struct cell {
    struct key_entry *entries;
    uint32_t count, capacity;
};

/* What the transaction did to an entry, so that it can be undone. */
struct change {
    uint64_t prefix;
    uint64_t before;
    bool is_new;
};

struct keybook {
    struct cell cells[CELL_COUNT];
    size_t count, recent_max;
    uint64_t swept;      /* cells, in all rounds; the next one's number */
    uint64_t swept_next; /* the same when the transaction is committed */
    uint64_t log_next;   /* number of the next row of the log */
    uint64_t log_last;   /* the same when the transaction is committed */
    struct change *changes;
    size_t change_count, change_capacity;
    struct key_entry *merged; /* scratch: a range of the set */
    size_t merged_count, merged_capacity;
};

struct keybook *
keybook_new(void)
{
    struct keybook *book = mem_zalloc(1, sizeof(*book));

    book->recent_max = RECENT_MAX;
    book->log_next = book->log_last = 1;
    return book;
}

static void
empty_cell(struct keybook *book, struct cell *cell)
{
    assert(book->count >= cell->count);
    book->count -= cell->count;
    free(cell->entries);
    *cell = (struct cell){ 0 };
}

void
keybook_free(struct keybook *book)
{
    if (!book)
        return;
    for (unsigned i = 0; i < CELL_COUNT; i++)
        free(book->cells[i].entries);
    free(book->changes);
    free(book->merged);
    free(book);
}

void
keybook_limit(struct keybook *book, size_t recent_max)
{
    book->recent_max = recent_max;
}

uint64_t
keybook_prefix(const unsigned char key[DIGEST_BYTES])
{
    return key_get_u64((struct slice){ (const char *)key, DIGEST_BYTES }, 0);
}

unsigned
keybook_cell(uint64_t prefix)
{
    return (unsigned)(prefix >> (64 - CELL_BITS));
}

/* ---- recent ones ---- */

static struct key_entry *
find_recent(const struct keybook *book, uint64_t prefix)
{
    const struct cell *cell = &book->cells[keybook_cell(prefix)];

    for (uint32_t i = 0; i < cell->count; i++) {
        if (cell->entries[i].prefix == prefix)
            return &cell->entries[i];
    }
    return NULL;
}

const struct key_entry *
keybook_recent(const struct keybook *book, uint64_t prefix)
{
    return find_recent(book, prefix);
}

static void
add_recent(struct keybook *book, struct key_entry entry)
{
    struct cell *cell = &book->cells[keybook_cell(entry.prefix)];

    if (cell->count == cell->capacity) {
        cell->capacity = cell->capacity ? 2 * cell->capacity : CELL_FIRST;
        cell->entries =
            mem_grow(cell->entries, cell->capacity, sizeof(cell->entries[0]));
    }
    cell->entries[cell->count++] = entry;
    book->count++;
}

static void
drop_recent(struct keybook *book, uint64_t prefix)
{
    struct cell *cell = &book->cells[keybook_cell(prefix)];
    struct key_entry *entry = find_recent(book, prefix);

    assert(entry);
    *entry = cell->entries[--cell->count];
    book->count--;
}

static void
note_change(struct keybook *book, struct change change)
{
    if (book->change_count == book->change_capacity) {
        book->change_capacity =
            book->change_capacity ? 2 * book->change_capacity : CELL_FIRST;
        book->changes = mem_grow(book->changes, book->change_capacity,
                                 sizeof(book->changes[0]));
    }
    book->changes[book->change_count++] = change;
}

static void
change_recent(struct keybook *book, uint64_t prefix, uint64_t request)
{
    struct key_entry *entry = find_recent(book, prefix);

    note_change(book, (struct change){ .prefix = prefix,
                                       .before = entry ? entry->request : 0,
                                       .is_new = !entry });
    if (entry)
        entry->request = request;
    else
        add_recent(book, (struct key_entry){ prefix, request });
}

void
keybook_remove(struct keybook *book, uint64_t prefix)
{
    change_recent(book, prefix, 0);
}

/* ---- rows ---- */

/* In one go: a row is read and written for each few of its entries. */
static void
put_entry(struct buf *out, struct key_entry entry)
{
    uint64_t words[2] = { htobe64(entry.prefix), htobe64(entry.request << 16) };

    assert(entry.request >> 48 == 0);
    buf_add(out, words, KEY_ENTRY_BYTES);
}

static struct key_entry
entry_at(const unsigned char *at)
{
    uint64_t words[2] = { 0 };

    memcpy(words, at, KEY_ENTRY_BYTES);
    return (struct key_entry){ .prefix = be64toh(words[0]),
                               .request = be64toh(words[1]) >> 16 };
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
    entry = entry_at(record->at);
    record->at += KEY_ENTRY_BYTES;
    record->left -= KEY_ENTRY_BYTES;
    return entry;
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
    return keybook_cell(key_get_u64(*first, 0)) == keybook_cell(prefix)
               ? 0
               : E_NOTFOUND;
}

/* Looks for a prefix in a row, whose entries ascend. A wrong one leads to a
 * request that has another key, so it need not be known for whole: that would
 * read all of it, for each draft. */
static uint64_t
find_in_row(struct slice row, uint64_t prefix)
{
    size_t low = 0, high = row.bytes / KEY_ENTRY_BYTES;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct key_entry entry = entry_at((const unsigned char *)row.data +
                                          middle * KEY_ENTRY_BYTES);

        if (entry.prefix == prefix)
            return entry.request;
        if (entry.prefix < prefix)
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

/* Formats 1 to 3 had a row for each key. */
static bool
has_old_rows(struct store *store)
{
    return store->engine->ops->rows(store->engine, TABLE_KEY) > 0;
}

static uint64_t
find_old(struct store *store, const unsigned char key[DIGEST_BYTES])
{
    struct record record;

    if (!has_old_rows(store) ||
        table_get(store, TABLE_KEY, key_bytes(key_start(), key, DIGEST_BYTES),
                  &record) < 0) {
        return 0;
    }
    return record_get_u64(&record);
}

uint64_t
keybook_find(struct store *store, const unsigned char key[DIGEST_BYTES])
{
    uint64_t prefix = keybook_prefix(key), request = 0;
    const struct key_entry *recent = find_recent(store->keybook, prefix);
    struct slice first, row;

    if (recent)
        request = recent->request;
    else if (find_row(store, prefix, &first, &row) == 0)
        request = find_in_row(row, prefix);
    return request ? request : find_old(store, key);
}

void
keybook_set(struct store *store, const unsigned char key[DIGEST_BYTES],
            uint64_t request)
{
    if (has_old_rows(store)) {
        table_del(store, TABLE_KEY, key_bytes(key_start(), key, DIGEST_BYTES));
    }
    store->is_dirty = true;
    change_recent(store->keybook, keybook_prefix(key), request);
}

/* ---- the sweep ---- */

static int
compare_entries(const void *a, const void *b)
{
    const struct key_entry *first = a, *second = b;

    return (first->prefix > second->prefix) - (first->prefix < second->prefix);
}

static void
add_merged(struct keybook *book, struct key_entry entry)
{
    if (entry.request == 0)
        return;
    if (book->merged_count == book->merged_capacity) {
        book->merged_capacity =
            book->merged_capacity ? 2 * book->merged_capacity : ROW_MAX;
        book->merged = mem_grow(book->merged, book->merged_capacity,
                                sizeof(book->merged[0]));
    }
    book->merged[book->merged_count++] = entry;
}

/* Merges a row with recent entries, which ascend, too, and come before it. */
static void
merge(struct keybook *book, struct record *row, const struct key_entry *recent,
      size_t count)
{
    size_t i = 0;

    book->merged_count = 0;
    while (row->left >= KEY_ENTRY_BYTES) {
        struct key_entry entry = key_entry_get(row);

        while (i < count && recent[i].prefix < entry.prefix)
            add_merged(book, recent[i++]);
        if (i < count && recent[i].prefix == entry.prefix)
            entry = recent[i++];
        add_merged(book, entry);
    }
    while (i < count)
        add_merged(book, recent[i++]);
}

/* Writes what was merged, as one row that begins at `first`, or as several that
 * are as long as each other. */
static void
put_merged(struct store *store, uint64_t first)
{
    const struct keybook *book = store->keybook;
    size_t count = book->merged_count, from = 0;
    size_t pieces = (count + ROW_MAX - 1) / ROW_MAX;

    if (count == 0)
        table_del(store, TABLE_KEY_SET, key_id(first));
    for (size_t piece = 1; piece <= pieces; piece++) {
        size_t end = count * piece / pieces;
        struct buf *out = table_fields(store);

        if (piece > 1)
            first = book->merged[from].prefix;
        for (; from < end; from++)
            put_entry(out, book->merged[from]);
        table_put(store, TABLE_KEY_SET, key_id(first));
    }
}

/* How many of the entries come before the next row of their cell. */
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

/* Puts the recent entries of a cell into the set. A damaged row there is
 * written anew, with these alone. */
static void
sweep_cell(struct store *store, const struct cell *cell)
{
    const struct key_entry *at = cell->entries;
    size_t left = cell->count;

    if (left > 1)
        qsort(cell->entries, left, sizeof(*at), compare_entries);
    while (left > 0 && store->rc == 0) {
        uint64_t first = (uint64_t)keybook_cell(at->prefix) << (64 - CELL_BITS);
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
        merge(store->keybook, &row, at, count);
        put_merged(store, first);
        at += count;
        left -= count;
    }
}

/* Goes on until few enough are recent; they are forgotten when the transaction
 * is committed. */
static void
sweep(struct store *store)
{
    struct keybook *book = store->keybook;
    size_t left = book->count;

    while (left > book->recent_max && store->rc == 0) {
        const struct cell *cell = &book->cells[book->swept_next++ % CELL_COUNT];

        sweep_cell(store, cell);
        left -= cell->count;
    }
}

/* ---- the log ---- */

static void
log_changes(struct store *store)
{
    struct keybook *book = store->keybook;
    struct buf *out = table_fields(store);

    record_u64(out, book->swept);
    record_u64(out, book->swept_next);
    for (size_t i = 0; i < book->change_count; i++)
        put_entry(out, *find_recent(book, book->changes[i].prefix));
    table_put(store, TABLE_KEY_LOG, key_id(book->log_last++));
}

/* The number of the first row, if that was written before the sweep began its
 * last round, and so was swept whole; 0: it was not. A damaged one is older than
 * the next that can be read, and must not keep all that come after it. */
static uint64_t
first_swept(struct store *store)
{
    struct key key = key_start();
    uint64_t first = 0;

    for (int i = 0; i < LOG_LOOK_MAX; i++) {
        struct slice found;
        struct record record;
        int rc = table_seek(store, TABLE_KEY_LOG, key, 0, &found, &record);

        if (rc < 0 && rc != E_CORRUPT)
            break;
        if (first == 0)
            first = key_get_u64(found, 0);
        if (rc == 0) {
            return record_get_u64(&record) + CELL_COUNT <=
                           store->keybook->swept_next
                       ? first
                       : 0;
        }
        key = key_u8(key_id(key_get_u64(found, 0)), 0);
    }
    return 0;
}

static void
trim_log(struct store *store)
{
    for (int i = 0; i < LOG_DROP_MAX; i++) {
        uint64_t first = first_swept(store);

        if (first == 0)
            return;
        table_del(store, TABLE_KEY_LOG, key_id(first));
    }
}

void
keybook_write(struct store *store)
{
    if (store->keybook->change_count == 0)
        return;
    sweep(store);
    log_changes(store);
    trim_log(store);
}

void
keybook_settle(struct keybook *book, bool is_committed)
{
    if (is_committed) {
        while (book->swept < book->swept_next)
            empty_cell(book, &book->cells[book->swept++ % CELL_COUNT]);
        book->log_next = book->log_last;
        book->change_count = 0;
        return;
    }
    while (book->change_count > 0) {
        const struct change *change = &book->changes[--book->change_count];

        if (change->is_new)
            drop_recent(book, change->prefix);
        else
            find_recent(book, change->prefix)->request = change->before;
    }
    book->swept_next = book->swept;
    book->log_last = book->log_next;
}

/* Takes the entries of a row that the sweep has not come by yet since that was
 * written. */
static void
load_row(struct keybook *book, struct record *row)
{
    uint64_t before = record_get_u64(row);

    (void)record_get_u64(row);
    while (row->left >= KEY_ENTRY_BYTES) {
        struct key_entry entry = key_entry_get(row), *known;
        uint64_t ahead = (keybook_cell(entry.prefix) - before) % CELL_COUNT;

        if (before + ahead < book->swept)
            continue;
        known = find_recent(book, entry.prefix);
        if (known)
            *known = entry;
        else
            add_recent(book, entry);
    }
}

/* How far the sweep is, by the last row that can be read. */
static void
load_end(struct store *store)
{
    struct keybook *book = store->keybook;
    struct key key = key_u8(key_id(UINT64_MAX), 0);
    struct slice found;
    struct record record;
    int rc;

    book->log_next = 1;
    book->swept = 0;
    while ((rc = table_before(store, TABLE_KEY_LOG, key, 0, &found, &record)) ==
               0 ||
           rc == E_CORRUPT) {
        key = key_id(key_get_u64(found, 0));
        if (book->log_next == 1)
            book->log_next = key_get_u64(found, 0) + 1;
        if (rc == 0) {
            (void)record_get_u64(&record);
            book->swept = record_get_u64(&record);
            break;
        }
    }
    book->log_last = book->log_next;
    book->swept_next = book->swept;
}

void
keybook_load(struct store *store)
{
    struct keybook *book = store->keybook;
    struct key key = key_start();
    struct slice found;
    struct record record;
    int rc;

    assert(book->change_count == 0);
    for (unsigned i = 0; i < CELL_COUNT; i++)
        empty_cell(book, &book->cells[i]);
    load_end(store);
    while ((rc = table_seek(store, TABLE_KEY_LOG, key, 0, &found, &record)) ==
               0 ||
           rc == E_CORRUPT) {
        key = key_u8(key_id(key_get_u64(found, 0)), 0);
        if (rc == 0)
            load_row(book, &record);
    }
}
