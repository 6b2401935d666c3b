/*
 * fuzz_input.c - lines are the same however the stream was cut into pieces
 *
 * The first two bytes choose the longest line and how the rest is cut; the rest
 * is the stream. It is read whole and in pieces, and held against a second
 * reader that has all of it in memory.
 */
/* SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "submit/lines.h"

#define BOM       "\xef\xbb\xbf"
#define BOM_BYTES 3
#define HEAD      2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Not assert(): must also hold where that is compiled away. */
static void
must(bool is_true)
{
    if (!is_true)
        abort();
}

static void
add(const struct lines_line *line, struct buf *out)
{
    buf_addf(out, "%lld %d %zu ", (long long)line->number, line->is_long,
             line->text.bytes);
    buf_add_slice(out, line->text);
}

/* Cuts the stream by a simple sequence of sizes; 0 takes all of it. */
static void
read_pieces(struct slice stream, size_t bytes_max, unsigned cut,
            struct buf *out)
{
    struct lines_line line;
    struct lines lines;

    lines_init(&lines, bytes_max);
    while (stream.bytes > 0) {
        size_t size = cut ? 1 + cut % 13 : stream.bytes;
        struct slice piece = { stream.data, size };

        if (size > stream.bytes)
            piece.bytes = stream.bytes;
        stream.data += piece.bytes;
        stream.bytes -= piece.bytes;
        while (lines_next(&lines, &piece, &line))
            add(&line, out);
        must(piece.bytes == 0);
        must(lines.text.bytes <= bytes_max + BOM_BYTES + 1);
        cut = cut * 5 + (cut != 0);
    }
    if (lines_end(&lines, &line))
        add(&line, out);
    lines_fini(&lines);
}

/* The same, the obvious way. */
static void
read_whole(struct slice stream, size_t bytes_max, struct buf *out)
{
    for (int64_t number = 1; stream.bytes > 0; number++) {
        const char *end = memchr(stream.data, '\n', stream.bytes);
        struct lines_line line = { .text = stream, .number = number };
        bool is_blank = true;

        if (end)
            line.text.bytes = (size_t)(end - stream.data);
        stream.data += line.text.bytes + (end ? 1 : 0);
        stream.bytes -= line.text.bytes + (end ? 1 : 0);
        if (number == 1 && line.text.bytes >= BOM_BYTES &&
            memcmp(line.text.data, BOM, BOM_BYTES) == 0) {
            line.text.data += BOM_BYTES;
            line.text.bytes -= BOM_BYTES;
        }
        if (end && line.text.bytes > 0 &&
            line.text.data[line.text.bytes - 1] == '\r') {
            line.text.bytes--;
        }
        for (size_t i = 0; i < line.text.bytes; i++) {
            char c = line.text.data[i];

            is_blank = is_blank && (c == ' ' || c == '\t' || c == '\r');
        }
        line.is_long = line.text.bytes > bytes_max;
        if (line.is_long)
            line.text.bytes = 0;
        if (!is_blank)
            add(&line, out);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct buf whole = { 0 }, once = { 0 }, pieces = { 0 };
    struct slice stream;
    size_t bytes_max;

    if (bytes < HEAD)
        return 0;
    bytes_max = 1 + data[0] % 32;
    stream = (struct slice){ (const char *)data + HEAD, bytes - HEAD };
    read_whole(stream, bytes_max, &whole);
    read_pieces(stream, bytes_max, 0, &once);
    read_pieces(stream, bytes_max, data[1] + 1u, &pieces);
    must(slice_equal(buf_slice(&whole), buf_slice(&once)));
    must(slice_equal(buf_slice(&whole), buf_slice(&pieces)));
    buf_fini(&whole);
    buf_fini(&once);
    buf_fini(&pieces);
    return 0;
}
