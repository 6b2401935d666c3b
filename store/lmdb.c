/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/engine.h"
#include "store/headroom.h"
#include "store/lmdb_open.h"
#include "store/page.h"
#include "store/pages.h"
#include "store/record.h"

/* Two such rows fill a page. */
#define RESERVE_ROW_BYTES 1900
#define BLOCK_BYTES       512 /* of stat() */
/* Pages that a row adds, beside those of its own: one on each level of the tree is
 * split, and there is a new root. In 16 TiB, the largest store, there are seven. */
#define PUT_PAGES_MAX  8
#define NEW_PAGES_MAX  4096 /* may have come before they are counted again */
#define SNAPSHOT_TRIES 100

struct lmdb {
    struct engine engine; /* first: the engine is the lmdb */
    struct lmdb_file file;
    MDB_txn *txn;
    MDB_cursor *cursors[TABLE_COUNT]; /* of the transaction, made on demand */
    uint64_t map_bytes;
    struct statvfs disk; /* as of this transaction: it writes nothing before its
                            end */
    uint64_t file_bytes; /* of the disk that are the file's */
    bool has_disk;
    bool is_view;              /* of another one, which has the file */
    bool has_written;          /* in this transaction */
    bool is_counted;           /* the tables have no more pages than these: */
    bool is_exact;             /* nothing was written since they were counted */
    uint64_t pages, pages_new; /* in all, and of them what came since */
    struct headroom headroom;
};

static struct lmdb *
lmdb_of(struct engine *engine)
{
    return (struct lmdb *)engine;
}

static MDB_val
val_of(struct slice slice)
{
    /* LMDB does not write through it. */
    return (MDB_val){ .mv_size = slice.bytes, .mv_data = (void *)slice.data };
}

static struct slice
slice_from(MDB_val val)
{
    return (struct slice){ val.mv_data, val.mv_size };
}

/* The same for what is done in a transaction, where a damaged page is a failure
 * of the engine, not of a record. */
static int
op_code(struct lmdb *lmdb, int rc)
{
    int code;

    /* Where a table's root is damaged, LMDB says so only of what comes next; of any
     * other failure it has said it before. */
    if (rc == MDB_BAD_TXN && !lmdb->engine.reason)
        rc = MDB_CORRUPTED;
    code = lmdb_code(rc);
    if (code == 0 || code == E_NOTFOUND)
        return code;
    lmdb->engine.reason = mdb_strerror(rc);
    lmdb->engine.is_damaged |= code == E_CORRUPT;
    return code == E_FULL ? E_FULL : E_IO;
}

static int
lmdb_begin(struct engine *engine, struct err *err)
{
    struct lmdb *lmdb = lmdb_of(engine);
    int rc;

    assert(!lmdb->txn);
    engine->reason = NULL;
    lmdb->has_disk = false;
    lmdb->has_written = false;
    rc = mdb_txn_begin(lmdb->file.env, NULL, 0, &lmdb->txn);
    if (rc) {
        lmdb->txn = NULL;
        lmdb_err(err, rc, "begin a transaction");
        return E_IO;
    }
    return 0;
}

/* Cursors of a write transaction must go before its end. */
static void
drop_cursors(struct lmdb *lmdb)
{
    for (int table = 0; table < TABLE_COUNT; table++) {
        if (lmdb->cursors[table])
            mdb_cursor_close(lmdb->cursors[table]);
        lmdb->cursors[table] = NULL;
    }
}

/* After a failed write of the meta page LMDB refuses everything: then the
 * commit may or may not be on disk. */
static bool
is_usable(struct lmdb *lmdb)
{
    MDB_txn *txn = NULL;

    if (mdb_txn_begin(lmdb->file.env, NULL, MDB_RDONLY, &txn))
        return false;
    mdb_txn_abort(txn);
    return true;
}

/* How full the disk is was asked for by whoever may make the file grow. */
static void
make_headroom(struct lmdb *lmdb)
{
    MDB_envinfo info;

    if (lmdb->has_disk && !mdb_env_info(lmdb->file.env, &info)) {
        headroom_make(&lmdb->headroom, lmdb->file.fd,
                      ((uint64_t)info.me_last_pgno + 1) * lmdb->file.page_bytes,
                      (uint64_t)lmdb->disk.f_bavail * lmdb->disk.f_frsize);
    }
}

