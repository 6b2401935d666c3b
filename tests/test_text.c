/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <unicode/ustring.h>
static struct text_rules *
open_rules(void)
{
    struct text_rules *rules = text_rules_new(NULL);

    cr_assert_not_null(rules);
    return rules;
}

/* Puts what a walk gives into `out`, each piece with a bar behind it. */
static void
join_words(struct text_rules *rules, struct slice text, struct buf *out)
{
    struct slice word;

    buf_reset(out);
    buf_reserve(out, 0);
    text_words_begin(rules, text);
    while (text_word_next(rules, &word)) {
        cr_assert(word.data >= text.data);
        cr_assert(word.data + word.bytes <= text.data + text.bytes);
        cr_assert(text_is_utf8(word));
        buf_add_slice(out, word);
        buf_add_char(out, '|');
    }
}

static void
join_sentences(struct text_rules *rules, struct slice text, struct buf *out)
{
    struct slice sentence;

    buf_reset(out);
    buf_reserve(out, 0);
    text_sentences_begin(rules, text);
    while (text_sentence_next(rules, &sentence)) {
        cr_assert_gt(sentence.bytes, 0);
        buf_add_slice(out, sentence);
        buf_add_char(out, '|');
    }
}

Test(text, words_are_found_in_any_script)
{
    struct text_rules *rules = open_rules();
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "", "" },
        { " \n\t ", "" },
        { "-- ... !?", "" },
        { "____ a_b", "a_b|" },
        { "Hello, world!", "Hello|world|" },
        { "don't l'avocat 3.5 v2", "don't|l'avocat|3.5|v2|" },
        { "Привет, мир", "Привет|мир|" },
        { "北京是中国的首都", "北京|是|中国|的|首都|" },
        { "東京は日本の首都です。", "東京|は|日本|の|首都|です|" },
        { "ภาษาไทยง่าย", "ภาษา|ไทย|ง่าย|" },
        { "مرحبا، بالعالم", "مرحبا|بالعالم|" },
        { "😀 ok 🎉", "ok|" },
        { "ab\xFF\xFE"
          "cd",
          "ab|cd|" },
        { "caf\xC3", "caf|" },
    };
    struct buf out = { 0 };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        join_words(rules, slice_of(cases[i].text), &out);
        cr_expect(slice_is(buf_slice(&out), cases[i].want),
                  "%s: got %s, want %s", cases[i].text, out.data,
                  cases[i].want);
    }
    buf_fini(&out);
    text_rules_free(rules);
}

Test(text, sentences_are_found_in_any_script)
{
    struct text_rules *rules = open_rules();
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "", "" },
        { " \n ", "" },
        { "One. Two! Three?", "One.|Two!|Three?|" },
        { "It cost 3.5 million. He paid.", "It cost 3.5 million.|He paid.|" },
        { "Line one\nline two", "Line one|line two|" },
        { "Раз. Два.", "Раз.|Два.|" },
        { "他来了。我走了！", "他来了。|我走了！|" },
        { "行きました。帰った？", "行きました。|帰った？|" },
        { "كيف الحال؟ بخير.", "كيف الحال؟|بخير.|" },
        { "bad \xFF. Good.", "bad \xFF.|Good.|" },
    };
    struct buf out = { 0 };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        join_sentences(rules, slice_of(cases[i].text), &out);
        cr_expect(slice_is(buf_slice(&out), cases[i].want),
                  "%s: got %s, want %s", cases[i].text, out.data,
                  cases[i].want);
    }
    buf_fini(&out);
    text_rules_free(rules);
}

Test(text, words_may_be_walked_inside_a_walk_over_sentences)
{
    struct text_rules *rules = open_rules();
    struct slice sentence, word;
    size_t sentences = 0, words = 0;

    text_sentences_begin(rules, slice_of("One two. Three four. Five."));
    while (text_sentence_next(rules, &sentence)) {
        sentences++;
        text_words_begin(rules, sentence);
        while (text_word_next(rules, &word))
            words++;
    }
    cr_assert_eq(sentences, 3);
    cr_assert_eq(words, 5);
    cr_assert_not(text_word_next(rules, &word));
    text_rules_free(rules);
}

Test(text, folding_makes_cases_equal)
{
    struct text_rules *rules = open_rules();
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "", "" },
        { "HeLLo", "hello" },
        { "STRASSE", "strasse" },
        { "Straße", "strasse" },
        { "ПРИВЕТ", "привет" },
        { "ΟΔΟΣ", "οδοσ" },
        { "οδος", "οδοσ" },
        { "北京", "北京" },
        /* Two bytes become six. */
        { "\xCE\x90\xCE\x90",
          "\xCE\xB9\xCC\x88\xCC\x81\xCE\xB9\xCC\x88\xCC\x81" },
        { "A\xFF", "a\xEF\xBF\xBD" },
    };
    struct buf out = { 0 };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        text_fold(rules, slice_of(cases[i].text), &out);
        cr_expect(slice_is(buf_slice(&out), cases[i].want),
                  "%s: got %s, want %s", cases[i].text, out.data,
                  cases[i].want);
    }
    buf_fini(&out);
    text_rules_free(rules);
}

