/*
 * utf8.h - code points as bytes
 *
 * Where one ends and the next begins, and whether they are well-formed: what
 * programs need that know nothing else of text (text.h). Bytes that are no
 * UTF-8 count as U+FFFD, one for each ill-formed sequence, as Unicode advises.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define UTF8_END         (-1)
#define UTF8_REPLACEMENT 0xFFFD

/* The number of code points. */
size_t utf8_count(struct slice text);

/* True if the bytes are well-formed. */
bool utf8_is_valid(struct slice text);

/* The longest beginning of at most `bytes_max` bytes that splits no code
 * point. */
struct slice utf8_cut(struct slice text, size_t bytes_max);

/* Takes the first, or the last, code point off the rest. UTF8_END if nothing is
 * left. */
int32_t utf8_next(struct slice *rest);
int32_t utf8_previous(struct slice *rest);

/* The first and the last code point; UTF8_END if the text is empty. */
int32_t utf8_first(struct slice text);
int32_t utf8_last(struct slice text);

/* Adds a code point. */
void utf8_add(struct buf *buf, int32_t c);

#endif
