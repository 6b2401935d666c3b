/*
 * outcome.h - how far a batch is, and how it ended
 *
 * Reads the counts of a status, waits for the end with a progress line, and
 * says which exit code the end deserves.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_OUTCOME_H
#define SUBMIT_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "queue/wire.h"
#include "submit/command.h"

struct outcome {
    char state[SHEAF_STATE_BYTES];
    int64_t drafts, refused, done, ok, cancelled, joined, cached;
};

/* Reads a status. E_PROTOCOL. */
int outcome_read(struct outcome *outcome, const struct wire *status,
                 struct err *err);

/* Drafts that ended with neither an answer nor a cancel. */
int64_t outcome_fallbacks(const struct outcome *outcome);

/* True if nothing more will happen to the batch by itself. */
bool outcome_is_over(const struct outcome *outcome);

/* 0, or EXIT_FLAWED: not every draft has an answer. */
int outcome_exit_code(const struct outcome *outcome, bool fallback_ok);

/* Waits until the batch is over; end_ms is on the monotonic clock, below 0:
 * never. Shows progress. *status is for the caller to end. E_TIMEOUT. */
int outcome_wait(struct command *command, const char *batch, int64_t end_ms,
                 struct wire *status, struct outcome *outcome, struct err *err);

/* Appends "998 ok, 2 server_error, 1 refused": the counts that are not 0. */
void outcome_text(const struct wire *status, struct buf *out);

#endif
