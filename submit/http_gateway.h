/*
 * http_gateway.h - HTTP in front of the broker
 *
 *   client ──HTTP──► http_server ──► http_admit ──► handler ──► http_broker
 *                        ▲        gate, path, route,    │            │
 *                        │        token, scope, size    │◄─ answer ──┘
 *                        └──────── http_exchange ◄──────┘
 *
 * One loop and no threads: it turns the servers and the broker's connection, and
 * waits for whichever has something next. Handlers never wait. The gateway keeps
 * nothing: what is promised to a client is in the broker's store.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_GATEWAY_H
#define SUBMIT_HTTP_GATEWAY_H

#include <stdbool.h>
#include <stdint.h>

#include "submit/http_broker.h"
#include "submit/http_guard.h"
#include "submit/http_route.h"
#include "submit/http_spool.h"
#include "submit/http_tokens.h"

#define HTTP_SERVERS_MAX      2
#define HTTP_BODIES_BYTES_MAX 67108864 /* of all requests, in memory */
#define HTTP_DRAIN_MS         30000    /* for what runs when told to stop */
#define HTTP_STATUS_CLASSES   6        /* 1xx to 5xx; the first is not used */

#define HTTP_EXIT_SIGNAL 128 /* and the signal's number, the second time */

struct http_events;
struct http_server;
struct text_rules;

struct gateway {
    struct http_broker *broker;
    struct http_tokens *tokens; /* NULL: nobody is asked for one */
    const char *tokens_path;    /* borrowed from the command line */
    struct http_guard *guard;
    struct http_events *events;    /* of the pages that are open */
    struct text_rules *text_rules; /* for what is sought */
    struct http_server *servers[HTTP_SERVERS_MAX];
    size_t server_count;
    const char *client; /* who asks, where no token says it */
    int64_t now_ms;     /* of this turn: the monotonic clock */
    int64_t wall_ms;    /* and the wall's */
    int64_t started_ms;
    int64_t answer_ms;                     /* a completion may take so long */
    size_t body_bytes;                     /* of all requests, in memory now */
    struct http_spool_room spool;          /* for uploads */
    uint64_t replies[HTTP_STATUS_CLASSES]; /* by the status's first digit */
    uint64_t refused_tokens;
    bool is_draining;
};

/* The routes of the two listeners. */
extern const struct http_routes http_api_routes;
extern const struct http_routes http_watch_routes;

/* Serves until a signal ends it; returns the exit code. */
int http_gateway_run(struct gateway *gateway, int signal_fd);

#endif
