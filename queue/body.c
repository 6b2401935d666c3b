/* SPDX-License-Identifier: MIT */
#include "queue/body.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

#define SYSTEM_DEFAULT                                                   \
    "You are a careful assistant. Work on the text of the user message " \
    "and answer with the result only."
#define ANSWER_TOKENS_MAX 1000000000
#define ENLARGE_FACTOR    2
#define MEMBERS_FIRST     16 /* room for members at first */
#define INSERT_MAX        16 /* members put in order one by one */
#define MESSAGE_TOKENS    5  /* an object, and twice a name and a string */
#define GAP               "\\n\\n"

/* What a body may call the limit of its answer. */
static const char *const limits[] = { "max_completion_tokens", "max_tokens" };

enum kind {
    KIND_TOKEN, /* a value of the draft or its options */
    KIND_MODEL,
    KIND_LIMIT,
    KIND_MESSAGES,
};

enum form { FORM_SENT, FORM_CANONICAL };

struct body_member {
    struct slice name; /* as it is spelt, without quotes */
    enum kind kind;
    struct line_value value; /* of KIND_TOKEN */
};

void
body_fini(struct body *body)
{
    free(body->members);
    free(body->sorted);
    *body = (struct body){ 0 };
}

static struct line_value
value_of(const struct body *body, enum line_field field)
{
    return line_value(body->terms.line, body->terms.options, field);
}

static bool
is_there(struct line_value value)
{
    return value.at != JSON_NONE;
}

/* Values within a value, itself not counted. */
static size_t
inner_tokens(struct line_value value)
{
    return value.doc->tokens[value.at].next - value.at - 1;
}

static void
add_raw(struct buf *out, struct line_value value)
{
    buf_add_slice(out, json_raw(value.doc, value.at));
}

static void
add_inner(struct buf *out, struct line_value value)
{
    struct slice raw = json_raw(value.doc, value.at);

    assert(raw.bytes >= 2);
    buf_add(out, raw.data + 1, raw.bytes - 2);
}

/* ---- the list ---- */

static void
add_member(struct body *body, struct slice name, enum kind kind,
           struct line_value value)
{
    if (body->count == body->capacity) {
        body->capacity = body->capacity ? body->capacity * 2 : MEMBERS_FIRST;
        body->members =
            mem_grow(body->members, body->capacity, sizeof(body->members[0]));
        body->sorted =
            mem_grow(body->sorted, body->capacity, sizeof(body->sorted[0]));
    }
    body->members[body->count++] = (struct body_member){ name, kind, value };
}

static size_t
list_field(struct body *body, enum line_field field)
{
    struct line_value value = value_of(body, field);

    if (!is_there(value))
        return 0;
    add_member(body, slice_of(line_field_name(field)), KIND_TOKEN, value);
    return 2 + inner_tokens(value);
}

/* A value that is not there to be copied. */
static size_t
list_own(struct body *body, const char *name, enum kind kind)
{
    add_member(body, slice_of(name), kind, (struct line_value){ 0 });
    return 2;
}

static bool
has_constraints(const struct body *body)
{
    struct line_value value = value_of(body, LINE_CONSTRAINTS);

    return is_there(value) && inner_tokens(value) > 0;
}

/* Messages have a system message before them only if something is to be said
 * there. */
static bool
has_system(const struct body *body)
{
    return is_there(value_of(body, LINE_TEXT)) ||
           is_there(value_of(body, LINE_SYSTEM)) ||
           is_there(value_of(body, LINE_GOAL)) || has_constraints(body);
}

static size_t
list_messages(struct body *body)
{
    size_t tokens = list_own(body, "messages", KIND_MESSAGES);

    if (has_system(body))
        tokens += MESSAGE_TOKENS;
    return tokens + (is_there(value_of(body, LINE_TEXT))
                         ? MESSAGE_TOKENS
                         : inner_tokens(value_of(body, LINE_MESSAGES)));
}

static size_t
list_limit(struct body *body)
{
    if (!body->terms.is_enlarged && is_there(value_of(body, LINE_MAX_TOKENS)))
        return list_field(body, LINE_MAX_TOKENS);
    if (body->terms.limit == 0 && !is_there(value_of(body, LINE_MAX_TOKENS)))
        return 0;
    return list_own(body, line_field_name(LINE_MAX_TOKENS), KIND_LIMIT);
}

