/* SPDX-License-Identifier: MIT */
#include "worker/token.h"
#include "base/utf8.h"

#include <assert.h>
#include <string.h>

static int64_t
least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void
token_fini(struct token *token)
{
    secret_fini(&token->secret);
    *token = (struct token){ 0 };
}

static bool
is_held(const struct token *token)
{
    return token->secret.bytes > 0;
}

enum token_state
token_ask(struct token *token, int64_t patience_ms, int64_t now_ms)
{
    if (is_held(token) && now_ms < token->end_ms)
        return TOKEN_READY;
    secret_drop(&token->secret);
    /* Who comes after a long silence has not waited yet. */
    if (token->asked_ms == 0 || now_ms - token->asked_ms > patience_ms)
        token->wanted_ms = now_ms;
    token->asked_ms = now_ms;
    token->is_asked_for = true;
    return now_ms - token->wanted_ms < patience_ms ? TOKEN_AWAITED
                                                   : TOKEN_MISSING;
}

struct slice
token_use(struct token *token, uint64_t *id, bool *is_first)
{
    assert(is_held(token));
    *id = token->id;
    *is_first = !token->is_used;
    token->is_used = true;
    return secret_peek(&token->secret);
}

bool
token_is_due(const struct token *token, int64_t now_ms)
{
    if (token->is_fetching || now_ms < token->fetch_ms)
        return false;
    if (is_held(token))
        return token->is_used && now_ms >= token->refresh_ms;
    return token->is_asked_for;
}

void
token_fetch(struct token *token, int64_t now_ms)
{
    assert(!token->is_fetching);
    token->is_fetching = true;
    token->is_asked_for = false;
    token->started_ms = now_ms;
}

int
token_came(struct token *token, struct slice value, int64_t expires_ms,
           int64_t ttl_ms, struct err *err)
{
    int64_t life_ms = ttl_ms;
    int rc;

    assert(token->is_fetching);
    rc = secret_set(&token->secret, value, err);
    if (rc < 0)
        return rc;
    if (expires_ms != TOKEN_NO_EXPIRY) {
        expires_ms -= least(expires_ms / 10, TOKEN_MARGIN_MS);
        life_ms = least(ttl_ms, expires_ms);
    }
    token->id++;
    token->end_ms = token->started_ms + life_ms;
    token->refresh_ms = token->end_ms - least(life_ms / 5, TOKEN_AHEAD_MS);
    token->is_used = false;
    token->is_fetching = false;
    token->fetch_ms = 0;
    token->failures = 0;
    token->reason[0] = '\0';
    token->asked_ms = 0;
    return 0;
}

void
token_failed(struct token *token, const char *reason, int64_t wait_ms,
             int64_t now_ms)
{
    struct slice kept = utf8_cut(slice_of(reason), TOKEN_REASON_BYTES_MAX);
    int64_t own_ms = TOKEN_BACKOFF_MS;

    assert(token->is_fetching);
    for (int i = 0; i < token->failures && own_ms < TOKEN_BACKOFF_MAX_MS; i++)
        own_ms *= 2;
    own_ms = least(own_ms, TOKEN_BACKOFF_MAX_MS);
    token->is_fetching = false;
    token->failures++;
    token->fetch_ms = now_ms + (wait_ms > own_ms ? wait_ms : own_ms);
    if (kept.bytes > 0)
        memcpy(token->reason, kept.data, kept.bytes);
    token->reason[kept.bytes] = '\0';
}

bool
token_refused(struct token *token, uint64_t id, int64_t now_ms)
{
    /* There is another one by now, or it is on its way. */
    if (id != token->id || !is_held(token))
        return true;
    if (token->refused_ms > 0 && now_ms < token->refused_ms + TOKEN_REFUSAL_MS)
        return false;
    token->refused_ms = now_ms;
    secret_drop(&token->secret);
    return true;
}

void
token_forgive(struct token *token)
{
    token->failures = 0;
    token->fetch_ms = 0;
    token->asked_ms = 0;
}

int64_t
token_next_ms(const struct token *token, int64_t patience_ms, int64_t now_ms)
{
    int64_t next_ms = TOKEN_NEVER;

    if (!is_held(token) && token->asked_ms > 0 &&
        token->wanted_ms + patience_ms > now_ms) {
        next_ms = token->wanted_ms + patience_ms;
    }
    if (token->is_fetching)
        return next_ms;
    if (is_held(token) && token->is_used)
        return token->refresh_ms > token->fetch_ms ? token->refresh_ms
                                                   : token->fetch_ms;
    if (!is_held(token) && token->is_asked_for)
        return least(next_ms, token->fetch_ms);
    return next_ms;
}
