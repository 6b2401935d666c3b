/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "queue/wire.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* cJSON is quiet about lack of memory; here it ends the process. */
static cJSON *
have(cJSON *item)
{
    if (!item)
        log_fatal("event=out_of_memory where=wire");
    return item;
}

cJSON *
wire_new(const char *verb)
{
    cJSON *head = have(cJSON_CreateObject());

    wire_add_str(head, "verb", verb);
    return head;
}

/* As text: of a number, which is a double to it, cJSON prints 15 digits, and reads
 * them again to see whether that were enough. */
static cJSON *
integer(int64_t value)
{
    char digits[24];

    assert(value <= WIRE_INT_MAX);
    assert(value >= -WIRE_INT_MAX);
    (void)snprintf(digits, sizeof(digits), "%lld", (long long)value);
    return have(cJSON_CreateRaw(digits));
}

void
wire_add_int(cJSON *head, const char *name, int64_t value)
{
    cJSON_AddItemToObject(head, name, integer(value));
}

/* The text with what is no UTF-8 replaced, or NULL if it is all right. What was
 * cut to its limit may end within a character, and a header is UTF-8. */
static char *
mended(const char *text)
{
    struct buf out = { 0 };
    size_t bytes = strlen(text), at = 0, length = 1;

    while (at < bytes && length > 0) {
        length = json_utf8(text + at, bytes - at);
        at += length;
    }
    if (length > 0)
        return NULL;
    for (at = 0; at < bytes; at += length ? length : 1) {
        length = json_utf8(text + at, bytes - at);
        if (length > 0)
            buf_add(&out, text + at, length);
        else
            buf_add_str(&out, REPLACEMENT);
    }
    return buf_take(&out);
}

void
wire_add_str(cJSON *head, const char *name, const char *value)
{
    char *other = value ? mended(value) : NULL;

    if (!value)
        value = "";
    have(cJSON_AddStringToObject(head, name, other ? other : value));
    free(other);
}

void
wire_add_slice(cJSON *head, const char *name, struct slice value)
{
    char *text = mem_dup(value.data, value.bytes);

    wire_add_str(head, name, text);
    free(text);
}

void
wire_add_bool(cJSON *head, const char *name, bool value)
{
    have(cJSON_AddBoolToObject(head, name, value));
}

void
wire_add_double(cJSON *head, const char *name, double value)
{
    have(cJSON_AddNumberToObject(head, name, value));
}

void
wire_add_null(cJSON *head, const char *name)
{
    have(cJSON_AddNullToObject(head, name));
}

cJSON *
wire_add_object(cJSON *head, const char *name)
{
    return have(cJSON_AddObjectToObject(head, name));
}

cJSON *
wire_add_array(cJSON *head, const char *name)
{
    return have(cJSON_AddArrayToObject(head, name));
}

static void
add_tuple(cJSON *array, const int64_t *values, int count)
{
    cJSON *tuple = have(cJSON_CreateArray());

    for (int i = 0; i < count; i++)
        cJSON_AddItemToArray(tuple, integer(values[i]));
    cJSON_AddItemToArray(array, tuple);
}

void
wire_add_pair(cJSON *array, int64_t first, int64_t second)
{
    add_tuple(array, (int64_t[]){ first, second }, 2);
}

void
wire_add_triple(cJSON *array, int64_t first, int64_t second, int64_t third)
{
    add_tuple(array, (int64_t[]){ first, second, third }, 3);
}

size_t
wire_bytes(const cJSON *object)
{
    char *text = cJSON_PrintUnformatted(object);
    size_t bytes = text ? strlen(text) : 0;

    cJSON_free(text);
    return bytes;
}

void
wire_print(cJSON *head, struct buf *out)
{
    char *text = cJSON_PrintUnformatted(head);

    if (!text)
        log_fatal("event=out_of_memory where=wire");
    buf_add_str(out, text);
    cJSON_free(text);
    cJSON_Delete(head);
}

/* ---- headers that are written at once ---- */

void
wire_begin(struct buf *out, const char *verb)
{
    buf_add_str(out, "{\"verb\":\"");
    buf_add_str(out, verb);
    buf_add_char(out, '"');
}

void
wire_put_name(struct buf *out, const char *name)
{
    buf_add_str(out, ",\"");
    buf_add_str(out, name);
    buf_add_str(out, "\":");
}

static void
put_number(struct buf *out, int64_t value)
{
    assert(value <= WIRE_INT_MAX);
    assert(value >= -WIRE_INT_MAX);
    if (value < 0)
        buf_add_char(out, '-');
    buf_add_u64(out, (uint64_t)(value < 0 ? -value : value));
}

void
wire_put_int(struct buf *out, const char *name, int64_t value)
{
    wire_put_name(out, name);
    put_number(out, value);
}

void
wire_put_slice(struct buf *out, const char *name, struct slice value)
{
    wire_put_name(out, name);
    json_write_string(out, value.data, value.bytes);
}

void
wire_put_str(struct buf *out, const char *name, const char *value)
{
    wire_put_slice(out, name, slice_of(value));
}

void
wire_end(struct buf *out)
{
    buf_add_char(out, '}');
}

void
wire_begin_item(struct buf *out, const char *name, int64_t value)
{
    buf_add_str(out, "{\"");
    buf_add_str(out, name);
    buf_add_str(out, "\":");
    put_number(out, value);
}

void
wire_put_pair(struct buf *out, int64_t first, int64_t second)
{
    buf_add_char(out, '[');
    put_number(out, first);
    buf_add_char(out, ',');
    put_number(out, second);
    buf_add_char(out, ']');
}
