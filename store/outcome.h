/*
 * outcome.h - how a request ended: the answer, or what is kept instead
 *
 * The best that was reached so far. The upstream's reply stands beside it, byte
 * for byte; the text is a place in the reply wherever possible, so that nothing
 * is stored twice.
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_OUTCOME_H
#define STORE_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "store/record.h"
#include "store/request.h"

#define OUTCOME_UNKNOWN (-1) /* tokens, cost: not told */

enum outcome_form {
    OUTCOME_NO_TEXT,
    OUTCOME_JSON_TEXT,  /* the inside of a JSON string within the reply */
    OUTCOME_PLAIN_TEXT, /* UTF-8 behind the reply */
};

/* Strings are borrowed: from the caller, or from the store until its next
 * change. */
struct outcome {
    enum status status;
    uint32_t http_status; /* 0: there was no HTTP answer */
    uint32_t attempts;
    int64_t latency_ms; /* of the call that made it */
    int64_t prompt_tokens, completion_tokens, total_tokens;
    int64_t completed_ms;
    int64_t cost_nano;    /* what the call cost; -1: unknown */
    uint32_t reply_bytes; /* of the reply, without the text behind it */
    enum outcome_form form;
    uint32_t text_at, text_bytes; /* in the stored reply */
    struct slice code, message;   /* of the error; empty if there was none */
    struct slice model, upstream, finish;
    struct slice essence;
};

/* The reply, and the plain text behind it. */
struct reply {
    struct slice text;
    bool is_packed; /* by pack_add(), or by somebody else: the caller has seen
                       that pack_open() takes it */
};

/* Fields to bytes and back; decoding reports E_CORRUPT. */
void outcome_encode(const struct outcome *outcome, struct buf *out);
int outcome_decode(struct record *record, struct outcome *outcome);

/* ---- in a store's transaction ---- */

struct store;
struct attempt;

/* Adds what a call used and cost to what the draft and the batch pay that the
 * request stands for, though it does not end with that call. */
void store_charge(struct store *store, const struct request *request,
                  const struct outcome *spent);

/* Ends a request: stores the outcome if it is better than what is there, and
 * gives it to the drafts, at most STORE_SLICE_MAX now and the rest by a timer. The
 * request may be in any state: late answers count. attempt: the call that came to
 * it, which is remembered as by store_attempt_add(); NULL if there was none. */
void store_finish(struct store *store, struct request *request,
                  const struct outcome *outcome, const struct attempt *attempt,
                  struct reply reply, int64_t now_ms);

/* How it ended; the second also gives the stored reply with what is behind it,
 * which is borrowed until the next one is read, too. */
int store_outcome_get(struct store *store, const struct request *request,
                      struct outcome *outcome);
int store_answer_get(struct store *store, const struct request *request,
                     struct outcome *outcome, struct slice *reply);

#endif
