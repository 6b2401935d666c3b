/* SPDX-License-Identifier: MIT */
#include "submit/input.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/scratch.h"

#define BOM           "\xef\xbb\xbf"
#define LINE_MAX_TEST 40
#define FORTY         "0123456789012345678901234567890123456789"

/* What an input gave: "1:text|2!too_long|", a line each. */
static void
describe(struct input *input, struct buf *out)
{
    struct input_draft draft;

    buf_add_str(out, "");
    while (input_next(input, &draft) == 0) {
        buf_addf(out, "%lld%s", (long long)input_place_line(draft.place),
                 draft.code ? "!" : ":");
        if (draft.code)
            buf_add_str(out, draft.code);
        else
            buf_add_slice(out, draft.line);
        buf_add_char(out, '|');
        cr_assert(!draft.code == !draft.reason);
        cr_assert(!draft.code || draft.line.bytes == 0);
    }
}

static char *
make_file(const struct scratch *scratch, const char *name, const void *data,
          size_t bytes)
{
    char *path = scratch_path(scratch, name);
    FILE *file = fopen(path, "w");

    cr_assert(file);
    cr_assert_eq(fwrite(data, 1, bytes, file), bytes);
    cr_assert_eq(fclose(file), 0);
    return path;
}

/* Reads one file of this content and name. */
static void
read_one(const char *name, const char *data, size_t bytes, enum input_kind kind,
         struct buf *out)
{
    struct scratch scratch = scratch_make();
    char *path = make_file(&scratch, name, data, bytes);
    struct input input;

    input_init(&input, &path, 1, kind);
    input_limit(&input, LINE_MAX_TEST);
    describe(&input, out);
    input_fini(&input);
    free(path);
    scratch_remove(&scratch);
}

static const struct {
    const char *claim;
    const char *data;
    size_t bytes; /* 0: a string */
    const char *want;
} line_cases[] = {
    { "an empty file has no drafts", "", 0, "" },
    { "a line", "{}\n", 0, "1:{}|" },
    { "a last line without its end", "{}\n{1}", 0, "1:{}|2:{1}|" },
    { "a BOM is dropped", BOM "{}\n", 0, "1:{}|" },
    { "a BOM alone is nothing", BOM, 0, "" },
    { "a BOM in a later line stays", "{}\n" BOM "{}\n", 0,
      "1:{}|2:" BOM "{}|" },
    { "CRLF ends a line", "{1}\r\n{2}\r\n", 0, "1:{1}|2:{2}|" },
    { "one CR of two is dropped", "{1}\r\r\n", 0, "1:{1}\r|" },
    { "a CR inside stays", "{1\r}\n", 0, "1:{1\r}|" },
    { "a CR at the end of the file stays", "{1}\r", 0, "1:{1}\r|" },
    { "blank lines are counted", "\n  \n\t\r\n{4}\n\n{6}\n\n", 0,
      "4:{4}|6:{6}|" },
    { "nothing but blanks", " \t\n\r\n", 0, "" },
    { "bytes go as they came", "\x80\xff x\n", 0, "1:\x80\xff x|" },
    { "a NUL does not end a line", "a\0b\n{}\n", 7, "1:a" },
    { "the longest line is taken", FORTY "\n", 0, "1:" FORTY "|" },
    { "with CRLF and BOM as well", BOM FORTY "\r\n", 0, "1:" FORTY "|" },
    { "one byte more is refused", FORTY "x\n{}\n", 0, "1!too_long|2:{}|" },
    { "two and three more", FORTY "xy\n" FORTY "xyz\n", 0,
      "1!too_long|2!too_long|" },
    { "a long last line is refused", FORTY FORTY, 0, "1!too_long|" },
    { "many pieces too long", FORTY FORTY FORTY FORTY "\n{2}", 0,
      "1!too_long|2:{2}|" },
    { "a long blank line is blank",
      "                                                             \n{2}\n", 0,
      "2:{2}|" },
    { "a long blank line behind a BOM",
      BOM "                                                          \n{2}\n",
      0, "2:{2}|" },
};

Test(input, lines_are_what_an_editor_shows)
{
    for (size_t i = 0; i < sizeof(line_cases) / sizeof(line_cases[0]); i++) {
        size_t bytes = line_cases[i].bytes;
        struct buf got = { 0 };

        if (!bytes)
            bytes = strlen(line_cases[i].data);
        read_one("a.jsonl", line_cases[i].data, bytes, INPUT_AUTO, &got);
        if (line_cases[i].bytes)
            cr_assert_eq(memcmp(got.data, "1:a\0b|2:{}|", 11), 0);
        else
            cr_assert_str_eq(got.data, line_cases[i].want, "%s: got %s",
                             line_cases[i].claim, got.data);
        buf_fini(&got);
    }
}

