/* SPDX-License-Identifier: MIT */
#include "queue/wire.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct wire wire;
static struct err err;

static int
parse(const char *text)
{
    wire_fini(&wire);
    return wire_parse(&wire, slice_of(text), slice_of("body"), &err);
}

static int
read_plain(const char *text)
{
    wire_fini(&wire);
    return wire_read(&wire, slice_of(text), slice_of("body"), &err);
}

static void
tear_down(void)
{
    wire_fini(&wire);
}

Test(wire, what_is_no_header_is_refused, .fini = tear_down)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        { "", "header: empty" },
        { "x", "header: byte 1: expected a value" },
        { "[]", "header: not an object" },
        { "\"verb\"", "header: not an object" },
        { "{}", "header: no verb" },
        { "{\"verb\":7}", "header: no verb" },
        { "{\"verb\":null}", "header: no verb" },
        { "{\"Verb\":\"x\"}", "header: no verb" },
        { "{\"verb\":\"x\"}}", "header: byte 13: nothing may follow the "
                               "value" },
        { "{\"verb\":\"x\",\"verb\":\"y\"}",
          "header: byte 13: the key \"verb\" stands twice" },
        { "{\"verb\":\"x\\u0000\"}", "header: byte 11: NUL escape (\\u0000)" },
        { "{\"verb\":\"\xff\"}", "header: byte 10: invalid UTF-8" },
        { "{\"verb\":\"\\ud800\"}", "header: byte 10: lone surrogate escape" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_expect_eq(parse(cases[i].text), E_PROTOCOL, "%s", cases[i].text);
        cr_expect_eq(err.code, E_PROTOCOL);
        cr_expect_str_eq(err.msg, cases[i].message, "%s: %s", cases[i].text,
                         err.msg);
        cr_expect_null(wire.head);
    }
}

Test(wire, a_header_has_a_limit, .fini = tear_down)
{
    struct buf text = { 0 };

    buf_add_str(&text, "{\"verb\":\"x\"");
    while (text.bytes < WIRE_HEADER_BYTES_MAX - 1)
        buf_add_char(&text, ' ');
    buf_add_char(&text, '}');
    cr_expect_eq(parse(text.data), 0);
    text.bytes--;
    buf_add_str(&text, " }");
    cr_expect_eq(parse(text.data), E_PROTOCOL);
    buf_fini(&text);
}

Test(wire, a_header_is_read, .fini = tear_down)
{
    cr_assert_eq(parse(" {\"verb\" : \"d\\u00e4nce\", \"re\":1}\n"), 0);
    cr_expect_str_eq(wire_verb(&wire), "d\u00e4nce");
    cr_expect(slice_is(wire.body, "body"));
    cr_expect_null(wire_get(&wire, "RE"));
    wire_fini(&wire);
    wire_fini(&wire);
}

Test(wire, integers_are_checked, .fini = tear_down)
{
    static const struct {
        const char *value;
        int rc;
        int64_t want;
        const char *message;
    } cases[] = {
        { "0", 0, 0, "" },
        { "-7", 0, -7, "" },
        { "9007199254740992", 0, WIRE_INT_MAX, "" },
        { "-9007199254740992", 0, -WIRE_INT_MAX, "" },
        { "9007199254740994", E_INVALID, 0, "n: not an integer" },
        { "1e400", E_INVALID, 0, "n: not an integer" },
        { "1.5", E_INVALID, 0, "n: not an integer" },
        { "\"1\"", E_INVALID, 0, "n: not an integer" },
        { "true", E_INVALID, 0, "n: not an integer" },
        { "null", E_INVALID, 0, "n: not an integer" },
        { "[1]", E_INVALID, 0, "n: not an integer" },
    };
    int64_t value;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf text = { 0 };
        int rc;

        buf_addf(&text, "{\"verb\":\"x\",\"n\":%s}", cases[i].value);
        cr_assert_eq(parse(text.data), 0, "%s", text.data);
        rc = wire_int(&wire, "n", wire_range(-WIRE_INT_MAX, WIRE_INT_MAX),
                      &value, &err);
        cr_expect_eq(rc, cases[i].rc, "%s", cases[i].value);
        if (rc == 0)
            cr_expect_eq(value, cases[i].want, "%s", cases[i].value);
        else
            cr_expect_str_eq(err.msg, cases[i].message);
        buf_fini(&text);
    }
    cr_assert_eq(parse("{\"verb\":\"x\",\"n\":5}"), 0);
    cr_expect_eq(wire_int(&wire, "n", wire_range_or(5, 5, 0), &value, &err), 0);
    cr_expect_eq(wire_int(&wire, "n", wire_range_or(6, 9, 0), &value, &err),
                 E_INVALID);
    cr_expect_str_eq(err.msg, "n: 5 is not from 6 to 9");
    cr_expect_eq(wire_int(&wire, "m", wire_range(0, 9), &value, &err),
                 E_INVALID);
    cr_expect_str_eq(err.msg, "m: missing");
    cr_expect_eq(wire_int(&wire, "m", wire_range_or(0, 9, -1), &value, &err),
                 0);
    cr_expect_eq(value, -1);
}

