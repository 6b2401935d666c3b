/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* memmem */
#include "worker/sampler.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/stopwords.h"
#include "base/utf8.h"
#include "worker/limits.h"
#include "worker/terms.h"

#define ELLIPSIS           "\xE2\x80\xA6"
#define WORDS_PER_SENTENCE 40 /* between one default limit and the other */
#define TERMS_MIN          3  /* per sentence; below, words are scarce */
#define SHORT_WORDS        6
#define LONG_WORDS         60

/* The parts of a score, against a centrality of 1. */
#define SCORE_GOAL 1.0
#define SCORE_OPENING \
    0.6 /* of the first sentence, half of it of the second ... */
#define SCORE_POSITION 0.15 /* the same where the goal is in the text */
#define SCORE_REPEAT   0.8  /* taken off for saying the same again */
#define SCORE_FRAGMENT 0.6  /* left of the score of what begins small */
#define SCORE_NOISE    0.5  /* left of the score of what is full of signs */
#define SCORE_LINK     0.6  /* left of the score of what holds an address */
#define SCORE_LENGTH   0.7  /* left of the score of the very short or long */

#define ALIKE 0.7 /* from here on two sentences say the same */

#define NONE SIZE_MAX

/* An answer in the making. */
struct sample {
    struct text_rules *rules; /* borrowed */
    struct document document;
    struct limits limits; /* none is LIMITS_NONE but characters_max */
    struct terms *terms;
    double *scores;  /* of each sentence */
    double *repeats; /* likeness to the most alike of the chosen */
    bool *is_chosen;
    size_t sentences, words, characters; /* of the chosen */
};

/* True if the line is a heading of the instruction's or states a limit: its
 * words are not what the answer is to be about. */
static bool
is_about_form(struct slice line)
{
    struct limits limits;

    limits_find(line, &limits);
    return limits.sentences_max || limits.words_max || limits.characters_max ||
           limits.sentence_words_max || slice_is(line, "Constraints:");
}

/* Words that speak of the task, whatever the text is about. */
static bool
is_task_word(struct slice folded)
{
    static const char *const words[] = {
        "answer",    "article", "assistant", "brief",     "briefly",
        "careful",   "concise", "concisely", "describe",  "document",
        "english",   "explain", "extract",   "follow",    "following",
        "goal",      "helpful", "input",     "key",       "list",
        "main",      "page",    "paragraph", "passage",   "plain",
        "point",     "points",  "produce",   "provided",  "sentence",
        "sentences", "short",   "shortly",   "summaries", "summarise",
        "summarize", "summary", "task",      "tell",      "text",
        "user",      "word",    "words",     "write",
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (slice_is(folded, words[i]))
            return true;
    }
    return false;
}

static void
add_topics(struct text_rules *rules, struct slice line, struct buf *goal)
{
    struct buf folded = { 0 };
    struct slice word;

    text_words_begin(rules, line);
    while (text_word_next(rules, &word)) {
        text_fold(rules, word, &folded);
        if (!is_task_word(buf_slice(&folded))) {
            buf_add_slice(goal, word);
            buf_add_char(goal, ' ');
        }
    }
    buf_fini(&folded);
}

/* Collects what the answer is to be about: the words of the goal and of the
 * constraints on content, or all of an instruction in which nothing is called a
 * goal. */
static void
find_goal(struct text_rules *rules, struct slice instruction, struct buf *goal)
{
    static const char mark[] = "Goal:";
    const char *at = NULL, *end;
    bool is_first = true;

    if (instruction.bytes)
        at = memmem(instruction.data, instruction.bytes, mark, strlen(mark));
    if (at) {
        instruction.bytes -= (size_t)(at - instruction.data) + strlen(mark);
        instruction.data = at + strlen(mark);
    }
    while (instruction.bytes) {
        struct slice line = instruction;

        end = memchr(line.data, '\n', line.bytes);
        if (end)
            line.bytes = (size_t)(end - line.data);
        instruction.data += line.bytes + (end != NULL);
        instruction.bytes -= line.bytes + (end != NULL);
        if (is_first || !is_about_form(line))
            add_topics(rules, line, goal);
        is_first = is_first && text_trim(line).bytes == 0;
    }
}

/* States a limit for sentences and words where the instruction states none. */
static void
default_limits(struct limits *limits)
{
    size_t sentences = limits->sentences_max, words = limits->words_max;

    if (sentences == LIMITS_NONE) {
        sentences = words / WORDS_PER_SENTENCE;
        if (sentences < SAMPLER_SENTENCES)
            sentences = SAMPLER_SENTENCES;
        limits->sentences_max = sentences;
    }
    if (limits->sentences_max > SAMPLER_CHOSEN_MAX)
        limits->sentences_max = SAMPLER_CHOSEN_MAX;
    if (words == LIMITS_NONE) {
        words = limits->sentences_max * WORDS_PER_SENTENCE;
        limits->words_max = words < SAMPLER_WORDS ? SAMPLER_WORDS : words;
    }
    if (limits->characters_max == LIMITS_NONE)
        limits->characters_max = SIZE_MAX;
    if (limits->sentence_words_max == LIMITS_NONE ||
        limits->sentence_words_max > limits->words_max) {
        limits->sentence_words_max = limits->words_max;
    }
}

