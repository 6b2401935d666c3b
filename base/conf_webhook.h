/*
 * conf_webhook.h - the sections [webhook "name"] of a configuration
 *
 * Private to base/: what conf.c does with them while it reads a file.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_CONF_WEBHOOK_H
#define BASE_CONF_WEBHOOK_H

#include "base/conf.h"
#include "base/option.h"

/* The options of such a section. */
const struct option *conf_webhook_options(size_t *count);

/* Adds a webhook at its defaults and returns its index. E_INVALID: the name;
 * E_FULL: CONF_WEBHOOKS_MAX. */
int conf_webhook_add(struct conf *conf, struct slice name, struct err *err);

/* Takes out the webhook that was added last. */
void conf_webhook_drop(struct conf *conf);

/* Checks what can be said only when all of a section is known. E_INVALID. */
int conf_webhook_complete(const struct conf_webhook *webhook, struct err *err);

/* Appends the section. */
void conf_webhook_dump(const struct conf_webhook *webhook, struct buf *buf);

#endif
