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

/* What wire_read() keeps of a header: its tokens, a copy of its text, and as much
 * room behind it, where a string is decoded to the place that it has in the copy:
 * decoding never lengthens, and its quotes leave room for a NUL. */
struct wire_text {
    struct json_doc doc;
    cJSON *tree; /* NULL until somebody asks for it */
    size_t bytes;
    char text[];
};

/* cJSON takes much that is not JSON; what it sees was checked before. */
static const cJSON *
tree_of(const struct wire *wire)
{
    struct wire_text *text = wire->text;

    if (wire->head || !text)
        return wire->head;
    if (!text->tree)
        text->tree = have(cJSON_ParseWithLength(text->text, text->bytes));
    return text->tree;
}

const cJSON *
wire_get(const struct wire *wire, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(tree_of(wire), name);
}

bool
wire_has(const struct wire *wire, const char *name)
{
    if (wire->text)
        return json_member(&wire->text->doc, 0, name) != JSON_NONE;
    return wire_get(wire, name) != NULL;
}

/* ---- members by their names: 0, 1 if there is none, or E_INVALID ---- */

static int
to_whole(double number, int64_t *value)
{
    if (!(number >= -(double)WIRE_INT_MAX && number <= (double)WIRE_INT_MAX) ||
        floor(number) != number) {
        return E_INVALID;
    }
    *value = (int64_t)number;
    return 0;
}

static int
to_int(const cJSON *item, int64_t *value)
{
    return cJSON_IsNumber(item) ? to_whole(item->valuedouble, value)
                                : E_INVALID;
}

static int
find_int(const struct wire *wire, const char *name, int64_t *value)
{
    const cJSON *item;
    double number;
    size_t at;

    if (!wire->text) {
        item = wire_get(wire, name);
        return item ? to_int(item, value) : 1;
    }
    at = json_member(&wire->text->doc, 0, name);
    if (at == JSON_NONE)
        return 1;
    if (json_int(&wire->text->doc, at, -WIRE_INT_MAX, WIRE_INT_MAX, value) == 0)
        return 0;
    /* It may be written with a fraction of zero, or an exponent. */
    return json_double(&wire->text->doc, at, &number) == 0
               ? to_whole(number, value)
               : E_INVALID;
}

/* Decodes a string without escapes by itself, as nearly all are. */
static const char *
decoded(struct wire_text *text, size_t at)
{
    struct slice inner = json_inner(&text->doc, at);
    size_t place = (size_t)(inner.data - text->text);
    char *out = text->text + text->bytes + place;
    struct buf plain = { 0 };

    if (inner.bytes > 0 && memchr(inner.data, '\\', inner.bytes)) {
        (void)json_decode_inner(inner, &plain);
        inner = buf_slice(&plain);
    }
    if (inner.bytes > 0)
        memcpy(out, inner.data, inner.bytes);
    out[inner.bytes] = '\0';
    buf_fini(&plain);
    return out;
}

static int
find_str(const struct wire *wire, const char *name, const char **value)
{
    const cJSON *item;
    size_t at;

    if (!wire->text) {
        item = wire_get(wire, name);
        if (!item)
            return 1;
        *value = item->valuestring;
        return cJSON_IsString(item) ? 0 : E_INVALID;
    }
    at = json_member(&wire->text->doc, 0, name);
    if (at == JSON_NONE)
        return 1;
    if (wire->text->doc.tokens[at].type != JSON_STRING)
        return E_INVALID;
    *value = decoded(wire->text, at);
    return 0;
}

static int
find_bool(const struct wire *wire, const char *name, bool *value)
{
    const cJSON *item;
    enum json_type type;
    size_t at;

    if (!wire->text) {
        item = wire_get(wire, name);
        if (!item)
            return 1;
        *value = cJSON_IsTrue(item);
        return cJSON_IsBool(item) ? 0 : E_INVALID;
    }
    at = json_member(&wire->text->doc, 0, name);
    if (at == JSON_NONE)
        return 1;
    type = wire->text->doc.tokens[at].type;
    *value = type == JSON_TRUE;
    return type == JSON_TRUE || type == JSON_FALSE ? 0 : E_INVALID;
}

