/* SPDX-License-Identifier: MIT */
#include "tests/summary_score.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/digest.h"
#include "base/mem.h"
#include "base/stopwords.h"
#include "base/utf8.h"
#include "worker/document.h"

#define WORDS_MAX 65536 /* different ones; further ones are passed over */
#define SLOTS     (WORDS_MAX * 2)

enum side { TEXT, SUMMARY };

struct word {
    uint64_t digest; /* 0: free */
    double counts[2];
};

struct words {
    struct word slots[SLOTS];
    size_t count;
    double sums[2];
};

static struct slice
stem(struct slice word)
{
    struct slice rest = word;

    for (int i = 0; i < STEM_CHARS && rest.bytes > 0; i++)
        (void)utf8_next(&rest);
    return (struct slice){ word.data, word.bytes - rest.bytes };
}

static void
count(struct words *words, uint64_t digest, enum side side)
{
    size_t at = digest % SLOTS;

    digest += digest == 0;
    while (words->slots[at].digest && words->slots[at].digest != digest)
        at = (at + 1) % SLOTS;
    if (!words->slots[at].digest) {
        if (words->count == WORDS_MAX)
            return;
        words->slots[at].digest = digest;
        words->count++;
    }
    words->slots[at].counts[side]++;
    words->sums[side]++;
}

static void
add(struct words *words, struct text_rules *rules, struct slice text,
    unsigned languages, enum side side)
{
    struct buf folded = { 0 };
    struct slice word;

    text_words_begin(rules, text);
    while (text_word_next(rules, &word)) {
        text_fold(rules, word, &folded);
        word = buf_slice(&folded);
        if (utf8_count(word) < 2 && !text_is_wide(utf8_first(word)))
            continue;
        if (stopwords_has(languages, word))
            continue;
        word = stem(word);
        count(words, digest_xxh(word.data, word.bytes, 0), side);
    }
    buf_fini(&folded);
}

static struct words *
read_both(struct text_rules *rules, struct slice text, struct slice summary)
{
    struct words *words = mem_zalloc(1, sizeof(*words));
    unsigned languages = stopwords_guess(rules, text);

    add(words, rules, text, languages, TEXT);
    add(words, rules, summary, languages, SUMMARY);
    return words;
}

/* Half of what one side adds to the divergence by one word. */
static double
part(double share, double middle)
{
    return share > 0 ? share * log2(share / middle) / 2 : 0;
}

double
summary_divergence(struct text_rules *rules, struct slice text,
                   struct slice summary)
{
    struct words *words = read_both(rules, text, summary);
    double sum = 0;

    if (words->sums[TEXT] == 0 || words->sums[SUMMARY] == 0)
        sum = 1;
    for (size_t i = 0; sum < 1 && i < SLOTS; i++) {
        const struct word *word = &words->slots[i];
        double p = word->counts[TEXT] / words->sums[TEXT];
        double q = word->counts[SUMMARY] / words->sums[SUMMARY];

        sum += part(p, (p + q) / 2) + part(q, (p + q) / 2);
    }
    free(words);
    return sum;
}

double
summary_recall(struct text_rules *rules, struct slice headline,
               struct slice summary)
{
    struct words *words = read_both(rules, headline, summary);
    size_t wanted = 0, found = 0;

    for (size_t i = 0; i < SLOTS; i++) {
        const struct word *word = &words->slots[i];

        wanted += word->counts[TEXT] > 0;
        found += word->counts[TEXT] > 0 && word->counts[SUMMARY] > 0;
    }
    free(words);
    return wanted ? (double)found / (double)wanted : 0;
}

void
summary_lead(struct text_rules *rules, struct slice text, size_t count,
             struct buf *out)
{
    struct document document;

    document_init(&document, rules, text);
    for (size_t i = 0; i < document.count && i < count; i++) {
        buf_add_str(out, i ? " " : "");
        buf_add_slice(out, document_sentence(&document, i));
    }
    document_fini(&document);
}
