/*
 * http_server.h - a listener and its connections
 *
 * The only file that knows the HTTP library (libmicrohttpd). A connection that
 * waits for its handler rests: the library does not look at it then; whether its
 * client is still there is looked at here, and whether it keeps pace.
 *
 * Time: the gateway's now_ms.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_SERVER_H
#define SUBMIT_HTTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "submit/http_exchange.h"
#include "submit/http_gateway.h"
#include "submit/http_listen.h"
#include "submit/http_pace.h"

#define HTTP_CONNECTIONS_DEFAULT      256
#define HTTP_CONNECTIONS_EACH_DEFAULT 32 /* from one address */
#define HTTP_CONNECTIONS_MAX          16384
#define HTTP_POOL_BYTES               65536 /* the library's, for each */
#define HTTP_STALL_S                  15    /* without any byte */
#define HTTP_SWEEP_MS                 250

struct http_server_terms {
    struct http_place *place; /* its port is set when it was 0 */
    struct http_terms http;
    unsigned connections_max;
};

/* Listens. NULL: E_INUSE or E_IO. */
struct http_server *http_server_new(struct gateway *gateway,
                                    const struct http_server_terms *terms,
                                    struct err *err);

/* Closes all connections, whatever they are at. NULL is fine. */
void http_server_free(struct http_server *server);

/* Accepts nothing more, and closes what is idle now or behind its reply. */
void http_server_drain(struct http_server *server);

/* True if no request is under way. */
bool http_server_is_idle(const struct http_server *server);

/* Connections that there are now. */
size_t http_server_count(const struct http_server *server);

/* Moves connections on; and ends those whose time is over, every
 * HTTP_SWEEP_MS. */
void http_server_turn(struct http_server *server);

/* To be polled for reading; when a turn is needed if nothing comes. */
int http_server_fd(const struct http_server *server);
int64_t http_server_next_ms(const struct http_server *server);

#endif
