/* SPDX-License-Identifier: MIT */
#include "worker/key.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "worker/secret.h"

struct keys {
    const struct conf *conf;                 /* borrowed */
    struct secret items[CONF_UPSTREAMS_MAX]; /* as the upstreams */
};

static struct secret_source
source_of(const struct conf_upstream *upstream)
{
    if (upstream->oauth_token_url) {
        return (struct secret_source){
            .file = upstream->oauth_client_secret_file,
            .credential = upstream->oauth_client_secret_credential,
            .variable = upstream->oauth_client_secret_env,
        };
    }
    return (struct secret_source){
        .file = upstream->key_file,
        .credential = upstream->key_credential,
        .variable = upstream->key_env,
    };
}

/* Reads one, and says where it was to come from if it cannot be read. */
static int
read_one(const struct conf_upstream *upstream, struct secret *secret,
         struct err *err)
{
    struct secret_source source = source_of(upstream);
    const char *what =
        upstream->oauth_token_url ? "oauth_client_secret" : "key";
    int rc = secret_read(secret, &source, err);

    if (rc < 0 && source.file)
        return err_wrap(err, "%s_file %s", what, source.file);
    if (rc < 0 && source.credential)
        return err_wrap(err, "%s_credential %s", what, source.credential);
    return rc < 0 ? err_wrap(err, "%s_env %s", what, source.variable) : 0;
}

/* A variable that is named was to be set, though there may be a reason: what asks
 * for no key answers without one, and the rest says so. */
static void
tell_missing(const struct conf_upstream *upstream, const struct secret *secret)
{
    const char *variable = source_of(upstream).variable;

    if (variable && secret_peek(secret).bytes == 0) {
        log_warn("event=key_missing upstream=%s variable=%s reason=\"it is not "
                 "set in the worker's environment: calls are made without it\"",
                 upstream->name, variable);
    }
}

struct keys *
keys_new(const struct conf *conf, struct err *err)
{
    struct keys *keys = mem_zalloc(1, sizeof(*keys));
    int rc = 0;

    assert(conf->upstream_count <= CONF_UPSTREAMS_MAX);
    keys->conf = conf;
    for (size_t i = 0; i < conf->upstream_count && rc == 0; i++) {
        rc = read_one(&conf->upstreams[i], &keys->items[i], err);
        if (rc == 0)
            tell_missing(&conf->upstreams[i], &keys->items[i]);
        else
            err_wrap(err, "upstream %s", conf->upstreams[i].name);
    }
    /* Others who look at our environment shall not find a key there either.
     * Only now: two upstreams may name the same variable. */
    for (size_t i = 0; i < conf->upstream_count; i++) {
        if (source_of(&conf->upstreams[i]).variable)
            secret_forget_variable(source_of(&conf->upstreams[i]).variable);
    }
    if (rc < 0) {
        keys_free(keys);
        return NULL;
    }
    return keys;
}

void
keys_free(struct keys *keys)
{
    if (!keys)
        return;
    for (size_t i = 0; i < CONF_UPSTREAMS_MAX; i++)
        secret_fini(&keys->items[i]);
    free(keys);
}

void
keys_reload(struct keys *keys)
{
    for (size_t i = 0; i < keys->conf->upstream_count; i++) {
        const struct conf_upstream *upstream = &keys->conf->upstreams[i];
        struct secret *secret = &keys->items[i];
        const char *data = secret->data;
        struct err err = { 0 };

        /* What was in the environment is gone from there. */
        if (source_of(upstream).variable)
            continue;
        if (read_one(upstream, secret, &err) < 0) {
            log_error("event=key_unreadable upstream=%s reason=\"%s; the "
                      "earlier one stays in use\"",
                      upstream->name, err.msg);
        } else if (secret->data != data) {
            log_info("event=key_changed upstream=%s", upstream->name);
        }
    }
}

enum key_found
keys_find(const struct keys *keys, const char *name, const char *base_url,
          struct slice *key)
{
    const struct conf *conf = keys->conf;

    for (size_t i = 0; i < conf->upstream_count; i++) {
        if (strcmp(conf->upstreams[i].name, name) != 0)
            continue;
        if (keys->items[i].bytes == 0)
            return KEY_NONE;
        if (strcmp(conf->upstreams[i].base_url, base_url) != 0)
            return KEY_MISMATCH;
        /* A client's secret is no key: it goes to its token server only. */
        if (conf->upstreams[i].oauth_token_url)
            return KEY_NONE;
        *key = secret_peek(&keys->items[i]);
        return KEY_FOUND;
    }
    return KEY_NONE;
}

struct slice
keys_client_secret(const struct keys *keys, size_t nth)
{
    assert(nth < keys->conf->upstream_count);
    assert(keys->conf->upstreams[nth].oauth_token_url);
    return secret_peek(&keys->items[nth]);
}

void
keys_hide(const struct keys *keys, struct buf *text)
{
    for (size_t i = 0; i < keys->conf->upstream_count; i++)
        secret_hide(&keys->items[i], text);
}

void
keys_mask(const struct keys *keys, struct buf *text)
{
    for (size_t i = 0; i < keys->conf->upstream_count; i++)
        secret_mask(&keys->items[i], text);
}
