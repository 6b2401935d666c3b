/*
 * terms.h - what sentences are about, as numbers
 *
 * A row per sentence: its terms, weighed by how often they occur in it and how
 * rare they are among the rows (TF-IDF), as a vector of length 1. Two rows are
 * as alike as their product: 0 with nothing in common, 1 for the same terms. A
 * term is the beginning of a folded word that is no stop word, so that forms of
 * a word meet; where a text has hardly any words, pairs of letters.
 *
 * Memory grows with the number of different terms and rows, never with the
 * square of it. Ownership: the table owns everything in it.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_TERMS_H
#define WORKER_TERMS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/text.h"

enum terms_kind { TERMS_WORDS, TERMS_PAIRS };

struct terms;

/* An empty table. `languages`: whose stop words to pass over. The caller frees
 * it with terms_free(). */
struct terms *terms_new(struct text_rules *rules, enum terms_kind kind,
                        unsigned languages);

/* Frees the table; NULL is fine. */
void terms_free(struct terms *terms);

/* Adds a row and returns how many terms it has. Not after terms_weigh(). Ends a
 * walk over words. */
size_t terms_add(struct terms *terms, struct slice sentence);

/* Turns counts into weights: all rows are known. */
void terms_weigh(struct terms *terms);

/* Puts the likeness of each row to the text into `likeness`, one number per
 * row. Words that no row has count for nothing. Ends a walk over words. */
void terms_compare(struct terms *terms, struct slice text, double *likeness);

/* Puts the likeness of each row to row `index` into `likeness`. */
void terms_compare_row(struct terms *terms, size_t index, double *likeness);

/* Puts into `rank`, one number per row, how central each row is: a row is
 * central if rows that are central are like it. The largest is 1. */
void terms_rank(struct terms *terms, double *rank);

#endif
