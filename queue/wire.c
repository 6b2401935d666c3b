/* SPDX-License-Identifier: MIT */
#include "queue/wire.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

/* What wire_read() keeps of a header: its tokens, a copy of its text, and as much
 * room behind it, where a string is decoded to the place that it has in the copy:
 * decoding never lengthens, and its quotes leave room for a NUL. */
struct wire_text {
    struct json_doc doc;
    cJSON *tree;   /* NULL until somebody asks for it */
    size_t at;     /* the object whose members are looked for, or JSON_NONE */
    size_t behind; /* the token behind the one that was found last */
    uint64_t bits; /* of their names */
    bool has_escapes; /* one of the names is written with escapes */
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
        text->tree = cJSON_ParseWithLength(text->text, text->bytes);
    if (!text->tree) /* cJSON is quiet about lack of memory */
        log_fatal("event=out_of_memory where=wire");
    return text->tree;
}

const cJSON *
wire_get(const struct wire *wire, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(tree_of(wire), name);
}

/* Members of this object are looked for from now on. */
static void
enter(struct wire_text *text, size_t object)
{
    const struct json_token *tokens = text->doc.tokens;

    text->at = object;
    text->behind = object + 1;
    text->bits = 0;
    text->has_escapes = false;
    if (tokens[object].type != JSON_OBJECT)
        return;
    for (size_t i = object + 1; i < tokens[object].next; i = tokens[i].next) {
        text->bits |= json_name_bit(json_inner(&text->doc, i));
        text->has_escapes |= !tokens[i].is_plain;
    }
}

/* The first of the members from `at` to `end` that has this name, none of which
 * is written with escapes; or JSON_NONE. */
static size_t
find_among(const struct wire_text *text, size_t at, size_t end,
           struct slice name)
{
    const struct json_token *tokens = text->doc.tokens;

    for (; at < end; at = tokens[at].next) {
        if (tokens[at].bytes == name.bytes + 2 &&
            memcmp(text->text + tokens[at].start + 1, name.data, name.bytes) ==
                0) {
            return at + 1;
        }
    }
    return JSON_NONE;
}

/* The value of a member, or JSON_NONE. Who writes headers and who reads them have
 * them in the same order, mostly: it is looked for from where the last one
 * ended. */
static size_t
place_of(const struct wire *wire, const char *name)
{
    struct wire_text *text = wire->text;
    struct slice wanted = slice_of(name);
    size_t found;

    if (text->at != wire->at)
        enter(text, wire->at);
    if (text->has_escapes)
        return json_member(&text->doc, wire->at, name);
    if (!(text->bits & json_name_bit(wanted)))
        return JSON_NONE;
    found =
        find_among(text, text->behind, text->doc.tokens[wire->at].next, wanted);
    if (found == JSON_NONE)
        found = find_among(text, wire->at + 1, text->behind, wanted);
    if (found != JSON_NONE)
        text->behind = text->doc.tokens[found].next;
    return found;
}

bool
wire_has(const struct wire *wire, const char *name)
{
    if (wire->text)
        return place_of(wire, name) != JSON_NONE;
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
read_int(const struct json_doc *doc, size_t at, int64_t *value)
{
    double number;

    if (json_int(doc, at, -WIRE_INT_MAX, WIRE_INT_MAX, value) == 0)
        return 0;
    /* It may be written with a fraction of zero, or an exponent. */
    return json_double(doc, at, &number) == 0 ? to_whole(number, value)
                                              : E_INVALID;
}

static int
find_int(const struct wire *wire, const char *name, int64_t *value)
{
    const cJSON *item;
    size_t at;

    if (!wire->text) {
        item = wire_get(wire, name);
        return item ? to_int(item, value) : 1;
    }
    at = place_of(wire, name);
    return at == JSON_NONE ? 1 : read_int(&wire->text->doc, at, value);
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
    at = place_of(wire, name);
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
    at = place_of(wire, name);
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
    *text = (struct wire_text){ .bytes = head.bytes, .at = JSON_NONE };
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

/* ---- what stands in a header ---- */

bool
wire_member(const struct wire *wire, const char *name, struct wire *item)
{
    size_t at;

    assert(wire->text);
    at = place_of(wire, name);
    if (at == JSON_NONE)
        return false;
    *item = (struct wire){ .text = wire->text, .at = at };
    return true;
}

int
wire_list(const struct wire *wire, const char *name, struct wire_list *list,
          struct err *err)
{
    struct wire item;

    *list = (struct wire_list){ .whole = *wire };
    if (!wire_member(wire, name, &item))
        return 0;
    if (wire->text->doc.tokens[item.at].type != JSON_ARRAY)
        return err_set(err, E_INVALID, "%s: not an array", name);
    list->at = item.at + 1;
    list->end = wire->text->doc.tokens[item.at].next;
    return 0;
}

bool
wire_next(struct wire_list *list, struct wire *item)
{
    if (list->at == list->end)
        return false;
    *item = (struct wire){ .text = list->whole.text, .at = list->at };
    list->at = item->text->doc.tokens[list->at].next;
    return true;
}

int
wire_next_part(struct wire_list *list, struct wire *item, struct err *err)
{
    size_t left = list->whole.body.bytes - list->body_at;
    int64_t bytes = 0;

    if (!wire_next(list, item))
        return 1;
    if (wire_int(item, "bytes", wire_range_or(0, (int64_t)left, 0), &bytes,
                 err) < 0) {
        list->at = list->end;
        return E_INVALID;
    }
    if (bytes > 0) {
        item->body = (struct slice){ list->whole.body.data + list->body_at,
                                     (size_t)bytes };
        list->body_at += (size_t)bytes;
    }
    return 0;
}

int
wire_integers(const struct wire *item, int count, int64_t min, int64_t *values)
{
    const struct json_doc *doc = &item->text->doc;
    size_t at = item->at + 1, end = doc->tokens[item->at].next;

    if (doc->tokens[item->at].type != JSON_ARRAY)
        return E_INVALID;
    for (int i = 0; i < count; i++) {
        if (at == end || read_int(doc, at, &values[i]) < 0 || values[i] < min)
            return E_INVALID;
        at = doc->tokens[at].next;
    }
    return at == end ? 0 : E_INVALID;
}
