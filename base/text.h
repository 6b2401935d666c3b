/*
 * text.h - text by the rules of Unicode
 *
 * Words, sentences, case and classes of code points, for every script: ICU's
 * rules and its dictionaries (Chinese, Japanese, Thai and their like) say where
 * a word ends. Nothing here depends on the locale of the process. Bytes that
 * are no UTF-8 count as U+FFFD, as in utf8.h; they never stop a walk.
 *
 * A walk lends slices of the text it walks over, which must stay in place until
 * it ends. A struct text_rules holds one walk over words and one over sentences
 * at a time, so a sentence's words may be walked inside a walk over sentences.
 * Threads: none; rules belong to one loop.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define TEXT_BYTES_MAX ((size_t)1 << 30) /* a walk sees no more of a text */

struct text_rules;

/* Opens the rules: costs milliseconds, so once per process. NULL with E_IO in
 * err if ICU's data cannot be read. The caller frees with text_rules_free(). */
struct text_rules *text_rules_new(struct err *err);

/* Frees the rules; NULL is fine. */
void text_rules_free(struct text_rules *rules);

/* Starts a walk over the words of the text and ends the one before. */
void text_words_begin(struct text_rules *rules, struct slice text);

/* The next word: a segment with a letter or a digit in it, always valid UTF-8.
 * False at the end. */
bool text_word_next(struct text_rules *rules, struct slice *word);

/* Starts a walk over the sentences of the text and ends the one before. */
void text_sentences_begin(struct text_rules *rules, struct slice text);

/* The next sentence without the blanks around it; never empty. A line break
 * ends a sentence. False at the end. */
bool text_sentence_next(struct text_rules *rules, struct slice *sentence);

/* Puts the text with its case folded into `out`, in place of its content: at
 * most the first TEXT_BYTES_MAX / 8 bytes, valid UTF-8 in any case. */
void text_fold(struct text_rules *rules, struct slice text, struct buf *out);

/* The text without the blanks and control characters around it. */
struct slice text_trim(struct slice text);

/* Classes of code points. A letter is anything alphabetic, an ideograph too; a
 * blank is white space or a control character; a symbol is a picture such as an
 * emoji; wide ones are Han, kana and their punctuation, which need no spaces;
 * unspaced ones are of scripts that end a sentence with a space (Thai). */
bool text_is_letter(int32_t c);
bool text_is_digit(int32_t c);
bool text_is_upper(int32_t c);
bool text_is_lower(int32_t c);
bool text_is_blank(int32_t c);
bool text_is_symbol(int32_t c);
bool text_is_wide(int32_t c);
bool text_is_unspaced(int32_t c);

/* True if the text ends as a sentence does: full stop, question mark or their
 * like in any script, closing quotes and brackets behind it allowed. */
bool text_is_closed(struct slice text);

#endif
