/*
 * filing.h - batches that are made from files, and end in files
 *
 * filing.c opens them, tells of them and lets their phases change, reading.c
 * reads and checks the file in slices, making.c makes the two files that a batch
 * ends in, in slices too. openai_line.c has the form of their lines.
 */
/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_FILING_H
#define QUEUE_FILING_H

#include "queue/files.h"
#include "store/filing.h"

#define FILING_WAIT_MS 1000 /* before it is looked for room again */

/* ---- filing.c ---- */

/* What `open` says of a file, if it does: has_file. */
struct filing_terms {
    bool has_file;
    const char *client;
    unsigned char file[FILE_UUID_BYTES];
    enum filing_endpoint endpoint;
    int64_t completion_ms; /* 0: it does not say */
    int64_t ttl_ms;
};

/* Reads that part of `open`. E_INVALID. */
int filing_read_terms(struct call *call, struct filing_terms *terms);

/* The file from which a batch is to be made. E_NOTFOUND, E_CONFLICT, E_INVALID. */
int filing_find_input(struct call *call, const struct filing_terms *terms,
                      struct filing *filing);

/* True if a batch was made as these terms say. */
bool filing_is_same(struct broker *broker, uint64_t batch,
                    const struct filing_terms *terms);

/* True if a batch is made from a file. */
bool filing_exists(struct broker *broker, uint64_t batch);

/* True if the files that it ends in are still to be made. */
bool filing_is_pending(struct broker *broker, const struct batch *batch);

/* True if a batch is still being read from a file. */
bool filing_reads(struct broker *broker, uint64_t file, int64_t now_ms);

/* The batch has ended, and all its drafts: its files are made from now on. Does
 * nothing if it is not made from a file. */
void filing_end(struct broker *broker, uint64_t batch, int64_t now_ms);

/* The batch was cancelled; is tried again; is purged. */
void filing_cancel(struct broker *broker, uint64_t batch);
void filing_resume(struct broker *broker, uint64_t batch, int64_t now_ms);
void filing_drop(struct broker *broker, uint64_t batch, int64_t now_ms);

/* Adds `from_file` to what is told of a batch that is made from one. */
void filing_add_status(struct broker *broker, cJSON *head,
                       const struct batch *batch);

/* ---- reading.c ---- */

/* Reads a slice of the file that a batch is made from. */
void reading_run(struct broker *broker, const struct timer *timer,
                 int64_t now_ms);

/* ---- making.c ---- */

/* Makes a slice of the files that a batch ends in. */
void making_run(struct broker *broker, const struct timer *timer,
                int64_t now_ms);

/* ---- openai_line.c ---- */

/* The side that a result belongs to. */
enum filing_side openai_side(const struct result_row *row);

/* Appends a result as a line of OpenAI's output or error file. */
void openai_line(struct buf *out, const struct result_row *row,
                 const struct conf *conf);

#endif
