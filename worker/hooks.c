/* SPDX-License-Identifier: MIT */
#include "worker/hooks.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "worker/secret.h"
#include "worker/signature.h"

struct hooks {
    const struct conf *conf;                /* borrowed */
    struct secret items[CONF_WEBHOOKS_MAX]; /* as the webhooks */
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

struct hooks *
hooks_new(const struct conf *conf, struct err *err)
{
    struct hooks *hooks = mem_zalloc(1, sizeof(*hooks));
    int rc = 0;

    hooks->conf = conf;
    for (size_t i = 0; i < conf->webhook_count && rc == 0; i++) {
        rc = read_one(&conf->webhooks[i], &hooks->items[i], err);
        if (rc < 0)
            err_wrap(err, "webhook %s", conf->webhooks[i].name);
        else if (hooks->items[i].bytes == 0)
            log_warn("event=webhook_without_secret webhook=%s variable=%s",
                     conf->webhooks[i].name, conf->webhooks[i].secret_env);
    }
    /* Only now: two webhooks may name the same variable. */
    for (size_t i = 0; i < conf->webhook_count; i++) {
        if (conf->webhooks[i].secret_env)
            secret_forget_variable(conf->webhooks[i].secret_env);
    }
    if (rc < 0) {
        hooks_free(hooks);
        return NULL;
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

void
hooks_reload(struct hooks *hooks)
{
    for (size_t i = 0; i < hooks->conf->webhook_count; i++) {
        const struct conf_webhook *webhook = &hooks->conf->webhooks[i];
        const char *data = hooks->items[i].data;
        struct err err = { 0 };

        if (webhook->secret_env) /* it is gone from there */
            continue;
        if (read_one(webhook, &hooks->items[i], &err) < 0) {
            log_error("event=secret_unusable webhook=%s reason=\"%s; the "
                      "earlier one stays in use\"",
                      webhook->name, err.msg);
        } else if (hooks->items[i].data != data) {
            log_info("event=secret_changed webhook=%s", webhook->name);
        }
    }
}

bool
hooks_has(const struct hooks *hooks, size_t nth)
{
    assert(nth < hooks->conf->webhook_count);
    return hooks->items[nth].bytes > 0;
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
