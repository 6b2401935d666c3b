/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* memmem */
#include "worker/sampler.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "tests/summary_score.h"

#define LICENCES "/usr/share/common-licenses/*"

#define INSTRUCTION                                                    \
    "You are a careful assistant.\n\nGoal: Summarize this licence\n\n" \
    "Constraints:\n- at most 3 sentences"

static struct text_rules *
open_rules(void)
{
    struct text_rules *rules = text_rules_new(NULL);

    cr_assert_not_null(rules);
    return rules;
}

/* Puts the summary into `out`, in place of its content. */
static void
sample(struct text_rules *rules, struct slice text, const char *instruction,
       struct buf *out)
{
    buf_reset(out);
    buf_reserve(out, 0);
    cr_assert_eq(sampler_run(rules, text, slice_of(instruction), out, NULL), 0);
    cr_assert_gt(out->bytes, 0);
    cr_assert(utf8_is_valid(buf_slice(out)));
}

static size_t
count_sentences(struct text_rules *rules, struct slice text)
{
    struct slice sentence;
    size_t count = 0;

    text_sentences_begin(rules, text);
    while (text_sentence_next(rules, &sentence))
        count++;
    return count;
}

/* Words by Unicode or between blanks, whichever are more. */
static size_t
count_words(struct text_rules *rules, struct slice text)
{
    struct sentence measured = { 0 };

    document_measure(rules, text, &measured);
    return measured.words;
}

static void
read_all(const char *path, struct buf *text)
{
    FILE *file = fopen(path, "r");
    size_t bytes;

    cr_assert_not_null(file, "%s", path);
    buf_reset(text);
    do {
        bytes = fread(buf_reserve(text, 65536), 1, 65536, file);
        buf_commit(text, bytes);
    } while (bytes);
    fclose(file);
}

/* The text with each run of blanks made one space. */
static void
fold_blanks(struct slice text, struct buf *out)
{
    bool has_blank = false;
    int32_t c;

    buf_reset(out);
    while ((c = utf8_next(&text)) != UTF8_END) {
        if (text_is_blank(c)) {
            has_blank = true;
            continue;
        }
        if (has_blank && out->bytes)
            buf_add_char(out, ' ');
        has_blank = false;
        utf8_add(out, c);
    }
}

static bool
holds(struct slice text, struct slice part)
{
    return memmem(text.data, text.bytes, part.data, part.bytes) != NULL;
}

static const char story[] =
    "The harbour of Lindau was closed on Monday because of a storm. "
    "The storm had reached the lake in the night, and the harbour master "
    "closed the harbour before the first ferry. "
    "Nobody was hurt. "
    "Two ferries stayed in the harbour, and their passengers spent the night "
    "in a school. "
    "The storm also broke some trees in the park. "
    "A baker gave bread to the passengers of the ferries. "
    "On Tuesday the harbour master opened the harbour again, and both ferries "
    "left with all passengers. "
    "The weather service expects no further storm this week.";

Test(sampler, obeys_every_limit)
{
    static const struct {
        const char *instruction;
        size_t sentences, words, characters;
    } cases[] = {
        { "", 3, 120, SIZE_MAX },
        { "Goal: what happened?", 3, 120, SIZE_MAX },
        { "at most 1 sentences", 1, 120, SIZE_MAX },
        { "At most TWO sentences", 2, 120, SIZE_MAX },
        { "four sentences or fewer", 4, 160, SIZE_MAX },
        { "no more than 5 sentences", 5, 200, SIZE_MAX },
        { "in one sentence", 1, 120, SIZE_MAX },
        { "under 20 words", 3, 19, SIZE_MAX },
        { "at most 30 words", 3, 30, SIZE_MAX },
        { "fewer than 12 words", 3, 11, SIZE_MAX },
        { "fewer than ten words", 3, 9, SIZE_MAX },
        { "max 100 characters", 3, 120, 100 },
        { "max 150 characters\nin one sentence\nunder 12 words", 1, 11, 150 },
        { "at most 2 sentences, under 25 words, max 90 characters", 2, 24, 90 },
        { "at most 2 words", 3, 2, SIZE_MAX },
        { "at most 1 words", 3, 1, SIZE_MAX },
        { "max 10 characters", 3, 120, 10 },
        { "max 1 characters", 3, 120, 1 },
        { "at most 8 words per sentence", 3, 24, SIZE_MAX },
    };
    struct text_rules *rules = open_rules();
    struct buf out = { 0 };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct slice got;

        sample(rules, slice_of(story), cases[i].instruction, &out);
        got = buf_slice(&out);
        cr_expect(count_sentences(rules, got) <= cases[i].sentences &&
                      count_words(rules, got) <= cases[i].words &&
                      utf8_count(got) <= cases[i].characters,
                  "%s: got %zu sentences, %zu words, %zu characters: %s",
                  cases[i].instruction, count_sentences(rules, got),
                  count_words(rules, got), utf8_count(got), out.data);
    }
    buf_fini(&out);
    text_rules_free(rules);
}

