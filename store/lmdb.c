/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/engine.h"

#define FILE_MODE    0600
#define EXIT_DAMAGED 9 /* the exit code for a damaged store */

struct lmdb {
    struct engine engine; /* first: the engine is the lmdb */
    MDB_env *env;
    MDB_txn *txn;
    MDB_cursor *cursors[TABLE_COUNT]; /* of the transaction, made on demand */
    MDB_dbi tables[TABLE_COUNT];
    uint64_t map_bytes;
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

/* The one place where LMDB's codes become ours. */
static int
code_of(int rc)
{
    switch (rc) {
    case 0:
        return 0;
    case MDB_NOTFOUND:
        return E_NOTFOUND;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return E_FULL;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
        return E_CORRUPT;
    case MDB_VERSION_MISMATCH:
        return E_VERSION;
    default:
        return E_IO;
    }
}

static int
lmdb_err(struct err *err, int rc, const char *what)
{
    return err_set(err, code_of(rc), "%s: %s", what, mdb_strerror(rc));
}

static int
lmdb_begin(struct engine *engine, struct err *err)
{
    struct lmdb *lmdb = lmdb_of(engine);
    int rc;

    assert(!lmdb->txn);
    rc = mdb_txn_begin(lmdb->env, NULL, 0, &lmdb->txn);
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

    if (mdb_txn_begin(lmdb->env, NULL, MDB_RDONLY, &txn))
        return false;
    mdb_txn_abort(txn);
    return true;
}

static int
lmdb_commit(struct engine *engine, struct err *err)
{
    struct lmdb *lmdb = lmdb_of(engine);
    int rc;

    assert(lmdb->txn);
    drop_cursors(lmdb);
    rc = mdb_txn_commit(lmdb->txn);
    lmdb->txn = NULL; /* the commit freed it, whatever it returned */
    if (rc == 0)
        return 0;
    lmdb_err(err, rc, "commit");
    return code_of(rc) == E_FULL && is_usable(lmdb) ? E_FULL : E_IO;
}

static void
lmdb_abort(struct engine *engine)
{
    struct lmdb *lmdb = lmdb_of(engine);

    drop_cursors(lmdb);
    mdb_txn_abort(lmdb->txn); /* NULL is fine */
    lmdb->txn = NULL;
}

static int
lmdb_get(struct engine *engine, enum table table, struct slice key,
         struct slice *value)
{
    struct lmdb *lmdb = lmdb_of(engine);
    MDB_val key_val = val_of(key), value_val;
    int rc;

    assert(lmdb->txn);
    rc = mdb_get(lmdb->txn, lmdb->tables[table], &key_val, &value_val);
    if (rc == 0 && value)
        *value = slice_from(value_val);
    return code_of(rc);
}

static int
lmdb_put(struct engine *engine, enum table table, struct slice key,
         struct slice value)
{
    struct lmdb *lmdb = lmdb_of(engine);
    MDB_val key_val = val_of(key), value_val = val_of(value);

    assert(lmdb->txn);
    return code_of(
        mdb_put(lmdb->txn, lmdb->tables[table], &key_val, &value_val, 0));
}

static int
lmdb_del(struct engine *engine, enum table table, struct slice key)
{
    struct lmdb *lmdb = lmdb_of(engine);
    MDB_val key_val = val_of(key);

    assert(lmdb->txn);
    return code_of(mdb_del(lmdb->txn, lmdb->tables[table], &key_val, NULL));
}

static int
cursor_of(struct lmdb *lmdb, enum table table, MDB_cursor **cursor)
{
    int rc = 0;

    assert(lmdb->txn);
    if (!lmdb->cursors[table]) {
        rc = mdb_cursor_open(lmdb->txn, lmdb->tables[table],
                             &lmdb->cursors[table]);
    }
    *cursor = lmdb->cursors[table];
    return rc;
}

static int
give(int rc, MDB_val key, MDB_val value, struct slice *found,
     struct slice *found_value)
{
    if (rc == 0 && found)
        *found = slice_from(key);
    if (rc == 0 && found_value)
        *found_value = slice_from(value);
    return code_of(rc);
}

static int
lmdb_seek(struct engine *engine, enum table table, struct slice key,
          struct slice *found, struct slice *value)
{
    MDB_val key_val = val_of(key), value_val = { 0 };
    MDB_cursor *cursor;
    int rc = cursor_of(lmdb_of(engine), table, &cursor);

    if (rc == 0)
        rc = mdb_cursor_get(cursor, &key_val, &value_val, MDB_SET_RANGE);
    return give(rc, key_val, value_val, found, value);
}

static int
lmdb_before(struct engine *engine, enum table table, struct slice key,
            struct slice *found, struct slice *value)
{
    MDB_val key_val = val_of(key), value_val = { 0 };
    MDB_cursor *cursor;
    int rc = cursor_of(lmdb_of(engine), table, &cursor);

