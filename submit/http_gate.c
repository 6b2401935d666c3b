/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* strncasecmp */
#include "submit/http_gate.h"

#include <string.h>
#include <strings.h>

#define CRLF_BYTES 2

static bool
is_token(struct slice text)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < text.bytes; i++) {
        char c = text.data[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
              (c >= 'A' && c <= 'Z') || (c && strchr(others, c)))) {
            return false;
        }
    }
    return text.bytes > 0;
}

static bool
is_value(struct slice text)
{
    for (size_t i = 0; i < text.bytes; i++) {
        unsigned char c = (unsigned char)text.data[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool
is_named(struct slice text, const char *name)
{
    return text.bytes == strlen(name) &&
           strncasecmp(text.data, name, text.bytes) == 0;
}

static const char *
end_of(struct slice text)
{
    return text.data + text.bytes;
}

/* True if the lines lie one behind the other with a CRLF between them, and an
 * empty one at the end. */
static bool
is_plain(const struct http_head *head)
{
    const char *end = end_of(head->version);

    if (head->version.data - end_of(head->method) !=
        (ptrdiff_t)head->uri.bytes + 2) {
        return false;
    }
    for (size_t i = 0; i < head->count; i++) {
        if (head->fields[i].name.data - end != CRLF_BYTES)
            return false;
        if (head->fields[i].value.data < end_of(head->fields[i].name))
            return false;
        end = end_of(head->fields[i].value);
    }
    return (size_t)(end - head->method.data) + (size_t)(2 * CRLF_BYTES) ==
           head->bytes;
}

static size_t
count_of(const struct http_head *head, const char *name)
{
    size_t count = 0;

    for (size_t i = 0; i < head->count; i++) {
        if (is_named(head->fields[i].name, name))
            count++;
    }
    return count;
}

static int
refuse(struct http_error *error, const char *message)
{
    return http_error_set(error, 400, "bad_header", "%s", message);
}

static int
check_fields(const struct http_head *head, struct http_error *error)
{
    static const char *const once[] = { "content-length", "transfer-encoding",
                                        "authorization",  "host",
                                        "content-type",   "range" };

    for (size_t i = 0; i < head->count; i++) {
        if (!is_token(head->fields[i].name))
            return refuse(error, "the name of a header field is none");
        if (!is_value(head->fields[i].value))
            return refuse(error, "a header field holds a control character");
    }
    for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++) {
        if (count_of(head, once[i]) > 1) {
            http_error_set(error, 400, "bad_header", "%s stands there twice",
                           once[i]);
            return error->status;
        }
    }
    return 0;
}

static bool
is_number(struct slice text)
{
    for (size_t i = 0; i < text.bytes; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    }
    return text.bytes > 0;
}

static int
check_framing(const struct http_head *head, struct http_error *error)
{
    struct slice length = http_gate_field(head, "content-length");
    struct slice coding = http_gate_field(head, "transfer-encoding");

    if (length.data && coding.data)
        return refuse(error, "content-length and transfer-encoding exclude one "
                             "another");
    if (coding.data && !is_named(coding, "chunked"))
        return refuse(error, "transfer-encoding can only be chunked");
    if (coding.data && slice_is(head->version, "HTTP/1.0"))
        return refuse(error, "HTTP/1.0 knows no transfer-encoding");
    if (length.data && !is_number(length))
        return refuse(error, "content-length is not a number");
    return 0;
}

int
http_gate_check(const struct http_head *head, struct http_error *error)
{
    int rc;

    if (head->bytes > HTTP_HEADER_BYTES_MAX ||
        head->count > HTTP_HEADER_FIELDS_MAX) {
        return http_error_set(error, 431, "header_too_large",
                              "a header of %zu bytes and %zu fields, at most "
                              "%d and %d",
                              head->bytes, head->count, HTTP_HEADER_BYTES_MAX,
                              HTTP_HEADER_FIELDS_MAX);
    }
    if (!slice_is(head->version, "HTTP/1.1") &&
        !slice_is(head->version, "HTTP/1.0")) {
        return http_error_set(error, 505, "http_version",
                              "HTTP/1.1 is spoken here");
    }
    if (!is_token(head->method))
        return refuse(error, "the method is none");
    rc = check_fields(head, error);
    if (rc == 0 && !is_plain(head))
        rc = refuse(error,
                    "the header's lines are not plain: each ends with CRLF "
                    "and goes on nowhere");
    return rc == 0 ? check_framing(head, error) : rc;
}

struct slice
http_gate_field(const struct http_head *head, const char *name)
{
    /* It is also asked about a header that was refused for its many fields. */
    for (size_t i = 0; i < head->count && i < HTTP_HEADER_FIELDS_MAX; i++) {
        if (is_named(head->fields[i].name, name))
            return head->fields[i].value;
    }
    return (struct slice){ 0 };
}

bool
http_gate_has_body(const struct http_head *head)
{
    struct slice length = http_gate_field(head, "content-length");

    for (size_t i = 0; i < length.bytes; i++) {
        if (length.data[i] != '0')
            return true;
    }
    return http_gate_field(head, "transfer-encoding").data != NULL;
}

/* True if no page asks, or one that came from the host that is asked. */
static bool
is_of_host(const struct http_head *head, struct slice host)
{
    static const char *const schemes[] = { "http://", "https://" };
    struct slice origin = http_gate_field(head, "origin");

    if (!origin.data)
        return true;
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t bytes = strlen(schemes[i]);

        if (host.bytes > 0 && origin.bytes == bytes + host.bytes &&
            memcmp(origin.data, schemes[i], bytes) == 0 &&
            strncasecmp(origin.data + bytes, host.data, host.bytes) == 0) {
            return true;
        }
    }
    return false;
}

bool
http_gate_is_local(const struct http_head *head)
{
    static const char *const names[] = { "localhost", "127.0.0.1", "[::1]" };
    struct slice host = http_gate_field(head, "host");

    if (!is_of_host(head, host))
        return false;
    if (!host.data)
        return true;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t bytes = strlen(names[i]);

        if (host.bytes >= bytes &&
            strncasecmp(host.data, names[i], bytes) == 0 &&
            (host.bytes == bytes || host.data[bytes] == ':')) {
            return true;
        }
    }
    return false;
}