Test(sampler, uses_the_room_it_has)
{
    static const struct {
        const char *instruction;
        size_t sentences;
    } cases[] = {
        { "", 3 },
        { "in one sentence", 1 },
        { "at most 2 sentences", 2 },
        { "at most 5 sentences", 5 },
        { "at most 50 sentences", 8 },
        { "at most 300 words", 7 },
        { "at most 3 sentences, 10 words or fewer", 1 },
    };
    struct text_rules *rules = open_rules();
    struct buf out = { 0 };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t got;

        sample(rules, slice_of(story), cases[i].instruction, &out);
        got = count_sentences(rules, buf_slice(&out));
        cr_expect_eq(got, cases[i].sentences, "%s: got %zu, want %zu: %s",
                     cases[i].instruction, got, cases[i].sentences, out.data);
    }
    buf_fini(&out);
    text_rules_free(rules);
}

Test(sampler, counts_all_that_it_writes)
{
    static const struct {
        const char *text, *instruction;
        size_t bytes;
    } cases[] = {
        /* The space between two sentences. */
        { "Aaa bbb cc. Ddd eee ff.", "max 22 characters", 11 },
        { "Aaa bbb cc. Ddd eee ff.", "max 23 characters", 23 },
        /* By Unicode's rules the first one is two sentences. */
        { "I met Mr. Smith there. He was old.", "at most 3 sentences", 34 },
        { "I met Mr. Smith there. He met Dr. No.", "at most 3 sentences", 22 },
        { "I met Mr. Smith there. He was old.", "at most 1 sentences", 11 },
    };
    struct text_rules *rules = open_rules();
    struct buf out = { 0 };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sample(rules, slice_of(cases[i].text), cases[i].instruction, &out);
        cr_expect_eq(out.bytes, cases[i].bytes, "%s: got %s",
                     cases[i].instruction, out.data);
    }
    buf_fini(&out);
    text_rules_free(rules);
}

Test(sampler, is_not_led_by_words_of_the_task)
{
    static const char text[] =
        "Wolves came back to the forests of the north. "
        "The text on the sign names wolves. "
        "Farmers of the north fear for sheep, and hunters fear wolves.";
    struct text_rules *rules = open_rules();
    struct buf plain = { 0 }, told = { 0 };

    sample(rules, slice_of(text), "in one sentence", &plain);
    sample(rules, slice_of(text), "Goal: Summarize the text in one sentence",
           &told);
    cr_assert_str_eq(told.data, plain.data);
    sample(rules, slice_of(text), "Goal: What is on the sign? In one sentence",
           &told);
    cr_assert_str_neq(told.data, plain.data);
    buf_fini(&plain);
    buf_fini(&told);
    text_rules_free(rules);
}

Test(sampler, quotes_sentences_in_the_order_of_the_text)
{
    struct text_rules *rules = open_rules();
    struct buf out = { 0 };
    struct slice sentence, rest = slice_of(story);

    sample(rules, slice_of(story), "at most 4 sentences", &out);
    text_sentences_begin(rules, buf_slice(&out));
    while (text_sentence_next(rules, &sentence)) {
        const char *at =
            memmem(rest.data, rest.bytes, sentence.data, sentence.bytes);

        cr_assert_not_null(at, "%.*s", (int)sentence.bytes, sentence.data);
        rest.bytes -= (size_t)(at - rest.data) + sentence.bytes;
        rest.data = at + sentence.bytes;
    }
    buf_fini(&out);
    text_rules_free(rules);
}

