/*
 * curl_end.h - how a call ended, by what libcurl says of it
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_CURL_END_H
#define WORKER_CURL_END_H

#include <curl/curl.h>

#include "worker/reply.h"

/* REPLY_BROKEN for what no other end is meant for. */
enum reply_end curl_end_of(CURLcode code);

#endif
