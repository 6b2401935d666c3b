/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/json.h"
#include "submit/http_complete.h"

static int
check_body(const struct json_doc *doc, struct http_error *error)
{
    size_t stream = json_member(doc, 0, "stream");

    if (doc->tokens[0].type != JSON_OBJECT)
        return http_error_set(error, 400, "invalid_json",
                              "the body is not a JSON object");
    if (stream == JSON_NONE || doc->tokens[stream].type == JSON_FALSE ||
        doc->tokens[stream].type == JSON_NULL)
        return 0;
    http_error_set(error, 400, "unsupported_value",
                   "an answer comes in one piece from the queue: leave stream "
                   "out, or set it to false");
    http_error_param(error, slice_of("stream"));
    return error->status;
}

/* Line ends stand between tokens only, or the body would be no JSON. */
static void
add_in_one_line(struct slice body, struct buf *line)
{
    for (size_t i = 0; i < body.bytes; i++) {
        bool is_end = body.data[i] == '\n' || body.data[i] == '\r';

        if (is_end)
            buf_add_char(line, ' ');
        else
            buf_add_char(line, body.data[i]);
    }
}

int
http_complete_line(const char *id, const char *url, struct slice body,
                   struct buf *line, struct http_error *error)
{
    struct json_doc doc = { 0 };
    struct err err = { 0 };
    int status;

    if (json_parse(&doc, body.data, body.bytes, JSON_INPUT, &err) < 0)
        status = http_error_set(error, 400, "invalid_json",
                                "the body is not JSON: %s", err.msg);
    else
        status = check_body(&doc, error);
    if (status == 0) {
        buf_addf(line,
                 "{\"custom_id\":\"%s\",\"method\":\"POST\",\"url\":\"%s\","
                 "\"body\":",
                 id, url);
        add_in_one_line(body, line);
        buf_add_str(line, "}\n");
    }
    json_fini(&doc);
    return status;
}

int
http_complete_status(const char *status, int64_t http_status, const char *code)
{
    static const struct {
        const char *status;
        int http_status;
    } rows[] = {
        { "rate_limited", 429 },  { "auth_error", 401 },
        { "bad_request", 400 },   { "not_found", 404 },
        { "unprocessable", 422 }, { "permission_denied", 403 },
        { "expired", 504 },       { "cancelled", 409 },
    };

    if (http_status >= 400 && http_status <= 599)
        return (int)http_status;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(status, rows[i].status) == 0)
            return rows[i].http_status;
    }
    return strstr(code, "timeout") ? 504 : 502;
}
