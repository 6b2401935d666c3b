/*
 * sampler.h - the upstream `local`: a summary without a network
 *
 * The sampler answers by quoting. It takes the text apart into sentences,
 * scores each by how central it is to the text and how near to the goal, drops
 * what repeats what is already there, and gives the best ones in the order of
 * the text. Every sentence of the answer is a sentence of the text, its white
 * space folded; the limits that the instruction states hold, all at once. The
 * same input always gives the same answer, in any script.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_SAMPLER_H
#define WORKER_SAMPLER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "worker/document.h"

#define SAMPLER_CHOSEN_MAX 100 /* sentences in one answer */
#define SAMPLER_SENTENCES  3   /* unless the instruction says otherwise */
#define SAMPLER_WORDS      120

/* Adds a summary of the text to `out`. `instruction` is the system message: the
 * goal and the limits (see limits.h). A single sentence above a limit is cut at
 * a word, ` …` counted; a text without any sentence gives its first lines.
 * E_INVALID: nothing in the text can be quoted. Ends all walks of the rules. */
int sampler_run(struct text_rules *rules, struct slice text,
                struct slice instruction, struct buf *out, struct err *err)
    __attribute__((warn_unused_result));

#endif
