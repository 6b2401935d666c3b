/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* A string literal and its length, for texts with a NUL inside. */
#define TEXT(literal) literal, sizeof(literal) - 1

/* Reads a copy without a byte behind it, so that a sanitizer sees a read
 * beyond the end; the caller frees it. */
static char *
parse_copy(struct json_doc *doc, const char *text, size_t bytes,
           enum json_mode mode, struct err *err)
{
    char *copy = malloc(bytes ? bytes : 1);
    int rc;

    cr_assert_not_null(copy);
    memcpy(copy, text, bytes);
    *err = (struct err){ 0 };
    rc = json_parse(doc, copy, bytes, mode, err);
    cr_assert_eq(rc, err->code, "%.*s: returned %d, said %d", (int)bytes, text,
                 rc, err->code);
    if (rc < 0)
        cr_assert_eq(doc->count, 0, "%.*s: tokens left", (int)bytes, text);
    return copy;
}

static void
parse(struct json_doc *doc, const char *text)
{
    struct err err = { 0 };

    cr_assert_eq(json_parse(doc, text, strlen(text), JSON_REPLY, &err), 0,
                 "%s: %s", text, err.msg);
}

struct refusal {
    const char *text;
    size_t bytes;
    const char *reason;
};

static void
check_refusal(const struct refusal *want, enum json_mode mode)
{
    struct json_doc doc = { 0 };
    struct err err;
    char *copy = parse_copy(&doc, want->text, want->bytes, mode, &err);

    cr_expect_eq(err.code, E_INVALID, "%.*s: code %d", (int)want->bytes,
                 want->text, err.code);
    cr_expect_str_eq(err.msg, want->reason, "%.*s:\n got %s\nwant %s",
                     (int)want->bytes, want->text, err.msg, want->reason);
    json_fini(&doc);
    free(copy);
}

