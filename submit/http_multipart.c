/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* memmem, strncasecmp */
#include "submit/http_multipart.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/mem.h"

#define CRLF         "\r\n"
#define BLANK_LINE   "\r\n\r\n"
#define QUOTE_ESCAPE "%22"
#define DISPOSITION  "content-disposition"
#define FORM_DATA    "form-data"

/*   FIRST ──► BOUNDARY ──► HEADER ──► CONTENT ──┐
 *                │  ▲                            │
 *                │  └────────────────────────────┘
 *                └──► END
 */
enum state {
    STATE_FIRST,    /* the body begins with a boundary */
    STATE_BOUNDARY, /* behind one: is it the last? */
    STATE_HEADER,
    STATE_CONTENT,
    STATE_END,
};

struct http_multipart {
    struct http_multipart_sink sink;
    enum state state;
    struct buf delimiter; /* CRLF, two dashes, the boundary */
    struct buf kept;      /* what is not read yet */
    int parts;
};

/* ---- fields with parameters ---- */

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void
skip_blanks(const char **at)
{
    while (is_blank(**at))
        (*at)++;
}

/* Appends a value, in quotes or as a token, and moves behind it. */
static int
take_value(const char **at, struct buf *value)
{
    if (**at != '"') {
        size_t bytes = strcspn(*at, " \t;\"");

        buf_add(value, *at, bytes);
        *at += bytes;
        return bytes > 0 ? 0 : E_INVALID;
    }
    for ((*at)++; **at && **at != '"'; (*at)++) {
        /* Clients escape a quote in one of two ways, and nothing else that may
         * stand in a name. */
        if (**at == '\\' && ((*at)[1] == '"' || (*at)[1] == '\\'))
            (*at)++;
        if (strncmp(*at, QUOTE_ESCAPE, strlen(QUOTE_ESCAPE)) == 0) {
            buf_add_char(value, '"');
            *at += strlen(QUOTE_ESCAPE) - 1;
        } else {
            buf_add_char(value, **at);
        }
    }
    if (**at != '"')
        return E_INVALID;
    (*at)++;
    return 0;
}

/* Appends the value of a parameter of "type; name=value; …". E_NOTFOUND: there
 * is none. E_INVALID: it stands there twice, or the field is none. */
static int
find_param(const char *field, const char *name, struct buf *value)
{
    const char *at = field + strcspn(field, ";");
    bool is_found = false;

    while (*at == ';') {
        struct buf other = { 0 };
        bool is_it;
        size_t bytes;
        int rc = E_INVALID;

        at++;
        skip_blanks(&at);
        if (!*at)
            break;
        bytes = strcspn(at, "=; \t\"");
        is_it = bytes == strlen(name) && strncasecmp(at, name, bytes) == 0;
        at += bytes;
        if (bytes > 0 && *at == '=' && !(is_it && is_found)) {
            at++;
            rc = take_value(&at, is_it ? value : &other);
            skip_blanks(&at);
        }
        buf_fini(&other);
        if (rc < 0)
            return rc;
        is_found = is_found || is_it;
    }
    if (*at)
        return E_INVALID;
    return is_found ? 0 : E_NOTFOUND;
}

/* Those that RFC 2046 allows in a boundary; a blank not at its end. */
static bool
is_boundary(struct slice text)
{
    static const char marks[] = "'()+_,-./:=? ";

    if (text.bytes == 0 || text.bytes > HTTP_BOUNDARY_BYTES_MAX ||
        text.data[text.bytes - 1] == ' ') {
        return false;
    }
    for (size_t i = 0; i < text.bytes; i++) {
        char c = text.data[i];

        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
            !(c >= 'A' && c <= 'Z') && (c == '\0' || !strchr(marks, c))) {
            return false;
        }
    }
    return true;
}

struct http_multipart *
http_multipart_new(const char *type, const struct http_multipart_sink *sink,
                   struct err *err)
{
    struct http_multipart *multipart;
    struct buf boundary = { 0 };
    int rc = find_param(type, "boundary", &boundary);

