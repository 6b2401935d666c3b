/*
 * format.h - result lines in the form that was asked for
 *
 *   jsonl   as they come from the broker
 *   csv     a table, see csv.h
 *   text    for people: a line with the id and the status, then the answer, or
 *           the essence if there is none
 *   openai  as they come, too: the broker was asked for lines as in the output
 *           and error files of OpenAI's batch API
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_FORMAT_H
#define SUBMIT_FORMAT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "submit/options.h"

struct format {
    enum options_format kind;
    struct json_doc doc;
    struct buf text;
};

/* Starts; zero-initialised with a kind is valid. Ended with format_fini(). */
void format_init(struct format *format, enum options_format kind);
void format_fini(struct format *format);

/* Appends what stands before the first line. */
void format_begin(struct format *format, struct buf *out);

/* Appends a page of result lines, each with its newline. E_PROTOCOL: one of
 * them is no result. */
int format_lines(struct format *format, struct slice lines, struct buf *out,
                 struct err *err);

#endif
