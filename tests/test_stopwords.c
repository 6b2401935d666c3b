/* SPDX-License-Identifier: MIT */
#include "base/stopwords.h"

#include <criterion/criterion.h>
#include <string.h>

static struct text_rules *
open_rules(void)
{
    struct text_rules *rules = text_rules_new(NULL);

    cr_assert_not_null(rules);
    return rules;
}

Test(stopwords, lists_are_sorted_folded_and_found)
{
    struct text_rules *rules = open_rules();
    const char *const *words;
    size_t count, total = 0;
    struct buf folded = { 0 };
    unsigned language = 0;

    for (; (words = stopwords_list(language, &count)); language++) {
        total += count;
        for (size_t i = 0; i < count; i++) {
            struct slice word = slice_of(words[i]);

            text_fold(rules, word, &folded);
            cr_expect(slice_equal(buf_slice(&folded), word), "%s", words[i]);
            cr_expect(i == 0 || strcmp(words[i - 1], words[i]) < 0, "%s",
                      words[i]);
            cr_expect(stopwords_has(1U << language, word), "%s", words[i]);
        }
    }
    cr_assert_geq(language, 14);
    cr_assert_gt(total, 2000);
    buf_fini(&folded);
    text_rules_free(rules);
}

Test(stopwords, depend_on_the_language)
{
    struct text_rules *rules = open_rules();
    unsigned english =
        stopwords_guess(rules, slice_of("the end of the war was near"));
    unsigned german =
        stopwords_guess(rules, slice_of("das Ende und der Anfang des Krieges"));

    cr_assert_not(stopwords_has(english, slice_of("war")));
    cr_assert(stopwords_has(german, slice_of("war")));
    cr_assert(stopwords_has(english, slice_of("the")));
    cr_assert_not(stopwords_has(german, slice_of("the")));
    cr_assert_eq(stopwords_guess(rules, slice_of("")), STOPWORDS_ALL);
    text_rules_free(rules);
}

Test(stopwords, are_found_in_contractions)
{
    struct text_rules *rules = open_rules();
    unsigned english =
        stopwords_guess(rules, slice_of("the one and the other"));
    static const char *const stops[] = { "don't", "don’t", "it's", "he'll",
                                         "d'un",  "qu'il", "l’un" };
    static const char *const words[] = { "dog's", "l'avocat", "o'brien", "" };

    for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++)
        cr_expect(stopwords_has(STOPWORDS_ALL, slice_of(stops[i])), "%s",
                  stops[i]);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        cr_expect_not(stopwords_has(english, slice_of(words[i])), "%s",
                      words[i]);
    text_rules_free(rules);
}