static int
lmdb_commit(struct engine *engine, struct err *err)
{
    struct lmdb *lmdb = lmdb_of(engine);
    int rc;

    assert(lmdb->txn);
    drop_cursors(lmdb);
    make_headroom(lmdb);
    rc = lmdb_commit_txn(lmdb->txn);
    lmdb->txn = NULL;
    if (rc == 0)
        return 0;
    lmdb_err(err, rc, "commit");
    if (lmdb_code(rc) == E_FULL && is_usable(lmdb))
        return E_FULL;
    if (err && lmdb_code(rc) == E_FULL)
        err->code = E_IO;
    return E_IO;
}

static void
lmdb_abort(struct engine *engine)
{
    struct lmdb *lmdb = lmdb_of(engine);

    drop_cursors(lmdb);
    mdb_txn_abort(lmdb->txn); /* NULL is fine */
    lmdb->txn = NULL;
    if (lmdb->has_written)
        lmdb->is_counted = false;
}

static int
cursor_of(struct lmdb *lmdb, enum table table, MDB_cursor **cursor)
{
    int rc = 0;

    assert(lmdb->txn);
    if (!lmdb->cursors[table]) {
        rc = mdb_cursor_open(lmdb->txn, lmdb->file.tables[table],
                             &lmdb->cursors[table]);
    }
    *cursor = lmdb->cursors[table];
    return rc;
}

static int
give(struct lmdb *lmdb, int rc, const MDB_val row[2], struct slice *found,
     struct slice *value)
{
    if (rc == 0 && found)
        *found = slice_from(row[0]);
    if (rc == 0 && value)
        *value = slice_from(row[1]);
    return op_code(lmdb, rc);
}

/* By the cursor that is kept: a row beside the last one is found at once. */
static int
lmdb_get(struct engine *engine, enum table table, struct slice key,
         struct slice *value)
{
    MDB_val row[2] = { val_of(key), { 0 } };
    MDB_cursor *cursor;
    int rc = cursor_of(lmdb_of(engine), table, &cursor);

    if (rc == 0)
        rc = mdb_cursor_get(cursor, &row[0], &row[1], MDB_SET);
    return give(lmdb_of(engine), rc, row, NULL, value);
}

/* A row is about to be written, or removed. */
static void
note_row(struct lmdb *lmdb, struct slice value)
{
    uint64_t most = PUT_PAGES_MAX + value.bytes / PAGE_BYTES_MIN;

    lmdb->has_written = true;
    lmdb->is_exact = false;
    lmdb->pages += most;
    lmdb->pages_new += most;
}

/* For the two that follow. Returns LMDB's own code. */
static int
put_row(struct lmdb *lmdb, enum table table, struct slice key,
        struct slice value, unsigned flags)
{
    MDB_val key_val = val_of(key), value_val = val_of(value);
    MDB_cursor *cursor;
    int rc = cursor_of(lmdb, table, &cursor);

    note_row(lmdb, value);
    return rc == 0 ? mdb_cursor_put(cursor, &key_val, &value_val, flags) : rc;
}

static int
lmdb_put(struct engine *engine, enum table table, struct slice key,
         struct slice value)
{
    struct lmdb *lmdb = lmdb_of(engine);

    return op_code(lmdb, put_row(lmdb, table, key, value, 0));
}

static int
lmdb_append(struct engine *engine, enum table table, struct slice key,
            struct slice value)
{
    struct lmdb *lmdb = lmdb_of(engine);
    int rc = put_row(lmdb, table, key, value, MDB_APPEND);

    if (rc == MDB_KEYEXIST) /* its place is not at the end */
        rc = put_row(lmdb, table, key, value, 0);
    return op_code(lmdb, rc);
}

static int
lmdb_del(struct engine *engine, enum table table, struct slice key)
{
    MDB_val key_val = val_of(key);
    MDB_cursor *cursor;
    int rc = cursor_of(lmdb_of(engine), table, &cursor);

    note_row(lmdb_of(engine), (struct slice){ NULL, 0 });
    if (rc == 0)
        rc = mdb_cursor_get(cursor, &key_val, NULL, MDB_SET);
    if (rc == 0)
        rc = mdb_cursor_del(cursor, 0);
    return op_code(lmdb_of(engine), rc);
}

