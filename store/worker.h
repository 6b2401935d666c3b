/*
 * worker.h - workers that had slots
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_WORKER_H
#define STORE_WORKER_H

#include <stdint.h>

#include "base/buf.h"

struct store;

/* A worker that had slots: remembered so that a restarted broker does not lend
 * them again while the worker may still be calling. */
struct worker_row {
    unsigned char uuid[16];
    uint32_t slots;
    uint32_t pid;
    int64_t seen_ms;
    int64_t until_ms;        /* its calls have ended by then at the latest */
    struct slice host, lock; /* where to look whether it lives */
    struct slice own;        /* not empty: a broker of this store started it */
};
void store_worker_put(struct store *store, const struct worker_row *row);
void store_worker_drop(struct store *store, const unsigned char uuid[16]);

/* The first one behind a uuid (NULL: the first of all). */
int store_worker_after(struct store *store, const unsigned char *uuid,
                       struct worker_row *row);

#endif
