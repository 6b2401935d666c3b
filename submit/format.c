/* SPDX-License-Identifier: MIT */
#include "submit/format.h"

#include <string.h>

#include "submit/csv.h"
#include "submit/output.h"

void
format_init(struct format *format, enum options_format kind)
{
    *format = (struct format){ .kind = kind };
}

void
format_fini(struct format *format)
{
    json_fini(&format->doc);
    buf_fini(&format->text);
}

void
format_begin(struct format *format, struct buf *out)
{
    if (format->kind == FORMAT_CSV)
        csv_header(out);
}

/* The decoded string at a path, lent until the next call; empty for null. */
static struct slice
string_at(struct format *format, const char *path)
{
    size_t at = json_path(&format->doc, 0, path);

    buf_reset(&format->text);
    if (at != JSON_NONE && format->doc.tokens[at].type == JSON_STRING)
        json_decode(&format->doc, at, &format->text);
    return buf_slice(&format->text);
}

static bool
is_null(const struct format *format, const char *path)
{
    size_t at = json_path(&format->doc, 0, path);

    return at == JSON_NONE || slice_is(json_raw(&format->doc, at), "null");
}

static void
add_text(struct format *format, struct buf *out)
{
    const char *content = is_null(format, "text") ? "essence" : "text";

    buf_add_str(out, "# ");
    output_escape_line(string_at(format, "custom_id"), out);
    buf_add_str(out, " [");
    output_escape_line(string_at(format, "status"), out);
    buf_add_str(out, "]\n");
    buf_add_slice(out, string_at(format, content));
    buf_add_str(out, "\n\n");
}

static int
add(struct format *format, struct slice line, struct buf *out, struct err *err)
{
    int rc = json_parse(&format->doc, line.data, line.bytes, JSON_REPLY, err);

    if (rc < 0) {
        err_wrap(err, "a result of the broker");
        return E_PROTOCOL;
    }
    if (format->kind == FORMAT_CSV)
        return csv_row(&format->doc, out, err);
    add_text(format, out);
    return 0;
}

int
format_lines(struct format *format, struct slice lines, struct buf *out,
             struct err *err)
{
    int rc = 0;

    if (format->kind == FORMAT_JSONL || format->kind == FORMAT_OPENAI) {
        buf_add_slice(out, lines);
        return 0;
    }
    while (rc == 0 && lines.bytes > 0) {
        const char *end = memchr(lines.data, '\n', lines.bytes);
        struct slice line = lines;

        if (end)
            line.bytes = (size_t)(end - lines.data);
        rc = add(format, line, out, err);
        lines.data += line.bytes + (end ? 1 : 0);
        lines.bytes -= line.bytes + (end ? 1 : 0);
    }
    return rc;
}
