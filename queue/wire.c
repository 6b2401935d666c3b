/* SPDX-License-Identifier: MIT */
#include "queue/wire.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

#define EXACT_MAX   INT64_C(999999999999999) /* cJSON rounds above it */
#define REPLACEMENT "\xef\xbf\xbd"           /* U+FFFD */

/* cJSON is quiet about lack of memory; here it ends the process. */
static cJSON *
have(cJSON *item)
{
    if (!item)
        log_fatal("event=out_of_memory where=wire");
    return item;
}

int
wire_parse(struct wire *wire, struct slice head, struct slice body,
           struct err *err)
{
    struct json_doc doc = { 0 };
    int rc;

    wire->head = NULL;
    wire->body = body;
    if (head.bytes > WIRE_HEADER_BYTES_MAX) {
        return err_set(err, E_PROTOCOL, "header of %zu bytes, at most %d",
                       head.bytes, WIRE_HEADER_BYTES_MAX);
    }
    /* cJSON takes much that is not JSON; what it sees was checked before. */
    rc = json_parse(&doc, head.data, head.bytes, JSON_INPUT, err);
    if (rc == 0 && doc.tokens[0].type != JSON_OBJECT)
        rc = err_set(err, E_PROTOCOL, "not an object");
    json_fini(&doc);
    if (rc < 0) {
        if (err)
            err->code = E_PROTOCOL;
        err_wrap(err, "header");
        return E_PROTOCOL;
    }
    wire->head = cJSON_ParseWithLength(head.data, head.bytes);
    if (!wire->head)
        return err_set(err, E_PROTOCOL, "header: not readable");
    if (!cJSON_IsString(wire_get(wire, "verb"))) {
        wire_fini(wire);
        return err_set(err, E_PROTOCOL, "header: no verb");
    }
    return 0;
}

void
wire_fini(struct wire *wire)
{
    cJSON_Delete(wire->head);
    wire->head = NULL;
}

const char *
wire_verb(const struct wire *wire)
{
    const cJSON *verb = wire_get(wire, "verb");

    assert(cJSON_IsString(verb));
    return verb->valuestring;
}

const cJSON *
wire_get(const struct wire *wire, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(wire->head, name);
}

static int
to_int(const cJSON *item, int64_t *value)
{
    double number;

    if (!cJSON_IsNumber(item))
        return E_INVALID;
    number = item->valuedouble;
    if (!(number >= -(double)WIRE_INT_MAX && number <= (double)WIRE_INT_MAX) ||
        floor(number) != number) {
        return E_INVALID;
    }
    *value = (int64_t)number;
    return 0;
}

struct wire_range
wire_range(int64_t min, int64_t max)
{
    return (struct wire_range){ .min = min, .max = max, .is_required = true };
}

struct wire_range
wire_range_or(int64_t min, int64_t max, int64_t absent)
{
    return (struct wire_range){ .min = min, .max = max, .absent = absent };
}

int
wire_int(const struct wire *wire, const char *name, struct wire_range range,
         int64_t *value, struct err *err)
{
    const cJSON *item = wire_get(wire, name);
    int64_t number;

    if (!item && range.is_required)
        return err_set(err, E_INVALID, "%s: missing", name);
    if (!item) {
        *value = range.absent;
        return 0;
    }
    if (to_int(item, &number) < 0)
        return err_set(err, E_INVALID, "%s: not an integer", name);
    if (number < range.min || number > range.max) {
        return err_set(err, E_INVALID, "%s: %lld is not from %lld to %lld",
                       name, (long long)number, (long long)range.min,
                       (long long)range.max);
    }
    *value = number;
    return 0;
}

int
wire_str(const struct wire *wire, const char *name, size_t bytes_max,
         const char *absent, const char **value, struct err *err)
{
    const cJSON *item = wire_get(wire, name);

    if (!item) {
        if (!absent)
            return err_set(err, E_INVALID, "%s: missing", name);
        *value = absent;
        return 0;
    }
    if (!cJSON_IsString(item))
        return err_set(err, E_INVALID, "%s: not a string", name);
    if (strlen(item->valuestring) > bytes_max) {
        return err_set(err, E_INVALID, "%s: longer than %zu bytes", name,
                       bytes_max);
    }
    *value = item->valuestring;
    return 0;
}

int
wire_bool(const struct wire *wire, const char *name, bool absent, bool *value,
          struct err *err)
{
    const cJSON *item = wire_get(wire, name);

    if (item && !cJSON_IsBool(item))
        return err_set(err, E_INVALID, "%s: not true or false", name);
    *value = item ? cJSON_IsTrue(item) : absent;
    return 0;
}

cJSON *
wire_new(const char *verb)
{
    cJSON *head = have(cJSON_CreateObject());

    wire_add_str(head, "verb", verb);
    return head;
}

void
wire_add_int(cJSON *head, const char *name, int64_t value)
{
    char digits[24];

    assert(value <= WIRE_INT_MAX);
    assert(value >= -WIRE_INT_MAX);
    if (value <= EXACT_MAX && value >= -EXACT_MAX) {
        have(cJSON_AddNumberToObject(head, name, (double)value));
        return;
    }
    (void)snprintf(digits, sizeof(digits), "%lld", (long long)value);
    have(cJSON_AddRawToObject(head, name, digits));
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

    for (int i = 0; i < count; i++) {
        cJSON_AddItemToArray(tuple,
                             have(cJSON_CreateNumber((double)values[i])));
    }
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

int
wire_tuple(const cJSON *item, int count, int64_t *values)
{
    if (!cJSON_IsArray(item) || cJSON_GetArraySize(item) != count)
        return E_INVALID;
    for (int i = 0; i < count; i++) {
        if (to_int(cJSON_GetArrayItem(item, i), &values[i]) < 0 ||
            values[i] < 0) {
            return E_INVALID;
        }
    }
    return 0;
}

int
wire_triple(const cJSON *item, int64_t values[3])
{
    if (!cJSON_IsArray(item) || cJSON_GetArraySize(item) != 3)
        return E_INVALID;
    for (int i = 0; i < 3; i++) {
        if (to_int(cJSON_GetArrayItem(item, i), &values[i]) < 0 ||
            values[i] < -1) {
            return E_INVALID;
        }
    }
    return 0;
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
