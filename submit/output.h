/*
 * output.h - where data goes: standard output, or a file that appears whole
 *
 * A file is written beside its final name and renamed when it is complete and
 * on the disk, so that nobody ever sees half of it, and what was there before
 * stays until then. What is no regular file (a pipe, a device) is written to
 * directly; a link stays one, and has to lead somewhere.
 *
 * On a terminal, control characters of the data are written as \u00XX, which
 * in JSON means the same.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_OUTPUT_H
#define SUBMIT_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"

struct output {
    FILE *file;
    char *path;       /* the final name; NULL: none, or written to directly */
    char *beside;     /* the temporary name */
    const char *name; /* for messages; borrowed */
    bool is_terminal;
    struct buf shown;    /* what was escaped */
    size_t behind_bytes; /* written since the disk was last set to work */
};

/* Opens `path`; NULL, or `-`, is standard output. E_IO. Ended with output_fini(). */
int output_open(struct output *output, const char *path, struct err *err);

/* Adds data. E_IO. */
int output_write(struct output *output, struct slice data, struct err *err);

/* Writes out what is buffered, so that a reader has it; a regular file's bytes
 * are on the disk then. E_IO. */
int output_flush(struct output *output, struct err *err);

/* Flushes, and gives a file its final name. E_IO. */
int output_commit(struct output *output, struct err *err);

/* Drops what was not committed. An output that was not opened is fine. */
void output_fini(struct output *output);

/* Replaces the file at `path` with `data`, beside and by rename. E_IO. */
int output_replace(const char *path, struct slice data, struct err *err);

/* Appends text with control characters (but newlines and tabs) escaped. */
void output_escape(struct slice text, struct buf *out);

/* The same for what must stay on one line: newlines and tabs too. */
void output_escape_line(struct slice text, struct buf *out);

#endif
