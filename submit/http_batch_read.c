/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "submit/http_batches.h"
#include "submit/http_object.h"

#define TEXT_BYTES_MAX 1024 /* of a member that is a short text */
#define REFUSED        400

/* What is being read. */
struct reading {
    struct json_doc doc;
    int64_t wall_ms;
    cJSON *head;         /* borrowed, as those below */
    struct buf *options; /* without its last brace */
    struct http_error *error;
};

typedef int member_fn(struct reading *reading, const char *name, size_t at);

static int
refuse(struct reading *reading, const char *name, const char *what)
{
    http_error_set(reading->error, REFUSED, "invalid_value", "'%s' %s", name,
                   what);
    http_error_param(reading->error, slice_of(name));
    return REFUSED;
}

/* A short string without NULs. */
static int
read_text(struct reading *reading, const char *name, size_t at,
          struct buf *text)
{
    if (reading->doc.tokens[at].type != JSON_STRING ||
        reading->doc.tokens[at].bytes > TEXT_BYTES_MAX)
        return refuse(reading, name, "must be a string of at most 1024 bytes");
    buf_add_str(text, "");
    json_decode(&reading->doc, at, text);
    return 0;
}

/* ---- members of OpenAI's ---- */

static int
read_file(struct reading *reading, const char *name, size_t at)
{
    struct buf text = { 0 };
    const char *uuid;
    int status = read_text(reading, name, at, &text);

    if (status == 0) {
        uuid = http_object_uuid(text.data, HTTP_FILE_PREFIX);
        if (uuid)
            wire_add_str(reading->head, "file", uuid);
        else
            status = http_object_no_file(reading->error, text.data, name);
    }
    buf_fini(&text);
    return status;
}

/* A string that the broker reads as it is. */
static int
pass_text(struct reading *reading, const char *name, size_t at)
{
    struct buf text = { 0 };
    int status = read_text(reading, name, at, &text);

    if (status == 0)
        wire_add_str(reading->head, name, text.data);
    buf_fini(&text);
    return status;
}

int64_t
http_batch_window_ms(const char *text)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = { { 'm', 60000 }, { 'h', 3600000 }, { 'd', 86400000 } };
    char *end;
    long long number;

    if (*text < '0' || *text > '9')
        return -1;
    number = strtoll(text, &end, 10);
    if (number > HTTP_COMPLETION_MS_MAX || !*end || end[1])
        return -1;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (*end == units[i].unit && number > 0 &&
            number <= HTTP_COMPLETION_MS_MAX / units[i].ms) {
            return number * units[i].ms;
        }
    }
    return -1;
}

static int
read_completion(struct reading *reading, const char *name, size_t at)
{
    struct buf text = { 0 };
    int status = read_text(reading, name, at, &text);
    int64_t window_ms;

    if (status == 0) {
        window_ms = http_batch_window_ms(text.data);
        if (window_ms < 0)
            status = refuse(reading, name,
                            "must be a number of minutes, hours or days up to "
                            "365d, such as '24h'");
        else
            wire_add_int(reading->head, "completion_ms", window_ms);
    }
    buf_fini(&text);
    return status;
}

static int
read_metadata(struct reading *reading, const char *name, size_t at)
{
    struct slice raw = json_raw(&reading->doc, at);

    if (reading->doc.tokens[at].type != JSON_OBJECT)
        return refuse(reading, name, "must be an object");
    cJSON_AddItemToObject(reading->head, name,
                          cJSON_ParseWithLength(raw.data, raw.bytes));
    return 0;
}

static int
read_expiry(struct reading *reading, const char *name, size_t at)
{
    struct json_doc *doc = &reading->doc;
    int64_t seconds;

    if (!json_is(doc, json_member(doc, at, "anchor"), "created_at"))
        return refuse(reading, name, "must have the anchor 'created_at'");
    if (json_int(doc, json_member(doc, at, "seconds"), HTTP_EXPIRES_S_MIN,
                 HTTP_EXPIRES_S_MAX, &seconds) < 0) {
        return refuse(reading, name,
                      "must have seconds, a number from 3600 to 2592000");
    }
    wire_add_int(reading->head, name, seconds * 1000);
    return 0;
}

/* ---- members of Sheaf's ---- */

