/*
 * document.h - a text as the sentences it is made of
 *
 * Lines become blocks (a blank line, a rule or a list item starts a new one),
 * a block's lines are joined again, and Unicode's rules split it. What is left
 * are sentences, and beside them lines that are none: headings, captions, list
 * items without a full stop, numbering. A document whose text has no sentence
 * at all keeps its first lines instead, so that there is something to say.
 *
 * White space is folded to single spaces (to nothing between the lines of
 * Chinese and Japanese), ill-formed bytes become U+FFFD.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_DOCUMENT_H
#define WORKER_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/text.h"

#define DOCUMENT_BYTES_MAX     (8U << 20) /* of the text; the rest is unseen */
#define DOCUMENT_SENTENCES_MAX 1000       /* the first ones are kept */
#define DOCUMENT_LINES_MAX     16         /* kept where there is no sentence */

struct sentence {
    size_t offset; /* in the document's text */
    size_t bytes;
    size_t words;      /* by Unicode or between blanks, whichever is more */
    size_t characters; /* code points */
    size_t parts;      /* sentences by Unicode's rules: `Dr.` ends one */
    size_t block;      /* which block it stands in */
};

struct document {
    struct buf text;
    struct sentence *sentences;
    size_t count;
    bool has_sentences; /* false: `sentences` holds lines */
};

/* Takes a text apart. The caller ends with document_fini(). Ends all walks of
 * the rules. */
void document_init(struct document *document, struct text_rules *rules,
                   struct slice text);

/* Frees what the document holds. */
void document_fini(struct document *document);

/* The text of a sentence, borrowed from the document. */
struct slice document_sentence(const struct document *document, size_t index);

/* Words and code points of a piece of text, as a sentence has them. Ends a walk
 * over words. */
void document_measure(struct text_rules *rules, struct slice text,
                      struct sentence *sentence);

#endif
