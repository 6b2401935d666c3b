/*
 * fuzz_http.c - what the HTTP gateway reads itself
 *
 * The first byte chooses: a URI, a header as the HTTP library lends it, a file
 * of tokens, a field Authorization, an address to listen at, the body of a
 * completion, of a request for a batch, or of a form. What is let through must be what it seems.
 */
/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* memmem */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "submit/http_batches.h"
#include "submit/http_complete.h"
#include "submit/http_gate.h"
#include "submit/http_listen.h"
#include "submit/http_multipart.h"
#include "submit/http_path.h"
#include "submit/http_tokens.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Not assert(): must also hold where that is compiled away. */
static void
must(bool is_true)
{
    if (!is_true)
        abort();
}

static void
try_path(struct slice text)
{
    struct buf value = { 0 };
    struct http_path path;

    if (http_path_parse(&path, text, NULL) < 0)
        return;
    must(text.bytes <= HTTP_URI_BYTES_MAX);
    must(!memmem(text.data, text.bytes, "%00", 3) ||
         memchr(text.data, '?', text.bytes));
    for (size_t i = 0; i < path.count; i++) {
        struct slice segment = path.segments[i];

        must(segment.bytes > 0);
        must(strlen(segment.data) == segment.bytes);
        must(path.has_slash || !memchr(segment.data, '/', segment.bytes));
        must(!slice_is(segment, ".") && !slice_is(segment, ".."));
    }
    if (http_path_query(&path, "a", &value))
        must(value.bytes <= path.query_bytes);
    buf_fini(&value);
    http_path_fini(&path);
}

/* Moves behind a line's end: for the library, a bare LF is one as well. */
static const char *
behind_line(const char *at)
{
    if (at[0] == '\r' && at[1] == '\n')
        return at + 2;
    return *at ? at + 1 : at;
}

/* Cuts a header as the library does, up to its empty line. False: there is none,
 * or a line without a colon, which the library refuses. */
static bool
cut_head(const char *text, struct http_head *head)
{
    const char *at = text;

    head->method = (struct slice){ at, strcspn(at, " \r\n") };
    at += head->method.bytes + (at[head->method.bytes] == ' ');
    head->uri = (struct slice){ at, strcspn(at, " \r\n") };
    at += head->uri.bytes + (at[head->uri.bytes] == ' ');
    head->version = (struct slice){ at, strcspn(at, "\r\n") };
    at = behind_line(at + head->version.bytes);
    while (*at && *at != '\r' && *at != '\n') {
        struct http_field *field = &head->fields[head->count];

        field->name = (struct slice){ at, strcspn(at, ":\r\n") };
        if (at[field->name.bytes] != ':' ||
            head->count == HTTP_HEADER_FIELDS_MAX - 1) {
            return false;
        }
        at += field->name.bytes + 1;
        at += strspn(at, " \t");
        field->value = (struct slice){ at, strcspn(at, "\r\n") };
        at = behind_line(at + field->value.bytes);
        head->count++;
    }
    head->bytes = (size_t)(behind_line(at) - text);
    return *at != '\0';
}

/* What passes is a header that any reader reads in the same way. */
static void
try_head(struct slice text)
{
    struct http_head head = { .count = 0 };
    struct http_error error = { 0 };
    struct buf again = { 0 };

    if (!cut_head(text.data, &head))
        return;
    text.bytes = head.bytes;
    if (http_gate_check(&head, &error) != 0) {
        must(error.status >= 400 && *error.message);
        return;
    }
    for (size_t i = 0; i < text.bytes; i++)
        must(text.data[i] != '\n' || (i > 0 && text.data[i - 1] == '\r'));
    must(text.bytes >= 4 &&
         memcmp(text.data + text.bytes - 4, "\r\n\r\n", 4) == 0);
    must(!http_gate_field(&head, "content-length").data ||
         !http_gate_field(&head, "transfer-encoding").data);
    http_error_write(&error, &again);
    (void)http_gate_has_body(&head);
    (void)http_gate_is_local(&head);
    buf_fini(&again);
}

static void
try_tokens(struct slice text)
{
    struct http_tokens *tokens = http_tokens_parse(text, NULL);
    struct http_grant grant = { .scope = HTTP_SCOPE_OPEN };

    if (!tokens)
        return;
    must(http_tokens_count(tokens) <= text.bytes / 64);
    if (http_tokens_find(tokens, slice_of("a token, perhaps"), 1, &grant) == 0)
        must(grant.scope != HTTP_SCOPE_OPEN && *grant.client);
    http_tokens_free(tokens);
}

