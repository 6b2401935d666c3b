/*
 * url.h - which base URLs a request may be sent to
 *
 * A base URL is where an upstream lives: `https://api.example.org/v1`. It is
 * part of the request key and travels in messages and logs, so it has one
 * spelling and holds no secret: no user or password, no query, no fragment.
 * The rules are stricter than RFC 3986, so that whoever reads the URL later
 * (libcurl, a proxy) cannot see another host in it than we did.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_URL_H
#define BASE_URL_H

#include <stdbool.h>

#include "base/err.h"

#define URL_BYTES_MAX 1024

/* Checks a base URL: http or https, a host, perhaps a port and a path. 0, or
 * E_INVALID with a reason that does not repeat the URL. */
int url_check(const char *url, struct err *err);

/* True if a URL that url_check() accepted is plain http to a host other than
 * this one: what is sent there can be read on the way. */
bool url_is_exposed(const char *url);

#endif
