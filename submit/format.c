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

/* The value at a path as it stands in the line. */
static struct slice
raw_at(const struct format *format, const char *path)
{
    size_t at = json_path(&format->doc, 0, path);

    return at == JSON_NONE ? slice_of("null") : json_raw(&format->doc, at);
}

static bool
is_null(const struct format *format, const char *path)
{
    return slice_is(raw_at(format, path), "null");
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

static void
add_member(struct format *format, const char *name, const char *path,
           struct buf *out)
{
    buf_addf(out, "\"%s\":", name);
    buf_add_slice(out, raw_at(format, path));
}

static void
add_usage(struct format *format, struct buf *out)
{
    buf_add_str(out, ",\"usage\":{");
    add_member(format, "prompt_tokens", "usage.prompt_tokens", out);
    buf_add_char(out, ',');
    add_member(format, "completion_tokens", "usage.completion_tokens", out);
    buf_add_char(out, ',');
    add_member(format, "total_tokens", "usage.total_tokens", out);
    buf_add_char(out, '}');
}

/* Every answer that an upstream gave has a response; what never got one has an
 * error alone. */
static void
add_openai(struct format *format, struct buf *out)
{
    struct slice seq = raw_at(format, "seq");
    bool is_ok = slice_is(raw_at(format, "status"), "\"ok\"");

    buf_add_str(out, "{\"id\":\"batch_req_");
    buf_add_slice(out, seq);
    buf_add_str(out, "\",");
    add_member(format, "custom_id", "custom_id", out);
    if (!is_ok && is_null(format, "error.http_status")) {
        buf_add_str(out, ",\"response\":null,\"error\":{");
        add_member(format, "code", "error.code", out);
        buf_add_char(out, ',');
        add_member(format, "message", "error.message", out);
        buf_add_str(out, "}}\n");
        return;
    }
    buf_add_str(out, ",\"response\":{\"status_code\":");
    buf_add_slice(out, is_ok ? slice_of("200")
                             : raw_at(format, "error.http_status"));
    buf_add_str(out, ",\"request_id\":\"sheaf-");
    buf_add_slice(out, seq);
    buf_add_str(out, "\",\"body\":{");
    if (is_ok) {
        buf_add_str(out, "\"id\":\"sheaf-");
        buf_add_slice(out, seq);
        buf_add_str(out, "\",\"object\":\"chat.completion\",");
        add_member(format, "model", "model", out);
        buf_add_str(out, ",\"choices\":[{\"index\":0,\"message\":{\"role\":"
                         "\"assistant\",");
        add_member(format, "content", "text", out);
        buf_add_str(out, "},");
        add_member(format, "finish_reason", "finish_reason", out);
        buf_add_str(out, "}]");
        add_usage(format, out);
    } else {
        buf_add_str(out, "\"error\":{");
        add_member(format, "code", "error.code", out);
        buf_add_char(out, ',');
        add_member(format, "message", "error.message", out);
        buf_add_char(out, '}');
    }
    buf_add_str(out, "}},\"error\":null}\n");
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
    if (format->kind == FORMAT_TEXT)
        add_text(format, out);
    else
        add_openai(format, out);
    return 0;
}

int
format_lines(struct format *format, struct slice lines, struct buf *out,
             struct err *err)
{
    int rc = 0;

    if (format->kind == FORMAT_JSONL) {
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
