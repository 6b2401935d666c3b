/*
 * body.h - the body of the request that a draft becomes
 *
 * It is made of tokens of the draft and of its batch's options, byte for byte
 * as they came; nothing is decoded and encoded again. A goal-and-text draft
 * becomes a chat completion:
 *
 *   system    the system message, or the default one; the goal; the constraints
 *   user      the text alone
 *
 * The common part stands first, so that requests of a group share the beginning
 * of their prompts. An OpenAI batch line's body is sent as it is.
 *
 * Its members are listed once, and written in one of two forms: as they are
 * sent, or canonically (members sorted, blanks dropped, strings and numbers
 * verbatim), by which requests are told apart. Neither is read again.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_BODY_H
#define QUEUE_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"
#include "queue/line.h"

/* What a body is made of. All borrowed. */
struct body_terms {
    const struct line *line, *options;
    const char *model; /* of a draft that names none; NULL: it goes without */
    int64_t limit;     /* of an answer, in tokens, if its draft names none; 0 */
    bool is_enlarged;  /* it was cut off, and gets twice the room */
};

/* The members of a body. Zero-initialised is valid; reused for many bodies. */
struct body {
    struct body_terms terms; /* private, as is the rest */
    struct body_member *members, *sorted;
    size_t count, capacity;
    size_t sent_count; /* as they are sent, what is merged in is no member */
};

/* Frees the list; it is empty and valid again. */
void body_fini(struct body *body);

/* Lists the members of a body, and returns how many tokens its JSON has: each
 * line was read, but together they may have more than JSON_TOKEN_MAX. The lines
 * must stay for as long as the list is used. */
size_t body_list(struct body *body, const struct body_terms *terms);

/* Appends the body as it is sent. */
void body_write(const struct body *body, struct buf *out);

/* Appends the canonical form. *text_at becomes the place in `out` where the
 * token of a draft's text begins; it is not changed if there is no text. */
void body_write_canonical(struct body *body, struct buf *out, size_t *text_at);

/* How many tokens an answer may have at an upstream (NULL: none is asked) if
 * its draft names no limit, under any name: the upstream's limit. 0: there is
 * none, or the draft names one. */
int64_t body_limit(const struct line *line, const struct line *options,
                   const struct conf_upstream *upstream);

/* What a draft itself allows for an answer; 0: it does not say. */
int64_t body_answer_tokens(const struct line *line, const struct line *options);

#endif
