/* SPDX-License-Identifier: MIT */
#include "submit/http_files.h"

#include <string.h>

#include "submit/http_call.h"
#include "submit/http_object.h"
#include "submit/http_query.h"

static void
reply_none(struct http_request *request)
{
    struct http_error error;

    http_object_no_file(&error, http_param(request, 0), "id");
    http_reply_error(request, &error);
}

void
http_files_failed(struct http_request *request, const struct err *err)
{
    if (err->code == E_NOTFOUND)
        reply_none(request);
    else
        http_call_failed(request, err);
}

void
http_files_call(struct http_request *request, const char *verb,
                http_then_fn *then)
{
    const char *uuid =
        http_object_uuid(http_param(request, 0), HTTP_FILE_PREFIX);
    cJSON *head;

    if (!uuid) {
        reply_none(request);
        return;
    }
    head = wire_new(verb);
    wire_add_str(head, "file", uuid);
    http_call(request, head, (struct slice){ 0 }, then);
}

/* ---- one of them ---- */

static void
on_file(struct http_request *request, const struct wire *wire,
        const struct err *err)
{
    struct buf out = { 0 };

    if (!wire)
        http_files_failed(request, err);
    else if (http_object_file(wire_get(wire, "file"), &out) < 0)
        http_call_failed(request, &(struct err){ .code = E_PROTOCOL });
    else
        http_reply(request, 200, HTTP_JSON, buf_slice(&out));
    buf_fini(&out);
}

void
http_files_get(struct http_request *request)
{
    http_files_call(request, "file", on_file);
}

static void
on_deleted(struct http_request *request, const struct wire *wire,
           const struct err *err)
{
    struct buf out = { 0 };

    if (!wire) {
        http_files_failed(request, err);
        return;
    }
    buf_addf(&out, "{\"id\":\"%s\",\"object\":\"file\",\"deleted\":true}\n",
             http_param(request, 0));
    http_reply(request, 200, HTTP_JSON, buf_slice(&out));
    buf_fini(&out);
}

void
http_files_delete(struct http_request *request)
{
    http_files_call(request, "file_delete", on_deleted);
}

/* ---- all of them ---- */

/* Takes the next line off a page. */
static cJSON *
take_line(struct slice *page)
{
    const char *end = memchr(page->data, '\n', page->bytes);
    size_t bytes = end ? (size_t)(end - page->data) + 1 : page->bytes;
    cJSON *file = cJSON_ParseWithLength(page->data, bytes);

    page->data += bytes;
    page->bytes -= bytes;
    return file;
}

static void
on_list(struct http_request *request, const struct wire *wire,
        const struct err *err)
{
    struct http_object_list list;
    struct buf out = { 0 };
    struct slice page;
    bool has_more;
    int rc;

    if (!wire) {
        http_call_failed(request, err);
        return;
    }
    page = wire->body;
    rc = wire_bool(wire, "more", false, &has_more, NULL);
    http_object_list_begin(&list, &out);
    while (rc == 0 && page.bytes > 0) {
        cJSON *file = take_line(&page);

        rc = http_object_list_file(&list, file);
        cJSON_Delete(file);
    }
    http_object_list_end(&list, has_more);
    if (rc == 0)
        http_reply(request, 200, HTTP_JSON, buf_slice(&out));
    else
        http_call_failed(request, &(struct err){ .code = E_PROTOCOL });
    buf_fini(&out);
}

void
http_files_list(struct http_request *request)
{
    static const char *const passed[] = { "purpose", "order" };
    struct http_query query = { .request = request };
    int64_t limit = http_query_int(&query, "limit", 1, HTTP_FILES_LIMIT_MAX,
                                   HTTP_FILES_LIMIT_MAX);
    const char *after = http_query_id(&query, "after", HTTP_FILE_PREFIX);
    cJSON *head;

    if (query.error.status != 0) {
        http_reply_error(request, &query.error);
        return;
    }
    head = wire_new("file_list");
    wire_add_int(head, "limit", limit);
    if (after)
        wire_add_str(head, "after", after);
    for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++) {
        if (http_query_text(&query, passed[i]))
            wire_add_str(head, passed[i], query.text);
    }
    http_call(request, head, (struct slice){ 0 }, on_list);
}
