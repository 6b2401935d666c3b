/*
 * links.h - what is on its way between the broker and its peers
 *
 * Links keep the order of each peer's messages and nothing else, as ZeroMQ does.
 * What is on its way when a link breaks is lost, or arrives late.
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SIM_LINKS_H
#define TESTS_SIM_LINKS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "queue/broker.h"

struct world;

struct mail {
    struct link_peer peer;
    enum side side;
    struct buf head, body;
    struct gathering *gathered; /* of a chunk, read ahead of its turn; NULL */
};

/* A row of mails in order; zero-initialised is empty. */
struct pipe {
    struct mail *mails;
    size_t count, capacity;
};

/* What a client or a worker has to the broker. */
struct wire_link {
    enum side side;
    struct link_peer peer; /* as the broker sees it */
    bool is_up;
    struct pipe to_broker, from_broker;
};

/* Puts a message behind the others, which the pipe owns then; takes the first
 * one, or returns false; forgets all; frees the room as well. */
void pipe_push(struct pipe *pipe, const struct mail *mail);
bool pipe_pull(struct pipe *pipe, struct mail *mail);
void pipe_clear(struct pipe *pipe);
void pipe_free(struct pipe *pipe);

/* Sends a message to the broker. ' stands for " in the head. */
void wire_say(struct world *world, struct wire_link *link, struct slice body,
              const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Connects as a new peer; what was on its way is lost, or strays. */
void wire_connect(struct world *world, struct wire_link *link);
void wire_cut(struct world *world, struct wire_link *link);

/* Takes the next message from the broker; false if there is none. The caller
 * ends *mail with mail_fini(). */
bool wire_take(struct wire_link *link, struct mail *mail);
void mail_fini(struct mail *mail);

/* A mail as the core takes it. */
struct message mail_message(const struct mail *mail);

/* The nth of all links; NULL behind the last. The one to a letter's peer; NULL
 * if it has gone. */
struct wire_link *wire_link_at(struct world *world, size_t nth);
struct wire_link *wire_link_of(struct world *world,
                               const struct letter *letter);

/* True if messages from anywhere are on their way to the broker. */
bool wire_is_busy(struct world *world);

/* True if the worker at this peer lies. */
bool world_is_liar(const struct world *world, const struct link_peer *peer);

#endif
