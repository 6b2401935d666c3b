/*
 * http_object.h - files and batches as OpenAI's API shows them
 *
 * An id is a word and the UUID by which the broker knows the thing:
 * file-0b51c2a4-…, batch_7d1e90ff-…. Times are seconds, where the broker has
 * milliseconds; what has not come yet is null, where the broker has 0.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_OBJECT_H
#define SUBMIT_HTTP_OBJECT_H

#include <cjson/cJSON.h>

#include "base/buf.h"
#include "submit/http_error.h"

#define HTTP_FILE_PREFIX     "file-"
#define HTTP_BATCH_PREFIX    "batch_"
#define HTTP_OBJECT_ID_BYTES 48 /* with its NUL */

/* The UUID in an id; NULL: no id can be so. It points into the id. */
const char *http_object_uuid(const char *id, const char *prefix);

/* Writes the id for a UUID. */
void http_object_id(const char *prefix, const char *uuid,
                    char id[HTTP_OBJECT_ID_BYTES]);

/* Sets the error for what there is not, or is another client's: 404. */
int http_object_no_file(struct http_error *error, const char *id,
                        const char *param);
int http_object_no_batch(struct http_error *error, const char *id);

/* Append the object for a file, and for a batch, as the broker tells them in
 * `file` and `status`. E_PROTOCOL: it is none. */
int http_object_file(const cJSON *file, struct buf *out);
int http_object_batch(const cJSON *status, struct buf *out);

/* A list is written object by object. */
struct http_object_list {
    struct buf *out; /* borrowed */
    size_t count;
    char first[HTTP_OBJECT_ID_BYTES], last[HTTP_OBJECT_ID_BYTES];
};

void http_object_list_begin(struct http_object_list *list, struct buf *out);

/* Add an object. E_PROTOCOL as above, and the list is as it was. */
int http_object_list_file(struct http_object_list *list, const cJSON *file);
int http_object_list_batch(struct http_object_list *list, const cJSON *status);
void http_object_list_end(const struct http_object_list *list, bool has_more);

#endif