static const struct refusal both_refuse[] = {
    { TEXT(""), "empty" },
    { TEXT(" \t\r\n"), "empty" },
    { TEXT("\xef\xbb\xbf{}"), "byte 1: a byte-order mark is no JSON" },
    { TEXT("\v1"), "byte 1: expected a value" },
    { TEXT("\f1"), "byte 1: expected a value" },
    { TEXT("\xc2\xa0"
           "1"),
      "byte 1: expected a value" },
    { TEXT("\0"), "byte 1: expected a value" },
    { TEXT("1\0"), "byte 2: nothing may follow the value" },
    { TEXT("{\"a\":1} xyz"), "byte 9: nothing may follow the value" },
    { TEXT("{\"a\":1}{\"b\":2}"), "byte 8: nothing may follow the value" },
    { TEXT("{}}"), "byte 3: nothing may follow the value" },
    { TEXT("// note\n1"), "byte 1: expected a value" },
    { TEXT("'a'"), "byte 1: expected a value" },
    /* Words. */
    { TEXT("nul"), "byte 1: expected null" },
    { TEXT("nan"), "byte 1: expected null" },
    { TEXT("tRue"), "byte 1: expected true" },
    { TEXT("[falsy]"), "byte 2: expected false" },
    { TEXT("NaN"), "byte 1: expected a value" },
    { TEXT("Infinity"), "byte 1: expected a value" },
    { TEXT("-Infinity"), "byte 2: expected a digit" },
    { TEXT("nulls"), "byte 5: nothing may follow the value" },
    /* Numbers. */
    { TEXT("007"), "byte 1: a number with a leading zero" },
    { TEXT("[-00]"), "byte 3: a number with a leading zero" },
    { TEXT("1."), "byte 3: expected a digit, but the text ends" },
    { TEXT("[1.]"), "byte 4: expected a digit" },
    { TEXT("-"), "byte 2: expected a digit, but the text ends" },
    { TEXT("+1"), "byte 1: expected a value" },
    { TEXT(".5"), "byte 1: expected a value" },
    { TEXT("1e"), "byte 3: expected a digit, but the text ends" },
    { TEXT("[1e+]"), "byte 5: expected a digit" },
    { TEXT("1.5.5"), "byte 4: nothing may follow the value" },
    { TEXT("0x10"), "byte 2: nothing may follow the value" },
    { TEXT("[1 2]"), "byte 4: expected ',' or ']'" },
    /* Arrays and objects. */
    { TEXT("["), "byte 2: expected a value, but the text ends" },
    { TEXT("[1"), "byte 3: expected ',' or ']', but the text ends" },
    { TEXT("[1,]"), "byte 4: expected a value" },
    { TEXT("[,1]"), "byte 2: expected a value" },
    { TEXT("[1}"), "byte 3: expected ',' or ']'" },
    { TEXT("]"), "byte 1: expected a value" },
    { TEXT("{"), "byte 2: expected a key, but the text ends" },
    { TEXT("{a:1}"), "byte 2: expected a key" },
    { TEXT("{1:1}"), "byte 2: expected a key" },
    { TEXT("{\"a\"}"), "byte 5: expected ':'" },
    { TEXT("{\"a\""), "byte 5: expected ':', but the text ends" },
    { TEXT("{\"a\":}"), "byte 6: expected a value" },
    { TEXT("{\"a\":1,}"), "byte 8: expected a key" },
    { TEXT("{\"a\":1]"), "byte 7: expected ',' or '}'" },
    { TEXT("{\"a\":[1,2] \"b\""), "byte 12: expected ',' or '}'" },
    { TEXT("{\"a\":1"), "byte 7: expected ',' or '}', but the text ends" },
    /* Strings. */
    { TEXT("\""), "byte 2: the text ends in a string" },
    { TEXT("\"12345678"), "byte 10: the text ends in a string" },
    { TEXT("\"\\ud83d\\ude00"), "byte 14: the text ends in a string" },
    { TEXT("\"a\\\""), "byte 5: the text ends in a string" },
    { TEXT("\"a\\"), "byte 3: unknown escape" },
    { TEXT("\"abc\tdef\""), "byte 5: control character in a string" },
    { TEXT("\"12345678\n\""), "byte 10: control character in a string" },
    { TEXT("\"x\0secret\""), "byte 3: control character in a string" },
    { TEXT("\"\x1f\""), "byte 2: control character in a string" },
    { TEXT("\"\\x41\""), "byte 2: unknown escape" },
    { TEXT("\"\\'\""), "byte 2: unknown escape" },
    { TEXT("\"\\\0\""), "byte 2: unknown escape" },
    { TEXT("\"\\U0041\""), "byte 2: unknown escape" },
    { TEXT("\"\\uZZZZ\""), "byte 2: \\u needs four hexadecimal digits" },
    { TEXT("\"a\\u12G4\""), "byte 3: \\u needs four hexadecimal digits" },
    { TEXT("\"\\u004"), "byte 2: \\u needs four hexadecimal digits" },
    { TEXT("\"\\u\""), "byte 2: \\u needs four hexadecimal digits" },
    /* UTF-8. */
    { TEXT("{\"key\":\"\xff\"}"), "byte 9: invalid UTF-8" },
    { TEXT("{\"\x80\":1}"), "byte 3: invalid UTF-8" },
    { TEXT("\"\xc0\xaf\""), "byte 2: invalid UTF-8" },
    { TEXT("\"\xc1\xbf\""), "byte 2: invalid UTF-8" },
    { TEXT("\"\xe0\x9f\xbf\""), "byte 2: invalid UTF-8" },
    { TEXT("\"\xed\xa0\x80\""), "byte 2: invalid UTF-8" },
    { TEXT("\"\xed\xbf\xbf\""), "byte 2: invalid UTF-8" },
    { TEXT("\"\xf0\x8f\xbf\xbf\""), "byte 2: invalid UTF-8" },
    { TEXT("\"\xf4\x90\x80\x80\""), "byte 2: invalid UTF-8" },
    { TEXT("\"\xf5\x80\x80\x80\""), "byte 2: invalid UTF-8" },
    { TEXT("\"\xc3\xa9\xc3\""), "byte 4: invalid UTF-8" },
    { TEXT("\"\xe2\x82"), "byte 2: invalid UTF-8" },
    { TEXT("\"\xe2\x82\xac\xe2\x28\xa1\""), "byte 5: invalid UTF-8" },
};

Test(json, refuses_what_is_no_json_and_says_where)
{
    for (size_t i = 0; i < COUNT(both_refuse); i++) {
        check_refusal(&both_refuse[i], JSON_REPLY);
        check_refusal(&both_refuse[i], JSON_INPUT);
    }
}

