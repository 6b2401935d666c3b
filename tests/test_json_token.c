/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* A string literal and its length, for texts with a NUL inside. */
#define TEXT(literal) literal, sizeof(literal) - 1

static void
parse(struct json_doc *doc, const char *text)
{
    struct err err = { 0 };

    cr_assert_eq(json_parse(doc, text, strlen(text), JSON_REPLY, &err), 0,
                 "%s: %s", text, err.msg);
}

static const char reply[] =
    "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"caf\\u00e9 "
    "\\ud83d\\ude00\"}},[7,8]],\"Choices\":1,\"a\\u0000b\":2,\"\":{\"\":5},"
    "\"x\":\"\\ud800\",\"\\u0069d\":3,\"id\":4,\"a.b\":6}";

Test(json_token, paths_lead_to_values_or_nowhere)
{
    static const struct {
        const char *path;
        const char *raw; /* NULL: nowhere */
    } rows[] = {
        { "choices.0.index", "0" },
        { "choices.0.message.content", "\"caf\\u00e9 \\ud83d\\ude00\"" },
        { "choices.1.0", "7" },
        { "choices.1.1", "8" },
        { "choices.1", "[7,8]" },
        { "Choices", "1" },
        { "id", "3" },
        { ".", "5" },
        { "choices.1.2", NULL },
        { "choices.1.01", NULL },
        { "choices.1.-1", NULL },
        { "choices.1.", NULL },
        { "choices.1.18446744073709551616", NULL },
        { "choices.first", NULL },
        { "choices.0.index.0", NULL },
        { "choices.0.message.content.x", NULL },
        { "CHOICES", NULL },
        { "choice", NULL },
        { "choicess", NULL },
        { "a", NULL },
        { "ab", NULL },
        { "a.b", NULL },
        { "choices.", NULL },
    };
    struct json_doc doc = { 0 };

    parse(&doc, reply);
    cr_expect_eq(json_path(&doc, 0, ""), 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t at = json_path(&doc, 0, rows[i].path);
        struct slice raw = json_raw(&doc, at);

        if (rows[i].raw) {
            cr_expect(slice_is(raw, rows[i].raw), "%s: got %.*s", rows[i].path,
                      (int)raw.bytes, raw.data);
        } else {
            cr_expect_eq(at, JSON_NONE, "%s: got %.*s", rows[i].path,
                         (int)raw.bytes, raw.data);
        }
    }
    json_fini(&doc);
}

Test(json_token, strings_are_compared_decoded_and_whole)
{
    struct json_doc doc = { 0 };
    size_t content;

    parse(&doc, reply);
    content = json_path(&doc, 0, "choices.0.message.content");
    cr_expect(json_is(&doc, content, "caf\xc3\xa9 \xf0\x9f\x98\x80"));
    cr_expect_not(json_is(&doc, content, "caf\xc3\xa9 \xf0\x9f\x98"));
    cr_expect_not(json_is(&doc, content, "caf\xc3\xa9 \xf0\x9f\x98\x80 "));
    cr_expect_not(json_is(&doc, content, "caf\xc3\xa9"));
    cr_expect_not(json_is(&doc, content, ""));
    cr_expect(json_is(&doc, json_member(&doc, 0, "x"), "\xef\xbf\xbd"));
    parse(&doc, "[\"\",\"a\\u0000b\",1]");
    cr_expect(json_is(&doc, 1, ""));
    cr_expect_not(json_is(&doc, 2, "a"), "a NUL escape ends no string");
    cr_expect_not(json_is(&doc, 3, "1"), "a number is no string");
    json_fini(&doc);
}

Test(json_token, the_token_that_is_none_has_nothing)
{
    struct json_doc doc = { 0 };
    struct buf out = { 0 };
    int64_t number = 1;
    double real = 1;

    parse(&doc, "[1]");
    cr_expect_eq(json_member(&doc, JSON_NONE, "a"), JSON_NONE);
    cr_expect_eq(json_member(&doc, 0, "a"), JSON_NONE);
    cr_expect_eq(json_element(&doc, JSON_NONE, 0), JSON_NONE);
    cr_expect_eq(json_element(&doc, 0, 0), 1);
    cr_expect_eq(json_element(&doc, 0, 1), JSON_NONE);
    cr_expect_eq(json_element(&doc, 1, 0), JSON_NONE);
    cr_expect_eq(json_path(&doc, JSON_NONE, ""), JSON_NONE);
    cr_expect_eq(json_raw(&doc, JSON_NONE).bytes, 0);
    cr_expect_null(json_inner(&doc, JSON_NONE).data);
    cr_expect_null(json_inner(&doc, 1).data);
    cr_expect_not(json_is(&doc, JSON_NONE, ""));
    cr_expect_eq(json_decode(&doc, JSON_NONE, &out), 0);
    cr_expect_eq(out.bytes, 0);
    cr_expect_eq(json_int(&doc, JSON_NONE, 0, 9, &number), E_INVALID);
    cr_expect_eq(json_double(&doc, JSON_NONE, &real), E_INVALID);
    cr_expect_eq(json_code_points(&doc, JSON_NONE), 0);
    cr_expect_eq(number, 1);
    buf_fini(&out);
    json_fini(&doc);
}

