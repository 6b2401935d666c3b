/* SPDX-License-Identifier: MIT */
#include "submit/http_ui.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "submit/http_board.h"
#include "submit/http_gateway.h"

#define DIGITS_MAX 15 /* of a number in a URL: below 2^53 */

struct asking;

/* Makes the reply of an answer; 0, or a code and *err. */
typedef int compose_fn(const struct asking *asking, const struct wire *wire,
                       struct buf *out, struct err *err);

/* A request that waits for one answer. */
struct asking {
    struct http_request *request;
    struct http_question *question;
    compose_fn *compose;
    int64_t index; /* of the result that is asked for */
};

void
http_ui_add_batch(const struct http_request *request, cJSON *head)
{
    wire_add_str(head, "batch", http_param(request, 0));
    if (request->grant.scope < HTTP_SCOPE_ADMIN)
        wire_add_str(head, "client", request->grant.client);
}

static int
parse_number(const char *text, int64_t *value)
{
    size_t bytes = strlen(text);

    if (bytes == 0 || bytes > DIGITS_MAX || strspn(text, "0123456789") != bytes)
        return E_INVALID;
    *value = strtoll(text, NULL, 10);
    return 0;
}

int
http_ui_number(const struct http_request *request, const char *name,
               int64_t absent, int64_t *value, struct http_error *error)
{
    struct buf text = { 0 };
    int status = 0;

    *value = absent;
    if (http_path_query(&request->path, name, &text) &&
        parse_number(text.bytes ? text.data : "", value) < 0) {
        status = http_error_set(error, 400, "invalid",
                                "%s is to be a number of at most %d digits",
                                name, DIGITS_MAX);
        http_error_param(error, slice_of(name));
    }
    buf_fini(&text);
    return status;
}

/* ---- one question, one reply ---- */

static void
on_gone(void *arg)
{
    struct asking *asking = arg;

    http_broker_forget(asking->request->gateway->broker, asking->question);
    free(asking);
}

static void
reply_err(struct http_request *request, const struct err *err)
{
    struct http_error error;

    http_error_of(&error, err);
    http_reply_error(request, &error);
}

static void
on_answer(void *arg, const struct wire *wire, const struct err *err)
{
    struct asking *asking = arg;
    struct buf out = { 0 };
    struct err wrong = { 0 };

    if (!wire)
        reply_err(asking->request, err);
    else if (asking->compose(asking, wire, &out, &wrong) < 0)
        reply_err(asking->request, &wrong);
    else
        http_reply(asking->request, 200, HTTP_JSON, buf_slice(&out));
    buf_fini(&out);
    free(asking);
}

/* Asks; `wanted` says what for, and is copied. */
static void
ask(const struct asking *wanted, cJSON *head)
{
    struct http_request *request = wanted->request;
    struct asking *asking = mem_zalloc(1, sizeof(*asking));
    struct http_ask ask = { .head = head, .answer = on_answer, .arg = asking };
    struct err err = { 0 };

    *asking = *wanted;
    asking->question = http_broker_ask(request->gateway->broker, &ask,
                                       request->gateway->now_ms, &err);
    if (!asking->question) {
        free(asking);
        reply_err(request, &err);
        return;
    }
    http_on_gone(request, on_gone, asking);
}

/* What the answer says, as it is; its verb and number are between the gateway
 * and the broker. */
static int
compose_head(const struct asking *asking, const struct wire *wire,
             struct buf *out, struct err *err)
{
    cJSON *head = cJSON_Duplicate(wire->head, true);

    (void)asking;
    (void)err;
    cJSON_DeleteItemFromObjectCaseSensitive(head, "verb");
    cJSON_DeleteItemFromObjectCaseSensitive(head, "re");
    wire_print(head, out);
    return 0;
}

/* ---- batches ---- */

void
http_ui_batches(struct http_request *request)
{
    struct asking asking = { .request = request, .compose = compose_head };
    cJSON *head = wire_new("list");
    struct buf before = { 0 };

    wire_add_int(head, "limit", HTTP_BOARD_BATCHES_MAX);
    if (http_path_query(&request->path, "before", &before))
        wire_add_slice(head, "before", buf_slice(&before));
    if (request->grant.scope < HTTP_SCOPE_ADMIN)
        wire_add_str(head, "client", request->grant.client);
    buf_fini(&before);
    ask(&asking, head);
}

static void
ask_about(struct http_request *request, cJSON *head)
{
    struct asking asking = { .request = request, .compose = compose_head };

    http_ui_add_batch(request, head);
    ask(&asking, head);
}

void
http_ui_batch(struct http_request *request)
{
    ask_about(request, wire_new("status"));
}

void
http_ui_cancel(struct http_request *request)
{
    ask_about(request, wire_new("cancel"));
}

