/* SPDX-License-Identifier: MIT */
#include "base/log_line.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"

#define TEXT 0
#define JSON 1

static struct log_line line;

static struct slice make(bool is_json, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static struct slice
make(bool is_json, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    log_line_make(&line, is_json, "NOW", "warn", fmt, args);
    va_end(args);
    return (struct slice){ line.text, line.bytes };
}

#define CHECK(got, want)                                       \
    do {                                                       \
        struct slice slice_ = (got);                           \
                                                               \
        cr_expect(slice_is(slice_, want), "got %.*s, want %s", \
                  (int)slice_.bytes, slice_.data, want);       \
    } while (0)

Test(log_line, writes_pairs_as_text_and_as_json)
{
    CHECK(make(TEXT, "event=a_%s n=%d u=%u", "done", -3, 7U),
          "NOW warn event=a_done n=-3 u=7\n");
    CHECK(make(TEXT, "event=b x=%lld y=%llu z=%zu l=%ld r=%.3f", -1LL, 2ULL,
               (size_t)3, 4L, 0.5),
          "NOW warn event=b x=-1 y=2 z=3 l=4 r=0.500\n");
    CHECK(make(TEXT, "event=c verb=%.3s reason=\"%s; %d left\"", "helloworld",
               "no room", 2),
          "NOW warn event=c verb=hel reason=\"no room; 2 left\"\n");
    CHECK(make(JSON, "event=c verb=%.3s n=%d reason=\"%s; %d left\"",
               "helloworld", 1, "no room", 2),
          "{\"time\":\"NOW\",\"level\":\"warn\",\"event\":\"c\","
          "\"verb\":\"hel\",\"n\":\"1\",\"reason\":\"no room; 2 left\"}\n");
    CHECK(make(TEXT, "event=d"), "NOW warn event=d\n");
    CHECK(make(JSON, "event=d"),
          "{\"time\":\"NOW\",\"level\":\"warn\",\"event\":\"d\"}\n");
}

Test(log_line, ends_a_value_where_the_template_does)
{
    CHECK(make(TEXT, "event=a reason=\"%s\" n=%d", "no \"x\" in C:\\", 1),
          "NOW warn event=a reason=\"no \\\"x\\\" in C:\\\\\" n=1\n");
    CHECK(make(JSON, "event=a reason=\"%s\" n=%d", "no \"x\" in C:\\", 1),
          "{\"time\":\"NOW\",\"level\":\"warn\",\"event\":\"a\","
          "\"reason\":\"no \\\"x\\\" in C:\\\\\",\"n\":\"1\"}\n");
    CHECK(make(TEXT, "event=a name=%s n=%d", "b event=c", 1),
          "NOW warn event=a name=\"b event=c\" n=1\n");
    CHECK(make(JSON, "event=a name=%s n=%d", "b event=c", 1),
          "{\"time\":\"NOW\",\"level\":\"warn\",\"event\":\"a\","
          "\"name\":\"b event=c\",\"n\":\"1\"}\n");
    CHECK(make(TEXT, "event=a name=%s code=\"%s\" n=%d", "", "", 1),
          "NOW warn event=a name=\"\" code=\"\" n=1\n");
    CHECK(make(TEXT, "event=a name=%s", "%s%n=\"%d\""),
          "NOW warn event=a name=\"%s%n=\\\"%d\\\"\"\n");
    CHECK(make(TEXT, "event=a name=%s", "j\xc3\xb6rg"),
          "NOW warn event=a name=j\xc3\xb6rg\n");
}

Test(log_line, writes_no_byte_that_a_terminal_or_a_reader_of_lines_obeys)
{
    CHECK(make(TEXT, "event=a name=%s", "\x1b[2J\nx\x7f"),
          "NOW warn event=a name=\"\\x1b[2J\\x0ax\\x7f\"\n");
    CHECK(make(JSON, "event=a name=%s", "\x1b[2J\nx\x7f"),
          "{\"time\":\"NOW\",\"level\":\"warn\",\"event\":\"a\","
          "\"name\":\"\\u001b[2J\\u000ax\\u007f\"}\n");
    /* CSI of ISO 8859 as UTF-8, a lone byte of Latin-1, half a character, and
     * the character that stands for such. */
    CHECK(make(TEXT, "event=a name=%s", "\xc2\x9b|\xe9|\xe2\x82|\xef\xbf\xbd"),
          "NOW warn event=a name=\"\\xc2\\x9b|\\xe9|\\xe2\\x82|"
          "\xef\xbf\xbd\"\n");
    CHECK(make(JSON, "event=a name=%s", "\xc2\x9b|\xe9|\xe2\x82|\xef\xbf\xbd"),
          "{\"time\":\"NOW\",\"level\":\"warn\",\"event\":\"a\","
          "\"name\":\"\\u009b|\xef\xbf\xbd|\xef\xbf\xbd|\xef\xbf\xbd\"}\n");
}

/* What a reader of the text makes of a quoted value. */
static struct slice
unquote(struct slice quoted, char *out)
{
    size_t bytes = 0;

    for (size_t i = 0; i < quoted.bytes; i++) {
        char c = quoted.data[i];

        if (c == '\\' && quoted.data[i + 1] == 'x') {
            char hex[3] = { quoted.data[i + 2], quoted.data[i + 3], '\0' };

            c = (char)strtol(hex, NULL, 16);
            i += 3;
        } else if (c == '\\') {
            c = quoted.data[++i];
        }
        out[bytes++] = c;
    }
    return (struct slice){ out, bytes };
}

static void
check_text(const char *value)
{
    static const char head[] = "NOW warn event=a v=\"", tail[] = "\" n=1\n";
    char out[LOG_LINE_BYTES_MAX];
    struct slice got = make(TEXT, "event=a v=\"%s\" n=%d", value, 1);

    cr_assert(got.bytes > sizeof(head) - 1 + sizeof(tail) - 1);
    cr_expect_eq(memcmp(got.data, head, sizeof(head) - 1), 0);
    got.data += sizeof(head) - 1;
    got.bytes -= sizeof(head) - 1 + sizeof(tail) - 1;
    cr_expect_eq(memcmp(got.data + got.bytes, tail, sizeof(tail) - 1), 0);
    cr_expect_null(memchr(got.data, '\n', got.bytes));
    cr_expect(utf8_is_valid(got));
    cr_expect(slice_is(unquote(got, out), value), "%.*s", (int)got.bytes,
              got.data);
}

static void
check_json(const char *value)
{
    bool is_utf8 = utf8_is_valid(slice_of(value));
    struct slice got = make(JSON, "event=a v=%s n=%d", value, 1);
    struct json_doc doc = { 0 };
    struct buf decoded = { 0 };

    cr_assert_eq(json_parse(&doc, got.data, got.bytes, JSON_INPUT, NULL), 0);
    cr_expect(json_is(&doc, json_member(&doc, 0, "n"), "1"));
    (void)json_decode(&doc, json_member(&doc, 0, "v"), &decoded);
    if (is_utf8)
        cr_expect(slice_is(buf_slice(&decoded), value));
    buf_fini(&decoded);
    json_fini(&doc);
}

/* Any bytes but NUL, many of those that mean something in a line. */
Test(log_line, gives_any_bytes_back)
{
    static const char special[] = "\"\\= \n\x1b\x7f{},:x\xc2\x9b\xc3\xa9%s";
    char value[64];

    srand(1);
    for (int round = 0; round < 20000; round++) {
        size_t bytes = 1 + (size_t)rand() % (sizeof(value) - 1);

        for (size_t i = 0; i < bytes; i++) {
            char any = (char)(1 + rand() % 255);
            char odd = special[(size_t)rand() % (sizeof(special) - 1)];

            value[i] = any;
            if (rand() % 2)
                value[i] = odd;
        }
        value[bytes] = '\0';
        check_text(value);
        check_json(value);
    }
}

/* At every length around the end of the line: it is cut between characters, or
 * between pairs, and is whole. */
Test(log_line, cuts_a_line_so_that_it_stays_whole)
{
    static char value[2 * LOG_LINE_BYTES_MAX];
    struct json_doc doc = { 0 };

    for (size_t bytes = LOG_LINE_BYTES_MAX - 160; bytes < LOG_LINE_BYTES_MAX;
         bytes++) {
        struct slice got;

        memset(value, 'a', bytes);
        memcpy(value + bytes, "\x01\"\xc3\xa9", 5);
        got = make(JSON, "event=a v=%s n=%d reason=\"%s\"", value, 1, "x y");
        cr_expect(got.bytes <= LOG_LINE_BYTES_MAX);
        cr_expect_eq(json_parse(&doc, got.data, got.bytes, JSON_INPUT, NULL),
                     0);
        cr_expect(json_is(&doc, json_member(&doc, 0, "event"), "a"));
        got =
            make(TEXT, "event=a v=\"%s\" n=%d reason=\"%s\"", value, 1, "x y");
        cr_expect(got.bytes <= LOG_LINE_BYTES_MAX);
        cr_expect(utf8_is_valid(got));
        cr_expect_eq(got.data[got.bytes - 1], '\n');
    }
    json_fini(&doc);

    memset(value, '"', sizeof(value) - 1);
    (void)make(TEXT, "event=a v=%s n=%d", value, 1);
    cr_expect_eq(memcmp(line.text + line.bytes - 4, "\\\"\"\n", 4), 0);
    memset(value, 'a', sizeof(value) - 1);
    (void)make(TEXT, "event=a v=%s n=%d", value, 1);
    cr_expect_eq(memcmp(line.text + line.bytes - 3, "aa\n", 3), 0);
}
