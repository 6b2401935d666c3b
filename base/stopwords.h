/*
 * stopwords.h - the words that say nothing about a text
 *
 * Articles, prepositions, particles and auxiliaries of the commonest languages,
 * one list per language, because one language's article is another's noun
 * (German `war`, English `war`). Which lists apply to a text is guessed from
 * the text itself. Words are compared after case folding (text_fold()).
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_STOPWORDS_H
#define BASE_STOPWORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/text.h"

#define STOPWORDS_ALL             (~0U) /* every language */
#define STOPWORDS_GUESS_WORDS_MAX 1000  /* a guess reads no more words */

/* The languages a text may be in, as a set of bits: those whose stop words it
 * uses most. STOPWORDS_ALL if it uses none. Ends a walk over words. */
unsigned stopwords_guess(struct text_rules *rules, struct slice text);

/* True if the folded word is a stop word of one of these languages, or put
 * together from such with apostrophes (`it's`, `qu'un`). */
bool stopwords_has(unsigned languages, struct slice word);

/* The list of the language with this bit number, sorted by bytes, and how many
 * words it has. NULL behind the last language. */
const char *const *stopwords_list(unsigned language, size_t *count);

#endif
