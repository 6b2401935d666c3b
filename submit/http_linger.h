/*
 * http_linger.h - sockets on which a refusal is still on its way
 *
 * A request may be refused before all of its body has come. If the socket were
 * closed then, what the client sends meanwhile would be answered with a reset,
 * which takes the reply away from it unread. So a second descriptor keeps the
 * socket, what comes is thrown away, and it is closed when the client has hung
 * up, or has had its time, or has sent too much.
 *
 * Time: milliseconds of the monotonic clock, passed in.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_LINGER_H
#define SUBMIT_HTTP_LINGER_H

#include <stdbool.h>
#include <stdint.h>

#define HTTP_LINGERS_MAX      64
#define HTTP_LINGER_MS        5000
#define HTTP_LINGER_BYTES_MAX 268435456 /* more than a whole upload */
#define HTTP_LINGER_TURN_MS   20

struct http_linger;

struct http_linger *http_linger_new(void);

/* Closes all of them; NULL is fine. */
void http_linger_free(struct http_linger *linger);

/* Keeps the socket of a descriptor that is about to be closed. Beyond
 * HTTP_LINGERS_MAX it is not kept. */
void http_linger_add(struct http_linger *linger, int fd, int64_t now_ms);

/* Throws away what has come, and closes what is over. */
void http_linger_turn(struct http_linger *linger, int64_t now_ms);

/* When a turn is needed; INT64_MAX: there is nothing to do. */
int64_t http_linger_next_ms(const struct http_linger *linger);

#endif
