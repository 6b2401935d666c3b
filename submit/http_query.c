/* SPDX-License-Identifier: MIT */
#include "submit/http_query.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "submit/http_object.h"

static void
refuse(struct http_query *query, const char *name, const char *what)
{
    if (query->error.status != 0)
        return;
    http_error_set(&query->error, 400, "invalid_value", "'%s' %s", name, what);
    http_error_param(&query->error, slice_of(name));
}

bool
http_query_text(struct http_query *query, const char *name)
{
    struct buf value = { 0 };
    bool is_there = http_path_query(&query->request->path, name, &value);

    *query->text = '\0';
    if (value.bytes >= sizeof(query->text) ||
        (value.bytes > 0 && memchr(value.data, '\0', value.bytes)))
        refuse(query, name, "is too long, or holds a NUL");
    else if (value.bytes > 0)
        memcpy(query->text, value.data, value.bytes + 1);
    buf_fini(&value);
    return is_there;
}

int64_t
http_query_int(struct http_query *query, const char *name, int64_t min,
               int64_t max, int64_t absent)
{
    char what[96], *end;
    long long number;

    if (!http_query_text(query, name))
        return absent;
    errno = 0;
    number = strtoll(query->text, &end, 10);
    if (!errno && *query->text >= '0' && *query->text <= '9' && !*end &&
        number >= min && number <= max) {
        return number;
    }
    (void)snprintf(what, sizeof(what), "must be a number from %lld to %lld",
                   (long long)min, (long long)max);
    refuse(query, name, what);
    return absent;
}

const char *
http_query_id(struct http_query *query, const char *name, const char *prefix)
{
    const char *uuid;

    if (!http_query_text(query, name))
        return NULL;
    memcpy(query->id, query->text, sizeof(query->id));
    uuid = http_object_uuid(query->id, prefix);
    if (!uuid)
        refuse(query, name, "must be an id that a list has shown");
    return uuid;
}
