/*
 * posts.h - the deliveries that are with workers now
 *
 * What the store calls given, by webhook and worker, so that no webhook has more
 * on their way than it may, and those of a worker that dies are found. Derived
 * from the store; one that is of a webhook which is not configured any more does
 * not stand here and is left to its timer.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_POSTS_H
#define QUEUE_POSTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"

#define POSTS_MAX         ((size_t)CONF_WEBHOOKS_MAX * CONF_POSTS_MAX)
#define POST_WORKER_BYTES 16

struct post {
    uint64_t delivery;
    uint32_t attempt;
    size_t webhook; /* its index in the configuration */
    unsigned char worker[POST_WORKER_BYTES];
};

/* Zero-initialised is empty and valid. */
struct posts {
    struct post list[POSTS_MAX];
    size_t count;
    /* When each webhook's first delivery is to be tried, as far as is known; 0:
     * look; INT64_MAX: none waits. */
    int64_t next_ms[CONF_WEBHOOKS_MAX];
};

/* Adds one; there is room for all that the configuration allows. */
void posts_add(struct posts *posts, const struct post *post);

/* Takes out all of a delivery, or none. */
void posts_drop(struct posts *posts, uint64_t delivery);

/* How many a webhook has; how many a worker has, of all. */
size_t posts_of_webhook(const struct posts *posts, size_t webhook);
size_t posts_of_worker(const struct posts *posts,
                       const unsigned char worker[POST_WORKER_BYTES]);

/* The first one of a worker, or NULL. */
const struct post *
posts_find_worker(const struct posts *posts,
                  const unsigned char worker[POST_WORKER_BYTES]);

#endif
