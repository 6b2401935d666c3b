/* SPDX-License-Identifier: MIT */
#include "submit/http_object.h"

#include <stdio.h>
#include <string.h>

#include "queue/wire.h"

#define UUID_BYTES 36 /* as text */
#define MINUTE_MS  60000

/* ---- ids ---- */

const char *
http_object_uuid(const char *id, const char *prefix)
{
    size_t bytes = strlen(prefix);
    const char *uuid = id + bytes;

    if (strncmp(id, prefix, bytes) != 0 || strlen(uuid) != UUID_BYTES ||
        strspn(uuid, "0123456789abcdef-") != UUID_BYTES) {
        return NULL;
    }
    for (size_t i = 0; i < UUID_BYTES; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;

        if ((uuid[i] == '-') != is_dash)
            return NULL;
    }
    return uuid;
}

void
http_object_id(const char *prefix, const char *uuid,
               char id[HTTP_OBJECT_ID_BYTES])
{
    (void)snprintf(id, HTTP_OBJECT_ID_BYTES, "%s%s", prefix, uuid);
}

int
http_object_no_file(struct http_error *error, const char *id, const char *param)
{
    http_error_set(error, 404, "", "No such File object: %.64s", id);
    http_error_param(error, slice_of(param));
    return error->status;
}

int
http_object_no_batch(struct http_error *error, const char *id)
{
    return http_error_set(error, 404, "batch_not_found",
                          "No batch found with id '%.64s'.", id);
}

/* ---- what the broker tells ---- */

static const cJSON *
member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static const char *
text_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(member(object, name));

    return text ? text : "";
}

static int64_t
int_of(const cJSON *object, const char *name)
{
    const cJSON *item = member(object, name);

    if (!cJSON_IsNumber(item) || item->valuedouble < 0 ||
        item->valuedouble > (double)WIRE_INT_MAX) {
        return 0;
    }
    return (int64_t)item->valuedouble;
}

static void
add_time(cJSON *to, const char *name, const cJSON *from, const char *member)
{
    int64_t time_ms = int_of(from, member);

    if (time_ms > 0)
        wire_add_int(to, name, time_ms / 1000);
    else
        wire_add_null(to, name);
}

/* An id, or null for a thing that is not there. */
static void
add_id(cJSON *to, const char *name, const char *prefix, const char *uuid)
{
    char id[HTTP_OBJECT_ID_BYTES];

    if (!*uuid) {
        wire_add_null(to, name);
        return;
    }
    http_object_id(prefix, uuid, id);
    wire_add_str(to, name, id);
}

/* ---- files ---- */

int
http_object_file(const cJSON *file, struct buf *out)
{
    const char *uuid = text_of(file, "file");
    cJSON *object;

    if (!*uuid)
        return E_PROTOCOL;
    object = cJSON_CreateObject();
    add_id(object, "id", HTTP_FILE_PREFIX, uuid);
    wire_add_str(object, "object", "file");
    wire_add_int(object, "bytes", int_of(file, "bytes"));
    wire_add_int(object, "created_at", int_of(file, "created_at") / 1000);
    add_time(object, "expires_at", file, "expires_at");
    wire_add_str(object, "filename", text_of(file, "name"));
    wire_add_str(object, "purpose", text_of(file, "purpose"));
    wire_add_str(object, "status", "processed");
    wire_add_null(object, "status_details");
    wire_print(object, out);
    return 0;
}

/* ---- batches ---- */

static void
add_errors(cJSON *object, const cJSON *made)
{
    cJSON *list;

    if (strcmp(text_of(made, "status"), "failed") != 0) {
        wire_add_null(object, "errors");
        return;
    }
    list = wire_add_object(object, "errors");
    wire_add_str(list, "object", "list");
    cJSON_AddItemToObject(list, "data",
                          cJSON_Duplicate(member(made, "errors"), true));
}

/* The time between its making and its deadline, in whole hours if it is that:
 * what the client has written is not kept. */
static void
add_window(cJSON *object, const cJSON *made)
{
    int64_t window_ms = int_of(made, "expires_at") - int_of(made, "created_at");
    int64_t minutes = (window_ms + MINUTE_MS / 2) / MINUTE_MS;
    char text[32];

    if (minutes % 60 == 0)
        (void)snprintf(text, sizeof(text), "%lldh", (long long)minutes / 60);
    else
        (void)snprintf(text, sizeof(text), "%lldm", (long long)minutes);
    wire_add_str(object, "completion_window", text);
}

