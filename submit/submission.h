/*
 * submission.h - the batch that the command line describes
 *
 * Turns options into what opens a batch: the members that all drafts share, as
 * one JSON object in a fixed order (so that the same options give the same
 * bytes), the metadata, the times.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_SUBMISSION_H
#define SUBMIT_SUBMISSION_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "submit/options.h"
#include "submit/sheaf.h"

struct submission {
    struct sheaf_submission sheaf; /* its texts are owned below, or borrowed
                                    * from the options */
    struct buf options;
    struct buf metadata;
    struct buf client;
    struct buf key;
};

/* Reads the options; `now_ms` is what "+2h" counts from. E_USAGE. The key is
 * that of the options, or empty. Ended with submission_fini(), also after an
 * error. */
int submission_init(struct submission *submission,
                    const struct options *options, int64_t now_ms,
                    struct err *err);
void submission_fini(struct submission *submission);

/* Gives it a key. */
void submission_set_key(struct submission *submission, const char *key);

#endif
