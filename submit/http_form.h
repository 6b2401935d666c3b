/*
 * http_form.h - the form of an upload: a file, and what it is for
 *
 * The fields may come in any order, the file in as many pieces as it likes; it
 * goes to the spool. What is wrong is refused as soon as it is seen.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_FORM_H
#define SUBMIT_HTTP_FORM_H

#include "submit/http_error.h"
#include "submit/http_spool.h"

#define HTTP_FORM_BYTES_MAX 65536 /* beside the file */

struct http_form_terms {
    const char *type; /* the field Content-Type */
    struct http_spool_room *room;
    int64_t file_bytes_max;
};

struct http_form;

/* A form to be read. NULL: *error says why. */
struct http_form *http_form_new(const struct http_form_terms *terms,
                                struct http_error *error);
void http_form_free(struct http_form *form);

/* Takes the next piece of the body. 0; or the status of a refusal, and *error:
 * then no more is to come. */
int http_form_take(struct http_form *form, struct slice piece,
                   struct http_error *error);

/* Behind the body: is all there? 0; or the status of a refusal. */
int http_form_check(struct http_form *form, struct http_error *error);

/* The file, its name, and after how many milliseconds it is to go (0: that was
 * not said), of a form that was checked. Borrowed. */
const struct http_spool *http_form_file(const struct http_form *form);
const char *http_form_filename(const struct http_form *form);
int64_t http_form_expires_ms(const struct http_form *form);

#endif
