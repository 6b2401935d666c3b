/*
 * http_tokens.h - who may ask, and for what
 *
 * A file of rows, one for each token:
 *
 *   # SHA-256 of the token, client, scope, end
 *   8c7d…e1  alice    submit  never
 *   03fa…77  reports  read    2027-01-01T00:00:00Z
 *
 * The token itself stands nowhere. What is compared are digests, in constant
 * time and with all rows, so that nothing can be learnt from how long a refusal
 * takes. A scope includes those before it. Several tokens may be of one client:
 * so they are replaced without a gap.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_TOKENS_H
#define SUBMIT_HTTP_TOKENS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define HTTP_TOKENS_MAX            10000
#define HTTP_TOKENS_FILE_BYTES_MAX 4194304
#define HTTP_TOKEN_BYTES_MIN       16 /* shorter ones can be guessed */
#define HTTP_TOKEN_BYTES_MAX       512
#define HTTP_CLIENT_BYTES_MAX      64 /* as the broker's */
#define HTTP_CLIENT_BYTES          (HTTP_CLIENT_BYTES_MAX + 1)
#define HTTP_TOKEN_TEXT_BYTES      64 /* of a new one, with its NUL */

/*    name    text      what it lets do */
/* clang-format off */
#define HTTP_SCOPES(X)                                         \
    X(OPEN,   "")       /* no token is asked for */            \
    X(READ,   "read")   /* look at the client's own things */  \
    X(SUBMIT, "submit") /* make, change and end them */        \
    X(ADMIN,  "admin")  /* see what is the whole broker's */
/* clang-format on */

#define HTTP_SCOPE_ENUM(name, text) HTTP_SCOPE_##name,
enum http_scope { HTTP_SCOPES(HTTP_SCOPE_ENUM) HTTP_SCOPE_COUNT };
#undef HTTP_SCOPE_ENUM

/* What a token gives. */
struct http_grant {
    char client[HTTP_CLIENT_BYTES];
    enum http_scope scope;
};

struct http_tokens;

/* The name of a scope. */
const char *http_scope_name(enum http_scope scope);

/* Reads the text of such a file. NULL: E_INVALID with the line, E_TOOBIG. */
struct http_tokens *http_tokens_parse(struct slice text, struct err *err);

/* Reads a file, which only its owner may be able to read. NULL: E_INVALID, E_IO
 * too. */
struct http_tokens *http_tokens_load(const char *path, struct err *err);
void http_tokens_free(struct http_tokens *tokens);
size_t http_tokens_count(const struct http_tokens *tokens);

/* Looks a token up. 0 and *grant; E_NOTFOUND: there is none such, or its time is
 * over at wall_ms. */
int http_tokens_find(const struct http_tokens *tokens, struct slice token,
                     int64_t wall_ms, struct http_grant *grant);

/* The token in a field Authorization ("Bearer …"); data is NULL if there is none
 * of a token's form. */
struct slice http_tokens_bearer(struct slice field);

/* Makes a token, and appends the row of the file that stands for it. E_INVALID:
 * the client's name cannot be one. */
int http_tokens_make(const char *client, char token[HTTP_TOKEN_TEXT_BYTES],
                     struct buf *row, struct err *err);

#endif
