/*
 * head.h - the header lines of a request, as libcurl wants them
 *
 * They are put together in one piece of memory, which is kept for the next request
 * and wiped after each: one of them holds the key.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_HEAD_H
#define WORKER_HEAD_H

#include <curl/curl.h>
#include <stddef.h>

#include "base/buf.h"

#define HEAD_LINES_MAX 16

/* A line: its name and what follows up to the value, and the value. */
struct head_part {
    struct slice name, value; /* borrowed until head_lines() */
};

/* Zeroed, it is empty. It stays in its place while libcurl has its lines. */
struct head {
    struct head_part parts[HEAD_LINES_MAX];
    struct curl_slist lines[HEAD_LINES_MAX];
    size_t count;
    size_t bytes; /* of all, each with a NUL behind it */
    struct buf text;
};

/* Adds a line: a name with its colon, and a value that may be empty. */
void head_add(struct head *head, const char *name, struct slice value);

/* Writes what was added, and lends it. NULL: there are no lines. */
struct curl_slist *head_lines(struct head *head);

/* Wipes the lines, and keeps their memory. */
void head_wipe(struct head *head);

/* The same, and frees it. */
void head_fini(struct head *head);

#endif
