/*
 * upstream.h - where requests go, as the broker says in its welcome
 *
 * URLs and limits are the broker's; only credentials are the worker's own (see
 * key.h). The upstream `local` is always there and stands in no list.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_UPSTREAM_H
#define WORKER_UPSTREAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/dialect.h"
#include "base/err.h"
#include "base/url.h"
#include "queue/wire.h"
#include "worker/extract.h"

#define UPSTREAM_TIMEOUT_MS_MAX  INT64_C(86400000)
#define UPSTREAM_REPLY_BYTES_MAX INT64_C(268435456)
#define UPSTREAM_SPEED_BYTES_MAX INT64_C(1048576)

struct upstream {
    char name[CONF_NAME_BYTES_MAX + 1];
    char base_url[URL_BYTES_MAX + 1];
    const struct dialect *dialect;
    enum extract_shape shape; /* of its replies, most likely */
    int64_t max_tokens;       /* see translation.h */
    int64_t connect_timeout_ms;
    int64_t low_speed_ms;    /* as in the order of a call */
    int64_t low_speed_bytes; /* the same */
    int64_t reply_bytes_max;
};

/* Zero-initialised is empty and valid. */
struct upstreams {
    size_t count;
    struct upstream items[CONF_UPSTREAMS_MAX];
};

/* Reads the member `upstreams` of a welcome. Entries named `local` are left
 * out. E_INVALID names what is wrong; then *out is as it was. */
int upstreams_read(const struct wire *welcome, struct upstreams *out,
                   struct err *err) __attribute__((warn_unused_result));

/* The upstream of this name, borrowed; NULL if there is none. */
const struct upstream *upstreams_find(const struct upstreams *upstreams,
                                      const char *name);

#endif