Test(wire, strings_and_booleans_are_checked, .fini = tear_down)
{
    const char *text;
    bool is_true;

    cr_assert_eq(parse("{\"verb\":\"x\",\"s\":\"\\u00fcber\",\"b\":true,"
                       "\"n\":1,\"z\":null}"),
                 0);
    cr_expect_eq(wire_str(&wire, "s", 5, NULL, &text, &err), 0);
    cr_expect_str_eq(text, "\u00fcber");
    cr_expect_eq(wire_str(&wire, "s", 4, NULL, &text, &err), E_INVALID);
    cr_expect_str_eq(err.msg, "s: longer than 4 bytes");
    cr_expect_eq(wire_str(&wire, "n", 9, "", &text, &err), E_INVALID);
    cr_expect_str_eq(err.msg, "n: not a string");
    cr_expect_eq(wire_str(&wire, "z", 9, "", &text, &err), E_INVALID);
    cr_expect_eq(wire_str(&wire, "q", 9, NULL, &text, &err), E_INVALID);
    cr_expect_str_eq(err.msg, "q: missing");
    cr_expect_eq(wire_str(&wire, "q", 9, "else", &text, &err), 0);
    cr_expect_str_eq(text, "else");
    cr_expect_eq(wire_bool(&wire, "b", false, &is_true, &err), 0);
    cr_expect(is_true);
    cr_expect_eq(wire_bool(&wire, "q", true, &is_true, &err), 0);
    cr_expect(is_true);
    cr_expect_eq(wire_bool(&wire, "n", false, &is_true, &err), E_INVALID);
    cr_expect_str_eq(err.msg, "n: not true or false");
}

Test(wire, leases_are_tuples, .fini = tear_down)
{
    static const struct {
        const char *text;
        int count, rc;
    } cases[] = {
        { "[1,2,3]", 3, 0 },         { "[1,2]", 2, 0 },
        { "[1,2]", 3, E_INVALID },   { "[1,2,3]", 2, E_INVALID },
        { "[]", 2, E_INVALID },      { "[1,-2]", 2, E_INVALID },
        { "[1,2.5]", 2, E_INVALID }, { "[1,\"2\"]", 2, E_INVALID },
        { "7", 2, E_INVALID },       { "{\"a\":1,\"b\":2}", 2, E_INVALID },
        { "[1.0,2e0]", 2, 0 },       { "[1,[2]]", 2, E_INVALID },
        { "[[1,2]]", 2, E_INVALID }, { "null", 0, E_INVALID },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf text = { 0 };
        int64_t values[3] = { 0 };

        struct wire item;

        buf_addf(&text, "{\"verb\":\"x\",\"t\":%s}", cases[i].text);
        cr_assert_eq(read_plain(text.data), 0);
        cr_assert(wire_member(&wire, "t", &item));
        cr_expect_eq(wire_integers(&item, cases[i].count, 0, values),
                     cases[i].rc, "%s", cases[i].text);
        if (cases[i].rc == 0)
            cr_expect_eq(values[1], 2);
        buf_fini(&text);
    }
}

