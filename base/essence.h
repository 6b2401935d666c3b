/*
 * essence.h - what is kept of a draft that got no answer
 *
 * The essence-only fallback is up to ESSENCE_TOKENS_MAX meaningful tokens and
 * the status, `Müller invoice 4711 overdue [rate_limited]`; the error essence
 * is the status and what the upstream said, `[auth_error] Incorrect API key`.
 * Both are one line of valid UTF-8, and the same input always gives the same
 * essence.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_ESSENCE_H
#define BASE_ESSENCE_H

#include "base/buf.h"
#include "base/text.h"

#define ESSENCE_TOKENS_MAX      8
#define ESSENCE_TEXT_BYTES_MAX  65536 /* of the text and of the goal each */
#define ESSENCE_CANDIDATES_MAX  1024  /* distinct words that are weighed */
#define ESSENCE_TOKEN_BYTES_MAX 64    /* a longer word is passed over */
#define ESSENCE_ERROR_BYTES_MAX 512

/* Adds the essence-only fallback: the weightiest words of the text, as spelt
 * and in the order of their first appearance, then as many of the goal as there
 * is room for, then ` [status]`. No stop words, no repeats after case folding;
 * with no tokens at all just `[status]`. Ends a walk over words. */
void essence_tokens(struct text_rules *rules, struct slice text,
                    struct slice goal, const char *status, struct buf *out);

/* Adds the error essence: `[status] ` and the upstream's own message, secrets
 * redacted, control characters made blanks, at most ESSENCE_ERROR_BYTES_MAX
 * bytes in all. An empty message gives just `[status]`. */
void essence_error(const char *status, struct slice message, struct buf *out);

#endif