/* Strings are read by runs, and by whole words, where they can be. */
Test(json, every_byte_counts_the_same_wherever_it_stands)
{
    enum { INNER = 104 };
    struct json_doc doc = { 0 };
    struct err err;

    for (int byte = 0; byte < 256; byte++) {
        bool is_plain = byte >= 0x20 && byte < 0x80 && byte != '"';

        for (size_t at = 1; at <= INNER; at++) {
            char text[INNER + 2], want[64] = "", *copy;

            memset(text, 'n', sizeof(text)); /* behind a backslash: LF */
            text[0] = text[sizeof(text) - 1] = '"';
            text[at] = (char)byte;
            if (byte == '\\' && at == INNER)
                text[INNER - 1] = '\\';
            if (byte == '"') {
                snprintf(want, sizeof(want),
                         "byte %zu: nothing may follow the value", at + 2);
            } else if (!is_plain) {
                snprintf(want, sizeof(want), "byte %zu: %s", at + 1,
                         byte < 0x20 ? "control character in a string"
                                     : "invalid UTF-8");
            }
            copy = parse_copy(&doc, text, sizeof(text), JSON_INPUT, &err);
            cr_expect_str_eq(err.msg, want, "byte 0x%02x at %zu: got %s", byte,
                             at, err.msg);
            if (!*want)
                cr_expect_eq(doc.tokens[0].is_plain, byte != '\\');
            free(copy);
        }
    }
    json_fini(&doc);
}

/* Characters are skipped by words where they can be, too: what is good, and where
 * it is not, is what json_utf8() says. */
Test(json, every_sequence_of_bytes_is_judged_as_a_character_is)
{
    static const unsigned char thirds[] = { 'z',  0x7f, 0x80, 0x8f, 0x90,
                                            0x9f, 0xa0, 0xbf, 0xc0, 0xe6 };
    static const unsigned char fourths[] = { 'z', 0x80, 0xbf };
    struct json_doc doc = { 0 };
    size_t good = 0;

    for (unsigned i = 0; i < 128 * 129 * COUNT(thirds) * COUNT(fourths); i++) {
        unsigned char text[] = { '"',
                                 (unsigned char)(0x80 + i % 128),
                                 (unsigned char)(0x7f + i / 128 % 129),
                                 thirds[i / 128 / 129 % COUNT(thirds)],
                                 fourths[i / 128 / 129 / COUNT(thirds)],
                                 'z',
                                 'z',
                                 'z',
                                 '"' };
        const char *copy = (const char *)text;
        size_t at = 1, bytes = 1;
        char want[32] = "";
        struct err err = { 0 };

        for (; at < sizeof(text) - 1; at += bytes) {
            bytes = json_utf8(copy + at, sizeof(text) - at);
            if (bytes == 0)
                break;
        }
        if (bytes == 0)
            (void)snprintf(want, sizeof(want), "byte %zu: invalid UTF-8",
                           at + 1);
        good += bytes > 0;
        cr_assert_eq(json_parse(&doc, copy, sizeof(text), JSON_INPUT, &err),
                     bytes == 0 ? E_INVALID : 0, "%02x %02x %02x %02x", text[1],
                     text[2], text[3], text[4]);
        cr_assert_str_eq(err.msg, want);
    }
    cr_expect_gt(good, 10000);
    json_fini(&doc);
}

static const struct refusal input_refuses[] = {
    { TEXT("\"x\\u0000secret\""), "byte 3: NUL escape (\\u0000)" },
    { TEXT("{\"a\\u0000\":1}"), "byte 4: NUL escape (\\u0000)" },
    { TEXT("\"\\ud83d\""), "byte 2: lone surrogate escape" },
    { TEXT("\"\\ude00\""), "byte 2: lone surrogate escape" },
    { TEXT("\"\\ude00\\ude00\""), "byte 2: lone surrogate escape" },
    { TEXT("\"\\ud83dxxxxxxx\""), "byte 2: lone surrogate escape" },
    { TEXT("\"\\ud83d\\n\\n\\n\""), "byte 2: lone surrogate escape" },
    { TEXT("\"\\ud83d\\u0041\""), "byte 2: lone surrogate escape" },
    { TEXT("\"\\ud83d\\ud83d\\ude00\""), "byte 2: lone surrogate escape" },
    { TEXT("\"\\ud83d\\ude00\\ude00\""), "byte 14: lone surrogate escape" },
    { TEXT("{\"id\":1,   \"id\":2}"), "byte 12: the key \"id\" stands twice" },
    { TEXT("{\"id\":1,\"\\u0069d\":2}"),
      "byte 9: the key \"\\u0069d\" stands twice" },
    { TEXT("[{\"a/b\":{},\"a\\/b\":[]}]"),
      "byte 12: the key \"a\\/b\" stands twice" },
    { TEXT("{\"\xc3\xa9\":1,\"\\u00E9\":1}"),
      "byte 9: the key \"\\u00E9\" stands twice" },
    { TEXT("{\"\":1,\"b\":2,\"\":3}"), "byte 13: the key \"\" stands twice" },
    { TEXT("{\"a\":1,\"b\":{\"c\":1,\"c\":2},\"a\":2}"),
      "byte 19: the key \"c\" stands twice" },
    /* The first that was there before, with names decoded or not. */
    { TEXT("{\"b\":1,\"a\":1,\"a\":2,\"b\":2,\"a\":3}"),
      "byte 14: the key \"a\" stands twice" },
    { TEXT("{\"b\":1,\"a\":1,\"\\u0061\":2,\"b\":2,\"a\":3}"),
      "byte 14: the key \"\\u0061\" stands twice" },
};

