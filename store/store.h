/*
 * store.h - durable state: batches, drafts, requests, results, and what is due
 *
 * The interface is in the broker's words, and bulk where there is bulk: add the
 * drafts of a chunk, claim up to n requests, finish one with all its drafts,
 * results after a cursor. Policy stays in the broker: it says which and how
 * many. What lies underneath (engine.h) is nobody's business above.
 *
 * One process opens a store, one transaction is open at a time, and everything
 * below happens inside it but for opening and closing.
 *
 * Errors. Reading returns 0, E_NOTFOUND or E_CORRUPT. What goes from row to row
 * sets the number of the row (id, index, seq, uuid, timer) also with E_CORRUPT,
 * so that the caller can go on behind it. Writing returns nothing: the first
 * failure is kept, what follows is skipped, and store_commit() returns it with
 * nothing changed; until then, reading may return it too. After any failed
 * commit the state in memory that was derived from the transaction must be made
 * anew.
 *
 * Borrowed slices that reading gives out are valid until the next change.
 *
 * Here are opening and transactions. Each noun has a header of its own, with what
 * can be done with it in a transaction, and all of them come with this one.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "store/attempt.h"
#include "store/batch.h"
#include "store/chunk.h"
#include "store/draft.h"
#include "store/intake.h"
#include "store/lease.h"
#include "store/outcome.h"
#include "store/pages.h"
#include "store/request.h"
#include "store/result.h"
#include "store/room.h"
#include "store/sweep.h"
#include "store/timer.h"
#include "store/upstream.h"
#include "store/watch.h"
#include "store/worker.h"

#define STORE_FORMAT     9
#define STORE_UUID_BYTES 16

struct store;

/* Opens the store in a directory, making it if there is none. uuid is the
 * identity of a new store. bytes_max: the size beyond which it is full; results
 * may take up to as much again, at most STORE_RESERVE. The lock is held by the
 * caller (home.h). NULL with E_CORRUPT: damaged or foreign; E_VERSION: newer;
 * E_IO. */
struct store *store_open(const char *dir, uint64_t bytes_max,
                         const unsigned char uuid[STORE_UUID_BYTES],
                         struct err *err);

/* Allocates what a transaction of that many drafts takes whose ids are counted, or
 * of as many results, so that memory does not grow under load. */
int store_reserve(struct store *store, size_t drafts, struct err *err);

/* A store in memory, for tests. */
struct store *store_open_memory(uint64_t bytes_max,
                                const unsigned char uuid[STORE_UUID_BYTES]);

/* A store that is there, whose pages are looked at before (pages.h), for who will
 * read all of it. NULL as store_open(). */
struct store *store_open_checked(const char *dir, uint64_t bytes_max,
                                 enum pages_scope scope, struct err *err);

/* A view of what is committed now, which does not change; only reading is
 * possible, within one transaction that is open. For one other thread, which
 * makes, uses and closes it while the store is used: until then, pages that are
 * freed are not used again. Its pages are looked at first, on these terms but for
 * their transaction. 1: they ended it; E_CORRUPT: pages are damaged; E_IO;
 * E_INVALID: a store in memory. NULL in all these cases. */
int store_snapshot(struct store *store, const struct pages *look,
                   struct store **snapshot, struct err *err)
    __attribute__((warn_unused_result));

/* How long answers that no draft refers to any more are kept for the cache. Until
 * it is called, they are kept. */
void store_keep_answers(struct store *store, int64_t ttl_ms);

/* How many request keys are kept in memory before they go to their cells of the
 * index, and how many a cell has before they go into their place. Until it is
 * called, as many as serve best; for tests, which have fewer drafts. */
void store_keep_recent(struct store *store, size_t keys_max, size_t cell_max);

/* How far apart two results of a batch may be in one segment (segment.h). Until it is
 * called, as far as serves best; for tests, too. */
void store_keep_apart(struct store *store, uint64_t gap);

/* Closes it; an open transaction is forgotten. NULL is fine. */
void store_close(struct store *store);

/* Begins the transaction at a time, which is remembered as the latest seen. */
int store_begin(struct store *store, int64_t now_ms, struct err *err)
    __attribute__((warn_unused_result));

/* What the clocks show as the next transaction begins: kept with its time. */
void store_mark(struct store *store, const struct clock_mark *mark);

/* Makes it durable. E_FULL: no space, nothing was changed; reading and removing
 * go on. E_IO: the outcome is unknown, or the file is damaged; the process must
 * end. */
int store_commit(struct store *store, struct err *err)
    __attribute__((warn_unused_result));

/* True if the open transaction has changed something: else its commit costs
 * nothing. */
bool store_is_dirty(const struct store *store);

/* Forgets the transaction. */
void store_abort(struct store *store);

/* The time at which the open transaction began. */
int64_t store_now_ms(const struct store *store);

/* The store's identity; the latest time of a commit, 0 for a new one, and the
 * mark that was kept with it. */
const unsigned char *store_uuid(const struct store *store);
int64_t store_latest_ms(const struct store *store);
const struct clock_mark *store_latest_mark(const struct store *store);

#endif
