/*
 * upstream_ledger.h - which call came when, and how many were in progress
 *
 * A call is in progress from when its request was received in full until its
 * reply is about to leave, or its connection has ended. The moment is chosen so
 * that the count never exceeds what the client knows to be in flight:
 *
 * - a call ends just before the last bytes of its reply are sent: whoever has
 *   the reply finds the end in the log, and may start another call at once;
 * - before a call is counted, those whose client has left are ended. On
 *   loopback a close is seen at once, so an aborted call is never counted
 *   beside the one that follows it. (A client that shuts down its sending side
 *   only counts as gone, too.)
 *
 * Each event is one line of JSON and one write() to the log, in the order of
 * the counts. All functions may be called by several threads at a time.
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UPSTREAM_LEDGER_H
#define TESTS_UPSTREAM_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"

#define LEDGER_SHORT_HEX 17   /* 16 digits of a digest and a NUL */
#define LEDGER_CALL_MAX  2048 /* in progress at a time */

struct ledger;

/* One call. The caller owns it and keeps it in place until it has ended. */
struct call {
    uint64_t conn;                      /* number of the connection, from 1 */
    int fd;                             /* its socket */
    unsigned char digest[DIGEST_BYTES]; /* of the body */
    char user[LEDGER_SHORT_HEX];        /* of the last user message */
    struct buf goal;                    /* start of the system message */
    const char *auth;                   /* header, "" if none */
    const char *path;
    size_t bytes;   /* of the body */
    long rule;      /* line in the script, 0: none */
    uint64_t n;     /* set by ledger_start(): number of the call, from 1 */
    size_t index;   /* private: place among those in progress */
    bool in_flight; /* private */
};

enum call_closer { BY_SERVER, BY_CLIENT };

/* A ledger that appends to the file `path`; NULL: no log. 0 and *ledger, closed
 * with ledger_close(), or E_IO. */
int ledger_open(const char *path, struct ledger **ledger, struct err *err)
    __attribute__((warn_unused_result));

/* Frees the ledger; NULL is fine. */
void ledger_close(struct ledger *ledger);

/* The number of a new connection. */
uint64_t ledger_connection(struct ledger *ledger);

/* Numbers a call, counts it and writes "start". E_FULL, and nothing is
 * written, if LEDGER_CALL_MAX calls are in progress. */
int ledger_start(struct ledger *ledger, struct call *call)
    __attribute__((warn_unused_result));

/* Ends a call and writes "end", with the status that the client was sent (0:
 * none). Nothing happens if it had ended already. */
void ledger_end(struct ledger *ledger, struct call *call, unsigned status,
                enum call_closer closer);

/* How many calls have ended since the start of the program. */
uint64_t ledger_ended(struct ledger *ledger);

/* Appends the counts since the last reset as a JSON object. */
void ledger_stats(struct ledger *ledger, struct buf *out);

/* Starts the counts anew. Numbers of calls and connections go on, and calls in
 * progress stay counted. */
void ledger_reset(struct ledger *ledger);

#endif