/* The first is as long as the body, but for what the third one takes. */
Test(wire, elements_have_their_parts_of_the_body, .fini = tear_down)
{
    struct wire_list list;
    struct wire item;
    int64_t value;

    cr_assert_eq(
        read_plain(
            "{\"verb\":\"x\",\"n\":1,\"l\":[{\"n\":2,\"bytes\":3},{\"n\":"
            "3},{\"bytes\":1,\"n\":4,\"o\":{\"n\":5}},{\"n\":6,\"bytes\":"
            "1},{\"n\":7}]}"),
        0);
    cr_assert_eq(wire_list(&wire, "l", &list, &err), 0);
    cr_assert_eq(wire_next_part(&list, &item, &err), 0);
    cr_expect(slice_is(item.body, "bod"));
    cr_assert_eq(wire_int(&item, "n", wire_range(0, 9), &value, &err), 0);
    cr_expect_eq(value, 2);
    cr_assert_eq(wire_next_part(&list, &item, &err), 0);
    cr_expect_eq(item.body.bytes, 0);
    cr_assert_eq(wire_next_part(&list, &item, &err), 0);
    cr_expect(slice_is(item.body, "y"));
    cr_assert(wire_member(&item, "o", &item));
    cr_assert_eq(wire_int(&item, "n", wire_range(0, 9), &value, &err), 0);
    cr_expect_eq(value, 5);
    cr_expect_eq(wire_next_part(&list, &item, &err), E_INVALID,
                 "the body has come to its end");
    cr_expect_str_eq(err.msg, "bytes: 1 is not from 0 to 0");
    cr_expect_eq(wire_next_part(&list, &item, &err), 1,
                 "where the next one has its part is not known");
    cr_assert_eq(wire_int(&wire, "n", wire_range(0, 9), &value, &err), 0);
    cr_expect_eq(value, 1, "of the header itself");
}

Test(wire, a_list_is_one_or_is_empty, .fini = tear_down)
{
    struct wire_list list;
    struct wire item;

    cr_assert_eq(
        read_plain("{\"verb\":\"x\",\"o\":{},\"e\":[],\"l\":[1,[],\"s\"]}"), 0);
    cr_expect_eq(wire_list(&wire, "o", &list, &err), E_INVALID);
    cr_expect_str_eq(err.msg, "o: not an array");
    cr_expect_eq(wire_list(&wire, "none", &list, &err), 0);
    cr_expect_not(wire_next(&list, &item));
    cr_expect_eq(wire_list(&wire, "e", &list, &err), 0);
    cr_expect_not(wire_next(&list, &item));
    cr_expect_eq(wire_list(&wire, "l", &list, &err), 0);
    for (int i = 0; i < 3; i++) {
        cr_assert(wire_next(&list, &item));
        cr_expect_not(wire_has(&item, "verb"), "it has no members");
    }
    cr_expect_not(wire_next(&list, &item));
}

/* Members are found whatever the order in which they are asked for, and one that
 * stands deeper is not taken for one of the header. */
Test(wire, members_are_found_in_any_order, .fini = tear_down)
{
    static const char *const names[] = { "a", "b", "c", "d" };
    int64_t value;

    cr_assert_eq(read_plain("{\"a\":1,\"b\":2,\"o\":{\"d\":9,\"c\":9},"
                            "\"c\":3,\"d\":4,\"verb\":\"x\"}"),
                 0);
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < 4; j++) {
            cr_assert_eq(
                wire_int(&wire, names[i], wire_range(0, 9), &value, &err), 0);
            cr_expect_eq(value, (int64_t)i + 1);
            cr_assert_eq(
                wire_int(&wire, names[j], wire_range(0, 9), &value, &err), 0);
            cr_expect_eq(value, (int64_t)j + 1);
            cr_expect_not(wire_has(&wire, "e"));
        }
    }
}