/* What is merged in, a member each. */
static size_t
list_extra(struct body *body)
{
    struct line_value extra = value_of(body, LINE_EXTRA);
    const struct json_doc *doc = extra.doc;

    if (!is_there(extra))
        return 0;
    for (size_t key = extra.at + 1; key < doc->tokens[extra.at].next;
         key = doc->tokens[key].next) {
        add_member(body, json_inner(doc, key), KIND_TOKEN,
                   (struct line_value){ doc, key + 1 });
    }
    return inner_tokens(extra);
}

size_t
body_list(struct body *body, const struct body_terms *terms)
{
    static const enum line_field plain[] = { LINE_TEMPERATURE, LINE_TOP_P,
                                             LINE_STOP, LINE_SEED,
                                             LINE_RESPONSE_FORMAT };
    size_t tokens = 1;

    body->terms = *terms;
    body->count = body->sent_count = 0;
    if (terms->line->is_batch_line)
        return 1 + inner_tokens(value_of(body, LINE_BODY));
    if (is_there(value_of(body, LINE_MODEL)))
        tokens += list_field(body, LINE_MODEL);
    else if (terms->model)
        tokens += list_own(body, line_field_name(LINE_MODEL), KIND_MODEL);
    tokens += list_messages(body);
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        tokens += list_field(body, plain[i]);
    tokens += list_limit(body);
    body->sent_count = body->count;
    return tokens + list_extra(body);
}

/* ---- writing ---- */

static void
begin_message(struct buf *out, const char *role, enum form form)
{
    if (form == FORM_SENT) {
        buf_add_str(out, "{\"role\":\"");
        buf_add_str(out, role);
        buf_add_str(out, "\",\"content\":");
    } else {
        buf_add_str(out, "{\"content\":");
    }
}

static void
end_message(struct buf *out, const char *role, enum form form)
{
    if (form == FORM_CANONICAL) {
        buf_add_str(out, ",\"role\":\"");
        buf_add_str(out, role);
        buf_add_char(out, '"');
    }
    buf_add_char(out, '}');
}

static void
add_constraints(struct buf *out, struct line_value constraints)
{
    const struct json_doc *doc = constraints.doc;

    buf_add_str(out, "Constraints:");
    for (size_t i = constraints.at + 1; i < doc->tokens[constraints.at].next;
         i = doc->tokens[i].next) {
        buf_add_str(out, "\\n- ");
        buf_add_slice(out, json_inner(doc, i));
    }
}

/* The content of the system message, from parts that are escaped already. */
static void
add_system(const struct body *body, struct buf *out)
{
    struct line_value system = value_of(body, LINE_SYSTEM);
    struct line_value goal = value_of(body, LINE_GOAL);
    const char *gap = "";

    buf_add_char(out, '"');
    if (is_there(system))
        add_inner(out, system);
    else if (is_there(value_of(body, LINE_TEXT)))
        buf_add_str(out, SYSTEM_DEFAULT);
    if (is_there(system) || is_there(value_of(body, LINE_TEXT)))
        gap = GAP;
    if (is_there(goal)) {
        buf_add_str(out, gap);
        buf_add_str(out, "Goal: ");
        add_inner(out, goal);
        gap = GAP;
    }
    if (has_constraints(body)) {
        buf_add_str(out, gap);
        add_constraints(out, value_of(body, LINE_CONSTRAINTS));
    }
    buf_add_char(out, '"');
}

/* The messages of a draft, without the brackets around them. */
static void
add_given(struct buf *out, struct line_value messages, enum form form)
{
    const struct json_token *tokens = messages.doc->tokens;

    if (form == FORM_SENT) {
        add_inner(out, messages);
        return;
    }
    for (size_t i = messages.at + 1; i < tokens[messages.at].next;
         i = tokens[i].next) {
        if (i > messages.at + 1)
            buf_add_char(out, ',');
        json_canonical(messages.doc, i, out);
    }
}

static void
add_messages(const struct body *body, struct buf *out, enum form form,
             size_t *text_at)
{
    struct line_value text = value_of(body, LINE_TEXT);

    buf_add_char(out, '[');
    if (has_system(body)) {
        begin_message(out, "system", form);
        add_system(body, out);
        end_message(out, "system", form);
        buf_add_char(out, ',');
    }
    if (is_there(text)) {
        begin_message(out, "user", form);
        *text_at = out->bytes;
        add_raw(out, text);
        end_message(out, "user", form);
    } else {
        add_given(out, value_of(body, LINE_MESSAGES), form);
    }
    buf_add_char(out, ']');
}

