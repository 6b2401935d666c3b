/*
 * attempt.h - one call of a request, and what came of it
 *
 * For people who ask why something takes so long: written when a worker reports,
 * and when a lease is lost whose call had started. Nothing is decided by it. The
 * newest STORE_ATTEMPTS_MAX of a request are kept, under numbers that go on, and
 * go when the request goes. The one that ended it with what is kept stands in the
 * row of that (answer.h).
 */
/* SPDX-License-Identifier: MIT */
#ifndef STORE_ATTEMPT_H
#define STORE_ATTEMPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "store/record.h"

#define ATTEMPT_TEXT_BYTES_MAX 128 /* of each of its texts */
#define ATTEMPT_UNKNOWN        (-1)

/* How a call ends: the classes of PROTOCOL.md's `result`, and one of which
 * nobody told. The order is the format: never reorder, only append. */
#define CALL_CLASSES(X)       \
    X(OK, "ok")               \
    X(RETRYABLE, "retryable") \
    X(THROTTLED, "throttled") \
    X(UNCERTAIN, "uncertain") \
    X(STOP, "stop")           \
    X(PERMANENT, "permanent") \
    X(TRUNCATED, "truncated") \
    X(REFUSED, "refused")     \
    X(ABORTED, "aborted")     \
    X(LOST, "lost")

#define CALL_ENUM(name, text) CLASS_##name,
enum call_class { CALL_CLASSES(CALL_ENUM) CLASS_COUNT };
#undef CALL_ENUM

/* Strings are borrowed: from the caller, or from the store until its next
 * change. */
struct attempt {
    uint32_t number; /* counts the request's calls from 1 */
    int64_t ended_ms;
    enum call_class class;
    enum status status;   /* that the request ended with, or would have */
    uint32_t http_status; /* 0: there was no HTTP answer */
    uint32_t fence;       /* of its lease */
    bool was_sent;        /* request bytes left the host, as far as is known */
    int64_t latency_ms;   /* -1: unknown */
    int64_t wait_ms;      /* before the next one; 0: none */
    struct slice wait_from; /* ATTEMPT_BACKOFF, or where the server named it */
    struct slice code;      /* of the error; empty if there was none */
    struct slice worker, upstream;
};

#define ATTEMPT_BACKOFF "backoff" /* the wait was ours */

/* The name of a class. */
const char *call_class_name(enum call_class class);

/* Fields to bytes and back; decoding reports E_CORRUPT. The number is in the
 * key. */
void attempt_encode(const struct attempt *attempt, struct buf *out);
int attempt_decode(struct record *record, struct attempt *attempt);

/* True if no text is longer than ATTEMPT_TEXT_BYTES_MAX. */
bool attempt_fits(const struct attempt *attempt);

/* ---- in a store's transaction ---- */

#define STORE_ATTEMPTS_MAX 32 /* calls of a request that are remembered */

struct store;
struct request;

/* Remembers a call of a request, under the next number, and forgets the oldest
 * if there are more than STORE_ATTEMPTS_MAX. The texts are not borrowed from the
 * store, and cut to ATTEMPT_TEXT_BYTES_MAX. */
void store_attempt_add(struct store *store, const struct request *request,
                       const struct attempt *attempt);

/* The last attempt before a number; UINT32_MAX: the newest one, whose number is
 * how many there have been. E_CORRUPT also sets its number. */
int store_attempt_before(struct store *store, const struct request *request,
                         uint32_t number, struct attempt *attempt);

#endif
