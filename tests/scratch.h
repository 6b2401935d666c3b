/*
 * scratch.h - a directory for one test, gone with everything in it afterwards
 */
/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#define SCRATCH_PATH_BYTES 256

struct scratch {
    char path[SCRATCH_PATH_BYTES];
};

/* Makes one (0700), under $TMPDIR or /tmp; removes it and what is in it. */
struct scratch scratch_make(void);
void scratch_remove(const struct scratch *scratch);

/* The path of a file in it; the caller frees it. */
char *scratch_path(const struct scratch *scratch, const char *leaf);

#endif
