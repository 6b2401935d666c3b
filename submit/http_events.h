/*
 * http_events.h - the streams by which pages stay as they should be
 *
 * GET /ui/events is answered by server-sent events for as long as the page is
 * open: `session` first (who reads, and what the token lets do), then what the
 * board has, whole, and then what changes. A stream keeps a place on the board
 * and nothing else: one that reads slowly skips what is old by then, and one
 * that does not read is ended by the server's deadlines. Each ends by itself
 * after a while; the page asks again, with its token, and is told all.
 *
 * There is nothing to be resumed, so no event has an id, and Last-Event-ID is
 * not looked at. Time: the gateway's now_ms.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_EVENTS_H
#define SUBMIT_HTTP_EVENTS_H

#include <stdint.h>

#include "submit/http_request.h"

#define HTTP_STREAMS_MAX      64     /* pages that are open at one time */
#define HTTP_STREAM_MS_MAX    300000 /* then the token is asked for again */
#define HTTP_STREAM_BEAT_MS   10000  /* something is said at least so often */
#define HTTP_STREAM_SILENT_MS 30000  /* the page takes that for lost */

#define HTTP_EVENT_STREAM "text/event-stream; charset=utf-8"

struct http_events;

struct http_events *http_events_new(struct gateway *gateway);

/* All streams are closed by then. NULL is fine. */
void http_events_free(struct http_events *events);

/* Handler of the route /ui/events. */
void http_events_open(struct http_request *request);

/* Gives every stream that waits what is new. */
void http_events_turn(struct http_events *events);
int64_t http_events_next_ms(const struct http_events *events);

/* Pages that are open now. */
size_t http_events_count(const struct http_events *events);

#endif
