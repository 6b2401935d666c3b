/* SPDX-License-Identifier: MIT */
#include "queue/line.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/route.h"

#define TOKENS_MAX           1000000000 /* max_tokens: no model comes near */
#define STOP_COUNT_MAX       16
#define CONSTRAINT_COUNT_MAX 64
#define METADATA_COUNT_MAX   64

/* The endpoints of OpenAI's batch lines that are served. */
static const char *const urls[] = { "/v1/chat/completions", "/v1/responses",
                                    "/v1/completions", "/v1/embeddings" };

static const struct {
    const char *name;
    size_t bytes; /* of the name */
    bool is_option;
} fields[LINE_FIELD_COUNT] = {
#define LINE_ROW(name, text, is_option) \
    [LINE_##name] = { text, sizeof(text) - 1, is_option },
    LINE_FIELDS(LINE_ROW)
#undef LINE_ROW
};

static int refuse(struct line_fault *fault, const char *code, const char *field,
                  const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static int
refuse(struct line_fault *fault, const char *code, const char *field,
       const char *fmt, ...)
{
    va_list args;

    fault->code = code;
    (void)snprintf(fault->field, sizeof(fault->field), "%s", field);
    va_start(args, fmt);
    /* Cut where it is too long: it is for people. */
    (void)vsnprintf(fault->message, sizeof(fault->message), fmt, args);
    va_end(args);
    return E_INVALID;
}

void
line_fini(struct line *line)
{
    json_fini(&line->doc);
    buf_fini(&line->id);
}

const char *
line_field_name(enum line_field field)
{
    assert(field < LINE_FIELD_COUNT);
    return fields[field].name;
}

/* ---- what each field may be ---- */

struct check {
    const struct line *line;
    const struct conf *conf; /* or NULL, see line_read() */
    size_t at;               /* the value's token */
    struct line_fault *fault;
    const char *name;
};

static enum json_type
type_of(const struct check *check)
{
    return check->line->doc.tokens[check->at].type;
}

static int
wrong_type(const struct check *check, const char *want)
{
    return refuse(check->fault, "wrong_type", check->name, "must be %s", want);
}

static int
check_string(const struct check *check)
{
    return type_of(check) == JSON_STRING ? 0 : wrong_type(check, "a string");
}

static int
check_object(const struct check *check)
{
    return type_of(check) == JSON_OBJECT ? 0 : wrong_type(check, "an object");
}

static int
check_int(const struct check *check, int64_t min, int64_t max)
{
    int64_t value;

    if (type_of(check) != JSON_NUMBER)
        return wrong_type(check, "an integer");
    if (json_int(&check->line->doc, check->at, min, max, &value) < 0) {
        return refuse(check->fault, "out_of_range", check->name,
                      "must be an integer from %lld to %lld", (long long)min,
                      (long long)max);
    }
    return 0;
}

static int
check_max_tokens(const struct check *check)
{
    return check_int(check, 1, TOKENS_MAX);
}

static int
check_sample_index(const struct check *check)
{
    return check_int(check, 0, INT64_C(1) << 53);
}

static int
check_seed(const struct check *check)
{
    return check_int(check, -(INT64_C(1) << 53), INT64_C(1) << 53);
}

static int
check_fraction(const struct check *check, double max)
{
    double value;

    if (type_of(check) != JSON_NUMBER)
        return wrong_type(check, "a number");
    if (json_double(&check->line->doc, check->at, &value) < 0 || value < 0 ||
        value > max) {
        return refuse(check->fault, "out_of_range", check->name,
                      "must be from 0 to %g", max);
    }
    return 0;
}

static int
check_temperature(const struct check *check)
{
    return check_fraction(check, 2);
}

static int
check_top_p(const struct check *check)
{
    return check_fraction(check, 1);
}

/* An array of 1 to max strings. */
static int
check_strings(const struct check *check, size_t max)
{
    const struct json_doc *doc = &check->line->doc;
    size_t count = 0;

    if (type_of(check) != JSON_ARRAY)
        return wrong_type(check, "an array of strings");
    for (size_t i = check->at + 1; i < doc->tokens[check->at].next;
         i = doc->tokens[i].next) {
        if (doc->tokens[i].type != JSON_STRING)
            return wrong_type(check, "an array of strings");
        count++;
    }
    if (count > max) {
        return refuse(check->fault, "out_of_range", check->name,
                      "has %zu elements, at most %zu", count, max);
    }
    return 0;
}

static int
check_constraints(const struct check *check)
{
    return check_strings(check, CONSTRAINT_COUNT_MAX);
}

static int
check_stop(const struct check *check)
{
    enum json_type type = type_of(check);

    if (type == JSON_STRING)
        return 0;
    if (type != JSON_ARRAY)
        return wrong_type(check, "a string or an array of strings");
    return check_strings(check, STOP_COUNT_MAX);
}

static int
check_metadata(const struct check *check)
{
    const struct json_doc *doc = &check->line->doc;
    size_t count = 0;

    if (check_object(check) < 0)
        return E_INVALID;
    for (size_t i = check->at + 1; i < doc->tokens[check->at].next;
         i = doc->tokens[i].next) {
        count++;
    }
    if (count > METADATA_COUNT_MAX) {
        return refuse(check->fault, "out_of_range", check->name,
                      "has %zu members, at most %d", count, METADATA_COUNT_MAX);
    }
    return 0;
}

static int
check_upstream(const struct check *check)
{
    struct err err = { 0 };
    struct buf names = { 0 };
    struct route route;
    int rc;

    if (check_string(check) < 0)
        return E_INVALID;
    if (!check->conf)
        return 0;
    json_decode(&check->line->doc, check->at, &names);
    rc = route_parse(check->conf, buf_slice(&names), &route, &err);
    if (rc < 0) {
        rc = refuse(check->fault, "unknown_upstream", check->name, "%.200s",
                    err.msg);
    }
    buf_fini(&names);
    return rc;
}

static int
check_last_resort(const struct check *check)
{
    if (check_string(check) < 0)
        return E_INVALID;
    if (route_resort(json_inner(&check->line->doc, check->at)) < 0) {
        return refuse(check->fault, "out_of_range", check->name,
                      "must be wait, essence or local");
    }
    return 0;
}

static int
check_messages(const struct check *check)
{
    const struct json_doc *doc = &check->line->doc;
    size_t end = doc->tokens[check->at].next;

    if (type_of(check) != JSON_ARRAY || end == check->at + 1)
        return wrong_type(check, "an array with at least one message");
    for (size_t i = check->at + 1; i < end; i = doc->tokens[i].next) {
        size_t role = json_member(doc, i, "role");

        if (doc->tokens[i].type != JSON_OBJECT)
            return wrong_type(check, "an array of objects");
        if (role == JSON_NONE || doc->tokens[role].type != JSON_STRING) {
            return refuse(check->fault, "missing_field", "messages.role",
                          "each message needs a role");
        }
    }
    return 0;
}

/* What is merged into the body must not be there already. */
static int
check_extra(const struct check *check)
{
    static const char *const taken[] = {
        "model", "messages", "temperature",     "top_p", "max_tokens",
        "stop",  "seed",     "response_format", "stream"
    };
    const struct json_doc *doc = &check->line->doc;

    if (check_object(check) < 0)
        return E_INVALID;
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        if (json_member(doc, check->at, taken[i]) != JSON_NONE) {
            return refuse(check->fault, "unknown_field", check->name,
                          "may not hold %s, which has a field of its own",
                          taken[i]);
        }
    }
    return 0;
}

static int
check_method(const struct check *check)
{
    if (json_is(&check->line->doc, check->at, "POST"))
        return 0;
    return refuse(check->fault, "bad_url", check->name, "must be \"POST\"");
}

static int
check_url(const struct check *check)
{
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        if (json_is(&check->line->doc, check->at, urls[i]))
            return 0;
    }
    return refuse(check->fault, "bad_url", check->name,
                  "must be one of /v1/chat/completions, /v1/responses, "
                  "/v1/completions, /v1/embeddings");
}

