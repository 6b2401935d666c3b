/* SPDX-License-Identifier: MIT */
#include "worker/hooks.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "worker/ca_file.h"
#include "worker/secret.h"
#include "worker/signature.h"

struct hooks {
    const struct conf *conf;                /* borrowed */
    struct secret items[CONF_WEBHOOKS_MAX]; /* as the webhooks */
    struct err lacks[CONF_WEBHOOKS_MAX];    /* why one is not posted to; or 0 */
};

/* Reads one, and says where it was to come from if it cannot be used; then it is
 * as it was. */
static int
read_one(const struct conf_webhook *webhook, struct secret *secret,
         struct err *err)
{
    const struct secret_source source = {
        .file = webhook->secret_file,
        .credential = webhook->secret_credential,
        .variable = webhook->secret_env,
    };
    struct secret fresh = { 0 };
    int rc = secret_read(&fresh, &source, err);

    if (rc == 0 && fresh.bytes > 0)
        rc = signature_check(secret_peek(&fresh), err);
    if (rc == 0 && fresh.bytes > 0)
        rc = secret_set(secret, secret_peek(&fresh), err);
    secret_fini(&fresh);
    if (rc < 0 && source.file)
        return err_wrap(err, "secret_file %s", source.file);
    if (rc < 0 && source.credential)
        return err_wrap(err, "secret_credential %s", source.credential);
    return rc < 0 ? err_wrap(err, "secret_env %s", source.variable) : 0;
}

/* Reads what the nth webhook is posted to with, and logs what is wrong with it. A
 * secret that was there before stays. */
static void
read_nth(struct hooks *hooks, size_t nth)
{
    const struct conf_webhook *webhook = &hooks->conf->webhooks[nth];
    struct secret *secret = &hooks->items[nth];
    struct err err = { 0 };

    hooks->lacks[nth] = (struct err){ 0 };
    if (read_one(webhook, secret, &err) < 0) {
        log_error("event=secret_unusable webhook=%s reason=\"%s; %s\"",
                  webhook->name, err.msg,
                  secret->bytes > 0
                      ? "the earlier one stays in use"
                      : "nothing is posted there until it can be used");
        if (secret->bytes == 0)
            hooks->lacks[nth] = err;
    }
    err = (struct err){ 0 };
    if (ca_file_check(webhook->ca_file, &err) < 0) {
        log_error("event=ca_unreadable webhook=%s reason=\"%s; nothing is "
                  "posted there until it can be read\"",
                  webhook->name, err.msg);
        hooks->lacks[nth] = err;
    }
}

struct hooks *
hooks_new(const struct conf *conf)
{
    struct hooks *hooks = mem_zalloc(1, sizeof(*hooks));

    hooks->conf = conf;
    for (size_t i = 0; i < conf->webhook_count; i++) {
        read_nth(hooks, i);
        if (hooks->lacks[i].code == 0 && hooks->items[i].bytes == 0)
            log_warn("event=webhook_without_secret webhook=%s variable=%s",
                     conf->webhooks[i].name, conf->webhooks[i].secret_env);
    }
    /* Only now: two webhooks may name the same variable. */
    for (size_t i = 0; i < conf->webhook_count; i++) {
        if (conf->webhooks[i].secret_env)
            secret_forget_variable(conf->webhooks[i].secret_env);
    }
    return hooks;
}

void
hooks_free(struct hooks *hooks)
{
    if (!hooks)
        return;
    for (size_t i = 0; i < CONF_WEBHOOKS_MAX; i++)
        secret_fini(&hooks->items[i]);
    free(hooks);
}

/* What was in the environment is gone from there: it is what it was. */
static void
reread(struct hooks *hooks, size_t nth)
{
    const struct conf_webhook *webhook = &hooks->conf->webhooks[nth];
    const char *data = hooks->items[nth].data;

    if (webhook->secret_env && hooks->items[nth].bytes == 0)
        return;
    read_nth(hooks, nth);
    if (hooks->items[nth].data != data)
        log_info("event=secret_changed webhook=%s", webhook->name);
}

bool
hooks_reload(struct hooks *hooks)
{
    bool is_news = false;

    for (size_t i = 0; i < hooks->conf->webhook_count; i++) {
        bool had = hooks_has(hooks, i);

        reread(hooks, i);
        is_news |= hooks_has(hooks, i) != had;
    }
    return is_news;
}

bool
hooks_has(const struct hooks *hooks, size_t nth)
{
    assert(nth < hooks->conf->webhook_count);
    return hooks->items[nth].bytes > 0 && hooks->lacks[nth].code == 0;
}

struct slice
hooks_secret(const struct hooks *hooks, size_t nth)
{
    assert(hooks_has(hooks, nth));
    return secret_peek(&hooks->items[nth]);
}

int
hooks_find(const struct hooks *hooks, const char *name, const char *url,
           const char **code, struct err *err)
{
    const struct conf *conf = hooks->conf;
    size_t nth = 0;

    while (nth < conf->webhook_count &&
           strcmp(conf->webhooks[nth].name, name) != 0) {
        nth++;
    }
    if (nth < conf->webhook_count && hooks->lacks[nth].code != 0) {
        *code = "unusable";
        *err = hooks->lacks[nth];
        return -1;
    }
    if (nth == conf->webhook_count || !hooks_has(hooks, nth)) {
        *code = "no_secret";
        err_set(err, E_NOTFOUND, "the worker has no secret of this name");
        return -1;
    }
    if (strcmp(conf->webhooks[nth].url, url) != 0) {
        *code = "url_mismatch";
        err_set(err, E_INVALID, "the worker's configuration has another url");
        return -1;
    }
    return (int)nth;
}
