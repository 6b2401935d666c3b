/*
 * progress.h - how far it is, on one line of the terminal
 *
 *   [=========>          ]  4990/11873  42%  38/s  3 min left  cached 100 …
 *
 * On a terminal the line is drawn over itself at most five times a second;
 * elsewhere, if wanted, plain lines come at most every ten seconds, and when a
 * call enters a later stage of latency: trying, still trying, slow, degraded. It
 * goes to
 * standard error, and only numbers are shown, nothing that somebody else wrote.
 * Drawing is separate from writing, and the time is passed in.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_PROGRESS_H
#define SUBMIT_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define PROGRESS_LOG_MS 10000 /* between plain lines */
#define PROGRESS_STAGES 5     /* of latency, in time included */

enum progress_when { PROGRESS_AUTO, PROGRESS_ALWAYS, PROGRESS_NEVER };

/* What is known of a batch. */
struct progress_counts {
    int64_t total; /* drafts that will have a result; 0: not known yet */
    int64_t done;
    int64_t cached, joined, fallbacks;
    int64_t stage; /* of the slowest call in flight; 0: none is slow */
    int64_t slow;  /* calls in that stage */
};

struct progress {
    bool is_shown, is_terminal, is_plain; /* is_plain: no colours */
    int64_t start_ms, start_done;         /* where the rate is counted from */
    int64_t drawn_ms;
    int64_t stage; /* that was drawn last */
    bool is_begun, is_drawn;
};

/* What calls in a stage are called; "" for those in time. */
const char *progress_stage(int64_t stage);

/* Looks at standard error and the environment (NO_COLOR, TERM). */
void progress_init(struct progress *progress, enum progress_when when);

/* Shows the counts, unless it did so a moment ago. */
void progress_show(struct progress *progress,
                   const struct progress_counts *counts, int64_t now_ms);

/* True if progress_show() would draw now. */
bool progress_is_due(const struct progress *progress, int64_t now_ms);

/* Takes the line away, before something else is written to the terminal. */
void progress_clear(struct progress *progress);

/* Appends the line as it would be shown, at most `columns` wide. */
void progress_draw(const struct progress *progress,
                   const struct progress_counts *counts, int64_t now_ms,
                   size_t columns, struct buf *out);

#endif