/* What is written is read again, exactly. */
Test(wire, headers_survive_the_way, .fini = tear_down)
{
    static const int64_t numbers[] = { 0,
                                       -1,
                                       4711,
                                       1800000000000,
                                       999999999999999,
                                       1000000000000001,
                                       4503599627370497,
                                       WIRE_INT_MAX - 1,
                                       WIRE_INT_MAX,
                                       -WIRE_INT_MAX };
    cJSON *head = wire_new("test"), *list;
    struct buf text = { 0 };
    const char *str;
    int64_t value;
    char name[16];

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        (void)snprintf(name, sizeof(name), "n%zu", i);
        wire_add_int(head, name, numbers[i]);
    }
    wire_add_str(head, "none", NULL);
    wire_add_str(head, "odd", "a \"quote\" \\ \n \x01 \u00fc \U0001f600");
    wire_add_str(head, "cut", "ab\xf0\x9f\x98");
    wire_add_str(head, "bad", "\xff\xc0\x80z");
    wire_add_slice(head, "slice", (struct slice){ "slices", 5 });
    wire_add_bool(head, "bool", true);
    wire_add_double(head, "double", 0.25);
    wire_add_null(head, "null");
    list = wire_add_array(head, "list");
    wire_add_triple(list, 1, 2, 3);
    wire_add_pair(list, 4, 5);
    wire_add_int(wire_add_object(head, "object"), "in", 6);
    wire_print(head, &text);
    cr_assert_eq(parse(text.data), 0, "%s: %s", text.data, err.msg);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        (void)snprintf(name, sizeof(name), "n%zu", i);
        cr_assert_eq(wire_int(&wire, name,
                              wire_range(-WIRE_INT_MAX, WIRE_INT_MAX), &value,
                              &err),
                     0);
        cr_expect_eq(value, numbers[i], "%lld", (long long)value);
    }
    cr_assert_eq(wire_str(&wire, "odd", 99, NULL, &str, &err), 0);
    cr_expect_str_eq(str, "a \"quote\" \\ \n \x01 \u00fc \U0001f600");
    cr_assert_eq(wire_str(&wire, "cut", 99, NULL, &str, &err), 0);
    cr_expect_str_eq(str, "ab\ufffd\ufffd\ufffd");
    cr_assert_eq(wire_str(&wire, "bad", 99, NULL, &str, &err), 0);
    cr_expect_str_eq(str, "\ufffd\ufffd\ufffdz");
    cr_assert_eq(wire_str(&wire, "slice", 99, NULL, &str, &err), 0);
    cr_expect_str_eq(str, "slice");
    cr_assert_eq(wire_str(&wire, "none", 99, NULL, &str, &err), 0);
    cr_expect_str_eq(str, "");
    cr_expect(cJSON_IsNull(wire_get(&wire, "null")));
    cr_expect_eq(wire_bytes(wire_get(&wire, "list")),
                 strlen("[[1,2,3],[4,5]]"));
    buf_fini(&text);
}

/* Asks both for a member in each way, and expects the same of them. */
static void
expect_same(const struct wire *tree, const struct wire *plain, const char *name)
{
    struct err errs[2] = { 0 };
    const struct wire *wires[2] = { tree, plain };
    const char *texts[2] = { "-", "-" };
    int64_t numbers[2] = { -7, -7 };
    bool bools[2] = { false, false };
    int rcs[2];

    for (int i = 0; i < 2; i++)
        rcs[i] = wire_int(wires[i], name, wire_range(-5, WIRE_INT_MAX),
                          &numbers[i], &errs[i]);
    cr_expect_eq(rcs[0], rcs[1], "%s as an integer: %d, %d", name, rcs[0],
                 rcs[1]);
    cr_expect_eq(numbers[0], numbers[1], "%s", name);
    cr_expect_str_eq(errs[0].msg, errs[1].msg);
    for (int i = 0; i < 2; i++)
        rcs[i] = wire_str(wires[i], name, 12, NULL, &texts[i], &errs[i]);
    cr_expect_eq(rcs[0], rcs[1], "%s as a string", name);
    cr_expect_str_eq(texts[0], texts[1], "%s", name);
    cr_expect_str_eq(errs[0].msg, errs[1].msg);
    for (int i = 0; i < 2; i++)
        rcs[i] = wire_bool(wires[i], name, true, &bools[i], &errs[i]);
    cr_expect_eq(rcs[0], rcs[1], "%s as a truth", name);
    cr_expect_eq(bools[0], bools[1], "%s", name);
    cr_expect_str_eq(errs[0].msg, errs[1].msg);
    cr_expect_eq(wire_has(tree, name), wire_has(plain, name), "%s", name);
    cr_expect_eq(!wire_get(tree, name), !wire_get(plain, name), "%s", name);
}