static int
lmdb_seek(struct engine *engine, enum table table, struct slice key,
          struct slice *found, struct slice *value)
{
    MDB_val row[2] = { val_of(key), { 0 } };
    MDB_cursor *cursor;
    int rc = cursor_of(lmdb_of(engine), table, &cursor);

    /* LMDB knows no empty key. */
    if (rc == 0)
        rc = mdb_cursor_get(cursor, &row[0], &row[1],
                            key.bytes ? MDB_SET_RANGE : MDB_FIRST);
    return give(lmdb_of(engine), rc, row, found, value);
}

static int
lmdb_before(struct engine *engine, enum table table, struct slice key,
            struct slice *found, struct slice *value)
{
    MDB_val row[2] = { val_of(key), { 0 } };
    MDB_cursor *cursor;
    int rc =
        key.bytes ? cursor_of(lmdb_of(engine), table, &cursor) : MDB_NOTFOUND;

    if (rc)
        return give(lmdb_of(engine), rc, row, found, value);
    rc = mdb_cursor_get(cursor, &row[0], &row[1], MDB_SET_RANGE);
    if (rc == 0)
        rc = mdb_cursor_get(cursor, &row[0], &row[1], MDB_PREV);
    else if (rc == MDB_NOTFOUND)
        rc = mdb_cursor_get(cursor, &row[0], &row[1], MDB_LAST);
    return give(lmdb_of(engine), rc, row, found, value);
}

static void
disk_usage(struct lmdb *lmdb, struct engine_usage *usage)
{
    const struct statvfs *disk = &lmdb->disk;
    struct stat file;

    if (!lmdb->has_disk) {
        if (fstatvfs(lmdb->file.fd, &lmdb->disk) || fstat(lmdb->file.fd, &file))
            return;
        lmdb->file_bytes = (uint64_t)file.st_blocks * BLOCK_BYTES;
        lmdb->has_disk = true;
    }
    usage->disk_bytes = (uint64_t)disk->f_blocks * disk->f_frsize;
    usage->disk_free = (uint64_t)disk->f_bavail * disk->f_frsize;
}

static void
count_pages(struct lmdb *lmdb)
{
    MDB_stat stat = { 0 };

    lmdb->pages = lmdb->pages_new = 0;
    for (int table = 0; table < TABLE_COUNT; table++) {
        if (mdb_stat(lmdb->txn, lmdb->file.tables[table], &stat) == 0) {
            lmdb->pages += stat.ms_branch_pages + stat.ms_leaf_pages +
                           stat.ms_overflow_pages;
        }
    }
    lmdb->is_counted = lmdb->is_exact = true;
}

/* Pages that were freed within the file are used again before it grows; and what
 * a commit that failed has written behind them is written over when it does. */
static void
lmdb_usage(struct engine *engine, bool is_exact, struct engine_usage *usage)
{
    struct lmdb *lmdb = lmdb_of(engine);
    MDB_envinfo info = { 0 };
    uint64_t file_pages;

    assert(lmdb->txn);
    if (!lmdb->is_counted || lmdb->pages_new > NEW_PAGES_MAX ||
        (is_exact && !lmdb->is_exact)) {
        count_pages(lmdb);
    }
    *usage =
        (struct engine_usage){ .bytes = lmdb->pages * lmdb->file.page_bytes,
                               .bytes_max = lmdb->map_bytes };
    disk_usage(lmdb, usage);
    if (mdb_env_info(lmdb->file.env, &info))
        return;
    usage->bytes_max = info.me_mapsize;
    file_pages = (uint64_t)info.me_last_pgno + 1;
    if (lmdb->has_disk && lmdb->file_bytes > file_pages * lmdb->file.page_bytes)
        usage->disk_free +=
            lmdb->file_bytes - file_pages * lmdb->file.page_bytes;
    if (file_pages > lmdb->pages)
        usage->disk_free += (file_pages - lmdb->pages) * lmdb->file.page_bytes;
    else if (usage->disk_free >
             (lmdb->pages - file_pages) * lmdb->file.page_bytes)
        usage->disk_free -= (lmdb->pages - file_pages) * lmdb->file.page_bytes;
    else
        usage->disk_free = 0;
}

/* LMDB keeps the pages of its transactions for the next ones: a transaction
 * that fills pages, and is forgotten, leaves them ready. */
