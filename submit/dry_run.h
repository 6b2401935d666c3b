/*
 * dry_run.h - what a submission would do
 *
 * Sends the drafts to be checked, not stored, and adds up what the broker says
 * of them: how many would be taken, how many upstream calls they would cost
 * after what is the same or known already, and how large they are.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_DRY_RUN_H
#define SUBMIT_DRY_RUN_H

#include "base/err.h"
#include "submit/command.h"
#include "submit/input.h"
#include "submit/submission.h"

/* Beyond so many different requests, their number is a lower bound. */
#define DRY_RUN_KEYS_MAX ((size_t)1 << 22)

/* Connects, checks the whole input, reports what is refused, and prints the
 * sums. The exit code, or an error. */
int dry_run(struct command *command, struct input *input,
            const struct submission *submission, struct err *err);

#endif
