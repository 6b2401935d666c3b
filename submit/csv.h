/*
 * csv.h - result lines as a table
 *
 * By RFC 4180: a header row, CRLF at the end of rows, fields in quotes where
 * they must be, quotes doubled. The columns are fixed: those of a result line
 * in their order, nested names joined by `_`, metadata as one column of JSON.
 * null is an empty field.
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_CSV_H
#define SUBMIT_CSV_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

/* Appends the header row. */
void csv_header(struct buf *out);

/* Appends one result line (parsed) as a row. E_INVALID if it is no object. */
int csv_row(const struct json_doc *doc, struct buf *out, struct err *err);

/* Appends one field, in quotes where it must be. */
void csv_field(struct slice text, struct buf *out);

#endif