static int
lmdb_reserve(struct engine *engine, size_t pages, struct err *err)
{
    struct lmdb *lmdb = lmdb_of(engine);
    char filler[RESERVE_ROW_BYTES] = { 0 };
    int rc = lmdb_begin(engine, err);

    for (size_t row = 0; rc == 0 && row < pages; row++) {
        struct key key = key_u64(key_start(), UINT64_MAX - pages + row);

        rc = lmdb_put(engine, TABLE_META, key_slice(&key),
                      (struct slice){ filler, sizeof(filler) });
    }
    if (lmdb->txn)
        lmdb_abort(engine);
    /* What does not fit into the file cannot be written by others either. */
    if (rc == 0 || rc == E_FULL)
        return 0;
    return err_set(err, rc, "reserve memory: %s", err_text(rc));
}

static uint64_t
lmdb_rows(struct engine *engine, enum table table)
{
    struct lmdb *lmdb = lmdb_of(engine);
    MDB_stat stat = { 0 };

    assert(lmdb->txn);
    if (mdb_stat(lmdb->txn, lmdb->file.tables[table], &stat))
        return 0;
    return stat.ms_entries;
}

static void
lmdb_close(struct engine *engine)
{
    struct lmdb *lmdb = lmdb_of(engine);

    lmdb_abort(engine);
    if (!lmdb->is_view)
        mdb_env_close(lmdb->file.env); /* NULL is fine */
    free(lmdb);
}

/* Begins a reader whose pages can be followed. By what it is found is written anew
 * by the next but one transaction: then there is a later one to be read. Damage
 * may be such a moment's, too, if it is met once. */
static int
begin_reader(const struct lmdb *lmdb, const struct pages *look, MDB_txn **txn,
             struct err *err)
{
    struct pages terms = *look;
    int rc = E_NOTFOUND, damages = 0;

    for (int i = 0; i < SNAPSHOT_TRIES && rc != 0; i++) {
        rc = mdb_txn_begin(lmdb->file.env, NULL, MDB_RDONLY, txn);
        if (rc)
            return err_set(err, E_IO, "begin a snapshot: %s", mdb_strerror(rc));
        terms.txn = mdb_txn_id(*txn);
        rc = pages_check(lmdb->file.fd, &terms, err);
        if (rc == 0)
            return 0;
        mdb_txn_abort(*txn);
        if (rc != E_NOTFOUND && (rc != E_CORRUPT || ++damages > 1))
            return rc;
    }
    return err_set(err, E_IO, "begin a snapshot: the store changes too fast");
}

/* LMDB has one reader a thread, which it finds by the thread. */
static int
lmdb_snapshot(struct engine *engine, const struct pages *look,
              struct engine **snapshot, struct err *err)
{
    const struct lmdb *lmdb = lmdb_of(engine);
    struct lmdb *view;
    MDB_txn *txn;
    int rc = begin_reader(lmdb, look, &txn, err);

    if (rc != 0)
        return rc;
    view = mem_zalloc(1, sizeof(*view));
    view->engine.ops = engine->ops;
    view->txn = txn;
    view->file = lmdb->file;
    view->is_view = true;
    view->map_bytes = lmdb->map_bytes;
    *snapshot = &view->engine;
    return 0;
}

struct engine *
engine_open_lmdb(const char *dir, bool is_new, uint64_t map_bytes,
                 struct err *err)
{
    static const struct engine_ops ops = {
        .begin = lmdb_begin,
        .commit = lmdb_commit,
        .abort = lmdb_abort,
        .get = lmdb_get,
        .put = lmdb_put,
        .append = lmdb_append,
        .del = lmdb_del,
        .seek = lmdb_seek,
        .before = lmdb_before,
        .usage = lmdb_usage,
        .reserve = lmdb_reserve,
        .snapshot = lmdb_snapshot,
        .rows = lmdb_rows,
        .close = lmdb_close,
    };
    struct lmdb *lmdb = mem_zalloc(1, sizeof(*lmdb));

    lmdb->engine.ops = &ops;
    lmdb->map_bytes = lmdb->headroom.bytes_max = map_bytes;
    if (lmdb_open(&lmdb->file, dir, is_new, map_bytes, err) < 0) {
        lmdb_close(&lmdb->engine);
        return NULL;
    }
    return &lmdb->engine;
}
