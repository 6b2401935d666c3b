/*
 * client_desk.h - a broker within the test, for a client that is tested
 *
 * It answers when the client waits, by its idle function, or when the test tells
 * it to. It fails the test that it is in.
 *
 * Threads: none; the client and its desk take turns.
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_CLIENT_DESK_H
#define TESTS_CLIENT_DESK_H

#include "base/buf.h"
#include "queue/link.h"
#include "queue/wire.h"

#define CLIENT_DESK_PATIENCE_MS 20000

struct client_desk {
    /* Answers a message. It is lent, and its number is `re`. */
    void (*answer)(struct client_desk *desk, const struct link_peer *peer,
                   const struct wire *wire, int64_t re);
    void (*drained)(struct client_desk *desk); /* all was; may be NULL */
    struct link_context *context;              /* private, as is the rest */
    struct link *link;
    struct buf head, body;
};

/* Opens the desk, whose `answer` is set, and returns a client that is connected
 * with it, and knows that: to be closed with sheaf_close(), before the desk. */
struct sheaf *client_desk_open(struct client_desk *desk);
void client_desk_close(struct client_desk *desk);

/* Answers all that has come: an idle function, whose `arg` is the desk. */
int client_desk_serve(void *arg);

/* Waits a moment for more, then does the same. */
void client_desk_await(struct client_desk *desk);

/* Sends an answer. */
void client_desk_send(struct client_desk *desk, const struct link_peer *peer,
                      const struct buf *head, const struct buf *body);

#endif
