/* SPDX-License-Identifier: MIT */
#include "submit/lines.h"

#include <string.h>

#define BOM       "\xef\xbb\xbf"
#define BOM_BYTES 3

/* Beyond bytes_max: what may still be dropped, a BOM and the CR. */
#define SLACK_BYTES (BOM_BYTES + 1)

void
lines_init(struct lines *lines, size_t bytes_max)
{
    *lines = (struct lines){ .bytes_max = bytes_max };
}

void
lines_fini(struct lines *lines)
{
    buf_fini(&lines->text);
}

static bool
is_blank(struct slice text)
{
    for (size_t i = 0; i < text.bytes; i++) {
        if (!text.data[i] || !strchr(" \t\r", text.data[i]))
            return false;
    }
    return true;
}

static void
begin(struct lines *lines)
{
    if (lines->is_done)
        buf_reset(&lines->text);
    lines->is_done = false;
    lines->is_begun = true;
    lines->is_blank = true;
    lines->is_long = false;
    lines->number++;
}

static struct slice
without_bom(struct slice text)
{
    if (text.bytes >= BOM_BYTES && memcmp(text.data, BOM, BOM_BYTES) == 0) {
        text.data += BOM_BYTES;
        text.bytes -= BOM_BYTES;
    }
    return text;
}

/* Keeps the line up to what may still be short enough. Of a longer one, only
 * whether it is blank is of interest. */
static void
add(struct lines *lines, struct slice part)
{
    size_t room = lines->bytes_max + SLACK_BYTES - lines->text.bytes;
    struct slice text;

    if (lines->is_long) {
        lines->is_blank = lines->is_blank && is_blank(part);
        return;
    }
    if (part.bytes <= room) {
        buf_add_slice(&lines->text, part);
        return;
    }
    buf_add(&lines->text, part.data, room);
    text = buf_slice(&lines->text);
    if (lines->number == 1)
        text = without_bom(text);
    part.data += room;
    part.bytes -= room;
    lines->is_blank = is_blank(text) && is_blank(part);
    lines->is_long = true;
}

/* Ends the line; false if it is blank. */
static bool
finish(struct lines *lines, bool has_end, struct lines_line *line)
{
    struct slice text = buf_slice(&lines->text);

    lines->is_begun = false;
    lines->is_done = true;
    if (!lines->is_long) {
        if (lines->number == 1)
            text = without_bom(text);
        if (has_end && text.bytes > 0 && text.data[text.bytes - 1] == '\r')
            text.bytes--;
        lines->is_blank = is_blank(text);
        lines->is_long = text.bytes > lines->bytes_max;
    }
    if (lines->is_long)
        text.bytes = 0;
    *line = (struct lines_line){ .text = text,
                                 .number = lines->number,
                                 .is_long = lines->is_long };
    return !lines->is_blank;
}

bool
lines_next(struct lines *lines, struct slice *piece, struct lines_line *line)
{
    while (piece->bytes > 0) {
        const char *end = memchr(piece->data, '\n', piece->bytes);
        struct slice part = *piece;

        if (end)
            part.bytes = (size_t)(end - piece->data);
        if (!lines->is_begun)
            begin(lines);
        add(lines, part);
        piece->data += part.bytes + (end ? 1 : 0);
        piece->bytes -= part.bytes + (end ? 1 : 0);
        if (end && finish(lines, true, line))
            return true;
    }
    return false;
}

bool
lines_end(struct lines *lines, struct lines_line *line)
{
    return lines->is_begun && finish(lines, false, line);
}