static void
add_limit(const struct body *body, struct buf *out)
{
    struct line_value named = value_of(body, LINE_MAX_TOKENS);
    int64_t limit = body->terms.limit;

    if (is_there(named) &&
        json_int(named.doc, named.at, 1, INT32_MAX, &limit) < 0)
        assert(!"max_tokens was read before");
    buf_addf(out, "%lld",
             (long long)limit * (body->terms.is_enlarged ? ENLARGE_FACTOR : 1));
}

static void
write_member(const struct body *body, const struct body_member *member,
             struct buf *out, enum form form, size_t *text_at)
{
    buf_add_char(out, '"');
    buf_add_slice(out, member->name);
    buf_add_str(out, "\":");
    switch (member->kind) {
    case KIND_MODEL:
        json_write_string(out, body->terms.model, strlen(body->terms.model));
        break;
    case KIND_LIMIT:
        add_limit(body, out);
        break;
    case KIND_MESSAGES:
        add_messages(body, out, form, text_at);
        break;
    default:
        if (form == FORM_SENT)
            add_raw(out, member->value);
        else
            json_canonical(member->value.doc, member->value.at, out);
        break;
    }
}

void
body_write(const struct body *body, struct buf *out)
{
    const struct line *line = body->terms.line;
    size_t text_at;

    if (line->is_batch_line) {
        buf_add_slice(out, json_raw(&line->doc, line->fields[LINE_BODY]));
        return;
    }
    for (size_t i = 0; i < body->sent_count; i++) {
        buf_add_char(out, i ? ',' : '{');
        write_member(body, &body->members[i], out, FORM_SENT, &text_at);
    }
    if (body->count > body->sent_count) {
        buf_add_char(out, ',');
        add_inner(out, value_of(body, LINE_EXTRA));
    }
    buf_add_char(out, '}');
}

static int
compare_members(const void *a, const void *b)
{
    const struct body_member *left = a, *right = b;

    return json_key_order(left->name, right->name);
}

/* No two have the same name: what is merged in may not hold what has a field of
 * its own. */
static void
sort_members(struct body *body)
{
    struct body_member *sorted = body->sorted;

    memcpy(sorted, body->members, body->count * sizeof(sorted[0]));
    if (body->count > INSERT_MAX) {
        qsort(sorted, body->count, sizeof(sorted[0]), compare_members);
        return;
    }
    for (size_t i = 1; i < body->count; i++) {
        struct body_member member = sorted[i];
        size_t at = i;

        for (; at > 0 && compare_members(&sorted[at - 1], &member) > 0; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = member;
    }
}

void
body_write_canonical(struct body *body, struct buf *out, size_t *text_at)
{
    const struct line *line = body->terms.line;

    if (line->is_batch_line) {
        json_canonical(&line->doc, line->fields[LINE_BODY], out);
        return;
    }
    sort_members(body);
    for (size_t i = 0; i < body->count; i++) {
        buf_add_char(out, i ? ',' : '{');
        write_member(body, &body->sorted[i], out, FORM_CANONICAL, text_at);
    }
    buf_add_char(out, '}');
}

/* ---- how much an answer may have ---- */

int64_t
body_limit(const struct line *line, const struct line *options,
           const struct conf_upstream *upstream)
{
    struct line_value extra = line_value(line, options, LINE_EXTRA);
    int64_t limit = upstream ? upstream->max_tokens_default : 0;

    for (size_t i = 0;
         limit > 0 && is_there(extra) && i < sizeof(limits) / sizeof(limits[0]);
         i++) {
        if (json_member(extra.doc, extra.at, limits[i]) != JSON_NONE)
            limit = 0;
    }
    return limit;
}

/* A number of tokens as it stands in a line, where it was checked. */
static int64_t
read_tokens(struct slice token)
{
    int64_t value = 0;

    for (size_t i = 0; i < token.bytes && value < ANSWER_TOKENS_MAX; i++) {
        if (token.data[i] < '0' || token.data[i] > '9')
            break;
        value = value * 10 + (token.data[i] - '0');
    }
    return value < ANSWER_TOKENS_MAX ? value : ANSWER_TOKENS_MAX;
}

int64_t
body_answer_tokens(const struct line *line, const struct line *options)
{
    int64_t value = 0;

    if (!line->is_batch_line)
        return read_tokens(line_field(line, options, LINE_MAX_TOKENS));
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]) && value == 0;
         i++) {
        size_t at = json_member(&line->doc, line->fields[LINE_BODY], limits[i]);

        if (at != JSON_NONE)
            value = read_tokens(json_raw(&line->doc, at));
    }
    return value;
}
