/*
 * answer.h - what a request came to, in one row: its outcome, the call that made
 * it, and the reply
 *
 * Private to store/. Rows are numbered as they come and never change: all that the
 * end of a request writes is appended to one page, and what outcome and call have in
 * common stands there once. The request tells the number. Of a request that ended
 * before format 7, outcome and call have rows of their own, by request.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_ANSWER_H
#define STORE_ANSWER_H

#include "store/attempt.h"
#include "store/outcome.h"

/* What stands between the request and the reply, to bytes and back. The number of
 * the call is 0 if it ended without one. Decoding reports E_CORRUPT. */
void answer_encode(const struct outcome *outcome, const struct attempt *call,
                   struct buf *out);
int answer_decode(struct record *record, struct outcome *outcome,
                  struct attempt *call);

/* ---- in a store's transaction (answers.c) ---- */

/* Writes the row of a request's outcome, of which the request is told: the caller
 * writes it. What a former try came to goes, but for the call that it took, which
 * is kept as an attempt. attempt: NULL if there was none. */
void answer_put(struct store *store, struct request *request,
                const struct outcome *outcome, const struct attempt *attempt,
                struct reply reply);

/* An outcome and its reply, as store_answer_get() gives them, of a request that
 * has this answer. */
int answer_get(struct store *store, uint64_t request, uint64_t number,
               struct outcome *outcome, struct slice *reply);

/* The call in the row of a request's outcome. E_NOTFOUND: there is none, or it
 * has a row of its own. */
int answer_call(struct store *store, const struct request *request,
                struct attempt *call);

/* True if the row of a request's outcome is there, damaged or not. */
bool answer_is_there(struct store *store, const struct request *request);

/* The number of the answer that belongs to an outcome of before format 7; 0: its
 * reply is in `reply`. E_NOTFOUND: the request has no such outcome. */
int answer_older(struct store *store, uint64_t request, uint64_t *number);

/* Removes what a request came to. */
void answer_drop(struct store *store, const struct request *request);

#endif