void
http_ui_pause(struct http_request *request)
{
    ask_about(request, wire_new("pause"));
}

void
http_ui_resume(struct http_request *request)
{
    ask_about(request, wire_new("resume"));
}

/* Copies the list `statuses` of the body, if there is one. */
static int
copy_statuses(const cJSON *body, cJSON *head, struct http_error *error)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(body, "statuses");
    const cJSON *item;
    cJSON *copy;
    int count = 0;

    if (!cJSON_IsObject(body))
        return http_error_set(error, 400, "invalid",
                              "the body is to be a JSON object");
    if (!list)
        return 0;
    copy = wire_add_array(head, "statuses");
    cJSON_ArrayForEach(item, list)
    {
        const char *status = cJSON_GetStringValue(item);

        if (!status || strlen(status) > HTTP_UI_STATUS_BYTES_MAX ||
            ++count > HTTP_UI_STATUSES_MAX)
            break;
        cJSON_AddItemToArray(copy, cJSON_CreateString(status));
    }
    if (cJSON_IsArray(list) && !item)
        return 0;
    http_error_set(error, 400, "invalid",
                   "statuses is to be a list of at most %d names",
                   HTTP_UI_STATUSES_MAX);
    http_error_param(error, slice_of("statuses"));
    return error->status;
}

void
http_ui_retry(struct http_request *request)
{
    cJSON *body =
        cJSON_ParseWithLength(request->body.data, request->body.bytes);
    cJSON *head = wire_new("retry");
    struct http_error error;

    if (copy_statuses(body, head, &error) == 0) {
        ask_about(request, head);
    } else {
        cJSON_Delete(head);
        http_reply_error(request, &error);
    }
    cJSON_Delete(body);
}

/* ---- one result ---- */

/* The first result from the index on may be of another draft. */
static int
compose_result(const struct asking *asking, const struct wire *wire,
               struct buf *out, struct err *err)
{
    struct json_doc doc = { 0 };
    int64_t index = -1;
    int rc = 0;

    if (wire->body.bytes > 0)
        rc = json_parse(&doc, wire->body.data, wire->body.bytes, JSON_REPLY,
                        err);
    if (rc == 0 && wire->body.bytes > 0 &&
        json_int(&doc, json_member(&doc, 0, "index"), 0, WIRE_INT_MAX, &index) <
            0)
        index = -1;
    if (rc == 0 && index != asking->index)
        rc = err_set(err, E_NOTFOUND, "draft %lld has no result",
                     (long long)asking->index);
    if (rc == 0)
        buf_add_slice(out, wire->body);
    json_fini(&doc);
    return rc;
}

/* The index in the route. False: there is a reply by now. */
static bool
read_index(struct http_request *request, int64_t *index)
{
    struct http_error error;

    if (parse_number(http_param(request, 1), index) == 0)
        return true;
    http_error_set(&error, 404, "not_found", "a draft's index is a number");
    http_reply_error(request, &error);
    return false;
}

void
http_ui_result(struct http_request *request)
{
    struct asking asking = { .request = request, .compose = compose_result };
    cJSON *head;

    if (!read_index(request, &asking.index))
        return;
    head = wire_new("results");
    http_ui_add_batch(request, head);
    wire_add_str(head, "order", "input");
    wire_add_int(head, "after", asking.index);
    wire_add_int(head, "limit", 1);
    ask(&asking, head);
}

/* The last of the parts, with a NUL behind each, is the request's body. */
static struct slice
last_part(struct slice parts)
{
    size_t from;

    if (parts.bytes > 0 && parts.data[parts.bytes - 1] == '\0')
        parts.bytes--;
    from = parts.bytes;
    while (from > 0 && parts.data[from - 1] != '\0')
        from--;
    return (struct slice){ parts.data + from, parts.bytes - from };
}

static int
compose_why(const struct asking *asking, const struct wire *wire,
            struct buf *out, struct err *err)
{
    struct slice rendered = last_part(wire->body);
    struct slice shown = utf8_cut(rendered, HTTP_UI_RENDERED_BYTES_MAX);

    if (compose_head(asking, wire, out, err) < 0)
        return err->code;
    out->bytes--; /* its brace */
    buf_addf(out, ",\"rendered_bytes\":%zu,\"rendered\":", rendered.bytes);
    json_write_string(out, shown.data, shown.bytes);
    buf_add_char(out, '}');
    return 0;
}

void
http_ui_why(struct http_request *request)
{
    struct asking asking = { .request = request, .compose = compose_why };
    cJSON *head;

    if (!read_index(request, &asking.index))
        return;
    head = wire_new("why");
    http_ui_add_batch(request, head);
    wire_add_int(head, "index", asking.index);
    ask(&asking, head);
}