static int
check_body(const struct check *check)
{
    const struct json_doc *doc = &check->line->doc;
    size_t stream;

    if (check_object(check) < 0)
        return E_INVALID;
    stream = json_member(doc, check->at, "stream");
    if (stream != JSON_NONE && doc->tokens[stream].type == JSON_TRUE) {
        return refuse(check->fault, "stream", "body.stream",
                      "streaming makes no sense in a batch; leave it out");
    }
    return 0;
}

static int (*const checks[LINE_FIELD_COUNT])(const struct check *check) = {
    [LINE_ID] = check_string,
    [LINE_CUSTOM_ID] = check_string,
    [LINE_TEXT] = check_string,
    [LINE_MESSAGES] = check_messages,
    [LINE_GOAL] = check_string,
    [LINE_CONSTRAINTS] = check_constraints,
    [LINE_SYSTEM] = check_string,
    [LINE_MODEL] = check_string,
    [LINE_TEMPERATURE] = check_temperature,
    [LINE_TOP_P] = check_top_p,
    [LINE_MAX_TOKENS] = check_max_tokens,
    [LINE_STOP] = check_stop,
    [LINE_SEED] = check_seed,
    [LINE_RESPONSE_FORMAT] = check_object,
    [LINE_SAMPLE_INDEX] = check_sample_index,
    [LINE_UPSTREAM] = check_upstream,
    [LINE_LAST_RESORT] = check_last_resort,
    [LINE_METADATA] = check_metadata,
    [LINE_EXTRA] = check_extra,
    [LINE_METHOD] = check_method,
    [LINE_URL] = check_url,
    [LINE_BODY] = check_body,
};

