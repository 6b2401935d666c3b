/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* explicit_bzero */
#include "worker/tokens.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/redact.h"
#include "worker/oauth.h"

struct item {
    struct token token;
    struct call *call; /* the fetch that runs, borrowed; or NULL */
    struct buf body;   /* of its request */
};

struct tokens {
    const struct conf *conf;               /* borrowed */
    const struct keys *keys;               /* borrowed */
    struct calls *calls;                   /* borrowed */
    struct item items[CONF_UPSTREAMS_MAX]; /* as the upstreams */
    struct tokens_count count;
};

struct tokens *
tokens_new(const struct conf *conf, const struct keys *keys,
           struct calls *calls)
{
    struct tokens *tokens = mem_zalloc(1, sizeof(*tokens));

    tokens->conf = conf;
    tokens->keys = keys;
    tokens->calls = calls;
    return tokens;
}

static void
wipe(struct buf *buf)
{
    if (buf->data)
        explicit_bzero(buf->data, buf->bytes);
    buf_fini(buf);
}

void
tokens_free(struct tokens *tokens)
{
    if (!tokens)
        return;
    for (size_t i = 0; i < CONF_UPSTREAMS_MAX; i++) {
        token_fini(&tokens->items[i].token);
        wipe(&tokens->items[i].body);
    }
    free(tokens);
}

/* The upstream's place, or that behind the last if it needs no tokens. */
static size_t
find(const struct tokens *tokens, const char *name)
{
    const struct conf *conf = tokens->conf;

    for (size_t i = 0; i < conf->upstream_count; i++) {
        if (strcmp(conf->upstreams[i].name, name) == 0)
            return conf->upstreams[i].oauth_token_url ? i : SIZE_MAX;
    }
    return SIZE_MAX;
}

static struct token *
get(struct tokens *tokens, const char *name)
{
    size_t nth = find(tokens, name);

    assert(nth != SIZE_MAX);
    return &tokens->items[nth].token;
}

enum token_state
tokens_ask(struct tokens *tokens, const char *name, const char *base_url,
           int64_t now_ms)
{
    size_t nth = find(tokens, name);

    if (nth == SIZE_MAX ||
        strcmp(tokens->conf->upstreams[nth].base_url, base_url) != 0) {
        return TOKEN_NONE;
    }
    return token_ask(&tokens->items[nth].token,
                     tokens->conf->upstreams[nth].oauth_wait_ms, now_ms);
}

struct slice
tokens_use(struct tokens *tokens, const char *name, uint64_t *id)
{
    bool is_first;
    struct slice value = token_use(get(tokens, name), id, &is_first);

    tokens->count.hits += !is_first;
    return value;
}

const char *
tokens_reason(const struct tokens *tokens, const char *name)
{
    size_t nth = find(tokens, name);

    assert(nth != SIZE_MAX);
    return tokens->items[nth].token.reason;
}

bool
tokens_refused(struct tokens *tokens, const char *name, uint64_t id,
               int64_t now_ms)
{
    bool is_again = token_refused(get(tokens, name), id, now_ms);

    log_warn("event=token_refused upstream=%s again=%d", name, is_again);
    return is_again;
}

/* Notes that a fetch has failed, and why, without any secret. */
static void
fail(struct tokens *tokens, size_t nth, const char *reason, int64_t wait_ms,
     int64_t now_ms)
{
    struct token *token = &tokens->items[nth].token;
    struct buf known = { 0 }, clean = { 0 };

    buf_add_str(&known, reason);
    keys_hide(tokens->keys, &known);
    tokens_hide(tokens, &known);
    redact(buf_slice(&known), &clean);
    for (size_t i = 0; i < clean.bytes; i++) {
        if (clean.data[i] == '"') /* it is quoted in the log */
            clean.data[i] = '\'';
    }
    token_failed(token, clean.bytes ? clean.data : "", wait_ms, now_ms);
    log_error("event=token_failed upstream=%s failures=%d wait_ms=%lld "
              "reason=\"%s\"",
              tokens->conf->upstreams[nth].name, token->failures,
              (long long)(token->fetch_ms - now_ms), token->reason);
    buf_fini(&known);
    buf_fini(&clean);
}

