/*
 * layout.h - the files of an LMDB directory, before LMDB opens them
 *
 * LMDB believes what a file says of itself, and that the disk has room for what
 * it maps: a page size that is none, a last page behind the file's end, or a disk
 * that is full would kill the process.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_LAYOUT_H
#define STORE_LAYOUT_H

#include <stdint.h>

#include "base/err.h"

#define LAYOUT_TREE_BYTES 48 /* of a tree's record */

/* What a tree is known by. */
struct layout_tree {
    unsigned flags;
    unsigned depth; /* levels of pages, 0 if it has no rows */
    uint64_t rows, root;
};

/* What the first two pages say of the others. */
struct layout {
    uint32_t page_bytes;
    uint64_t txn, last_page;
    struct layout_tree free, main; /* the list of free pages; the tables */
};

/* Opens DIR/data.mdb to be looked at, and how long it is. Its descriptor; or
 * E_CORRUPT: it is no file, or E_IO. */
int layout_open(const char *dir, uint64_t *file_bytes, struct err *err);

/* Reads how the file is laid out as of a transaction, or of its newest, 0. E_CORRUPT:
 * it is damaged or no LMDB file; E_NOTFOUND: that transaction is not one of its
 * last two. */
int layout_read(int fd, uint64_t txn, struct layout *layout, struct err *err);

/* What a tree's record says. */
struct layout_tree layout_tree(const unsigned char bytes[LAYOUT_TREE_BYTES]);

/* Looks at DIR/data.mdb. E_CORRUPT: it is empty, cut short, damaged or no LMDB
 * file; E_IO: it cannot be read. */
int layout_check(const char *dir, struct err *err);

/* Makes room on the disk for DIR/lock.mdb. E_FULL: there is none; E_IO. */
int layout_reserve(const char *dir, struct err *err);

#endif
