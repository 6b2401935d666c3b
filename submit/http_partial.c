/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "submit/http_files.h"
#include "submit/http_object.h"
#include "submit/http_query.h"

#define LIMIT_MAX   10000
#define NUMBER_TEXT 24

/* What is asked for: read from the request each time that it is needed. */
struct partial {
    char batch[HTTP_OBJECT_ID_BYTES];
    const char *side;
    int64_t offset, limit;
    struct http_error error;
};

static bool
read_id(const char *id, struct partial *partial)
{
    static const char *const sides[] = { "_output", "_error" };
    size_t bytes = strlen(id);

    for (size_t i = 0; i < sizeof(sides) / sizeof(sides[0]); i++) {
        size_t end = strlen(sides[i]);

        if (bytes <= end || bytes - end >= sizeof(partial->batch) ||
            strcmp(id + bytes - end, sides[i]) != 0) {
            continue;
        }
        memcpy(partial->batch, id, bytes - end);
        partial->batch[bytes - end] = '\0';
        partial->side = sides[i] + 1;
        return http_object_uuid(partial->batch, HTTP_BATCH_PREFIX) != NULL;
    }
    return false;
}

bool
http_partial_is(const char *id)
{
    struct partial partial;

    return read_id(id, &partial);
}

static struct partial
read_request(struct http_request *request)
{
    struct http_query query = { .request = request };
    struct partial partial = { .side = "" };

    (void)read_id(http_param(request, 0), &partial);
    partial.offset = http_query_int(&query, "offset", 0, WIRE_INT_MAX, 0);
    partial.limit = http_query_int(&query, "limit", 1, LIMIT_MAX, LIMIT_MAX);
    partial.error = query.error;
    return partial;
}

static void on_page(struct http_request *request, const struct wire *wire,
                    const struct err *err);

static void
ask_page(struct http_request *request, int64_t after)
{
    struct partial partial = read_request(request);
    cJSON *head = wire_new("results");

    wire_add_str(head, "batch",
                 http_object_uuid(partial.batch, HTTP_BATCH_PREFIX));
    wire_add_str(head, "file", partial.side);
    wire_add_int(head, "after", after);
    wire_add_int(head, "limit", partial.limit);
    http_call(request, head, (struct slice){ 0 }, on_page);
}

/* One page is the reply; if it is empty because all that was looked at belongs
 * to the other file, the next one. */
static void
on_page(struct http_request *request, const struct wire *wire,
        const struct err *err)
{
    bool was_over = request->state != NULL, has_more;
    char number[NUMBER_TEXT];
    int64_t cursor;

    if (!wire) {
        http_files_failed(request, err);
    } else if (wire_int(wire, "cursor", wire_range(0, WIRE_INT_MAX), &cursor,
                        NULL) < 0 ||
               wire_bool(wire, "more", false, &has_more, NULL) < 0) {
        http_call_failed(request, &(struct err){ .code = E_PROTOCOL });
    } else if (has_more && wire->body.bytes == 0) {
        ask_page(request, cursor);
    } else {
        (void)snprintf(number, sizeof(number), "%lld", (long long)cursor);
        http_reply_field(request, "X-Last-Line", number);
        http_reply_field(request, "X-Incomplete",
                         was_over && !has_more ? "false" : "true");
        http_reply(request, 200, HTTP_JSON_LINES, wire->body);
    }
}

/* Only what was over before the page was asked for is complete with it. */
static void
on_status(struct http_request *request, const struct wire *wire,
          const struct err *err)
{
    static const char *const over[] = { "completed", "failed", "expired",
                                        "cancelled" };
    const char *status;

    if (!wire) {
        http_files_failed(request, err);
        return;
    }
    status = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(
        wire_get(wire, "from_file"), "status"));
    if (!status) {
        http_files_failed(request, &(struct err){ .code = E_NOTFOUND });
        return;
    }
    for (size_t i = 0; i < sizeof(over) / sizeof(over[0]); i++) {
        if (strcmp(status, over[i]) == 0)
            request->state = request; /* a mark */
    }
    ask_page(request, read_request(request).offset);
}

void
http_partial(struct http_request *request)
{
    struct partial partial = read_request(request);
    cJSON *head;

    if (partial.error.status != 0) {
        http_reply_error(request, &partial.error);
        return;
    }
    head = wire_new("status");
    wire_add_str(head, "batch",
                 http_object_uuid(partial.batch, HTTP_BATCH_PREFIX));
    http_call(request, head, (struct slice){ 0 }, on_status);
}