static void
try_bearer(struct slice text)
{
    struct slice token = http_tokens_bearer(text);

    for (size_t i = 0; i < token.bytes; i++)
        must(token.data[i] > ' ' && token.data[i] < 0x7f);
    must(!token.data || (token.bytes >= HTTP_TOKEN_BYTES_MIN &&
                         token.bytes <= HTTP_TOKEN_BYTES_MAX));
}

static void
try_place(const char *text)
{
    struct buf first = { 0 }, second = { 0 };
    struct http_place place;

    if (http_place_parse(text, &place, NULL) < 0)
        return;
    http_place_text(&place, &first);
    must(http_place_parse(first.data, &place, NULL) == 0);
    http_place_text(&place, &second);
    must(slice_equal(buf_slice(&first), buf_slice(&second)));
    buf_fini(&first);
    buf_fini(&second);
}

/* Whatever body is taken, the draft is one line and strict JSON. */
static void
try_body(struct slice text)
{
    struct json_doc doc = { 0 };
    struct http_error error;
    struct buf line = { 0 };

    if (http_complete_line("req_1", "/v1/responses", text, &line, &error) ==
        0) {
        must(memchr(line.data, '\n', line.bytes) == line.data + line.bytes - 1);
        must(json_parse(&doc, line.data, line.bytes, JSON_INPUT, NULL) == 0);
    } else {
        must(line.bytes == 0);
    }
    json_fini(&doc);
    buf_fini(&line);
}

/* Whatever asks for a batch, its options are strict JSON. */
static void
try_batch(struct slice text)
{
    cJSON *head = cJSON_CreateObject();
    struct json_doc doc = { 0 };
    struct http_error error = { 0 };
    struct buf options = { 0 };

    if (http_batch_read(text, 1000000, head, &options, &error) == 0) {
        must(cJSON_HasObjectItem(head, "file"));
        must(json_parse(&doc, options.data, options.bytes, JSON_INPUT, NULL) ==
             0);
    } else {
        must(error.status >= 400 && *error.message);
    }
    json_fini(&doc);
    cJSON_Delete(head);
    buf_fini(&options);
}

static int
begin_part(void *arg, const char *name, const char *filename)
{
    struct buf *told = arg;

    must(strlen(name) <= HTTP_PART_NAME_BYTES_MAX);
    must(strlen(filename) <= HTTP_PART_NAME_BYTES_MAX);
    buf_add_char(told, '\0');
    buf_add(told, name, strlen(name) + 1);
    buf_add(told, filename, strlen(filename) + 1);
    return 0;
}

static int
take_part(void *arg, struct slice piece)
{
    must(piece.bytes > 0);
    buf_add_slice(arg, piece);
    return 0;
}

/* Reads a form in pieces of so many bytes, and returns how that went. */
static int
read_form(struct slice text, size_t bytes, struct buf *told, bool *is_whole)
{
    struct http_multipart_sink sink = { begin_part, take_part, told };
    struct http_multipart *form =
        http_multipart_new("multipart/form-data; boundary=X", &sink, NULL);
    int rc = 0;

    for (size_t at = 0; rc == 0 && at < text.bytes; at += bytes) {
        size_t left = text.bytes - at;

        rc = http_multipart_take(
            form, (struct slice){ text.data + at, left < bytes ? left : bytes },
            NULL);
    }
    *is_whole = http_multipart_is_whole(form);
    http_multipart_free(form);
    return rc;
}

/* Wherever a form is cut, it holds the same, and no boundary. */
static void
try_form(struct slice text)
{
    struct buf whole = { 0 }, cut = { 0 };
    bool whole_ends, cut_ends;
    int rc = read_form(text, text.bytes + 1, &whole, &whole_ends);

    must(read_form(text, 3, &cut, &cut_ends) == rc);
    if (rc == 0) {
        must(whole_ends == cut_ends);
        must(!whole_ends || slice_equal(buf_slice(&whole), buf_slice(&cut)));
        must(!whole.bytes || !memmem(whole.data, whole.bytes, "\r\n--X", 5));
    }
    buf_fini(&whole);
    buf_fini(&cut);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct buf copy = { 0 };
    struct slice text;

    if (bytes == 0)
        return 0;
    buf_add(&copy, data + 1, bytes - 1);
    buf_reserve(&copy, 1)[0] = '\0';
    text = buf_slice(&copy);
    if (data[0] % 8 == 0)
        try_path(text);
    else if (data[0] % 8 == 1 && strlen(copy.data) == text.bytes)
        try_head(text);
    else if (data[0] % 8 == 2)
        try_tokens(text);
    else if (data[0] % 8 == 3)
        try_bearer(text);
    else if (data[0] % 8 == 4)
        try_place(copy.data);
    else if (data[0] % 8 == 5)
        try_body(text);
    else if (data[0] % 8 == 6)
        try_batch(text);
    else
        try_form(text);
    buf_fini(&copy);
    return 0;
}