Test(json, input_refuses_what_no_draft_may_hold)
{
    for (size_t i = 0; i < COUNT(input_refuses); i++) {
        const struct refusal *want = &input_refuses[i];
        struct json_doc doc = { 0 };
        struct err err;

        check_refusal(want, JSON_INPUT);
        free(parse_copy(&doc, want->text, want->bytes, JSON_REPLY, &err));
        cr_expect_eq(err.code, 0, "a reply may be %s: %s", want->text, err.msg);
        json_fini(&doc);
    }
}

static void
nest(struct buf *text, size_t depth, const char *open, const char *close)
{
    buf_reset(text);
    for (size_t i = 0; i < depth; i++)
        buf_add_str(text, open);
    buf_add_char(text, '1');
    for (size_t i = 0; i < depth; i++)
        buf_add_str(text, close);
}

Test(json, depth_64_is_read_and_65_is_refused)
{
    struct json_doc doc = { 0 };
    struct buf text = { 0 }, out = { 0 };
    struct err err;

    nest(&text, 64, "[", "]");
    cr_expect_eq(json_parse(&doc, text.data, text.bytes, JSON_INPUT, &err), 0);
    json_canonical(&doc, 0, &out);
    cr_expect(slice_equal(buf_slice(&out), buf_slice(&text)));
    nest(&text, 65, "[", "]");
    cr_expect_eq(json_parse(&doc, text.data, text.bytes, JSON_REPLY, &err),
                 E_INVALID);
    cr_expect_str_eq(err.msg, "byte 65: deeper than 64");
    nest(&text, 64, "{\"a\":", "}");
    cr_expect_eq(json_parse(&doc, text.data, text.bytes, JSON_REPLY, &err), 0);
    nest(&text, 32, "[{\"a\":", "}]");
    cr_expect_eq(json_parse(&doc, text.data, text.bytes, JSON_REPLY, &err), 0);
    nest(&text, 33, "[{\"a\":", "}]");
    cr_expect_eq(json_parse(&doc, text.data, text.bytes, JSON_REPLY, &err),
                 E_INVALID);
    nest(&text, 1000000, "[", "]");
    cr_expect_eq(json_parse(&doc, text.data, text.bytes, JSON_REPLY, &err),
                 E_INVALID);
    json_fini(&doc);
    buf_fini(&text);
    buf_fini(&out);
}

Test(json, token_max_tokens_are_read_and_one_more_is_refused)
{
    struct json_doc doc = { 0 };
    struct buf text = { 0 };
    struct err err;

    buf_add_char(&text, '[');
    for (size_t i = 1; i < JSON_TOKEN_MAX - 1; i++)
        buf_add_str(&text, "1,");
    buf_add_str(&text, "1]");
    cr_expect_eq(json_parse(&doc, text.data, text.bytes, JSON_REPLY, &err), 0);
    cr_expect_eq(doc.count, JSON_TOKEN_MAX);
    text.bytes--;
    buf_add_str(&text, ",1]");
    cr_expect_eq(json_parse(&doc, text.data, text.bytes, JSON_REPLY, &err),
                 E_TOOBIG);
    cr_expect_str_eq(err.msg, "byte 524288: more than 262144 tokens");
    cr_expect_eq(doc.count, 0);
    json_fini(&doc);
    buf_fini(&text);
}