/* ---- reading ---- */

/* The reader's reason in the protocol's words. */
static int
refuse_json(const struct json_doc *doc, const struct err *err,
            struct line_fault *fault)
{
    static const char *const codes[JSON_FAULT_COUNT] = {
        [JSON_FAULT_SYNTAX] = "not_json",
        [JSON_FAULT_DEPTH] = "too_deep",
        [JSON_FAULT_UTF8] = "invalid_utf8",
        [JSON_FAULT_NUL] = "nul_escape",
        [JSON_FAULT_SURROGATE] = "lone_surrogate",
        [JSON_FAULT_TWICE] = "duplicate_key",
        [JSON_FAULT_SIZE] = "too_long",
    };

    return refuse(fault, codes[doc->fault], "", "%.250s", err->msg);
}

static int
find_field(const struct json_doc *doc, size_t key)
{
    struct slice name = json_inner(doc, key);
    bool is_plain = doc->tokens[key].is_plain;

    for (int field = 0; field < LINE_FIELD_COUNT; field++) {
        /* Decoding never lengthens. */
        if (name.bytes < fields[field].bytes ||
            (is_plain && name.bytes != fields[field].bytes)) {
            continue;
        }
        if (json_is(doc, key, fields[field].name))
            return field;
    }
    return -1;
}

static int
unknown_field(const struct json_doc *doc, size_t key, struct line_fault *fault,
              const char *why)
{
    struct slice name = json_inner(doc, key);
    int shown = name.bytes < 48 ? (int)name.bytes : 48;
    char field[64];

    (void)snprintf(field, sizeof(field), "%.*s", shown, name.data);
    return refuse(fault, "unknown_field", field, "%s", why);
}

/* Reads the text and notes where its fields are. */
static int
find_fields(struct line *line, struct slice text, bool is_options,
            struct line_fault *fault)
{
    struct json_doc *doc = &line->doc;
    struct err err = { 0 };

    *fault->field = *fault->message = '\0';
    fault->code = NULL;
    line->given = 0;
    for (int field = 0; field < LINE_FIELD_COUNT; field++)
        line->fields[field] = JSON_NONE;
    if (json_parse(doc, text.data, text.bytes, JSON_INPUT, &err) < 0)
        return refuse_json(doc, &err, fault);
    if (doc->tokens[0].type != JSON_OBJECT)
        return refuse(fault, "not_object", "", "a draft is a JSON object");
    for (size_t key = 1; key < doc->tokens[0].next;
         key = doc->tokens[key].next) {
        int field = find_field(doc, key);

        if (field < 0)
            return unknown_field(doc, key, fault, "is no field of a draft");
        if (is_options && !fields[field].is_option)
            return unknown_field(doc, key, fault, "is no option of a batch");
        line->fields[field] = key + 1;
        line->given |= 1u << field;
    }
    return 0;
}

static int
check_fields(struct line *line, const struct conf *conf,
             struct line_fault *fault)
{
    for (unsigned left = line->given; left; left &= left - 1) {
        int field = __builtin_ctz(left);
        struct check check = { line, conf, line->fields[field], fault,
                               fields[field].name };

        if (checks[field](&check) < 0)
            return E_INVALID;
    }
    return 0;
}

