/*
 * hooks.h - events for webhooks, and what must hold of them
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SIM_HOOKS_H
#define TESTS_SIM_HOOKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "queue/wire.h"
#include "store/batch.h"
#include "store/delivery.h"

#define WORLD_HOOKS   2
#define WORLD_PARCELS (WORLD_HOOKS * CONF_POSTS_MAX * 4) /* of one worker */
#define WORLD_ENDS    64 /* of batches, in one transaction */

struct world;
struct worker;

/* An event that a worker posts. */
struct parcel {
    int64_t delivery, attempt;
    bool is_over; /* the receiver has answered; that is told */
    int64_t end_ms;
    const char *class_name;
    int http_status;
    int64_t wait_ms;
};

/* A batch that has ended, in the transaction at hand. */
struct seen_end {
    unsigned char batch[BATCH_UUID_BYTES];
    const char *type;
    bool is_told[WORLD_HOOKS]; /* a delivery of it was seen */
};

/* What is known of a delivery; nothing is known of numbers not given out. */
struct known_delivery {
    struct delivery row; /* at the latest commit; its body is not kept */
    bool is_gone;
    uint32_t posts, taken; /* that receivers saw, and took */
};

/* Configures webhooks, in some histories. */
void hooks_configure(struct world *world);

/* A batch has moved, within a transaction. */
void hooks_moved(struct world *world, uint64_t batch, enum batch_state to);

/* A letter to a worker; a commit; a transaction that is lost. */
void hooks_letter(struct world *world, const struct wire *wire);
void hooks_commit(struct world *world);
void hooks_abort(struct world *world);

/* Members of a hello: what a worker can sign for, and has. */
void hooks_add_hello(const struct world *world, const struct worker *worker,
                     struct buf *out);

/* A worker is to post; its report was noted; what time brings; it was welcomed.
 */
void hooks_take(struct world *world, struct worker *worker,
                const struct wire *wire);
void hooks_noted(struct worker *worker, int64_t delivery, int64_t attempt);
void hooks_tick(struct world *world, struct worker *worker);
void hooks_tell(struct world *world, struct worker *worker);
int64_t hooks_next_ms(const struct worker *worker);

/* True if all events have ended. */
bool hooks_are_done(const struct world *world);
void hooks_free(struct world *world);

#endif
