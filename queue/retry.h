/*
 * retry.h - what becomes of a request whose call has ended
 *
 * The README's table of statuses, as a pure function: the class that the worker
 * found, the request's counters, the configuration, the time
 * and a random number in; what to do out. Nothing here knows HTTP but the
 * mapping of its statuses to ours.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_RETRY_H
#define QUEUE_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/status.h"
#include "store/attempt.h"
#include "store/request.h"

/* The class of a name, as in PROTOCOL.md's `result`; -1 if it is none that a
 * worker can report. */
int retry_class_parse(const char *name);

/* How a call ended. */
struct call_end {
    enum call_class class;
    uint32_t http_status; /* 0: there was no answer */
    int64_t wait_ms;      /* a wait that the server named; 0: none */
    bool was_sent;        /* request bytes left the host */
    bool can_enlarge;     /* a truncated one can be tried with more room */
    bool says_stop;       /* nobody is to ask that upstream now */
    bool has_resort;  /* there is the sampler, if no upstream can be asked */
    size_t members;   /* of its route */
    int64_t other_ms; /* when another of them may be asked: now, later, or
                             INT64_MAX, nobody knows; and any of them */
    int64_t route_ms;
};

enum retry_action {
    RETRY_DONE,  /* it ends with `status` */
    RETRY_DELAY, /* it is tried again at due_ms */
    RETRY_READY, /* it is tried again at once */
};

struct retry_verdict {
    enum retry_action action;
    enum status status; /* what it ends with, or would end with now */
    int64_t due_ms;
};

/* Counts the call in the request's counters and flags, and says what to do.
 * deadline_ms: of the last batch that wants it; a wait that would end after it
 * ends the request. `chance` is random, from 0 up to but not 1. */
struct retry_verdict retry_decide(struct request *request,
                                  const struct call_end *end,
                                  const struct conf *conf, int64_t now_ms,
                                  int64_t deadline_ms, double chance);

/* True if it may be paid for though nothing came of it: the request was sent,
 * and no answer has come. */
bool retry_is_uncertain(const struct call_end *end);

/* The status that stands for an HTTP status and a class. */
enum status retry_status(enum call_class class, uint32_t http_status);

/* The wait before try number failures + 1: base * 2^(failures - 1), at most
 * the cap, plus jitter. */
int64_t retry_backoff_ms(uint32_t failures, const struct conf *conf,
                         double chance);

#endif
