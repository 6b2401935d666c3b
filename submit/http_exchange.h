/*
 * http_exchange.h - the inside of a request: what becomes of it
 *
 * What stands between the HTTP library, which calls when it likes, and the
 * handlers, which reply when they can. http_server.c moves an exchange on;
 * http_request.h is its outside.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_EXCHANGE_H
#define SUBMIT_HTTP_EXCHANGE_H

#include <stdarg.h>

#include "submit/http_gate.h"
#include "submit/http_guard.h"
#include "submit/http_route.h"

struct connection; /* http_server.c's */

struct http_reply_field {
    const char *name;
    char *value;
};

struct exchange {
    struct http_request request; /* first: it is what handlers hold */
    struct connection *connection;
    void (*wake)(struct exchange *exchange); /* it has something to say */
    http_gone_fn *gone;
    void *gone_arg;
    int64_t since_ms;
    struct buf uri;    /* as it came */
    size_t body_bytes; /* that came so far */

    bool is_surplus; /* its client has too many connections */
    bool is_called;  /* by now the handler has it */
    bool is_replied; /* nobody else will */
    bool is_over;    /* the client is gone: nothing is sent any more */
    bool must_close; /* the connection, behind the reply */

    int status;
    const char *type;
    struct buf body;
    struct http_reply_field fields[HTTP_REPLY_FIELDS_MAX];
    size_t field_count;

    bool has_source; /* in place of the body */
    struct http_source source;
    struct buf piece; /* of it, */
    size_t piece_at;  /* sent up to here */
    int64_t fed;      /* bytes of it in all */
    bool is_pulled;   /* an answer to a pull is to come */
    bool is_ended, is_failed;
};

/* How a listener takes requests. */
struct http_terms {
    const struct http_routes *routes; /* borrowed */
    bool asks_tokens;
    unsigned connections_each_max; /* from one address */
};

struct exchange *http_exchange_new(struct gateway *gateway);

/* Ends it: who waits for the client is told that it is gone. */
void http_exchange_free(struct exchange *exchange);

/* Writes the log line of one that is through. Never its path as it came: what a
 * client writes there may be anything. */
void http_exchange_log(const struct exchange *exchange);

/* Writes what the HTTP library has to say, as it wants to be called. */
void http_library_log(void *cls, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));

/* True if a handler has added a field of that name. */
bool http_exchange_has(const struct exchange *exchange, const char *name);

/* The client has vanished. */
void http_exchange_lose(struct exchange *exchange);

/* Looks at a header: finds the route, the client, and whether the body may come.
 * Else there is a reply already, which refuses it. */
void http_admit(struct exchange *exchange, const struct http_head *head,
                const struct http_terms *terms,
                const struct http_address *address);

/* Takes a piece of the body; returns how much of it: if less than all, the rest
 * is to come again later. There may be a reply then, which refuses it. */
size_t http_exchange_take(struct exchange *exchange, struct slice piece);

/* Appends the whole reply as it goes over the wire, for a connection that ends
 * with it. It has no source. */
void http_exchange_frame(const struct exchange *exchange, struct buf *out);

/* Copies what there is of a source's body, at most `max` bytes, and asks for
 * more when there is nothing. 0: wait, or it is ended or failed. */
size_t http_exchange_read(struct exchange *exchange, char *to, size_t max);

#endif
