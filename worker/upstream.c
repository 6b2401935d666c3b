/* SPDX-License-Identifier: MIT */
#include "worker/upstream.h"

#include <string.h>

#define CONNECT_TIMEOUT_MS 10000
#define REPLY_BYTES        8388608
#define DIALECT_BYTES_MAX  32

static int
read_one(cJSON *item, struct upstream *out, struct err *err)
{
    const struct wire wire = { .head = item };
    const char *name, *base_url, *dialect;

    if (!cJSON_IsObject(item))
        return err_set(err, E_INVALID, "not an object");
    if (wire_str(&wire, "name", CONF_NAME_BYTES_MAX, NULL, &name, err) < 0 ||
        wire_str(&wire, "base_url", URL_BYTES_MAX, "", &base_url, err) < 0 ||
        wire_str(&wire, "dialect", DIALECT_BYTES_MAX, DIALECT_DEFAULT, &dialect,
                 err) < 0 ||
        wire_int(&wire, "max_tokens_default", wire_range_or(0, WIRE_INT_MAX, 0),
                 &out->max_tokens, err) < 0 ||
        wire_int(&wire, "connect_timeout_ms",
                 wire_range_or(1, UPSTREAM_TIMEOUT_MS_MAX, CONNECT_TIMEOUT_MS),
                 &out->connect_timeout_ms, err) < 0 ||
        wire_int(&wire, "low_speed_ms",
                 wire_range_or(0, UPSTREAM_TIMEOUT_MS_MAX, 0),
                 &out->low_speed_ms, err) < 0 ||
        wire_int(&wire, "low_speed_bytes",
                 wire_range_or(1, UPSTREAM_SPEED_BYTES_MAX, 1),
                 &out->low_speed_bytes, err) < 0 ||
        wire_int(&wire, "reply_bytes_max",
                 wire_range_or(1, UPSTREAM_REPLY_BYTES_MAX, REPLY_BYTES),
                 &out->reply_bytes_max, err) < 0) {
        return E_INVALID;
    }
    out->dialect = dialect_find(dialect);
    if (!out->dialect) {
        return err_set(err, E_INVALID,
                       "%s: dialect %s: not known to this worker; use programs "
                       "of the same version",
                       name, dialect);
    }
    out->shape = extract_shape_of(out->dialect->shape);
    memcpy(out->name, name, strlen(name) + 1);
    memcpy(out->base_url, base_url, strlen(base_url) + 1);
    return 0;
}

int
upstreams_read(const struct wire *welcome, struct upstreams *out,
               struct err *err)
{
    const cJSON *list = wire_get(welcome, "upstreams");
    struct upstreams read = { 0 };

    if (!cJSON_IsArray(list))
        return err_set(err, E_INVALID, "upstreams: not an array");
    for (cJSON *item = list->child; item; item = item->next) {
        struct upstream *next = &read.items[read.count];

        if (read.count == CONF_UPSTREAMS_MAX) {
            return err_set(err, E_INVALID, "upstreams: more than %d",
                           CONF_UPSTREAMS_MAX);
        }
        if (read_one(item, next, err) < 0)
            return err_wrap(err, "upstreams");
        if (strcmp(next->name, CONF_LOCAL) != 0)
            read.count++;
    }
    *out = read;
    return 0;
}

const struct upstream *
upstreams_find(const struct upstreams *upstreams, const char *name)
{
    for (size_t i = 0; i < upstreams->count; i++) {
        if (strcmp(upstreams->items[i].name, name) == 0)
            return &upstreams->items[i];
    }
    return NULL;
}
