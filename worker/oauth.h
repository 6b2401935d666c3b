/*
 * oauth.h - the words of OAuth 2.0 for access tokens (RFC 6749, 4.4)
 *
 * A client that acts for itself sends its id and secret to a token server and
 * gets an access token. Here: the request that is sent and the reply that is
 * read, without sending or receiving.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_OAUTH_H
#define WORKER_OAUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "worker/reply.h"
#include "worker/token.h"

#define OAUTH_CONTENT_TYPE    "application/x-www-form-urlencoded"
#define OAUTH_REPLY_BYTES_MAX 65536
#define OAUTH_EXPIRES_S_MAX   INT64_C(3153600000) /* a century */

/* Who asks; all borrowed. */
struct oauth_client {
    const char *id;
    struct slice secret;
    const char *scope;    /* or NULL */
    const char *audience; /* or NULL */
    bool is_in_body;      /* id and secret: some servers want them there */
};

/* What is given. */
struct oauth_grant {
    struct secret token;
    int64_t expires_ms; /* or TOKEN_NO_EXPIRY */
    int64_t wait_ms;    /* on failure: that the server named; 0: none */
};

/* Appends the body of the request. */
void oauth_body(const struct oauth_client *client, struct buf *out);

/* Appends what stands behind `Authorization: Basic `; nothing if id and secret
 * are in the body. */
void oauth_basic(const struct oauth_client *client, struct buf *out);

/* Reads the reply that came at now_ms, by the wall clock. E_UNREACHABLE: none
 * came; E_INVALID: an error, or no token that can be used. The grant, whose
 * token the caller wipes, holds a token on success only. */
int oauth_read(const struct reply *reply, int64_t now_ms,
               struct oauth_grant *grant, struct err *err)
    __attribute__((warn_unused_result));

#endif
