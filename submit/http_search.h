/*
 * http_search.h - a batch's results, as far as they match
 *
 *   GET /ui/batches/{batch}/results?after=0&limit=50&status=error&text=cat
 *   {"results":[…],"cursor":4711,"more":true,"searched":20000}
 *
 * The broker's pages are read one after another, in the order in which results
 * came, until there are `limit` matches or HTTP_SEARCH_RESULTS_MAX were looked
 * at; whoever wants more asks again behind `cursor`. A result matches if it has
 * the status (or `fallback`: any but `ok` and `cancelled`) and if the text
 * occurs in its id, answer or essence, without regard to case. It comes as it is
 * stored, with the text cut off.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_SEARCH_H
#define SUBMIT_HTTP_SEARCH_H

#include "submit/http_request.h"

#define HTTP_SEARCH_RESULTS_MAX    20000 /* looked at for one reply */
#define HTTP_SEARCH_MATCHES_MAX    200   /* in one reply */
#define HTTP_SEARCH_MATCHES        50
#define HTTP_SEARCH_TEXT_BYTES_MAX 256 /* of what is looked for */
#define HTTP_SEARCH_SHOWN_BYTES    320 /* of a result's text */

void http_search(struct http_request *request);

#endif
