/*
 * senders.h - batches whose chunks come in now, and what each may send ahead
 *
 * What is sent ahead keeps the broker at work while answers are on their way.
 * More than that does not make it faster: it waits in memory, and pushes out of
 * the caches what is being worked on. So batches that are sent at the same time
 * share what there is: twice the window that one alone has. With that, what each
 * of eight has sent fills a commit by itself, and a commit of one batch writes
 * fewer pages, in fewer pieces, than one of two: with half of it eight clients
 * were at 0.94 of one, and at 1.02 since.
 *
 * Time: the caller's. Threads: none.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_SENDERS_H
#define QUEUE_SENDERS_H

#include <stddef.h>
#include <stdint.h>

#define SENDERS_MAX       64   /* that are told apart; more share as many do */
#define SENDERS_MS        1000 /* one that was silent for so long has stopped */
#define SENDERS_BYTES_MIN 65536 /* of a share: the smallest full chunk */
#define SENDERS_WINDOWS   2     /* that several share */

struct senders {
    struct sender {
        uint64_t batch; /* 0: nobody's place */
        int64_t seen_ms;
    } list[SENDERS_MAX];
};

/* The batch was opened, or a chunk of it has come. */
void senders_note(struct senders *senders, uint64_t batch, int64_t now_ms);

/* No more will come. */
void senders_drop(struct senders *senders, uint64_t batch);

/* The share that each of those has who send now: window_bytes, if it is one or
 * two, or none; at least SENDERS_BYTES_MIN, or the whole window if that is
 * smaller. */
int64_t senders_share(const struct senders *senders, int64_t window_bytes,
                      int64_t now_ms);

#endif
