/*
 * summary_score.h - how well a summary stands for its text, as numbers
 *
 * Both measures look at content words: case folded, without stop words and words
 * of one letter, cut to STEM_CHARS code points so that forms of a word meet.
 *
 * The divergence of Jensen and Shannon, in bits, between the shares that words
 * have in the text and in the summary: 0 if they are the same, 1 if they have no
 * word in common. It needs no summary by a person, and agrees with people's
 * ranking of summaries (Louis and Nenkova, Computational Linguistics 39(2),
 * 2013).
 *
 * The recall of a headline that a person wrote: the share of its words that are
 * in the summary (ROUGE-1 recall, Lin 2004).
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUMMARY_SCORE_H
#define TESTS_SUMMARY_SCORE_H

#include "base/buf.h"
#include "base/text.h"

#define STEM_CHARS 6

/* From 0 to 1, the less the better. 1 if one of them has no content word. */
double summary_divergence(struct text_rules *rules, struct slice text,
                          struct slice summary);

/* From 0 to 1, the more the better. 0 if the headline has no content word. */
double summary_recall(struct text_rules *rules, struct slice headline,
                      struct slice summary);

/* Adds the first `count` sentences of a text, with spaces between them: what a
 * summary has to be better than. Headings and the like are passed over, as the
 * sampler does. */
void summary_lead(struct text_rules *rules, struct slice text, size_t count,
                  struct buf *out);

#endif
