/*
 * lmdb_open.h - an LMDB file that is opened, with our tables
 *
 * Private to store/lmdb.c.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_LMDB_OPEN_H
#define STORE_LMDB_OPEN_H

#include <lmdb.h>

#include "store/engine.h"

struct lmdb_file {
    MDB_env *env; /* NULL: it is not open */
    int fd;       /* its data.mdb; borrowed from the env */
    uint64_t page_bytes;
    MDB_dbi tables[TABLE_COUNT];
};

/* Opens DIR/data.mdb, or makes it; of an older store, the tables that it does not
 * have. E_CORRUPT, E_VERSION, E_FULL or E_IO. The caller closes the env, if there
 * is one, also after a failure. */
int lmdb_open(struct lmdb_file *file, const char *dir, bool is_new,
              uint64_t map_bytes, struct err *err);

/* Commits. Returns LMDB's code; ENOSPC where there was no room. The transaction is
 * gone, whatever comes of it. */
int lmdb_commit_txn(MDB_txn *txn);

/* Our code for one of LMDB's. */
int lmdb_code(int rc);

/* Says that what was tried failed with one of LMDB's codes. Returns ours. */
int lmdb_err(struct err *err, int rc, const char *what);

#endif