    if (rc == 0)
        rc = mdb_cursor_get(cursor, &key_val, &value_val, MDB_SET_RANGE);
    if (rc == 0)
        rc = mdb_cursor_get(cursor, &key_val, &value_val, MDB_PREV);
    else if (rc == MDB_NOTFOUND)
        rc = mdb_cursor_get(cursor, &key_val, &value_val, MDB_LAST);
    return give(rc, key_val, value_val, found, value);
}

static void
lmdb_usage(struct engine *engine, uint64_t *used, uint64_t *limit)
{
    struct lmdb *lmdb = lmdb_of(engine);
    MDB_envinfo info = { 0 };
    MDB_stat stat = { 0 };

    *used = 0;
    *limit = lmdb->map_bytes;
    if (mdb_env_info(lmdb->env, &info) == 0 &&
        mdb_env_stat(lmdb->env, &stat) == 0) {
        *used = (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
    }
}

static uint64_t
lmdb_rows(struct engine *engine, enum table table)
{
    struct lmdb *lmdb = lmdb_of(engine);
    MDB_stat stat = { 0 };

    assert(lmdb->txn);
    if (mdb_stat(lmdb->txn, lmdb->tables[table], &stat))
        return 0;
    return stat.ms_entries;
}

static void
lmdb_close(struct engine *engine)
{
    struct lmdb *lmdb = lmdb_of(engine);

    lmdb_abort(engine);
    mdb_env_close(lmdb->env); /* NULL is fine */
    free(lmdb);
}

/* LMDB found its own pages broken: nothing can be believed any more. */
static void
on_broken(MDB_env *env, const char *what)
{
    (void)env;
    log_error("event=store_damaged reason=\"%s\"", what);
    _exit(EXIT_DAMAGED);
}

/* A file that ends before its last page would kill us with SIGBUS later. */
static int
check_length(struct lmdb *lmdb, struct err *err)
{
    MDB_envinfo info = { 0 };
    MDB_stat stat = { 0 };
    struct stat file = { 0 };
    uint64_t need;
    int fd = -1;

    if (mdb_env_info(lmdb->env, &info) || mdb_env_stat(lmdb->env, &stat) ||
        mdb_env_get_fd(lmdb->env, &fd) || fstat(fd, &file) < 0) {
        return err_set(err, E_IO, "read the length of data.mdb");
    }
    need = (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
    if ((uint64_t)file.st_size < need) {
        return err_set(err, E_CORRUPT,
                       "data.mdb is cut short: %llu bytes, but its last page "
                       "ends at %llu; restore it from a backup",
                       (unsigned long long)file.st_size,
                       (unsigned long long)need);
    }
    /* LMDB opens it without: our children must not inherit it. */
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return err_set(err, E_IO, "data.mdb: %s", strerror(errno));
    return 0;
}

static int
open_tables(struct lmdb *lmdb, bool is_new, struct err *err)
{
    int rc =
        mdb_txn_begin(lmdb->env, NULL, is_new ? 0 : MDB_RDONLY, &lmdb->txn);

    if (rc) {
        lmdb->txn = NULL;
        return lmdb_err(err, rc, "begin a transaction");
    }
    for (enum table table = 0; table < TABLE_COUNT; table++) {
        rc = mdb_dbi_open(lmdb->txn, table_name(table), is_new ? MDB_CREATE : 0,
                          &lmdb->tables[table]);
        if (rc) {
            rc = rc == MDB_NOTFOUND || rc == MDB_INCOMPATIBLE ? MDB_CORRUPTED
                                                              : rc;
            err_set(err, code_of(rc), "table %s: %s", table_name(table),
                    rc == MDB_CORRUPTED ? "not there; this is not a Sheaf store"
                                        : mdb_strerror(rc));
            lmdb_abort(&lmdb->engine);
            return code_of(rc);
        }
    }
    rc = mdb_txn_commit(lmdb->txn);
    lmdb->txn = NULL;
    return rc ? lmdb_err(err, rc, "open the tables") : 0;
}

static int
open_env(struct lmdb *lmdb, const char *dir, bool is_new, struct err *err)
{
    int rc = mdb_env_create(&lmdb->env);

    if (rc == 0)
        rc = mdb_env_set_mapsize(lmdb->env, lmdb->map_bytes);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(lmdb->env, TABLE_COUNT);
    if (rc == 0)
        rc = mdb_env_set_assert(lmdb->env, on_broken);
    if (rc)
        return lmdb_err(err, rc, "set up LMDB");
    /* Default flags: every commit is flushed before it returns. */
    rc = mdb_env_open(lmdb->env, dir, 0, FILE_MODE);
    if (rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH) {
        return err_set(err, E_CORRUPT,
                       "data.mdb is damaged, or is not an LMDB file (%s); "
                       "nothing was changed",
                       mdb_strerror(rc));
    }
    if (rc)
        return lmdb_err(err, rc, "open data.mdb");
    if (!is_new && check_length(lmdb, err) < 0)
        return err ? err->code : E_CORRUPT;
    return open_tables(lmdb, is_new, err);
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
        .del = lmdb_del,
        .seek = lmdb_seek,
        .before = lmdb_before,
        .usage = lmdb_usage,
        .rows = lmdb_rows,
        .close = lmdb_close,
    };
    struct lmdb *lmdb = mem_zalloc(1, sizeof(*lmdb));

    lmdb->engine.ops = &ops;
    lmdb->map_bytes = map_bytes;
    if (open_env(lmdb, dir, is_new, err) < 0) {
        lmdb_close(&lmdb->engine);
        return NULL;
    }
    return &lmdb->engine;
}