static bool
has(const struct line *line, enum line_field field)
{
    return line->given & 1u << field;
}

static int
read_id(struct line *line, const struct conf *conf, struct line_fault *fault)
{
    enum line_field field = has(line, LINE_ID) ? LINE_ID : LINE_CUSTOM_ID;

    if (!has(line, field))
        return refuse(fault, "missing_field", "id", "is missing");
    if (has(line, LINE_ID) && has(line, LINE_CUSTOM_ID)) {
        return refuse(fault, "duplicate_key", "custom_id",
                      "stands beside id, and means the same");
    }
    line->id_token = line->fields[field];
    buf_reset(&line->id);
    json_decode(&line->doc, line->id_token, &line->id);
    if (!conf)
        return 0;
    if (line->id.bytes == 0 || line->id.bytes > (size_t)conf->id_bytes_max) {
        return refuse(fault, "out_of_range", fields[field].name,
                      "must have 1 to %lld bytes",
                      (long long)conf->id_bytes_max);
    }
    return 0;
}

/* What belongs together, and what does not. */
static int
check_form(const struct line *line, struct line_fault *fault)
{
    static const enum line_field of_text[] = {
        LINE_TEXT,       LINE_MESSAGES, LINE_GOAL,        LINE_CONSTRAINTS,
        LINE_SYSTEM,     LINE_MODEL,    LINE_TEMPERATURE, LINE_TOP_P,
        LINE_MAX_TOKENS, LINE_STOP,     LINE_SEED,        LINE_RESPONSE_FORMAT,
        LINE_EXTRA
    };

    if (!line->is_batch_line) {
        if (has(line, LINE_TEXT) && has(line, LINE_MESSAGES)) {
            return refuse(fault, "both_text_and_messages", "messages",
                          "a draft has text or messages, not both");
        }
        if (!has(line, LINE_TEXT) && !has(line, LINE_MESSAGES)) {
            return refuse(fault, "missing_field", "text",
                          "neither text nor messages is there");
        }
        return 0;
    }
    for (enum line_field field = LINE_METHOD; field <= LINE_BODY; field++) {
        if (!has(line, field))
            return refuse(fault, "missing_field", fields[field].name,
                          "is missing; a batch line has custom_id, method, "
                          "url and body");
    }
    for (size_t i = 0; i < sizeof(of_text) / sizeof(of_text[0]); i++) {
        if (has(line, of_text[i]))
            return refuse(fault, "unknown_field", fields[of_text[i]].name,
                          "does not go beside body; put it into body");
    }
    return 0;
}

static int
check_size(const struct conf *conf, struct slice text, struct line_fault *fault)
{
    if (!conf || text.bytes <= (size_t)conf->line_bytes_max)
        return 0;
    return refuse(fault, "too_long", "", "%zu bytes, at most %lld", text.bytes,
                  (long long)conf->line_bytes_max);
}

int
line_read(struct line *line, const struct conf *conf, struct slice text,
          struct line_fault *fault)
{
    if (check_size(conf, text, fault) < 0)
        return E_INVALID;
    if (find_fields(line, text, false, fault) < 0)
        return E_INVALID;
    line->is_batch_line =
        has(line, LINE_BODY) || has(line, LINE_URL) || has(line, LINE_METHOD);
    if (check_fields(line, conf, fault) < 0 || read_id(line, conf, fault) < 0 ||
        check_form(line, fault) < 0) {
        return E_INVALID;
    }
    return 0;
}

int
line_read_options(struct line *line, const struct conf *conf, struct slice text,
                  struct line_fault *fault)
{
    if (text.bytes == 0)
        text = slice_of("{}");
    if (check_size(conf, text, fault) < 0)
        return E_INVALID;
    if (find_fields(line, text, true, fault) < 0)
        return E_INVALID;
    return check_fields(line, conf, fault);
}

struct line_value
line_value(const struct line *line, const struct line *options,
           enum line_field field)
{
    if (has(line, field))
        return (struct line_value){ &line->doc, line->fields[field] };
    if (has(options, field))
        return (struct line_value){ &options->doc, options->fields[field] };
    return (struct line_value){ &options->doc, JSON_NONE };
}

struct slice
line_field(const struct line *line, const struct line *options,
           enum line_field field)
{
    struct line_value value = line_value(line, options, field);

    return json_raw(value.doc, value.at);
}
