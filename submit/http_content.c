/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "submit/http_call.h"
#include "submit/http_files.h"
#include "submit/http_gateway.h"
#include "submit/http_object.h"

#define PAGE_BYTES      262144 /* asked for at a time, and held */
#define FILE_UUID_BYTES 37

/* A file, or a part of it, that a client is being sent. */
struct download {
    struct gateway *gateway; /* borrowed */
    struct http_request *request;
    struct http_question *question; /* NULL: none is open */
    char client[HTTP_CLIENT_BYTES];
    char file[FILE_UUID_BYTES];
    int64_t from, count;
};

static void
on_page(void *arg, const struct wire *wire, const struct err *err)
{
    struct download *download = arg;

    (void)err;
    download->question = NULL;
    if (wire && wire->body.bytes > 0)
        http_feed(download->request, wire->body);
    else
        http_feed_fail(download->request);
}

static void
pull(void *arg, struct http_request *request, int64_t at)
{
    struct download *download = arg;
    struct gateway *gateway = download->gateway;
    int64_t left = download->count - at;
    struct http_ask ask = { .is_patient = true,
                            .answer = on_page,
                            .arg = download };

    if (left <= 0) {
        http_feed_end(request);
        return;
    }
    ask.head = wire_new("file_read");
    wire_add_str(ask.head, "client", download->client);
    wire_add_str(ask.head, "file", download->file);
    wire_add_int(ask.head, "at", download->from + at);
    wire_add_int(ask.head, "length", left < PAGE_BYTES ? left : PAGE_BYTES);
    download->question =
        http_broker_ask(gateway->broker, &ask, gateway->now_ms, NULL);
    if (!download->question)
        http_feed_fail(request);
}

static void
close_source(void *arg)
{
    struct download *download = arg;

    if (download->question)
        http_broker_forget(download->gateway->broker, download->question);
    free(download);
}

static void
start(struct http_request *request, int status, int64_t from, int64_t count)
{
    const char *uuid =
        http_object_uuid(http_param(request, 0), HTTP_FILE_PREFIX);
    struct download *download = mem_zalloc(1, sizeof(*download));
    struct http_source source = {
        .bytes = count, .pull = pull, .close = close_source, .arg = download
    };

    download->gateway = request->gateway;
    download->request = request;
    download->from = from;
    download->count = count;
    (void)snprintf(download->client, sizeof(download->client), "%s",
                   request->grant.client);
    (void)snprintf(download->file, sizeof(download->file), "%s", uuid);
    http_reply_source(request, status, HTTP_JSON_LINES, &source);
}

static void
refuse_range(struct http_request *request, int64_t bytes)
{
    struct http_error error;

    http_error_set(&error, 416, "invalid_range",
                   "the file has %lld bytes, and none of those asked for",
                   (long long)bytes);
    http_error_param(&error, slice_of("range"));
    http_reply_error(request, &error);
}

static void
on_file(struct http_request *request, const struct wire *wire,
        const struct err *err)
{
    const cJSON *bytes;
    int64_t from, count;
    int status;

    if (!wire) {
        http_files_failed(request, err);
        return;
    }
    bytes = cJSON_GetObjectItemCaseSensitive(wire_get(wire, "file"), "bytes");
    if (!cJSON_IsNumber(bytes) || bytes->valuedouble < 0) {
        http_call_failed(request, &(struct err){ .code = E_PROTOCOL });
        return;
    }
    http_reply_field(request, "Accept-Ranges", "bytes");
    status = http_range(request, (int64_t)bytes->valuedouble, &from, &count);
    if (status == 416)
        refuse_range(request, (int64_t)bytes->valuedouble);
    else if (count == 0)
        http_reply(request, status, HTTP_JSON_LINES, (struct slice){ 0 });
    else
        start(request, status, from, count);
}

void
http_content(struct http_request *request)
{
    if (http_partial_is(http_param(request, 0)))
        http_partial(request);
    else
        http_files_call(request, "file", on_file);
}