/* A name is written with an escape, or as it is. */
Test(wire, a_header_without_a_tree_says_the_same, .fini = tear_down)
{
#define MEMBERS(name)                                                   \
    " {\"verb\":\"v\",\"zero\":0,\"minus\":-4,\"less\":-6,\"exp\":1e3," \
    "\"part\":1.5,\"whole\":2.0,\"huge\":9007199254740993,"             \
    "\"most\":9007199254740992,\"far\":1e999,"                          \
    "\"string\":\"a\\\"b\\u00e4\\ud83d\\ude00\",\"empty\":\"\","        \
    "\"long\":\"thirteen of it\",\"" name "\":\"x\",\"yes\":true,"      \
    "\"no\":false,\"nothing\":null,\"list\":[[1,2]],\"more\":{\"yes\":1}}"
    static const char *const texts[] = { MEMBERS("name"),
                                         MEMBERS("n\\u0061me") };
    static const char *const names[] = {
        "verb", "zero", "minus",   "less",   "exp",   "part",   "whole",
        "huge", "most", "far",     "string", "empty", "long",   "name",
        "yes",  "no",   "nothing", "list",   "more",  "absent", ""
    };
    struct wire plain;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        cr_assert_eq(parse(texts[i]), 0);
        cr_assert_eq(
            wire_read(&plain, slice_of(texts[i]), slice_of("body"), &err), 0);
        cr_expect_null(plain.head);
        cr_expect(slice_is(plain.body, "body"));
        for (size_t j = 0; j < sizeof(names) / sizeof(names[0]); j++)
            expect_same(&wire, &plain, names[j]);
        wire_fini(&plain);
    }
#undef MEMBERS
}

Test(wire, strings_of_a_header_do_not_overwrite_each_other)
{
    const char *one, *two;
    struct wire plain;

    cr_assert_eq(wire_read(&plain,
                           slice_of("{\"verb\":\"v\",\"one\":\"1\\n\","
                                    "\"two\":\"2\"}"),
                           (struct slice){ 0 }, &err),
                 0);
    cr_assert_eq(wire_str(&plain, "one", 9, NULL, &one, &err), 0);
    cr_assert_eq(wire_str(&plain, "two", 9, NULL, &two, &err), 0);
    cr_expect_str_eq(one, "1\n");
    cr_expect_str_eq(two, "2");
    cr_expect_str_eq(wire_verb(&plain), "v");
    wire_fini(&plain);
    wire_fini(&plain);
}

Test(wire, what_is_written_at_once_is_what_a_tree_prints)
{
    static const int64_t numbers[] = {
        0, 7, -1, -10, 1234567890123, WIRE_INT_MAX, -WIRE_INT_MAX
    };
    static const char *const texts[] = { "", "a \"b\" \\ \n\x01", "d\u00e4nce",
                                         "cut \xc3" };
    cJSON *head = wire_new("v");
    struct buf tree = { 0 }, plain = { 0 };

    wire_begin(&plain, "v");
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        wire_add_int(head, "n", numbers[i]);
        wire_put_int(&plain, "n", numbers[i]);
    }
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        wire_add_str(head, "s", texts[i]);
        wire_put_str(&plain, "s", texts[i]);
    }
    wire_print(head, &tree);
    wire_end(&plain);
    cr_expect_str_eq(plain.data, tree.data);
    buf_fini(&tree);
    buf_fini(&plain);
}
