/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* strcasecmp */
#include "submit/http_form.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "submit/http_multipart.h"

#define FIELD_BYTES_MAX 1024 /* of what is no file */
#define NAME_END        ".jsonl"
#define PURPOSE         "batch"
#define ANCHOR          "created_at"
#define EXPIRES_S_MIN   3600
#define EXPIRES_S_MAX   2592000

/* clang-format off */
#define FIELDS(X)                        \
    X(PURPOSE, "purpose")                \
    X(ANCHOR,  "expires_after[anchor]")  \
    X(SECONDS, "expires_after[seconds]") \
    X(FILE,    "file")
/* clang-format on */

#define FIELD_ENUM(name, text) FIELD_##name,
enum field { FIELDS(FIELD_ENUM) FIELD_COUNT };
#undef FIELD_ENUM

#define FIELD_NAME(name, text) text,
static const char *const names[] = { FIELDS(FIELD_NAME) };
#undef FIELD_NAME

struct http_form {
    struct http_spool_room *room; /* borrowed */
    int64_t file_bytes_max;
    struct http_multipart *multipart;
    struct http_spool *file; /* NULL: it has not come yet */
    enum field field;        /* that is being read */
    bool has[FIELD_COUNT];
    struct buf texts[FIELD_COUNT]; /* of the file, its name */
    int64_t expires_ms;
    struct http_error error; /* status 0: none was seen */
};

/* Says what is wrong with a field, or with the form if there is none. */
#define REFUSE(form, name, ...)                        \
    (http_error_set(&(form)->error, 400, __VA_ARGS__), \
     http_error_param(&(form)->error, slice_of((name))), E_INVALID)

static int
refuse_by(struct http_form *form, const struct err *err)
{
    http_error_of(&form->error, err);
    return err->code;
}

static const char *
text_of(const struct http_form *form, enum field field)
{
    return form->texts[field].data ? form->texts[field].data : "";
}

/* ---- parts ---- */

static int
begin_file(struct http_form *form, const char *filename)
{
    size_t bytes = strlen(filename), end = strlen(NAME_END);
    struct err err = { 0 };

    if (bytes <= end || strcasecmp(filename + bytes - end, NAME_END) != 0)
        return REFUSE(form, names[FIELD_FILE], "",
                      "Invalid file format for Batch API. Must be .jsonl");
    buf_add_str(&form->texts[FIELD_FILE], filename);
    form->file = http_spool_new(form->room, &err);
    return form->file ? 0 : refuse_by(form, &err);
}

static int
on_begin(void *arg, const char *name, const char *filename)
{
    struct http_form *form = arg;
    size_t field = 0;

    while (field < FIELD_COUNT && strcmp(name, names[field]) != 0)
        field++;
    if (field == FIELD_COUNT)
        return REFUSE(form, name, "unknown_parameter",
                      "Unknown parameter: '%s'.", name);
    if (form->has[field])
        return REFUSE(form, name, "duplicate_parameter",
                      "the parameter '%s' stands there twice", name);
    form->field = (enum field)field;
    form->has[field] = true;
    return field == FIELD_FILE ? begin_file(form, filename) : 0;
}

static int
take_file(struct http_form *form, struct slice piece)
{
    struct err err = { 0 };

    if ((int64_t)piece.bytes >
        form->file_bytes_max - http_spool_bytes(form->file)) {
        err_set(&err, E_TOOBIG, "a file of more than %lld bytes",
                (long long)form->file_bytes_max);
        return refuse_by(form, &err);
    }
    return http_spool_add(form->file, piece, &err) == 0 ? 0
                                                        : refuse_by(form, &err);
}

static int
on_piece(void *arg, struct slice piece)
{
    struct http_form *form = arg;
    struct buf *text = &form->texts[form->field];

    if (form->field == FIELD_FILE)
        return take_file(form, piece);
    if (piece.bytes > FIELD_BYTES_MAX - text->bytes)
        return REFUSE(form, names[form->field], "too_long",
                      "'%s' has more than %d bytes", names[form->field],
                      FIELD_BYTES_MAX);
    buf_add_slice(text, piece);
    return 0;
}

/* ---- the form ---- */

struct http_form *
http_form_new(const struct http_form_terms *terms, struct http_error *error)
{
    struct http_form *form = mem_zalloc(1, sizeof(*form));
    struct http_multipart_sink sink = { .begin = on_begin,
                                        .take = on_piece,
                                        .arg = form };
    struct err err = { 0 };

    form->room = terms->room;
    form->file_bytes_max = terms->file_bytes_max;
    form->multipart = http_multipart_new(terms->type, &sink, &err);
    if (form->multipart)
        return form;
    http_error_set(error, 400, "invalid_form", "%s", err.msg);
    http_form_free(form);
    return NULL;
}

void
http_form_free(struct http_form *form)
{
    if (!form)
        return;
    http_multipart_free(form->multipart);
    http_spool_free(form->file);
    for (size_t i = 0; i < FIELD_COUNT; i++)
        buf_fini(&form->texts[i]);
    free(form);
}

int
http_form_take(struct http_form *form, struct slice piece,
               struct http_error *error)
{
    struct err err = { 0 };

    if (http_multipart_take(form->multipart, piece, &err) == 0)
        return 0;
    if (form->error.status == 0)
        (void)REFUSE(form, NULL, "invalid_form", "%s", err.msg);
    *error = form->error;
    return error->status;
}

static int
check_expiry(struct http_form *form)
{
    const char *text = text_of(form, FIELD_SECONDS);
    long long seconds = 0;
    char *end = NULL;

    if (!form->has[FIELD_ANCHOR] && !form->has[FIELD_SECONDS])
        return 0;
    if (strcmp(text_of(form, FIELD_ANCHOR), ANCHOR) != 0)
        return REFUSE(form, names[FIELD_ANCHOR], "invalid_value",
                      "'%s' must be '" ANCHOR "'", names[FIELD_ANCHOR]);
    if (*text >= '0' && *text <= '9')
        seconds = strtoll(text, &end, 10);
    if (!end || *end || seconds < EXPIRES_S_MIN || seconds > EXPIRES_S_MAX)
        return REFUSE(form, names[FIELD_SECONDS], "invalid_value",
                      "'%s' must be a number from %d to %d",
                      names[FIELD_SECONDS], EXPIRES_S_MIN, EXPIRES_S_MAX);
    form->expires_ms = seconds * 1000;
    return 0;
}

static int
check(struct http_form *form)
{
    static const enum field wanted[] = { FIELD_FILE, FIELD_PURPOSE };

    if (!http_multipart_is_whole(form->multipart))
        return REFUSE(form, NULL, "invalid_form",
                      "the form ends before its last boundary");
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        if (!form->has[wanted[i]])
            return REFUSE(form, names[wanted[i]], "missing_required_parameter",
                          "Missing required parameter: '%s'.",
                          names[wanted[i]]);
    }
    if (strcmp(text_of(form, FIELD_PURPOSE), PURPOSE) != 0)
        return REFUSE(form, names[FIELD_PURPOSE], "invalid_value",
                      "'purpose' must be '" PURPOSE
                      "': files are for nothing else here");
    return check_expiry(form);
}

int
http_form_check(struct http_form *form, struct http_error *error)
{
    if (check(form) == 0)
        return 0;
    *error = form->error;
    return error->status;
}

const struct http_spool *
http_form_file(const struct http_form *form)
{
    return form->file;
}

const char *
http_form_filename(const struct http_form *form)
{
    return text_of(form, FIELD_FILE);
}

int64_t
http_form_expires_ms(const struct http_form *form)
{
    return form->expires_ms;
}
