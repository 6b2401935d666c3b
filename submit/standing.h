/*
 * standing.h - how far a batch is, and how it ended
 *
 * Reads the counts of a status, waits for the end with a progress line, and
 * says which exit code the end deserves.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_STANDING_H
#define SUBMIT_STANDING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "queue/wire.h"
#include "submit/command.h"

struct standing {
    char state[SHEAF_STATE_BYTES];
    int64_t drafts, refused, done, ok, cancelled, joined, cached;
    int64_t stage; /* of the slowest call in flight, and how many are in it */
    int64_t slow;
    bool is_stalled; /* it can go nowhere until somebody resumes an upstream */
};

/* Reads a status. E_PROTOCOL. */
int standing_read(struct standing *standing, const struct wire *status,
                  struct err *err);

/* Drafts that ended with neither an answer nor a cancel. */
int64_t standing_fallbacks(const struct standing *standing);

/* True if nothing more will happen to the batch by itself. */
bool standing_is_over(const struct standing *standing);

/* 0, or EXIT_FLAWED: not every draft has an answer. */
int standing_exit_code(const struct standing *standing, bool fallback_ok);

/* Waits until the batch is over, or stalled, which it says with the reason; end_ms
 * is on the monotonic clock, below 0: never. Shows progress. *status is for the
 * caller to end. E_TIMEOUT. */
int standing_wait(struct command *command, const char *batch, int64_t end_ms,
                  struct wire *status, struct standing *standing,
                  struct err *err);

/* Appends "998 ok, 2 server_error, 1 refused": the counts that are not 0. */
void standing_text(const struct wire *status, struct buf *out);

#endif
