/*
 * connection.h - messages to the broker, with patience
 *
 * The inside of the client library. A connection sends whole messages and
 * waits for whichever comes next. It counts how often the connection was made:
 * what was sent at a smaller count is sent again, for the broker that would
 * have answered may be gone.
 *
 * Whatever arrives and does not belong to the call that waits is offered to the
 * upload in progress, whose answers come at any time.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_CONNECTION_H
#define SUBMIT_CONNECTION_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "queue/link.h"
#include "queue/wire.h"
#include "submit/sheaf.h"

/* Takes a message that no call waits for. The message stays the caller's. */
typedef void connection_stray_fn(void *arg, const struct wire *wire);

struct sheaf {
    struct link_context *context;
    struct link *link;
    char *endpoint;
    int connect_ms, answer_ms, patience_ms;
    sheaf_idle_fn *idle;
    void *idle_arg;
    int64_t made_count; /* times the connection was made */
    int64_t sent_count; /* made_count when something was sent last */
    int64_t re_last;
    int64_t heard_ms; /* something was heard, or a wait began; monotonic */
    int64_t idled_ms; /* the idle function was called last */
    struct buf head;  /* of the last message */
    struct buf body;
    struct buf query; /* header of the message that is being sent */
    struct buf ahead; /* of the one that was asked ahead, without its
                                   number and its end; empty: none was */
    int64_t ahead_re;
    int64_t ahead_count;        /* made_count when it was sent */
    connection_stray_fn *stray; /* NULL while there is no upload */
    void *stray_arg;
};

/* Prepares a connection; E_USAGE for a bad endpoint. */
struct sheaf *connection_new(const struct sheaf_settings *settings,
                             struct err *err);

/* Ends it; NULL is fine. */
void connection_free(struct sheaf *sheaf);

/* Says that a wait begins: patience is counted from here. */
void connection_begin(struct sheaf *sheaf);

/* Sends a message. True if it is on its way; false: there is no connection now,
 * or it is congested: try again after connection_wait(). */
bool connection_send(struct sheaf *sheaf, struct slice head, struct slice body);
bool connection_share(struct sheaf *sheaf, struct slice head,
                      struct link_body *body);

/* Takes the next message: 0, and *wire is the caller's, its body lent until the
 * next wait. 1: nothing came in wait_ms, or the connection was made anew since
 * the last send. E_UNREACHABLE after `patience` without a sign of life (extra_ms
 * is added); SHEAF_E_STOPPED if the idle function says so. */
int connection_wait(struct sheaf *sheaf, int wait_ms, int64_t extra_ms,
                    struct wire *wire, struct err *err);

/* Sends a header (its `re` is added, it is freed) and waits for its answer,
 * which may take extra_ms longer than usual. On 0, and on an error that the
 * broker answered, *wire is the answer, for the caller to end; else empty. */
int connection_call(struct sheaf *sheaf, cJSON *head, struct slice body,
                    int64_t extra_ms, struct wire *wire, struct err *err);

/* Sends a header (it is freed) whose answer the next connection_call() takes if it
 * is for the same: the broker works while the caller does. Any other call drops
 * the answer. */
void connection_ask_ahead(struct sheaf *sheaf, cJSON *head);

/* The error in an answer: 0 if it is none. */
int connection_error(const struct wire *wire, struct err *err);

#endif
