/*
 * finish.h - how requests end
 *
 * By a report, or without one; and what is remembered of each call.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_FINISH_H
#define QUEUE_FINISH_H

#include <stdint.h>

#include "base/buf.h"
#include "queue/retry.h"
#include "queue/session.h"
#include "store/attempt.h"
#include "store/draft.h"
#include "store/outcome.h"
#include "store/request.h"

struct broker;

/* What a worker reports of a call. Strings and slices are borrowed. */
struct report {
    struct call_end end;
    uint32_t fence;        /* of the lease under which it was made */
    const char *worker;    /* its name */
    const char *upstream;  /* that was asked; "": as its lease said */
    const char *wait_from; /* where end.wait_ms stood; "": it does not say */
    const char *code, *message, *model, *finish;
    const char *shape; /* of the reply, "" if it had none */
    int64_t prompt_tokens, completion_tokens, total_tokens; /* -1: unknown */
    int64_t latency_ms;
    struct slice reply; /* as it came; put-together text behind it */
    bool is_packed;     /* both of them, by the worker */
    uint32_t reply_bytes;
    enum outcome_form form;
    uint32_t text_at, text_bytes;
    int64_t request_limits[3], token_limits[3]; /* that the reply told */
};

/* Who was called: a late report tells of an earlier lease, which was perhaps for
 * another upstream. */
const char *finish_upstream(const struct request *request,
                            const struct report *report);

/* True if a call has brought an answer: what the sampler says in the place of an
 * upstream is none. */
bool finish_is_answer(const struct request *request,
                      const struct report *report);

/* Stores how a call ended, or sends the request back to the queue. The lease
 * was this worker's, or the answer comes late but is better than nothing. */
void finish_report(struct broker *broker, struct request *request,
                   const struct report *report, int64_t now_ms);

/* Ends a request without a call: it cannot be sent. */
void finish_unsendable(struct broker *broker, struct request *request,
                       const char *code, const char *message, int64_t now_ms);

/* Ends a leased request with its essence: no upstream can be asked in time. */
void finish_resort(struct broker *broker, struct request *request,
                   int64_t now_ms);

/* Ends a request that took its workers with it, the last time while it ran
 * alone. */
void finish_poison(struct broker *broker, struct request *request,
                   int64_t now_ms);

/* The essence of a draft whose batch expired (struct ending). */
void finish_essence(void *context, const struct draft *draft, struct slice line,
                    struct buf *out);

/* ---- attempts.c ---- */

/* What a worker's report tells of a call, with what was decided; its texts are
 * borrowed from the report and the request. False: no call was made. */
bool attempt_of_report(const struct request *request,
                       const struct report *report,
                       const struct retry_verdict *verdict, int64_t now_ms,
                       struct attempt *attempt);

/* Remembers a call of which nobody will tell: its lease was lost. */
void attempt_note_lost(struct broker *broker, const struct request *request,
                       const struct session *session);

#endif