/* ---- whole headers ---- */

static void
free_text(struct wire *wire)
{
    if (!wire->text)
        return;
    json_fini(&wire->text->doc);
    cJSON_Delete(wire->text->tree);
    free(wire->text);
    wire->text = NULL;
}

int
wire_read(struct wire *wire, struct slice head, struct slice body,
          struct err *err)
{
    struct wire_text *text;
    const char *verb;
    int rc;

    *wire = (struct wire){ .body = body };
    if (head.bytes > WIRE_HEADER_BYTES_MAX) {
        return err_set(err, E_PROTOCOL, "header of %zu bytes, at most %d",
                       head.bytes, WIRE_HEADER_BYTES_MAX);
    }
    text = mem_grow(NULL, 1, sizeof(*text) + 2 * head.bytes);
    *text = (struct wire_text){ .bytes = head.bytes };
    if (head.bytes > 0)
        memcpy(text->text, head.data, head.bytes);
    wire->text = text;
    rc = json_parse(&text->doc, text->text, text->bytes, JSON_INPUT, err);
    assert(rc < 0 || text->doc.tokens);
    if (rc == 0 && text->doc.tokens[0].type != JSON_OBJECT)
        rc = err_set(err, E_PROTOCOL, "not an object");
    else if (rc == 0 && find_str(wire, "verb", &verb) != 0)
        rc = err_set(err, E_PROTOCOL, "no verb");
    if (rc == 0)
        return 0;
    wire_fini(wire);
    if (err)
        err->code = E_PROTOCOL;
    err_wrap(err, "header");
    return E_PROTOCOL;
}

int
wire_parse(struct wire *wire, struct slice head, struct slice body,
           struct err *err)
{
    int rc = wire_read(wire, head, body, err);

    if (rc < 0)
        return rc;
    (void)tree_of(wire);
    wire->head = wire->text->tree;
    wire->text->tree = NULL;
    free_text(wire);
    return 0;
}

void
wire_fini(struct wire *wire)
{
    free_text(wire);
    cJSON_Delete(wire->head);
    wire->head = NULL;
}

const char *
wire_verb(const struct wire *wire)
{
    const char *verb = NULL;

    (void)find_str(wire, "verb", &verb);
    assert(verb);
    return verb;
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
    int64_t number;
    int rc = find_int(wire, name, &number);

    if (rc == 1 && range.is_required)
        return err_set(err, E_INVALID, "%s: missing", name);
    if (rc == 1) {
        *value = range.absent;
        return 0;
    }
    if (rc < 0)
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
    const char *text;
    int rc = find_str(wire, name, &text);

    if (rc == 1 && !absent)
        return err_set(err, E_INVALID, "%s: missing", name);
    if (rc == 1) {
        *value = absent;
        return 0;
    }
    if (rc < 0)
        return err_set(err, E_INVALID, "%s: not a string", name);
    if (strlen(text) > bytes_max) {
        return err_set(err, E_INVALID, "%s: longer than %zu bytes", name,
                       bytes_max);
    }
    *value = text;
    return 0;
}

int
wire_bool(const struct wire *wire, const char *name, bool absent, bool *value,
          struct err *err)
{
    bool is_true;
    int rc = find_bool(wire, name, &is_true);

    if (rc < 0)
        return err_set(err, E_INVALID, "%s: not true or false", name);
    *value = rc == 1 ? absent : is_true;
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

void
wire_put_int(struct buf *out, const char *name, int64_t value)
{
    assert(value <= WIRE_INT_MAX);
    assert(value >= -WIRE_INT_MAX);
    wire_put_name(out, name);
    if (value < 0)
        buf_add_char(out, '-');
    buf_add_u64(out, (uint64_t)(value < 0 ? -value : value));
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