/* Counts the terms of all sentences: words, or pairs of letters if the text has
 * hardly any (a script without a dictionary). */
static void
find_terms(struct sample *sample)
{
    const struct document *document = &sample->document;
    unsigned languages =
        stopwords_guess(sample->rules, buf_slice(&document->text));
    enum terms_kind kind = TERMS_WORDS;
    size_t total;

    for (;;) {
        total = 0;
        sample->terms = terms_new(sample->rules, kind, languages);
        for (size_t i = 0; i < document->count; i++)
            total += terms_add(sample->terms, document_sentence(document, i));
        if (kind == TERMS_PAIRS || total >= document->count * TERMS_MIN)
            break;
        terms_free(sample->terms);
        kind = TERMS_PAIRS;
    }
    terms_weigh(sample->terms);
}

/* True for code and mark-up: one character in eight is a sign of ASCII. */
static bool
is_noise(const struct sentence *sentence, struct slice text)
{
    size_t signs = 0;
    int32_t c;

    while ((c = utf8_next(&text)) != UTF8_END)
        signs += c > ' ' && c < 0x7F && !text_is_letter(c) && !text_is_digit(c);
    return signs * 8 > sentence->characters;
}

/* What is left of a score for reasons that lie in the sentence alone. */
static double
quality(const struct sentence *sentence, struct slice text)
{
    double left = 1;

    if (text_is_lower(utf8_first(text)))
        left *= SCORE_FRAGMENT; /* the rest of something */
    if (is_noise(sentence, text))
        left *= SCORE_NOISE;
    if (memmem(text.data, text.bytes, "://", 3))
        left *= SCORE_LINK;
    if (sentence->words < SHORT_WORDS || sentence->words > LONG_WORDS)
        left *= SCORE_LENGTH;
    return left;
}

static void
score(struct sample *sample, struct slice instruction)
{
    const struct document *document = &sample->document;
    size_t count = document->count;
    double *near = mem_zalloc(count, sizeof(*near)), nearest = 0, opening;
    struct buf goal = { 0 };

    find_goal(sample->rules, instruction, &goal);
    terms_rank(sample->terms, sample->scores);
    terms_compare(sample->terms, buf_slice(&goal), near);
    for (size_t i = 0; i < count; i++)
        nearest = near[i] > nearest ? near[i] : nearest;
    /* How a text begins mostly says what it is about, unless something else is
     * asked for. */
    opening = nearest > 0 ? SCORE_POSITION : SCORE_OPENING;
    for (size_t i = 0; i < count; i++) {
        sample->scores[i] += opening / (1 + (double)i);
        if (nearest > 0)
            sample->scores[i] += SCORE_GOAL * near[i] / nearest;
        sample->scores[i] *=
            quality(&document->sentences[i], document_sentence(document, i));
    }
    buf_fini(&goal);
    free(near);
}

/* True if the sentence may stand in an answer of its own. */
static bool
is_short_enough(const struct sample *sample, const struct sentence *sentence)
{
    return sentence->parts <= sample->limits.sentences_max &&
           sentence->words <= sample->limits.sentence_words_max &&
           sentence->characters <= sample->limits.characters_max;
}

static bool
fits(const struct sample *sample, const struct sentence *sentence)
{
    size_t gap = sample->characters ? 1 : 0;

    return is_short_enough(sample, sentence) &&
           sentence->parts <=
               sample->limits.sentences_max - sample->sentences &&
           sentence->words <= sample->limits.words_max - sample->words &&
           sentence->characters + gap <=
               sample->limits.characters_max - sample->characters;
}

/* The best sentence that fits and says something new; NONE if there is none. */
static size_t
find_best(const struct sample *sample)
{
    const struct document *document = &sample->document;
    double best = 0;
    size_t found = NONE;

    for (size_t i = 0; i < document->count; i++) {
        double value = sample->scores[i] - SCORE_REPEAT * sample->repeats[i];

        if (sample->is_chosen[i] || sample->repeats[i] >= ALIKE ||
            !fits(sample, &document->sentences[i])) {
            continue;
        }
        if (found == NONE || value > best) {
            found = i;
            best = value;
        }
    }
    return found;
}

static void
choose(struct sample *sample, size_t index)
{
    const struct sentence *sentence = &sample->document.sentences[index];
    size_t count = sample->document.count;
    double *alike = mem_zalloc(count, sizeof(*alike));

    sample->is_chosen[index] = true;
    sample->sentences += sentence->parts;
    sample->words += sentence->words;
    sample->characters += sentence->characters + (sample->characters ? 1 : 0);
    terms_compare_row(sample->terms, index, alike);
    for (size_t i = 0; i < count; i++) {
        if (alike[i] > sample->repeats[i])
            sample->repeats[i] = alike[i];
    }
    free(alike);
}

