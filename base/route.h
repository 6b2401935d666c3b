/*
 * route.h - the upstreams that a request may go to
 *
 * A route is a set, written as names with commas between: "azure,openai". Which
 * member is asked first is no matter of the order but of each upstream's
 * priority and weight. So the text is put in order (by name) before it is
 * stored, or goes into a request key. `local`, the built-in sampler, is a route
 * of its own and goes with no other: whoever wants it as a last resort says so
 * by another option.
 *
 * Pure: the configuration and a text in.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_ROUTE_H
#define BASE_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"

#define ROUTE_BYTES_MAX 256 /* of its text */

struct route {
    size_t count;                       /* of members; 0: it is `local` */
    size_t members[CONF_UPSTREAMS_MAX]; /* indexes of the configuration's */
};

/* What becomes of a request when no member of its route can be asked. */
#define ROUTE_RESORTS(X)  \
    X(WAIT, "wait")       \
    X(ESSENCE, "essence") \
    X(LOCAL, "local")
#define ROUTE_ENUM(name, text) RESORT_##name,
enum resort { ROUTE_RESORTS(ROUTE_ENUM) RESORT_COUNT };
#undef ROUTE_ENUM

/* The resort of a word; -1 if it is none. */
int route_resort(struct slice word);

/* Reads names with commas, and blanks, between. E_NOTFOUND: one of them is not
 * configured; E_INVALID: one stands twice, or goes with no other;
 * E_TOOBIG: the text is too long. */
int route_parse(const struct conf *conf, struct slice text, struct route *route,
                struct err *err) __attribute__((warn_unused_result));

/* The same for a text that was stored: members that are not configured any more
 * are left out. False if none is left. */
bool route_recall(const struct conf *conf, const char *text,
                  struct route *route);

/* The configured default: `route`, or else the first upstream alone, or local. */
void route_default(const struct conf *conf, struct route *route);

/* Appends the text of a route, in order. */
void route_text(const struct conf *conf, const struct route *route,
                struct buf *out);

/* True if an upstream is a member. */
bool route_has(const struct route *route, size_t member);

#endif
