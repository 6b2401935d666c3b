/*
 * http_listen.h - where the gateway is to be found
 *
 * An address and a port as the command line names them: 127.0.0.1:8017,
 * [::1]:8017, localhost:0. Names of other hosts are not looked up: what is
 * listened at is known before the network is.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_LISTEN_H
#define SUBMIT_HTTP_LISTEN_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/err.h"
#include "submit/http_guard.h"

/* The system would take megabytes of a reply for a client that does not read,
 * and the deadlines see what was taken. More is not needed to keep it busy. */
#define HTTP_UNSENT_BYTES_MAX 131072

struct http_place {
    struct sockaddr_storage address;
    socklen_t bytes;
};

/* Reads ADDRESS:PORT. E_USAGE with the reason. */
int http_place_parse(const char *text, struct http_place *place,
                     struct err *err);

/* True if only this host can reach it. */
bool http_place_is_local(const struct http_place *place);

/* Listens there; a port of 0 becomes the one that was chosen. Returns the
 * descriptor, or E_INUSE or E_IO. */
int http_place_listen(struct http_place *place, struct err *err);

/* Appends ADDRESS:PORT. */
void http_place_text(const struct http_place *place, struct buf *out);

/* Who a client is to the guard: its address, or the network it is in. */
struct http_address http_place_of(const struct sockaddr *address);

#endif
