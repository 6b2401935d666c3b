/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "store/lmdb_open.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/program.h"
#include "store/layout.h"

#define FILE_MODE 0600

/* The one place where LMDB's codes become ours. */
int
lmdb_code(int rc)
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

/* LMDB calls a write that was cut short EIO, too. No call has failed then: there
 * was no room for the rest. */
int
lmdb_commit_txn(MDB_txn *txn)
{
    int rc;

    errno = 0;
    rc = mdb_txn_commit(txn);
    return rc == EIO && errno == 0 ? ENOSPC : rc;
}

int
lmdb_err(struct err *err, int rc, const char *what)
{
    return err_set(err, lmdb_code(rc), "%s: %s", what, mdb_strerror(rc));
}

/* LMDB found its own pages broken: nothing can be believed any more. */
static void
on_broken(MDB_env *env, const char *what)
{
    (void)env;
    log_error("event=store_damaged reason=\"%s\"", what);
    _exit(PROGRAM_EXIT_DAMAGED);
}

/* LMDB opens it without: our children must not inherit it. */
static int
close_on_exec(struct lmdb_file *file, struct err *err)
{
    if (mdb_env_get_fd(file->env, &file->fd) ||
        fcntl(file->fd, F_SETFD, FD_CLOEXEC) < 0)
        return err_set(err, E_IO, "data.mdb: %s", strerror(errno));
    return 0;
}

/* How many tables there are, from the first on. Those of an older store end early;
 * all that are missing are added at once. */
static int
open_present(struct lmdb_file *file, MDB_txn *txn, enum table *count,
             struct err *err)
{
    enum table table = 0;
    int rc = 0;

    while (table < TABLE_COUNT && rc == 0) {
        rc = mdb_dbi_open(txn, table_name(table), 0, &file->tables[table]);
        if (rc == 0)
            table++;
    }
    *count = table;
    if (rc == 0 || (rc == MDB_NOTFOUND && table >= TABLES_OF_FORMAT_1))
        return 0;
    if (rc == MDB_NOTFOUND || rc == MDB_INCOMPATIBLE) {
        return err_set(err, E_CORRUPT,
                       "data.mdb has no table %s; this is not a Sheaf store",
                       table_name(table));
    }
    return err_set(err, lmdb_code(rc), "table %s: %s", table_name(table),
                   mdb_strerror(rc));
}

/* A table that lost its name must not be taken for one that was not there yet. */
static int
check_present(MDB_txn *txn, enum table count, struct err *err)
{
    MDB_stat stat = { 0 };
    MDB_dbi names;
    int rc = mdb_dbi_open(txn, NULL, 0, &names);

    if (rc == 0)
        rc = mdb_stat(txn, names, &stat);
    if (rc)
        return lmdb_err(err, rc, "count the tables");
    if (count == TABLE_COUNT || stat.ms_entries == count)
        return 0;
    return err_set(err, E_CORRUPT,
                   "data.mdb is damaged: it has no table %s, but others that "
                   "are not Sheaf's; restore it from a backup",
                   table_name(count));
}

static int
make_missing(struct lmdb_file *file, MDB_txn *txn, enum table table,
             struct err *err)
{
    int rc = 0;

    for (; table < TABLE_COUNT && rc == 0; table++) {
        rc = mdb_dbi_open(txn, table_name(table), MDB_CREATE,
                          &file->tables[table]);
    }
    return rc ? lmdb_err(err, rc, "make a table") : 0;
}

/* Opens the tables; makes all of a new store, and those that an older store does
 * not have yet. */
static int
open_tables(struct lmdb_file *file, bool is_new, struct err *err)
{
    enum table count = 0;
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(file->env, NULL, 0, &txn);

    if (rc)
        return lmdb_err(err, rc, "begin a transaction");
    if (!is_new)
        rc = open_present(file, txn, &count, err);
    if (rc == 0 && !is_new)
        rc = check_present(txn, count, err);
    if (rc == 0)
        rc = make_missing(file, txn, count, err);
    if (rc < 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    rc = lmdb_commit_txn(txn);
    return rc ? lmdb_err(err, rc, "open the tables") : 0;
}

/* It maps the whole of what it may grow to. */
static int
refuse_map(uint64_t map_bytes, struct err *err)
{
    return err_set(err, E_IO,
                   "open data.mdb: there is no room for %llu bytes among the "
                   "addresses of this process; allow more (ulimit -v), or less "
                   "by store_bytes_max",
                   (unsigned long long)map_bytes);
}

int
lmdb_open(struct lmdb_file *file, const char *dir, bool is_new,
          uint64_t map_bytes, struct err *err)
{
    int rc = is_new ? 0 : layout_check(dir, err), dead = 0;
    MDB_stat stat;

    if (rc == 0)
        rc = layout_reserve(dir, err);
    if (rc < 0)
        return rc;
    rc = mdb_env_create(&file->env);
    if (rc == 0)
        rc = mdb_env_set_mapsize(file->env, map_bytes);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(file->env, TABLE_COUNT);
    if (rc == 0)
        rc = mdb_env_set_assert(file->env, on_broken);
    if (rc)
        return lmdb_err(err, rc, "set up LMDB");
    /* Default flags: every commit is flushed before it returns. */
    rc = mdb_env_open(file->env, dir, 0, FILE_MODE);
    if (rc == ENOMEM)
        return refuse_map(map_bytes, err);
    if (rc)
        return lmdb_err(err, rc, "open data.mdb");
    rc = close_on_exec(file, err);
    if (rc < 0)
        return rc;
    /* Readers that died (somebody's mdb_dump) would pin old pages. */
    rc = mdb_reader_check(file->env, &dead);
    if (rc)
        return lmdb_err(err, rc, "look for dead readers");
    (void)mdb_env_stat(file->env, &stat); /* fails only without one */
    file->page_bytes = stat.ms_psize;
    return open_tables(file, is_new, err);
}
