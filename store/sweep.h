/*
 * sweep.h - longer work, slice by slice
 *
 * What touches many drafts is cut into slices (room.h says how many each has), a
 * transaction each. The caller sets the timer that goes on with the next one.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_SWEEP_H
#define STORE_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "store/batch.h"
#include "store/draft.h"
#include "store/intake.h"
#include "store/request.h"
#include "store/timer.h"

struct store;

/* Gives a finished request's outcome to further drafts. True: there are more,
 * and *cursor tells where. */
bool store_fan_out(struct store *store, struct request *request,
                   struct cursor *cursor, int64_t now_ms);

/* What ends drafts early asks back. */
struct ending {
    enum status status; /* STATUS_CANCELLED or STATUS_EXPIRED */
    int64_t now_ms;
    void *context;
    /* Appends the essence of a draft; NULL: none is kept. */
    void (*essence)(void *context, const struct draft *draft, struct slice line,
                    struct buf *out);
    /* A leased request that nobody needs any more was cancelled. */
    void (*cancelled)(void *context, const struct request *request);
};

/* Ends a slice of a batch's drafts that have no result; the batch is in its
 * state already. True: there are more, from *index on. Nothing is done if it
 * was put back in the meantime. */
bool store_end_drafts(struct store *store, struct batch *batch, uint32_t *index,
                      const struct ending *ending);

/* Puts a slice of a batch's fallbacks back: those whose status is in the mask
 * (1u << status). True: there are more, from *index on. */
bool store_retry_drafts(struct store *store, struct batch *batch,
                        uint32_t *index, uint32_t mask,
                        const struct intake *intake);

/* Removes a request whose answer nobody refers to: at once, or only if it is as
 * old as kept answers become; if it is younger then, it is looked at again. True
 * if it is gone. */
bool store_forget(struct store *store, uint64_t request, bool at_once);

/* Removes a slice of an abandoned or purged batch's drafts. True: there are
 * more, from *cursor on. When it is the last and is_whole, the batch goes too. `ending` is that of
 * a cancel which may not be through with them, or NULL: calls that are in flight
 * go on. A timer for a request that goes with them may still come: it finds no
 * request. */
bool store_drop_drafts(struct store *store, struct batch *batch,
                       struct cursor *cursor, bool is_whole,
                       const struct ending *ending);

#endif
