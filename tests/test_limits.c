/* SPDX-License-Identifier: MIT */
#include "worker/limits.h"

#include <criterion/criterion.h>
#include <stdlib.h>

struct example {
    const char *text;
    struct limits want; /* sentences, words, characters, words per sentence */
};

static void
check(const struct example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct limits *want = &examples[i].want;
        struct limits got;

        limits_find(slice_of(examples[i].text), &got);
        cr_expect(got.sentences_max == want->sentences_max &&
                      got.words_max == want->words_max &&
                      got.characters_max == want->characters_max &&
                      got.sentence_words_max == want->sentence_words_max,
                  "%s: got %zu, %zu, %zu, %zu", examples[i].text,
                  got.sentences_max, got.words_max, got.characters_max,
                  got.sentence_words_max);
    }
}

Test(limits, of_sentences_are_found)
{
    static const struct example examples[] = {
        { "at most 3 sentences", { 3, 0, 0, 0 } },
        { "At Most THREE Sentences.", { 3, 0, 0, 0 } },
        { "2 sentences or fewer", { 2, 0, 0, 0 } },
        { "two sentences or less", { 2, 0, 0, 0 } },
        { "no more than five sentences", { 5, 0, 0, 0 } },
        { "Use not more than 4 sentences", { 4, 0, 0, 0 } },
        { "fewer than 4 sentences", { 3, 0, 0, 0 } },
        { "in one sentence", { 1, 0, 0, 0 } },
        { "Summarize it in a single sentence.", { 1, 0, 0, 0 } },
        { "Put it in a sentence", { 1, 0, 0, 0 } },
        { "one-sentence summary", { 1, 0, 0, 0 } },
        { "Write a three-sentence summary", { 3, 0, 0, 0 } },
        { "two to three sentences", { 3, 0, 0, 0 } },
        { "Write 2-3 sentences", { 3, 0, 0, 0 } },
        { "between 2 and 4 sentences", { 4, 0, 0, 0 } },
        { "fewer than 2 to 3 sentences", { 2, 0, 0, 0 } },
        { "exactly 2 sentences", { 2, 0, 0, 0 } },
        { "maximum of 6 sentences", { 6, 0, 0, 0 } },
        { "up to ten short English sentences", { 10, 0, 0, 0 } },
        { "max sentences: 2", { 2, 0, 0, 0 } },
        { "- 3 sentences\n- plain English", { 3, 0, 0, 0 } },
        { "not exceeding 3 sentences", { 3, 0, 0, 0 } },
        { "at most 0 sentences", { 1, 0, 0, 0 } },
    };

    check(examples, sizeof(examples) / sizeof(examples[0]));
}

Test(limits, of_words_and_characters_are_found)
{
    static const struct example examples[] = {
        { "under 50 words", { 0, 49, 0, 0 } },
        { "UNDER FIFTY WORDS", { 0, 49, 0, 0 } },
        { "below 20 words", { 0, 19, 0, 0 } },
        { "at most 40 words", { 0, 40, 0, 0 } },
        { "fewer than ten words", { 0, 9, 0, 0 } },
        { "less than 25 words", { 0, 24, 0, 0 } },
        { "no more than 1,000 words", { 0, 1000, 0, 0 } },
        { "40 words or fewer", { 0, 40, 0, 0 } },
        { "50 words max.", { 0, 50, 0, 0 } },
        { "a 100-word summary", { 0, 100, 0, 0 } },
        { "two hundred words at most", { 0, 200, 0, 0 } },
        { "word limit: 60", { 0, 60, 0, 0 } },
        { "< 30 words", { 0, 29, 0, 0 } },
        { "<= 30 words", { 0, 30, 0, 0 } },
        { "max 280 characters", { 0, 0, 280, 0 } },
        { "Maximum 140 chars", { 0, 0, 140, 0 } },
        { "under 100 characters", { 0, 0, 99, 0 } },
        { "99999999999999999999 words", { 0, LIMITS_NUMBER_MAX, 0, 0 } },
        { "at most 12 words per sentence", { 0, 0, 0, 12 } },
        { "3 sentences of at most 15 words each", { 3, 0, 0, 15 } },
        { "each sentence under 20 words", { 0, 0, 0, 19 } },
    };

    check(examples, sizeof(examples) / sizeof(examples[0]));
}

Test(limits, hold_together_and_the_least_wins)
{
    static const struct example examples[] = {
        { "at most 3 sentences, under 60 words and max 300 characters",
          { 3, 59, 300, 0 } },
        { "At most 5 sentences.\nNo more than 2 sentences.", { 2, 0, 0, 0 } },
        { "Goal: in one sentence\n\nConstraints:\n- at most 3 sentences\n"
          "- 20 words or fewer",
          { 1, 20, 0, 0 } },
    };

    check(examples, sizeof(examples) / sizeof(examples[0]));
}

Test(limits, are_not_seen_where_none_are)
{
    static const struct example examples[] = {
        { "", { 0 } },
        { "Summarize this licence", { 0 } },
        { "at least 2 sentences", { 0 } },
        { "at least 2 to 3 sentences", { 0 } },
        { "more than 3 sentences", { 0 } },
        { "no fewer than 3 sentences", { 0 } },
        { "3 or more sentences", { 0 } },
        { "3 sentences or more", { 0 } },
        { "3+ sentences", { 0 } },
        { "a minimum of 10 words", { 0 } },
        { "over 100 words", { 0 } },
        { "the first 3 words matter", { 0 } },
        { "Explain these 2 sentences", { 0 } },
        { "in other words, in a word: short", { 0 } },
        { "complete sentences; key words", { 0 } },
        { "Answer in French. 3 items", { 0 } },
        { "用三句话", { 0 } },
        { "words", { 0 } },
        { "1 2 3 - - -", { 0 } },
    };

    check(examples, sizeof(examples) / sizeof(examples[0]));
}

Test(limits, survive_any_bytes)
{
    static const char *const parts[] = {
        "at most ", "3 ",     "sentences ", "words", " - ", "\n",
        "\xFF",     "per ",   "sentence ",  "limit", ": ",  "hundred ",
        "than ",    "fewer ", "a ",         "each "
    };
    struct buf text = { 0 };

    srand(4);
    for (int round = 0; round < 20000; round++) {
        struct limits limits;
        int count = rand() % 10;

        buf_reset(&text);
        for (int i = 0; i < count; i++) {
            buf_add_str(
                &text,
                parts[(size_t)rand() % (sizeof(parts) / sizeof(parts[0]))]);
        }
        limits_find(buf_slice(&text), &limits);
        cr_assert_leq(limits.sentences_max, LIMITS_NUMBER_MAX);
    }
    buf_fini(&text);
}

Test(limits, of_a_long_instruction_are_read_at_its_end)
{
    struct buf text = { 0 };
    struct limits limits;

    while (text.bytes < LIMITS_BYTES_MAX)
        buf_add_str(&text, "at most 2 words. ");
    while (text.bytes < LIMITS_BYTES_MAX * 2)
        buf_add_str(&text, "Be careful. ");
    buf_add_str(&text, "At most 7 sentences.");
    limits_find(buf_slice(&text), &limits);
    cr_assert_eq(limits.sentences_max, 7);
    cr_assert_eq(limits.words_max, LIMITS_NONE);
    buf_fini(&text);
}
