/*
 * identity.h - who this worker is, and the proof that it lives
 *
 * A worker has a new UUID at every start. For its life it holds an exclusive
 * flock on a file in the runtime directory: a broker on the same host that can
 * take the lock knows that the worker is dead. The file has its last words, too
 * (queue/last_words.h).
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_IDENTITY_H
#define WORKER_IDENTITY_H

#include <stdbool.h>

#include "base/err.h"

#define IDENTITY_UUID_BYTES     37 /* with its NUL */
#define IDENTITY_HOST_BYTES     64
#define IDENTITY_NAME_BYTES_MAX 64
#define IDENTITY_OWN_BYTES_MAX  128

struct identity {
    char uuid[IDENTITY_UUID_BYTES];
    char host[IDENTITY_HOST_BYTES]; /* the boot id of this host */
    char *name;
    char *own;  /* token of the broker that started us, or empty */
    char *lock; /* path of the lock file */
    int lock_fd;
    bool leaves_words; /* its last words are for the broker: the file stays */
};

/* Makes the identity and takes its lock. name may be NULL: one is made of the
 * process id. E_INVALID: name or own is too long; E_IO. The caller ends with
 * identity_fini(). */
int identity_init(struct identity *identity, const char *name, const char *own,
                  struct err *err) __attribute__((warn_unused_result));

/* Removes the lock file, unless it has words that are left, and lets go of it. */
void identity_fini(struct identity *identity);

#endif
