/*
 * lines.h - cuts a stream of bytes into the lines of a JSON Lines file
 *
 * What people's editors and tools do to a file is no error here: a byte-order
 * mark at the beginning, CRLF for the end of a line, blank lines, a last line
 * without its end. Blank lines are passed over but counted, so that a number
 * is the one an editor shows.
 *
 * Memory is bounded by the longest line that is taken; a longer one is reported
 * as such and its bytes are dropped. How the stream was cut into pieces makes
 * no difference.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_LINES_H
#define SUBMIT_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct lines {
    size_t bytes_max; /* of a line that is taken, without its end */
    struct buf text;  /* of the line that is being read; private, as below */
    int64_t number;   /* of the last line that was begun, from 1 */
    bool is_begun, is_blank, is_long, is_done;
};

/* A line that is not blank. */
struct lines_line {
    struct slice text; /* lent until the next call; empty if it is too long */
    int64_t number;
    bool is_long;
};

/* Starts a stream. Ended with lines_fini(). */
void lines_init(struct lines *lines, size_t bytes_max);
void lines_fini(struct lines *lines);

/* Takes bytes off the front of `piece` up to the end of a line. True and *line
 * if there is one; false: all was taken, more is wanted. */
bool lines_next(struct lines *lines, struct slice *piece,
                struct lines_line *line);

/* Says that the stream is over. True and *line if there was a last line without
 * its end. */
bool lines_end(struct lines *lines, struct lines_line *line);

#endif
