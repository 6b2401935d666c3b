/* SPDX-License-Identifier: MIT */
#include "submit/http_error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"

static void
copy(char *to, struct slice from)
{
    size_t bytes = from.bytes;

    if (bytes > HTTP_ERROR_CODE_BYTES - 1)
        bytes = HTTP_ERROR_CODE_BYTES - 1;
    if (bytes)
        memcpy(to, from.data, bytes);
    to[bytes] = '\0';
}

int
http_error_set(struct http_error *error, int status, const char *code,
               const char *fmt, ...)
{
    va_list args;

    *error = (struct http_error){ .status = status };
    error->is_worth_retry = status == 408 || status == 429 || status == 503;
    if (status == 429 || status == 503)
        error->retry_after_s = HTTP_RETRY_AFTER_S;
    copy(error->code, slice_of(code));
    va_start(args, fmt);
    if (vsnprintf(error->message, sizeof(error->message), fmt, args) < 0)
        error->message[0] = '\0';
    va_end(args);
    return status;
}

void
http_error_param(struct http_error *error, struct slice param)
{
    copy(error->param, param);
}

/* The broker's word for a batch's members that are drafts' as well; a client of
 * this API gives them beside the others. */
#define OPTIONS_PREFIX "options: "

/* What the broker says about a member begins with its name and a colon. */
static void
name_param(struct http_error *error)
{
    size_t bytes = strlen(OPTIONS_PREFIX);

    if (strncmp(error->message, OPTIONS_PREFIX, bytes) == 0) {
        memmove(error->message, error->message + bytes,
                strlen(error->message + bytes) + 1);
    }
    bytes = strspn(error->message, "abcdefghijklmnopqrstuvwxyz_");
    if (bytes > 0 && error->message[bytes] == ':')
        copy(error->param, (struct slice){ error->message, bytes });
}

int
http_error_of(struct http_error *error, const struct err *err)
{
    static const struct {
        int code, status;
    } rows[] = {
        { E_INVALID, 400 },  { E_USAGE, 400 },       { E_NOTFOUND, 404 },
        { E_CONFLICT, 409 }, { E_TOOBIG, 413 },      { E_FULL, 503 },
        { E_DRAINING, 503 }, { E_UNREACHABLE, 503 }, { E_TIMEOUT, 503 },
        { E_IO, 503 },
    };
    int status = 500;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].code == err->code)
            status = rows[i].status;
    }
    (void)http_error_set(error, status, err_name(err->code), "%s",
                         *err->msg ? err->msg : err_text(err->code));
    if (err->code == E_INVALID)
        name_param(error);
    return status;
}

static const char *
type_of(int status)
{
    if (status == 403)
        return "permission_error";
    if (status == 429)
        return "rate_limit_error";
    return status < 500 ? "invalid_request_error" : "server_error";
}

static void
add_or_null(struct buf *out, const char *text)
{
    if (*text)
        json_write_string(out, text, strlen(text));
    else
        buf_add_str(out, "null");
}

void
http_error_write(const struct http_error *error, struct buf *out)
{
    buf_add_str(out, "{\"error\":{\"message\":");
    json_write_string(out, error->message, strlen(error->message));
    buf_addf(out, ",\"type\":\"%s\",\"param\":", type_of(error->status));
    add_or_null(out, error->param);
    buf_add_str(out, ",\"code\":");
    add_or_null(out, error->code);
    buf_add_str(out, "}}\n");
}

void
http_error_frame(const struct http_error *error, struct buf *out)
{
    struct buf body = { 0 };

    http_error_write(error, &body);
    buf_addf(out,
             "HTTP/1.1 %d Refused\r\nContent-Type: application/json\r\n"
             "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
             "x-should-retry: %s\r\nConnection: close\r\n"
             "Content-Length: %zu\r\n\r\n",
             error->status, error->is_worth_retry ? "true" : "false",
             body.bytes);
    buf_add_slice(out, buf_slice(&body));
    buf_fini(&body);
}