Test(sampler, turns_to_what_the_goal_asks)
{
    static const struct {
        const char *goal, *want;
    } cases[] = {
        { "Goal: What did the baker do?\n\nin one sentence", "A baker gave" },
        { "Goal: Where are broken trees?\n\nin one sentence", "some trees" },
        { "Goal: the weather this week\n\nConstraints:\n- one sentence",
          "weather service" },
    };
    struct text_rules *rules = open_rules();
    struct buf out = { 0 };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sample(rules, slice_of(story), cases[i].goal, &out);
        cr_expect_not_null(strstr(out.data, cases[i].want), "%s: got %s",
                           cases[i].goal, out.data);
    }
    buf_fini(&out);
    text_rules_free(rules);
}

Test(sampler, says_nothing_twice)
{
    static const char text[] =
        "The bridge over the river is closed for repairs. "
        "The bridge over the river is closed for repairs. "
        "Now the bridge over the river is closed for repairs! "
        "Cars take the tunnel in the north of the city.";
    struct text_rules *rules = open_rules();
    struct buf out = { 0 };

    sample(rules, slice_of(text), "at most 3 sentences", &out);
    cr_assert_eq(count_sentences(rules, buf_slice(&out)), 2, "%s", out.data);
    cr_assert_not_null(strstr(out.data, "tunnel"));
    buf_fini(&out);
    text_rules_free(rules);
}

Test(sampler, answers_in_any_script)
{
    static const struct {
        const char *text, *instruction, *want;
    } cases[] = {
        { "Кошка спит на диване. Собака спит у двери. Птица поёт.",
          "Goal: Где кошка?\nin one sentence", "Кошка спит на диване." },
        { "北京是中国的首都。上海是最大的城市。天气很好。",
          "at most 2 sentences", "北京是中国的首都。上海是最大的城市。" },
        { "東京は日本の首都です。大阪は大きな町です。", "",
          "東京は日本の首都です。大阪は大きな町です。" },
        { "القاهرة هي عاصمة مصر. هل الطقس جميل اليوم؟", "",
          "القاهرة هي عاصمة مصر. هل الطقس جميل اليوم؟" },
        { "ภาษาไทยเขียนติดกัน\n\nเราอ่านหนังสือทุกวัน", "",
          "ภาษาไทยเขียนติดกัน เราอ่านหนังสือทุกวัน" },
        { "😀😀 🎉", "", "😀😀 🎉" },
        { "It is \xFF bad here.", "", "It is \xEF\xBF\xBD bad here." },
        { "Only a title", "", "Only a title" },
        { "A title\n-------\n\nanother line\n\n42", "",
          "A title another line" },
        /* Cut at a word, the ellipsis counted. */
        { "One two three four five six seven.", "at most 4 words",
          "One two three …" },
        { "One two three four five six seven.", "max 12 characters",
          "One two …" },
        { "One two three four five six seven.", "at most 1 words", "One" },
        { "Extraordinarily long it is.", "max 5 characters", "Extra" },
        { "只有这一句话而且它很长很长。", "max 6 characters", "只有这 …" },
    };
    struct text_rules *rules = open_rules();
    struct buf out = { 0 };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sample(rules, slice_of(cases[i].text), cases[i].instruction, &out);
        cr_expect(slice_is(buf_slice(&out), cases[i].want),
                  "%s: got %s, want %s", cases[i].text, out.data,
                  cases[i].want);
    }
    buf_fini(&out);
    text_rules_free(rules);
}

Test(sampler, refuses_a_text_that_says_nothing)
{
    static const char *const cases[] = { "", " \n\t ", "-----\n\n***", "...",
                                         "\xFF\xFE" };
    struct text_rules *rules = open_rules();
    struct buf out = { 0 };
    struct err err = { 0 };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_expect_eq(
            sampler_run(rules, slice_of(cases[i]), slice_of(""), &out, &err),
            E_INVALID, "%s", cases[i]);
        cr_expect_eq(out.bytes, 0);
        cr_expect_eq(err.code, E_INVALID);
    }
    buf_fini(&out);
    text_rules_free(rules);
}

