/*
 * signature.h - what goes to a webhook, signed
 *
 * As Standard Webhooks has it: a secret is `whsec_` and Base64, a signature the
 * HMAC-SHA256 of id, time and body. Pure.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_SIGNATURE_H
#define WORKER_SIGNATURE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define SIGNATURE_KEY_BYTES_MIN 24
#define SIGNATURE_KEY_BYTES_MAX 64

/* Checks that a secret can be signed with. E_INVALID; the reason does not repeat
 * it. */
int signature_check(struct slice secret, struct err *err)
    __attribute__((warn_unused_result));

/* Appends the signature, "v1," and Base64, of a body that is posted under an id
 * at a time (in seconds since 1970), with a secret that was checked. */
void signature_add(struct slice secret, const char *id, int64_t time_s,
                   struct slice body, struct buf *out);

#endif