Test(json, four_gib_are_refused_unread)
{
    struct json_doc doc = { 0 };
    struct err err;

    cr_expect_eq(
        json_parse(&doc, "1", (size_t)UINT32_MAX + 1, JSON_REPLY, &err),
        E_TOOBIG);
    cr_expect_eq(json_parse(&doc, NULL, 0, JSON_REPLY, NULL), E_INVALID);
    json_fini(&doc);
}

/* Many keys are sorted, few are compared each with each: both around the
 * border between the two, and with one key twice at every place. */
Test(json, finds_a_key_twice_among_any_number)
{
    struct json_doc doc = { 0 };
    struct buf text = { 0 };
    struct err err;
    char want[64];

    for (int count = 2; count <= 40; count++) {
        for (int twice = -1; twice < count - 1; twice++) {
            size_t start = 0;

            buf_reset(&text);
            for (int i = 0; i < count; i++) {
                start = text.bytes + 2;
                buf_addf(&text, "%c\"key%d\":[{}]", i ? ',' : '{',
                         i == count - 1 && twice >= 0 ? twice : i);
            }
            buf_add_char(&text, '}');
            err = (struct err){ 0 };
            cr_expect_eq(
                json_parse(&doc, text.data, text.bytes, JSON_INPUT, &err),
                twice < 0 ? 0 : E_INVALID, "%s", text.data);
            want[0] = '\0';
            if (twice >= 0) {
                snprintf(want, sizeof(want),
                         "byte %zu: the key \"key%d\" stands twice", start,
                         twice);
            }
            cr_expect_str_eq(err.msg, want, "got %s", err.msg);
        }
    }
    json_fini(&doc);
    buf_fini(&text);
}

Test(json, cuts_a_long_key_in_a_reason_at_a_character)
{
    struct json_doc doc = { 0 };
    struct buf text = { 0 }, want = { 0 };
    struct err err;

    buf_add_str(&want, "byte 75: the key \"ab");
    for (int twice = 0; twice < 2; twice++) {
        buf_add_str(&text, twice ? ",\"ab" : "{\"ab");
        for (int i = 0; i < 22; i++)
            buf_add_str(&text, "\xe2\x82\xac");
        buf_add_str(&text, "\":1");
    }
    for (int i = 0; i < 20; i++)
        buf_add_str(&want, "\xe2\x82\xac");
    buf_add_str(&want, "...\" stands twice");
    buf_add_str(&text, "}");
    cr_expect_eq(json_parse(&doc, text.data, text.bytes, JSON_INPUT, &err),
                 E_INVALID);
    cr_expect_str_eq(err.msg, want.data, "got %s", err.msg);
    json_fini(&doc);
    buf_fini(&text);
    buf_fini(&want);
}

/* Takes some 50 ms; comparing every key with every other would take half a
 * minute. The keys are of one length and begin alike. */
Test(json, many_keys_take_no_square_of_time, .timeout = 10)
{
    struct json_doc doc = { 0 };
    struct buf text = { 0 };
    struct err err = { 0 };

    for (int i = 0; i < 120000; i++) {
        buf_addf(&text, "%c\"%s%06d\":1", i ? ',' : '{',
                 i % 2 ? "\\u0061aaaaaaaaaaaaaaaaaaaaa"
                       : "bbbbbbbbbbbbbbbbbbbbbbbbbbb",
                 i);
    }
    buf_add_char(&text, '}');
    cr_expect_eq(json_parse(&doc, text.data, text.bytes, JSON_INPUT, &err), 0,
                 "%s", err.msg);
    cr_expect_eq(doc.count, 240001);
    json_fini(&doc);
    buf_fini(&text);
}

Test(json, tokens_are_walked_without_recursion)
{
    static const struct {
        enum json_type type;
        const char *raw;
        uint32_t next;
    } want[] = {
        { JSON_OBJECT, "{\"a\": [1, {}], \"b\": {\"c\": null}}", 9 },
        { JSON_STRING, "\"a\"", 5 },
        { JSON_ARRAY, "[1, {}]", 5 },
        { JSON_NUMBER, "1", 4 },
        { JSON_OBJECT, "{}", 5 },
        { JSON_STRING, "\"b\"", 9 },
        { JSON_OBJECT, "{\"c\": null}", 9 },
        { JSON_STRING, "\"c\"", 9 },
        { JSON_NULL, "null", 9 },
    };
    struct json_doc doc = { 0 };
    size_t keys = 0;

    parse(&doc, " {\"a\": [1, {}], \"b\": {\"c\": null}} ");
    cr_assert_eq(doc.count, COUNT(want));
    for (size_t i = 0; i < COUNT(want); i++) {
        cr_expect_eq(doc.tokens[i].type, want[i].type, "token %zu", i);
        cr_expect_eq(doc.tokens[i].next, want[i].next, "token %zu: got %u", i,
                     doc.tokens[i].next);
        cr_expect(slice_is(json_raw(&doc, i), want[i].raw), "token %zu", i);
    }
    for (size_t i = 1; i < doc.tokens[0].next; i = doc.tokens[i].next)
        keys++;
    cr_expect_eq(keys, 2);
    json_fini(&doc);
}

