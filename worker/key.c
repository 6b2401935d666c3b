/* SPDX-License-Identifier: MIT */
#include "worker/key.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "worker/ca_file.h"
#include "worker/secret.h"

#define NO_KEY "key_unreadable"
#define NO_CA  "ca_unreadable"

/* Why an upstream is not to be asked. */
struct lack {
    const char *code; /* as in a result, and in the log; NULL: it may be */
    struct err err;
};

struct keys {
    const struct conf *conf;                 /* borrowed */
    struct secret items[CONF_UPSTREAMS_MAX]; /* as the upstreams */
    struct lack lacks[CONF_UPSTREAMS_MAX];   /* the same */
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

/* Reads what the nth upstream is called with. *lack says what cannot be read. */
static int
read_nth(struct keys *keys, size_t nth, struct lack *lack)
{
    const struct conf_upstream *upstream = &keys->conf->upstreams[nth];

    *lack = (struct lack){ .code = NO_KEY };
    if (read_one(upstream, &keys->items[nth], &lack->err) < 0)
        return lack->err.code;
    lack->code = NO_CA;
    if (ca_file_check(upstream->ca_file, &lack->err) < 0)
        return lack->err.code;
    lack->code = NULL;
    return 0;
}

static void
log_lack(const char *upstream, const struct lack *lack, bool is_asked)
{
    log_error("event=%s upstream=%s reason=\"%s; %s\"", lack->code, upstream,
              lack->err.msg,
              is_asked ? "the earlier one stays in use"
                       : "nothing is asked there until it can be read");
}

/* Tells of those that lack something; a failure if that is all of them. */
static int
tell_lacks(const struct keys *keys, struct err *err)
{
    size_t count = keys->conf->upstream_count, first = count, lack_count = 0;

    for (size_t i = count; i > 0; i--) {
        lack_count += keys->lacks[i - 1].code != NULL;
        if (keys->lacks[i - 1].code)
            first = i - 1;
    }
    if (lack_count > 0 && lack_count == count) {
        *err = keys->lacks[first].err;
        return err_wrap(err, "upstream %s", keys->conf->upstreams[first].name);
    }
    for (size_t i = first; i < count; i++) {
        if (keys->lacks[i].code) {
            log_lack(keys->conf->upstreams[i].name, &keys->lacks[i], false);
        }
    }
    return 0;
}

struct keys *
keys_new(const struct conf *conf, struct err *err)
{
    struct keys *keys = mem_zalloc(1, sizeof(*keys));

    assert(conf->upstream_count <= CONF_UPSTREAMS_MAX);
    keys->conf = conf;
    for (size_t i = 0; i < conf->upstream_count; i++) {
        if (read_nth(keys, i, &keys->lacks[i]) == 0)
            tell_missing(&conf->upstreams[i], &keys->items[i]);
    }
    /* Others who look at our environment shall not find a key there either.
     * Only now: two upstreams may name the same variable. */
    for (size_t i = 0; i < conf->upstream_count; i++) {
        if (source_of(&conf->upstreams[i]).variable)
            secret_forget_variable(source_of(&conf->upstreams[i]).variable);
    }
    if (tell_lacks(keys, err) < 0) {
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

/* Reads anew what the nth upstream is called with; *lack says what cannot be read.
 * A key that was read once stays in use then. */
static int
reread(struct keys *keys, size_t nth, struct lack *lack)
{
    const struct conf_upstream *upstream = &keys->conf->upstreams[nth];
    struct lack *own = &keys->lacks[nth];
    const char *data = keys->items[nth].data;
    bool had_key = !own->code || strcmp(own->code, NO_KEY) != 0;

    /* What was in the environment is gone from there: it is what it was. */
    if (source_of(upstream).variable && !had_key) {
        *lack = *own;
        return lack->err.code;
    }
    (void)read_nth(keys, nth, lack);
    if (!lack->code || !had_key || strcmp(lack->code, NO_KEY) != 0)
        *own = *lack;
    if (keys->items[nth].data != data)
        log_info("event=key_changed upstream=%s", upstream->name);
    return lack->err.code;
}

void
keys_reload(struct keys *keys)
{
    for (size_t i = 0; i < keys->conf->upstream_count; i++) {
        struct lack lack;

        if (reread(keys, i, &lack) < 0) {
            log_lack(keys->conf->upstreams[i].name, &lack,
                     !keys->lacks[i].code);
        }
    }
}

/* The upstream of this name at this base URL in our configuration; or the number
 * of them. */
static size_t
place_of(const struct keys *keys, const char *name, const char *base_url)
{
    const struct conf *conf = keys->conf;
    size_t i = 0;

    while (i < conf->upstream_count &&
           (strcmp(conf->upstreams[i].name, name) != 0 ||
            strcmp(conf->upstreams[i].base_url, base_url) != 0)) {
        i++;
    }
    return i;
}

const char *
keys_lack(const struct keys *keys, const char *name, const char *base_url,
          const char **code)
{
    size_t nth = place_of(keys, name, base_url);

    if (nth == keys->conf->upstream_count || !keys->lacks[nth].code)
        return NULL;
    *code = keys->lacks[nth].code;
    return keys->lacks[nth].err.msg;
}

void
keys_retry(struct keys *keys, const char *name, const char *base_url)
{
    size_t nth = place_of(keys, name, base_url);
    struct lack lack;

    if (nth < keys->conf->upstream_count && keys->lacks[nth].code)
        (void)reread(keys, nth, &lack);
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
