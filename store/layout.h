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

#include "base/err.h"

#define LAYOUT_PAGE_BYTES_MIN 512u /* that LMDB can have */

/* Looks at DIR/data.mdb. E_CORRUPT: it is empty, cut short, damaged or no LMDB
 * file; E_IO: it cannot be read. */
int layout_check(const char *dir, struct err *err);

/* Makes room on the disk for DIR/lock.mdb. E_FULL: there is none; E_IO. */
int layout_reserve(const char *dir, struct err *err);

#endif
