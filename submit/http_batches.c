/* SPDX-License-Identifier: MIT */
#include "submit/http_batches.h"

#include <string.h>

#include "base/json.h"
#include "submit/http_call.h"
#include "submit/http_gateway.h"
#include "submit/http_object.h"
#include "submit/http_query.h"

static void
reply_none(struct http_request *request, const char *id)
{
    struct http_error error;

    http_object_no_batch(&error, id);
    http_reply_error(request, &error);
}

/* True if the answer is there, and of a batch that this API shows; else there is
 * a reply. */
static bool
is_shown(struct http_request *request, const struct wire *wire,
         const struct err *err)
{
    if (!wire && err->code != E_NOTFOUND)
        http_call_failed(request, err);
    else if (!wire || !wire_has(wire, "from_file"))
        reply_none(request, http_param(request, 0));
    else
        return true;
    return false;
}

static void
reply_batch(struct http_request *request, const struct wire *wire)
{
    struct buf out = { 0 };

    if (http_object_batch(wire->head, &out) == 0)
        http_reply(request, 200, HTTP_JSON, buf_slice(&out));
    else
        http_call_failed(request, &(struct err){ .code = E_PROTOCOL });
    buf_fini(&out);
}

static void
call_about(struct http_request *request, const char *verb, const char *uuid,
           http_then_fn *then)
{
    cJSON *head = wire_new(verb);

    wire_add_str(head, "batch", uuid);
    http_call(request, head, (struct slice){ 0 }, then);
}

/* Asks for the batch that the path names. */
static void
look(struct http_request *request, http_then_fn *then)
{
    const char *uuid =
        http_object_uuid(http_param(request, 0), HTTP_BATCH_PREFIX);

    if (uuid)
        call_about(request, "status", uuid, then);
    else
        reply_none(request, http_param(request, 0));
}

/* ---- one of them ---- */

static void
on_status(struct http_request *request, const struct wire *wire,
          const struct err *err)
{
    if (is_shown(request, wire, err))
        reply_batch(request, wire);
}

void
http_batches_get(struct http_request *request)
{
    look(request, on_status);
}

/* ---- cancel ---- */

static void
reply_over(struct http_request *request, const char *status)
{
    struct http_error error;

    http_error_set(&error, 409, "", "Cannot cancel a batch with status '%s'.",
                   status);
    http_reply_error(request, &error);
}

static const char *
status_of(const struct wire *wire)
{
    const char *status = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(
        wire_get(wire, "from_file"), "status"));

    return status ? status : "";
}

/* It came to its end before the cancel came. */
static void
on_late(struct http_request *request, const struct wire *wire,
        const struct err *err)
{
    if (is_shown(request, wire, err))
        reply_over(request, status_of(wire));
}

static void
on_cancelled(struct http_request *request, const struct wire *wire,
             const struct err *err)
{
    if (!wire && err->code == E_CONFLICT)
        look(request, on_late);
    else if (is_shown(request, wire, err))
        reply_batch(request, wire);
}

/* Only a batch that is shown can be cancelled here. */
static void
on_found(struct http_request *request, const struct wire *wire,
         const struct err *err)
{
    if (is_shown(request, wire, err))
        call_about(request, "cancel",
                   http_object_uuid(http_param(request, 0), HTTP_BATCH_PREFIX),
                   on_cancelled);
}

void
http_batches_cancel(struct http_request *request)
{
    look(request, on_found);
}

/* ---- all of them ---- */

static void
reply_list(struct http_request *request, const struct wire *wire)
{
    const cJSON *batches = wire_get(wire, "batches"), *status;
    struct http_object_list list;
    struct buf out = { 0 };
    bool has_more;
    int rc = wire_bool(wire, "more", false, &has_more, NULL);

    http_object_list_begin(&list, &out);
    cJSON_ArrayForEach(status, batches)
    {
        if (rc == 0)
            rc = http_object_list_batch(&list, status);
    }
    if (rc == 0) {
        http_object_list_end(&list, has_more);
        http_reply(request, 200, HTTP_JSON, buf_slice(&out));
    } else {
        http_call_failed(request, &(struct err){ .code = E_PROTOCOL });
    }
    buf_fini(&out);
}

static void
on_list(struct http_request *request, const struct wire *wire,
        const struct err *err)
{
    struct http_query query = { .request = request };

    if (wire) {
        reply_list(request, wire);
    } else if (err->code == E_NOTFOUND && http_query_text(&query, "after")) {
        reply_none(request, query.text);
    } else {
        http_call_failed(request, err);
    }
}

void
http_batches_list(struct http_request *request)
{
    struct http_query query = { .request = request };
    int64_t limit = http_query_int(&query, "limit", 1, HTTP_BATCHES_LIMIT_MAX,
                                   HTTP_BATCHES_LIMIT);
    const char *after = http_query_id(&query, "after", HTTP_BATCH_PREFIX);
    cJSON *head;

    if (query.error.status != 0) {
        http_reply_error(request, &query.error);
        return;
    }
    head = wire_new("list");
    wire_add_bool(head, "from_file", true);
    wire_add_int(head, "limit", limit);
    if (after)
        wire_add_str(head, "before", after);
    http_call(request, head, (struct slice){ 0 }, on_list);
}

/* ---- a new one ---- */

static void
on_made(struct http_request *request, const struct wire *wire,
        const struct err *err)
{
    if (wire)
        reply_batch(request, wire);
    else
        http_call_failed(request, err);
}

/* The file that was asked for: its id is read once more, as it is seldom
 * needed. */
static void
reply_no_file(struct http_request *request)
{
    static const char name[] = "input_file_id";
    struct json_doc doc = { 0 };
    struct buf id = { 0 };
    struct http_error error;

    buf_add_str(&id, "");
    if (json_parse(&doc, request->body.data, request->body.bytes, JSON_INPUT,
                   NULL) == 0) {
        json_decode(&doc, json_member(&doc, 0, name), &id);
    }
    http_object_no_file(&error, id.data, name);
    http_reply_error(request, &error);
    json_fini(&doc);
    buf_fini(&id);
}

static void
on_opened(struct http_request *request, const struct wire *wire,
          const struct err *err)
{
    const char *batch;

    if (wire && wire_str(wire, "batch", SIZE_MAX, NULL, &batch, NULL) == 0)
        call_about(request, "status", batch, on_made);
    else if (wire)
        http_call_failed(request, &(struct err){ .code = E_PROTOCOL });
    else if (err->code == E_NOTFOUND)
        reply_no_file(request);
    else
        http_call_failed(request, err);
}

void
http_batch_new(struct http_request *request)
{
    const char *key = request->kept[HTTP_KEPT_IDEMPOTENCY_KEY];
    cJSON *head = wire_new("open");
    struct buf options = { 0 };
    struct http_error error;

    if (http_batch_read(buf_slice(&request->body), request->gateway->wall_ms,
                        head, &options, &error) == 0) {
        wire_add_str(head, "key", key && *key ? key : request->id);
        http_call(request, head, buf_slice(&options), on_opened);
    } else {
        cJSON_Delete(head);
        http_reply_error(request, &error);
    }
    buf_fini(&options);
}
