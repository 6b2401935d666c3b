/*
 * verify.h - everything that must hold in a store, and its repair
 *
 * Every row of every table is read, its checksum compared and its fields
 * decoded, chunks against their digests and drafts' lines against their own
 * checksums. Every index row has its truth and every truth its index rows,
 * every counter equals a recount, every number was given out, and no draft is
 * lost: one without a result waits for a request that is still to end, or for
 * longer work that a timer will go on with.
 *
 * A row whose partner is damaged is not called wrong as well: the damaged one
 * is named where it stands.
 *
 * Memory: none grows with the store but a note of the longer work that is on its
 * way, which has a limit.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_VERIFY_H
#define STORE_VERIFY_H

#include "base/buf.h"
#include "store/store.h"

#define VERIFY_FINDINGS_MAX 1000    /* lines of a report; the count goes on */
#define VERIFY_WORKS_MAX    1000000 /* longer works on their way */
#define VERIFY_STEP_ROWS    1000    /* between two questions whether to go on */
#define REPAIR_SLICE_MAX    1000    /* rows made again in one transaction */
#define REPAIR_PASSES_MAX   8       /* until nothing more is to be made */

struct verify {
    /* A line for each finding: table, key, colon, reason. Appended to, up to
     * VERIFY_FINDINGS_MAX. Borrowed; may be NULL. */
    struct buf *report;
    /* Asked now and then; false ends it. May be NULL. */
    bool (*go_on)(void *context, const struct verify *verify);
    void *context;
    int64_t open_ttl_ms; /* for repair: how long a batch may stay open */
    /* Filled in. */
    uint64_t rows, rows_all; /* that were looked at, of how many */
    uint64_t findings;       /* that are wrong */
    uint64_t mendable;       /* of these: repair makes them right */
    uint64_t mended;         /* what repair has made */
};

/* Looks at the whole store, within a transaction, which it does not change. 0
 * also with findings; 1: go_on() ended it; E_FULL: VERIFY_WORKS_MAX; E_IO: the
 * engine cannot read on. */
int store_verify(struct store *store, struct verify *verify, struct err *err)
    __attribute__((warn_unused_result));

/* Makes again what can be made from the rest: indexes, counters, timers. What
 * is damaged and cannot be made is left as it is. Transactions of its own, each
 * of which leaves a store that is no worse, so that it may be ended anywhere and
 * done again. Looks at all of the store in the end; returns as store_verify(),
 * and E_FULL if there is no room. */
int store_repair(struct store *store, struct verify *verify, struct err *err)
    __attribute__((warn_unused_result));

#endif
