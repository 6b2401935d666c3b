/*
 * copy.h - a store's rows in another directory: backup and compaction
 *
 * Rows are copied one by one, in the order of their keys, so that pages which
 * are free or broken are not taken along, and a copy can be followed and ended.
 * It is read again from the disk before it counts, and what it holds compared by
 * a digest of all rows. It is made beside, flushed, and renamed into place: at
 * any moment there is the whole of it or nothing.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_COPY_H
#define STORE_COPY_H

#include "store/store.h"
#include "store/verify.h"

#define COPY_SLICE_BYTES (8u << 20) /* of rows, in one transaction */
#define COPY_STEP_ROWS   1000       /* between two questions whether to go on */

enum copy_step {
    COPY_READ,    /* from the store, whose pages it keeps from reuse */
    COPY_COMPARE, /* the copy is read again */
    COPY_VERIFY,  /* and looked at as a store */
};

struct copy {
    /* Asked now and then; false ends it. May be NULL. */
    bool (*go_on)(void *context, const struct copy *copy);
    void *context;
    /* Filled in. */
    enum copy_step step;
    uint64_t rows, rows_all;          /* of this step */
    uint64_t bytes;                   /* of all rows */
    uint64_t file_before, file_after; /* sizes of the two files */
    struct verify verify; /* of a backup; its report is the caller's */
};

/* Writes what is committed now to a new directory, which can be opened as a
 * store; its parent exists. Leases and workers are left out: in the copy nothing
 * is in flight. From any thread, while another uses the store. The copy is
 * verified: see copy->verify, findings are no failure. 1: go_on() ended it;
 * E_CONFLICT: target exists; E_INVALID: it is no place for a backup; E_FULL, E_IO,
 * E_CORRUPT: the copy differs. After a failure there is nothing. */
int store_backup(struct store *store, const char *target, struct copy *copy,
                 struct err *err) __attribute__((warn_unused_result));

/* Rewrites the store in a directory without its free pages. Nobody has it open,
 * and the caller has the lock (home.h). Returns as store_backup(); E_NOTFOUND:
 * there is no store. After a failure the store is what it was. */
int store_compact(const char *dir, uint64_t bytes_max, struct copy *copy,
                  struct err *err) __attribute__((warn_unused_result));

/* The digest of all rows, within a transaction, to compare stores by. */
void store_digest(struct store *store, unsigned char digest[DIGEST_BYTES]);

#endif
