/*
 * http_pace.h - how long a connection may take for what it is at
 *
 *   header ──► body ──► answer ──► reply ──┐
 *     ▲                                    │ kept alive
 *     └────────────── idle ◄───────────────┘
 *
 * Each phase has a deadline for the whole of it, not only for the next byte; a
 * body and a reply have one that moves with their bytes. For the answer it is we
 * who take the time; that, and whenever else a connection rests, does not count.
 *
 * Time: milliseconds of the monotonic clock, passed in.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_PACE_H
#define SUBMIT_HTTP_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define HTTP_HEADER_MS      10000
#define HTTP_IDLE_MS        15000 /* between two requests */
#define HTTP_BODY_GRACE_MS  10000
#define HTTP_RATE_BYTES_MIN 10240 /* a second, of body or reply */
#define HTTP_PACE_NEVER     INT64_MAX

enum http_phase {
    HTTP_PHASE_HEADER,
    HTTP_PHASE_BODY,
    HTTP_PHASE_ANSWER,
    HTTP_PHASE_REPLY,
    HTTP_PHASE_IDLE,
};

struct http_pace {
    enum http_phase phase;
    int64_t since_ms;  /* in this phase, without what it rested */
    int64_t rested_ms; /* the rest began then */
    int64_t bytes;     /* of body or reply, in this phase */
    bool is_resting;
    bool is_reused; /* it has had a request before */
};

/* Begins a phase. */
void http_pace_enter(struct http_pace *pace, enum http_phase phase,
                     int64_t now_ms);

/* Begins and ends a rest. */
void http_pace_rest(struct http_pace *pace, int64_t now_ms);
void http_pace_resume(struct http_pace *pace, int64_t now_ms);

/* Until when the phase may last; HTTP_PACE_NEVER: others see to that. */
int64_t http_pace_end_ms(const struct http_pace *pace);

/* The name of a phase, for the log. */
const char *http_phase_name(enum http_phase phase);

#endif
