/* SPDX-License-Identifier: MIT */
#include "submit/http_gate.h"

#include <criterion/criterion.h>
#include <string.h>

/* What a lenient library makes of the bytes of a header: names and values where
 * they lie, lines that end with a CRLF or a bare LF. */
static void
read_head(const char *text, struct http_head *head)
{
    const char *at = text, *end = text + strlen(text);

    *head = (struct http_head){ .bytes = strlen(text) };
    head->method = (struct slice){ at, strcspn(at, " ") };
    at += head->method.bytes + 1;
    head->uri = (struct slice){ at, strcspn(at, " ") };
    at += head->uri.bytes + 1;
    head->version = (struct slice){ at, strcspn(at, "\r\n") };
    at += head->version.bytes;
    while (at < end) {
        struct http_field *field = &head->fields[head->count];

        at += *at == '\r' ? 2 : 1;
        if (at >= end || *at == '\r' || *at == '\n')
            break;
        field->name = (struct slice){ at, strcspn(at, ":\n") };
        at += field->name.bytes + 1;
        at += strspn(at, " ");
        field->value = (struct slice){ at, strcspn(at, "\r\n") };
        at += field->value.bytes;
        if (head->count++ == HTTP_HEADER_FIELDS_MAX - 1)
            break;
    }
}

Test(http_gate, lets_plain_headers_through_and_no_others)
{
    static const struct {
        const char *text;
        int status;
    } rows[] = {
        { "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 0 },
        { "GET / HTTP/1.1\r\nHost:x\r\nA:   b  \r\nE:\r\n\r\n", 0 },
        { "GET / HTTP/1.0\r\n\r\n", 0 },
        { "POST / HTTP/1.1\r\nContent-Length: 12\r\n\r\n", 0 },
        { "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n", 0 },
        { "GET / HTTP/1.2\r\n\r\n", 505 },
        { "GET / HTTP/0.9\r\n\r\n", 505 },
        { "G(T / HTTP/1.1\r\n\r\n", 400 },
        { "GET  / HTTP/1.1\r\n\r\n", 505 }, /* the version is "/ HTTP/1.1" */
        { "GET / HTTP/1.1\nHost: x\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: x\n\n", 400 },
        { "GET / HTTP/1.1\r\nHost: x\r\n\n", 400 },
        { "GET / HTTP/1.1\r\nHost: x\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nA: b\r\n c: d\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nA: b\x7f\r\n\r\n", 400 },
        { "POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: "
          "chunked\r\n\r\n",
          400 },
        { "POST / HTTP/1.1\r\nContent-Length: 4\r\ncontent-length: 4\r\n\r\n",
          400 },
        { "POST / HTTP/1.1\r\nContent-Length: +4\r\n\r\n", 400 },
        { "POST / HTTP/1.1\r\nContent-Length: 4, 4\r\n\r\n", 400 },
        { "POST / HTTP/1.1\r\nContent-Length:\r\n\r\n", 400 },
        { "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400 },
        { "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400 },
        { "POST / HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n", 400 },
        { "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nAuthorization: a\r\nauthorization: b\r\n\r\n",
          400 },
        { "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nContent-Type: a\r\nContent-Type: b\r\n\r\n", 400 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_error error = { 0 };
        struct http_head head;

        read_head(rows[i].text, &head);
        cr_expect_eq(http_gate_check(&head, &error), rows[i].status,
                     "%s: got %d, want %d", rows[i].text, error.status,
                     rows[i].status);
        cr_expect_eq(error.status, rows[i].status);
    }
}

Test(http_gate, refuses_a_header_that_is_too_large)
{
    struct http_error error = { 0 };
    struct http_head head;

    read_head("GET / HTTP/1.1\r\nHost: x\r\n\r\n", &head);
    head.bytes = HTTP_HEADER_BYTES_MAX + 1;
    cr_expect_eq(http_gate_check(&head, &error), 431);
    head.bytes = 27;
    for (size_t i = 0; i < HTTP_HEADER_FIELDS_MAX; i++)
        head.fields[i] = head.fields[0];
    head.count = HTTP_HEADER_FIELDS_MAX + 1;
    cr_expect_eq(http_gate_check(&head, &error), 431);
    cr_expect_not(http_gate_has_body(&head));
}

Test(http_gate, knows_where_a_body_follows)
{
    static const struct {
        const char *text;
        bool want;
    } rows[] = {
        { "GET / HTTP/1.1\r\n\r\n", false },
        { "GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", false },
        { "GET / HTTP/1.1\r\nContent-Length: 10\r\n\r\n", true },
        { "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", true },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_head head;

        read_head(rows[i].text, &head);
        cr_expect_eq(http_gate_has_body(&head), rows[i].want, "%s",
                     rows[i].text);
    }
}

/* Whatever name leads a browser's page to this port, it is not one of these. */
Test(http_gate, knows_this_host_by_few_names)
{
    static const struct {
        const char *text;
        bool want;
    } rows[] = {
        { "GET / HTTP/1.0\r\n\r\n", true },
        { "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", true },
        { "GET / HTTP/1.1\r\nHost: LOCALHOST:8017\r\n\r\n", true },
        { "GET / HTTP/1.1\r\nHost: 127.0.0.1:8017\r\n\r\n", true },
        { "GET / HTTP/1.1\r\nHost: [::1]:8017\r\n\r\n", true },
        { "GET / HTTP/1.1\r\nHost: localhost.example.org\r\n\r\n", false },
        { "GET / HTTP/1.1\r\nHost: 127.0.0.1.example.org:80\r\n\r\n", false },
        { "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", false },
        { "GET / HTTP/1.1\r\nHost:\r\n\r\n", false },
        { "POST / HTTP/1.1\r\nHost: localhost:8017\r\nOrigin: "
          "http://localhost:8017\r\n\r\n",
          true },
        { "POST / HTTP/1.1\r\nHost: [::1]\r\nOrigin: https://[::1]\r\n\r\n",
          true },
        { "POST / HTTP/1.1\r\nHost: localhost:8017\r\nOrigin: "
          "http://localhost:3000\r\n\r\n",
          false },
        { "POST / HTTP/1.1\r\nHost: localhost\r\nOrigin: "
          "https://example.org\r\n\r\n",
          false },
        { "POST / HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n\r\n", false },
        { "POST / HTTP/1.0\r\nOrigin: http://localhost\r\n\r\n", false },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_head head;

        read_head(rows[i].text, &head);
        cr_expect_eq(http_gate_is_local(&head), rows[i].want, "%s",
                     rows[i].text);
    }
}
