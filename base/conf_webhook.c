/* SPDX-License-Identifier: MIT */
#include "base/conf_webhook.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/url.h"

#define SHOWN_BYTES_MAX 64 /* of an event's name, in a reason */

/* clang-format off */
#define ROW(name, type, initial, min, max, unit, sentence)                   \
    { #name, OPTION_##type, offsetof(struct conf_webhook, name),             \
      initial, min, max, unit, sentence },
/* clang-format on */
static const struct option rows[] = { CONF_WEBHOOK_LIST(ROW) };
#undef ROW

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

const struct option *
conf_webhook_options(size_t *count)
{
    *count = ROW_COUNT;
    return rows;
}

static int
check_name(const struct conf *conf, struct slice name, struct err *err)
{
    if (name.bytes == 0 || name.bytes > CONF_NAME_BYTES_MAX) {
        return err_set(err, E_INVALID,
                       "the name of a webhook has 1 to %d characters",
                       CONF_NAME_BYTES_MAX);
    }
    for (size_t i = 0; i < name.bytes; i++) {
        char c = name.data[i];

        if (!isalnum((unsigned char)c) && c != '_' && c != '.' && c != '-') {
            return err_set(err, E_INVALID,
                           "the name of a webhook is made of letters, digits, "
                           "_, . and -");
        }
    }
    for (size_t i = 0; i < conf->webhook_count; i++) {
        if (slice_is(name, conf->webhooks[i].name)) {
            return err_set(err, E_INVALID, "webhook %s is given twice",
                           conf->webhooks[i].name);
        }
    }
    return 0;
}

int
conf_webhook_add(struct conf *conf, struct slice name, struct err *err)
{
    struct conf_webhook *webhook;
    int rc = check_name(conf, name, err);

    if (rc < 0)
        return rc;
    if (conf->webhook_count == CONF_WEBHOOKS_MAX) {
        return err_set(err, E_FULL, "more than %d webhooks", CONF_WEBHOOKS_MAX);
    }
    webhook = &conf->webhooks[conf->webhook_count];
    webhook->name = mem_dup(name.data, name.bytes);
    for (size_t i = 0; i < ROW_COUNT; i++)
        option_init(&rows[i], webhook);
    return (int)conf->webhook_count++;
}

void
conf_webhook_drop(struct conf *conf)
{
    struct conf_webhook *webhook = &conf->webhooks[--conf->webhook_count];

    for (size_t i = 0; i < ROW_COUNT; i++)
        option_fini(&rows[i], webhook);
    free(webhook->name);
    *webhook = (struct conf_webhook){ 0 };
}

/* One source of the secret, and no more: nothing is ever posted unsigned. */
static int
check_secret(const struct conf_webhook *webhook, struct err *err)
{
    int count = (webhook->secret_file != NULL) +
                (webhook->secret_credential != NULL) +
                (webhook->secret_env != NULL);

    if (count == 1)
        return 0;
    return err_set(err, E_INVALID,
                   count == 0 ? "secret_file, secret_credential or secret_env "
                                "is missing"
                              : "only one of secret_file, secret_credential "
                                "and secret_env can be given");
}

static int
check_events(const char *events, struct err *err)
{
    struct slice rest = slice_of(events), name;

    while (rest.bytes) {
        name = option_list_next(&rest);
        if (event_parse(name) == EVENT_COUNT) {
            return err_set(err, E_INVALID,
                           "events: %.*s is none of batch.completed, "
                           "batch.failed, batch.expired, batch.cancelled, "
                           "alert.fired and alert.resolved",
                           (int)(name.bytes < SHOWN_BYTES_MAX
                                     ? name.bytes
                                     : SHOWN_BYTES_MAX),
                           name.bytes ? name.data : "");
        }
    }
    return 0;
}

int
conf_webhook_complete(const struct conf_webhook *webhook, struct err *err)
{
    int rc = 0;

    if (!webhook->url)
        rc = err_set(err, E_INVALID, "url is missing");
    if (rc == 0)
        rc = check_secret(webhook, err);
    if (rc == 0 && webhook->events)
        rc = check_events(webhook->events, err);
    if (rc == 0 && !webhook->allow_plain_http && url_is_exposed(webhook->url)) {
        rc = err_set(err, E_INVALID,
                     "url: http:// to another host can be read on the way; use "
                     "https://, or set allow_plain_http = yes");
    }
    return rc < 0 ? err_wrap(err, "webhook %s", webhook->name) : 0;
}

void
conf_webhook_dump(const struct conf_webhook *webhook, struct buf *buf)
{
    buf_addf(buf, "\n[webhook \"%s\"]\n", webhook->name);
    for (size_t i = 0; i < ROW_COUNT; i++)
        option_dump(&rows[i], webhook, buf);
}

/* True if a list has an item, or if there is none. */
static bool
is_among(const char *list, const char *item)
{
    struct slice rest = slice_of(list);

    while (rest.bytes) {
        if (slice_is(option_list_next(&rest), item))
            return true;
    }
    return !list;
}

bool
conf_webhook_wants(const struct conf_webhook *webhook, enum event event,
                   const char *client)
{
    return is_among(webhook->events, event_name(event)) &&
           (!client || is_among(webhook->clients, client));
}
