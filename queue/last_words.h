/*
 * last_words.h - what a worker leaves behind if it is killed
 *
 * A worker that keeps results back for a moment first writes the message that has
 * them to the file whose lock it holds. If it dies before it has sent them, the
 * broker takes them from there. What was written outlives the process, and not
 * the host: nothing is flushed.
 *
 *   magic  8 bytes "sheafLW1"
 *   check  u64, XXH3 of all that follows
 *   sizes  u32, u32: of header and body
 *   header, body
 *
 * Numbers are in the order of the host, as both ends are on it.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_LAST_WORDS_H
#define QUEUE_LAST_WORDS_H

#include "base/buf.h"
#include "base/err.h"

#define LAST_WORDS_BYTES_MAX ((size_t)1 << 20) /* of header and body */

/* Writes them, over what is there; `room` is used on the way. E_FULL: they are too
 * long. E_IO: they could not be written, and none are there. */
int last_words_write(int fd, struct slice head, struct slice body,
                     struct buf *room, struct err *err)
    __attribute__((warn_unused_result));

/* Crosses them out: what they say has arrived. The file keeps its room, which takes
 * as long to get as all the rest. E_IO. */
int last_words_clear(int fd, struct err *err)
    __attribute__((warn_unused_result));

/* Reads them into head and body, which are emptied first: 0, or 1 if there are
 * none, or not to their end. E_IO. */
int last_words_read(int fd, struct buf *head, struct buf *body, struct err *err)
    __attribute__((warn_unused_result));

#endif
