/*
 * filer.h - a client that makes batches from files
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SIM_FILER_H
#define TESTS_SIM_FILER_H

#include "store/file.h"
#include "store/filing.h"
#include "tests/sim/clients.h"
#include "tests/sim/dice.h"

#define WORLD_ROUNDS 32 /* at most */

struct world;

/* One of its files, and the batch that is made from it. Its plan is the one behind
 * those of the others, for all rounds. */
struct filer_round {
    char *content;
    size_t bytes;
    int line_count;
    int texts[WORLD_DRAFTS]; /* of each line */
    bool has_bad;            /* a line is: it must fail */
    bool was_deleted;        /* the file's deletion was asked for */
    char file[WORLD_UUID_BYTES], batch[WORLD_UUID_BYTES]; /* once known */
    size_t received;    /* bytes, as was acknowledged */
    bool is_stored;     /* this too */
    int64_t created_ms; /* of the file, as it was told */
    /* the files that webhooks were told of last */
    unsigned char told[FILING_SIDES][FILE_UUID_BYTES];
};

struct filer {
    bool is_on; /* in some histories */
    struct wire_link link;
    struct dice dice; /* its own: the others' fate does not hang on it */
    int64_t re, open_re, forged_re, look_re, batch_re;
    int round; /* at which it is */
    struct filer_round rounds[WORLD_ROUNDS];
};

void filer_begin(struct world *world);
void filer_act(struct world *world);
void filer_read(struct world *world);
void filer_finish(struct world *world); /* calm */
bool filer_is_done(struct world *world);
void filer_free(struct world *world);

/* True if a file of that time may have expired. */
bool filer_may_expire(const struct world *world, int64_t since_ms);

/* The round whose key a batch has; NULL: it is none of the filer's. */
struct filer_round *filer_round_of(struct world *world, uint64_t batch);

#endif
