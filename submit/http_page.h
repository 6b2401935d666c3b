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

#define HTTP_PAGE_POLICY                         \
    "default-src 'none'; script-src 'self'; "    \
    "style-src 'self'; connect-src 'self'; "     \
    "img-src 'self' data:; form-action 'none'; " \
    "frame-ancestors 'none'; base-uri 'none'"

/* Handlers of the routes of the three files. */
void http_page_index(struct http_request *request);
void http_page_style(struct http_request *request);
void http_page_script(struct http_request *request);

#endif
