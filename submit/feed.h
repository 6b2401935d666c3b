/*
 * feed.h - brings the drafts of an input into a batch
 *
 * Opens the batch, or finds it again; leaves out what it has already; sends the
 * rest and seals it. Every draft that is refused, here or by the broker, is
 * reported on standard error with its file and line, also when it was refused
 * in an earlier attempt.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_FEED_H
#define SUBMIT_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "submit/command.h"
#include "submit/input.h"
#include "submit/sheaf.h"
#include "submit/submission.h"

struct feed {
    struct command *command; /* borrowed, as are all three */
    struct input *input;
    const struct submission *submission;
    char batch[SHEAF_UUID_BYTES];
    char state[SHEAF_STATE_BYTES];
    struct sheaf_tally tally;
    int64_t drafts;  /* of the whole input */
    int64_t refused; /* of them, here or by the broker */
    bool is_quiet;   /* report no refusals: it was done before */
};

/* Feeds the whole input, from its beginning. On failure `batch` is set if it
 * was opened: it stays open, and the same can be done again. E_CONFLICT: the
 * batch of this key was made of another input. */
int feed_run(struct feed *feed, struct err *err);

/* Reports one draft that is refused. */
void feed_report(struct command *command, const struct input *input,
                 const struct sheaf_refusal *refusal);

#endif
