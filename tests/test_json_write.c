/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <criterion/criterion.h>
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

static const struct {
    const char *text;
    const char *want;
} canonical_forms[] = {
    { "null", "null" },
    { " \t\r\ntrue \n", "true" },
    { "false", "false" },
    { "-0", "-0" },
    { "0.0e-0", "0.0e-0" },
    { "12.50E+07", "12.50E+07" },
    { "1e400", "1e400" },
    { "9007199254740993", "9007199254740993" },
    { "0.30000000000000004", "0.30000000000000004" },
    { "\"\"", "\"\"" },
    { "\"\x7f\"", "\"\x7f\"" },
    { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"",
      "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"" },
    { "\"\\uD83D\\uDE00\"", "\"\\uD83D\\uDE00\"" },
    { "\"\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\"",
      "\"\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\"" },
    { "[ ]", "[]" },
    { "{ }", "{}" },
    { "[ 1 , [ ] , { } ]", "[1,[],{}]" },
    { "{ \"a\" : 1 , \"b\" : [ 2 ] }", "{\"a\":1,\"b\":[2]}" },
    /* Names are told apart by case, and only within one object. */
    { "{\"id\":1,\"ID\":2,\"x\":{\"id\":3},\"y\":{\"id\":4}}",
      "{\"ID\":2,\"id\":1,\"x\":{\"id\":3},\"y\":{\"id\":4}}" },
    /* Raw key bytes: an escape is a backslash, and a prefix comes first. */
    { "{\"b\":1,\"\\u0061\":2,\"ba\":3,\"B\":4,\"\":5,\"b!\":6}",
      "{\"\":5,\"B\":4,\"\\u0061\":2,\"b\":1,\"b!\":6,\"ba\":3}" },
    { "{\"\xc3\xa9\":1,\"z\":2}", "{\"z\":2,\"\xc3\xa9\":1}" },
    { "[{\"b\":{\"d\":1,\"c\":2},\"a\":[{\"f\":1,\"e\":2}, 3]}, \"x\"]",
      "[{\"a\":[{\"e\":2,\"f\":1},3],\"b\":{\"c\":2,\"d\":1}},\"x\"]" },
};

Test(json_write, canonical_form_sorts_keys_and_keeps_every_token)
{
    struct json_doc doc = { 0 };
    struct buf out = { 0 };

    for (size_t i = 0; i < COUNT(canonical_forms); i++) {
        const char *text = canonical_forms[i].text;

        for (enum json_mode mode = JSON_REPLY; mode <= JSON_INPUT; mode++) {
            struct err err = { 0 };

            cr_assert_eq(json_parse(&doc, text, strlen(text), mode, &err), 0,
                         "%s: %s", text, err.msg);
            buf_reset(&out);
            json_canonical(&doc, 0, &out);
            cr_expect_str_eq(out.data, canonical_forms[i].want, "%s: got %s",
                             text, out.data);
        }
    }
    buf_fini(&out);
    json_fini(&doc);
}

/* Enough members at each depth that the block they share has to grow. */
Test(json_write, canonical_form_sorts_many_members_at_many_depths)
{
    struct json_doc doc = { 0 };
    struct buf text = { 0 }, want = { 0 }, out = { 0 };

    for (int depth = 0; depth < JSON_DEPTH_MAX; depth++) {
        buf_add_str(&text, "{\"m\":");
        buf_add_char(&want, '{');
        for (int i = 0; i < 9; i++)
            buf_addf(&want, "\"%c\":%d,", 'a' + i, depth);
        buf_add_str(&want, "\"m\":");
    }
    buf_add_char(&text, '0');
    buf_add_char(&want, '0');
    for (int depth = JSON_DEPTH_MAX - 1; depth >= 0; depth--) {
        for (int i = 8; i >= 0; i--)
            buf_addf(&text, ", \"%c\" : %d", 'a' + i, depth);
        buf_addf(&text, ",\"z\":%d}", depth);
        buf_addf(&want, ",\"z\":%d}", depth);
    }
    parse(&doc, text.data);
    json_canonical(&doc, 0, &out);
    cr_expect_str_eq(out.data, want.data);
    buf_fini(&text);
    buf_fini(&want);
    buf_fini(&out);
    json_fini(&doc);
}

Test(json_write, canonical_form_keeps_equal_keys_in_order)
{
    struct json_doc doc = { 0 };
    struct buf out = { 0 };

    parse(&doc, "{\"b\":1,\"a\":3,\"a\":1,\"a\":2}");
    json_canonical(&doc, 0, &out);
    cr_expect_str_eq(out.data, "{\"a\":3,\"a\":1,\"a\":2,\"b\":1}");
    buf_reset(&out);
    json_canonical(&doc, json_member(&doc, 0, "a"), &out);
    cr_expect_str_eq(out.data, "3", "a part of a document has one too");
    buf_fini(&out);
    json_fini(&doc);
}

Test(json_write, writes_any_bytes_as_a_valid_string)
{
    static const struct {
        const char *text;
        size_t bytes;
        const char *want;
    } rows[] = {
        { TEXT(""), "\"\"" },
        { TEXT("a/b \x7f"), "\"a/b \x7f\"" },
        { TEXT("\"\\\b\f\n\r\t"), "\"\\\"\\\\\\b\\f\\n\\r\\t\"" },
        { TEXT("\0\x01\x1f"), "\"\\u0000\\u0001\\u001f\"" },
        { TEXT("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
          "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"" },
        { TEXT("a\xff\xc0\xaf"), "\"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
        { TEXT("\xe2\x82"), "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
        { TEXT("\xe2\x82z"), "\"\xef\xbf\xbd\xef\xbf\xbdz\"" },
    };
    struct buf out = { 0 };

    for (size_t i = 0; i < COUNT(rows); i++) {
        buf_reset(&out);
        json_write_string(&out, rows[i].text, rows[i].bytes);
        cr_expect_str_eq(out.data, rows[i].want, "row %zu: got %s", i,
                         out.data);
    }
    buf_reset(&out);
    buf_add_char(&out, '"');
    json_write_inner(&out, "a\n", 2);
    json_write_inner(&out, NULL, 0);
    json_write_inner(&out, "b", 1);
    buf_add_char(&out, '"');
    cr_expect_str_eq(out.data, "\"a\\nb\"");
    buf_fini(&out);
}

Test(json_write, every_code_point_survives_writing_and_reading)
{
    struct json_doc doc = { 0 };
    struct buf out = { 0 }, decoded = { 0 }, again = { 0 };
    struct err err;

    for (unsigned point = 0; point <= 0x10ffff; point++) {
        unsigned high = 0xd800 + ((point - 0x10000) >> 10);
        unsigned low = 0xdc00 + ((point - 0x10000) & 0x3ff);

        if (point >= 0xd800 && point <= 0xdfff)
            continue;
        buf_reset(&out);
        if (point < 0x10000)
            buf_addf(&out, "\"\\u%04x\"", point);
        else
            buf_addf(&out, "\"\\u%04X\\u%04X\"", high, low);
        parse(&doc, out.data);
        buf_reset(&decoded);
        cr_assert_eq(json_decode(&doc, 0, &decoded), 0, "U+%04X", point);
        cr_assert_eq(json_utf8(decoded.data, decoded.bytes), decoded.bytes,
                     "U+%04X", point);
        buf_reset(&out);
        json_write_string(&out, decoded.data, decoded.bytes);
        cr_assert_eq(json_parse(&doc, out.data, out.bytes, JSON_REPLY, &err), 0,
                     "U+%04X: %s", point, err.msg);
        cr_assert_eq(json_code_points(&doc, 0), 1, "U+%04X", point);
        buf_reset(&again);
        json_decode(&doc, 0, &again);
        cr_assert(slice_equal(buf_slice(&again), buf_slice(&decoded)), "U+%04X",
                  point);
    }
    buf_fini(&again);
    buf_fini(&decoded);
    buf_fini(&out);
    json_fini(&doc);
}
