/*
 * headroom.h - room in a file behind its last page, made ahead
 *
 * A commit that makes its file longer has more to flush than its pages: how long
 * the file is now, and where its new blocks are. On ext4 with a journal a commit
 * of a few pages takes twice as long for it. So zeros are written there before
 * they are needed, enough for many such commits, and go to the disk with the next
 * flush. A file that does not grow, or by much at a time, is left alone.
 *
 * Private to store/.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_HEADROOM_H
#define STORE_HEADROOM_H

#include <stdint.h>

#define HEADROOM_BYTES    262144u /* that are made at once */
#define HEADROOM_GROWTH   32768u  /* of a commit, at most: more gains nothing */
#define HEADROOM_FREE_MIN 67108864u /* on the disk: the last of it is others' */

/* Else all zero: nothing is known of the file. */
struct headroom {
    uint64_t bytes_max;  /* that the file may have */
    uint64_t used_bytes; /* of the file, when it was last asked for */
    uint64_t end_bytes;  /* the file has at least these */
};

/* Before a commit: makes room in the file behind its used_bytes, if the commit
 * before this one grew by little and there is none, within bytes_max. The disk has
 * free_bytes. What is there stays as it is; that nothing could be written is no
 * error, as the commit does without. */
void headroom_make(struct headroom *headroom, int fd, uint64_t used_bytes,
                   uint64_t free_bytes);

#endif
