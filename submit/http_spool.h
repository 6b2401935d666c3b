/*
 * http_spool.h - a body on its way, on the disk
 *
 * How long a file in a form is, is known at its end, and the broker wants to
 * know it first. So it is written to a file without a name, which is gone with
 * the process, or when it is let go. Nothing of it is durable: that is the
 * broker's part.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_SPOOL_H
#define SUBMIT_HTTP_SPOOL_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define HTTP_SPOOL_DIR       "/var/tmp"
#define HTTP_SPOOL_BYTES_MAX INT64_C(2147483648) /* of all, by default */

/* The room that all of them share. */
struct http_spool_room {
    const char *dir; /* borrowed */
    int64_t bytes_max;
    int64_t bytes; /* that are taken */
};

struct http_spool;

/* A new one. NULL: E_IO. */
struct http_spool *http_spool_new(struct http_spool_room *room,
                                  struct err *err);

/* Lets go of it and of its room; NULL is fine. */
void http_spool_free(struct http_spool *spool);

/* Adds bytes at the end. E_FULL: the room is used up, or the disk is. */
int http_spool_add(struct http_spool *spool, struct slice piece,
                   struct err *err);

/* Appends `count` bytes from `at` on, which must be there. E_IO. */
int http_spool_read(const struct http_spool *spool, int64_t at, size_t count,
                    struct buf *out, struct err *err);

/* How long it is. */
int64_t http_spool_bytes(const struct http_spool *spool);

#endif
