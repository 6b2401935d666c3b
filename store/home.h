/*
 * home.h - the store's directory, and the lock that makes it ours
 *
 * One process serves a store. It holds an flock on DIR/lock for its life; the
 * file's text tells others who it is and where it listens:
 *
 *   pid 4711
 *   endpoint ipc:///run/user/1000/sheaf/clients
 *
 * The text means something only while somebody holds the lock. The file is
 * never removed: a second one beside the first would be a second lock.
 *
 * The directory must be ours and closed to others, as whoever can write there
 * can crash or deceive the broker, and on a local file system, as LMDB's
 * memory map and locks are not to be trusted on a network.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_HOME_H
#define STORE_HOME_H

#include <stdbool.h>

#include "base/err.h"

struct home;

/* Takes a directory, after making it and its parents (0700) where they are
 * missing. NULL with E_USAGE: it is no place for a store, and what to do;
 * E_INUSE: who has it; E_IO. */
struct home *home_open(const char *dir, struct err *err);

/* Tells others where the store is served. To be called when it is open: from
 * here on home_check() knows which data file is the right one. */
int home_publish(struct home *home, const char *endpoint, struct err *err)
    __attribute__((warn_unused_result));

/* E_IO if DIR/lock or DIR/data.mdb is not the file any more that it was. Cheap;
 * to be called now and then. */
int home_check(struct home *home, struct err *err)
    __attribute__((warn_unused_result));

/* Empties the lock file and gives the directory up. NULL is fine. */
void home_close(struct home *home);

/* True if a file system of this type (statfs(2), f_type) is on a network. */
bool home_is_remote(long type);

#endif
