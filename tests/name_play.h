/*
 * name_play.h - drafts that are only ids, and the runs of names they come to
 *
 * A failure is that of the test.
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_NAME_PLAY_H
#define TESTS_NAME_PLAY_H

#include "store/rows.h"
#include "tests/store_play.h"

#define ID_BYTES   48  /* of an id, its NUL included */
#define DRAFTS_MAX 512 /* of a chunk */

/* The index of the draft with an id; -1: there is none, -2: it cannot be told. */
int64_t name_play_index(struct play *play, uint64_t batch, const char *id);

/* Adds a chunk of ids, separated by blanks; "-" is refused. Returns a letter for
 * each: n new, d a duplicate, - refused. There until the next call. */
const char *name_play_add(struct play *play, uint64_t batch, const char *ids);

/* The stem of an id of the form BEFORE NUMBER, as FORMAT.md has it. */
uint64_t name_play_stem(const char *before, unsigned char digits);

/* The row of names in which a number is. */
struct run name_play_row(struct play *play, uint64_t batch, uint64_t stem,
                         uint64_t number);

#endif