    if (rc < 0 || !is_boundary(buf_slice(&boundary))) {
        err_set(err, E_INVALID, "the content-type names no valid boundary");
        buf_fini(&boundary);
        return NULL;
    }
    multipart = mem_zalloc(1, sizeof(*multipart));
    multipart->sink = *sink;
    buf_add_str(&multipart->delimiter, CRLF "--");
    buf_add_slice(&multipart->delimiter, buf_slice(&boundary));
    /* The first boundary has no line end before it but this. */
    buf_add_str(&multipart->kept, CRLF);
    buf_fini(&boundary);
    return multipart;
}

void
http_multipart_free(struct http_multipart *multipart)
{
    if (!multipart)
        return;
    buf_fini(&multipart->delimiter);
    buf_fini(&multipart->kept);
    free(multipart);
}

bool
http_multipart_is_whole(const struct http_multipart *multipart)
{
    return multipart->state == STATE_END;
}

/* ---- the states ----
 *
 * Each takes what it can from `text` and moves it on. 1: there is not enough. */

static void
drop(struct slice *text, size_t bytes)
{
    text->data += bytes;
    text->bytes -= bytes;
}

static int
read_first(struct http_multipart *multipart, struct slice *text,
           struct err *err)
{
    size_t bytes = multipart->delimiter.bytes;
    size_t least = text->bytes < bytes ? text->bytes : bytes;

    if (memcmp(text->data, multipart->delimiter.data, least) != 0)
        return err_set(err, E_INVALID,
                       "the form does not begin with its boundary");
    if (least < bytes)
        return 1;
    drop(text, bytes);
    multipart->state = STATE_BOUNDARY;
    return 0;
}

static int
read_boundary(struct http_multipart *multipart, struct slice *text,
              struct err *err)
{
    if (text->bytes < 2)
        return 1;
    if (memcmp(text->data, "--", 2) == 0)
        multipart->state = STATE_END;
    else if (memcmp(text->data, CRLF, 2) == 0)
        multipart->state = STATE_HEADER;
    else
        return err_set(err, E_INVALID, "a boundary of the form is not alone");
    /* A line end stays: with it, an empty header ends as any other. */
    drop(text, multipart->state == STATE_END ? 2 : 0);
    return 0;
}

/* The value of a header's only field of that name; empty if there is none. */
static int
find_field(struct slice header, const char *name, struct buf *value)
{
    size_t bytes = strlen(name);
    bool is_found = false;

    while (header.bytes > 0) {
        const char *end = memmem(header.data, header.bytes, CRLF, 2);
        size_t line = end ? (size_t)(end - header.data) : header.bytes;
        size_t at = bytes + 1;

        if (line > bytes && header.data[bytes] == ':' &&
            strncasecmp(header.data, name, bytes) == 0) {
            if (is_found)
                return E_INVALID;
            is_found = true;
            while (at < line && is_blank(header.data[at]))
                at++;
            buf_add(value, header.data + at, line - at);
        }
        drop(&header, end ? line + 2 : line);
    }
    return is_found ? 0 : E_NOTFOUND;
}

/* True if a name can be shown, and kept as a string. */
static bool
is_name(struct slice text)
{
    size_t step;

    if (text.bytes > HTTP_PART_NAME_BYTES_MAX)
        return false;
    for (size_t at = 0; at < text.bytes; at += step) {
        unsigned char c = (unsigned char)text.data[at];

        step = json_utf8(text.data + at, text.bytes - at);
        if (step == 0 || c < 0x20 || c == 0x7f)
            return false;
    }
    return true;
}

static int
begin_part(struct http_multipart *multipart, struct slice header,
           struct err *err)
{
    struct buf field = { 0 }, name = { 0 }, filename = { 0 };
    const char *text;
    int rc = find_field(header, DISPOSITION, &field), rc_filename = 0;

