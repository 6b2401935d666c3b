/* SPDX-License-Identifier: MIT */
#include "worker/translation.h"

#include <ctype.h>
#include <string.h>

#include "worker/grammar.h"

#define SHOWN_BYTES 64 /* of a member's name, in a reason */

/* A translation under way. */
struct work {
    const struct translation_order *order;
    const struct grammar *grammar;
    const struct json_doc *doc; /* of the chat completion */
    struct buf *out;
    struct err *err;
};

static int
refuse(const struct work *work, const char *what, struct slice name)
{
    int shown = (int)(name.bytes < SHOWN_BYTES ? name.bytes : SHOWN_BYTES);

    return err_set(work->err, E_INVALID,
                   "%s%.*s: has no place in the dialect %s, and may "
                   "change the answer",
                   what, shown, shown ? name.data : "",
                   work->order->dialect->name);
}

static bool
is_type(const struct work *work, size_t at, enum json_type type)
{
    return at != JSON_NONE && work->doc->tokens[at].type == type;
}

/* Everything but the first in an object or array has a comma before it. */
static void
put_comma(struct buf *out)
{
    char last = out->data[out->bytes - 1];

    if (last != '{' && last != '[')
        buf_add_char(out, ',');
}

static void
put_name(struct buf *out, const char *name)
{
    put_comma(out);
    buf_add_char(out, '"');
    buf_add_str(out, name);
    buf_add_str(out, "\":");
}

static void
put_raw_member(const struct work *work, size_t key)
{
    put_comma(work->out);
    buf_add_slice(work->out, json_raw(work->doc, key));
    buf_add_char(work->out, ':');
    buf_add_slice(work->out, json_raw(work->doc, key + 1));
}

/* ---- messages ---- */

/* The system's words, where they are one string. */
static const struct grammar_parts joined = { .is_joined = true };

/* Appends a text between what the dialect has around it. */
static void
put_part(const struct work *work, const struct grammar_parts *parts,
         const char *before, size_t text)
{
    if (parts->is_joined) {
        buf_add_slice(work->out, json_inner(work->doc, text));
        return;
    }
    put_comma(work->out);
    buf_add_str(work->out, before);
    buf_add_slice(work->out, json_raw(work->doc, text));
    buf_add_str(work->out, parts->part_close);
}

/* Appends a message's content: a string, or an array of parts that are text and
 * nothing but that. */
static int
put_content(const struct work *work, size_t message,
            const struct grammar_parts *parts, const char *before)
{
    const struct json_doc *doc = work->doc;
    size_t content = json_member(doc, message, "content");

    if (is_type(work, content, JSON_STRING)) {
        put_part(work, parts, before, content);
        return 0;
    }
    if (!is_type(work, content, JSON_ARRAY))
        return refuse(work, "a message without content", slice_of(""));
    for (size_t at = content + 1; at < doc->tokens[content].next;
         at = doc->tokens[at].next) {
        size_t text = json_member(doc, at, "text");
        size_t type = json_member(doc, at, "type");

        if (!json_is(doc, type, "text") || !is_type(work, text, JSON_STRING))
            return refuse(work, "a part of type ", json_inner(doc, type));
        for (size_t key = at + 1; key < doc->tokens[at].next;
             key = doc->tokens[key].next) {
            if (key + 1 != text && key + 1 != type)
                return refuse(work, "a part's member ", json_inner(doc, key));
        }
        put_part(work, parts, before, text);
    }
    return 0;
}

static bool
is_system(const struct work *work, size_t message)
{
    size_t role = json_member(work->doc, message, "role");

    return json_is(work->doc, role, "system") ||
           json_is(work->doc, role, "developer");
}

/* A message has a role, a content, and members that are null. */
static int
check_message(const struct work *work, size_t message)
{
    const struct json_doc *doc = work->doc;

    if (!is_type(work, message, JSON_OBJECT))
        return refuse(work, "a message that is no object", slice_of(""));
    for (size_t key = message + 1; key < doc->tokens[message].next;
         key = doc->tokens[key].next) {
        if (!json_is(doc, key, "role") && !json_is(doc, key, "content") &&
            doc->tokens[key + 1].type != JSON_NULL) {
            return refuse(work, "a message's member ", json_inner(doc, key));
        }
    }
    return 0;
}

