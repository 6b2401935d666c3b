/*
 * redact.h - text without the secrets in it
 *
 * Error messages of upstreams quote what they were sent, keys too. What looks
 * like a secret is replaced by `***`: a token after `Bearer` or `Basic`, the
 * value of something called api key, token, secret or password, a word with a
 * well-known key prefix (`sk-`, `AIza`, ...), a password in a URL. Rather a
 * harmless word too many than a secret too few.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_REDACT_H
#define BASE_REDACT_H

#include "base/buf.h"

#define REDACT_MARK "***"

/* Adds the text to `out` with every secret replaced by REDACT_MARK. */
void redact(struct slice text, struct buf *out);

#endif
