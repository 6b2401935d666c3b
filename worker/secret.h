/*
 * secret.h - a credential in memory
 *
 * An API key, a client's secret or an access token: bytes that stand in no log,
 * no message and no core file, and are wiped when they are of no use any more.
 * A secret knows what it was before: replies to calls that were sent with that
 * may still come, and quote it.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_SECRET_H
#define WORKER_SECRET_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define SECRET_BYTES_MAX      16384
#define SECRET_MASK_BYTES_MIN 16 /* a shorter one is found in innocent text */

/* Zero-initialised is valid: there is none. */
struct secret {
    char *data;
    size_t bytes; /* 0: none */
    char *before; /* what it was, or NULL */
    size_t before_bytes;
};

/* Where a secret is read from: one of these, or none. */
struct secret_source {
    const char *file;       /* absolute path; nobody else may have access */
    const char *credential; /* a file in systemd's $CREDENTIALS_DIRECTORY */
    const char *variable;   /* of the environment */
};

/* Wipes it; there is none then. */
void secret_fini(struct secret *secret);

/* Gives the secret a value, copied; if that is a new one, the earlier one is
 * remembered. E_INVALID: empty, too long, or with a control character in it;
 * then it is as it was. */
int secret_set(struct secret *secret, struct slice value, struct err *err)
    __attribute__((warn_unused_result));

/* There is none any more; what it was is remembered. */
void secret_drop(struct secret *secret);

/* Reads the source and sets the secret as secret_set() does; a variable that is
 * not set, and a source that names nothing, change nothing. Else E_INVALID or
 * E_IO; then it is as it was. */
int secret_read(struct secret *secret, const struct secret_source *source,
                struct err *err) __attribute__((warn_unused_result));

/* Takes the variable out of the environment, and wipes what it held. */
void secret_forget_variable(const char *name);

/* The value, borrowed until the next change. */
struct slice secret_peek(const struct secret *secret);

/* Replaces the secret, and what it was before, wherever they stand in a text. */
void secret_hide(const struct secret *secret, struct buf *text);

/* The same for bytes that must keep their places, as a reply's: each byte of
 * the secret becomes a star. Not for one so short that it may be a word. */
void secret_mask(const struct secret *secret, struct buf *text);

#endif
