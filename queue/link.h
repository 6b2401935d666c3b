/*
 * link.h - messages over ZeroMQ, the only place that knows it
 *
 * A link is one socket: bound (a ROUTER with many peers) or connected (a DEALER
 * with one). It moves whole messages of a header and a body and never blocks.
 * libzmq gives no delivery guarantee that matters here: what matters is
 * confirmed by an answer (PROTOCOL.md).
 *
 * Waiting: link_fd() is edge-triggered and readable also for reasons of
 * libzmq's own. Before a poll, drain with link_recv() until it says that there
 * is nothing; after any send, drain again.
 *
 * Threads: none. A link belongs to the loop that made it.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_LINK_H
#define QUEUE_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define LINK_PEER_BYTES_MAX 16 /* a ROUTER makes routing ids of five bytes */
#define LINK_FILES_MAX      8  /* endpoints of a bound link */

/* The other end of a bound link's message. Compares with memcmp(). */
struct link_peer {
    unsigned char id[LINK_PEER_BYTES_MAX];
    size_t bytes;
};

/* Size limits of what a link receives and holds. */
struct link_limits {
    int64_t frame_bytes_max;
    int queue_max; /* messages held in each direction for each peer */
};

struct link_context; /* libzmq's threads; one a process */
struct link;

/* The context of the process. Freed last, after its links. */
struct link_context *link_context_new(void);
void link_context_free(struct link_context *context);

/* Binds a ROUTER. The runtime directory of an ipc:// endpoint must exist.
 * E_USAGE: it fails endpoint_check(), or a file that is no socket stands there;
 * E_INUSE: another process listens there; E_IO with the reason. */
struct link *link_bind(struct link_context *context, const char *endpoint,
                       struct link_limits limits, struct err *err);

/* Lets a bound link listen at one more endpoint. Errors as link_bind(). */
int link_bind_also(struct link *link, const char *endpoint, struct err *err);

/* Listens anew at the endpoints whose files are gone: where somebody has cleaned
 * up, clients find nobody. Connections go on. How many there were; or E_IO with
 * the reason. */
int link_renew(struct link *link, struct err *err);

/* Appends the endpoint that a link was last bound to: a wildcard port of tcp
 * is resolved. */
void link_endpoint(const struct link *link, struct buf *out);

/* Connects a DEALER; the peer need not be there yet: libzmq goes on trying,
 * and messages sent meanwhile are refused with E_UNREACHABLE. */
struct link *link_connect(struct link_context *context, const char *endpoint,
                          struct link_limits limits, struct err *err);

/* Closes the socket, removes the files of its endpoints, and drops what is
 * still queued after linger_ms. NULL is fine. */
void link_close(struct link *link, int linger_ms);

/* Takes one message: 0 and *peer, *head, *body (buffers are emptied first), or
 * 1 if there is none now. E_PROTOCOL: a message of another form was dropped; go
 * on. peer may be NULL on a connected link. */
int link_recv(struct link *link, struct link_peer *peer, struct buf *head,
              struct buf *body);

/* A body that is in nobody's buffer: one that was received, as libzmq has it, or
 * one that may be sent several times and is not copied for that. To be freed with
 * link_body_free(), when the link is closed or before; NULL is fine. */
struct link_body;
void link_body_free(struct link_body *body);

/* What it has, lent. No NUL need be behind it. */
struct slice link_body_text(const struct link_body *body);

/* As link_recv(), but a large body is not copied: *large has it, and is the
 * caller's, and the buffer stays empty. With all others *large is NULL. */
int link_take(struct link *link, struct link_peer *peer, struct buf *head,
              struct buf *body, struct link_body **large);

/* Sends one message; an empty body is left out. peer is NULL on a connected
 * link. E_UNREACHABLE: the peer is gone or not there yet. E_FULL: its queue is
 * full; try again later. */
int link_send(struct link *link, const struct link_peer *peer,
              struct slice head, struct slice body)
    __attribute__((warn_unused_result));

/* The same, but a large body is not copied: it becomes the link's, and the
 * buffer is empty then. */
int link_give(struct link *link, const struct link_peer *peer,
              struct slice head, struct buf *body)
    __attribute__((warn_unused_result));

/* A body to be sent several times, of the buffer's content, which it takes: that is
 * there until it is freed and the last of the messages is on its way. */
struct link_body *link_body_new(struct buf *text);

/* As link_send(), with such a body. */
int link_share(struct link *link, const struct link_peer *peer,
               struct slice head, struct link_body *body)
    __attribute__((warn_unused_result));

/* The descriptor to poll for reading. */
int link_fd(const struct link *link);

/* On a connected link: true once after each time the connection was made, so
 * that the caller can say hello again. */
bool link_was_connected(struct link *link);

/* On a connected link: the descriptor to poll for that, which link_fd() does not
 * show. Edge-triggered: before a poll, link_was_connected() must have said no. */
int link_sign_fd(const struct link *link);

/* Tells what a poll of the two has shown, that of a bound link's only one. Whoever
 * tells of one poll tells of all: from then on, link_recv() and
 * link_was_connected() that have found nothing do not ask libzmq again, and with it
 * the kernel, until a poll has shown something; or something was sent, as the
 * former knows. */
void link_polled(struct link *link, bool has_mail, bool has_sign);

#endif
