/*
 * http_error.h - what a client is told that cannot have what it asked for
 *
 * The error object of OpenAI's API, so that its SDKs raise the exception that
 * their users expect:
 *
 *   {"error":{"message":"…","type":"invalid_request_error","param":null,
 *    "code":"invalid_api_key"}}
 *
 * The SDKs repeat 408, 409, 429 and 5xx by themselves, unless the header
 * x-should-retry says otherwise: every error says it.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_ERROR_H
#define SUBMIT_HTTP_ERROR_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

#define HTTP_ERROR_CODE_BYTES 64 /* with the NUL; also of the parameter */
#define HTTP_RETRY_AFTER_S    2  /* the SDKs ignore more than 60 */

struct http_error {
    int status; /* of HTTP; 0: none is set */
    bool is_worth_retry;
    int retry_after_s; /* 0: not said */
    char code[HTTP_ERROR_CODE_BYTES];
    char param[HTTP_ERROR_CODE_BYTES]; /* empty: null */
    char message[ERR_MSG_BYTES];
};

/* Fills in an error; code may be "" for null. Whether a repeat is worth it, and
 * after how long, follows from the status, and may be changed then. Returns the
 * status. */
int http_error_set(struct http_error *error, int status, const char *code,
                   const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Names the parameter that the error is about; what is too long is cut. */
void http_error_param(struct http_error *error, struct slice param);

/* The error for a code of the broker's, or of the way to it. */
int http_error_of(struct http_error *error, const struct err *err);

/* Appends the object. */
void http_error_write(const struct http_error *error, struct buf *out);

/* Appends a whole HTTP reply that says so, and that the connection ends. */
void http_error_frame(const struct http_error *error, struct buf *out);

#endif
