/*
 * endpoint.h - where a link may listen, or connect to
 *
 * ipc://PATH, inproc://NAME, or tcp:// on loopback: what may be used without
 * authentication. Pure: nothing is opened.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_ENDPOINT_H
#define QUEUE_ENDPOINT_H

#include "base/err.h"

/* E_USAGE with the reason: it is none of these, its path is too long for a socket,
 * or it has no port, of which `*` is one: any. */
int endpoint_check(const char *endpoint, struct err *err);

/* The path of an ipc:// endpoint, borrowed from it; NULL: it has no file, or one of
 * libzmq's choice. */
const char *endpoint_path(const char *endpoint);

#endif
