/*
 * home.h - the store's directory, and the lock that makes it one broker's
 *
 * DIR is 0700 and ours, on a local disk. DIR/lock is held with flock() for the
 * broker's life and tells others who it is: a line "pid N" and a line "endpoint
 * ipc://…". LMDB's own lock file would let a second process in.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_HOME_H
#define STORE_HOME_H

#include "base/err.h"

struct home;

/* Makes the directory if it is missing, checks it and takes the lock. E_USAGE:
 * not ours, open to others, not a directory, or on a network file system.
 * E_INUSE: another broker has it, with its process and endpoint. E_IO. */
struct home *home_open(const char *dir, struct err *err);

/* Writes the lock's content for those who look for the broker. */
int home_publish(struct home *home, const char *endpoint, struct err *err);

/* E_IO if data.mdb is not the file any more that it was at the first call. */
int home_check(struct home *home, struct err *err);

/* Empties the lock file and gives the lock back. NULL is fine. */
void home_close(struct home *home);

#endif
