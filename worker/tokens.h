/*
 * tokens.h - the access tokens of all upstreams that need them
 *
 * An upstream whose section names a token server is called with a token of that
 * in place of a key. Tokens live in this process only: they are in no file, and
 * a worker that starts has none. They are fetched by calls of their own, beside
 * those of leases, so that a token server that hangs holds up nothing but who
 * needs it.
 *
 * The client's secret goes to the token URL of the worker's own configuration
 * and nowhere else, the token to the base URL beside it and nowhere else.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_TOKENS_H
#define WORKER_TOKENS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/conf.h"
#include "worker/call.h"
#include "worker/key.h"
#include "worker/token.h"

#define TOKENS_TIMEOUT_MS 30000 /* of a fetch */

struct tokens;

/* What was counted since tokens_count_reset(). */
struct tokens_count {
    int64_t hits;    /* calls with a token that had served before */
    int64_t fetches; /* requests for tokens */
};

/* Without any token yet. All are borrowed for the tokens' life; `calls` has room
 * for one fetch for each upstream. Freed with tokens_free(), which wipes them,
 * once the calls are gone; NULL is fine there. */
struct tokens *tokens_new(const struct conf *conf, const struct keys *keys,
                          struct calls *calls);
void tokens_free(struct tokens *tokens);

/* Asks for the token of an upstream at this URL: what may be done with a call.
 * Who asks for one that is awaited asks again when tokens_end() says so. */
enum token_state tokens_ask(struct tokens *tokens, const char *name,
                            const char *base_url, int64_t now_ms);

/* Uses the token of an upstream, which is READY: borrowed, and its id. */
struct slice tokens_use(struct tokens *tokens, const char *name, uint64_t *id);

/* Why an upstream's token is MISSING; borrowed until the next change. */
const char *tokens_reason(const struct tokens *tokens, const char *name);

/* A call with a token was refused: see token_refused(). */
bool tokens_refused(struct tokens *tokens, const char *name, uint64_t id,
                    int64_t now_ms);

/* Starts the fetches that are due. True if it did. */
bool tokens_turn(struct tokens *tokens, int64_t now_ms);

/* A call has ended with this reply. True if it was a fetch; then the reply is
 * taken care of. */
bool tokens_end(struct tokens *tokens, const struct call *call,
                struct reply *reply, int64_t now_ms);

/* When tokens_turn() or who waits has something to do; TOKEN_NEVER if never. */
int64_t tokens_next_ms(const struct tokens *tokens, int64_t now_ms);

/* Credentials were read anew: fetches that failed are tried at once. */
void tokens_forgive(struct tokens *tokens);

/* What to report, and that it was reported. */
struct tokens_count tokens_count(const struct tokens *tokens);
void tokens_count_reset(struct tokens *tokens);

/* As keys_hide() and keys_mask(). */
void tokens_hide(const struct tokens *tokens, struct buf *text);
void tokens_mask(const struct tokens *tokens, struct buf *text);

#endif
