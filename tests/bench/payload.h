/*
 * payload.h - what the benchmark sends: drafts and replies of an exact size
 *
 * Every number gives a text of its own, so that nothing is ever the same as
 * anything else unless that is what is measured. Without a file of texts they
 * are printable characters by chance, which hardly compress (to 0.83); with one
 * they are its lines, as they stand. All systems get the same bytes.
 */
/* SPDX-License-Identifier: MIT */
#ifndef BENCH_PAYLOAD_H
#define BENCH_PAYLOAD_H

#include <stdint.h>

#include "base/buf.h"

#define PAYLOAD_BYTES_MIN 64

struct payload;

/* `path` is NULL, or a file of texts that stand in JSON as they are, one a
 * line. Ends the process if it can't be read. Freed with payload_free(). */
struct payload *payload_new(const char *path);
void payload_free(struct payload *payload);

/* Appends the text `number`, of so many bytes, or its line of the file. */
void payload_text(const struct payload *payload, int64_t number, size_t bytes,
                  struct buf *out);

/* Appends the draft `id` with the text `text`, a line without its end: `bytes`
 * long, or as long as its line of the file makes it. */
void payload_draft(const struct payload *payload, int64_t id, int64_t text,
                   size_t bytes, struct buf *out);

/* Appends a chat completion of that size and says where its text is. */
void payload_reply(const struct payload *payload, int64_t number, size_t bytes,
                   struct buf *out, struct slice *text);

#endif
