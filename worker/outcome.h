/*
 * outcome.h - what a reply means for the request
 *
 * A pure function over a reply and what was found in it gives the class of
 * PROTOCOL.md, a code and a message. Two tables hold the policy: one of errors
 * by HTTP status, code and message, one of the ways in which a call ends
 * without a reply. `x-should-retry` beats the first, but not where it says
 * `stop`: that is about the account, which no second try fills. A 404 that names
 * the model has the code `model_not_found`, in whatever words it does.
 *
 * For a goal-and-text draft (`text`) an answer without text is a failure; a raw
 * request is answered by any well-formed JSON object.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_OUTCOME_H
#define WORKER_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/extract.h"
#include "worker/reply.h"

#define OUTCOME_CODE_BYTES_MAX    EXTRACT_CODE_BYTES_MAX
#define OUTCOME_MESSAGE_BYTES_MAX EXTRACT_MESSAGE_BYTES_MAX

/*    name       on the wire */
#define OUTCOME_CLASS_LIST(X) \
    X(OK, "ok")               \
    X(RETRYABLE, "retryable") \
    X(THROTTLED, "throttled") \
    X(UNCERTAIN, "uncertain") \
    X(STOP, "stop")           \
    X(PERMANENT, "permanent") \
    X(TRUNCATED, "truncated") \
    X(REFUSED, "refused")     \
    X(ABORTED, "aborted")

#define OUTCOME_ENUM(name, wire) OUTCOME_##name,
enum outcome_class { OUTCOME_CLASS_LIST(OUTCOME_ENUM) OUTCOME_CLASS_COUNT };
#undef OUTCOME_ENUM

struct outcome {
    enum outcome_class class;
    int http_status;       /* 0 if no reply came */
    int64_t wait_ms;       /* that the server named; 0: none */
    const char *wait_from; /* where it stood, see hint.h; "" if nowhere */
    bool has_limits;
    struct hint_limits limits; /* as the reply's headers tell, if they do */
    char code[OUTCOME_CODE_BYTES_MAX + 1];
    char message[OUTCOME_MESSAGE_BYTES_MAX + 1];
};

/* What is judged. All borrowed. */
struct outcome_input {
    const struct reply *reply;
    const struct extract *extract; /* of the reply's body */
    int read_rc;                   /* what extract_read() returned */
    const char *read_reason;       /* why it failed, or "" */
    bool is_raw;
    int64_t tokens_wanted; /* what the request may take, estimated */
};

/* Judges a reply at the time now_ms (by the wall clock). */
void outcome_judge(const struct outcome_input *input, int64_t now_ms,
                   struct outcome *out);

/* Fills in an outcome of our own making, without a reply. */
void outcome_set(struct outcome *out, enum outcome_class class,
                 const char *code, const char *message);

/* The name of a class on the wire. */
const char *outcome_class_name(enum outcome_class class);

/* What an outcome is called whose call ended so, without an answer. */
const char *outcome_end_code(enum reply_end end);

#endif
