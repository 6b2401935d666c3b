/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "tests/ragged_text.h"

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
        cr_assert(utf8_is_valid(word));
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

Test(text, trimming_takes_blanks_of_any_script)
{
    cr_assert_eq(text_trim(slice_of(" \t\xC2\xA0x y\n")).bytes, 3);
    cr_assert_eq(text_trim(slice_of(" \n ")).bytes, 0);
    cr_assert_eq(text_trim(slice_of(" \xFF ")).bytes, 1);
    cr_assert_eq(text_trim(slice_of("")).bytes, 0);
    cr_assert_eq(text_trim(slice_of("x")).bytes, 1);
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
        struct slice text = ragged_text(bytes, sizeof(bytes));

        join_words(rules, text, &out);
        join_sentences(rules, text, &out);
        text_fold(rules, text, &out);
        cr_assert(utf8_is_valid(buf_slice(&out)));
    }
    buf_fini(&out);
    text_rules_free(rules);
}