Test(json, a_document_is_reused_for_many_texts)
{
    struct json_doc doc = { 0 };
    const struct json_token *tokens;

    parse(&doc, "[1,2,3]");
    tokens = doc.tokens;
    cr_expect_eq(json_parse(&doc, "[", 1, JSON_REPLY, NULL), E_INVALID);
    cr_expect_eq(json_path(&doc, 0, ""), JSON_NONE);
    parse(&doc, "{\"a\":4}");
    cr_expect_eq(doc.tokens, tokens);
    cr_expect_eq(doc.count, 3);
    json_fini(&doc);
    cr_expect_null(doc.tokens);
    json_fini(&doc);
}

static const char reply[] =
    "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"caf\\u00e9 "
    "\\ud83d\\ude00\"}},[7,8]],\"Choices\":1,\"a\\u0000b\":2,\"\":{\"\":5},"
    "\"x\":\"\\ud800\",\"\\u0069d\":3,\"id\":4,\"a.b\":6}";

/* What was read must be right however it came to be: tokens lie in the text,
 * the canonical form reads again and is its own canonical form. */
static void
check_document(const struct json_doc *doc, enum json_mode mode)
{
    struct json_doc again = { 0 };
    struct buf out = { 0 }, twice = { 0 };
    struct err err;

    for (size_t i = 0; i < doc->count; i++) {
        cr_assert_gt(doc->tokens[i].next, i);
        cr_assert_leq(doc->tokens[i].next, doc->count);
        json_decode(doc, i, &out);
        json_write_string(&twice, out.data, out.bytes);
        cr_assert_eq(
            json_parse(&again, twice.data, twice.bytes, JSON_REPLY, &err), 0,
            "%s: %s", twice.data, err.msg);
        buf_reset(&twice);
        buf_reset(&out);
    }
    json_canonical(doc, 0, &out);
    cr_assert_eq(json_parse(&again, out.data, out.bytes, mode, &err), 0,
                 "%s: %s", out.data, err.msg);
    json_canonical(&again, 0, &twice);
    cr_assert(slice_equal(buf_slice(&out), buf_slice(&twice)), "%s", out.data);
    cr_assert_eq(again.count, doc->count);
    json_fini(&again);
    buf_fini(&out);
    buf_fini(&twice);
}

Test(json, random_changes_are_refused_or_read_but_never_crash)
{
    static const char alphabet[] =
        "{}[]:,\"\\u0dD8cCe+-. tfn\x80\xc3\xa9\xff\n";
    struct json_doc doc = { 0 };
    struct err err;
    size_t read_count = 0;
    char text[sizeof(reply)];

    srand(1);
    for (int step = 0; step < 60000; step++) {
        size_t bytes = sizeof(reply) - 1;
        enum json_mode mode = step % 2 ? JSON_INPUT : JSON_REPLY;
        char *copy;

        memcpy(text, reply, bytes);
        for (int change = rand() % 4; change >= 0; change--) {
            size_t at = (size_t)rand() % bytes;

            if (rand() % 4 == 0)
                memmove(text + at, text + at + 1, --bytes - at);
            else
                text[at] = alphabet[(size_t)rand() % (sizeof(alphabet) - 1)];
        }
        if (rand() % 8 == 0)
            bytes = (size_t)rand() % bytes;
        copy = parse_copy(&doc, text, bytes, mode, &err);
        if (err.code == 0) {
            check_document(&doc, mode);
            read_count++;
        }
        free(copy);
    }
    cr_expect_gt(read_count, 1000, "too few changes left JSON behind");
    cr_expect_lt(read_count, 50000, "too many changes left JSON behind");
    json_fini(&doc);
}