static int
put_message(const struct work *work, size_t message)
{
    const struct grammar *grammar = work->grammar;
    size_t role = json_member(work->doc, message, "role");
    const char *name = NULL, *before = grammar->parts.part;
    int rc = check_message(work, message);

    if (rc < 0)
        return rc;
    if (json_is(work->doc, role, "user")) {
        name = "user";
    } else if (json_is(work->doc, role, "assistant")) {
        name = grammar->model_role;
        before = grammar->parts.answer_part;
    } else if (is_system(work, message)) {
        if (grammar->system)
            return refuse(work, "a system message behind others", slice_of(""));
        name = "system";
    } else {
        return refuse(work, "a message of role ", json_inner(work->doc, role));
    }
    put_comma(work->out);
    buf_addf(work->out, "{\"role\":\"%s\",", name);
    buf_add_str(work->out, grammar->parts.open);
    rc = put_content(work, message, &grammar->parts, before);
    buf_add_str(work->out, grammar->parts.close);
    buf_add_char(work->out, '}');
    return rc;
}

/* Appends the system's words, which are all at the beginning, if the dialect
 * has them apart, and returns the first message behind them in *rest. Several
 * messages become paragraphs: servers put parts together without a gap. */
static int
put_system(const struct work *work, size_t messages, size_t *rest)
{
    const struct json_token *tokens = work->doc->tokens;
    size_t at = messages + 1;
    int rc = 0;

    *rest = at;
    if (!work->grammar->system || at >= tokens[messages].next ||
        !is_system(work, at)) {
        return 0;
    }
    put_name(work->out, work->grammar->system);
    buf_add_str(work->out, work->grammar->system_open);
    for (; rc == 0 && at < tokens[messages].next && is_system(work, at);
         at = tokens[at].next) {
        if (at > messages + 1)
            buf_add_str(work->out, "\\n\\n");
        rc = check_message(work, at);
        if (rc == 0)
            rc = put_content(work, at, &joined, "");
    }
    buf_add_str(work->out, work->grammar->system_close);
    *rest = at;
    return rc;
}

static int
put_messages(const struct work *work)
{
    const struct json_token *tokens = work->doc->tokens;
    size_t messages = json_member(work->doc, 0, "messages"), at;
    int rc;

    if (!is_type(work, messages, JSON_ARRAY)) {
        return err_set(work->err, E_INVALID,
                       "the body has no array of messages");
    }
    rc = put_system(work, messages, &at);
    if (rc < 0)
        return rc;
    put_name(work->out, work->grammar->list);
    buf_add_char(work->out, '[');
    for (; rc == 0 && at < tokens[messages].next; at = tokens[at].next)
        rc = put_message(work, at);
    buf_add_char(work->out, ']');
    return rc;
}

/* ---- response_format ---- */

static int
put_schema(const struct work *work, size_t format)
{
    const struct grammar *grammar = work->grammar;
    size_t holder = json_member(work->doc, format, "json_schema");
    size_t schema = json_member(work->doc, holder, "schema");
    struct slice value = json_raw(work->doc, schema);

    if (!grammar->schema_open || !is_type(work, schema, JSON_OBJECT))
        return refuse(work, "response_format", slice_of(""));
    if (grammar->has_schema_members) {
        value = json_raw(work->doc, holder);
        value.data += 1; /* without its braces */
        value.bytes -= 2;
    }
    put_comma(work->out);
    buf_add_str(work->out, grammar->schema_open);
    buf_add_slice(work->out, value);
    buf_add_str(work->out, grammar->schema_close);
    return 0;
}

static int
put_format(const struct work *work)
{
    size_t format = json_member(work->doc, 0, "response_format");
    size_t type = json_member(work->doc, format, "type");

    if (format == JSON_NONE || is_type(work, format, JSON_NULL) ||
        json_is(work->doc, type, "text")) {
        return 0;
    }
    if (json_is(work->doc, type, "json_schema"))
        return put_schema(work, format);
    if (!json_is(work->doc, type, "json_object") || !work->grammar->json_object)
        return refuse(work, "response_format", slice_of(""));
    put_comma(work->out);
    buf_add_str(work->out, work->grammar->json_object);
    return 0;
}

/* ---- the other members ---- */

