/*
 * base64.h - bytes as text, and back (RFC 4648, with padding)
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buf.h"

/* Appends the text of some bytes. */
void base64_add(struct buf *out, struct slice bytes);

/* Appends the bytes of a text. E_INVALID: it is none, down to bits that must be
 * zero; `out` may have got a part then. */
int base64_decode(struct slice text, struct buf *out)
    __attribute__((warn_unused_result));

#endif
