/*
 * stored.h - whether a batch was made of the drafts that are at hand
 *
 * A key finds the batch that was submitted under it before. Line by line, the
 * drafts are held against the digests of the chunks that the broker has, however
 * they were cut.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_STORED_H
#define SUBMIT_STORED_H

#include "base/digest.h"
#include "base/json.h"
#include "submit/pages.h"

struct stored {
    struct pages pages; /* of chunks */
    struct json_doc doc;
    struct buf hex;
    struct digest *digest; /* of the lines of the chunk so far */
    unsigned char wanted[DIGEST_BYTES];
    int64_t left; /* lines of the chunk that are still to come */
};

/* Starts with the first draft. The batch's string stays the caller's. Ended
 * with stored_fini(). */
void stored_init(struct stored *stored, struct sheaf *sheaf, const char *batch);
void stored_fini(struct stored *stored);

/* Takes the line of the next draft, as it was sent: empty if it was refused
 * here. 1 if the batch was made of others: this one, or one of its chunk. */
int stored_take(struct stored *stored, struct slice line, struct err *err);

#endif
