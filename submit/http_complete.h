/*
 * http_complete.h - one answer, through the queue
 *
 * A completion is a batch of one draft at the highest priority, whose request
 * waits for no group. All that the queue does for a batch holds for it: one call
 * for requests that are the same, the cache, retries, failover.
 *
 *   open ──► chunk, seal ──► wait … ──► reply … ──► purge
 *     │            │           │
 *     └────────────┴───────────┴── the client vanishes ──► cancel, purge
 *                              └── its time is over ─────► 504; it goes on, and
 *                                                          a repeat joins it
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_COMPLETE_H
#define SUBMIT_HTTP_COMPLETE_H

#include "submit/http_route.h"

/* Of a body: as large as a draft can be configured. The broker's own limit is
 * told by its refusal. */
#define HTTP_COMPLETION_BYTES_MAX 16777216

/* The handler of the routes whose pattern is an endpoint that the queue runs. */
http_handler_fn http_complete;

/* What a failure is answered with, where the upstream's status does not say it:
 * the status of its result, its HTTP status (0: none), and its code. */
int http_complete_status(const char *status, int64_t http_status,
                         const char *code);

/* Appends the draft for a request: the body as it came, but in one line. 0; or
 * the status of a refusal, and *error: it is no JSON object, or asks for a
 * stream. */
int http_complete_line(const char *id, const char *url, struct slice body,
                       struct buf *line, struct http_error *error);

#endif
