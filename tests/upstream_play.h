/*
 * upstream_play.h - the replies of the test upstream, good and bad
 *
 * An exchange is one call with the rule that was picked for it. Playing it is
 * waiting, then doing what the rule's action says. What HTTP allows is said by
 * libmicrohttpd and leaves the connection open; the rest is written to the
 * socket, past the library, and the connection is closed. Runs on the thread of
 * the connection, which may block: no other call waits for it.
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UPSTREAM_PLAY_H
#define TESTS_UPSTREAM_PLAY_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "tests/upstream_ledger.h"
#include "tests/upstream_script.h"

/* Everything is borrowed from the connection's request. */
struct exchange {
    struct MHD_Connection *connection;
    struct ledger *ledger;
    struct call *call; /* started */
    const struct rule *rule;
    struct slice model;  /* as it stood in the request: a JSON string */
    size_t prompt_bytes; /* of the last user message */
    bool is_json;        /* false: the request's body cannot be read */
    struct buf body;     /* scratch, kept from call to call */
    struct buf wire;     /* scratch as well */
    struct buf value;    /* and for the value of a header */
};

/* Waits, acts, and ends the call in the ledger. latency_ms is for rules that
 * name none. Returns what the library's handler is to return. */
enum MHD_Result exchange_play(struct exchange *exchange, long latency_ms);

/* Answers with a JSON text, for what is not a call. */
enum MHD_Result play_json(struct MHD_Connection *connection, unsigned status,
                          struct slice json);

#endif