static int
read_priority(struct reading *reading, const char *name, size_t at)
{
    int64_t priority;

    if (json_int(&reading->doc, at, 0, HTTP_BATCH_PRIORITY_MAX, &priority) < 0)
        return refuse(reading, name, "must be a number from 0 to 3");
    wire_add_int(reading->head, name, priority);
    return 0;
}

static int
read_time(struct reading *reading, const char *name, size_t at)
{
    struct buf text = { 0 };
    int status = read_text(reading, name, at, &text);
    int64_t time_ms;

    if (status == 0 && clock_parse(text.data, reading->wall_ms, &time_ms) < 0)
        status = refuse(reading, name,
                        "must be a time as in RFC 3339, or such as '+2h'");
    else if (status == 0)
        wire_add_int(reading->head, name, time_ms);
    buf_fini(&text);
    return status;
}

/* ---- all of them ---- */

/* clang-format off */
static const struct {
    const char *name;
    member_fn *read;
    bool is_required;
} members[] = {
    { "input_file_id",        read_file,       true },
    { "endpoint",             pass_text,       true },
    { "completion_window",    read_completion, true },
    { "metadata",             read_metadata,   false },
    { "output_expires_after", read_expiry,     false },
    { "name",                 pass_text,       false },
    { "priority",             read_priority,   false },
    { "deadline",             read_time,       false },
    { "not_before",           read_time,       false },
    { "window",               pass_text,       false },
    { "tz",                   pass_text,       false },
};
/* clang-format on */

#define MEMBER_COUNT (sizeof(members) / sizeof(members[0]))

/* What is no member of the batch's is one of its drafts', and the broker knows
 * which there are. */
static void
add_option(struct reading *reading, size_t key)
{
    if (reading->options->bytes > 1)
        buf_add_char(reading->options, ',');
    buf_add_slice(reading->options, json_raw(&reading->doc, key));
    buf_add_char(reading->options, ':');
    buf_add_slice(reading->options, json_raw(&reading->doc, key + 1));
}

static int
read_member(struct reading *reading, size_t key)
{
    if (reading->doc.tokens[key + 1].type == JSON_NULL)
        return 0; /* as SDKs write what was not said */
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        if (json_is(&reading->doc, key, members[i].name))
            return members[i].read(reading, members[i].name, key + 1);
    }
    add_option(reading, key);
    return 0;
}

static int
check_required(struct reading *reading)
{
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        size_t at = json_member(&reading->doc, 0, members[i].name);

        if (!members[i].is_required ||
            (at != JSON_NONE && reading->doc.tokens[at].type != JSON_NULL)) {
            continue;
        }
        http_error_set(reading->error, 400, "missing_required_parameter",
                       "Missing required parameter: '%s'.", members[i].name);
        http_error_param(reading->error, slice_of(members[i].name));
        return reading->error->status;
    }
    return 0;
}

static int
read_all(struct reading *reading)
{
    const struct json_doc *doc = &reading->doc;
    int status = check_required(reading);

    buf_add_char(reading->options, '{');
    for (size_t key = 1; status == 0 && key < doc->tokens[0].next;
         key = doc->tokens[key].next) {
        status = read_member(reading, key);
    }
    buf_add_char(reading->options, '}');
    /* A deadline that is named is the one that holds. */
    if (cJSON_HasObjectItem(reading->head, "deadline"))
        cJSON_DeleteItemFromObjectCaseSensitive(reading->head, "completion_ms");
    return status;
}

int
http_batch_read(struct slice body, int64_t wall_ms, cJSON *head,
                struct buf *options, struct http_error *error)
{
    struct reading reading = {
        .wall_ms = wall_ms, .head = head, .options = options, .error = error
    };
    struct err err = { 0 };
    int status;

    if (json_parse(&reading.doc, body.data, body.bytes, JSON_INPUT, &err) < 0)
        status = http_error_set(error, 400, "invalid_json",
                                "the body is not JSON: %s", err.msg);
    else if (reading.doc.tokens[0].type != JSON_OBJECT)
        status = http_error_set(error, 400, "invalid_json",
                                "the body is not a JSON object");
    else
        status = read_all(&reading);
    json_fini(&reading.doc);
    return status;
}
