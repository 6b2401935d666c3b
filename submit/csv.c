/* SPDX-License-Identifier: MIT */
#include "submit/csv.h"

#include <string.h>

static const struct {
    const char *title;
    const char *path; /* in the result line */
} columns[] = {
    { "seq", "seq" },
    { "batch", "batch" },
    { "custom_id", "custom_id" },
    { "index", "index" },
    { "revision", "revision" },
    { "status", "status" },
    { "text", "text" },
    { "essence", "essence" },
    { "error_code", "error.code" },
    { "error_message", "error.message" },
    { "error_http_status", "error.http_status" },
    { "model", "model" },
    { "upstream", "upstream" },
    { "cache", "cache" },
    { "attempts", "attempts" },
    { "latency_ms", "latency_ms" },
    { "usage_prompt_tokens", "usage.prompt_tokens" },
    { "usage_completion_tokens", "usage.completion_tokens" },
    { "usage_total_tokens", "usage.total_tokens" },
    { "cost_usd", "cost_usd" },
    { "finish_reason", "finish_reason" },
    { "metadata", "metadata" },
    { "completed_at", "completed_at" },
};

#define COLUMN_COUNT (sizeof(columns) / sizeof(columns[0]))

static void
end_field(size_t i, struct buf *out)
{
    buf_add_str(out, i + 1 < COLUMN_COUNT ? "," : "\r\n");
}

void
csv_header(struct buf *out)
{
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        buf_add_str(out, columns[i].title);
        end_field(i, out);
    }
}

void
csv_field(struct slice text, struct buf *out)
{
    bool is_quoted = false;

    for (size_t i = 0; i < text.bytes && !is_quoted; i++)
        is_quoted = text.data[i] && strchr(",\"\r\n", text.data[i]);
    if (!is_quoted) {
        buf_add_slice(out, text);
        return;
    }
    buf_add_char(out, '"');
    for (size_t i = 0; i < text.bytes; i++) {
        if (text.data[i] == '"')
            buf_add_char(out, '"');
        buf_add_char(out, text.data[i]);
    }
    buf_add_char(out, '"');
}

int
csv_row(const struct json_doc *doc, struct buf *out, struct err *err)
{
    struct buf text = { 0 };

    if (doc->count == 0 || doc->tokens[0].type != JSON_OBJECT)
        return err_set(err, E_INVALID, "a result that is no object");
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        size_t value = json_path(doc, 0, columns[i].path);

        buf_reset(&text);
        if (value == JSON_NONE || doc->tokens[value].type == JSON_NULL)
            ;
        else if (doc->tokens[value].type == JSON_STRING)
            json_decode(doc, value, &text);
        else
            buf_add_slice(&text, json_raw(doc, value));
        csv_field(buf_slice(&text), out);
        end_field(i, out);
    }
    buf_fini(&text);
    return 0;
}