/* The lines of a text that comes in pieces of these sizes, by turns. */
static void
split(const char *data, size_t bytes, size_t first, size_t second,
      struct buf *out)
{
    struct lines lines;
    struct lines_line line;
    size_t at = 0;
    bool is_first = true;

    lines_init(&lines, LINE_MAX_TEST);
    while (at < bytes) {
        size_t size = is_first ? first : second;
        struct slice piece;
        char *copy;

        if (size > bytes - at)
            size = bytes - at;
        copy = malloc(size ? size : 1); /* so that a sanitizer sees its end */
        cr_assert(copy);
        memcpy(copy, data + at, size);
        piece = (struct slice){ copy, size };
        while (lines_next(&lines, &piece, &line)) {
            buf_addf(out, "%lld%c", (long long)line.number,
                     line.is_long ? '!' : ':');
            buf_add_slice(out, line.text);
        }
        cr_assert_eq(piece.bytes, 0);
        free(copy);
        at += size;
        is_first = !is_first;
    }
    if (lines_end(&lines, &line)) {
        buf_addf(out, "%lld%c", (long long)line.number,
                 line.is_long ? '!' : ':');
        buf_add_slice(out, line.text);
    }
    lines_fini(&lines);
}

Test(input, pieces_of_any_size_give_the_same_lines)
{
    for (size_t i = 0; i < sizeof(line_cases) / sizeof(line_cases[0]); i++) {
        const char *data = line_cases[i].data;
        size_t bytes = line_cases[i].bytes ? line_cases[i].bytes : strlen(data);
        struct buf want = { 0 };

        split(data, bytes, bytes + 1, bytes + 1, &want);
        for (size_t first = 1; first <= bytes; first++) {
            for (size_t second = 1; second <= 3; second++) {
                struct buf got = { 0 };

                split(data, bytes, first, second, &got);
                cr_assert(slice_equal(buf_slice(&got), buf_slice(&want)),
                          "%s, pieces of %zu and %zu", line_cases[i].claim,
                          first, second);
                buf_fini(&got);
            }
        }
        buf_fini(&want);
    }
}

static const struct {
    const char *claim, *name, *data;
    enum input_kind kind;
    const char *want; /* %s: the path as JSON */
} kind_cases[] = {
    { "a name decides", "a.ndjson", "text\n", INPUT_AUTO, "1:text|" },
    { "a brace decides", "a", "{1}\n", INPUT_AUTO, "1:{1}|" },
    { "behind a BOM and blanks", "a", BOM " \r\n\t{1}\n", INPUT_AUTO,
      "2:\t{1}|" },
    { "anything else is a text", "a", "[1]\n", INPUT_AUTO, "0:%s" },
    { "an empty file is a text", "a.txt", "", INPUT_AUTO, "0:%s" },
    { "the option beats a brace", "a", "{1}\n", INPUT_TEXT, "0:%s" },
    { "the option beats the name", "a.jsonl", "x", INPUT_TEXT, "0:%s" },
    { "the option makes lines", "a.txt", "x\ny", INPUT_JSONL, "1:x|2:y|" },
    { "openai is lines too", "a.txt", "x\ny", INPUT_OPENAI, "1:x|2:y|" },
};

Test(input, kind_is_told_by_option_name_or_first_byte)
{
    for (size_t i = 0; i < sizeof(kind_cases) / sizeof(kind_cases[0]); i++) {
        struct buf got = { 0 };
        const char *want = kind_cases[i].want;

        read_one(kind_cases[i].name, kind_cases[i].data,
                 strlen(kind_cases[i].data), kind_cases[i].kind, &got);
        if (strcmp(want, "0:%s") == 0) {
            /* The path alone is longer than what read_one() lets through. */
            cr_assert_str_eq(got.data, "0!too_long|", "%s: got %s",
                             kind_cases[i].claim, got.data);
        } else {
            cr_assert_str_eq(got.data, want, "%s: got %s", kind_cases[i].claim,
                             got.data);
        }
        buf_fini(&got);
    }
}

/* A text of this content in the current directory, with a limit. */
static void
read_text(const char *data, size_t bytes, size_t bytes_max, struct buf *out)
{
    struct scratch scratch = scratch_make();
    char *path = make_file(&scratch, "t", data, bytes), name[] = "t";
    char *const names[] = { name };
    struct input input;

    cr_assert_eq(chdir(scratch.path), 0);
    input_init(&input, names, 1, INPUT_TEXT);
    input_limit(&input, bytes_max);
    describe(&input, out);
    input_fini(&input);
    free(path);
    scratch_remove(&scratch);
}