Test(json_token, strings_are_decoded_to_valid_utf_8)
{
    static const struct {
        const char *string;
        const char *text;
        size_t bytes;
        size_t code_points;
        size_t lone_count;
    } rows[] = {
        { "\"\"", TEXT(""), 0, 0 },
        { "\"plain\"", TEXT("plain"), 5, 0 },
        { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", TEXT("\"\\/\b\f\n\r\t"), 8, 0 },
        { "\"\\u0041\\u00e9\\u20AC\"", TEXT("A\xc3\xa9\xe2\x82\xac"), 3, 0 },
        { "\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"",
          TEXT("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf"), 5, 0 },
        { "\"\\ud83d\\ude00!\"", TEXT("\xf0\x9f\x98\x80!"), 2, 0 },
        { "\"\\ud800\\udc00\\uDBFF\\uDFFF\"",
          TEXT("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"), 2, 0 },
        { "\"x\\u0000secret\"", TEXT("x\0secret"), 8, 0 },
        { "\"\\ud83d\"", TEXT("\xef\xbf\xbd"), 1, 1 },
        { "\"\\ude00\"", TEXT("\xef\xbf\xbd"), 1, 1 },
        { "\"\\ud83d\\ud83d\\ude00\"", TEXT("\xef\xbf\xbd\xf0\x9f\x98\x80"), 2,
          1 },
        { "\"\\ude00\\ud83d\"", TEXT("\xef\xbf\xbd\xef\xbf\xbd"), 2, 2 },
        { "\"\\ude00\\ude00\"", TEXT("\xef\xbf\xbd\xef\xbf\xbd"), 2, 2 },
        { "\"\\ud83d\\u0041\"",
          TEXT("\xef\xbf\xbd"
               "A"),
          2, 1 },
        { "\"\\ud83dude00\"", TEXT("\xef\xbf\xbdude00"), 6, 1 },
        { "\"\xe6\x97\xa5 \xf0\x9f\x98\x80\"",
          TEXT("\xe6\x97\xa5 \xf0\x9f\x98\x80"), 3, 0 },
        { "\"e\\u0301\"", TEXT("e\xcc\x81"), 2, 0 },
    };
    struct json_doc doc = { 0 };
    struct buf out = { 0 };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct slice want = { rows[i].text, rows[i].bytes };
        size_t lone_count, code_points;

        parse(&doc, rows[i].string);
        buf_reset(&out);
        buf_add_str(&out, "before:");
        lone_count = json_decode(&doc, 0, &out);
        buf_drop(&out, strlen("before:"));
        cr_expect(slice_equal(buf_slice(&out), want), "%s: got %s",
                  rows[i].string, out.data);
        cr_expect_eq(lone_count, rows[i].lone_count, "%s", rows[i].string);
        code_points = json_code_points(&doc, 0);
        cr_expect_eq(code_points, rows[i].code_points, "%s: got %zu",
                     rows[i].string, code_points);
    }
    buf_fini(&out);
    json_fini(&doc);
}