    text = field.data ? field.data : "";
    if (rc == 0 && strlen(text) == field.bytes &&
        strncasecmp(text, FORM_DATA, strlen(FORM_DATA)) == 0) {
        rc = find_param(text, "name", &name);
        rc_filename = find_param(text, "filename", &filename);
    } else {
        rc = E_INVALID;
    }
    if (rc < 0 || rc_filename == E_INVALID) {
        rc = err_set(err, E_INVALID,
                     "part %d of the form has no content-disposition with a "
                     "name",
                     multipart->parts);
    } else if (!is_name(buf_slice(&name)) || !is_name(buf_slice(&filename))) {
        rc = err_set(err, E_INVALID,
                     "part %d of the form: its name, or its file's, is longer "
                     "than %d bytes, no UTF-8, or has a control character",
                     multipart->parts, HTTP_PART_NAME_BYTES_MAX);
    } else {
        rc = multipart->sink.begin(multipart->sink.arg,
                                   name.data ? name.data : "",
                                   filename.data ? filename.data : "");
    }
    buf_fini(&field);
    buf_fini(&name);
    buf_fini(&filename);
    return rc;
}

static int
read_header(struct http_multipart *multipart, struct slice *text,
            struct err *err)
{
    const char *end = memmem(text->data, text->bytes, BLANK_LINE, 4);
    struct slice header = { text->data, 0 };
    int rc;

    if (end)
        header.bytes = (size_t)(end - text->data);
    if ((end ? header.bytes : text->bytes) > HTTP_MULTIPART_HEADER_BYTES_MAX)
        return err_set(err, E_TOOBIG,
                       "a header of more than %d bytes in the form",
                       HTTP_MULTIPART_HEADER_BYTES_MAX);
    if (!end)
        return 1;
    if (++multipart->parts > HTTP_MULTIPART_PARTS_MAX)
        return err_set(err, E_TOOBIG, "more than %d parts in the form",
                       HTTP_MULTIPART_PARTS_MAX);
    rc = begin_part(multipart, header, err);
    drop(text, header.bytes + strlen(BLANK_LINE));
    multipart->state = STATE_CONTENT;
    return rc;
}

/* Hands on what no boundary can begin in. */
static int
read_content(struct http_multipart *multipart, struct slice *text)
{
    struct http_multipart_sink *sink = &multipart->sink;
    const struct buf *delimiter = &multipart->delimiter;
    const char *end =
        memmem(text->data, text->bytes, delimiter->data, delimiter->bytes);
    struct slice piece = { text->data, 0 };
    int rc = 0;

    if (end)
        piece.bytes = (size_t)(end - text->data);
    else if (text->bytes >= delimiter->bytes)
        piece.bytes = text->bytes - (delimiter->bytes - 1);
    if (piece.bytes > 0)
        rc = sink->take(sink->arg, piece);
    drop(text, piece.bytes);
    if (rc < 0 || !end)
        return rc < 0 ? rc : 1;
    drop(text, delimiter->bytes);
    multipart->state = STATE_BOUNDARY;
    return 0;
}

static int
read_end(struct slice *text, struct err *err)
{
    for (size_t i = 0; i < text->bytes; i++) {
        if (text->data[i] != '\r' && text->data[i] != '\n')
            return err_set(err, E_INVALID, "the form goes on behind its end");
    }
    drop(text, text->bytes);
    return 1;
}

static int
read_one(struct http_multipart *multipart, struct slice *text, struct err *err)
{
    switch (multipart->state) {
    case STATE_FIRST:
        return read_first(multipart, text, err);
    case STATE_BOUNDARY:
        return read_boundary(multipart, text, err);
    case STATE_HEADER:
        return read_header(multipart, text, err);
    case STATE_CONTENT:
        return read_content(multipart, text);
    default:
        return read_end(text, err);
    }
}

int
http_multipart_take(struct http_multipart *multipart, struct slice piece,
                    struct err *err)
{
    struct slice text;
    int rc = 0;

    buf_add_slice(&multipart->kept, piece);
    text = buf_slice(&multipart->kept);
    while (rc == 0)
        rc = read_one(multipart, &text, err);
    if (rc < 0)
        return rc;
    buf_drop(&multipart->kept, multipart->kept.bytes - text.bytes);
    return 0;
}
