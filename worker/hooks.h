/*
 * hooks.h - the secrets with which events are signed
 *
 * One for each webhook of the worker's own configuration, read like the keys of
 * upstreams (key.h). A secret never leaves the worker: what goes to the receiver
 * is signed with it.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_HOOKS_H
#define WORKER_HOOKS_H

#include <stdbool.h>

#include "base/conf.h"
#include "base/err.h"

struct hooks;

/* Reads all secrets and takes those of the environment out of it. conf is
 * borrowed as long as the hooks live. A webhook whose secret or ca_file cannot be
 * used is not posted to, and a variable that is not set means that there is no
 * secret. All that is logged: another worker may have it. */
struct hooks *hooks_new(const struct conf *conf);

/* Wipes the secrets and frees them; NULL is fine. */
void hooks_free(struct hooks *hooks);

/* Reads anew the secrets that come from files, and logs what became of each: one
 * that cannot be used stays as it was. Looks for the ca_files, too. True if the
 * worker can post to other webhooks now. */
bool hooks_reload(struct hooks *hooks);

/* True if the worker can sign for the nth webhook, and its ca_file is there. */
bool hooks_has(const struct hooks *hooks, size_t nth);

/* The nth webhook's secret, which it has: borrowed until the next reload. */
struct slice hooks_secret(const struct hooks *hooks, size_t nth);

/* The index of a webhook that it can sign for and that is at this URL. -1: there
 * is none, and *code and err say why. */
int hooks_find(const struct hooks *hooks, const char *name, const char *url,
               const char **code, struct err *err);

#endif
