/* SPDX-License-Identifier: MIT */
#include "base/model_map.h"

#include <string.h>

#define SHOWN_BYTES_MAX 64 /* of a part, in a reason */

static struct slice
trim(const char *from, const char *to)
{
    while (from < to && *from == ' ')
        from++;
    while (to > from && to[-1] == ' ')
        to--;
    return (struct slice){ from, (size_t)(to - from) };
}

struct pair {
    struct slice whole, model, name;
};

/* Takes the next pair off a list. False if it is none. */
static bool
next_pair(struct slice *rest, struct pair *pair)
{
    const char *from = rest->data;
    const char *end = memchr(from, ',', rest->bytes);
    size_t bytes = end ? (size_t)(end - from) : rest->bytes;
    const char *equals = memchr(from, '=', bytes);

    rest->data += bytes + (end ? 1 : 0);
    rest->bytes -= bytes + (end ? 1 : 0);
    pair->whole = (struct slice){ from, bytes };
    if (!equals)
        return false;
    pair->model = trim(from, equals);
    pair->name = trim(equals + 1, from + bytes);
    return pair->model.bytes > 0 && pair->name.bytes > 0;
}

int
model_map_check(struct slice list, struct err *err)
{
    struct pair pair;

    while (list.bytes) {
        if (!next_pair(&list, &pair)) {
            return err_set(
                err, E_INVALID, "\"%.*s\" is not of the form model=name",
                (int)(pair.whole.bytes < SHOWN_BYTES_MAX ? pair.whole.bytes
                                                         : SHOWN_BYTES_MAX),
                pair.whole.data);
        }
    }
    return 0;
}

struct slice
model_map_find(struct slice list, struct slice model)
{
    struct pair pair;

    while (list.bytes) {
        if (next_pair(&list, &pair) && slice_equal(pair.model, model))
            return pair.name;
    }
    return model;
}

bool
model_map_next(struct slice *list, struct slice *model)
{
    struct pair pair;

    while (list->bytes) {
        if (next_pair(list, &pair)) {
            *model = pair.model;
            return true;
        }
    }
    return false;
}