static void
choose_sentences(struct sample *sample)
{
    size_t index;

    while (sample->sentences < sample->limits.sentences_max) {
        index = find_best(sample);
        if (index == NONE)
            break;
        choose(sample, index);
    }
}

/* Lines have no scores: the first ones are taken as long as they fit. */
static void
choose_lines(struct sample *sample)
{
    for (size_t i = 0; i < sample->document.count; i++) {
        if (!fits(sample, &sample->document.sentences[i]))
            break;
        choose(sample, i);
    }
}

static void
write_chosen(const struct sample *sample, struct buf *out)
{
    struct slice before = { NULL, 0 };

    for (size_t i = 0; i < sample->document.count; i++) {
        struct slice text = document_sentence(&sample->document, i);

        if (!sample->is_chosen[i])
            continue;
        if (before.bytes && !text_is_wide(utf8_last(before)))
            buf_add_char(out, ' ');
        buf_add_slice(out, text);
        before = text;
    }
}

/* The longest beginning of the sentence that ends with a word and leaves room
 * for the ellipsis; empty if there is none. */
static struct slice
cut_at_word(struct sample *sample, struct slice text, size_t words_max,
            size_t characters_max)
{
    struct slice kept = { text.data, 0 }, word;
    size_t words = 0, chunks = 1, characters = 0;

    text_words_begin(sample->rules, text);
    while (text_word_next(sample->rules, &word)) {
        const char *at = kept.data + kept.bytes;
        size_t bytes = (size_t)(word.data + word.bytes - at);

        /* Single spaces are all that is left of white space. */
        for (size_t i = 0; i < bytes; i++)
            chunks += at[i] == ' ';
        characters += utf8_count((struct slice){ at, bytes });
        if (++words > words_max || chunks > words_max ||
            characters > characters_max) {
            break;
        }
        kept.bytes += bytes;
    }
    return kept;
}

/* Writes the beginning of a sentence that is above a limit by itself. */
static void
write_cut(struct sample *sample, size_t index, struct buf *out)
{
    struct slice text = document_sentence(&sample->document, index),
                 kept = text;
    size_t words_max = sample->limits.sentence_words_max;
    size_t characters_max = sample->limits.characters_max;

    if (sample->document.sentences[index].words <= words_max &&
        sample->document.sentences[index].characters <= characters_max) {
        buf_add_slice(out, text);
        return;
    }
    kept.bytes = 0;
    if (words_max > 1 && characters_max > 2) {
        kept = cut_at_word(sample, text, words_max - 1, characters_max - 2);
        buf_add_slice(out, kept);
        if (kept.bytes)
            buf_add_str(out, " " ELLIPSIS);
    }
    if (kept.bytes == 0) {
        kept = cut_at_word(sample, text, 1, characters_max);
        buf_add_slice(out, kept);
    }
    /* Not even one word: as many of its characters as there may be. */
    for (size_t i = 0; kept.bytes == 0 && i < characters_max && text.bytes; i++)
        utf8_add(out, utf8_next(&text));
}

/* The sentence to cut when none is short enough. */
static size_t
find_to_cut(const struct sample *sample)
{
    size_t found = 0;

    for (size_t i = 1; i < sample->document.count; i++) {
        if (sample->scores[i] > sample->scores[found])
            found = i;
    }
    return found;
}

static void
sample_fini(struct sample *sample)
{
    document_fini(&sample->document);
    terms_free(sample->terms);
    free(sample->scores);
    free(sample->repeats);
    free(sample->is_chosen);
}

int
sampler_run(struct text_rules *rules, struct slice text,
            struct slice instruction, struct buf *out, struct err *err)
{
    struct sample sample = { .rules = rules };
    size_t count;

    limits_find(instruction, &sample.limits);
    default_limits(&sample.limits);
    document_init(&sample.document, rules, text);
    count = sample.document.count;
    if (count == 0) {
        sample_fini(&sample);
        return err_set(err, E_INVALID, "summarise: the text has no words");
    }
    sample.scores = mem_zalloc(count, sizeof(*sample.scores));
    sample.repeats = mem_zalloc(count, sizeof(*sample.repeats));
    sample.is_chosen = mem_zalloc(count, sizeof(*sample.is_chosen));
    find_terms(&sample);
    if (sample.document.has_sentences) {
        score(&sample, instruction);
        choose_sentences(&sample);
    } else {
        choose_lines(&sample);
    }
    if (sample.sentences > 0)
        write_chosen(&sample, out);
    else
        write_cut(&sample, find_to_cut(&sample), out);
    sample_fini(&sample);
    return 0;
}