/* Characters are counted by blocks, and blocks by the hundred. */
Test(json_token, long_strings_have_as_many_code_points_as_characters)
{
    static const char *const characters[] = {
        "a",   "\xc3\xbc", "\xe6\x97\xa5",  "\xf0\x9f\x98\x80",
        "\\n", "\\u00fc",  "\\ud83d\\ude00"
    };
    struct json_doc doc = { 0 };
    struct buf text = { 0 }, mixed = { 0 };

    for (size_t count = 1; count < 6000; count = count * 3 / 2 + 1) {
        buf_reset(&mixed);
        buf_add_char(&mixed, '"');
        for (size_t kind = 0; kind < COUNT(characters); kind++) {
            buf_reset(&text);
            buf_add_char(&text, '"');
            for (size_t i = 0; i < count; i++) {
                buf_add_str(&text, characters[kind]);
                buf_add_str(&mixed, characters[(i + kind) * 5 % 7]);
            }
            buf_add_char(&text, '"');
            parse(&doc, text.data);
            cr_expect_eq(json_code_points(&doc, 0), count, "%zu of %s", count,
                         characters[kind]);
            cr_expect_eq(doc.tokens[0].is_plain, kind == 0);
        }
        buf_add_char(&mixed, '"');
        parse(&doc, mixed.data);
        cr_expect_eq(json_code_points(&doc, 0), count * COUNT(characters));
    }
    buf_fini(&text);
    buf_fini(&mixed);
    json_fini(&doc);
}

Test(json_token, integers_are_exact_and_within_their_range)
{
    static const struct {
        const char *text;
        int64_t min, max;
        int rc;
        int64_t value;
    } rows[] = {
        { "0", 0, 0, 0, 0 },
        { "-0", 0, 0, 0, 0 },
        { "42", 0, 100, 0, 42 },
        { "-42", -42, -1, 0, -42 },
        { "9007199254740993", 0, INT64_MAX, 0, 9007199254740993 },
        { "9223372036854775807", INT64_MIN, INT64_MAX, 0, INT64_MAX },
        { "-9223372036854775808", INT64_MIN, INT64_MAX, 0, INT64_MIN },
        { "9223372036854775808", INT64_MIN, INT64_MAX, E_INVALID, 7 },
        { "-9223372036854775809", INT64_MIN, INT64_MAX, E_INVALID, 7 },
        { "18446744073709551617", INT64_MIN, INT64_MAX, E_INVALID, 7 },
        { "101", 0, 100, E_INVALID, 7 },
        { "-1", 0, 100, E_INVALID, 7 },
        { "1.0", 0, 100, E_INVALID, 7 },
        { "1e1", 0, 100, E_INVALID, 7 },
        { "1E1", 0, 100, E_INVALID, 7 },
        { "\"1\"", 0, 100, E_INVALID, 7 },
        { "true", 0, 100, E_INVALID, 7 },
        { "[1]", 0, 100, E_INVALID, 7 },
    };
    struct json_doc doc = { 0 };

    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t value = 7;

        parse(&doc, rows[i].text);
        cr_expect_eq(json_int(&doc, 0, rows[i].min, rows[i].max, &value),
                     rows[i].rc, "%s", rows[i].text);
        cr_expect_eq(value, rows[i].value, "%s: got %jd", rows[i].text,
                     (intmax_t)value);
    }
    json_fini(&doc);
}

Test(json_token, doubles_are_exact_and_finite)
{
    static const struct {
        const char *text;
        int rc;
        double value;
    } rows[] = {
        { "0.5", 0, 0.5 },
        { "-12.25e-1", 0, -1.225 },
        { "0.30000000000000004", 0, 0.30000000000000004 },
        { "1E3", 0, 1000 },
        { "1e-400", 0, 0 },
        { "1.7976931348623157e308", 0, 1.7976931348623157e308 },
        { "1e400", E_INVALID, 7 },
        { "-1e400", E_INVALID, 7 },
        { "\"1\"", E_INVALID, 7 },
        { "null", E_INVALID, 7 },
    };
    struct json_doc doc = { 0 };
    struct buf digits = { 0 };
    double value;

    /* Whatever locale there is with another decimal point. */
    setlocale(LC_ALL, "de_DE.UTF-8");
    for (size_t i = 0; i < COUNT(rows); i++) {
        value = 7;
        parse(&doc, rows[i].text);
        cr_expect_eq(json_double(&doc, 0, &value), rows[i].rc, "%s",
                     rows[i].text);
        cr_expect_eq(value, rows[i].value, "%s: got %.17g", rows[i].text,
                     value);
    }
    buf_add_str(&digits, "0.");
    for (size_t i = 2; i < JSON_DOUBLE_MAX; i++)
        buf_add_char(&digits, '1');
    parse(&doc, digits.data);
    cr_expect_eq(json_double(&doc, 0, &value), 0);
    cr_expect_eq(value, 1.0 / 9);
    buf_add_char(&digits, '1');
    parse(&doc, digits.data);
    cr_expect_eq(json_double(&doc, 0, &value), E_INVALID);
    buf_fini(&digits);
    json_fini(&doc);
}
