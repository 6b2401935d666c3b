/*
 * token.h - the life of one upstream's access token
 *
 *            fetch              came                 fetch
 *   (none) ────────► fetching ───────► held ──────────────────► held, fetching
 *     ▲  ◄──────────    │ failed        │ ▲ ◄──────────────────   │      │
 *     │     later again ┘               │ └─── came; or failed ───┘      │
 *     └─────────────────────────────────┴─── its end, or it is refused ──┘
 *
 * A token is fetched when somebody asks for one and there is none; and again a
 * while before its end, if it was used at all, while calls go on with the one
 * that is held. There is one fetch at a time, and after one that failed a wait,
 * which doubles. Who asks in vain waits, but not for ever.
 *
 * A pure value; zero-initialised, there is none. Times are milliseconds, passed
 * in, and never 0.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_TOKEN_H
#define WORKER_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/secret.h"

#define TOKEN_NEVER            INT64_MAX
#define TOKEN_NO_EXPIRY        (-1)
#define TOKEN_MARGIN_MS        30000 /* of a server's word; a tenth at most */
#define TOKEN_AHEAD_MS         60000 /* so long before its end; a fifth at most */
#define TOKEN_BACKOFF_MS       500   /* after the first failure, doubling */
#define TOKEN_BACKOFF_MAX_MS   30000
#define TOKEN_REFUSAL_MS       60000 /* one is thrown away no more often */
#define TOKEN_REASON_BYTES_MAX 255

enum token_state {
    TOKEN_NONE,    /* none is needed */
    TOKEN_READY,   /* there is one to be used */
    TOKEN_AWAITED, /* it should come */
    TOKEN_MISSING, /* it has not come in time */
};

struct token {
    struct secret secret;
    uint64_t id;        /* of the one that came last; 0 before the first */
    int64_t refresh_ms; /* a new one is to be fetched then */
    int64_t end_ms;     /* it must not be used from then on */
    bool is_used;       /* since it came */

    bool is_fetching;
    int64_t started_ms;                      /* the fetch, if there is one */
    int64_t fetch_ms;                        /* none before this */
    int failures;                            /* of fetches in a row */
    char reason[TOKEN_REASON_BYTES_MAX + 1]; /* of the last one, or "" */

    bool is_asked_for; /* in vain, since the last fetch began */
    int64_t asked_ms;  /* in vain, the last time; 0: never */
    int64_t wanted_ms; /* in vain from then on */

    int64_t refused_ms; /* when one was last thrown away; 0: never */
};

/* Wipes the token. */
void token_fini(struct token *token);

/* Asks for the token: READY, AWAITED, or MISSING if it was asked for in vain for
 * patience_ms. */
enum token_state token_ask(struct token *token, int64_t patience_ms,
                           int64_t now_ms);

/* Uses the token, which must be READY; borrowed until the next change. Its id
 * tells it from others. *is_first: nobody has used it before. */
struct slice token_use(struct token *token, uint64_t *id, bool *is_first);

/* True if a fetch is to be started. */
bool token_is_due(const struct token *token, int64_t now_ms);

/* A fetch has been started. */
void token_fetch(struct token *token, int64_t now_ms);

/* The fetch has brought a token, copied, that lasts expires_ms by the server's
 * word (or TOKEN_NO_EXPIRY) and is not to be kept for more than ttl_ms; both
 * count from when it was asked for. E_INVALID: it is none; the fetch goes on. */
int token_came(struct token *token, struct slice value, int64_t expires_ms,
               int64_t ttl_ms, struct err *err)
    __attribute__((warn_unused_result));

/* The fetch has failed for this reason. The next one waits for as long as the
 * server named, if that is longer than our own wait. */
void token_failed(struct token *token, const char *reason, int64_t wait_ms,
                  int64_t now_ms);

/* The upstream has refused a call with the token of this id. True if the call is
 * to be made again, with a new one: it may have been revoked. No more than one a
 * minute is thrown away for that, as a new one is refused like it if it is the
 * client that has no right. */
bool token_refused(struct token *token, uint64_t id, int64_t now_ms);

/* What it was that failed may have changed: the next fetch need not wait. */
void token_forgive(struct token *token);

/* When there is something to do for the token or for who asks for it;
 * TOKEN_NEVER if nothing is known of. */
int64_t token_next_ms(const struct token *token, int64_t patience_ms,
                      int64_t now_ms);

#endif