static void
add_times(cJSON *object, const cJSON *made)
{
    static const char *const names[] = { "in_progress_at", "expires_at",
                                         "finalizing_at",  "completed_at",
                                         "failed_at",      "expired_at",
                                         "cancelling_at",  "cancelled_at" };

    wire_add_int(object, "created_at", int_of(made, "created_at") / 1000);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        add_time(object, names[i], made, names[i]);
}

static void
add_counts(cJSON *object, const cJSON *made)
{
    const cJSON *counts = member(made, "request_counts");
    cJSON *to = wire_add_object(object, "request_counts");

    wire_add_int(to, "total", int_of(counts, "total"));
    wire_add_int(to, "completed", int_of(counts, "completed"));
    wire_add_int(to, "failed", int_of(counts, "failed"));
}

/* What upstreams tell of cached and reasoning tokens is not added up. */
static void
add_usage(cJSON *object, const cJSON *usage)
{
    cJSON *to = wire_add_object(object, "usage");

    wire_add_int(to, "input_tokens", int_of(usage, "prompt_tokens"));
    wire_add_int(wire_add_object(to, "input_tokens_details"), "cached_tokens",
                 0);
    wire_add_int(to, "output_tokens", int_of(usage, "completion_tokens"));
    wire_add_int(wire_add_object(to, "output_tokens_details"),
                 "reasoning_tokens", 0);
    wire_add_int(to, "total_tokens", int_of(usage, "total_tokens"));
}

static void
add_metadata(cJSON *object, const cJSON *metadata)
{
    if (cJSON_GetArraySize(metadata) == 0)
        wire_add_null(object, "metadata");
    else
        cJSON_AddItemToObject(object, "metadata",
                              cJSON_Duplicate(metadata, true));
}

int
http_object_batch(const cJSON *status, struct buf *out)
{
    const cJSON *made = member(status, "from_file");
    const char *uuid = text_of(status, "batch");
    cJSON *object;

    if (!*uuid || !cJSON_IsObject(made))
        return E_PROTOCOL;
    object = cJSON_CreateObject();
    add_id(object, "id", HTTP_BATCH_PREFIX, uuid);
    wire_add_str(object, "object", "batch");
    wire_add_str(object, "endpoint", text_of(made, "endpoint"));
    add_errors(object, made);
    add_id(object, "input_file_id", HTTP_FILE_PREFIX,
           text_of(made, "input_file"));
    add_window(object, made);
    wire_add_str(object, "status", text_of(made, "status"));
    add_id(object, "output_file_id", HTTP_FILE_PREFIX,
           text_of(made, "output_file"));
    add_id(object, "error_file_id", HTTP_FILE_PREFIX,
           text_of(made, "error_file"));
    add_times(object, made);
    add_counts(object, made);
    add_usage(object, member(status, "usage"));
    add_metadata(object, member(status, "metadata"));
    wire_print(object, out);
    return 0;
}

/* ---- lists ---- */

void
http_object_list_begin(struct http_object_list *list, struct buf *out)
{
    *list = (struct http_object_list){ .out = out };
    buf_add_str(out, "{\"object\":\"list\",\"data\":[");
}

static void
add_object(struct http_object_list *list, const struct buf *object,
           const char *prefix, const char *uuid)
{
    if (list->count > 0)
        buf_add_char(list->out, ',');
    buf_add_slice(list->out, buf_slice(object));
    http_object_id(prefix, uuid, list->last);
    if (list->count++ == 0)
        memcpy(list->first, list->last, sizeof(list->first));
}

int
http_object_list_file(struct http_object_list *list, const cJSON *file)
{
    struct buf object = { 0 };
    int rc = http_object_file(file, &object);

    if (rc == 0)
        add_object(list, &object, HTTP_FILE_PREFIX, text_of(file, "file"));
    buf_fini(&object);
    return rc;
}

int
http_object_list_batch(struct http_object_list *list, const cJSON *status)
{
    struct buf object = { 0 };
    int rc = http_object_batch(status, &object);

    if (rc == 0)
        add_object(list, &object, HTTP_BATCH_PREFIX, text_of(status, "batch"));
    buf_fini(&object);
    return rc;
}

static void
add_end(struct buf *out, const char *name, const char *id)
{
    if (*id)
        buf_addf(out, ",\"%s\":\"%s\"", name, id);
    else
        buf_addf(out, ",\"%s\":null", name);
}

void
http_object_list_end(const struct http_object_list *list, bool has_more)
{
    buf_add_char(list->out, ']');
    add_end(list->out, "first_id", list->first);
    add_end(list->out, "last_id", list->last);
    buf_addf(list->out, ",\"has_more\":%s}\n", has_more ? "true" : "false");
}
