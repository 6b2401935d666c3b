/*
 * input.h - the drafts of the files named on the command line
 *
 * Reads one file after the other, each as JSON Lines or as one text, and hands
 * out drafts as the lines that the broker will get. A name that ends in .jsonl
 * or .ndjson, or a first byte (after a byte-order mark and blanks) of `{`, makes
 * JSON Lines; any other file is one draft whose id is its path as given. "-" is
 * standard input.
 *
 * What cannot be a draft (a line or file that is too long, a file that cannot
 * be read or is not text) is handed out too, refused: it takes an index, and
 * the rest goes on. Memory is bounded by the longest line that is taken.
 *
 * Standard input and pipes can be read only once; input_spool() copies them, so
 * that the whole can be read again.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_INPUT_H
#define SUBMIT_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "submit/lines.h"

#define INPUT_STDIN        "-"
#define INPUT_FILES_MAX    ((size_t)1 << 23)
#define INPUT_PIECE_BYTES  65536
#define INPUT_REASON_BYTES 256

enum input_kind { INPUT_AUTO, INPUT_JSONL, INPUT_OPENAI, INPUT_TEXT };

struct input {
    char *const *paths; /* borrowed from the caller */
    size_t path_count;
    enum input_kind kind;
    size_t line_bytes_max;

    size_t next;        /* index of the file to be opened next */
    int fd;             /* of the file that is open; -1: none */
    int stop_fd;        /* see input_stop_at(); borrowed */
    bool is_stopped;    /* there was something to read at that */
    int *spools;        /* for each file, its copy; -1: none */
    struct lines lines; /* of the file that is open */
    struct slice piece; /* not yet consumed part of the buffer */
    char *buffer;       /* INPUT_PIECE_BYTES of them */
    bool is_at_end;     /* of the file that is open */
    struct buf text;
    char reason[INPUT_REASON_BYTES];
};

/* One draft. Lent until the next call. */
struct input_draft {
    struct slice line;  /* empty if it was refused */
    uint64_t place;     /* names file and line; see input_place_text() */
    const char *field;  /* of a refused one: what it is about, */
    const char *code;   /* the word of the protocol for it, NULL otherwise, */
    const char *reason; /* and a sentence */
};

/* Starts at the first file. At most INPUT_FILES_MAX of them. Ended with
 * input_fini(). */
void input_init(struct input *input, char *const *paths, size_t path_count,
                enum input_kind kind);
void input_fini(struct input *input);

/* Sets the longest line that is taken; called once before input_next(). */
void input_limit(struct input *input, size_t line_bytes_max);

/* Reads nothing more once there is something to read at another descriptor, even
 * where the input is waited for; -1, as from the start: goes on in any case. */
void input_stop_at(struct input *input, int stop_fd);

/* The next draft: 0, 1 at the end, or SHEAF_E_STOPPED. */
int input_next(struct input *input, struct input_draft *draft);

/* Copies whatever can be read only once (standard input, pipes) to unlinked
 * temporary files, so that the input can be read again. E_IO. */
int input_spool(struct input *input, struct err *err);

/* Starts again at the first file. For an input that was spooled. */
void input_rewind(struct input *input);

/* Appends where a place is: "FILE:LINE", or "FILE" for a text. */
void input_place_text(const struct input *input, uint64_t place,
                      struct buf *out);

/* The parts of a place: the path, and the line or 0. */
const char *input_place_path(const struct input *input, uint64_t place);
int64_t input_place_line(uint64_t place);

#endif
