/*
 * quality.c - the sampler beside the first three sentences of the same texts
 *
 *   quality NAME FILE...
 *
 * Prints one row: how many texts, and the means of both measures of
 * summary_score.h for both ways to summarise. The sampler may take as many
 * sentences and words as the lead has, so that neither wins by its length. A
 * file F has a headline if there is an F.headline. Texts of fewer than
 * SENTENCES_MIN sentences have nothing to choose from and are passed over.
 */
/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "tests/summary_score.h"
#include "worker/document.h"
#include "worker/sampler.h"

#define SENTENCES_MIN  6
#define FILE_BYTES_MAX (8u << 20)
#define PIECE_BYTES    65536
#define LEAD_SENTENCES 3
#define SUFFIX         ".headline"

enum way { SAMPLER, LEAD, WAYS };

struct sums {
    size_t texts, headlines, wins; /* divergence below that of the lead */
    double divergence[WAYS], recall[WAYS], words[WAYS];
};

static int
read_file(const char *path, struct buf *out)
{
    FILE *file = fopen(path, "rb");
    size_t got;

    buf_reset(out);
    buf_reserve(out, 0);
    if (!file)
        return -1;
    do {
        buf_reserve(out, PIECE_BYTES);
        got = fread(out->data + out->bytes, 1, PIECE_BYTES, file);
        out->bytes += got;
    } while (got > 0 && out->bytes < FILE_BYTES_MAX);
    (void)fclose(file);
    return 0;
}

static double
count_words(struct text_rules *rules, struct slice text)
{
    struct sentence measured = { 0 };

    document_measure(rules, text, &measured);
    return (double)measured.words;
}

static void
add(struct sums *sums, struct text_rules *rules, struct slice text,
    struct slice headline, struct buf summaries[WAYS])
{
    double divergence[WAYS];

    for (int way = 0; way < WAYS; way++) {
        struct slice summary = buf_slice(&summaries[way]);

        divergence[way] = summary_divergence(rules, text, summary);
        sums->divergence[way] += divergence[way];
        sums->words[way] += count_words(rules, summary);
        if (headline.bytes)
            sums->recall[way] += summary_recall(rules, headline, summary);
    }
    sums->texts++;
    sums->headlines += headline.bytes > 0;
    sums->wins += divergence[SAMPLER] < divergence[LEAD];
}

/* Summarises in both ways. False: the sampler has nothing to say. */
static bool
summarise(struct text_rules *rules, struct slice text,
          struct buf summaries[WAYS])
{
    struct buf instruction = { 0 };
    bool is_done;

    summary_lead(rules, text, LEAD_SENTENCES, &summaries[LEAD]);
    buf_addf(&instruction,
             "Constraints:\n- at most %d sentences\n- at most %.0f words",
             LEAD_SENTENCES, count_words(rules, buf_slice(&summaries[LEAD])));
    is_done = sampler_run(rules, text, buf_slice(&instruction),
                          &summaries[SAMPLER], NULL) == 0;
    buf_fini(&instruction);
    return is_done;
}

static void
judge(struct sums *sums, struct text_rules *rules, const char *path)
{
    struct buf text = { 0 }, headline = { 0 }, beside = { 0 };
    struct buf summaries[WAYS] = { { 0 }, { 0 } };
    struct document document;
    size_t sentences;

    if (read_file(path, &text) < 0) {
        fprintf(stderr, "quality: %s: %s\n", path, strerror(errno));
        return;
    }
    document_init(&document, rules, buf_slice(&text));
    sentences = document.has_sentences ? document.count : 0;
    document_fini(&document);
    buf_addf(&beside, "%s" SUFFIX, path);
    (void)read_file(beside.data, &headline); /* most have none */
    if (sentences >= SENTENCES_MIN &&
        summarise(rules, buf_slice(&text), summaries)) {
        add(sums, rules, buf_slice(&text), buf_slice(&headline), summaries);
    }
    buf_fini(&text);
    buf_fini(&headline);
    buf_fini(&beside);
    buf_fini(&summaries[SAMPLER]);
    buf_fini(&summaries[LEAD]);
}

static void
print(const char *name, const struct sums *sums)
{
    double n = (double)sums->texts, h = (double)sums->headlines;

    printf("| %s | %zu | %.3f | %.3f | %.0f %% |", name, sums->texts,
           sums->divergence[LEAD] / n, sums->divergence[SAMPLER] / n,
           100.0 * (double)sums->wins / n);
    if (sums->headlines)
        printf(" %.3f | %.3f |", sums->recall[LEAD] / h,
               sums->recall[SAMPLER] / h);
    else
        printf(" | |");
    printf(" %.0f | %.0f |\n", sums->words[LEAD] / n, sums->words[SAMPLER] / n);
}

int
main(int argc, char **argv)
{
    struct text_rules *rules = text_rules_new(NULL);
    struct sums sums = { 0 };

    if (argc < 3 || !rules) {
        fprintf(stderr, "usage: quality NAME FILE...\n");
        return 2;
    }
    for (int i = 2; i < argc; i++)
        judge(&sums, rules, argv[i]);
    text_rules_free(rules);
    if (sums.texts == 0) {
        fprintf(stderr, "quality: %s: no text of %d sentences or more\n",
                argv[1], SENTENCES_MIN);
        return 1;
    }
    print(argv[1], &sums);
    return 0;
}