Test(input, a_text_becomes_one_draft)
{
    static const struct {
        const char *data;
        size_t bytes, bytes_max;
        const char *want;
    } cases[] = {
        { "hi \"you\"\n", 9, 99,
          "0:{\"id\":\"t\",\"text\":\"hi \\\"you\\\"\\n\"}|" },
        { BOM "hi", 5, 99, "0:{\"id\":\"t\",\"text\":\"hi\"}|" },
        { "", 0, 99, "0:{\"id\":\"t\",\"text\":\"\"}|" },
        { "\xc3\xa9", 2, 99, "0:{\"id\":\"t\",\"text\":\"\xc3\xa9\"}|" },
        { "a\xffz", 3, 99, "0!invalid_utf8|" },
        { "a\0z", 3, 99, "0!nul_escape|" },
        /* {"id":"t","text":""} has 20 bytes, an escape is one more. */
        { "abc", 3, 23, "0:{\"id\":\"t\",\"text\":\"abc\"}|" },
        { "abcd", 4, 23, "0!too_long|" },
        { "ab\n", 3, 23, "0!too_long|" },
        { FORTY FORTY, 80, 23, "0!too_long|" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf got = { 0 };

        read_text(cases[i].data, cases[i].bytes, cases[i].bytes_max, &got);
        cr_assert_str_eq(got.data, cases[i].want, "got %s, want %s", got.data,
                         cases[i].want);
        buf_fini(&got);
    }
}

Test(input, what_cannot_be_read_is_refused_and_the_rest_goes_on)
{
    struct scratch scratch = scratch_make();
    char *path = make_file(&scratch, "a.jsonl", "{1}\n", 4);
    char missing[] = "/nonexistent/b.jsonl";
    char *const paths[] = { missing, scratch.path, path };
    struct buf got = { 0 };
    struct input input;

    input_init(&input, paths, 3, INPUT_AUTO);
    input_limit(&input, LINE_MAX_TEST);
    describe(&input, &got);
    cr_assert_str_eq(got.data, "0!unreadable|0!unreadable|1:{1}|");
    input_fini(&input);
    buf_fini(&got);
    free(path);
    scratch_remove(&scratch);
}

Test(input, places_name_file_and_line)
{
    struct scratch scratch = scratch_make();
    char *path = make_file(&scratch, "a.jsonl", "\n{1}\n", 5);
    char missing[] = "/nonexistent/b";
    char *const paths[] = { path, missing };
    struct buf got = { 0 }, want = { 0 };
    struct input_draft draft;
    struct input input;

    input_init(&input, paths, 2, INPUT_AUTO);
    input_limit(&input, LINE_MAX_TEST);
    cr_assert_eq(input_next(&input, &draft), 0);
    input_place_text(&input, draft.place, &got);
    buf_addf(&want, "%s:2", path);
    cr_assert_str_eq(got.data, want.data);
    cr_assert_eq(input_next(&input, &draft), 0);
    cr_assert_str_eq(input_place_path(&input, draft.place), missing);
    cr_assert_eq(input_place_line(draft.place), 0);
    cr_assert_eq(input_next(&input, &draft), 1);
    input_fini(&input);
    buf_fini(&got);
    buf_fini(&want);
    free(path);
    scratch_remove(&scratch);
}

Test(input, a_spooled_pipe_can_be_read_twice)
{
    char path[64];
    char *const paths[] = { path };
    struct buf first = { 0 }, again = { 0 };
    struct input input;
    int ends[2];

    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(write(ends[1], "{1}\n\n{3}\n", 9), 9);
    close(ends[1]);
    cr_assert(snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]) > 0);
    input_init(&input, paths, 1, INPUT_AUTO);
    input_limit(&input, LINE_MAX_TEST);
    cr_assert_eq(input_spool(&input, NULL), 0);
    describe(&input, &first);
    input_rewind(&input);
    describe(&input, &again);
    cr_assert_str_eq(first.data, "1:{1}|3:{3}|");
    cr_assert_str_eq(again.data, first.data);
    input_fini(&input);
    close(ends[0]);
    buf_fini(&first);
    buf_fini(&again);
}

/* More than one piece: lines that lie across the reader's buffer. */
Test(input, a_file_larger_than_the_buffer_keeps_its_lines)
{
    struct scratch scratch = scratch_make();
    char *path, line[32];
    struct buf data = { 0 };
    struct input_draft draft;
    struct input input;
    int count = 0;

    while (data.bytes < 3 * INPUT_PIECE_BYTES)
        buf_addf(&data, "{\"id\":\"%d\"}\r\n", count++);
    path = make_file(&scratch, "a.jsonl", data.data, data.bytes);
    input_init(&input, &path, 1, INPUT_AUTO);
    input_limit(&input, LINE_MAX_TEST);
    for (int i = 0; i < count; i++) {
        cr_assert_eq(input_next(&input, &draft), 0);
        cr_assert(snprintf(line, sizeof(line), "{\"id\":\"%d\"}", i) > 0);
        cr_assert(slice_is(draft.line, line), "draft %d", i);
        cr_assert_eq(input_place_line(draft.place), i + 1);
    }
    cr_assert_eq(input_next(&input, &draft), 1);
    input_fini(&input);
    buf_fini(&data);
    free(path);
    scratch_remove(&scratch);
}