Test(text, utf8_is_told_from_what_is_none)
{
    static const struct {
        const char *text;
        bool want;
        size_t count;
    } cases[] = {
        { "", true, 0 },
        { "abc", true, 3 },
        { "Müller 北京 😀", true, 11 },
        { "\xF4\x8F\xBF\xBF", true, 1 },  /* U+10FFFF */
        { "\xF4\x90\x80\x80", false, 4 }, /* above it */
        { "\xED\xA0\x80", false, 3 },     /* a surrogate */
        { "\xC0\x80", false, 2 },         /* overlong */
        { "\xE0\x80\x80", false, 3 },     /* overlong */
        { "\xE2\x82", false, 1 },         /* cut off */
        { "\xF0\x9F\x98x", false, 2 },    /* cut off, then more */
        { "\x80", false, 1 },
        { "\xFF\xFF", false, 2 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct slice text = slice_of(cases[i].text);

        cr_expect_eq(text_is_utf8(text), cases[i].want, "case %zu", i);
        cr_expect_eq(text_count(text), cases[i].count, "case %zu: got %zu", i,
                     text_count(text));
    }
}

/* Random bytes, with lead and trail bytes likely. */
static struct slice
random_bytes(char *bytes, size_t max)
{
    static const unsigned char likely[] = { 0x20, 0x41, 0x80, 0x8F, 0x90,
                                            0x9F, 0xA0, 0xBF, 0xC2, 0xE0,
                                            0xE4, 0xED, 0xF0, 0xF4, 0xF5 };
    size_t count = (size_t)rand() % max;

    for (size_t i = 0; i < count; i++)
        bytes[i] = (char)likely[(size_t)rand() % sizeof(likely)];
    return (struct slice){ bytes, count };
}

Test(text, code_points_agree_with_the_library)
{
    char bytes[24];

    srand(1);
    for (int round = 0; round < 20000; round++) {
        struct slice text = random_bytes(bytes, sizeof(bytes)), rest = text;
        UChar units[64];
        UChar32 want[64];
        int32_t count = 0, at = 0, c, last = TEXT_END;
        UErrorCode status = U_ZERO_ERROR;

        u_strFromUTF8WithSub(units, 64, &count, text.data, (int32_t)text.bytes,
                             0xFFFD, NULL, &status);
        u_strToUTF32(want, 64, &count, units, count, &status);
        cr_assert(U_SUCCESS(status));
        for (; (c = text_next(&rest)) != TEXT_END; at++) {
            cr_assert_lt(at, count);
            cr_assert_eq(c, want[at], "round %d: got %x, want %x", round,
                         (unsigned)c, (unsigned)want[at]);
            last = c;
        }
        cr_assert_eq(at, count);
        cr_assert_eq(text_last(text), last, "round %d", round);
    }
}

Test(text, code_points_survive_a_round_trip)
{
    struct buf buf = { 0 };

    for (int32_t c = 0; c <= 0x10FFFF; c++) {
        if (c >= 0xD800 && c <= 0xDFFF)
            continue;
        buf_reset(&buf);
        text_add(&buf, c);
        cr_assert(text_is_utf8(buf_slice(&buf)));
        cr_assert_eq(text_first(buf_slice(&buf)), c);
        cr_assert_eq(text_last(buf_slice(&buf)), c);
    }
    buf_fini(&buf);
}

Test(text, cuts_split_no_code_point)
{
    struct slice text = slice_of("aé北😀z"); /* 1, 2, 3, 4 and 1 bytes */
    static const size_t want[] = { 0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11 };

    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        struct slice cut = text_cut(text, i);

        cr_expect_eq(cut.bytes, want[i], "%zu: got %zu", i, cut.bytes);
    }
    cr_assert_eq(text_cut(slice_of("\x80\x80\x80\x80\x80"), 3).bytes, 3);
    cr_assert_eq(text_trim(slice_of(" \t\xC2\xA0x y\n")).bytes, 3);
    cr_assert_eq(text_trim(slice_of(" \n ")).bytes, 0);
    cr_assert_eq(text_trim(slice_of(" \xFF ")).bytes, 1);
}

Test(text, closed_sentences_are_known_by_their_end)
{
    static const struct {
        const char *text;
        bool want;
    } cases[] = {
        { "", false },          { "End.", true },
        { "End.)", true },      { "“End!”", true },
        { "What? ", true },     { "終わり。", true },
        { "好！」", true },     { "كيف؟", true },
        { "अंत।", true },        { "as follows:", false },
        { "a heading", false }, { "…)", false },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_expect_eq(text_is_closed(slice_of(cases[i].text)), cases[i].want,
                     "%s", cases[i].text);
    }
}

Test(text, no_bytes_stop_a_walk)
{
    struct text_rules *rules = open_rules();
    char bytes[200];
    struct buf out = { 0 };

    srand(2);
    for (int round = 0; round < 3000; round++) {
        struct slice text = random_bytes(bytes, sizeof(bytes));

        join_words(rules, text, &out);
        join_sentences(rules, text, &out);
        text_fold(rules, text, &out);
        cr_assert(text_is_utf8(buf_slice(&out)));
    }
    buf_fini(&out);
    text_rules_free(rules);
}
