/*
 * pages.h - whether an LMDB file can be followed
 *
 * LMDB believes its pages: one that is damaged ends the process by a signal, or
 * never, or makes it write where others lie. Records have checksums, but it is
 * pages that lead to them. So these are looked at before LMDB is: each page that a
 * tree leads to is of its kind and there once, its rows lie within it, keys grow
 * over the whole tree, and no page in use is in the list of the free ones.
 *
 * What is in the rows is not looked at; that is verify.h. Memory: a bit for each
 * page of the file.
 *
 * Private to store/ but for the terms.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_PAGES_H
#define STORE_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define PAGES_FEW_MAX 4096u /* looked at before a broker starts */
#define PAGES_STEP    1000u /* between two questions whether to go on */

enum pages_scope {
    PAGES_ALL,
    PAGES_ROWS, /* but for the list of free pages, which reading does without */
    PAGES_FEW, /* those next to the roots, up to PAGES_FEW_MAX: a broker starts at
                   once, however large its store is */
};

struct pages {
    enum pages_scope scope;
    uint64_t txn; /* as of which; 0: of the newest */
    /* Asked now and then; false ends it. May be NULL. */
    bool (*go_on)(void *context);
    void *context;
};

/* Looks at the pages of a file. E_CORRUPT: the first one that is damaged, and
 * what can be done; E_IO: it cannot be read; E_NOTFOUND: that transaction is over;
 * 1: go_on() ended it. */
int pages_check(int fd, const struct pages *terms, struct err *err)
    __attribute__((warn_unused_result));

/* The same with DIR/data.mdb. */
int pages_check_dir(const char *dir, const struct pages *terms, struct err *err)
    __attribute__((warn_unused_result));

#endif
