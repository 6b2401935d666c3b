/*
 * result.h - how one lease ended, as it is reported to the broker
 *
 * A value that owns its body: the reply as it came, and behind it the text, if
 * that had to be put together. It is kept until the broker confirms it, so it
 * can be printed as often as needed.
 */
/* SPDX-License-Identifier: MIT */
#ifndef WORKER_RESULT_H
#define WORKER_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/pack.h"
#include "worker/outcome.h"

/* Zero-initialised is valid. */
struct result {
    struct outcome outcome;
    const char *shape; /* of the reply; NULL: none */
    char model[EXTRACT_MODEL_BYTES_MAX + 1];
    char finish[EXTRACT_FINISH_BYTES_MAX + 1];
    int64_t prompt_tokens; /* or EXTRACT_UNTOLD, as are these: */
    int64_t completion_tokens;
    int64_t total_tokens;
    int64_t latency_ms;
    size_t text_at; /* in the reply; the inside of a string */
    size_t text_bytes;
    size_t text_follows; /* bytes of body behind the reply that are the text */
    bool is_sent;        /* bytes of the request left this host */
    struct buf body;
    size_t unpacked_bytes; /* of the body, which is packed; 0: it is not */
    bool is_loose;         /* nobody has tried to pack it yet */
};

/* Frees what it owns. */
void result_fini(struct result *result);

/* Takes over what a call has brought: its outcome, what was found in the reply,
 * and the reply's body, which is moved out of the reply. */
void result_fill(struct result *result, const struct outcome *outcome,
                 const struct extract *extract, struct reply *reply);

/* Packs the body if it gets shorter: what is stored packed need not be packed by
 * the broker, which has many workers. `room` is used on the way. */
void result_pack(struct result *result, struct packer *packer,
                 struct buf *room);

/* Appends the result as an element of a `turn`. */
void result_print(const struct result *result, int64_t request, int64_t fence,
                  const char *upstream, struct buf *out);

#endif
