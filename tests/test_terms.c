/* SPDX-License-Identifier: MIT */
#include "worker/terms.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/stopwords.h"

#define ROWS_MAX 40
#define NEAR     1e-9

static struct text_rules *
open_rules(void)
{
    struct text_rules *rules = text_rules_new(NULL);

    cr_assert_not_null(rules);
    return rules;
}

static struct terms *
fill(struct text_rules *rules, enum terms_kind kind, const char *const *rows,
     size_t count)
{
    struct terms *terms = terms_new(rules, kind, STOPWORDS_ALL);

    for (size_t i = 0; i < count; i++)
        terms_add(terms, slice_of(rows[i]));
    terms_weigh(terms);
    return terms;
}

Test(terms, tell_how_alike_rows_are)
{
    static const char *const rows[] = {
        "The river flooded old bridges",
        "OLD BRIDGE, flooded by the rivers",
        "A river was frozen",
        "Parliament votes tomorrow",
        "of the and",
    };
    struct text_rules *rules = open_rules();
    struct terms *terms = fill(rules, TERMS_WORDS, rows, 5);
    double likeness[5];

    terms_compare_row(terms, 0, likeness);
    cr_expect(fabs(likeness[0] - 1) < NEAR, "got %f", likeness[0]);
    cr_expect(fabs(likeness[1] - 1) < NEAR, "got %f", likeness[1]);
    cr_expect(likeness[2] > 0.05, "got %f", likeness[2]);
    cr_expect(likeness[2] < 0.6, "got %f", likeness[2]);
    cr_expect_eq(likeness[3], 0);
    cr_expect_eq(likeness[4], 0);
    terms_free(terms);
    text_rules_free(rules);
}

Test(terms, that_are_rare_weigh_more)
{
    static const char *const rows[] = { "river flood", "river harvest",
                                        "river parliament", "harvest winter" };
    struct text_rules *rules = open_rules();
    struct terms *terms = fill(rules, TERMS_WORDS, rows, 4);
    double likeness[4];

    terms_compare_row(terms, 1, likeness);
    cr_assert(likeness[3] > likeness[0], "%f, %f", likeness[3], likeness[0]);
    terms_compare(terms, slice_of("a Flood? Unknown!"), likeness);
    cr_assert_gt(likeness[0], 0.5);
    cr_assert_eq(likeness[1], 0);
    terms_compare(terms, slice_of("unknown"), likeness);
    cr_assert_eq(likeness[0], 0);
    terms_free(terms);
    text_rules_free(rules);
}

Test(terms, may_be_pairs_of_letters)
{
    static const char *const rows[] = { "ཀཁགང", "ཁགང་ཅ", "ཇཉཏ", "x" };
    struct text_rules *rules = open_rules();
    struct terms *terms = fill(rules, TERMS_PAIRS, rows, 4);
    double likeness[4];

    terms_compare_row(terms, 0, likeness);
    cr_expect_gt(likeness[1], 0.3);
    cr_expect_eq(likeness[2], 0);
    cr_expect_eq(likeness[3], 0);
    terms_free(terms);
    text_rules_free(rules);
}

/* The rank by the book: with a matrix of all pairs. */
static void
rank_naively(struct terms *terms, size_t rows, double *rank)
{
    double alike[ROWS_MAX][ROWS_MAX], degrees[ROWS_MAX] = { 0 }, next[ROWS_MAX],
                                      most = 0;

    for (size_t i = 0; i < rows; i++) {
        terms_compare_row(terms, i, alike[i]);
        alike[i][i] = 0;
        rank[i] = 1;
        for (size_t j = 0; j < rows; j++)
            degrees[i] += alike[i][j];
    }
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < rows; i++) {
            next[i] = 0.15;
            for (size_t j = 0; j < rows; j++) {
                if (degrees[j] > NEAR)
                    next[i] += 0.85 * rank[j] * alike[j][i] / degrees[j];
            }
        }
        for (size_t i = 0; i < rows; i++)
            rank[i] = next[i];
    }
    for (size_t i = 0; i < rows; i++)
        most = fmax(most, rank[i]);
    for (size_t i = 0; i < rows; i++)
        rank[i] /= most;
}

Test(terms, rank_rows_as_a_matrix_of_all_pairs_would)
{
    struct text_rules *rules = open_rules();
    struct buf row = { 0 };

    srand(6);
    for (int round = 0; round < 50; round++) {
        struct terms *terms = terms_new(rules, TERMS_WORDS, STOPWORDS_ALL);
        size_t rows = 1 + (size_t)rand() % ROWS_MAX;
        double got[ROWS_MAX], want[ROWS_MAX];

        for (size_t i = 0; i < rows; i++) {
            buf_reset(&row);
            buf_reserve(&row, 0);
            for (int n = rand() % 8; n > 0; n--)
                buf_addf(&row, "%dx ", rand() % 30);
            terms_add(terms, buf_slice(&row));
        }
        terms_weigh(terms);
        rank_naively(terms, rows, want);
        terms_rank(terms, got);
        for (size_t i = 0; i < rows; i++)
            cr_assert(fabs(got[i] - want[i]) < 1e-6, "%zu: got %f, want %f", i,
                      got[i], want[i]);
        terms_free(terms);
    }
    buf_fini(&row);
    text_rules_free(rules);
}
