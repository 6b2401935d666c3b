/* SPDX-License-Identifier: MIT */
#include "base/essence.h"
#include "base/utf8.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct text_rules *
open_rules(void)
{
    struct text_rules *rules = text_rules_new(NULL);

    cr_assert_not_null(rules);
    return rules;
}

Test(essence, keeps_what_a_text_is_about)
{
    static const struct {
        const char *text, *goal, *want;
    } cases[] = {
        { "", "", "[error]" },
        { "", "Translate into French", "Translate French [error]" },
        { " \n ... !? ", "", "[error]" },
        { "the of and is", "", "[error]" },
        { "It's what they'd said; don't!", "", "[error]" },
        { "The cat sat.", "Summarize the story",
          "cat sat Summarize story "
          "[error]" },
        /* The goal fills the rest, however weighty its words are. */
        { "ant bee cow eel emu", "Go to Berlin, Paris, Rome, Oslo 4711",
          "ant bee cow eel emu Berlin Paris Rome [error]" },
        /* Repeats count after folding; the first spelling stays. */
        { "Cat cat CAT STRASSE straße", "", "Cat STRASSE [error]" },
        { "cat", "Cat and dog", "cat dog [error]" },
        /* Names and numbers before filler; the order is the text's. */
        { "Yesterday somebody certainly mentioned that Anna Schmidt from Köln "
          "transferred 4711 euros through another bank to Peter",
          "",
          "Yesterday certainly Anna Schmidt Köln transferred 4711 Peter "
          "[error]" },
        /* What occurs often. */
        { "alpha bravo charlie delta echo foxtrot golf hotel pi pi pi", "",
          "alpha bravo charlie delta echo foxtrot hotel pi [error]" },
        { "Der Hund und die Katze sind in dem Haus", "",
          "Hund Katze Haus [error]" },
        { "C'est l'avocat qu'un juge n'a pas entendu", "",
          "l'avocat juge entendu [error]" },
        { "Москва является столицей России", "",
          "Москва является столицей России [error]" },
        { "北京是中国的首都", "", "北京 中国 首都 [error]" },
        { "東京は日本の首都です。", "", "東京 日本 首都 [error]" },
        { "ภาษาไทยเป็นภาษา", "", "ภาษา ไทย [error]" },
        { "القاهرة هي عاصمة مصر", "", "القاهرة عاصمة مصر [error]" },
        { "😀 party 🎉", "", "party [error]" },
        { "bad\xFFword \xC3", "", "bad word [error]" },
    };
    struct text_rules *rules = open_rules();
    struct buf out = { 0 };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        buf_reset(&out);
        essence_tokens(rules, slice_of(cases[i].text), slice_of(cases[i].goal),
                       "error", &out);
        cr_expect(slice_is(buf_slice(&out), cases[i].want),
                  "%s: got %s, want %s", cases[i].text, out.data,
                  cases[i].want);
    }
    buf_fini(&out);
    text_rules_free(rules);
}

static size_t
count_spaces(struct slice text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.bytes; i++)
        count += text.data[i] == ' ';
    return count;
}

Test(essence, is_at_most_eight_tokens_of_bounded_length)
{
    struct text_rules *rules = open_rules();
    struct buf text = { 0 }, out = { 0 };

    for (int i = 0; i < 20000; i++)
        buf_addf(&text, "word%d ", i);
    essence_tokens(rules, buf_slice(&text), slice_of("more"), "expired", &out);
    cr_assert_eq(count_spaces(buf_slice(&out)), ESSENCE_TOKENS_MAX, "%s",
                 out.data);

    buf_reset(&text);
    buf_reset(&out);
    for (int i = 0; i <= ESSENCE_TOKEN_BYTES_MAX; i++)
        buf_add_char(&text, 'a');
    buf_add_str(&text, " short");
    essence_tokens(rules, buf_slice(&text), slice_of(""), "expired", &out);
    cr_assert_str_eq(out.data, "short [expired]");
    buf_fini(&text);
    buf_fini(&out);
    text_rules_free(rules);
}

Test(essence, reads_no_more_than_its_limit)
{
    struct text_rules *rules = open_rules();
    struct buf text = { 0 }, out = { 0 };

    buf_add_str(&text, "start");
    while (text.bytes < ESSENCE_TEXT_BYTES_MAX)
        buf_add_str(&text, " é"); /* three bytes: the limit splits one */
    buf_add_str(&text, " unseen Unseen UNSEEN 12345");
    essence_tokens(rules, buf_slice(&text), slice_of(""), "expired", &out);
    cr_assert_str_eq(out.data, "start [expired]");
    buf_fini(&text);
    buf_fini(&out);
    text_rules_free(rules);
}

Test(essence, of_the_same_input_is_the_same)
{
    struct text_rules *rules = open_rules(), *others = open_rules();
    struct buf first = { 0 }, second = { 0 };
    char bytes[300];

    srand(3);
    for (int round = 0; round < 1000; round++) {
        struct slice text = { bytes, (size_t)rand() % sizeof(bytes) };

        for (size_t i = 0; i < text.bytes; i++)
            bytes[i] = (char)(rand() % 4 ? 'a' + rand() % 26 : rand() % 256);
        buf_reset(&first);
        buf_reset(&second);
        essence_tokens(rules, text, slice_of("goal"), "error", &first);
        essence_tokens(others, text, slice_of("goal"), "error", &second);
        cr_assert(slice_equal(buf_slice(&first), buf_slice(&second)));
        cr_assert(utf8_is_valid(buf_slice(&first)));
        cr_assert_leq(count_spaces(buf_slice(&first)), ESSENCE_TOKENS_MAX);
    }
    buf_fini(&first);
    buf_fini(&second);
    text_rules_free(rules);
    text_rules_free(others);
}

Test(essence_error, is_the_status_and_the_message_without_secrets)
{
    static const struct {
        const char *message, *want;
    } cases[] = {
        { "", "[auth_error]" },
        { " \n\t", "[auth_error]" },
        { "Wrong key", "[auth_error] Wrong key" },
        { "Wrong\nkey:\x1B[1m no\x7F", "[auth_error] Wrong key: [1m no" },
        { "Bad Bearer abc\n", "[auth_error] Bad Bearer ***" },
        { "Incorrect API key provided: sk-12345678.",
          "[auth_error] Incorrect API key provided: ***." },
        { "ung\xFCltig", "[auth_error] ung\xEF\xBF\xBDltig" },
        { "密钥无效", "[auth_error] 密钥无效" },
    };
    struct buf out = { 0 };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        buf_reset(&out);
        essence_error("auth_error", slice_of(cases[i].message), &out);
        cr_expect(slice_is(buf_slice(&out), cases[i].want),
                  "%s: got %s, want %s", cases[i].message, out.data,
                  cases[i].want);
    }
    buf_fini(&out);
}

Test(essence_error, is_cut_on_a_code_point)
{
    struct buf message = { 0 }, out = { 0 };

    for (size_t lead = 0; lead < 4; lead++) {
        buf_reset(&message);
        buf_reset(&out);
        buf_add(&message, "abc", lead);
        while (message.bytes < 2000)
            buf_add_str(&message, "😀");
        essence_error("bad_request", buf_slice(&message), &out);
        cr_assert_leq(out.bytes, ESSENCE_ERROR_BYTES_MAX);
        cr_assert_gt(out.bytes, ESSENCE_ERROR_BYTES_MAX - 4);
        cr_assert(utf8_is_valid(buf_slice(&out)));
        cr_assert(strncmp(out.data, "[bad_request] ", 14) == 0);
    }
    buf_fini(&message);
    buf_fini(&out);
}