/* A copy of the folded original is searched, so that wrapped lines are equal. */
static void
check_licence(struct text_rules *rules, const char *path, struct buf *summary)
{
    struct buf text = { 0 }, folded = { 0 }, again = { 0 };
    struct slice sentence;

    read_all(path, &text);
    fold_blanks(buf_slice(&text), &folded);
    sample(rules, buf_slice(&text), INSTRUCTION, summary);
    sample(rules, buf_slice(&text), INSTRUCTION, &again);
    cr_expect(slice_equal(buf_slice(summary), buf_slice(&again)), "%s", path);
    cr_expect_leq(count_sentences(rules, buf_slice(summary)), 3, "%s: %s", path,
                  summary->data);
    cr_expect_leq(count_words(rules, buf_slice(summary)), SAMPLER_WORDS,
                  "%s: %s", path, summary->data);
    text_sentences_begin(rules, buf_slice(summary));
    while (text_sentence_next(rules, &sentence)) {
        cr_expect(text_is_closed(sentence), "%s: %.*s", path,
                  (int)sentence.bytes, sentence.data);
        cr_expect(holds(buf_slice(&folded), sentence), "%s: %.*s", path,
                  (int)sentence.bytes, sentence.data);
    }
    buf_fini(&text);
    buf_fini(&folded);
    buf_fini(&again);
}

Test(sampler, quotes_licences_within_the_limits)
{
    struct text_rules *rules = open_rules();
    struct buf summary = { 0 };
    glob_t paths;

    if (glob(LICENCES, 0, NULL, &paths) != 0)
        cr_skip_test("no licences on this machine");
    for (size_t i = 0; i < paths.gl_pathc; i++)
        check_licence(rules, paths.gl_pathv[i], &summary);
    globfree(&paths);
    buf_fini(&summary);
    text_rules_free(rules);
}

/* With no more sentences and words than the first three sentences have. */
static void
compare_with_lead(struct text_rules *rules, const char *path, double *gain)
{
    struct buf text = { 0 }, lead = { 0 }, summary = { 0 }, limits = { 0 };

    read_all(path, &text);
    summary_lead(rules, buf_slice(&text), 3, &lead);
    buf_addf(&limits, "Constraints:\n- at most 3 sentences, %zu words",
             count_words(rules, buf_slice(&lead)));
    sample(rules, buf_slice(&text), limits.data, &summary);
    cr_expect_leq(count_words(rules, buf_slice(&summary)),
                  count_words(rules, buf_slice(&lead)), "%s", path);
    *gain += summary_divergence(rules, buf_slice(&text), buf_slice(&lead)) -
             summary_divergence(rules, buf_slice(&text), buf_slice(&summary));
    buf_fini(&text);
    buf_fini(&lead);
    buf_fini(&summary);
    buf_fini(&limits);
}

Test(sampler, says_more_of_licences_than_their_first_three_sentences)
{
    struct text_rules *rules = open_rules();
    double gain = 0;
    glob_t paths;

    if (glob(LICENCES, 0, NULL, &paths) != 0)
        cr_skip_test("no licences on this machine");
    for (size_t i = 0; i < paths.gl_pathc; i++)
        compare_with_lead(rules, paths.gl_pathv[i], &gain);
    cr_expect_gt(gain / (double)paths.gl_pathc, 0.02, "%g", gain);
    globfree(&paths);
    text_rules_free(rules);
}

Test(sampler, copes_with_long_documents)
{
    static const char *const pieces[][3] = {
        { "The committee found ", " reasons to decline the offer of ", ". " },
        { "word", " and more ", " " },
        { "委员会在第", "天讨论了第", "个问题。" },
        { "ภาษาไทย", "เขียนติดกัน", "" },
        { "", ". ", "\n" },
    };
    struct text_rules *rules = open_rules();
    struct buf text = { 0 }, out = { 0 };

    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        buf_reset(&text);
        for (int n = 0; text.bytes < 1 << 20; n++) {
            buf_addf(&text, "%s%d%s%d%s", pieces[i][0], n, pieces[i][1], n % 17,
                     pieces[i][2]);
        }
        sample(rules, buf_slice(&text), INSTRUCTION, &out);
        cr_expect_leq(count_sentences(rules, buf_slice(&out)), 3);
        cr_expect_leq(count_words(rules, buf_slice(&out)), SAMPLER_WORDS);
    }
    buf_fini(&text);
    buf_fini(&out);
    text_rules_free(rules);
}
