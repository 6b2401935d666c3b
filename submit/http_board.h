/*
 * http_board.h - what all open pages show, asked for once
 *
 * While anybody looks, the broker is asked every HTTP_BOARD_MS for its stats,
 * its upstreams and its alerts, and for the newest batches: once for all those
 * who see the same, not for each of them. While nobody does, it is asked for
 * what the history keeps.
 *
 * A view is who sees which batches: a client its own, an administrator all.
 * What has changed since a reader last looked is found by numbers that grow, so
 * that readers keep nothing but a place:
 *
 *   board ──► overview           the broker as a whole      one for all
 *         ──► history            samples                    one for all
 *         ──► view "alice" ──► batches, newest first        one for each client
 *
 * A reader that is too slow for all of it finds the latest, and nothing queues
 * up. Time: the gateway's now_ms.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_BOARD_H
#define SUBMIT_HTTP_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define HTTP_BOARD_MS          1000
#define HTTP_BOARD_ANSWER_MS   10000 /* then the broker is asked anew */
#define HTTP_BOARD_BATCHES_MAX 100   /* of a view: what one `list` tells */

struct gateway;
struct http_board;
struct http_view;

/* Up to where a reader has read; zeroed, it has read nothing. */
struct http_place_read {
    uint64_t board;   /* a number of the board's */
    uint64_t history; /* and of a sample */
};

struct http_board *http_board_new(struct gateway *gateway);

/* All views are left by then. NULL is fine. */
void http_board_free(struct http_board *board);

/* The view of a client; NULL: of all batches. It is asked for at once, and
 * stays until it is left as often as it was entered. */
struct http_view *http_board_enter(struct http_board *board,
                                   const char *client);
void http_board_leave(struct http_board *board, struct http_view *view);

/* Asks for what is due; when that will be. */
void http_board_turn(struct http_board *board);
int64_t http_board_next_ms(const struct http_board *board);

/* True if there is something for a reader. */
bool http_board_has_news(const struct http_board *board,
                         const struct http_view *view,
                         const struct http_place_read *read);

/* Appends what is new for a reader as events ("event: …", "data: …"), and moves
 * its place. */
void http_board_write(const struct http_board *board,
                      const struct http_view *view,
                      struct http_place_read *read, struct buf *out);

#endif
