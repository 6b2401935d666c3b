/*
 * dialect.h - how upstreams are spoken to: paths, headers, defaults
 *
 * A row of one table for each API that an upstream may have. A request is kept
 * and sent to workers as a chat completion of OpenAI's; the worker turns it
 * into the dialect and knows the shape of its replies. What both sides must
 * know stands here.
 *
 * A path may hold {model}, which is the name of the request's model and is put
 * in by the worker, and {api_version}, which is the configuration's.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_DIALECT_H
#define BASE_DIALECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define DIALECT_DEFAULT     "openai"
#define DIALECT_HEADERS_MAX 2
#define DIALECT_CHAT_PATH   "/chat/completions"
#define DIALECT_MODEL       "{model}"

struct dialect {
    const char *name;
    const char *path;        /* of a chat completion */
    const char *api_version; /* NULL: none */
    const char *shape;       /* of its replies, as extract.h calls it */
    const char *key_header;  /* the key stands behind it */
    const char *headers[DIALECT_HEADERS_MAX]; /* sent with each call */
    int64_t max_tokens; /* of answers whose length has no limit, for an API
                           that asks for one; 0: it does not */
    bool is_openai;     /* bodies are sent as they are, to any endpoint */
};

/* The dialect of that name, or DIALECT_DEFAULT for NULL; NULL if there is none.
 * Never freed. */
const struct dialect *dialect_find(const char *name);

/* The nth dialect, from 0; NULL behind the last. */
const struct dialect *dialect_at(size_t nth);

/* Appends a path with the API's version in the places meant for it. */
void dialect_add_path(const char *path, const char *api_version,
                      struct buf *out);

/* Appends the path of another endpoint ("/embeddings"), given that of chat
 * completions: it takes the place of /chat/completions where the dialect has
 * something around that, and is all of the path else. */
void dialect_add_endpoint(const struct dialect *dialect, const char *chat_path,
                          struct slice endpoint, struct buf *out);

#endif