static void
fetch(struct tokens *tokens, size_t nth, int64_t now_ms)
{
    const struct conf_upstream *upstream = &tokens->conf->upstreams[nth];
    struct item *item = &tokens->items[nth];
    struct oauth_client client = {
        .id = upstream->oauth_client_id,
        .secret = keys_client_secret(tokens->keys, nth),
        .scope = upstream->oauth_scope,
        .audience = upstream->oauth_audience,
        .is_in_body = upstream->oauth_secret_in_body,
    };
    struct call_order order = {
        .base_url = upstream->oauth_token_url,
        .path = "",
        .key_header = "Authorization: Basic ",
        .content_type = OAUTH_CONTENT_TYPE,
        .ca_file = upstream->ca_file,
        .connect_timeout_ms = upstream->connect_timeout_ms,
        .timeout_ms = TOKENS_TIMEOUT_MS,
        .reply_bytes_max = OAUTH_REPLY_BYTES_MAX,
    };
    struct buf basic = { 0 };
    struct err err = { 0 };
    int rc;

    token_fetch(&item->token, now_ms);
    if (client.secret.bytes == 0) {
        fail(tokens, nth, "the client's secret was not in the environment", 0,
             now_ms);
        return;
    }
    oauth_body(&client, &item->body);
    oauth_basic(&client, &basic);
    order.body = buf_slice(&item->body);
    order.key = buf_slice(&basic);
    rc = calls_start(tokens->calls, &order, &item->call, &err);
    wipe(&basic);
    if (rc == E_IO)
        log_fatal("event=curl_failed reason=\"%s\"", err.msg);
    if (rc < 0) {
        wipe(&item->body);
        fail(tokens, nth, err.msg, 0, now_ms);
        return;
    }
    tokens->count.fetches++;
}

bool
tokens_turn(struct tokens *tokens, int64_t now_ms)
{
    bool is_any = false;

    for (size_t i = 0; i < tokens->conf->upstream_count; i++) {
        if (!tokens->conf->upstreams[i].oauth_token_url ||
            !token_is_due(&tokens->items[i].token, now_ms)) {
            continue;
        }
        fetch(tokens, i, now_ms);
        is_any = true;
    }
    return is_any;
}

static void
take(struct tokens *tokens, size_t nth, struct reply *reply, int64_t now_ms)
{
    const struct conf_upstream *upstream = &tokens->conf->upstreams[nth];
    struct token *token = &tokens->items[nth].token;
    struct oauth_grant grant;
    struct err err = { 0 };
    int rc = oauth_read(reply, clock_wall_ms(), &grant, &err);

    if (rc == 0) {
        rc = token_came(token, secret_peek(&grant.token), grant.expires_ms,
                        upstream->oauth_ttl_ms, &err);
    }
    secret_fini(&grant.token);
    if (rc < 0) {
        fail(tokens, nth, err.msg, grant.wait_ms, now_ms);
        return;
    }
    log_info("event=token_fetched upstream=%s latency_ms=%lld life_ms=%lld",
             upstream->name, (long long)reply->latency_ms,
             (long long)(token->end_ms - token->started_ms));
}

bool
tokens_end(struct tokens *tokens, const struct call *call, struct reply *reply,
           int64_t now_ms)
{
    for (size_t i = 0; i < tokens->conf->upstream_count; i++) {
        struct item *item = &tokens->items[i];

        if (!item->call || item->call != call)
            continue;
        item->call = NULL;
        wipe(&item->body);
        take(tokens, i, reply, now_ms);
        wipe(&reply->body);
        return true;
    }
    return false;
}

int64_t
tokens_next_ms(const struct tokens *tokens, int64_t now_ms)
{
    int64_t next_ms = TOKEN_NEVER;

    for (size_t i = 0; i < tokens->conf->upstream_count; i++) {
        int64_t at_ms =
            token_next_ms(&tokens->items[i].token,
                          tokens->conf->upstreams[i].oauth_wait_ms, now_ms);

        if (at_ms < next_ms)
            next_ms = at_ms;
    }
    return next_ms;
}

void
tokens_forgive(struct tokens *tokens)
{
    for (size_t i = 0; i < tokens->conf->upstream_count; i++)
        token_forgive(&tokens->items[i].token);
}

struct tokens_count
tokens_count(const struct tokens *tokens)
{
    return tokens->count;
}

void
tokens_count_reset(struct tokens *tokens)
{
    tokens->count = (struct tokens_count){ 0 };
}

void
tokens_hide(const struct tokens *tokens, struct buf *text)
{
    for (size_t i = 0; i < tokens->conf->upstream_count; i++)
        secret_hide(&tokens->items[i].token.secret, text);
}

void
tokens_mask(const struct tokens *tokens, struct buf *text)
{
    for (size_t i = 0; i < tokens->conf->upstream_count; i++)
        secret_mask(&tokens->items[i].token.secret, text);
}
