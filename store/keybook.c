/* SPDX-License-Identifier: MIT */
#include "store/keybook.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/keypool.h"
#include "store/keyset.h"
#include "store/table.h"

/* A cell has waited for a whole round when the sweep comes to it, so 24 of its
 * entries share a page. They take 1 MiB. */
#define RECENT_MAX   49152
#define CHANGE_FIRST 32
#define LOG_DROP_MAX 64  /* rows of the log that a transaction removes */
#define LOG_LOOK_MAX 512 /* damaged ones that it looks behind for that */

/* What the transaction did to an entry, so that it can be undone. */
struct change {
    uint64_t prefix;
    uint64_t before;
    bool is_new;
};

struct keybook {
    struct keypool *recent;
    size_t recent_max;
    uint64_t swept;      /* cells, in all rounds; the next one's number */
    uint64_t swept_next; /* the same when the transaction is committed */
    uint64_t log_next;   /* number of the next row of the log */
    uint64_t log_last;   /* the same when the transaction is committed */
    struct change *changes;
    size_t change_count, change_capacity;
    bool has_old, knows_old; /* rows of TABLE_KEY, in this transaction */
};

struct keybook *
keybook_new(void)
{
    struct keybook *book = mem_zalloc(1, sizeof(*book));

    book->recent = keypool_new();
    book->recent_max = RECENT_MAX;
    book->log_next = book->log_last = 1;
    return book;
}

void
keybook_free(struct keybook *book)
{
    if (!book)
        return;
    keypool_free(book->recent);
    free(book->changes);
    free(book);
}

void
keybook_limit(struct keybook *book, size_t recent_max)
{
    book->recent_max = recent_max;
}

void
keybook_reserve(struct keybook *book, size_t keys)
{
    /* A transaction is not over before its last message is: that may bring as
     * many again. */
    keypool_reserve(book->recent, book->recent_max + 2 * keys);
}

/* ---- recent ones ---- */

const struct key_entry *
keybook_recent(const struct keybook *book, uint64_t prefix)
{
    return keypool_find(book->recent, prefix);
}

static void
note_change(struct keybook *book, struct change change)
{
    if (book->change_count == book->change_capacity) {
        book->change_capacity =
            book->change_capacity ? 2 * book->change_capacity : CHANGE_FIRST;
        book->changes = mem_grow(book->changes, book->change_capacity,
                                 sizeof(book->changes[0]));
    }
    book->changes[book->change_count++] = change;
}

static void
change_recent(struct keybook *book, struct key_entry to)
{
    struct key_entry *entry = keypool_find(book->recent, to.prefix);

    note_change(book, (struct change){ .prefix = to.prefix,
                                       .before = entry ? entry->request : 0,
                                       .is_new = !entry });
    if (entry)
        *entry = to;
    else
        keypool_add(book->recent, to);
}

void
keybook_remove(struct keybook *book, uint64_t prefix)
{
    change_recent(book, (struct key_entry){ prefix, 0 });
}

/* Formats 1 to 3 had a row for each key. Nobody adds one: a transaction asks once,
 * not twice for each draft. */
static bool
has_old_rows(struct store *store)
{
    struct keybook *book = store->keybook;

    if (!book->knows_old) {
        book->has_old = store->engine->ops->rows(store->engine, TABLE_KEY) > 0;
        book->knows_old = true;
    }
    return book->has_old;
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
    uint64_t prefix = key_entry_prefix(key), request = 0;
    const struct key_entry *recent = keybook_recent(store->keybook, prefix);

    if (recent)
        request = recent->request;
    else if (!keyset_find(store, prefix, &request))
        request = 0;
    return request ? request : find_old(store, key);
}

void
keybook_expect(const struct store *store, const unsigned char key[DIGEST_BYTES])
{
    uint64_t prefix = key_entry_prefix(key);

    keypool_expect(store->keybook->recent, prefix);
    keyset_expect(store->keyset, prefix);
}

void
keybook_set(struct store *store, const unsigned char key[DIGEST_BYTES],
            uint64_t request)
{
    if (has_old_rows(store)) {
        table_del(store, TABLE_KEY, key_bytes(key_start(), key, DIGEST_BYTES));
    }
    store->is_dirty = true;
    change_recent(store->keybook,
                  (struct key_entry){ key_entry_prefix(key), request });
}

/* ---- the sweep ---- */

/* Goes on until few enough are recent; they are forgotten when the transaction
 * is committed. */
static void
sweep(struct store *store)
{
    struct keybook *book = store->keybook;
    size_t left = keypool_count(book->recent);

    while (left > book->recent_max && store->rc == 0) {
        unsigned cell = (unsigned)(book->swept_next++ % KEY_CELL_COUNT);
        const struct key_entry *entries;
        size_t count = keypool_list(book->recent, cell, &entries);

        if (count > 0)
            keyset_merge(store, cell, entries, count);
        left -= count;
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
        key_entry_put(out, *keybook_recent(book, book->changes[i].prefix));
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
            return record_get_u64(&record) + KEY_CELL_COUNT <=
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
    book->knows_old = false;
    if (is_committed) {
        while (book->swept < book->swept_next)
            keypool_empty(book->recent,
                          (unsigned)(book->swept++ % KEY_CELL_COUNT));
        book->log_next = book->log_last;
        book->change_count = 0;
        return;
    }
    while (book->change_count > 0) {
        const struct change *change = &book->changes[--book->change_count];

        if (change->is_new)
            keypool_drop(book->recent, change->prefix);
        else
            keypool_find(book->recent, change->prefix)->request =
                change->before;
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
        uint64_t ahead =
            (key_entry_cell(entry.prefix) - before) % KEY_CELL_COUNT;

        if (before + ahead < book->swept)
            continue;
        known = keypool_find(book->recent, entry.prefix);
        if (known)
            *known = entry;
        else
            keypool_add(book->recent, entry);
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
    keypool_reset(book->recent);
    keyset_load(store);
    load_end(store);
    while ((rc = table_seek(store, TABLE_KEY_LOG, key, 0, &found, &record)) ==
               0 ||
           rc == E_CORRUPT) {
        key = key_u8(key_id(key_get_u64(found, 0)), 0);
        if (rc == 0)
            load_row(book, &record);
    }
}
