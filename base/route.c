/* SPDX-License-Identifier: MIT */
#include "base/route.h"

#include <assert.h>
#include <string.h>

#include "base/option.h"

#define SHOWN_BYTES_MAX 64

static const char *const resorts[RESORT_COUNT] = {
#define ROUTE_ROW(name, text) [RESORT_##name] = text,
    ROUTE_RESORTS(ROUTE_ROW)
#undef ROUTE_ROW
};

int
route_resort(struct slice word)
{
    for (int i = 0; i < RESORT_COUNT; i++) {
        if (slice_is(word, resorts[i]))
            return i;
    }
    return -1;
}

bool
route_has(const struct route *route, size_t member)
{
    for (size_t i = 0; i < route->count; i++) {
        if (route->members[i] == member)
            return true;
    }
    return false;
}

/* Puts a member in its place: the members are in the order of their names. */
static void
insert(const struct conf *conf, struct route *route, size_t member)
{
    size_t at = route->count++;

    for (; at > 0; at--) {
        size_t before = route->members[at - 1];

        if (strcmp(conf->upstreams[before].name, conf->upstreams[member].name) <
            0)
            break;
        route->members[at] = before;
    }
    route->members[at] = member;
}

static bool
find(const struct conf *conf, struct slice name, size_t *member)
{
    for (size_t i = 0; i < conf->upstream_count; i++) {
        if (slice_is(name, conf->upstreams[i].name)) {
            *member = i;
            return true;
        }
    }
    return false;
}

int
route_parse(const struct conf *conf, struct slice text, struct route *route,
            struct err *err)
{
    bool has_local = false;
    size_t count = 0;

    *route = (struct route){ 0 };
    if (text.bytes > ROUTE_BYTES_MAX) {
        return err_set(err, E_TOOBIG, "a route has at most %d bytes",
                       ROUTE_BYTES_MAX);
    }
    do {
        bool is_last = !text.bytes || !memchr(text.data, ',', text.bytes);
        struct slice name = option_list_next(&text);
        int shown =
            name.bytes < SHOWN_BYTES_MAX ? (int)name.bytes : SHOWN_BYTES_MAX;
        size_t member;

        count++;
        if (slice_is(name, CONF_LOCAL)) {
            has_local = true;
        } else if (!find(conf, name, &member)) {
            return err_set(err, E_NOTFOUND,
                           "no upstream \"%.*s\" is configured", shown,
                           name.data);
        } else if (route_has(route, member)) {
            return err_set(err, E_INVALID, "upstream \"%.*s\" stands twice",
                           shown, name.data);
        } else {
            insert(conf, route, member);
        }
        if (is_last)
            break;
    } while (true);
    if (has_local && count > 1) {
        return err_set(err, E_INVALID,
                       "%s goes with no other upstream; as a last resort it is "
                       "chosen by last_resort",
                       CONF_LOCAL);
    }
    return 0;
}

bool
route_recall(const struct conf *conf, const char *text, struct route *route)
{
    struct slice rest = slice_of(text);

    *route = (struct route){ 0 };
    if (strcmp(text, CONF_LOCAL) == 0)
        return true;
    while (rest.bytes) {
        struct slice name = option_list_next(&rest);
        size_t member;

        if (find(conf, name, &member) && !route_has(route, member))
            insert(conf, route, member);
    }
    return route->count > 0;
}

void
route_default(const struct conf *conf, struct route *route)
{
    *route = (struct route){ 0 };
    if (conf->route &&
        route_parse(conf, slice_of(conf->route), route, NULL) < 0)
        assert(!"the route was checked with the configuration");
    if (!conf->route && conf->upstream_count > 0)
        insert(conf, route, 0);
}

void
route_text(const struct conf *conf, const struct route *route, struct buf *out)
{
    if (route->count == 0)
        buf_add_str(out, CONF_LOCAL);
    for (size_t i = 0; i < route->count; i++) {
        buf_add_str(out, i ? "," : "");
        buf_add_str(out, conf->upstreams[route->members[i]].name);
    }
}