static bool
is_same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static void
put_moved(const struct work *work, const struct grammar_move *move,
          size_t value)
{
    bool is_wrapped = move->is_list && !is_type(work, value, JSON_ARRAY);

    put_name(work->out, move->target);
    if (is_wrapped)
        buf_add_char(work->out, '[');
    buf_add_slice(work->out, json_raw(work->doc, value));
    if (is_wrapped)
        buf_add_char(work->out, ']');
}

/* True if a value asks for nothing: numbers are compared as numbers. */
static bool
is_neutral(const struct work *work, const struct grammar_member *member,
           size_t value)
{
    const char *neutral = member->neutral;
    double number;

    if (!neutral)
        return false;
    if (isdigit((unsigned char)*neutral) &&
        json_double(work->doc, value, &number) == 0) {
        return number == *neutral - '0';
    }
    return slice_is(json_raw(work->doc, value), neutral);
}

/* True for an object of the draft's own that goes into one of our groups. */
static bool
joins_group(const struct work *work, size_t key)
{
    for (size_t i = 0; i < GRAMMAR_GROUPS_MAX && work->grammar->groups[i];
         i++) {
        if (json_is(work->doc, key, work->grammar->groups[i]))
            return is_type(work, key + 1, JSON_OBJECT);
    }
    return false;
}

static bool
is_put_elsewhere(const struct work *work, size_t key)
{
    return json_is(work->doc, key, "messages") ||
           json_is(work->doc, key, "model") ||
           json_is(work->doc, key, "response_format") || joins_group(work, key);
}

/* Appends a member to the body or, if it belongs to another group, nothing. */
static int
put_member(const struct work *work, size_t key, const char *group)
{
    const struct grammar_move *move =
        grammar_move(work->grammar, work->doc, key);
    const struct grammar_member *known;
    bool is_null = is_type(work, key + 1, JSON_NULL);

    if (move) {
        if (is_same(move->group, group) && !is_null)
            put_moved(work, move, key + 1);
        return 0;
    }
    if (group || is_put_elsewhere(work, key))
        return 0;
    known = grammar_member(work->doc, key);
    if (!known) {
        put_raw_member(work, key);
        return 0;
    }
    if (is_null || known->is_harmless || is_neutral(work, known, key + 1))
        return 0;
    return refuse(work, "", json_inner(work->doc, key));
}

static int
put_members(const struct work *work, const char *group)
{
    const struct json_token *tokens = work->doc->tokens;
    int rc = 0;

    for (size_t key = 1; rc == 0 && key < tokens[0].next;
         key = tokens[key].next) {
        rc = put_member(work, key, group);
    }
    if (rc == 0 && is_same(work->grammar->format_group, group))
        rc = put_format(work);
    return rc;
}

/* Appends an object with what belongs into it, unless that is nothing. */
static int
put_group(const struct work *work, const char *group)
{
    size_t own = json_member(work->doc, 0, group), before = work->out->bytes;
    const struct json_token *tokens = work->doc->tokens;
    size_t empty;
    int rc;

    put_name(work->out, group);
    buf_add_char(work->out, '{');
    empty = work->out->bytes;
    rc = put_members(work, group);
    if (is_type(work, own, JSON_OBJECT)) {
        for (size_t key = own + 1; key < tokens[own].next;
             key = tokens[key].next) {
            put_raw_member(work, key);
        }
    }
    buf_add_char(work->out, '}');
    if (work->out->bytes == empty + 1)
        work->out->bytes = before;
    return rc;
}

static bool
is_there(const struct work *work, const char *name)
{
    size_t at = json_member(work->doc, 0, name);

    return at != JSON_NONE && !is_type(work, at, JSON_NULL);
}

static void
put_constants(const struct work *work)
{
    const struct translation_order *order = work->order;
    const struct grammar *grammar = work->grammar;

    if (grammar->always &&
        !(grammar->unless && is_there(work, grammar->unless))) {
        put_comma(work->out);
        buf_add_str(work->out, grammar->always);
    }
    if (grammar->limit && !is_there(work, "max_tokens") &&
        !is_there(work, "max_completion_tokens")) {
        put_name(work->out, grammar->limit);
        buf_addf(work->out, "%lld",
                 (long long)(order->max_tokens > 0
                                 ? order->max_tokens
                                 : order->dialect->max_tokens));
    }
}

