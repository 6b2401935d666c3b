/*
 * http_page.h - the status page's files
 *
 * They stand in submit/page/ and are part of the program: the page needs
 * nothing else, and no other host. It runs its own script, asks this server
 * alone, and is shown in nobody's frame; so even if a name or a text of a client
 * got into it as more than text, nothing would run.
 *
 * The files are open to everybody who reaches the listener; what the page
 * shows, /ui/…, is not.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_PAGE_H
#define SUBMIT_HTTP_PAGE_H

#include "submit/http_request.h"

#define HTTP_SCRIPT "text/javascript"

#define HTTP_PAGE_POLICY                         \
    "default-src 'none'; script-src 'self'; "    \
    "style-src 'self'; connect-src 'self'; "     \
    "img-src 'self' data:; form-action 'none'; " \
    "frame-ancestors 'none'; base-uri 'none'"

/*    name       url                  file                      type */
/* clang-format off */
#define HTTP_PAGE_FILES(X)                                                   \
    X(index,    "/",                 "submit/page/index.html",  "text/html") \
    X(style,    "/page/page.css",    "submit/page/page.css",    "text/css")  \
    X(page,     "/page/page.js",     "submit/page/page.js",     HTTP_SCRIPT) \
    X(server,   "/page/server.js",   "submit/page/server.js",   HTTP_SCRIPT) \
    X(state,    "/page/state.js",    "submit/page/state.js",    HTTP_SCRIPT) \
    X(words,    "/page/words.js",    "submit/page/words.js",    HTTP_SCRIPT) \
    X(bar,      "/page/bar.js",      "submit/page/bar.js",      HTTP_SCRIPT) \
    X(overview, "/page/overview.js", "submit/page/overview.js", HTTP_SCRIPT) \
    X(plots,    "/page/plots.js",    "submit/page/plots.js",    HTTP_SCRIPT) \
    X(batch,    "/page/batch.js",    "submit/page/batch.js",    HTTP_SCRIPT) \
    X(result,   "/page/result.js",   "submit/page/result.js",   HTTP_SCRIPT)
/* clang-format on */

/* Handler of all these URLs. */
void http_page(struct http_request *request);

#endif
