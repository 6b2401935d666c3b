/*
 * translation.h - a chat completion in the words of an upstream's dialect
 *
 * The broker keeps and sends every request as a chat completion of OpenAI's.
 * For an upstream with another API its members are renamed, moved and nested
 * as the dialect's grammar says, which is a table. Values are moved as they
 * stand in the text: no number or string is ever read and written again.
 *
 * A member that the dialect has no place for is left out if it cannot change
 * the answer (`user`, `metadata` …) or has no effect (`n` of 1); else the
 * translation fails, before anything is paid for. A member that no chat
 * completion has is the dialect's own, put there by a draft's `extra`: it stays
 * as it is, and an object of the same name as one of ours joins it.
 *
 * Pure: bytes in, bytes out.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_TRANSLATION_H
#define WORKER_TRANSLATION_H

#include <stdint.h>

#include "base/buf.h"
#include "base/dialect.h"
#include "base/err.h"

/* What is to be translated. All borrowed. */
struct translation_order {
    const struct dialect *dialect;
    const char *path;   /* of the call; may hold {model} */
    const char *model;  /* its name at this upstream; "": as in the body */
    struct slice body;  /* a chat completion; for OpenAI's, any object */
    int64_t max_tokens; /* where the dialect needs a limit and none is given;
                           0: the dialect's own */
};

/* Appends the path of the call, and the body unless it is to be sent as it is:
 * then nothing. E_INVALID names what the dialect cannot say; E_TOOBIG: too many
 * values. */
int translation_make(const struct translation_order *order, struct buf *path,
                     struct buf *body, struct err *err)
    __attribute__((warn_unused_result));

#endif