static void
put_model(const struct work *work, const char *name)
{
    const char *mapped = work->order->model;
    size_t model = json_member(work->doc, 0, "model");

    if (!*mapped && model == JSON_NONE)
        return;
    put_name(work->out, name);
    if (*mapped)
        json_write_string(work->out, mapped, strlen(mapped));
    else
        buf_add_slice(work->out, json_raw(work->doc, model));
}

static int
put_body(const struct work *work)
{
    const struct grammar *grammar = work->grammar;
    int rc;

    buf_add_char(work->out, '{');
    if (grammar->model)
        put_model(work, grammar->model);
    rc = put_messages(work);
    if (rc == 0)
        rc = put_members(work, NULL);
    for (size_t i = 0; rc == 0 && i < GRAMMAR_GROUPS_MAX && grammar->groups[i];
         i++)
        rc = put_group(work, grammar->groups[i]);
    put_constants(work);
    buf_add_char(work->out, '}');
    return rc;
}

/* The same body with another model. */
static void
put_with_model(const struct work *work)
{
    const struct json_token *tokens = work->doc->tokens;

    buf_add_char(work->out, '{');
    put_model(work, "model");
    for (size_t key = 1; key < tokens[0].next; key = tokens[key].next) {
        if (!json_is(work->doc, key, "model"))
            put_raw_member(work, key);
    }
    buf_add_char(work->out, '}');
}

/* Two members may have become one: a limit under both of its names, or one that
 * `extra` gives in the dialect's own words as well. */
static int
check_body(const struct work *work)
{
    struct json_doc doc = { 0 };
    struct err reason = { 0 };
    int rc = json_parse(&doc, work->out->data, work->out->bytes, JSON_INPUT,
                        &reason);

    if (rc < 0) {
        rc = err_set(work->err, rc == E_TOOBIG ? rc : E_INVALID,
                     "in the words of %s the body would be wrong: %s",
                     work->order->dialect->name, reason.msg);
    }
    json_fini(&doc);
    return rc;
}

/* ---- the path ---- */

/* Appends a name so that it stays one step of the path. */
static void
add_escaped(struct slice name, struct buf *path)
{
    for (size_t i = 0; i < name.bytes; i++) {
        unsigned char c = (unsigned char)name.data[i];

        if (isalnum(c) || strchr("-._~", c))
            buf_add_char(path, (char)c);
        else
            buf_addf(path, "%%%02X", c);
    }
}

static int
make_path(const struct work *work, struct buf *path)
{
    const struct translation_order *order = work->order;
    const char *place = strstr(order->path, DIALECT_MODEL);
    struct buf name = { 0 };

    if (!place) {
        buf_add_str(path, order->path);
        return 0;
    }
    buf_add_str(&name, order->model);
    if (name.bytes == 0) {
        json_decode(work->doc, json_member(work->doc, 0, "model"), &name);
    }
    if (name.bytes == 0) {
        buf_fini(&name);
        return err_set(work->err, E_INVALID,
                       "the request names no model, and the path %s needs one",
                       order->path);
    }
    buf_add(path, order->path, (size_t)(place - order->path));
    add_escaped(buf_slice(&name), path);
    buf_add_str(path, place + strlen(DIALECT_MODEL));
    buf_fini(&name);
    return 0;
}

static int
translate(struct work *work, struct buf *path)
{
    int rc;

    if (work->doc->tokens[0].type != JSON_OBJECT)
        return err_set(work->err, E_INVALID, "the body is not an object");
    rc = make_path(work, path);
    if (rc < 0)
        return rc;
    if (!work->grammar) {
        if (*work->order->model)
            put_with_model(work);
        return 0;
    }
    rc = put_body(work);
    return rc < 0 ? rc : check_body(work);
}

int
translation_make(const struct translation_order *order, struct buf *path,
                 struct buf *body, struct err *err)
{
    struct json_doc doc = { 0 };
    struct work work = { .order = order,
                         .grammar = grammar_of(order->dialect),
                         .doc = &doc,
                         .out = body,
                         .err = err };
    int rc;

    /* The usual case is not even read. */
    if (!work.grammar && !*order->model &&
        !strstr(order->path, DIALECT_MODEL)) {
        buf_add_str(path, order->path);
        return 0;
    }
    rc = json_parse(&doc, order->body.data ? order->body.data : "",
                    order->body.bytes, JSON_INPUT, err);
    if (rc == 0)
        rc = translate(&work, path);
    json_fini(&doc);
    return rc;
}
